package local

import (
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// crossPartition refuses a query that names no part of the container in its
// headers and may not go over all of it.
func (c *call) crossPartition(_ *sql.Query, _ map[string]value.Value, _ *scope) error {
	if !c.in.crossPartition {
		return badRequest("Cross partition query is required but disabled. Please set x-ms-documentdb-query-enablecrosspartition to true, " +
			"specify x-ms-documentdb-partitionkey, or revise your query to avoid this exception.")
	}
	return nil
}

func (c *call) planQuery() error {
	return badRequest("Query plans are not supported by this server.")
}

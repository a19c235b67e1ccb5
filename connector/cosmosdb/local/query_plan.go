package local

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/query"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// crossPartition narrows the scope of a query that names no part of the
// container in its headers to what its WHERE names, and refuses what cannot be
// served.
func (c *call) crossPartition(q *sql.Query, parameters map[string]value.Value, s *scope) error {
	info, err := query.Info(q, c.definition(), parameters)
	if err != nil {
		return queryFailure(err)
	}
	if !info.Pinned() && !c.in.crossPartition {
		return badRequest("Cross partition query is required but disabled. Please set x-ms-documentdb-query-enablecrosspartition to true, " +
			"specify x-ms-documentdb-partitionkey, or revise your query to avoid this exception.")
	}
	s.keep(c.physical(), info.QueryRanges)
	if len(s.ranges) < 2 || !info.NeedsPlan {
		return nil
	}
	if err := info.Unsupported(c.in.supportedFeatures); err != nil {
		return queryFailure(err)
	}
	plan, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("encoding the plan of a query: %w", err)
	}
	return &failure{status: http.StatusBadRequest, substatus: subCrossPartitionQuery, additional: string(plan),
		message: "The provided cross partition query can not be directly served by the gateway. This is a first chance (internal) exception " +
			"that all newer clients will know how to handle gracefully. This exception is traced, but unless you see it bubble up as an " +
			"exception (which only happens on older SDK clients), then you can safely ignore this message."}
}

// keep leaves those physical ranges in which a query can have results; one stays
// in any case, to answer.
func (s *scope) keep(all []partition.Range, found []query.QueryRange) {
	kept := slices.DeleteFunc(slices.Clone(s.ranges), func(i int) bool {
		return !slices.ContainsFunc(found, func(r query.QueryRange) bool {
			high := r.Max
			if r.MaxInclusive {
				high += partition.End
			}
			return all[i].Overlaps(partition.Range{Low: r.Min, High: high})
		})
	})
	if len(kept) == 0 && len(s.ranges) > 0 {
		kept = s.ranges[:1]
	}
	s.ranges = kept
}

// planQuery answers with the plan by which a client can run a query over several
// physical ranges.
func (c *call) planQuery() error {
	q, parameters, err := parseQuery(c.body)
	if err != nil {
		return err
	}
	info, err := query.Info(q, c.definition(), parameters)
	if err == nil {
		err = info.Unsupported(c.in.supportedFeatures)
	}
	if err != nil {
		return queryFailure(err)
	}
	plan, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("encoding the plan of a query: %w", err)
	}
	c.out.charge += metadataRead
	c.out.body = append(c.out.body, plan...)
	return c.ok(http.StatusOK, "")
}

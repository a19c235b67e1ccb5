package local

import "millrace/connector/cosmosdb/local/value"

import "net/http"

// Account read: GET /. Answered: locations, consistency, query limits, all for
// one account with one region. The endpoint in it is the address that the client
// used, as SDKs send everything else there.

// region is the one location of the account.
const region = "South Central US"

// queryEngineConfiguration is what the service tells of its query limits. It is
// a text that holds JSON.
const queryEngineConfiguration = `{"maxSqlQueryInputLength":262144,"maxJoinsPerSqlQuery":5,"maxLogicalAndPerSqlQuery":500,` +
	`"maxLogicalOrPerSqlQuery":500,"maxUdfRefPerSqlQuery":10,"maxInExpressionItemsCount":16000,` +
	`"queryMaxInMemorySortDocumentCount":500,"maxQueryRequestTimeoutFraction":0.9,"sqlAllowNonFiniteNumbers":false,` +
	`"sqlAllowAggregateFunctions":true,"sqlAllowSubQuery":true,"sqlAllowScalarSubQuery":true,"allowNewKeywords":true,` +
	`"sqlAllowLike":true,"sqlAllowGroupByClause":true,"maxSpatialQueryCells":12,"spatialMaxGeometryPointCount":256,` +
	`"sqlDisableOptimizationFlags":0,"sqlDisableQueryILOptimization":false,"sqlDisableFilterPlanOptimization":false,` +
	`"sqlAllowTop":true,"enableSpatialIndexing":true}`

func (s *Server) readAccount(c *call) error {
	// SDKs treat an account of the name localhost as an emulator: they stay
	// with the address that they have been given.
	b := append(c.out.body, `{"_self":"","id":"localhost","_rid":"localhost","media":"//media/","addresses":"//addresses/","_dbs":"//dbs/"`...)
	for _, name := range []string{"writableLocations", "readableLocations"} {
		b = append(b, `,"`+name+`":[{"name":"`+region+`","databaseAccountEndpoint":`...)
		b = append(value.AppendString(b, c.host+"/"), `}]`...)
	}
	b = append(b, `,"enableMultipleWriteLocations":false,"userReplicationPolicy":{"asyncReplication":false,"minReplicaSetSize":1,"maxReplicasetSize":4}`+
		`,"userConsistencyPolicy":{"defaultConsistencyLevel":"Session"}`+
		`,"systemReplicationPolicy":{"minReplicaSetSize":1,"maxReplicasetSize":4}`+
		`,"readPolicy":{"primaryReadCoefficient":1,"secondaryReadCoefficient":1},"queryEngineConfiguration":`...)
	c.out.body = append(value.AppendString(b, queryEngineConfiguration), '}')
	c.header("x-ms-max-media-storage-usage-mb", "10240")
	c.header("x-ms-media-storage-usage-mb", "0")
	c.header("x-ms-databaseaccount-consumed-mb", "0")
	c.header("x-ms-databaseaccount-provisioned-mb", "0")
	return c.ok(http.StatusOK, "")
}

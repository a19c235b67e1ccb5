package testservice

import "testing"

// CosmosDB returns the connection string of a Cosmos DB account whose databases
// a test may create and delete: @vercel/cosmosdb-server, unless the environment
// names another.
func CosmosDB(t testing.TB) (connectionString string) {
	t.Helper()
	return require(t, "MILLRACE_TEST_COSMOSDB")
}

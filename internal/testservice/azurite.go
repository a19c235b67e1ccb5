package testservice

import "testing"

// Azurite returns the connection string of a storage account whose containers
// a test may create and delete.
func Azurite(t testing.TB) (connectionString string) {
	t.Helper()
	return require(t, "MILLRACE_TEST_STORAGE")
}

// AzuriteScript is the script that starts, stops and kills the storage
// account's server, or "" if it is not there.
func AzuriteScript() string { return script("azurite.sh") }

package clients_test

import (
	"encoding/json"
	"testing"

	"millrace/test/lakeclient"
)

// lakeClient is delta-rs or Apache Spark.
type lakeClient struct {
	*lakeclient.Client
	name string
}

// object is a row, and the arguments of a call.
type object = map[string]any

func startLake(t *testing.T, name string) *lakeClient {
	return &lakeClient{lakeclient.Start(t, name), name}
}

// try calls a function of the client and puts what it returns into result.
func (c *lakeClient) try(function string, args object, result any) error {
	return c.Try(function, args, result)
}

// call is try for what must succeed.
func call[R any](t *testing.T, c *lakeClient, function string, args object) R {
	t.Helper()
	return lakeclient.Call[R](t, c.Client, function, args)
}

// lakeDetail is what a client knows of a table.
type lakeDetail struct {
	ID, Name         string
	Version          int64
	Schema           json.RawMessage
	PartitionColumns []string
	Configuration    map[string]string
	MinReaderVersion int
	MinWriterVersion int
	Files            int
}

// lakeCommit is one of a table's history, newest first.
type lakeCommit struct {
	Version    int64
	Timestamp  int64
	Operation  string
	Parameters map[string]any
	Engine     string
}

// lakePruned is how much of a table a client reads for a range of a column.
type lakePruned struct{ Files, Read, Rows int }

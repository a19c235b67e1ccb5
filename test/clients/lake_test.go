package clients_test

import "encoding/json"

// object is a row, and the arguments of a call.
type object = map[string]any

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

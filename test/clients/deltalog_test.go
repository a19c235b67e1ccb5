package clients_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector/blob"
	"millrace/connector/delta/schema"
	"millrace/connector/delta/txlog"
	"millrace/test/lakeclient"
)

// tableAt opens a table in a folder of this machine.
func tableAt(t *testing.T, path string) *txlog.Table {
	t.Helper()
	bucket, err := blob.Open(t.Context(), filepath.Dir(path), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	table := txlog.Open(bucket, filepath.Base(path), txlog.Options{})
	t.Cleanup(func() {
		if err := errors.Join(table.Close(t.Context()), bucket.Close()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return table
}

func snapshotOf(t *testing.T, path string) *txlog.Snapshot {
	t.Helper()
	snap, err := tableAt(t, path).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// sameLog compares what we and the clients know of a table that one of them
// wrote.
func sameLog(t *testing.T, l *lake, table theirTable) {
	t.Helper()
	path := table.path
	snap := snapshotOf(t, path)
	for _, c := range l.clients() {
		detail := lakeclient.Call[lakeDetail](t, c, "detail", object{"table": path})
		what := fmt.Sprintf("%s on %v", c.Name(), table)
		if snap.Version != detail.Version || snap.NumFiles() != detail.Files || snap.Metadata.ID != detail.ID ||
			snap.Protocol.MinReader != detail.MinReaderVersion || snap.Protocol.MinWriter != detail.MinWriterVersion ||
			!slices.Equal(snap.Metadata.PartitionColumns, detail.PartitionColumns) {
			t.Errorf("%s: %+v, we say %v %v %+v", what, detail, snap, snap.Protocol, snap.Metadata)
		}
		sameRows(t, "schema by "+what, json.RawMessage(snap.Metadata.Schema.Text()), detail.Schema)
		if !maps.Equal(snap.Metadata.Configuration, detail.Configuration) {
			t.Errorf("properties by %s: %v, we say %v", what, detail.Configuration, snap.Metadata.Configuration)
		}
		apps := map[string]any{"an application": nil, "another": nil}
		for app := range apps {
			if version, ok := snap.Txn(app); ok {
				apps[app] = version
			}
		}
		sameRows(t, "applications by "+what, apps, lakeclient.Call[object](t, c, "transactions", object{"table": path, "apps": []string{"an application", "another"}}))
	}
	var files []object
	for add := range snap.Files() {
		partition := object{}
		for column, value := range add.PartitionValues {
			partition[column] = nil
			if value != "" {
				partition[column] = partitionValue(t, snap.Metadata.Schema, column, value)
			}
		}
		rows, ok := add.NumRecords()
		if !ok {
			t.Errorf("%s of %v has no statistics", add.Path, table)
		}
		files = append(files, object{"path": add.Path, "size": add.Size, "rows": rows, "partition": partition})
	}
	slices.SortFunc(files, func(a, b object) int { return strings.Compare(a["path"].(string), b["path"].(string)) })
	theirs := lakeclient.Call[[]object](t, l.rust, "files", object{"table": path})
	slices.SortFunc(theirs, func(a, b object) int { return strings.Compare(a["path"].(string), b["path"].(string)) })
	sameRows(t, fmt.Sprintf("files of %v", table), files, theirs)
}

// partitionValue is the value that the text of a partition stands for, as the
// clients' rows have it.
func partitionValue(t *testing.T, columns *schema.Struct, column, text string) any {
	t.Helper()
	f, ok := columns.Field(column)
	if !ok {
		t.Fatalf("partition column %s is not in the schema", column)
	}
	switch f.Type {
	case schema.Long, schema.Integer, schema.Double:
		return json.Number(text)
	case schema.Boolean:
		return text == "true"
	case schema.Timestamp:
		for _, layout := range []string{time.RFC3339, time.DateTime} {
			if at, err := time.Parse(layout, text); err == nil {
				return at.UnixMicro()
			}
		}
	}
	return text
}

// refusals are tables of Spark's that need more of a reader or a writer than we
// know.
var refusals = []struct {
	name       string
	statements []string
	read       string // what the error of reading says, "" if it can be read
	write      string // what that of writing says
}{
	{"deletion vectors", []string{"CREATE TABLE $t (id LONG) USING delta TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
		"INSERT INTO $t SELECT id FROM range(100)", "DELETE FROM $t WHERE id % 2 = 0"}, "deletion vector", "deletion vector"},
	{"column mapping", []string{"CREATE TABLE $t (id LONG) USING delta TBLPROPERTIES ('delta.columnMapping.mode' = 'name')",
		"INSERT INTO $t VALUES (1)"}, "columnMapping", "columnMapping"},
	{"times without zone", []string{"CREATE TABLE $t (id LONG, at TIMESTAMP_NTZ) USING delta"}, "timestamp_ntz", ""},
	{"checkpoints of version 2", []string{"CREATE TABLE $t (id LONG) USING delta TBLPROPERTIES ('delta.checkpointPolicy' = 'v2')"},
		"v2Checkpoint", "v2Checkpoint"},
	{"a constraint", []string{"CREATE TABLE $t (id LONG) USING delta", "ALTER TABLE $t ADD CONSTRAINT positive CHECK (id > 0)"},
		"", "CHECK constraint"},
	{"a change feed", []string{"CREATE TABLE $t (id LONG) USING delta TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"},
		"", "change data feed"},
	{"a generated column", nil, "", "generated"},
	{"an identity column", nil, "", "identity"},
	{"numbered rows", []string{"CREATE TABLE $t (id LONG) USING delta TBLPROPERTIES ('delta.enableRowTracking' = 'true')"},
		"", "rowTracking"},
	{"clusters", []string{"CREATE TABLE $t (id LONG) USING delta CLUSTER BY (id)"}, "", "clustering"},
}

// Tables that need more than we know are refused, with a word that says what.
func testRefusedTables(t *testing.T, l *lake) {
	folder := t.TempDir()
	for _, c := range refusals {
		path := filepath.Join(folder, strings.ReplaceAll(c.name, " ", "-"))
		if c.statements == nil {
			lakeclient.Call[any](t, l.spark, "generate", object{"table": path, "identity": c.write == "identity"})
		}
		for _, statement := range c.statements {
			lakeclient.Call[any](t, l.spark, "execute", object{"table": path, "sql": statement})
		}
		table := tableAt(t, path)
		snap, err := table.Snapshot(t.Context())
		refused(t, "reading a table with "+c.name, err, c.read)
		if err != nil {
			continue
		}
		change := txlog.Change{Operation: "WRITE", Txns: []txlog.Txn{{AppID: "ours", Version: 1}}}
		_, err = table.Commit(t.Context(), snap, change)
		refused(t, "writing to a table with "+c.name, err, c.write)
		if _, err := os.Stat(filepath.Join(path, "_delta_log", fmt.Sprintf("%020d.json", snap.Version+1))); c.write != "" && err == nil {
			t.Errorf("a table with %s was written to", c.name)
		}
	}
}

// refused checks that an error is one of a table that is not supported, and says
// why; "" means that there must be none.
func refused(t *testing.T, what string, err error, why string) {
	t.Helper()
	var unsupported *txlog.UnsupportedError
	switch {
	case why == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case why != "" && (!errors.As(err, &unsupported) || !strings.Contains(err.Error(), why)):
		t.Errorf("%s: %v, want something about %q", what, err, why)
	case why != "":
		t.Logf("%s: %v", what, err)
	}
}

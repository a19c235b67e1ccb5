package clients_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// lake is what the tests of Delta tables share: the readers that we did not
// write, each in one process.
type lake struct{ rust, spark *lakeClient }

func (l *lake) clients() []*lakeClient { return []*lakeClient{l.rust, l.spark} }

// TestDelta drives delta-rs and Apache Spark. It is one test, as Spark takes ten
// seconds to start.
func TestDelta(t *testing.T) {
	if testing.Short() {
		t.Skip("starting Spark takes ten seconds")
	}
	t.Parallel()
	lookAtPrograms(t)
	l := &lake{rust: startLake(t, "delta-rs"), spark: startLake(t, "spark")}
	started := make(chan error, 1)
	go func() { started <- l.spark.try("hello", nil, nil) }()
	t.Cleanup(func() { <-started })
	for name, test := range map[string]func(*testing.T, *lake){
		"each other's tables": testLakeClients,
	} {
		t.Run(name, func(t *testing.T) { test(t, l) })
	}
}

// byID orders rows as the clients do when they read them by id.
func byID(rows []object) []object {
	return slices.SortedFunc(slices.Values(rows), func(a, b object) int {
		return cmp.Compare(toInt(a["id"]), toInt(b["id"]))
	})
}

func toInt(v any) int64 {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	}
	panic(fmt.Sprintf("%T is no id", v))
}

// hardPartitions are a schema and rows of a table with partitions whose values
// need care.
func hardPartitions() (schema object, rows []object) {
	schema = structOf(field("id", "long"), field("p", "string"), field("q", "long"), field("v", "double"))
	for i, text := range hardTexts {
		rows = append(rows, object{"id": i, "p": text, "q": i % 2, "v": float64(i) / 2})
	}
	return schema, append(rows, object{"id": len(hardTexts), "p": nil, "q": nil, "v": nil})
}

// The two read each other's tables as they were described, so that what they say
// about ours counts.
func testLakeClients(t *testing.T, l *lake) {
	folder := t.TempDir()
	schema, rows := hardPartitions()
	for _, writer := range l.clients() {
		plain, partitioned := filepath.Join(folder, writer.name), filepath.Join(folder, writer.name+"-partitions")
		call[int64](t, writer, "write", object{"table": plain, "schema": everyType(), "rows": everyValue()})
		call[int64](t, writer, "write", object{"table": partitioned, "schema": schema, "rows": rows, "partition": []string{"p", "q"}})
		for _, reader := range l.clients() {
			what := reader.name + " reads the table of " + writer.name
			sameRows(t, what, call[json.RawMessage](t, reader, "read", object{"table": plain, "by": "id"}), byID(everyValue()))
			sameRows(t, what, call[json.RawMessage](t, reader, "read", object{"table": partitioned, "by": "id"}), byID(rows))
			for table, want := range map[string]object{plain: everyType(), partitioned: schema} {
				sameRows(t, what, call[lakeDetail](t, reader, "detail", object{"table": table}).Schema, want)
			}
		}
	}
}

package clients_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"testing"

	"millrace/connector"
	"millrace/connector/delta"
	"millrace/test/lakeclient"
)

// theirTable is a table that a client wrote, with what it wrote.
type theirTable struct {
	name, path string
	writer     *lakeclient.Client
	schema     object
	partition  []string
	rows       []object
}

func (t theirTable) String() string { return t.name + " of " + t.writer.Name() }

// write has the client add rows.
func (t *theirTable) write(test *testing.T, rows []object, more object) {
	test.Helper()
	args := object{"table": t.path, "schema": t.schema, "rows": rows, "partition": t.partition}
	maps.Copy(args, more)
	lakeclient.Call[int64](test, t.writer, "write", args)
	t.rows = append(t.rows, rows...)
}

// theirTables has a client make tables.
func theirTables(t *testing.T, c *lakeclient.Client) []theirTable {
	t.Helper()
	folder := t.TempDir()
	table := func(name string, schema object, partition ...string) theirTable {
		return theirTable{name: name, path: filepath.Join(folder, name), writer: c, schema: schema, partition: partition}
	}
	types := table("types", everyType())
	types.write(t, everyValue()[:3], nil)
	types.write(t, everyValue()[3:], nil)
	all := []theirTable{types}
	if c.Name() == lakeclient.Spark {
		// Timestamps in microseconds and milliseconds; without a word it writes INT96.
		for _, unit := range []string{"MICROS", "MILLIS"} {
			units := table("types-"+unit, everyType())
			units.write(t, everyValue(), object{"conf": object{"spark.sql.parquet.outputTimestampType": "TIMESTAMP_" + unit}})
			if unit == "MILLIS" {
				units.rows = inMilliseconds(units.rows).([]object)
			}
			all = append(all, units)
		}
	}
	hard := table("partitions", structOf(field("id", "long"), field("p", "string"), field("q", "long"), field("v", "double")), "p", "q")
	var rows []object
	for i, text := range hardTexts {
		rows = append(rows, object{"id": i, "p": text, "q": i % 2, "v": float64(i) / 2})
	}
	hard.write(t, append(rows, object{"id": len(hardTexts), "v": 1.5}), nil)
	typed := table("typed-partitions", structOf(field("id", "long"), field("day", "date"), field("at", "timestamp"), field("t", "boolean"),
		field("d", "double"), field("m", "decimal(9,2)"), field("i", "integer")), "day", "at", "t", "d", "m", "i")
	typed.write(t, []object{
		{"id": 1, "day": "2024-02-29", "at": instant, "t": true, "d": 0.1, "m": "12.50", "i": -1},
		{"id": 2, "day": "1969-12-31", "at": beforeEpoch, "t": false, "d": 2.5e-7, "m": "0.00", "i": 0},
		{"id": 3, "at": int64(1_700_000_000_000_000)},
	}, nil)
	return append(all, hard, typed, grown(t, table("grown", structOf(field("id", "long"), field("p", "string"), field("s", structOf(field("a", "long")))), "p")))
}

// grown makes a table of many commits, with checkpoints, an application's
// positions, and columns that came later.
func grown(t *testing.T, table theirTable) theirTable {
	t.Helper()
	table.write(t, []object{{"id": 0, "p": "a", "s": object{"a": 1}}}, object{"configuration": object{"delta.checkpointInterval": "3", "delta.appendOnly": "false"}})
	for i := range 4 {
		table.write(t, []object{{"id": i + 1, "p": string(rune('a' + i%2))}}, object{"app": []any{"an application", i * 10}})
	}
	table.schema = structOf(field("id", "long"), field("p", "string"), field("s", structOf(field("a", "long"), field("b", "string"))),
		field("it's\"new\"", arrayOf(structOf(field("x", "long")))))
	table.write(t, []object{{"id": 5, "p": "c", "s": object{"b": "later"}, "it's\"new\"": []any{object{"x": 5}}}}, object{"merge": true})
	return table
}

// inMilliseconds cuts timestamps to milliseconds, as their file does.
func inMilliseconds(v any) any {
	switch v := v.(type) {
	case []object:
		out := make([]object, len(v))
		for i, row := range v {
			out[i] = inMilliseconds(row).(object)
		}
		return out
	case object:
		out := object{}
		for key, value := range v {
			if at, ok := value.(int64); ok && key == "at" {
				value = at - (at%1000+1000)%1000
			}
			out[key] = inMilliseconds(value)
		}
		return out
	}
	return v
}

// Their tables are what they say, to each other and to us; also after we have
// merged their files.
func testTheirTables(t *testing.T, l *lake) {
	for _, writer := range l.clients() {
		for _, table := range theirTables(t, writer) {
			// That they agree makes what they say of ours count.
			table.check(t, l, "")
			sameLog(t, l, table)
			before := snapshotOf(t, table.path)
			env := connector.Env{Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)}
			ours, err := delta.OpenTable(t.Context(), table.path, env)
			if err != nil {
				t.Fatal(err)
			}
			optimized, err := ours.Optimize(t.Context(), delta.OptimizeOptions{})
			if err := errors.Join(err, ours.Close()); err != nil {
				t.Errorf("OPTIMIZE of %v: %v", table, err)
			} else if merged := snapshotOf(t, table.path); merged.NumFiles() < before.NumFiles() {
				t.Logf("OPTIMIZE of %v: %d files became %d", table, before.NumFiles(), merged.NumFiles())
				table.check(t, l, " after OPTIMIZE")
				lakeclient.Call[any](t, l.rust, "statistics", object{"table": table.path})
			} else if table.name == "types" || table.name == "grown" {
				t.Errorf("OPTIMIZE of %v has merged nothing: %+v", table, optimized)
			}
		}
	}
}

// check has all read the rows of the table.
func (t *theirTable) check(test *testing.T, l *lake, when string) {
	test.Helper()
	want := inOrder(t.rows, "id")
	for _, reader := range l.clients() {
		what := fmt.Sprintf("%s reads %v%s", reader.Name(), t, when)
		sameRows(test, what, lakeclient.Call[json.RawMessage](test, reader, "read", object{"table": t.path, "by": "id"}), want)
	}
	sameRows(test, fmt.Sprintf("we read %v%s", t, when), inOrder(ourRows(test, t.path, snapshotOf(test, t.path)), "id"), want)
}

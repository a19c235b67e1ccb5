package clients_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/delta"
	records "millrace/record"
)

// eventTypes are the types of columns of the table of events by their names, in
// their order; complexData comes after value.
var eventTypes = [][2]string{{"eventId", "string"}, {"deviceId", "string"}, {"deviceSequenceNumber", "long"}, {"type", "string"}, {"value", "double"},
	{"createdAt", "timestamp"}, {"enqueuedAt", "timestamp"}, {"processedAt", "timestamp"}, {"storedAt", "timestamp"},
	{"partitionId", "integer"}, {"logOffset", "long"}, {"extra", "string"}}

// complexMembers are the members of complexData.
const complexMembers = 23

// eventSchema is the schema of the table of events, without the columns named
// and with more at its end.
func eventSchema(without []string, more ...object) object {
	var complexData, fields []object
	for i := range complexMembers {
		complexData = append(complexData, field(fmt.Sprintf("moreData%d", i), "double"))
	}
	for _, column := range eventTypes {
		if !slices.Contains(without, column[0]) {
			fields = append(fields, field(column[0], column[1]))
		}
		if column[0] == "value" {
			fields = append(fields, field("complexData", structOf(complexData...)))
		}
	}
	return structOf(append(fields, more...)...)
}

const dayOfEvents = int64(1_767_225_600_000_000) // 2026-01-01

// event is the i-th event in JSON, and the row it is to become, but for its
// positions in the log and the time it is stored. A few are unusual.
func event(t *testing.T, i int) (text []byte, row object) {
	t.Helper()
	complexData, extra := object{}, object{}
	for k := range complexMembers {
		complexData[fmt.Sprintf("moreData%d", k)] = float64(i*k) + 0.125
	}
	createdAt := dayOfEvents + int64(i)*600_000_123 // ten minutes, so that there are several days
	row = object{"eventId": fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i*7), "deviceId": fmt.Sprintf("contoso://device-id-%d", i%10),
		"deviceSequenceNumber": i / 10, "type": []string{"TEMP", "CO2"}[i%2], "value": float64(i) / 4, "complexData": complexData, "createdAt": createdAt}
	members := object{}
	switch i % 20 {
	case 3: // longer than statistics are, and cut there inside of a character
		row["deviceId"] = strings.Repeat("\u00e9\U0001F600", 20)
	case 4:
		row["deviceId"] = strings.Repeat("\U0010FFFF", 40)
	case 5:
		row["complexData"] = object{"moreData3": -0.5}
	case 6: // nobody needs it
		row["complexData"] = nil
	case 7:
		members["humidity"], row["humidity"] = 47.5, 47.5
	case 8:
		members["note"] = []any{"a \"note\"", nil, object{"deep": 1e300}}
		extra["note"] = members["note"]
	case 9:
		row["value"] = -1e-300
	}
	if len(extra) > 0 {
		row["extra"] = extra
	}
	for name, value := range row {
		if name != "extra" && (name != "complexData" || value != nil) {
			members[name] = value
		}
	}
	members["createdAt"] = string(records.AppendTime(nil, createdAt))
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return text, row
}

// ourTable is a table of events that a store of ours writes, with what it wrote.
type ourTable struct {
	path  string // of its folder; "" in a storage account
	store connector.Store
	table *delta.Table
	rows  []object
	next  int // the next event
}

// partitionsOfLog are those whose events are written, in turn.
const partitionsOfLog = 4

// openOurs opens the table "events" in a folder or a storage account, for one
// worker that claims all partitions.
func openOurs(t *testing.T, storage, container string, change func(*delta.Config)) *ourTable {
	t.Helper()
	cfg := delta.NewConfig()
	cfg.Storage, cfg.Container, cfg.Path, cfg.ExactPath = storage, container, "events", true
	// Compactions come when the test says so.
	cfg.CommitInterval, cfg.CompactAfter = connector.Duration(10*time.Millisecond), 0
	cfg.Columns = map[string]string{"humidity": "double"}
	if change != nil {
		change(cfg)
	}
	env := connector.Env{DataDir: t.TempDir(), Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)}
	store, err := cfg.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	table, err := cfg.OpenTable(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(store.Close(), table.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := store.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	partitions := make([]int32, partitionsOfLog)
	for i := range partitions {
		partitions[i] = int32(i)
	}
	if _, err := store.Claim(t.Context(), "tests", partitions); err != nil {
		t.Fatal(err)
	}
	return &ourTable{path: filepath.Join(storage, container, "events"), store: store, table: table}
}

// write adds n events, a multiple of partitionsOfLog, in one commit.
func (o *ourTable) write(t *testing.T, n int) {
	t.Helper()
	var unit connector.Write
	var rows []object
	for i := o.next; i < o.next+n; i++ {
		text, row := event(t, i)
		r := records.Result{Partition: int32(i % partitionsOfLog), Offset: int64(i / partitionsOfLog)}
		if err := r.Decode(text); err != nil {
			t.Fatalf("event %s: %v", text, err)
		}
		r.EnqueuedAt, r.ProcessedAt = r.CreatedAt+1001, r.CreatedAt+2002
		row["enqueuedAt"], row["processedAt"] = r.EnqueuedAt, r.ProcessedAt
		row["partitionId"], row["logOffset"] = r.Partition, r.Offset
		unit.Results, rows = append(unit.Results, r), append(rows, row)
	}
	slices.SortStableFunc(unit.Results, func(a, b records.Result) int { return int(a.Partition) - int(b.Partition) })
	for p := range partitionsOfLog {
		unit.Advances = append(unit.Advances, connector.Advance{Partition: int32(p),
			From: int64(o.next / partitionsOfLog), To: int64((o.next + n) / partitionsOfLog)})
	}
	receipt, err := o.store.Write(t.Context(), &unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		row["storedAt"] = receipt.StoredAt
	}
	o.rows = append(o.rows, rows...)
	o.next += n
}

// sameEvents checks that a client reads the rows of a table of events that were
// written.
func sameEvents(t *testing.T, what string, got []byte, want []object) {
	t.Helper()
	rows, ok := canonical(t, json.RawMessage(got)).([]any)
	if !ok {
		t.Fatalf("%s: no rows but %.200s", what, got)
	}
	for _, row := range rows {
		row := row.(map[string]any)
		if text, ok := row["extra"].(string); ok {
			row["extra"] = json.RawMessage(text)
		}
		delete(row, "createdDate") // which the schema and the files' folders tell about
	}
	sameRows(t, what, rows, inOrder(want, "eventId"))
}

// count asks our table how many rows and different events it has.
func (o *ourTable) count(t *testing.T, at string) (rows, events int64) {
	t.Helper()
	answer, err := o.table.QueryAt(t.Context(), "SELECT count(*), count(DISTINCT eventId) FROM events", at)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	row, err := answer.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return row[0].(int64), row[1].(int64)
}

package clients_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"millrace/connector/blob"
	"millrace/connector/delta"
	"millrace/internal/testservice"
	"millrace/test/lakeclient"
)

// Our store adds events to tables that others have made for events, with the
// columns of the samples: it adds those that it needs besides.
func testOursInTheirs(t *testing.T, l *lake) {
	for _, c := range l.clients() {
		folder := t.TempDir()
		path := filepath.Join(folder, "lake", "events")
		_, row := event(t, 1_000_000)
		row["enqueuedAt"], row["processedAt"], row["storedAt"] = dayOfEvents, dayOfEvents+1, dayOfEvents+2
		columns := eventSchema([]string{"partitionId", "logOffset", "extra"}, field("theirs", arrayOf("string")))
		row["theirs"] = []any{"a", nil}
		args := object{"table": path, "schema": columns, "rows": []object{row}}
		lakeclient.Call[int64](t, c, "write", args)
		ours := openOurs(t, folder, "lake", nil)
		ours.write(t, 40)
		args["merge"] = c == l.rust                 // which else insists on all columns
		lakeclient.Call[int64](t, c, "write", args) // those that were added since are null
		ours.write(t, 40)
		ours.rows = append(ours.rows, row)
		again := object{}
		for key, value := range row {
			again[key] = value
		}
		// The same event again: nothing of Delta is against it.
		ours.rows = append(ours.rows, again)
		for _, reader := range l.clients() {
			ours.check(t, reader, reader.Name()+" on a table of "+c.Name()+" with our events")
		}
		sameEvents(t, "we on a table of "+c.Name(), marshal(t, inOrder(ourRows(t, path, snapshotOf(t, path)), "eventId")), ours.rows)
	}
}

// raceTimes is how often each takes part in a race.
const raceTimes = 12

// raceRow is a row that others add to a table of events.
func raceRow(name string) object {
	return object{"eventId": name + "-", "deviceId": name, "deviceSequenceNumber": 1, "type": "RACE", "value": 1.5, "createdAt": dayOfEvents}
}

// theirRows are the rows that a client has added in a race.
func theirRows(name string, times int) []object {
	var rows []object
	for i := range times {
		row := raceRow(name)
		row["eventId"] = fmt.Sprintf("%s-%d", name, i)
		rows = append(rows, row)
	}
	return rows
}

// All write to one table at once: nobody loses anything.
func testRace(t *testing.T, l *lake) {
	ours := openOurs(t, t.TempDir(), "lake", nil)
	schema := eventSchema(nil, field("humidity", "double"))
	done := make(chan error, 2)
	for _, c := range l.clients() {
		go func() {
			done <- c.Try("race", object{"table": ours.path, "schema": schema, "row": raceRow(c.Name()), "column": "eventId", "times": raceTimes}, nil)
		}()
	}
	ours.race(t, done, 2)
	ours.rows = append(ours.rows, theirRows("delta-rs", raceTimes)...)
	ours.rows = append(ours.rows, theirRows("spark", raceTimes)...)
	for _, c := range l.clients() {
		ours.check(t, c, c.Name()+" after the race")
	}
	snap := snapshotOf(t, ours.path)
	for v := range snap.Version + 1 {
		if _, err := tableAt(t, ours.path).At(t.Context(), v); err != nil {
			t.Errorf("version %d: %v", v, err)
		}
	}
	if rows, events := ours.count(t, ""); rows != int64(len(ours.rows)) || events != rows {
		t.Errorf("we count %d rows and %d events, want %d", rows, events, len(ours.rows))
	}
}

// race writes until n others are done, but not so much that they, who begin
// again each time that somebody was faster, never get there.
func (o *ourTable) race(t *testing.T, done chan error, n int) {
	t.Helper()
	for range 10 * raceTimes {
		o.write(t, partitionsOfLog)
		select {
		case err := <-done:
			if n--; err != nil {
				t.Error(err)
			}
		case <-time.After(50 * time.Millisecond):
		}
		if n == 0 {
			return
		}
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// In a storage account, from which delta-rs reads. It cannot add to any table
// there, its own neither, beyond the second commit: it has the listing of the log
// begin in the middle, which the server that stands in for the account ignores.
func testStorageAccount(t *testing.T, l *lake) {
	connection := testservice.Azurite(t)
	part := func(name string) string {
		found := regexp.MustCompile(name + "=([^;]*)").FindStringSubmatch(connection)
		if found == nil {
			t.Fatalf("the connection string has no %s", name)
		}
		return found[1]
	}
	storage := object{"azure_storage_account_name": part("AccountName"), "azure_storage_account_key": part("AccountKey"),
		"azure_storage_endpoint": part("BlobEndpoint"), "allow_http": "true"}
	container := fmt.Sprintf("lake%d", time.Now().UnixNano())
	t.Cleanup(func() {
		client, err := blob.ContainerClient(connection, container, nil)
		if err == nil {
			_, err = client.Delete(context.Background(), nil)
		}
		if err != nil {
			t.Error(err)
		}
	})
	ours := openOurs(t, connection, container, func(c *delta.Config) { c.PartitionBy = []string{"type"} })
	table := "az://" + container + "/events"
	for range 12 {
		ours.write(t, 8)
	}
	check := func(what string) {
		t.Helper()
		sameEvents(t, what, lakeclient.Call[json.RawMessage](t, l.rust, "read", object{"table": table, "by": "eventId", "storage": storage}), ours.rows)
	}
	check("delta-rs in a storage account")
	if _, err := ours.table.Optimize(t.Context(), delta.OptimizeOptions{}); err != nil {
		t.Fatal(err)
	}
	ours.write(t, 8)
	check("delta-rs in a storage account after OPTIMIZE")
	if rows, events := ours.count(t, ""); rows != int64(len(ours.rows)) || events != rows {
		t.Errorf("we count %d rows and %d events, want %d", rows, events, len(ours.rows))
	}
	if strings.Contains(ours.table.Describe(), part("AccountKey")) {
		t.Error("the name of the table has the account's key")
	}
}

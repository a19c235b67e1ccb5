package clients_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector/delta"
	"millrace/test/lakeclient"
)

// testOurTable has the clients read a table that our store writes: with its
// checkpoints, after OPTIMIZE and VACUUM, theirs too.
func testOurTable(t *testing.T, l *lake, partitionBy ...string) {
	ours := openOurs(t, t.TempDir(), "lake", func(c *delta.Config) {
		c.PartitionBy, c.Properties = partitionBy, map[string]string{"delta.checkpointInterval": "10"}
	})
	counts := map[int64]int{} // rows by version
	var middle lakeCommit     // half-way
	for i := range 12 {
		ours.write(t, 40)
		at := ours.newest(t)
		counts[at.Version] = len(ours.rows)
		if i == 5 {
			middle = at
			time.Sleep(5 * time.Millisecond) // what comes next has another time
		}
	}
	newest := ours.newest(t).Version
	if newest < 12 {
		t.Fatalf("after 12 writes the table is at version %d", newest)
	}
	for _, c := range l.clients() {
		ours.check(t, c, c.Name()+" on our table")
		ours.travel(t, c, middle, counts)
		ours.lookInside(t, l, c, partitionBy)
	}
	ours.withoutBegin(t, l)
	ours.maintain(t, l)
}

// newest is the newest commit by our history.
func (o *ourTable) newest(t *testing.T) lakeCommit {
	t.Helper()
	commits, err := o.table.History(t.Context(), 1)
	if err != nil || len(commits) != 1 {
		t.Fatalf("%d commits, %v", len(commits), err)
	}
	return lakeCommit{Version: commits[0].Version, Timestamp: commits[0].Time.UnixMilli(), Operation: commits[0].Operation}
}

// check has a client read all rows.
func (o *ourTable) check(t *testing.T, c *lakeclient.Client, what string) {
	t.Helper()
	sameEvents(t, what, lakeclient.Call[json.RawMessage](t, c, "read", object{"table": o.path, "by": "eventId"}), o.rows)
}

// travel has a client read older versions, and the history.
func (o *ourTable) travel(t *testing.T, c *lakeclient.Client, middle lakeCommit, counts map[int64]int) {
	t.Helper()
	for _, which := range []object{{"version": middle.Version}, {"at": middle.Timestamp + 1}} {
		args := object{"table": o.path, "sql": "SELECT count(*) AS n FROM t"}
		for key, value := range which {
			args[key] = value
		}
		sameRows(t, fmt.Sprintf("%s at %v", c.Name(), which), lakeclient.Call[json.RawMessage](t, c, "query", args), []object{{"n": counts[middle.Version]}})
	}
	history := lakeclient.Call[[]lakeCommit](t, c, "history", object{"table": o.path})
	commits, err := o.table.History(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(history) != len(commits) {
		t.Errorf("%s knows %d commits, we %d", c.Name(), len(history), len(commits))
	}
	for i, h := range history[:min(len(history), len(commits))] {
		if w := commits[i]; h.Version != w.Version || h.Operation != w.Operation || h.Engine != w.Engine || !strings.Contains(h.Engine, "illrace") {
			t.Errorf("%s has commit %+v, we %+v", c.Name(), h, w)
		}
	}
}

// lookInside checks what a client knows of the table besides its rows.
func (o *ourTable) lookInside(t *testing.T, l *lake, c *lakeclient.Client, partitionBy []string) {
	t.Helper()
	detail := lakeclient.Call[lakeDetail](t, c, "detail", object{"table": o.path})
	more := []object{field("humidity", "double")}
	if slices.Contains(partitionBy, "createdDate") {
		more = append([]object{field("createdDate", "date")}, more...)
	}
	more[len(more)-1]["metadata"] = object{"millrace.member": "humidity"}
	sameRows(t, "schema by "+c.Name(), detail.Schema, eventSchema(nil, more...))
	if detail.MinReaderVersion != 1 || detail.MinWriterVersion != 2 || !slices.Equal(detail.PartitionColumns, partitionBy) {
		t.Errorf("%s: %+v", c.Name(), detail)
	}
	apps := object{"millrace/4": nil}
	for p := range partitionsOfLog {
		apps[fmt.Sprintf("millrace/%d", p)] = o.next / partitionsOfLog
	}
	var names []string
	for name := range apps {
		names = append(names, name)
	}
	sameRows(t, "applications by "+c.Name(), lakeclient.Call[object](t, c, "transactions", object{"table": o.path, "apps": names}), apps)
	for _, column := range []string{"createdAt", "value"} {
		last := o.rows[len(o.rows)-1][column] // which only the newest files can have
		got := lakeclient.Call[lakePruned](t, c, "pruned", object{"table": o.path, "column": column, "least": last, "most": last})
		if got.Rows != 1 || got.Read == 0 || got.Read*3 > got.Files {
			t.Errorf("%s for %s: %+v, want a row of a few files", c.Name(), column, got)
		}
	}
	if c == l.rust {
		seen := lakeclient.Call[map[string]int](t, c, "statistics", object{"table": o.path})
		for _, name := range []string{"eventId", "deviceId", "value", "complexData.moreData0", "complexData.moreData22", "createdAt", "storedAt"} {
			if seen[name] == 0 {
				t.Errorf("no file has statistics of %s: %v", name, seen)
			}
		}
	}
}

// withoutBegin deletes the log up to the newest checkpoint, as a clean-up does
// after a month, and has everybody begin there.
func (o *ourTable) withoutBegin(t *testing.T, l *lake) {
	t.Helper()
	log := filepath.Join(o.path, "_delta_log")
	// It is written when nobody waits for it.
	checkpoint := int64(10)
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		last, err := os.ReadFile(filepath.Join(log, "_last_checkpoint"))
		if err == nil && strings.Contains(string(last), `"version":10`) {
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("no checkpoint of version %d: %s %v", checkpoint, last, err)
		}
	}
	for v := range checkpoint {
		if err := os.Remove(filepath.Join(log, fmt.Sprintf("%020d.json", v))); err != nil {
			t.Error(err)
		}
	}
	lakeclient.Call[any](t, l.spark, "forget", nil)
	for _, c := range l.clients() {
		o.check(t, c, c.Name()+" from the checkpoint on")
	}
}

// maintain has OPTIMIZE and VACUUM done, by us and by them, while the store goes
// on writing.
func (o *ourTable) maintain(t *testing.T, l *lake) {
	t.Helper()
	before := snapshotOf(t, o.path)
	optimized, err := o.table.Optimize(t.Context(), delta.OptimizeOptions{})
	if err != nil || optimized.FilesAdded == 0 || optimized.NumFiles >= before.NumFiles() {
		t.Fatalf("OPTIMIZE of %d files: %+v, %v", before.NumFiles(), optimized, err)
	}
	o.write(t, 40)
	vacuumed, err := o.table.Vacuum(t.Context(), delta.VacuumOptions{AllowShort: true})
	if err != nil || len(vacuumed.Files) < optimized.FilesRemoved {
		t.Fatalf("VACUUM after OPTIMIZE of %d files: %+v, %v", optimized.FilesRemoved, vacuumed, err)
	}
	for _, c := range l.clients() {
		o.check(t, c, c.Name()+" after OPTIMIZE and VACUUM")
	}
	lakeclient.Call[any](t, l.rust, "statistics", object{"table": o.path})
	o.nothingLeft(t)
	// Now they: rows go, files are merged, a column is added, and the store writes on.
	first := o.rows[0]["eventId"].(string)
	lakeclient.Call[any](t, l.spark, "execute", object{"table": o.path, "sql": "DELETE FROM $t WHERE eventId = '" + first + "'"})
	o.rows = o.rows[1:]
	o.write(t, 40)
	lakeclient.Call[any](t, l.rust, "optimize", object{"table": o.path})
	lakeclient.Call[any](t, l.spark, "execute", object{"table": o.path, "sql": "ALTER TABLE $t ADD COLUMN (remark STRING)"})
	o.write(t, 40)
	lakeclient.Call[any](t, l.spark, "execute", object{"table": o.path, "sql": "OPTIMIZE $t"})
	o.write(t, 40)
	lakeclient.Call[any](t, l.spark, "checkpoint", object{"table": o.path})
	lakeclient.Call[any](t, l.spark, "execute", object{"table": o.path, "sql": "VACUUM $t RETAIN 0 HOURS"})
	o.write(t, 40)
	for _, c := range l.clients() {
		o.check(t, c, c.Name()+" after their maintenance")
	}
	if rows, events := o.count(t, ""); rows != int64(len(o.rows)) || events != rows {
		t.Errorf("we count %d rows and %d events, want %d", rows, events, len(o.rows))
	}
	sameEvents(t, "our reader after their maintenance", marshal(t, inOrder(ourRows(t, o.path, snapshotOf(t, o.path)), "eventId")), o.rows)
}

// nothingLeft checks that there are no files but those of the table, as after a
// VACUUM that keeps none.
func (o *ourTable) nothingLeft(t *testing.T) {
	t.Helper()
	snap := snapshotOf(t, o.path)
	found := 0
	err := filepath.WalkDir(o.path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if entry != nil && entry.Name() == "_delta_log" {
				return fs.SkipDir
			}
			return err
		}
		name, err := filepath.Rel(o.path, path)
		if _, live := snap.File(filepath.ToSlash(name)); live {
			found++
		} else {
			t.Errorf("%s is left after VACUUM", name)
		}
		return err
	})
	if err != nil || found != snap.NumFiles() {
		t.Errorf("%d of %d files: %v", found, snap.NumFiles(), err)
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

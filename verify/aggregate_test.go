package verify

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// TestRowIDs: ids are those of the table in docs/formats/rows.md, with which the
// engine is tested as well.
func TestRowIDs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/formats/rows.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "`")
		if !strings.HasPrefix(line, "| `") || len(cells) < 9 {
			continue
		}
		var parts []string
		for i := 1; i < len(cells); i += 2 {
			parts = append(parts, cells[i])
		}
		last := len(parts) - 1
		if id := rowID(parts[:last]...); id.String() != parts[last] {
			t.Errorf("%sthe id is %s", line, id)
		}
		n++
	}
	if n < 5 {
		t.Errorf("the table has %d rows", n)
	}
	if got := stamp(1_000_000); got != "1970-01-01T00:00:01.0000000Z" {
		t.Error(got)
	}
}

// windowed is a run of n events whose rows are windows, made anew by brute force:
// for each device and each window that ends at a multiple of the hop, whatever
// lies in it.
func windowed(n, devices int, size, hop time.Duration, events func(w *world)) *world {
	w := newWorld(n, devices)
	if events != nil {
		events(w)
	}
	w.rows = nil
	w.in.Aggregate = defaultAggregate()
	w.in.Aggregate.Window, w.in.Aggregate.Hop = connector.Duration(size), connector.Duration(hop)
	step := hop
	if step == 0 {
		step = size
	}
	offset := int64(0)
	for end := t0 - t0%step.Microseconds(); end <= t0+int64(n)*gap+size.Microseconds(); end += step.Microseconds() {
		for d := range devices {
			count, first, last := 0, int64(-1), int64(-1)
			for _, e := range w.entries {
				if e.Kind != record.Unique || !e.Acked || int(e.Device) != d || e.CreatedAt > end || e.CreatedAt <= end-size.Microseconds() {
					continue
				}
				if count++; first < 0 {
					first = e.Sequence
				}
				last = e.Sequence
			}
			if count > 0 {
				w.rows = append(w.rows, windowRow(d, end, count, first, last, offset))
				offset++
			}
		}
	}
	return w
}

func windowRow(d int, end int64, n int, first, last, offset int64) record.Stored {
	id := rowID("output", deviceName(d), stamp(end))
	f, err := record.Fingerprint(fmt.Appendf(nil, `{"n":%d,"firstSequence":%d,"lastSequence":%d,"deviceId":%q,"eventId":%q,"deviceSequenceNumber":%d,"createdAt":"%s"}`,
		n, first, last, deviceName(d), id, end, record.AppendTime(nil, end)))
	if err != nil {
		panic(err)
	}
	return record.Stored{ID: id, DeviceID: []byte(deviceName(d)), Sequence: end, Partition: int32(d % 4), Offset: offset,
		CreatedAt: end, EnqueuedAt: end, ProcessedAt: end + 5_000_000, StoredAt: end + 5_500_000, Fingerprint: f}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ size, hop time.Duration }{
		{time.Second, 0}, {time.Second, time.Second}, {3 * time.Second, time.Second}, {2500 * time.Millisecond, time.Second}, {time.Hour, 0},
	} {
		w := windowed(2321, 7, c.size, c.hop, func(w *world) {
			w.resend(3, true)
			w.spoil("{", record.NotJSON, true, 900)
		})
		w.shuffle(1)
		v := w.check(t)
		if !v.Pass || v.Windowed.Rows != int64(len(w.rows)) || v.Fates.ServedOnce != v.Windowed.Rows || v.Events.Unique != 2321 || len(v.Imbalances) > 0 {
			t.Errorf("%v: %+v %+v %+v %q", c, v.Events, v.Fates, v.Windowed, v.Imbalances)
		}
		if p := v.Latency.EndToEnd.P50; p < 5400*time.Millisecond || p > 5600*time.Millisecond {
			t.Errorf("the latency is %s, from the windows' ends it is 5.5 s", p)
		}
		if len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "recomputed from 2321 events") {
			t.Errorf("notes %q", v.Notes)
		}
	}
}

// TestWrongWindows bends one row at a time.
func TestWrongWindows(t *testing.T) {
	t.Parallel()
	const second = 6 // the row of device 1's second window
	for name, c := range map[string]struct {
		bend   func(w *world)
		flaws  Events
		detail string
	}{
		"a count that is wrong": {
			bend:   func(w *world) { w.rows[second] = windowRow(1, t0+2_000_000, 249, 250, 499, 9) },
			flaws:  Events{Corrupted: 1},
			detail: `"firstSequence":250,"lastSequence":499,"n":250`,
		},
		"a window that is missing": {
			bend:   func(w *world) { w.rows = slices.Delete(w.rows, second, second+1) },
			flaws:  Events{Missing: 1},
			detail: "there is no row {",
		},
		"a window that nobody filled": {
			bend:  func(w *world) { w.rows = append(w.rows, windowRow(1, t0+99_000_000, 1, 1000, 1000, 99)) },
			flaws: Events{Unexpected: 1},
		},
		"a window that is there twice": {
			bend:  func(w *world) { w.rows = append(w.rows, w.rows[second]) },
			flaws: Events{Duplicates: 1},
		},
		"a window of a device before an earlier one": {
			bend:  func(w *world) { w.rows[second].StoredAt = t0 + 6_000_000 },
			flaws: Events{OutOfSequence: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := windowed(4000, 4, time.Second, 0, nil)
			c.bend(w)
			v := w.check(t)
			e := v.Events
			got := Events{Missing: e.Missing, Duplicates: e.Duplicates, Unexpected: e.Unexpected, Corrupted: e.Corrupted, OutOfSequence: e.OutOfSequence}
			if got != c.flaws || v.Pass {
				t.Errorf("%+v, want %+v; pass %v", got, c.flaws, v.Pass)
			}
			if len(v.Examples) != 1 || !strings.Contains(v.Examples[0].Detail, c.detail) {
				t.Errorf("examples %+v", v.Examples)
			}
		})
	}
}

// TestWindowsInDoubt: of a window with an event in doubt only that it is there is
// judged, of one with none but such not even that.
func TestWindowsInDoubt(t *testing.T) {
	t.Parallel()
	const n = 4000
	doubt := func(w *world) {
		w.entries[4*300].Acked = false // of device 0, in its second window
		for i := 3001; i < n; i += 4 { // device 1 has a last window of these alone
			w.entries[i].Acked = false
		}
	}
	w := windowed(n, 4, time.Second, 0, doubt)
	rows := len(w.rows)
	for _, bend := range []func(w *world){
		func(*world) {},
		func(w *world) { // it did arrive
			i := slices.IndexFunc(w.rows, func(r record.Stored) bool { return string(r.DeviceID) == deviceName(0) && r.CreatedAt == t0+2_000_000 })
			w.rows[i].Fingerprint++
			w.rows = append(w.rows, windowRow(1, t0+4_000_000, 1, 750, 750, 99))
		},
	} {
		bend(w)
		v := w.check(t)
		if !v.Pass || v.Windowed.Rows != int64(rows) || v.Windowed.InDoubt != 1 || v.Windowed.Unsure != 2 || !strings.Contains(v.Notes[0], "2 of them") {
			t.Errorf("%+v %+v %+v %q", v.Events, v.Fates, v.Windowed, v.Notes)
		}
	}
}

func TestWindowsRefused(t *testing.T) {
	t.Parallel()
	w := windowed(100, 4, time.Second, 0, nil)
	w.header.Settings = map[string]string{"late": "0.1", "outOfOrder": "0"}
	if _, err := Check(context.Background(), w.input()); err == nil || !strings.Contains(err.Error(), "simulate.late is 0.1") {
		t.Errorf("the error is %v", err)
	}
	c := Defaults()
	c.Aggregate.Window, c.Aggregate.Hop = connector.Duration(time.Second), connector.Duration(2*time.Second)
	c.Aggregate.Columns = maps.Clone(c.Aggregate.Columns)
	c.Aggregate.Columns["mean"] = "average"
	c.Aggregate.Output = ""
	errs := c.Validate()
	if len(errs) != 3 {
		t.Errorf("%q", errs)
	}
}

// TestWindowedThresholds: what is asked of paced runs holds for events, and what
// is asked of windowed ones for windows.
func TestWindowedThresholds(t *testing.T) {
	t.Parallel()
	list := []Threshold{{Check: "latency.endToEnd.p99 < 1s", When: Paced}, {Check: "latency.endToEnd.p99 < 8s", When: OnWindows}}
	for name, w := range map[string]*world{"< 1s": newWorld(4000, 4), "< 8s": windowed(4000, 4, time.Second, 0, nil)} {
		v := w.check(t)
		if err := v.Judge(list, Measured{}); err != nil {
			t.Fatal(err)
		}
		last := v.Thresholds[len(v.Thresholds)-1]
		if !v.Pass || !strings.HasPrefix(last.Name, "latency") || !strings.HasPrefix(last.Expected, name[:3]) {
			t.Errorf("%s: %+v", name, last)
		}
	}
}

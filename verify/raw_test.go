package verify

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"millrace/record"
)

// rawWorld is a run into an archive: the records are real events, in four
// partitions, and the rows have the times that an archive knows.
type rawWorld struct {
	*world
	records [4][]record.Record
	// offsets are given to the records as they are read, unless kept.
	keepOffsets bool
}

func body(n, devices int) []byte {
	return fmt.Appendf(nil, `{"eventId":"%s","deviceId":"%s","deviceSequenceNumber":%d,"createdAt":"%s"}`,
		id(n), deviceName(n%devices), n/devices, record.AppendTime(nil, t0+int64(n)*gap))
}

func newRawWorld(n, devices int) *rawWorld {
	w := &rawWorld{world: newWorld(n, devices)}
	for i := range n {
		f, err := record.Fingerprint(body(i, devices))
		if err != nil {
			panic(err)
		}
		w.entries[i].Fingerprint, w.rows[i].Fingerprint = f, f
		w.rows[i].EnqueuedAt, w.rows[i].ProcessedAt = w.rows[i].EnqueuedAt/1e6*1e6, record.NoTime
		w.add(i%devices, body(i, devices))
	}
	w.in.RawScan = w.scan
	return w
}

func (w *rawWorld) add(device int, value []byte) {
	w.records[device%4] = append(w.records[device%4], record.Record{Value: value})
}

func (w *rawWorld) scan(_ context.Context, fn func(*record.Batch) error) error {
	for p := range w.records {
		if !w.keepOffsets {
			for i := range w.records[p] {
				w.records[p][i].Offset = int64(100 + i)
			}
		}
		for part := range slices.Chunk(w.records[p], 7) {
			last := part[len(part)-1].Offset + 1
			if err := fn(&record.Batch{Partition: int32(p), Records: part, Next: last, End: last}); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestRawArchive(t *testing.T) {
	t.Parallel()
	const n, devices = 400, 5
	for name, c := range map[string]struct {
		bend func(w *rawWorld)
		want func(r *Raw)
		kind Kind
		fail bool
	}{
		"nothing wrong": {bend: func(*rawWorld) {}, want: func(*Raw) {}},
		"a resend that is there": {
			bend: func(w *rawWorld) { w.resend(3, true); w.add(3, body(3, devices)) },
			want: func(r *Raw) { r.Expected++; r.Rows++; r.Matched++ },
		},
		"spelled otherwise, as a Kafka producer may": {
			bend: func(w *rawWorld) { w.records[0][0].Value = append([]byte(" "), w.records[0][0].Value...) },
			want: func(*Raw) {},
		},
		"a resend that is not there": {
			bend: func(w *rawWorld) { w.resend(3, true) },
			want: func(r *Raw) { r.Expected++; r.Missing++ },
			kind: KindRawMissing, fail: true,
		},
		"a record is missing": {
			bend: func(w *rawWorld) { w.records[2] = w.records[2][1:] },
			want: func(r *Raw) { r.Rows--; r.Matched--; r.Missing++ },
			kind: KindRawMissing, fail: true,
		},
		"a record twice": {
			bend: func(w *rawWorld) { w.add(1, body(1, devices)) },
			want: func(r *Raw) { r.Rows++; r.Surplus++ },
			kind: KindRawSurplus, fail: true,
		},
		"a record 300 times": {
			bend: func(w *rawWorld) {
				for range 299 {
					w.add(1, body(1, devices))
				}
			},
			want: func(r *Raw) { r.Rows += 299; r.Surplus += 299 },
			kind: KindRawSurplus, fail: true,
		},
		"a record twice, which a producer's resend explains": {
			bend: func(w *rawWorld) { w.add(1, body(1, devices)); w.in.Resends = 3 },
			want: func(r *Raw) { r.Rows++; r.Retried++ },
		},
		"more copies than resends explain": {
			bend: func(w *rawWorld) { w.add(1, body(1, devices)); w.add(2, body(2, devices)); w.in.Resends = 1 },
			want: func(r *Raw) { r.Rows += 2; r.Retried++; r.Surplus++ },
			kind: KindRawSurplus, fail: true,
		},
		"an unacknowledged resend that arrived": {
			bend: func(w *rawWorld) { w.resend(3, false); w.add(3, body(3, devices)) },
			want: func(r *Raw) { r.Rows++; r.InDoubt++ },
		},
		"an unacknowledged resend that did not arrive": {
			bend: func(w *rawWorld) { w.resend(3, false) },
			want: func(*Raw) {},
		},
		"an unacknowledged event that arrived": {
			bend: func(w *rawWorld) { w.entries[9].Acked = false },
			want: func(r *Raw) { r.Expected--; r.Matched--; r.InDoubt++ },
		},
		"an unacknowledged event whose resend was acknowledged, both there": {
			bend: func(w *rawWorld) { w.entries[9].Acked = false; w.resend(9, true); w.add(4, body(9, devices)) },
			want: func(r *Raw) { r.Rows++; r.InDoubt++ },
		},
		"other content": {
			bend: func(w *rawWorld) {
				w.records[1][3].Value = []byte(strings.Replace(string(w.records[1][3].Value), "device-id", "device-ID", 1))
			},
			want: func(r *Raw) { r.Altered++; r.Surplus++; r.Missing++; r.Matched-- },
			kind: KindRawSurplus, fail: true,
		},
		"an event of somebody else": {
			bend: func(w *rawWorld) { w.add(0, body(5000, devices)) },
			want: func(r *Raw) { r.Rows++; r.Unknown++; r.Surplus++ },
			kind: KindRawSurplus, fail: true,
		},
		"rubbish that nobody sent": {
			bend: func(w *rawWorld) { w.add(0, nil) },
			want: func(r *Raw) { r.Rows++; r.Unknown++; r.Surplus++ },
			kind: KindRawSurplus, fail: true,
		},
		"malformed inputs are there": {
			bend: func(w *rawWorld) {
				w.spoil("{", record.NotJSON, true, -1)
				w.spoil("{", record.NotJSON, true, -1)
				w.spoil("{}", record.MissingField, false, -1)
				w.add(0, []byte("{"))
				w.add(1, []byte("{"))
				w.add(1, []byte("{}"))
			},
			want: func(r *Raw) { r.Rows += 3; r.Expected += 2; r.Matched += 2; r.InDoubt++; r.Malformed += 3 },
		},
		"a malformed input is missing": {
			bend: func(w *rawWorld) { w.spoil("{", record.NotJSON, true, -1) },
			want: func(r *Raw) { r.Expected++; r.Missing++ },
			kind: KindRawMissing, fail: true,
		},
		"a gap": {
			bend: func(w *rawWorld) { w.keep(); w.records[3][50].Offset += 5; w.shift(3, 51, 5) },
			want: func(r *Raw) { r.Gaps++ },
			kind: KindRawGap, fail: true,
		},
		"an overlap": {
			bend: func(w *rawWorld) { w.keep(); w.shift(3, 50, -2) },
			want: func(r *Raw) { r.Overlaps += 2 },
			kind: KindRawGap, fail: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRawWorld(n, devices)
			want := Raw{Rows: n, Expected: n, Matched: n}
			c.bend(w)
			c.want(&want)
			v := w.check(t)
			wantEqual(t, "raw", *v.Raw, want)
			wantEqual(t, "pass", v.Pass, !c.fail)
			if len(v.Imbalances) > 0 {
				t.Errorf("imbalances %q", v.Imbalances)
			}
			if c.kind != "" && !slices.ContainsFunc(v.Examples, func(x Example) bool { return x.Kind == c.kind && x.Detail != "" }) {
				t.Errorf("no example of %s in %v", c.kind, v.Examples)
			}
			if c.kind == "" && len(v.Examples) > 0 {
				t.Errorf("examples %v", v.Examples)
			}
		})
	}
}

// keep gives the records the offsets that they would get, to be bent.
func (w *rawWorld) keep() {
	_ = w.scan(context.Background(), func(*record.Batch) error { return nil })
	w.keepOffsets = true
}

func (w *rawWorld) shift(partition, from int, by int64) {
	for i := from; i < len(w.records[partition]); i++ {
		w.records[partition][i].Offset += by
	}
}

// A continued simulator sends again what it was not told of.
func TestRawArchiveOfAContinuedRun(t *testing.T) {
	t.Parallel()
	w := newRawWorld(100, 4)
	for i := range 5 {
		w.add(i, body(i, 4))
	}
	in := w.input()
	ledger := in.Ledgers[0]
	in.Ledgers[0] = func(fn func(*record.Entry) error) (*record.LedgerInfo, error) {
		info, err := ledger(fn)
		if info != nil {
			info.Totals.Retried = 7
		}
		return info, err
	}
	v, err := Check(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if v.Raw.Retried != 5 || v.Raw.Surplus != 0 || v.Raw.Matched != 100 {
		t.Errorf("%+v", *v.Raw)
	}
}

// An archive knows when a file was stored and nothing else for certain: rows
// without the other times count, and only what is known is measured.
func TestTimesOfAnArchive(t *testing.T) {
	t.Parallel()
	w := newRawWorld(200, 4)
	w.rows[7].EnqueuedAt = record.NoTime
	v := w.check(t)
	l := v.Latency
	if v.Events.Untimed != 0 || l.EndToEnd.Count != 200 || l.Ingest.Count+l.Process.Count+l.Serve.Count != 0 || l.Backwards != 0 {
		t.Errorf("untimed %d, latency %+v", v.Events.Untimed, l)
	}
	w.rows[8].StoredAt = record.NoTime
	if v := w.check(t); v.Events.Untimed != 1 {
		t.Errorf("untimed %d", v.Events.Untimed)
	}
	w.in.RawScan = nil
	if v := w.check(t); v.Events.Untimed != 200 || v.Raw != nil {
		t.Errorf("untimed %d, raw %v", v.Events.Untimed, v.Raw)
	}
}

func TestRawThresholds(t *testing.T) {
	t.Parallel()
	w := newRawWorld(50, 2)
	w.records[0] = w.records[0][1:]
	v := w.check(t)
	thresholds := []Threshold{{Check: "raw.missing == 0"}, {Check: "raw.rows >= 49"}, {Check: "raw.surplus == 0"}}
	if err := v.Judge(thresholds, Measured{}); err != nil {
		t.Fatal(err)
	}
	got := map[string]Result{}
	for _, r := range v.Thresholds {
		if _, twice := got[r.Name+r.Expected]; twice {
			t.Errorf("%s is judged twice", r.Name)
		}
		got[r.Name+r.Expected] = r
	}
	if r := got["raw.missing== 0"]; r.Pass || r.Actual != "1" {
		t.Errorf("%+v", r)
	}
	if r := got["raw.rows>= 49"]; !r.Pass {
		t.Errorf("%+v", r)
	}
	// A store that is no archive has no such figures.
	v = newWorld(50, 2).check(t)
	if err := v.Judge(thresholds, Measured{}); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(v.Thresholds, func(r Result) bool { return r.Name == "raw.rows" }); i < 0 || v.Thresholds[i].Pass || v.Pass {
		t.Errorf("%+v", v.Thresholds)
	}
}

func TestRawScanFails(t *testing.T) {
	t.Parallel()
	w := newRawWorld(10, 2)
	broken := errors.New("the disk is gone")
	w.in.RawScan = func(context.Context, func(*record.Batch) error) error { return broken }
	if _, err := Check(context.Background(), w.input()); !errors.Is(err, broken) || !strings.Contains(err.Error(), "raw archive") {
		t.Errorf("%v", err)
	}
	w = newRawWorld(10, 2)
	ctx, cancel := context.WithCancel(context.Background())
	w.in.RawScan = func(_ context.Context, fn func(*record.Batch) error) error {
		cancel()
		return fn(&record.Batch{})
	}
	if _, err := Check(ctx, w.input()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// The time after the last send for which a store may still be storing is the
// solution's to say.
func TestTail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tail, late int64 // seconds; late is how much later the log took them
		held       bool
	}{{0, 0, false}, {1, 0, false}, {12, 0, true}, {12, 9, false}} {
		w := newWorld(10_000, 4)
		w.header.Rate = worldRate
		for i := range w.rows { // one window of 10 s and a little
			w.rows[i].StoredAt = t0 + 20*1e6
			w.rows[i].EnqueuedAt += c.late * 1e6
		}
		w.in.Tail = micros(c.tail * 1e6)
		v := w.check(t)
		if got := v.Throughput.StoredPerSecond >= 0.99*worldRate; got != c.held {
			t.Errorf("a tail of %d s, taken %d s late: %.0f/s", c.tail, c.late, v.Throughput.StoredPerSecond)
		}
	}
	c := Defaults()
	if errs := c.Validate(); len(errs) > 0 || c.Tail.D() != defaultTail {
		t.Errorf("%v %v", c.Tail, errs)
	}
	c.Tail = -1
	if errs := c.Validate(); len(errs) != 1 {
		t.Errorf("%v", errs)
	}
}

// What is counted per event is the same whatever order the partitions are in.
func TestRawCountsDoNotDependOnOrder(t *testing.T) {
	t.Parallel()
	w := newRawWorld(300, 8)
	w.resend(5, true)
	w.add(1, body(5, 8))
	w.add(2, body(6, 8))
	a := w.check(t)
	w.records[0], w.records[3] = w.records[3], w.records[0]
	b := w.check(t)
	if !reflect.DeepEqual(a.Raw, b.Raw) {
		t.Errorf("%+v and %+v", a.Raw, b.Raw)
	}
}

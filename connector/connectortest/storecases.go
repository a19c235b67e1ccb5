package connectortest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

func testStoreRoundTrip(t *testing.T, s *storeSuite) {
	const head = `{"eventId":"%s","deviceId":%s,"deviceSequenceNumber":%d,"createdAt":"%s"%s}`
	created := "2026-01-02T15:04:05.123456Z"
	var results []record.Result
	for i, c := range []struct{ device, created, rest string }{
		{`"d"`, created, ``},
		{`"d"`, created, `,"value":12.5,"type":"TEMP","complexData":{"a":1.5}`},
		{`"d"`, created, `,"value":-0.0,"type":""`},
		{`"d"`, created, `,"value":0`},
		{`"d"`, created, `,"value":1e308,"complexData":{}`},
		{`"d"`, created, `,"value":5e-324,"complexData":{"a":{"b":[1,2,{"c":null}]},"d":"\u00e9\"\\\n"}`},
		{`"d"`, created, `,"value":0.1,"complexData":{"n":123456789012345678901234567890}`},
		{`"дēvice ✓ 😀"`, created, `,"type":"ТИП"`},
		{`"quote\" back\\slash \u0041 tab\t"`, created, `,"type":"a\"b\\c\u00e9"`},
		{`"it's; DROP TABLE events; --"`, created, `,"type":"%s $1 ?"`},
		{`"d"`, created, `,"extra":"mine","a":[1,2,3],"nested":{"x":{"y":"z"}},"nothing":null,"yes":true`},
		{`"d"`, created, `,"big":98765432109876543210,"neg":-0,"unicode":"✓\ud83d\ude00"`},
		{`"d"`, "2026-01-02T15:04:05+02:00", `,"value":3.5`},
		{`"d"`, "2026-01-02T15:04:05.123456789Z", ``},
		{`"d"`, "1969-07-20T20:17:40.000001Z", ``},
		{`"d"`, "0001-01-01T00:00:00.000000Z", ``},
		{`"d"`, "9999-12-31T23:59:59.999999Z", ``},
		{`"d"`, created, `,"partitionId":"theirs","logOffset":"theirs","storedAt":"theirs","extra":{"extra":1}`},
	} {
		id := record.ID{0: 0xff, 6: 0x40, 8: 0x80, 15: byte(i)}
		json := fmt.Sprintf(head, id, c.device, int64(i)<<40, c.created, c.rest)
		results = append(results, s.result(json, 2, int64(i)*1_000_000_007))
	}
	last := &results[len(results)-1]
	st := s.worker()
	s.claim(st, "w", 2)
	r := s.write(st, &connector.Write{Results: results, Advances: []connector.Advance{{Partition: 2, From: 0, To: last.Offset + 1}}})
	if r.Stored != len(results) || r.StoredAt == 0 || r.Bytes == 0 {
		t.Errorf("receipt %+v for %d results", r, len(results))
	}
	s.same(st, results)
}

func testStoreWriteAgain(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 0)
	u := s.unit(0, 0, 100)
	s.write(st, u)
	// As after a connection that was lost with the answer.
	if r := s.write(st, u); s.features.MergesByID && r.Stored != 100 {
		t.Errorf("the answer of the first try was %d stored, of the second %d", 100, r.Stored)
	}
	s.same(st, u.Results)
	next := s.unit(0, 100, 110)
	s.write(st, next)
	s.same(st, append(u.Results, next.Results...))
	// What the positions have left behind is not a repetition.
	s.fenced(st, u, 0)
}

func testStoreDuplicates(t *testing.T, s *storeSuite) {
	if !s.features.MergesByID {
		t.Skip("the store does not look for eventIds")
	}
	st := s.worker()
	s.claim(st, "w", 0, 1)
	first := s.unit(0, 0, 10)
	// Inside a write: the same events again, from later positions.
	for o := int64(0); o < 4; o++ {
		first.Results = append(first.Results, s.event(first.Results[o].ID, 0, 10+o))
	}
	first.Advances[0].To = 14
	if r := s.write(st, first); r.Stored != 10 || r.Duplicates != 4 {
		t.Errorf("10 new events and 4 repetitions: %+v", r)
	}
	// Across writes and, unless every partition is merged for itself,
	// across partitions.
	p, from := int32(1), int64(0)
	if s.features.MergesByPartition {
		p, from = 0, 14
	}
	second := &connector.Write{Advances: []connector.Advance{{Partition: p, From: from, To: from + 6}}}
	for o := int64(0); o < 6; o++ {
		id := s.plain(1, o).ID
		if o%2 == 0 {
			id = first.Results[o].ID
		}
		second.Results = append(second.Results, s.event(id, p, from+o))
	}
	if r := s.write(st, second); r.Stored != 3 || r.Duplicates != 3 {
		t.Errorf("3 new events and 3 repetitions: %+v", r)
	}
	want := append([]record.Result{}, first.Results[:10]...)
	want = append(want, second.Results[1], second.Results[3], second.Results[5])
	s.same(st, want)
	if got := s.claim(st, "w", 0, 1); got[p] != from+6 || p != 0 && got[0] != 14 {
		t.Errorf("positions %v, want %d of partition %d", got, from+6, p)
	}
}

func testStorePositions(t *testing.T, s *storeSuite) {
	st := s.worker()
	if p := s.claim(st, "w", 0, 1, 7); p[0] != connector.Unknown || p[1] != connector.Unknown || p[7] != connector.Unknown {
		t.Errorf("positions of a new store: %v", p)
	}
	// A partition of which nothing is known may start anywhere.
	u := s.unit(7, 500, 510)
	s.write(st, u)
	if p := s.claim(st, "w", 0, 7); p[0] != connector.Unknown || p[7] != 510 {
		t.Errorf("positions %v, want unknown and 510", p)
	}
	// With a wrong start neither results nor position are written.
	s.fenced(st, s.unit(7, 512, 520), 7)
	s.fenced(st, s.unit(7, 505, 520), 7)
	s.same(st, u.Results)
	if p := s.claim(st, "w", 7); p[7] != 510 {
		t.Errorf("position %v after writes that were refused, want 510", p)
	}
}

func testStoreFencing(t *testing.T, s *storeSuite) {
	old, new := s.worker(), s.worker()
	s.claim(old, "old", 0, 1)
	u := s.unit(0, 0, 10)
	s.write(old, u)
	if p := s.claim(new, "new", 0); p[0] != 10 {
		t.Errorf("the new owner starts at %d, want 10", p[0])
	}
	s.fenced(old, s.unit(0, 10, 20), 0)
	s.fenced(old, &connector.Write{Advances: []connector.Advance{{Partition: 0, From: 10, To: 20}}}, 0)
	s.same(old, u.Results)
	// What it still owns it can write, and the new one can write the other.
	v, w := s.unit(1, 0, 5), s.unit(0, 10, 15)
	s.write(old, v)
	s.write(new, w)
	s.same(new, append(append(u.Results, v.Results...), w.Results...))
}

func testStoreFencedInPart(t *testing.T, s *storeSuite) {
	old, new := s.worker(), s.worker()
	s.claim(old, "old", 0, 1, 2)
	s.claim(new, "new", 1)
	both := &connector.Write{Results: append(s.run(0, 0, 5), s.run(1, 0, 5)...),
		Advances: []connector.Advance{{Partition: 0, From: 0, To: 5}, {Partition: 1, From: 0, To: 5}}}
	s.fenced(old, both, 1)
	s.same(old, nil)
	u := s.unit(0, 0, 5)
	s.write(old, u)
	s.same(old, u.Results)
}

func testStoreClaimRace(t *testing.T, s *storeSuite) {
	const workers = 6
	stores := make([]connector.Store, workers)
	for i := range stores {
		stores[i] = s.worker()
	}
	var wg sync.WaitGroup
	for i, st := range stores {
		wg.Go(func() {
			for {
				_, err := st.Claim(s.ctx, fmt.Sprint("w", i), []int32{3, 1, 2})
				if err == nil {
					return
				}
				if connector.ActionOf(err) != connector.Retry {
					t.Errorf("Claim: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	owners := 0
	for _, st := range stores {
		w := &connector.Write{Results: s.run(2, 0, 3), Advances: []connector.Advance{
			{Partition: 1, From: 0, To: 1}, {Partition: 2, From: 0, To: 3}, {Partition: 3, From: 0, To: 1}}}
		_, err := st.Write(s.ctx, w)
		switch {
		case err == nil:
			owners++
		case connector.ActionOf(err) != connector.Fenced:
			t.Errorf("Write: %v", err)
		}
	}
	if owners != 1 {
		t.Errorf("%d of %d workers own the partitions", owners, workers)
	}
	s.same(stores[0], s.run(2, 0, 3))
}

func testStorePrepareRace(t *testing.T, s *storeSuite) {
	var wg sync.WaitGroup
	for range 6 {
		st := s.open(t)
		wg.Go(func() {
			if err := st.Prepare(s.ctx); err != nil {
				t.Errorf("Prepare: %v", err)
			}
			if err := st.Prepare(s.ctx); err != nil {
				t.Errorf("Prepare again: %v", err)
			}
			if err := st.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	wg.Wait()
}

func testStoreDisjointWriters(t *testing.T, s *storeSuite) {
	st := s.worker()
	writers := int32(max(2, st.Traits().Writers))
	var want []record.Result
	for p := range writers {
		s.claim(st, "w", p)
		want = append(want, s.run(p, 0, 200)...)
	}
	turns := make(chan struct{}, st.Traits().Writers)
	var wg sync.WaitGroup
	for p := range writers {
		wg.Go(func() {
			for o := int64(0); o < 200; o += 20 {
				turns <- struct{}{}
				if _, err := writeOn(s.ctx, st, s.unit(p, o, o+20)); err != nil {
					t.Errorf("Write: %v", err)
				}
				<-turns
			}
		})
	}
	wg.Wait()
	s.same(st, want)
}

// writeOn writes, repeating while the store asks for it.
func writeOn(ctx context.Context, st connector.Store, w *connector.Write) (connector.Receipt, error) {
	for {
		r, err := st.Write(ctx, w)
		if connector.ActionOf(err) != connector.Retry || err == nil {
			return r, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

func testStoreAdvancesOnly(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 0, 1)
	s.write(st, &connector.Write{Advances: []connector.Advance{{Partition: 0, From: 0, To: 50}, {Partition: 1, From: 3, To: 4}}})
	s.write(st, &connector.Write{Advances: []connector.Advance{{Partition: 0, From: 50, To: 60}}})
	if r := s.write(st, &connector.Write{}); r.Stored != 0 || r.Duplicates != 0 {
		t.Errorf("a write of nothing: %+v", r)
	}
	if p := s.claim(st, "w", 0, 1); p[0] != 60 || p[1] != 4 {
		t.Errorf("positions %v, want 60 and 4", p)
	}
	s.same(st, nil)
}

// testRejectedInPart writes a unit with results that the store will never
// accept: it names them, and takes the others without them. stored, if not nil,
// looks at the store in between.
func testRejectedInPart(s *storeSuite, st connector.Store, stored func()) {
	s.Helper()
	s.claim(st, "w", 0)
	u := s.unit(0, 0, 60)
	bad := []int{0, 17, 18, 59}
	for _, i := range bad {
		id := u.Results[i].ID
		u.Results[i] = s.result(s.features.Unacceptable, 0, int64(i))
		u.Results[i].ID = id
	}
	_, err := st.Write(s.ctx, u)
	var e *connector.Error
	if !errors.As(err, &e) || e.Action != connector.Reject || fmt.Sprint(e.Items) != fmt.Sprint(bad) {
		s.Fatalf("Write: %v, want items %v rejected", err, bad)
	}
	if stored != nil {
		stored()
	}
	var rest []record.Result
	for i := range u.Results {
		if i != bad[0] && i != bad[1] && i != bad[2] && i != bad[3] {
			rest = append(rest, u.Results[i])
		}
	}
	u.Results = rest
	s.write(st, u)
	s.same(st, rest)
}

func testStoreRejected(t *testing.T, s *storeSuite) {
	st := s.worker()
	testRejectedInPart(s, st, func() { s.same(st, nil) })
	// One alone.
	single := &connector.Write{Results: []record.Result{s.result(s.features.Unacceptable, 0, 60)},
		Advances: []connector.Advance{{Partition: 0, From: 60, To: 61}}}
	var e *connector.Error
	if _, err := st.Write(s.ctx, single); !errors.As(err, &e) || e.Action != connector.Reject || len(e.Items) != 1 {
		t.Errorf("Write: %v, want its item rejected", err)
	}
}

func testStoreReopen(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 4)
	u := s.unit(4, 0, 2500)
	s.write(st, u)
	s.close(st)
	again := s.worker()
	s.same(again, u.Results)
	if p := s.claim(again, "w", 4); p[4] != 2500 {
		t.Errorf("position %v after reopening, want 2500", p)
	}
}

func testStoreCancelled(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 0)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	u := s.unit(0, 0, 10)
	if _, err := st.Write(ctx, u); !errors.Is(err, context.Canceled) {
		t.Errorf("Write with a context that is done: %v", err)
	}
	if _, err := st.Claim(ctx, "w", []int32{0}); !errors.Is(err, context.Canceled) {
		t.Errorf("Claim with a context that is done: %v", err)
	}
	if err := st.Scan(ctx, func(*record.Stored) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan with a context that is done: %v", err)
	}
	s.same(st, nil)
	s.write(st, u)
	s.same(st, u.Results)
}

// testStoreCancelledMidway cancels writes at random moments and repeats them:
// each happens once.
func testStoreCancelledMidway(t *testing.T, s *storeSuite) {
	rnd := newRand(t)
	st := s.worker()
	s.claim(st, "w", 0)
	var want []record.Result
	for i := range int64(15) {
		u := s.unit(0, i*300, (i+1)*300)
		want = append(want, u.Results...)
		ctx, cancel := context.WithTimeout(s.ctx, time.Duration(rnd.IntN(12_000))*time.Microsecond)
		_, err := st.Write(ctx, u)
		cancel()
		if err == nil {
			continue
		}
		if a := connector.ActionOf(err); a == connector.Fenced || a == connector.Reject {
			t.Fatalf("Write that ran out of time: %v", err)
		}
		if _, err := writeOn(s.ctx, st, u); err != nil {
			t.Fatalf("Write again: %v", err)
		}
	}
	s.same(st, want)
}

func testStoreScanStops(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 0)
	s.write(st, s.unit(0, 0, 5000))
	stop := errors.New("enough")
	n := 0
	err := st.Scan(s.ctx, func(*record.Stored) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 3 {
		t.Errorf("Scan went on to %d after its callback failed: %v", n, err)
	}
}

func testStoreQuery(t *testing.T, s *storeSuite) {
	if s.features.Count == "" {
		t.Skip("the store has no query language")
	}
	st := s.worker()
	s.claim(st, "w", 0)
	s.write(st, s.unit(0, 0, 42))
	rows, err := st.Query(s.ctx, s.features.Count)
	if err != nil {
		t.Fatalf("Query: %v", err)
	}
	if len(rows.Columns()) != 1 {
		t.Errorf("columns %v", rows.Columns())
	}
	row, err := rows.Next(s.ctx)
	if err != nil || len(row) != 1 || row[0] != int64(42) {
		t.Errorf("counted %v (%v), want 42", row, err)
	}
	if _, err := rows.Next(s.ctx); !errors.Is(err, io.EOF) {
		t.Errorf("after the last row: %v, want io.EOF", err)
	}
	if err := rows.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if rows, err := st.Query(s.ctx, "this is no query"); err == nil {
		t.Errorf("nonsense is answered with %v", rows.Columns())
	}
}

func testStoreDrop(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 0)
	s.write(st, s.unit(0, 0, 10))
	for range 2 {
		if err := st.Drop(s.ctx); err != nil {
			t.Fatalf("Drop: %v", err)
		}
	}
	if err := st.Prepare(s.ctx); err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	s.same(st, nil)
	if p := s.claim(st, "w", 0); p[0] != connector.Unknown {
		t.Errorf("a dropped store remembers position %d", p[0])
	}
}

// testStoreTimed writes results that follow from time passing: they lie at the
// position that the partition has reached, which does not move, and what comes
// later at that position goes on counting.
func testStoreTimed(t *testing.T, s *storeSuite) {
	st := s.worker()
	if !st.Traits().Timed {
		return // it is never given such results
	}
	s.claim(st, "w", 0)
	u := s.unit(0, 0, 10)
	s.write(st, u)
	timed := func(from, to int32) *connector.Write {
		w := &connector.Write{Advances: []connector.Advance{{Partition: 0, From: 10, To: 10}}}
		for i := from; i < to; i++ {
			r := s.event(record.ID{0: 0xee, 6: 0x40, 8: 0x80, 15: byte(i)}, 0, 10)
			r.Index = i
			w.Results = append(w.Results, r)
		}
		return w
	}
	first, second := timed(0, 3), timed(3, 5)
	s.write(st, first)
	s.write(st, second)
	s.write(st, second) // as after a connection that was lost with the answer
	if p := s.claim(st, "w", 0); p[0] != 10 {
		t.Errorf("position %d after results that move nothing, want 10", p[0])
	}
	// The next owner repeats what it cannot know to be there, and goes on.
	again := s.worker()
	s.claim(again, "again", 0)
	s.fenced(st, timed(5, 6), 0)
	rest := timed(0, 6)
	last := s.event(record.ID{0: 0xee, 6: 0x40, 8: 0x80, 14: 1}, 0, 10)
	last.Index = 6
	rest.Results, rest.Advances[0].To = append(rest.Results, last), 11
	s.write(again, rest)
	want := make(map[record.ID]int64)
	for _, r := range append(u.Results, rest.Results...) {
		want[r.ID] = r.Offset
	}
	err := again.Scan(s.ctx, func(r *record.Stored) error {
		if offset, ok := want[r.ID]; !ok || offset != r.Offset {
			return fmt.Errorf("result %s of position %d is unknown, at another position, or stored twice", r.ID, r.Offset)
		}
		delete(want, r.ID)
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("%d results are missing; %v", len(want), err)
	}
}

func testStoreTraits(t *testing.T, s *storeSuite) {
	st := s.worker()
	tr := st.Traits()
	if tr.Kind != connector.Transactional && tr.Kind != connector.AppendOnce || tr.Writers < 1 || tr.MaxRows < 1 {
		t.Errorf("traits %+v", tr)
	}
	if st.Describe() == "" {
		t.Error("the store has no description")
	}
}

func testStoreUnclaimed(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 0)
	s.fenced(st, s.unit(1, 0, 5), 1)
	s.same(st, nil)
}

package connectortest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// RunIdempotentStore checks that a store which keeps no positions and makes
// retries harmless by the events' ids keeps the contract of connector.Store:
// whatever is written again, by whomever, each eventId is served once, as one
// of the results that were written for it.
func RunIdempotentStore(t *testing.T, features StoreFeatures, factory StoreFactory) {
	runStore(t, features, factory, map[string]storeCase{
		"RoundTrip":       testStoreRoundTrip,
		"WriteAgain":      testIdempotentWriteAgain,
		"Duplicates":      testIdempotentDuplicates,
		"NoPositions":     testIdempotentNoPositions,
		"PrepareRace":     testStorePrepareRace,
		"DisjointWriters": testStoreDisjointWriters,
		"SameWriters":     testIdempotentSameWriters,
		"Rejected":        testIdempotentRejected,
		"Reopen":          testIdempotentReopen,
		"Cancelled":       testStoreCancelled,
		"CancelledMidway": testStoreCancelledMidway,
		"ScanStops":       testStoreScanStops,
		"Query":           testStoreQuery,
		"Drop":            testStoreDrop,
		"Traits":          testIdempotentTraits,
		"RandomizedRetry": testIdempotentRandom,
	})
}

// served demands that the store has each eventId of written once, as one of the
// results that were written for it.
func (s *storeSuite) served(st connector.Store, written []record.Result) {
	s.Helper()
	want := make(map[record.ID][]*record.Result)
	for i := range written {
		want[written[i].ID] = append(want[written[i].ID], &written[i])
	}
	seen := make(map[record.ID]bool, len(want))
	err := st.Scan(s.ctx, func(g *record.Stored) error {
		if seen[g.ID] {
			return fmt.Errorf("event %s is served twice", g.ID)
		}
		seen[g.ID] = true
		for _, w := range want[g.ID] {
			if w.Partition == g.Partition && w.Offset == g.Offset {
				return sameEvent(g, w)
			}
		}
		return fmt.Errorf("event %s is served as of partition %d offset %d, which was not written", g.ID, g.Partition, g.Offset)
	})
	if err != nil {
		s.Fatalf("Scan: %v", err)
	}
	if len(seen) != len(want) {
		s.Errorf("%d events are served, want %d", len(seen), len(want))
	}
}

// sameEvent compares what is served with a result that was written.
func sameEvent(g *record.Stored, w *record.Result) error {
	fp, err := record.Fingerprint(w.Raw)
	if err != nil {
		return err
	}
	if string(g.DeviceID) != string(w.DeviceID) || g.Sequence != w.Sequence || g.CreatedAt != w.CreatedAt ||
		g.EnqueuedAt != w.EnqueuedAt || g.ProcessedAt != w.ProcessedAt || g.Fingerprint != fp || g.StoredAt <= 0 {
		return fmt.Errorf("stored %+v\nof %+v", *g, *w)
	}
	return nil
}

func testIdempotentWriteAgain(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 0)
	u := s.unit(0, 0, 100)
	if r := s.write(st, u); r.Stored != 100 || r.Duplicates != 0 {
		t.Errorf("100 new events: %+v", r)
	}
	// As after a lost answer, and as after a restart from a committed
	// position in the middle.
	if r := s.write(st, u); r.Stored != 0 || r.Duplicates != 100 {
		t.Errorf("100 events written again: %+v", r)
	}
	if r := s.write(st, s.unit(0, 50, 150)); r.Stored != 50 || r.Duplicates != 50 {
		t.Errorf("50 events written again and 50 new ones: %+v", r)
	}
	s.same(st, s.run(0, 0, 150))
}

func testIdempotentDuplicates(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 0)
	// Inside a write: the same events again, from later positions.
	first := s.unit(0, 0, 10)
	for o := int64(0); o < 4; o++ {
		again := s.plain(0, o)
		again.Offset, again.EnqueuedAt, again.ProcessedAt = 10+o, again.EnqueuedAt+10_000, again.ProcessedAt+10_000
		first.Results = append(first.Results, again)
	}
	first.Advances[0].To = 14
	if r := s.write(st, first); r.Stored != 10 || r.Duplicates != 4 {
		t.Errorf("10 new events and 4 repetitions: %+v", r)
	}
	s.served(st, first.Results)
	// Across writes.
	second := &connector.Write{Advances: []connector.Advance{{Partition: 0, From: 14, To: 20}}}
	for o := int64(0); o < 6; o++ {
		again := s.plain(0, o+7)
		again.Offset = 14 + o
		second.Results = append(second.Results, again)
	}
	if r := s.write(st, second); r.Stored != 3 || r.Duplicates != 3 {
		t.Errorf("3 new events and 3 repetitions: %+v", r)
	}
	s.served(st, append(first.Results, second.Results...))
}

func testIdempotentNoPositions(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 0, 1)
	s.write(st, s.unit(0, 500, 510))
	for p, at := range s.claim(st, "w", 0, 1, 7) {
		if at != connector.Unknown {
			t.Errorf("partition %d is at %d, where nothing is kept", p, at)
		}
	}
	if r := s.write(st, &connector.Write{}); r.Stored != 0 || r.Duplicates != 0 {
		t.Errorf("a write of nothing: %+v", r)
	}
	if r := s.write(st, &connector.Write{Advances: []connector.Advance{{Partition: 1, From: 0, To: 50}}}); r.Stored != 0 {
		t.Errorf("a write of an advance: %+v", r)
	}
	s.same(st, s.run(0, 500, 510))
}

// testIdempotentSameWriters lets several workers write the same events at the
// same time, as a worker does that does not know yet that it lost a partition.
func testIdempotentSameWriters(t *testing.T, s *storeSuite) {
	const workers = 3
	var wg sync.WaitGroup
	for range workers {
		st := s.worker()
		wg.Go(func() {
			for o := int64(0); o < 300; o += 60 {
				if _, err := writeOn(s.ctx, st, s.unit(0, o, o+100)); err != nil {
					t.Errorf("Write: %v", err)
				}
			}
		})
	}
	wg.Wait()
	s.same(s.worker(), s.run(0, 0, 340))
}

func testIdempotentRejected(_ *testing.T, s *storeSuite) { testRejectedInPart(s, s.worker(), nil) }

func testIdempotentReopen(t *testing.T, s *storeSuite) {
	st := s.worker()
	s.claim(st, "w", 4)
	u := s.unit(4, 0, 2500)
	s.write(st, u)
	s.close(st)
	s.same(s.worker(), u.Results)
}

func testIdempotentTraits(t *testing.T, s *storeSuite) {
	st := s.worker()
	tr := st.Traits()
	if tr.Kind != connector.Idempotent || tr.Writers < 1 || tr.MaxRows < 1 {
		t.Errorf("traits %+v", tr)
	}
	if st.Describe() == "" {
		t.Error("the store has no description")
	}
}

// testIdempotentRandom walks at random through writes, cancellations, restarts
// from an earlier position, and workers that go on after others took over. What
// is committed only grows, and everything before it must be served once.
func testIdempotentRandom(t *testing.T, s *storeSuite) {
	w := &idempotentWalk{storeSuite: s, rnd: newRand(t), store: s.worker()}
	for range 60 {
		switch n := w.rnd.IntN(20); {
		case n < 13:
			w.write()
		case n < 16:
			w.restart()
		case n < 18:
			w.former = w.store
			w.store = w.worker()
		default:
			w.formerWrites()
		}
		if t.Failed() {
			return
		}
	}
	s.served(w.store, w.log)
}

// idempotentWalk is a store and the log that it is fed from.
type idempotentWalk struct {
	*storeSuite
	rnd           *rand.Rand
	store, former connector.Store
	log           []record.Result // of partition 0, by offset
	committed     int64
}

// unitAt makes a Write of a stretch of the log, which grows as needed. One
// event in ten is one that was there before.
func (w *idempotentWalk) unitAt(from, to int64) *connector.Write {
	for o := int64(len(w.log)); o < to; o++ {
		r := w.plain(0, o)
		if o > 0 && w.rnd.IntN(10) == 0 {
			r = w.log[w.rnd.Int64N(o)]
			r.Offset, r.EnqueuedAt, r.ProcessedAt = o, 1_750_000_000_000_000+o*1000, 1_750_000_000_012_345+o*1000
		}
		w.log = append(w.log, r)
	}
	return &connector.Write{Results: w.log[from:to], Advances: []connector.Advance{{Partition: 0, From: from, To: to}}}
}

// write goes on from what is committed, sometimes with too little time for it;
// it commits if it has succeeded.
func (w *idempotentWalk) write() {
	u := w.unitAt(w.committed, w.committed+1+w.rnd.Int64N(120))
	ctx, cancel := w.ctx, context.CancelFunc(func() {})
	if w.rnd.IntN(4) == 0 {
		ctx, cancel = context.WithTimeout(w.ctx, time.Duration(w.rnd.IntN(8000))*time.Microsecond)
	}
	_, err := w.store.Write(ctx, u)
	cancel()
	if err != nil {
		if a := connector.ActionOf(err); a == connector.Fenced || a == connector.Reject || ctx == w.ctx && a != connector.Retry {
			w.Fatalf("Write: %v", err)
		}
		if _, err := writeOn(w.ctx, w.store, u); err != nil {
			w.Fatalf("Write again: %v", err)
		}
	}
	w.committed = u.Advances[0].To
}

// restart goes back to a position before the last writes, as a worker does
// that was killed before it committed.
func (w *idempotentWalk) restart() {
	if w.rnd.IntN(2) == 0 && w.store != w.former {
		w.close(w.store)
	}
	w.store = w.worker()
	w.claim(w.store, "walker", 0)
	w.committed -= w.rnd.Int64N(min(w.committed, 200) + 1)
	w.unitAt(0, int64(len(w.log))) // the log stays as it was
	if behind := int64(len(w.log)) - w.committed; behind > 0 {
		if _, err := writeOn(w.ctx, w.store, w.unitAt(w.committed, int64(len(w.log)))); err != nil {
			w.Fatalf("Write: %v", err)
		}
		w.committed = int64(len(w.log))
	}
}

// formerWrites lets a worker write that lost its partition long ago.
func (w *idempotentWalk) formerWrites() {
	if w.former == nil || len(w.log) == 0 {
		return
	}
	from := w.rnd.Int64N(int64(len(w.log)))
	if _, err := writeOn(w.ctx, w.former, w.unitAt(from, min(from+50, int64(len(w.log))))); err != nil {
		w.Fatalf("the former owner writes: %v", err)
	}
}

// RunLossyStore checks what of the contract of an idempotent store holds when
// its service loses answers: events that were stored without an answer count as
// there already, so nothing is asked of how many are new.
func RunLossyStore(t *testing.T, features StoreFeatures, factory StoreFactory) {
	runStore(t, features, factory, map[string]storeCase{
		"RoundTrip":       testLossyRoundTrip,
		"DisjointWriters": testStoreDisjointWriters,
		"SameWriters":     testIdempotentSameWriters,
		"CancelledMidway": testStoreCancelledMidway,
		"RandomizedRetry": testIdempotentRandom,
	})
}

func testLossyRoundTrip(t *testing.T, s *storeSuite) {
	st := s.worker()
	u := s.unit(0, 0, 1000)
	r, err := writeOn(s.ctx, st, u)
	if err != nil || r.Stored+r.Duplicates != len(u.Results) {
		t.Fatalf("Write: %+v, %v", r, err)
	}
	s.same(st, u.Results)
}

package connectortest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// testStoreRandom walks at random through writes, repetitions, cancellations,
// restarts and take-overs, and compares the store with a model of it: every
// write happens as a whole or not at all, and once.
func testStoreRandom(t *testing.T, s *storeSuite) {
	w := &walk{storeSuite: s, rnd: newRand(t), stored: map[record.ID]bool{}, positions: map[int32]int64{}}
	for p := range int32(3) {
		w.positions[p] = connector.Unknown
	}
	w.restart()
	for range 60 {
		switch n := w.rnd.IntN(20); {
		case n < 13:
			w.write()
		case n < 16:
			w.repeat()
		case n < 18:
			w.restart()
		default:
			w.takeOver()
		}
		if t.Failed() {
			return
		}
	}
	s.same(w.store, w.want)
}

// walk is a store and the model of what must be in it.
type walk struct {
	*storeSuite
	rnd   *rand.Rand
	store connector.Store
	// last is the last write that happened, nil if it may not be repeated.
	last      *connector.Write
	want      []record.Result
	stored    map[record.ID]bool
	positions map[int32]int64
}

// id is mostly a new one, sometimes that of an event that was there before: of
// any partition, or of the given one if the store merges by partition.
func (w *walk) id(p int32) record.ID {
	if w.features.MergesByID && len(w.want) > 0 && w.rnd.IntN(10) == 0 {
		if r := &w.want[w.rnd.IntN(len(w.want))]; r.Partition == p || !w.features.MergesByPartition {
			return r.ID
		}
	}
	var id record.ID
	binary.BigEndian.PutUint64(id[:], w.rnd.Uint64())
	binary.BigEndian.PutUint64(id[8:], w.rnd.Uint64())
	return id
}

// next makes a write that goes on from the model's positions.
func (w *walk) next() *connector.Write {
	u := &connector.Write{}
	for p, from := range w.positions {
		if w.rnd.IntN(3) == 0 {
			continue
		}
		a := connector.Advance{Partition: p, From: max(from, 0)}
		a.To = a.From + 1 + w.rnd.Int64N(40)
		for o := a.From; o < a.To; o++ {
			if w.rnd.IntN(8) > 0 { // some inputs have no result
				u.Results = append(u.Results, w.event(w.id(p), p, o))
			}
		}
		u.Advances = append(u.Advances, a)
	}
	return u
}

// happened brings the model forward by a write.
func (w *walk) happened(u *connector.Write) {
	for i := range u.Results {
		if r := &u.Results[i]; !w.stored[r.ID] {
			w.stored[r.ID] = true
			w.want = append(w.want, *r)
		}
	}
	for _, a := range u.Advances {
		w.positions[a.Partition] = a.To
	}
	if len(u.Advances) > 0 {
		w.last = u
	}
}

// write writes, sometimes with too little time for it. Then it is repeated,
// or the worker dies and the next one finds out from the positions.
func (w *walk) write() {
	u := w.next()
	ctx, cancel := w.ctx, context.CancelFunc(func() {})
	if w.rnd.IntN(4) == 0 {
		ctx, cancel = context.WithTimeout(w.ctx, time.Duration(w.rnd.IntN(8000))*time.Microsecond)
	}
	_, err := w.store.Write(ctx, u)
	cancel()
	switch {
	case err == nil:
		w.happened(u)
	case ctx == w.ctx && connector.ActionOf(err) != connector.Retry:
		w.Fatalf("Write: %v", err)
	case w.rnd.IntN(2) == 0:
		if _, err := writeOn(w.ctx, w.store, u); err != nil {
			w.Fatalf("Write again: %v", err)
		}
		w.happened(u)
	default:
		w.reopen()
		got := w.claimAll()
		w.happened(w.part(u, got))
		w.last = nil
		w.compare(got)
	}
}

// part is what happened of a write whose worker died: all of it or nothing,
// for each partition where the store decides so, else for all of them.
func (w *walk) part(u *connector.Write, got map[int32]int64) *connector.Write {
	did := &connector.Write{}
	for i, a := range u.Advances {
		if !w.features.DecidesByPartition {
			a = u.Advances[0]
		}
		if got[a.Partition] != a.To {
			continue
		}
		a = u.Advances[i]
		did.Advances = append(did.Advances, a)
		for _, r := range u.Results {
			if r.Partition == a.Partition {
				did.Results = append(did.Results, r)
			}
		}
	}
	return did
}

// repeat repeats the last write, as after an answer that got lost.
func (w *walk) repeat() {
	if w.last == nil {
		return
	}
	if _, err := writeOn(w.ctx, w.store, w.last); err != nil {
		w.Fatalf("repeating a write: %v", err)
	}
}

// restart opens the store as a new worker that claims everything.
func (w *walk) restart() {
	w.reopen()
	w.compare(w.claimAll())
	w.last = nil
}

func (w *walk) reopen() {
	if w.store != nil && w.rnd.IntN(2) == 0 {
		w.close(w.store)
	}
	w.store = w.worker()
}

func (w *walk) claimAll() map[int32]int64 { return w.claim(w.store, "walker", 0, 1, 2) }

func (w *walk) compare(got map[int32]int64) {
	w.Helper()
	for p, want := range w.positions {
		if got[p] != want {
			w.Fatalf("partition %d is at %d, want %d", p, got[p], want)
		}
	}
}

// takeOver lets another worker claim while this one goes on.
func (w *walk) takeOver() {
	old := w.store
	w.store = w.worker()
	w.compare(w.claimAll())
	w.last = nil
	u := w.next()
	if len(u.Advances) == 0 {
		return
	}
	if _, err := old.Write(w.ctx, u); connector.ActionOf(err) != connector.Fenced || err == nil {
		w.Fatalf("the former owner writes: %v, want Fenced", err)
	}
}

// newRand returns a source of random numbers whose seed is in the test's log.
func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

package connectortest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// StoreFactory makes an empty store and returns how to open it. Each call of
// open is another worker on the same store; the suite closes what it opens.
type StoreFactory func(t testing.TB) (open func(t testing.TB) connector.Store)

// StoreFeatures says what a store can do beyond the contract, and so what the
// suite asks of it.
type StoreFeatures struct {
	// MergesByID: an eventId that is in the store already is not stored
	// again, whatever position it comes from.
	MergesByID bool
	// MergesByPartition: MergesByID, but an eventId is only looked for among
	// the rows of its own partition, where every repetition of an event is.
	MergesByPartition bool
	// DecidesByPartition: if a worker dies in the middle of a Write over
	// several partitions, it may have happened for some of them. Results
	// and position of one partition still happen together.
	DecidesByPartition bool
	// Count is a query, in the store's own language, for one row with one
	// number: how many events there are. Empty if there is no such language.
	Count string
	// Unacceptable is a JSON event that can be decoded but that the store
	// will never accept. Empty if there is none.
	Unacceptable string
}

// RunStore checks that a store which keeps positions keeps the contract of
// connector.Store.
func RunStore(t *testing.T, features StoreFeatures, factory StoreFactory) {
	runStore(t, features, factory, map[string]storeCase{
		"RoundTrip":        testStoreRoundTrip,
		"WriteAgain":       testStoreWriteAgain,
		"Duplicates":       testStoreDuplicates,
		"Positions":        testStorePositions,
		"Fencing":          testStoreFencing,
		"FencedInPart":     testStoreFencedInPart,
		"ClaimRace":        testStoreClaimRace,
		"PrepareRace":      testStorePrepareRace,
		"DisjointWriters":  testStoreDisjointWriters,
		"AdvancesOnly":     testStoreAdvancesOnly,
		"Rejected":         testStoreRejected,
		"Reopen":           testStoreReopen,
		"Cancelled":        testStoreCancelled,
		"CancelledMidway":  testStoreCancelledMidway,
		"ScanStops":        testStoreScanStops,
		"Query":            testStoreQuery,
		"Drop":             testStoreDrop,
		"Traits":           testStoreTraits,
		"RandomizedRetry":  testStoreRandom,
		"UnclaimedIsFence": testStoreUnclaimed,
		"Timed":            testStoreTimed,
	})
}

// storeCase is one test of a suite.
type storeCase func(*testing.T, *storeSuite)

// runStore runs the cases, each on a store of its own.
func runStore(t *testing.T, features StoreFeatures, factory StoreFactory, cases map[string]storeCase) {
	if features.Unacceptable == "" {
		delete(cases, "Rejected") // the store accepts every event
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &storeSuite{T: t, ctx: testContext(t), features: features, open: factory(t)}
			t.Cleanup(s.closeAll)
			test(t, s)
		})
	}
}

// storeSuite is one test's store.
type storeSuite struct {
	*testing.T
	ctx      context.Context
	features StoreFeatures
	open     func(t testing.TB) connector.Store
	opened   []connector.Store
}

// worker opens and prepares the store.
func (s *storeSuite) worker() connector.Store {
	s.Helper()
	st := s.open(s.T)
	s.opened = append(s.opened, st)
	if err := st.Prepare(s.ctx); err != nil {
		s.Fatalf("Prepare: %v", err)
	}
	return st
}

// close closes a store before the test's end.
func (s *storeSuite) close(st connector.Store) {
	s.Helper()
	s.opened = slices.DeleteFunc(s.opened, func(o connector.Store) bool { return o == st })
	if err := st.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
}

func (s *storeSuite) closeAll() {
	for len(s.opened) > 0 {
		s.close(s.opened[0])
	}
}

func (s *storeSuite) claim(st connector.Store, worker string, partitions ...int32) map[int32]int64 {
	s.Helper()
	got, err := st.Claim(s.ctx, worker, partitions)
	if err != nil {
		s.Fatalf("Claim(%s, %v): %v", worker, partitions, err)
	}
	if len(got) != len(partitions) {
		s.Fatalf("Claim(%v) answered for %v", partitions, got)
	}
	return got
}

// write writes and demands success.
func (s *storeSuite) write(st connector.Store, w *connector.Write) connector.Receipt {
	s.Helper()
	r, err := st.Write(s.ctx, w)
	if err != nil {
		s.Fatalf("Write: %v", err)
	}
	if len(w.Results) > 0 && r.Stored+r.Duplicates != len(w.Results) {
		s.Fatalf("Write of %d results: %d stored and %d duplicates", len(w.Results), r.Stored, r.Duplicates)
	}
	return r
}

// fenced demands that a write is refused for the partitions.
func (s *storeSuite) fenced(st connector.Store, w *connector.Write, partitions ...int32) {
	s.Helper()
	_, err := st.Write(s.ctx, w)
	var e *connector.Error
	if !errors.As(err, &e) || e.Action != connector.Fenced {
		s.Fatalf("Write: %v, want Fenced", err)
	}
	if fmt.Sprint(e.Partitions) != fmt.Sprint(partitions) {
		s.Fatalf("Write is fenced off %v, want %v", e.Partitions, partitions)
	}
}

// at is the place of a result in the log.
type at struct {
	partition int32
	offset    int64
}

// scan reads everything back, and fails on a position that is there twice.
func (s *storeSuite) scan(st connector.Store) map[at]record.Stored {
	s.Helper()
	got := make(map[at]record.Stored)
	err := st.Scan(s.ctx, func(r *record.Stored) error {
		k := at{r.Partition, r.Offset}
		if _, twice := got[k]; twice {
			return fmt.Errorf("position %v is stored twice", k)
		}
		c := *r
		c.DeviceID = append([]byte(nil), r.DeviceID...)
		got[k] = c
		return nil
	})
	if err != nil {
		s.Fatalf("Scan: %v", err)
	}
	return got
}

// same demands that exactly the results are in the store, every field of them.
func (s *storeSuite) same(st connector.Store, want []record.Result) {
	s.Helper()
	got := s.scan(st)
	if len(got) != len(want) {
		s.Errorf("%d events are stored, want %d", len(got), len(want))
	}
	now := time.Now().UnixMicro()
	for i := range want {
		w := &want[i]
		g, ok := got[at{w.Partition, w.Offset}]
		if !ok {
			s.Errorf("partition %d offset %d (%s) is missing", w.Partition, w.Offset, w.Raw)
			continue
		}
		fp, err := record.Fingerprint(w.Raw)
		if err != nil {
			s.Fatal(err)
		}
		if g.ID != w.ID || string(g.DeviceID) != string(w.DeviceID) || g.Sequence != w.Sequence || g.CreatedAt != w.CreatedAt ||
			g.EnqueuedAt != w.EnqueuedAt || g.ProcessedAt != w.ProcessedAt {
			s.Errorf("stored %+v\nof %+v", g, *w)
		}
		if g.Fingerprint != fp {
			s.Errorf("another fingerprint is served for %s", w.Raw)
		}
		if g.StoredAt <= 0 || g.StoredAt > now+int64(time.Minute/time.Microsecond) {
			s.Errorf("storedAt is %d at %d", g.StoredAt, now)
		}
	}
}

// result makes a result of a JSON event.
func (s *storeSuite) result(json string, partition int32, offset int64) record.Result {
	s.Helper()
	r := record.Result{Partition: partition, Offset: offset}
	if err := r.Decode([]byte(json)); err != nil {
		s.Fatalf("the event %s: %v", json, err)
	}
	r.EnqueuedAt = 1_750_000_000_000_000 + offset*1000
	r.ProcessedAt = r.EnqueuedAt + 12_345
	return r
}

// plain makes a result with an event of the usual form.
func (s *storeSuite) plain(partition int32, offset int64) record.Result {
	s.Helper()
	return s.event(record.ID{0: 1, 3: byte(partition), 8: byte(offset >> 32), 12: byte(offset >> 24),
		13: byte(offset >> 16), 14: byte(offset >> 8), 15: byte(offset)}, partition, offset)
}

func (s *storeSuite) event(id record.ID, partition int32, offset int64) record.Result {
	s.Helper()
	return s.result(fmt.Sprintf(`{"eventId":%q,"complexData":{"moreData0":%d.25,"moreData1":2e-3},"value":%d.5,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":"TEMP","createdAt":"2026-01-02T03:04:05.%06dZ"}`,
		id, offset, offset%90+10, partition, offset, offset%1_000_000), partition, offset)
}

// run makes the results of a stretch of one partition.
func (s *storeSuite) run(partition int32, from, to int64) []record.Result {
	s.Helper()
	var out []record.Result
	for o := from; o < to; o++ {
		out = append(out, s.plain(partition, o))
	}
	return out
}

// unit makes a Write of a stretch of one partition.
func (s *storeSuite) unit(partition int32, from, to int64) *connector.Write {
	s.Helper()
	return &connector.Write{Results: s.run(partition, from, to),
		Advances: []connector.Advance{{Partition: partition, From: from, To: to}}}
}

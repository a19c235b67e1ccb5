// Package verify is stage 5: the judge. It compares the ledger of what was
// sent with what the store serves and with the dead letters, gives every event
// exactly one fate, measures rates and latencies, and evaluates thresholds.
//
// It shares no code with the simulator: what an event is and how the ledger is
// read it knows from package record alone.
package verify

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"millrace/record"
)

const (
	defaultWarmup = 5 * time.Second
	defaultTail   = time.Second
	minInterval   = 100 * time.Millisecond
	// progressEvery is how many items lie between two looks at the context
	// and two calls of Input.Progress.
	progressEvery = 1 << 14
)

// LedgerSource reads a ledger once, in the order in which events were sent,
// one simulator instance after the other.
type LedgerSource func(fn func(*record.Entry) error) (*record.LedgerInfo, error)

// LedgerDir is the ledger in a folder.
func LedgerDir(dir string) LedgerSource {
	return func(fn func(*record.Entry) error) (*record.LedgerInfo, error) {
		return record.ReadLedger(dir, fn)
	}
}

// Input is what is to be judged. Nothing in it is used concurrently.
type Input struct {
	// Ledgers are those of all simulator instances; no device is in two.
	Ledgers []LedgerSource
	// Scan reads the store back, in any order (connector.Store.Scan).
	Scan func(ctx context.Context, fn func(*record.Stored) error) error
	// DeadLetters reads them back (connector.DeadLetters.Scan); nil if the
	// solution has none, so that malformed inputs count as absent.
	DeadLetters func(ctx context.Context, fn func(*record.DeadLetter) error) error
	// RawScan reads every record of a raw archive, which keeps what the log
	// has, copies and malformed inputs included: batches of one partition
	// in the order of their offsets. Nil if the store is none. With it,
	// malformed inputs belong into the archive, and need not be in the
	// dead letters; rows have no processedAt and a rough enqueuedAt, so
	// that only the latency end to end is measured.
	RawScan func(ctx context.Context, fn func(*record.Batch) error) error
	// LastWins says that the store replaces an event by a copy that comes
	// later. The times of such a row are the copy's, and nobody knows when
	// that was due: latency is then measured on the events sent once.
	LastWins bool
	// Resends is how many messages producers sent again because the first
	// try got no answer: they explain as many surplus copies in a raw
	// archive.
	Resends int64
	// DroppedByPolicy is how many events the solution says it dropped by a
	// stated rule.
	DroppedByPolicy int64
	// Interval, Warmup and Tail: see Config. A Tail of 0 is the default.
	Interval, Warmup, Tail time.Duration
	// Aggregate, if it has a window, says that rows are windows of events.
	Aggregate Aggregate
	// Progress, if set, is called now and then with what is being done and
	// how far it is; total is 0 where it is not known.
	Progress func(phase string, done, total int64)
}

// judge is one verdict in the making.
type judge struct {
	in        Input
	verdict   Verdict
	events    columns
	malformed malformed
	resent    []resent
	raw       *rawCounts
	files     []record.LedgerFile
	examples  examples
	series    *series
	// windows are what the rows sum up, by their number, and rowWriter makes
	// rows of it; nil if rows are events.
	windows   []sums
	rowWriter *rowWriter
	stages    *stages

	firstSent, lastSent, lastEnqueued, lastStored int64
	earliest, latest                              int64 // plausible times
	ackedEntries                                  int64
}

// Check compares ledger and store. The verdict it returns has no thresholds
// yet; see Verdict.Judge. It needs about 65 bytes of memory per distinct event,
// whatever the size of the payload (66 with a raw archive), and reads ledger,
// store, raw archive and dead letters once each. It fails if one of them cannot be read, if the ledger contradicts
// itself, or if ctx ends.
func Check(ctx context.Context, in Input) (*Verdict, error) {
	if len(in.Ledgers) == 0 || in.Scan == nil {
		return nil, errors.New("verify: nothing to compare: a ledger and a store are needed")
	}
	defer tightenGC()()
	if in.Warmup < 0 {
		in.Warmup = 0
	}
	if in.Tail <= 0 {
		in.Tail = defaultTail
	}
	j := &judge{in: in, stages: newStages()}
	if in.RawScan != nil {
		j.raw = &rawCounts{sends: make(map[uint32]sends), malformed: make(map[uint64]int64), next: make(map[int32]int64)}
	}
	if err := j.readLedgers(ctx); err != nil {
		return nil, err
	}
	if err := j.readRows(ctx); err != nil {
		return nil, err
	}
	if err := j.readRaw(ctx); err != nil {
		return nil, err
	}
	if err := j.readDeadLetters(ctx); err != nil {
		return nil, err
	}
	j.fates()
	j.outOfSequence()
	j.throughput()
	j.balance()
	j.verdict.Examples = j.examples.kept
	return &j.verdict, nil
}

func (j *judge) progress(phase string, done, total int64) {
	if j.in.Progress != nil {
		j.in.Progress(phase, done, total)
	}
}

// readLedgers takes the ledgers in and counts what was sent.
func (j *judge) readLedgers(ctx context.Context) error {
	for n, source := range j.in.Ledgers {
		if err := j.readLedger(ctx, source); err != nil {
			return fmt.Errorf("reading ledger %d of %d: %w", n+1, len(j.in.Ledgers), err)
		}
	}
	if err := j.allInstances(); err != nil {
		return err
	}
	if a, b, clash := j.events.build(); clash {
		x, y := j.exampleOf("", a), j.exampleOf("", b)
		return fmt.Errorf("the ledger names event %s twice as new: as number %d of %s and as number %d of %s",
			x.EventID, x.Sequence, x.Device, y.Sequence, y.Device)
	}
	if err := j.matchResent(); err != nil {
		return err
	}
	return j.aggregate()
}

// gcUsers counts the checks under way, as the collector's setting is global.
var gcUsers struct {
	sync.Mutex
	n, before int
}

// tightenGC makes the garbage collector run when the heap has grown by a fifth
// instead of doubled, which costs little: nearly all of the heap is columns
// without pointers. It first gives back what earlier stages left. The function
// it returns ends the setting.
func tightenGC() func() {
	gcUsers.Lock()
	defer gcUsers.Unlock()
	if gcUsers.n++; gcUsers.n == 1 {
		gcUsers.before = debug.SetGCPercent(20)
		debug.FreeOSMemory()
	}
	return func() {
		gcUsers.Lock()
		defer gcUsers.Unlock()
		if gcUsers.n--; gcUsers.n == 0 {
			debug.SetGCPercent(gcUsers.before)
		}
	}
}

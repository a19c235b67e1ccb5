package verify

import (
	"time"

	"millrace/record"
)

// Verdict is what became of every event that was sent.
type Verdict struct {
	Events      Events
	Fates       Fates
	DeadLetters DeadLetters
	// Raw is about the raw archive; nil if there is none.
	Raw *Raw
	// Windowed is about rows that are windows of events (Input.Aggregate);
	// nil if they are events. Fates, and the rows among Events, then count
	// windows.
	Windowed   *Windowed
	Throughput Throughput
	Latency    Latency
	// Imbalances are the sums that do not add up, one sentence each: a
	// mistake of the judge, of the ledger or of a counter given to it. None
	// of the other figures is to be trusted then.
	Imbalances []string
	// Examples are up to MaxExamples flawed events of each kind, to be
	// looked up in the log and in the store.
	Examples []Example
	// Continued says that the run was interrupted and continued: rates and
	// latencies then include the interruption.
	Continued bool
	// Thresholds, Notes and Pass are set by Judge. Notes say what was not
	// judged, and why, a sentence each.
	Thresholds []Result
	Notes      []string
	Pass       bool
}

// Events counts events and rows.
type Events struct {
	// Offered is the number of messages that the schedule asked for, Sent
	// those that the log acknowledged, Unsent the others: never handed to
	// the log, or in doubt. All include resends and malformed inputs.
	Offered, Unsent, Sent int64
	// Unique is the number of distinct well-formed events of which at least
	// one copy was acknowledged.
	Unique int64
	// InDoubt is the number of distinct well-formed events that were handed
	// to the log and never acknowledged; each may be served once or not at
	// all. InDoubtServed is how many of them were served.
	InDoubt, InDoubtServed int64
	// Retried is the number of events in doubt that a continued simulator
	// sent again.
	Retried int64
	// InjectedDuplicates is the number of acknowledged resends.
	InjectedDuplicates int64
	// Malformed is the number of malformed inputs that reached the log: the
	// acknowledged ones, and those in doubt that are in the dead letters or
	// in the raw archive.
	Malformed int64
	// LateSent is the number of events that the sender held back on purpose.
	LateSent int64
	// Stored is the number of rows read back from the store.
	Stored int64
	// Missing is the number of acknowledged events with no row, no dead
	// letter and no policy that explains it.
	Missing int64
	// Duplicates is the number of rows beyond the first of each event.
	Duplicates int64
	// Unexpected is the number of rows whose eventId nobody sent.
	Unexpected int64
	// Corrupted is the number of rows whose content, device, sequence number
	// or creation time is not what was sent.
	Corrupted int64
	// OutOfSequence is the number of events that were stored, or appended to
	// the log, before an event of the same device that was sent earlier.
	OutOfSequence int64
	// Untimed is the number of rows without plausible enqueuedAt,
	// processedAt and storedAt; they are in no rate and no latency.
	Untimed int64
	// DeadLettered is the number of distinct (partition, offset) in the dead
	// letters.
	DeadLettered int64
	// DroppedByPolicy is the number of events that the solution says it
	// dropped by a stated rule.
	DroppedByPolicy int64
}

// Fates gives each distinct well-formed event exactly one fate.
type Fates struct {
	ServedOnce int64
	ServedMany int64
	// DeadLettered events were not served but are in the dead letters.
	DeadLettered    int64
	DroppedByPolicy int64
	// Lost events were acknowledged and are nowhere.
	Lost int64
	// NotArrived events were never acknowledged and are nowhere, as may be.
	NotArrived int64
}

// Sum is the number of distinct events that have a fate.
func (f Fates) Sum() int64 {
	return f.ServedOnce + f.ServedMany + f.DeadLettered + f.DroppedByPolicy + f.Lost + f.NotArrived
}

// DeadLetters compares the dead letters with the malformed inputs that were
// sent. Each distinct dead letter is in exactly one of Matched, WrongReason,
// WellFormed, Unknown and Repeated.
type DeadLetters struct {
	// Matched were sent malformed and are here with the reason they were
	// made for.
	Matched int64
	// WrongReason were sent malformed and are here with another reason.
	WrongReason int64
	// WellFormed are events that should have been served.
	WellFormed int64
	// Unknown was sent by nobody.
	Unknown int64
	// Repeated are malformed inputs that are here more often than they were
	// sent.
	Repeated int64
	// Missing is the number of malformed inputs that were acknowledged and
	// are not here. (Not a part of the distinct ones, of course.)
	Missing int64
	// ByReason counts the distinct dead letters.
	ByReason map[record.Reason]int64
}

// Distinct is the number of distinct dead letters.
func (d DeadLetters) Distinct() int64 {
	return d.Matched + d.WrongReason + d.WellFormed + d.Unknown + d.Repeated
}

// Throughput is how fast events were sent and stored.
type Throughput struct {
	// Rate is the offered rate in events per second as the ledger has it; 0
	// if the schedule has none (as fast as the log takes it, ramps, bursts).
	Rate float64
	// Interval is the length of the intervals and Warmup the time after the
	// first send that is left out of the rates, as they were used.
	Interval, Warmup time.Duration
	// FirstSent, LastSent, LastStored are microseconds since the epoch.
	FirstSent, LastSent, LastStored int64
	// SentPerSecond is over the whole time of sending.
	SentPerSecond float64
	// StoredPerSecond is over the whole run after the warm-up, until the
	// last row.
	StoredPerSecond float64
	// MinPerSecond is the rate of the slowest interval that lies entirely
	// between the warm-up and the end of sending (of storing, if unpaced);
	// StoredPerSecond if there is none.
	MinPerSecond float64
	// Intervals is the whole run, warm-up included.
	Intervals []Interval
}

// Interval is one interval of the run.
type Interval struct {
	// At is its beginning in microseconds since the epoch.
	At int64
	// In counts the rows by enqueuedAt, Out by storedAt.
	In, Out int64
	// P50 and P99 are of the end-to-end latency of the rows stored in it;
	// meaningless if Out is 0.
	P50, P99 time.Duration
	// Warm says that it lies after the warm-up.
	Warm bool
}

// Latency is the time that events took, per stage.
type Latency struct {
	// EndToEnd is storedAt - createdAt; Ingest enqueuedAt - createdAt;
	// Process processedAt - enqueuedAt; Serve storedAt - processedAt. Of an
	// event that its sender held back on purpose, EndToEnd and Ingest start
	// when it was due to be sent.
	EndToEnd, Ingest, Process, Serve Percentiles
	// Backwards counts stage times below minus one millisecond, which is
	// more than the clock's granularity explains: the clocks of the
	// machines differ.
	Backwards int64
}

// Percentiles of one stage. Count is 0 if nothing was measured.
type Percentiles struct {
	Count                          int64
	Mean, P50, P95, P99, P999, Max time.Duration
}

// MaxExamples bounds the examples kept of each kind.
const MaxExamples = 10

// Kind says what is wrong with an example.
type Kind string

// The kinds of examples.
const (
	KindMissing      Kind = "missing"
	KindDuplicate    Kind = "duplicate"
	KindUnexpected   Kind = "unexpected"
	KindCorrupted    Kind = "corrupted"
	KindSequence     Kind = "out-of-sequence"
	KindUntimed      Kind = "untimed"
	KindLetterAbsent Kind = "dead-letter-missing"
	KindLetterGood   Kind = "dead-letter-well-formed"
	KindLetterReason Kind = "dead-letter-wrong-reason"
	KindLetterAlien  Kind = "dead-letter-unknown"
	KindLetterAgain  Kind = "dead-letter-repeated"
	KindRawMissing   Kind = "raw-missing"
	KindRawSurplus   Kind = "raw-surplus"
	KindRawGap       Kind = "raw-gap"
)

// Example is one flawed event.
type Example struct {
	Kind Kind
	// EventID is empty where there is none (malformed inputs).
	EventID string
	Device  string
	// Sequence, Partition and Offset are -1 where they are not known.
	Sequence  int64
	Partition int32
	Offset    int64
	// Detail is one sentence.
	Detail string
}

// examples keeps the first few of each kind.
type examples struct {
	kept  []Example
	count map[Kind]int
}

// wants says whether another example of the kind would be kept; asking first
// spares the cost of making the sentence.
func (e *examples) wants(k Kind) bool { return e.count[k] < MaxExamples }

func (e *examples) add(x Example) {
	if !e.wants(x.Kind) {
		return
	}
	if e.count == nil {
		e.count = make(map[Kind]int)
	}
	e.count[x.Kind]++
	e.kept = append(e.kept, x)
}

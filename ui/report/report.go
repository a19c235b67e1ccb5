// Package report is what remains of a run: one JSON object with its figures
// and its verdict, and the ways to show it - a summary and a table for a
// terminal, and one self-contained HTML page.
package report

import (
	"time"

	"millrace/record"
	"millrace/verify"
)

// Schema names the format of the report. Fields are added to it, never renamed
// or removed; report.schema.json describes it.
const Schema = "millrace.report/1"

// Report is a run and its verdict. It holds no secrets.
type Report struct {
	Schema   string `json:"schema"`
	Solution string `json:"solution"`
	// Title is the solution's name for people.
	Title string `json:"title,omitempty"`
	// Run is the run's own name, Seed what its content follows from.
	Run  string `json:"run,omitempty"`
	Seed uint64 `json:"seed,string,omitempty"`
	// Scale is the known scale that was run, in thousands of events per
	// second; 0 if none.
	Scale int `json:"scale,omitempty"`
	// Engine, Ingest and Serve describe what did the work: "embedded (for
	// databricks)", "kafka 127.0.0.1:9092 topic telemetry". Layout is how
	// the store lays out rows; Partitions those of the log.
	Engine     string `json:"engine"`
	Ingest     string `json:"ingest"`
	Serve      string `json:"serve"`
	Layout     string `json:"layout,omitempty"`
	Partitions int    `json:"partitions,omitempty"`

	Started     time.Time `json:"started"`
	WallSeconds float64   `json:"wallSeconds"`
	Machine     Machine   `json:"machine"`

	Events      Events      `json:"events"`
	Fates       Fates       `json:"fates"`
	DeadLetters DeadLetters `json:"deadLetters"`
	// DuplicatesHandled says where copies of events were taken out; nil if
	// that is not known, as nothing was processed here.
	DuplicatesHandled *Handled `json:"duplicatesHandled,omitempty"`
	// Raw is about the raw archive; nil if the store is none.
	Raw        *Raw       `json:"raw,omitempty"`
	Throughput Throughput `json:"throughput"`
	LatencyMs  Latency    `json:"latencyMs"`
	Resources  Resources  `json:"resources"`
	// Limits are what the log's configured sizes allow, StoreLimits the
	// store's; nil if nothing limits.
	Limits      *Limits `json:"limits,omitempty"`
	StoreLimits *Limits `json:"storeLimits,omitempty"`

	// Configuration is the whole configuration as YAML, with a comment on
	// each line saying where the value came from; secrets are ***.
	Configuration string `json:"configuration,omitempty"`
	// Imbalances are sums that do not add up.
	Imbalances []string `json:"imbalances,omitempty"`
	// Examples are some of the flawed events, to be looked up.
	Examples   []Example   `json:"examples,omitempty"`
	Thresholds []Threshold `json:"thresholds"`
	// Notes say what was not judged, and why; they are in Reason, too.
	Notes []string `json:"notes,omitempty"`
	// Hints say what to change so that a run like this would do better.
	Hints []string `json:"hints,omitempty"`
	// Failure is why the run itself failed; empty if it did not.
	Failure string `json:"failure,omitempty"`
	// Verified says that ledger and store were compared. If not, Events and
	// Throughput are what the stages counted themselves.
	Verified bool `json:"verified"`
	// Pass says that the run did not fail, was verified and missed no
	// threshold. It is false for a run that was not verified, though such a
	// run is no failure and ends with exit code 0.
	Pass bool `json:"pass"`
	// Reason is the verdict in words.
	Reason string `json:"reason"`
}

// Machine is where the run took place.
type Machine struct {
	CPUs        int    `json:"cpus"`
	Model       string `json:"model,omitempty"`
	MemoryBytes int64  `json:"memoryBytes,omitempty"`
	OS          string `json:"os,omitempty"`
	Go          string `json:"go"`
	Commit      string `json:"commit"`
}

// Events counts events; see verify.Events for what each figure means.
type Events struct {
	Offered            int64 `json:"offered"`
	Unsent             int64 `json:"unsent"`
	Sent               int64 `json:"sent"`
	Unique             int64 `json:"unique"`
	InDoubt            int64 `json:"inDoubt"`
	InDoubtServed      int64 `json:"inDoubtServed"`
	Retried            int64 `json:"retried"`
	InjectedDuplicates int64 `json:"injectedDuplicates"`
	Malformed          int64 `json:"malformed"`
	LateSent           int64 `json:"lateSent"`
	Stored             int64 `json:"stored"`
	Missing            int64 `json:"missing"`
	Duplicates         int64 `json:"duplicates"`
	Unexpected         int64 `json:"unexpected"`
	Corrupted          int64 `json:"corrupted"`
	OutOfSequence      int64 `json:"outOfSequence"`
	Untimed            int64 `json:"untimed"`
	DeadLettered       int64 `json:"deadLettered"`
	DroppedByPolicy    int64 `json:"droppedByPolicy"`
}

// Fates gives each distinct well-formed event one fate; see verify.Fates.
type Fates struct {
	ServedOnce      int64 `json:"servedOnce"`
	ServedMany      int64 `json:"servedMany"`
	DeadLettered    int64 `json:"deadLettered"`
	DroppedByPolicy int64 `json:"droppedByPolicy"`
	Lost            int64 `json:"lost"`
	NotArrived      int64 `json:"notArrived"`
}

// DeadLetters compares them with what was sent malformed; see
// verify.DeadLetters.
type DeadLetters struct {
	Matched     int64                   `json:"matched"`
	WrongReason int64                   `json:"wrongReason"`
	WellFormed  int64                   `json:"wellFormed"`
	Unknown     int64                   `json:"unknown"`
	Repeated    int64                   `json:"repeated"`
	Missing     int64                   `json:"missing"`
	ByReason    map[record.Reason]int64 `json:"byReason,omitempty"`
}

// Handled counts the copies of events where they were taken out, as this process
// saw it: a restart that reads the log again meets events again, too.
type Handled struct {
	// Process were dropped by the processor, as their event had been
	// processed. Store are results that the store had already and did not
	// store again: an upsert, an insert if absent. View are records of a raw
	// archive that its view leaves out.
	Process int64 `json:"process"`
	Store   int64 `json:"store"`
	View    int64 `json:"view"`
}

// Raw compares a raw archive with what was sent; see verify.Raw.
type Raw struct {
	Rows      int64 `json:"rows"`
	Expected  int64 `json:"expected"`
	Matched   int64 `json:"matched"`
	Missing   int64 `json:"missing"`
	InDoubt   int64 `json:"inDoubt"`
	Retried   int64 `json:"retried"`
	Surplus   int64 `json:"surplus"`
	Altered   int64 `json:"altered"`
	Unknown   int64 `json:"unknown"`
	Malformed int64 `json:"malformed"`
	Gaps      int64 `json:"gaps"`
	Overlaps  int64 `json:"overlaps"`
}

// Throughput is how fast events were sent and stored; see verify.Throughput.
type Throughput struct {
	// RatePerSecond is the offered rate, 0 if unpaced.
	RatePerSecond   float64    `json:"ratePerSecond"`
	SentPerSecond   float64    `json:"sentPerSecond"`
	StoredPerSecond float64    `json:"storedPerSecond"`
	MinPerSecond    float64    `json:"minPerSecond"`
	WarmupSeconds   float64    `json:"warmupSeconds"`
	IntervalSeconds float64    `json:"intervalSeconds"`
	PerInterval     []Interval `json:"perInterval"`
}

// Interval is one interval of the run.
type Interval struct {
	// At is its beginning.
	At time.Time `json:"at"`
	// Seconds is how much of it the run lasted: all of it, but less for the
	// last one.
	Seconds float64 `json:"seconds"`
	// In is the number of messages that the log took, Out the rows stored
	// (by their storedAt, if verified).
	In  int64 `json:"in"`
	Out int64 `json:"out"`
	// Processed entries were read and decoded.
	Processed int64 `json:"processed"`
	Throttled int64 `json:"throttled"`
	// Backlog is the number of log entries not yet stored at the end of the
	// interval; -1 if it is not known.
	Backlog int64 `json:"backlog"`
	// Waiting events were due and not acknowledged by the log at the end of
	// the interval.
	Waiting int64 `json:"waiting"`
	// BytesIn were acknowledged by the log, BytesOut given to the store; -1
	// if it is not known.
	BytesIn  int64 `json:"bytesIn"`
	BytesOut int64 `json:"bytesOut"`
	// P50Ms and P99Ms are of the end-to-end latency of the rows stored in
	// the interval; 0 if there are none.
	P50Ms float64 `json:"p50Ms"`
	P99Ms float64 `json:"p99Ms"`
	// Warm says that the interval lies after the warm-up.
	Warm bool `json:"warm"`
}

// Latency in milliseconds; see verify.Latency. Commit is how long after its
// storedAt a row was committed, which no row can say of itself; Watermark how far
// the engine's watermarks were behind the clock, for engines that have some.
type Latency struct {
	EndToEnd  Percentiles  `json:"endToEnd"`
	Ingest    Percentiles  `json:"ingest"`
	Process   Percentiles  `json:"process"`
	Serve     Percentiles  `json:"serve"`
	Commit    *Percentiles `json:"commit,omitempty"`
	Watermark *Percentiles `json:"watermark,omitempty"`
	Backwards int64        `json:"backwards"`
}

// Percentiles in milliseconds.
type Percentiles struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Resources is what the run took.
type Resources struct {
	CPUSeconds                 float64 `json:"cpuSeconds"`
	CPUSecondsPerMillionEvents float64 `json:"cpuSecondsPerMillionEvents"`
	PeakRSSBytes               int64   `json:"peakRSSBytes"`
	// StateBytes is the most memory that the engine's state took, roughly.
	StateBytes int64 `json:"stateBytes,omitempty"`
	// Retries are writes tried again, Throttled requests refused for their
	// rate, ThrottledByStore those of them that the store refused.
	Retries          int64 `json:"retries"`
	Throttled        int64 `json:"throttled"`
	ThrottledByStore int64 `json:"throttledByStore,omitempty"`
	// RequestUnits are what the store charged, where it has such a thing, in
	// total and for each event that is new in the store;
	// RequestUnitsPerSecond is what the offered rate takes, 0 if unpaced.
	RequestUnits          float64 `json:"requestUnits,omitempty"`
	RequestUnitsPerEvent  float64 `json:"requestUnitsPerEvent,omitempty"`
	RequestUnitsPerSecond float64 `json:"requestUnitsPerSecond,omitempty"`
}

// Limits are what the configured sizes allow per second; 0 is no limit.
type Limits struct {
	MessagesInPerSecond  float64 `json:"messagesInPerSecond"`
	MessagesOutPerSecond float64 `json:"messagesOutPerSecond"`
	BytesInPerSecond     float64 `json:"bytesInPerSecond"`
	BytesOutPerSecond    float64 `json:"bytesOutPerSecond"`
	// Units is how many of the service's units that is, 0 if it has none;
	// Unit is what one is called, Setting where the number is set.
	Units   int    `json:"units,omitempty"`
	Unit    string `json:"unit,omitempty"`
	Setting string `json:"setting,omitempty"`
	// Step is what the setting must be a multiple of; 0 is 1.
	Step int `json:"step,omitempty"`
}

// Example is one flawed event.
type Example struct {
	Kind verify.Kind `json:"kind"`
	// EventID and Device are empty, Sequence, Partition and Offset -1 where
	// they are not known.
	EventID   string `json:"eventId,omitempty"`
	Device    string `json:"device,omitempty"`
	Sequence  int64  `json:"sequence"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Detail    string `json:"detail"`
}

// Threshold is a threshold and what came of it.
type Threshold struct {
	Name     string `json:"name"`
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
	Pass     bool   `json:"pass"`
}

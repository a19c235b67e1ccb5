package timing

import (
	"fmt"

	"millrace/process/streamanalytics/value"
)

// Defaults and limits of the policies. The service's interface takes a late
// tolerance of up to 20 days, 23:59:59; what is written of it in prose is 20
// days.
const (
	DefaultLate       = 5 * TicksPerSecond
	DefaultOutOfOrder = 0 * TicksPerSecond
	MaxLate           = 21*TicksPerDay - TicksPerSecond
	// Early is how far an event's time may be ahead of its arrival. It cannot
	// be changed: the rule where a job starts to read rests on it.
	Early = 5 * TicksPerMinute
)

// Mode says what happens to events that are late or out of order.
type Mode uint8

// The modes. Early events are dropped in both.
const (
	// Adjust moves the event's time to the earliest one that is allowed.
	Adjust Mode = iota
	// Drop leaves the event out.
	Drop
)

// String returns the mode as it is written on a command line.
func (m Mode) String() string {
	if m == Drop {
		return "drop"
	}
	return "adjust"
}

// ParseMode reads "adjust" or "drop".
func ParseMode(s string) (Mode, error) {
	switch s {
	case "adjust":
		return Adjust, nil
	case "drop":
		return Drop, nil
	}
	return Adjust, fmt.Errorf("%q is not a policy for late events; use adjust or drop", s)
}

// Policy is how a stream takes the time of its events. The zero value is
// arrival time.
type Policy struct {
	// Late is how far an event's time may be behind its arrival, and how long
	// a silent partition holds the others back. In ticks.
	Late int64
	// OutOfOrder is how far an event's time may be behind the latest one of
	// its timeline. Output is delayed by as much. In ticks.
	OutOfOrder int64
	// Mode holds for late and for out-of-order events.
	Mode Mode
	// Applies says that the query has TIMESTAMP BY. Without it the arrival
	// time is the event's time, and of the above only Late counts, for silent
	// partitions.
	Applies bool
	// Replay takes events as old as they are: there is no late policy, and
	// time moves by events alone. Idle does nothing, so a partition that ended
	// must be finished, or it holds the others back.
	Replay bool
	// NoArrival says that the input has no arrival times. The arrival time is
	// then the event's time: nothing is late or early, and as such times go
	// back and forth, they say nothing about what can still come. Time moves
	// by events alone, as with Replay.
	NoArrival bool
}

// Validate says what is wrong with the policy.
func (p Policy) Validate() error {
	switch {
	case p.Late < 0:
		return fmt.Errorf("the late arrival tolerance is negative")
	case p.Late > MaxLate:
		return fmt.Errorf("a late arrival tolerance of %s is longer than the allowed %s; a replay takes events of any age", span(p.Late), span(MaxLate))
	case p.OutOfOrder < 0:
		return fmt.Errorf("the out-of-order tolerance is negative")
	case p.Mode > Drop:
		return fmt.Errorf("mode %d is neither adjust nor drop", p.Mode)
	}
	return nil
}

// floors tells whether arrival times bound the times that can still come.
func (p Policy) floors() bool { return !p.Applies || !p.Replay && !p.NoArrival }

func span(ticks int64) string { return value.ToGoDuration(ticks).String() }

// Outcome is what became of an event.
type Outcome uint8

// The outcomes. Only Kept and Adjusted events are emitted.
const (
	Kept Outcome = iota
	// Adjusted events have another time than they came with.
	Adjusted
	DroppedLate
	DroppedEarly
	DroppedOutOfOrder
)

// Dropped tells whether the event was left out.
func (o Outcome) Dropped() bool { return o >= DroppedLate }

// String says in words what became of the event, as a dead letter has it.
func (o Outcome) String() string {
	switch o {
	case Adjusted:
		return "time adjusted"
	case DroppedLate:
		return "dropped: later than the late arrival tolerance"
	case DroppedEarly:
		return "dropped: more than 5 minutes ahead of its arrival"
	case DroppedOutOfOrder:
		return "dropped: out of order by more than the tolerance"
	}
	return "kept"
}

// Counters count events by the names of the service's metrics. An event that is
// both late and out of order counts in both.
type Counters struct {
	// InputEvents are all events pushed.
	InputEvents int64
	// LateInputEvents, OutOfOrderEvents: dropped or adjusted.
	LateInputEvents, OutOfOrderEvents int64
	// EarlyInputEvents were dropped.
	EarlyInputEvents int64
	// Dropped and Adjusted are the same events by what became of them.
	Dropped, Adjusted int64
}

// Add adds the counts of another stream.
func (c *Counters) Add(o Counters) {
	c.InputEvents += o.InputEvents
	c.LateInputEvents += o.LateInputEvents
	c.OutOfOrderEvents += o.OutOfOrderEvents
	c.EarlyInputEvents += o.EarlyInputEvents
	c.Dropped += o.Dropped
	c.Adjusted += o.Adjusted
}

// WatermarkDelay is the metric of that name: how far a watermark is behind now,
// 0 for a stream that has ended or has seen nothing.
func WatermarkDelay(now, watermark int64) int64 {
	if watermark == Never || watermark >= now {
		return 0
	}
	return now - watermark
}

// Complete tells whether all events up to and including the time end have been
// emitted, so that a window with that end can be output.
func Complete(end, watermark int64) bool { return end < watermark }

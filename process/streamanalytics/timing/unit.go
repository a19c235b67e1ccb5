package timing

import (
	"fmt"
	"math"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// Ticks of the units of time, which are those of values.
const (
	TicksPerMicrosecond = value.TicksPerMicrosecond
	TicksPerMillisecond = value.TicksPerMillisecond
	TicksPerSecond      = value.TicksPerSecond
	TicksPerMinute      = value.TicksPerMinute
	TicksPerHour        = value.TicksPerHour
	TicksPerDay         = value.TicksPerDay
)

// Never is before, and Always after every time: the watermark of a stream that
// has seen nothing, and of one that has ended.
const (
	Never  int64 = math.MinInt64
	Always int64 = math.MaxInt64
)

// UnitTicks returns the ticks of a unit that windows and durations may use: day,
// hour, minute, second, millisecond, microsecond. ok is false for the others,
// which have no fixed length or are finer than a tick.
func UnitTicks(u syntax.TimeUnit) (ticks int64, ok bool) {
	switch u {
	case syntax.Day:
		return TicksPerDay, true
	case syntax.Hour:
		return TicksPerHour, true
	case syntax.Minute:
		return TicksPerMinute, true
	case syntax.Second:
		return TicksPerSecond, true
	case syntax.Millisecond:
		return TicksPerMillisecond, true
	case syntax.Microsecond:
		return TicksPerMicrosecond, true
	}
	return 0, false
}

// Duration returns n units in ticks. It fails for a unit without a fixed length
// and for a duration that is out of range.
func Duration(n int64, u syntax.TimeUnit) (int64, error) {
	ticks, ok := UnitTicks(u)
	switch {
	case !ok && u == syntax.NoUnit:
		return 0, fmt.Errorf("a duration needs a unit; use day, hour, minute, second, millisecond or microsecond")
	case !ok:
		return 0, fmt.Errorf("%s is not a unit of durations; use day, hour, minute, second, millisecond or microsecond", u)
	case n > math.MaxInt64/ticks || n < math.MinInt64/ticks:
		return 0, fmt.Errorf("%d %ss are more than a duration can hold", n, u)
	}
	return n * ticks, nil
}

// minus is a-b, b >= 0, that stops at the earliest time.
func minus(a, b int64) int64 {
	if d := a - b; d <= a {
		return d
	}
	return math.MinInt64
}

// plus is a+b, b >= 0, that stops at the latest time.
func plus(a, b int64) int64 {
	if d := a + b; d >= a {
		return d
	}
	return math.MaxInt64
}

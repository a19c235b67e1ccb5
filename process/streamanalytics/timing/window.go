package timing

import "fmt"

// MaxWindow is the longest window.
const MaxWindow = 7 * TicksPerDay

// Kind is a kind of window.
type Kind uint8

// The kinds.
const (
	// Tumbling windows adjoin: every event is in exactly one.
	Tumbling Kind = iota + 1
	// Hopping windows start every Hop.
	Hopping
	// Sliding windows end whenever their content changes.
	Sliding
	// Session windows end after a Timeout without events.
	Session
	// Snapshot windows hold the events of one instant.
	Snapshot
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case Tumbling:
		return "tumbling"
	case Hopping:
		return "hopping"
	case Sliding:
		return "sliding"
	case Session:
		return "session"
	case Snapshot:
		return "snapshot"
	}
	return "unknown"
}

// Window describes windows. All durations are ticks. Every window excludes its
// start and includes its end. Tumbling and hopping windows end at multiples of the
// hop counted from the epoch and moved by the offset, whatever the first event is.
//
// Its methods are pure. All but Validate expect a window that is valid.
type Window struct {
	Kind Kind
	// Size of tumbling, hopping and sliding windows.
	Size int64
	// Hop of hopping windows. One that is longer than the size leaves events
	// between windows out.
	Hop int64
	// Offset of tumbling and hopping windows. It may be negative; one of -1
	// millisecond makes windows of whole milliseconds include their start and
	// exclude their end.
	Offset int64
	// Timeout and MaxDuration of session windows.
	Timeout, MaxDuration int64
}

// Validate says what is wrong with the window.
func (w Window) Validate() error {
	switch w.Kind {
	case Tumbling, Sliding:
		return w.checked("size", w.Size)
	case Hopping:
		if err := w.checked("size", w.Size); err != nil {
			return err
		}
		return w.checked("hop", w.Hop)
	case Session:
		if err := w.checked("timeout", w.Timeout); err != nil {
			return err
		}
		return w.checked("maximum duration", w.MaxDuration)
	case Snapshot:
		return nil
	}
	return fmt.Errorf("window of an unknown kind")
}

func (w Window) checked(what string, d int64) error {
	switch {
	case d <= 0:
		return fmt.Errorf("the %s of a %s window must be positive", what, w.Kind)
	case d > MaxWindow:
		return fmt.Errorf("the %s of a %s window is %s, more than the allowed 7 days", what, w.Kind, span(d))
	}
	return nil
}

// hop is the distance between the ends of tumbling and hopping windows.
func (w Window) hop() int64 {
	if w.Kind == Hopping {
		return w.Hop
	}
	return w.Size
}

// Lookback is how far before the time of an output row the events may be that it
// depends on.
//
// That of a session is longer than the session: who starts to read amid one takes
// it for shorter than it is and tests its duration at the wrong times. After the
// first of these tests, at most twice the maximum duration later, all tests are
// the same again.
func (w Window) Lookback() int64 {
	switch w.Kind {
	case Session:
		return w.Timeout + 2*w.MaxDuration
	case Snapshot:
		return 0
	}
	return w.Size
}

// Ends returns the ends of the tumbling or hopping windows that hold an event at
// time t: first, first+step and so on up to last. None does if first > last, which
// happens with a hop longer than the size.
func (w Window) Ends(t int64) (first, last, step int64) {
	step = w.hop()
	first = ceil(t, step, w.Offset)
	if w.Kind == Tumbling {
		return first, first, step
	}
	// The last one starts before t: its end is before t+Size.
	more := t + w.Size - 1 - first
	if more < 0 {
		return first, first - step, step
	}
	return first, first + more - more%step, step
}

// Holds tells whether the window with that end holds an event at time t. It is
// for tumbling, hopping, sliding and snapshot windows.
func (w Window) Holds(end, t int64) bool {
	if w.Kind == Snapshot {
		return t == end
	}
	return t <= end && t > minus(end, w.Size)
}

// A pane is a slice of time, start excluded and end included, that every tumbling
// or hopping window holds as a whole or not at all. An aggregate is kept per pane,
// so that an event touches one of them however many windows overlap, and a window
// merges those it holds. Panes lie between the times at which windows start or
// end: one per hop, or two if the size is not a multiple of the hop. That is never
// more than slices of the greatest common divisor of both, and often far fewer.

// Pane returns the end of the pane that holds time t.
func (w Window) Pane(t int64) int64 {
	hop := w.hop()
	end := ceil(t, hop, w.Offset)
	if w.Kind == Tumbling {
		return end
	}
	if rest := w.Size % hop; rest != 0 {
		end = min(end, ceil(t, hop, w.Offset-rest))
	}
	return end
}

// LastUse returns the end of the last window that holds the pane with the given
// end. When it is complete the pane can go. It is before the pane if no window
// holds it, as with a hop longer than the size.
func (w Window) LastUse(pane int64) int64 {
	_, last, _ := w.Ends(pane)
	return last
}

// Changes returns the two times at which an event at time t changes the content
// of a sliding window: it enters at its own time and has left at leave. The window
// is evaluated at these times, once per time, unless it is empty.
func (w Window) Changes(t int64) (enter, leave int64) { return t, plus(t, w.Size) }

// ceil is the least time that is not before t, of those that are a multiple of
// step away from offset.
func ceil(t, step, offset int64) int64 {
	rest := t % step
	if offset != 0 {
		rest -= offset % step
		if rest >= step {
			rest -= step
		} else if rest <= -step {
			rest += step
		}
	}
	switch {
	case rest > 0:
		return plus(t, step-rest)
	case rest < 0:
		return plus(t, -rest)
	}
	return t
}

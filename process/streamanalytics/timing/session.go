package timing

// OpenSession is a session window that is not closed yet. It is plain data and
// can be kept and copied freely.
type OpenSession struct {
	// Start is the time of the first event, or where a longer session was cut.
	Start int64
	// Last is the time of the last event.
	Last int64
	// Limit is the time at which the session is cut if it goes on until then.
	Limit int64
}

// The duration of a session is tested at multiples of the maximum duration, and
// these are counted from the epoch, as the ends of other windows are: the service's
// page has the tests at t = 0, 10, 20 and so on, and says that a session can
// therefore be nearly twice as long. A session that is at least the maximum long
// at a test is cut there, and a new one is opened at the same point. So one that
// started at 1 with a maximum of 10 is 9 long at 10 and goes on until 20, one that
// started at 10 is cut at 20, and one that was cut at 20 is cut again at 30.
//
// An event exactly one timeout after the last one still belongs to the session,
// and so does one exactly at the cut: windows include their end.

// Open starts a session with its first event.
func (w Window) Open(t int64) OpenSession {
	return OpenSession{Start: t, Last: t, Limit: plus(ceil(t, w.MaxDuration, 0), w.MaxDuration)}
}

// Next takes the next event of a session's key, at a time not before s.Last. If
// same is true, the event extends s. Otherwise s is over, with the end that
// [Window.SessionEnd] gives, and next is the session that the event is the first
// of.
func (w Window) Next(s OpenSession, t int64) (next OpenSession, same bool) {
	switch {
	case t > w.SessionOver(s):
		return w.Open(t), false
	case t > s.Limit:
		// The session was cut, and goes on from there.
		limit := ceil(t, w.MaxDuration, 0)
		return OpenSession{Start: limit - w.MaxDuration, Last: t, Limit: limit}, false
	}
	s.Last = t
	return s, true
}

// SessionEnd is the end of the session if no event extends it: the last event and
// the timeout, or where it is cut.
func (w Window) SessionEnd(s OpenSession) int64 { return min(w.SessionOver(s), s.Limit) }

// SessionOver is the time until which an event continues the session or, if it
// was cut before, the one that was opened at the cut. A key's session must be kept
// until then even if it was output already, because the next event's session
// depends on it.
func (w Window) SessionOver(s OpenSession) int64 { return plus(s.Last, w.Timeout) }

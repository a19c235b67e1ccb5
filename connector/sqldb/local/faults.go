package local

import (
	"context"
	"regexp"
	"sync"
	"time"

	"millrace/connector/sqldb/local/value"
)

// Fault is something that goes wrong with requests. A request's text is that
// of its batch, or the statement or name of the procedure that it calls;
// "BEGIN TRANSACTION", "COMMIT TRANSACTION", "ROLLBACK TRANSACTION" and "SAVE
// TRANSACTION" for those that drivers send without a text; and "BULK LOAD" for
// the rows of a bulk load.
type Fault struct {
	// Match selects requests by their text; nil selects all.
	Match *regexp.Regexp
	// Skip is how many matching requests pass before the fault; Times is how
	// many have it then, 1 if 0, all if negative.
	Skip, Times int
	// Delay is waited for first (or until the client cancels).
	Delay time.Duration
	// Error, if not 0, is answered instead of running the request: the number
	// of an error, of severity 16 and with the message Message. It does to a
	// transaction what SQL Server's own does: 1205 rolls it back.
	Error   int32
	Message string
	// DropBefore closes the connection instead of running the request;
	// DropAfter when the request has taken effect, with no answer.
	DropBefore, DropAfter bool
}

type faults struct {
	mu   sync.Mutex
	list []*armed
}

// armed is a fault with what it has seen.
type armed struct {
	Fault
	seen, hit int
}

// Inject adds a fault. The function that it returns takes it back and tells
// how many requests it has hit.
func (s *Server) Inject(f Fault) (remove func() int) {
	if f.Times == 0 {
		f.Times = 1
	}
	a := &armed{Fault: f}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, a)
	return func() int {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		for i, o := range s.faults.list {
			if o == a {
				s.faults.list = append(s.faults.list[:i:i], s.faults.list[i+1:]...)
				break
			}
		}
		return a.hit
	}
}

// take returns the fault of a request, if it has one: the first that matches.
func (f *faults) take(text string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		if a.Match != nil && !a.Match.MatchString(text) {
			continue
		}
		a.seen++
		if a.seen <= a.Skip || a.Times >= 0 && a.hit >= a.Times {
			continue
		}
		a.hit++
		return a.Fault, true
	}
	return Fault{}, false
}

// wait is the delay of a fault.
func (f Fault) wait(ctx context.Context) error {
	if f.Delay <= 0 {
		return nil
	}
	t := time.NewTimer(f.Delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f Fault) failure() *value.Error {
	message := f.Message
	if message == "" {
		message = "This error was made for a test."
	}
	e := value.Errorf(f.Error, "%s", message)
	if f.Error == 1205 {
		e.Class, e.State = 13, 51
	}
	return e
}

package connector

import (
	"errors"
	"fmt"
	"time"
)

// Action is what the caller of a connector should do about an error.
type Action int

// The actions. The zero value is Fail.
const (
	// Fail: give up; retrying cannot help (bad credentials, missing right,
	// schema that does not fit).
	Fail Action = iota
	// Retry: nothing was stored, or it is unknown whether it was; the same
	// call is safe to repeat after a while.
	Retry
	// Fenced: another worker owns the partitions now; drop the work.
	Fenced
	// Reject: the items named in Items will never be accepted; the others
	// were not stored either and may be tried again without them.
	Reject
)

// Error is an error that a machine can act on.
type Error struct {
	Action Action
	// After is how long the service asked to wait; 0: the caller's choice.
	After time.Duration
	// Partitions are those lost, for Fenced.
	Partitions []int32
	// Items are indexes into Write.Results, for Reject.
	Items []int
	Err   error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// ActionOf says what to do about err: the Action of the first *Error in its
// chain, else Fail.
func ActionOf(err error) Action {
	var e *Error
	if errors.As(err, &e) {
		return e.Action
	}
	return Fail
}

// Retryable marks err as worth retrying after the given wait (0: caller's
// choice).
func Retryable(err error, after time.Duration) error {
	return &Error{Action: Retry, After: after, Err: err}
}

// FencedError says that partitions belong to another worker now.
func FencedError(partitions []int32, detail string) error {
	return &Error{Action: Fenced, Partitions: partitions,
		Err: fmt.Errorf("partitions %v belong to another worker now: %s", partitions, detail)}
}

// Unreachable marks err as "a service cannot be reached or a port is taken":
// the command line turns it into exit code 3 and prints the hint.
type Unreachable struct {
	// What is the service and its address, without secrets.
	What string
	// Hint is one sentence: what to try.
	Hint string
	Err  error
}

func (e *Unreachable) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.What, e.Err) }
func (e *Unreachable) Unwrap() error { return e.Err }

// Hinted carries one sentence of advice for the user with an error.
type Hinted struct {
	Hint string
	Err  error
}

func (e *Hinted) Error() string { return e.Err.Error() }
func (e *Hinted) Unwrap() error { return e.Err }

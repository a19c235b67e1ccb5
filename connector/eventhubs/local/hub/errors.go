package hub

import (
	"errors"
	"fmt"

	"millrace/connector"
)

// What went wrong with an entity. Errors of this package wrap one of them with
// a sentence; use errors.Is.
var (
	// ErrNotFound: there is no such namespace, hub, group or partition, or
	// it was deleted meanwhile.
	ErrNotFound = errors.New("not found")
	// ErrExists: there is one of that name already, equal or not.
	ErrExists = errors.New("already exists")
	// ErrInvalid: the request can never be fulfilled as it is.
	ErrInvalid = errors.New("invalid")
	// ErrClosed: the Cluster or Reader was closed.
	ErrClosed = errors.New("closed")
	// ErrOutOfRange: a Reader was asked for a position behind the end of its
	// partition.
	ErrOutOfRange = errors.New("out of range")
	// ErrTooLarge: an append does not fit into one record batch of its topic.
	ErrTooLarge = errors.New("too large")
)

// said is a sentence of its own around one of the errors above.
type said struct {
	text string
	kind error
}

func (e *said) Error() string { return e.text }
func (e *said) Unwrap() error { return e.kind }

func notFound(format string, args ...any) error {
	return &said{fmt.Sprintf(format, args...), ErrNotFound}
}

func invalid(hint, format string, args ...any) error {
	return &connector.Hinted{Hint: hint, Err: &said{fmt.Sprintf(format, args...), ErrInvalid}}
}

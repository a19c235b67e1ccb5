package offline

import (
	"fmt"
)

// UseError is a mistake in how a run was asked for: an option, a file that is
// not there, a query that is wrong. Others are failures of the run itself.
type UseError struct {
	Err error
	// Hint is what to do about it, "" if the error says it.
	Hint string
}

func (e *UseError) Error() string { return e.Err.Error() }
func (e *UseError) Unwrap() error { return e.Err }

func badUse(hint, format string, args ...any) error {
	return &UseError{Err: fmt.Errorf(format, args...), Hint: hint}
}

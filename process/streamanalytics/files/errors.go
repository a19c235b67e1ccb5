package files

import "fmt"

// UseError is a mistake in what was asked for: an option, a file that is not
// there or is not what it should be, a query that is wrong. Other errors are
// failures of the work itself.
type UseError struct {
	Err error
	// Hint is what to do about it, "" if the error says it.
	Hint string
}

func (e *UseError) Error() string { return e.Err.Error() }
func (e *UseError) Unwrap() error { return e.Err }

// Misuse makes a UseError.
func Misuse(hint, format string, args ...any) error {
	return &UseError{Err: fmt.Errorf(format, args...), Hint: hint}
}

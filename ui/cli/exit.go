package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"millrace/connector"
	"millrace/internal/solution/settings"
)

// The exit codes.
const (
	ExitPassed      = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitUnreachable = 3
	ExitThreshold   = 99
	ExitInterrupted = 130
)

// UsageError is a mistake in how the program was called or configured.
type UsageError struct {
	Err  error
	Hint string
}

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

func usage(hint, format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...), Hint: hint}
}

// errMissed says that a run ended and a threshold was missed. The summary has
// said it already, so nothing more is printed.
type errMissed struct{ n int }

func (e *errMissed) Error() string {
	if e.n == 1 {
		return "a threshold was missed"
	}
	return fmt.Sprintf("%d thresholds were missed", e.n)
}

// ExitCode is the exit code for the error of a command. interrupted says that
// the user had asked it to stop.
func ExitCode(err error, interrupted bool) int {
	var (
		missed      *errMissed
		usageErr    *UsageError
		problems    settings.Problems
		unreachable *connector.Unreachable
	)
	switch {
	case err == nil:
		return ExitPassed
	case interrupted && errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.As(err, &missed):
		return ExitThreshold
	case errors.As(err, &usageErr), errors.As(err, &problems):
		return ExitUsage
	case errors.As(err, &unreachable):
		return ExitUnreachable
	}
	return ExitFailed
}

// printError says what went wrong in one sentence, with a hint if there is
// one; several problems of a configuration are listed.
func printError(w io.Writer, err error, interrupted bool) {
	var problems settings.Problems
	switch code := ExitCode(err, interrupted); {
	case err == nil, code == ExitThreshold:
		return
	case code == ExitInterrupted:
		fmt.Fprintln(w, "millrace: interrupted")
		for _, other := range besides(err, context.Canceled) {
			fmt.Fprintf(w, "millrace: %s\n", oneLine(settings.Mask(other.Error())))
		}
	case errors.As(err, &problems) && len(problems) > 1:
		fmt.Fprintf(w, "millrace: %d problems in the configuration:\n", len(problems))
		for _, line := range strings.Split(problems.Error(), "\n") {
			fmt.Fprintf(w, "  %s\n", line)
		}
	default:
		fmt.Fprintf(w, "millrace: %s\n", oneLine(settings.Mask(err.Error())))
	}
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(w, "  hint: %s\n", hint)
	}
}

// besides returns the errors joined in err that are not what, such as a store
// that could not be closed after an interruption.
func besides(err, what error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if errors.Is(err, what) {
			return nil
		}
		return []error{err}
	}
	var rest []error
	for _, e := range joined.Unwrap() {
		rest = append(rest, besides(e, what)...)
	}
	return rest
}

// hintOf is the hint nearest to the surface of err.
func hintOf(err error) string {
	for err != nil {
		switch e := err.(type) {
		case *UsageError:
			if e.Hint != "" {
				return e.Hint
			}
		case *connector.Unreachable:
			if e.Hint != "" {
				return e.Hint
			}
		case *connector.Hinted:
			if e.Hint != "" {
				return e.Hint
			}
		case settings.Problems:
			for _, p := range e {
				if p.Hint != "" {
					return p.Hint
				}
			}
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				if h := hintOf(inner); h != "" {
					return h
				}
			}
			return ""
		}
		err = errors.Unwrap(err)
	}
	return ""
}

// oneLine keeps libraries' multi-line messages from looking like a dump.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}

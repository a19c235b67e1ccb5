package duckread

import (
	"errors"
	"fmt"
	"strings"

	"millrace/connector"
)

// Advice is what to do about errors of queries.
type Advice struct {
	// Doing is what failed, as in "asking the archive".
	Doing string
	// The hints for queries that need more memory or disk than there is, and for
	// tables and columns that there are not.
	Memory, Disk, Names string
	// More returns a hint for what only this kind of store has, or ""; nil: there
	// is nothing of the kind. It gets the error's text in lower case.
	More func(message string) string
}

// Explain makes an error of a query one that says what to do, if that is known.
// One that refuses the query says so already.
func (a Advice) Explain(err error) error {
	if errors.Is(err, ErrOnlyReads) {
		return err
	}
	hint := a.hint(err)
	err = fmt.Errorf("%s: %w", a.Doing, err)
	if hint == "" {
		return err
	}
	return &connector.Hinted{Hint: hint, Err: err}
}

func (a Advice) hint(err error) string {
	message := strings.ToLower(err.Error())
	switch {
	case OutOfMemory(err):
		return a.Memory
	case strings.Contains(message, "no space left"):
		return a.Disk
	}
	if a.More != nil {
		if hint := a.More(message); hint != "" {
			return hint
		}
	}
	switch {
	case strings.Contains(message, "binder error"), strings.Contains(message, "catalog error"):
		return a.Names
	case strings.Contains(message, "parser error"):
		return "a query is one SELECT in DuckDB's SQL"
	}
	return ""
}

// OutOfMemory tells whether a query needed more memory than it may have.
func OutOfMemory(err error) bool {
	return strings.Contains(strings.ToLower(err.Error()), "out of memory")
}

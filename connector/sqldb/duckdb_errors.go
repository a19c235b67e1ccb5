package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"millrace/connector"
)

// lockHolder finds the process in DuckDB's message about a locked file.
var lockHolder = regexp.MustCompile(`PID (\d+)`)

// classify decides what an error of DuckDB asks for. It is the only place
// that does.
func (d *duckDB) classify(doing string, err error) error {
	var refused *refusedError
	var decided *connector.Error
	var hinted *connector.Hinted
	if err == nil || errors.Is(err, errMoved) || errors.As(err, &refused) || errors.As(err, &decided) || errors.As(err, &hinted) {
		return err // decided already
	}
	err = withoutStack(err)
	hint := func(text, format string, args ...any) error {
		return &connector.Hinted{Hint: text, Err: fmt.Errorf(format+": %w", append(args, err)...)}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", doing, err) // the caller's own decision
	}
	message := strings.ToLower(err.Error())
	says := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(message, p) {
				return true
			}
		}
		return false
	}
	switch {
	case says("could not set lock", "conflicting lock"):
		holder := "another process"
		if m := lockHolder.FindStringSubmatch(err.Error()); m != nil {
			holder = "process " + m[1]
		}
		return &connector.Hinted{Hint: "wait for that process to end, or set SQL_URL to a PostgreSQL database, which several workers can share",
			Err: fmt.Errorf("%s is already open in %s; several workers need PostgreSQL (SQL_URL)", d.path, holder)}
	case says("no space left on device", "disk quota exceeded"):
		return hint("free some space; what was stored before is safe, and a second run continues from it", "the disk of %s is full", d.path)
	case says("read-only file system", "permission denied"), errors.Is(err, fs.ErrPermission):
		return hint("choose a folder that can be written with --data-dir", "%s cannot be written", d.path)
	case says("not a valid duckdb database file"):
		return hint("choose another data folder, or delete the file", "%s is not a DuckDB database", d.path)
	case errors.Is(err, fs.ErrNotExist) && doing != "" && strings.HasPrefix(doing, "opening"):
		return hint("run a solution with this data folder first", "there is no database %s", d.path)
	}
	if outOfMemory(err) {
		err = firstLine(err) // what follows is advice for DuckDB's own users
		return hint("start again with a larger memoryLimit of the store, which must hold a few thousand events; what was committed is safe, and the run continues from it",
			"DuckDB has no memory left while %s", doing)
	}
	switch duckType(err) {
	case duckdb.ErrorTypeTransaction:
		// Another transaction of this process touched the same rows.
		return connector.Retryable(fmt.Errorf("%s: %w", doing, err), 0)
	case duckdb.ErrorTypeConversion, duckdb.ErrorTypeOutOfRange, duckdb.ErrorTypeConstraint, duckdb.ErrorTypeInvalidInput:
		// The content of a row, not the statement: statements are tested.
		return &refusedError{fmt.Errorf("%s: %w", doing, err)}
	case duckdb.ErrorTypeFatal, duckdb.ErrorTypeInternal:
		return hint("start again: what was committed is safe, and the run continues from it", "DuckDB has given up while %s", doing)
	case duckdb.ErrorTypeCatalog:
		return hint("nothing may have been stored yet; check table and schema of the store", "%s", doing)
	case duckdb.ErrorTypeBinder:
		return hint("DESCRIBE events shows the columns; a table that is not Millrace's own needs another name in the store's table", "%s", doing)
	case duckdb.ErrorTypeIO:
		return hint("check the disk and the folder", "%s", doing)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// plainError is an error without the stack trace that DuckDB adds to those it
// calls fatal.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }

func withoutStack(err error) error {
	text, _, found := strings.Cut(err.Error(), "Stack Trace:")
	if !found {
		return err
	}
	return &plainError{strings.TrimSpace(text), err}
}

// outOfMemory tells whether memory was exhausted, also where DuckDB calls it
// something else: at a commit, and at a checkpoint, which is then fatal.
func outOfMemory(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "Out of Memory Error:") || strings.Contains(text, "failed to pin block") ||
		strings.Contains(text, "failed to allocate data") || strings.Contains(text, "could not allocate block")
}

func firstLine(err error) error {
	text, _, more := strings.Cut(err.Error(), "\n")
	if !more {
		return err
	}
	return &plainError{strings.TrimSpace(text), err}
}

// duckType is the type of DuckDB's error in err; the driver sometimes keeps
// its text only.
func duckType(err error) duckdb.ErrorType {
	if err == nil {
		return duckdb.ErrorTypeInvalid
	}
	var e *duckdb.Error
	if errors.As(err, &e) {
		return e.Type
	}
	for prefix, t := range map[string]duckdb.ErrorType{
		"TransactionContext Error": duckdb.ErrorTypeTransaction,
		"Conversion Error":         duckdb.ErrorTypeConversion,
		"FATAL Error":              duckdb.ErrorTypeFatal,
		"IO Error":                 duckdb.ErrorTypeIO,
	} {
		if strings.Contains(err.Error(), prefix+":") {
			return t
		}
	}
	return duckdb.ErrorTypeInvalid
}

package txlog

import (
	"errors"
	"fmt"

	"millrace/connector"
)

// ErrNoTable says that the folder has no log, or an empty one.
var ErrNoTable = errors.New("there is no Delta table")

// ErrTableExists says that Create found a table.
var ErrTableExists = errors.New("there is a Delta table already")

// ErrNoVersion says that a version or a time is outside of what the log still
// has.
var ErrNoVersion = errors.New("the log does not have that version")

// UnsupportedError says that the table needs more of its readers or writers
// than this package knows. Nothing was read or written.
type UnsupportedError struct {
	// Table is the table's address.
	Table string
	// Doing is "read" or "write to".
	Doing string
	// Why is what is not supported, as a part of a sentence.
	Why string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("cannot %s %s: %s", e.Doing, e.Table, e.Why)
}

// CorruptError says that the log is not as a log has to be. Nothing that was
// read from it can be relied on.
type CorruptError struct {
	// Object is the name of the log's object that is missing or wrong.
	Object string
	// Missing tells whether it is missing.
	Missing bool
	Err     error
}

func (e *CorruptError) Error() string {
	if e.Missing {
		return fmt.Sprintf("the log of the table is broken: %s is missing (%v)", e.Object, e.Err)
	}
	return fmt.Sprintf("the log of the table is broken: %s: %v", e.Object, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// ConflictKind says in what a commit and an earlier one that it did not know of
// contradict each other.
type ConflictKind string

// The kinds of conflicts.
const (
	// ConflictProtocol: the winner changed the protocol.
	ConflictProtocol ConflictKind = "the protocol of the table was changed"
	// ConflictMetadata: the winner changed the schema or a property.
	ConflictMetadata ConflictKind = "the schema or a property of the table was changed"
	// ConflictTxn: the winner wrote for the same application; read Txn of
	// a new snapshot to learn how far it got.
	ConflictTxn ConflictKind = "another writer of the same stream was faster"
	// ConflictRead: the winner added rows that the commit should have read.
	ConflictRead ConflictKind = "rows were added that should have been read"
	// ConflictRemoved: the winner removed a file that the commit read.
	ConflictRemoved ConflictKind = "a file that was read was removed"
	// ConflictBoth: both remove, or both add, the same file.
	ConflictBoth ConflictKind = "both change the same file"
)

// ConflictError says that a commit was not made, as it contradicts one that was
// made since its base snapshot. Who wants it still starts again from a new
// snapshot.
type ConflictError struct {
	Kind ConflictKind
	// Winner is the version of the commit that is in the way.
	Winner int64
	// Info is what it says of itself.
	Info CommitInfo
	// What is the file or the application, "" for other kinds.
	What string
}

func (e *ConflictError) Error() string {
	what := ""
	if e.What != "" {
		what = " (" + e.What + ")"
	}
	return fmt.Sprintf("the commit conflicts with version %d, %s: %s%s", e.Winner, e.Info.Operation, e.Kind, what)
}

// UnclearError says that it is unknown whether the commit took place: the
// storage did not answer, not even when asked again. It is inside a
// *connector.Error with the action Retry; who retries takes a new snapshot and
// looks there (at Txn, for one) first.
type UnclearError struct {
	Version int64
	TxnID   string
	Err     error
}

func (e *UnclearError) Error() string {
	return fmt.Sprintf("it is unclear whether version %d was written: %v", e.Version, e.Err)
}

func (e *UnclearError) Unwrap() error { return e.Err }

func unclear(version int64, txnID string, err error) error {
	return connector.Retryable(&UnclearError{Version: version, TxnID: txnID, Err: err}, 0)
}

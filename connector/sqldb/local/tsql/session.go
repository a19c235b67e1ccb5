package tsql

import (
	"context"
	"strings"
	"time"

	"millrace/connector/sqldb/local/value"
)

// Sink takes what statements send to the client. Its errors are those of the
// connection and end everything.
type Sink interface {
	Columns([]value.Column) error
	// Row is a row of the result that Columns began; it may be kept.
	Row([]value.Value) error
	// Done ends a statement: its command as TDS numbers them, and how many
	// rows it was, if that counts.
	Done(command uint16, rows int64, counted bool) error
	Error(*value.Error) error
	Info(*value.Error) error
	// Changed says that the current database is another one.
	Changed(name, old string) error
	Begun(transaction uint64) error
	Committed(transaction uint64) error
	RolledBack(transaction uint64) error
}

// The commands that Done names.
const (
	commandOther  = 0
	commandSelect = 0xC1
	commandInsert = 0xC3
	commandDelete = 0xC4
	commandUpdate = 0xC5
	commandMerge  = 0x117
	commandBulk   = 0xF0
)

// Session is the state of one connection. One goroutine uses it at a time.
type Session struct {
	engine   *Engine
	home, db *database
	user     string
	id       int

	tx      *transaction
	depth   int // @@TRANCOUNT
	waiting *waiter
	applied []string // application locks of the session itself

	xactAbort, noCount, fmtOnly, implicit, noExec bool
	quotedOff                                     bool
	isolation                                     int // 1 to 5, as Begin has it
	lockTimeout                                   time.Duration
	identityInsert                                *table

	rowCount  int64
	lastError int32
	identity  value.Value
	rowLimit  int64 // SET ROWCOUNT, 0 for none

	temp     map[string]*table // by name, with #
	nextTemp int32
	load     *bulkLoad
	prepared map[int64]preparedCall
	handles  int64
}

// defaults is how a session begins, and what a reset brings back.
func (s *Session) defaults() {
	s.db = s.home
	s.xactAbort, s.noCount, s.fmtOnly, s.implicit, s.noExec, s.quotedOff = false, false, false, false, false, false
	s.isolation, s.lockTimeout, s.identityInsert = 2, -1, nil
	s.rowCount, s.lastError, s.identity, s.rowLimit = 0, 0, value.Value{}, 0
	s.temp, s.load = make(map[string]*table), nil
	s.prepared = make(map[int64]preparedCall)
}

// Database is the name of the current database.
func (s *Session) Database() string { return s.db.name }

// Descriptor is that of the transaction in progress, 0 if there is none.
func (s *Session) Descriptor() uint64 {
	if s.tx == nil {
		return 0
	}
	return s.tx.id
}

// Reset brings the session back to its beginning: its transaction is rolled
// back unless it is to be kept, its temporary tables and locks are gone.
func (s *Session) Reset(keepTransaction bool) {
	if !keepTransaction && s.tx != nil {
		_ = s.rollback("", discard{}) // there is one, so it can be
	}
	for _, key := range s.applied {
		s.engine.locks.release(s, key)
	}
	s.applied = nil
	s.defaults()
}

// Close ends the session as a lost connection does.
func (s *Session) Close() { s.Reset(false) }

// Transaction requests, as the wire has them; isolation is 0 to keep it.
func (s *Session) Begin(isolation int, out Sink) error {
	if isolation == 5 {
		return s.report(snapshotRefused(), out)
	}
	if isolation > 0 {
		s.isolation = isolation
	}
	return s.begin(out)
}

func snapshotRefused() *value.Error {
	return value.Errorf(3952, "Snapshot isolation transaction failed accessing the database: this test server has no snapshot isolation.")
}

// Commit is a client's COMMIT outside of a batch.
func (s *Session) Commit(out Sink) error { return s.report(s.commit(out), out) }

// Rollback is a client's ROLLBACK outside of a batch.
func (s *Session) Rollback(name string, out Sink) error { return s.report(s.rollback(name, out), out) }

// Save is a client's SAVE TRANSACTION outside of a batch.
func (s *Session) Save(name string, out Sink) error { return s.report(s.save(name), out) }

// Fail answers a request with an error, as if a statement of it had failed:
// with what that does to the transaction in progress.
func (s *Session) Fail(e *value.Error, out Sink) error {
	if s.tx != nil && (s.xactAbort || ends(e) >= endTransaction) {
		if err := s.rollback("", out); err != nil {
			return err
		}
	}
	return s.report(e, out)
}

// report sends an SQL error to the client; any other error is returned.
func (s *Session) report(err error, out Sink) error {
	if e := asSQL(err); e != nil {
		s.lastError = e.Number
		if err := out.Error(e); err != nil {
			return err
		}
		return out.Done(commandOther, 0, false)
	}
	return err
}

// XactAbort tells whether the session has SET XACT_ABORT ON.
func (s *Session) XactAbort() bool { return s.xactAbort }

// temporary finds a temporary table.
func (s *Session) temporary(name string) *table { return s.temp[strings.ToLower(name)] }

// reading runs f while nobody writes to the database, unless the session's own
// transaction is the one that does.
func (s *Session) reading(ctx context.Context, f func() error) error {
	if s.tx != nil && s.tx.locked[s.db] {
		return f()
	}
	db := s.db
	if err := s.acquire(ctx, db, shared); err != nil {
		return err
	}
	defer s.release(db)
	return f()
}

// discard is a Sink for what nobody wants to know.
type discard struct{}

func (discard) Columns([]value.Column) error   { return nil }
func (discard) Row([]value.Value) error        { return nil }
func (discard) Done(uint16, int64, bool) error { return nil }
func (discard) Error(*value.Error) error       { return nil }
func (discard) Info(*value.Error) error        { return nil }
func (discard) Changed(string, string) error   { return nil }
func (discard) Begun(uint64) error             { return nil }
func (discard) Committed(uint64) error         { return nil }
func (discard) RolledBack(uint64) error        { return nil }

package tsql

import (
	"context"
	"strings"

	"millrace/connector/sqldb/local/value"
)

// transaction is what can be undone. A statement outside of any has one of
// its own.
type transaction struct {
	id         uint64
	undo       []undoStep
	savepoints map[string]int
	locked     map[*database]bool // databases whose lock is held
	appLocks   []string
	doomed     bool // XACT_STATE() is -1: it can only be rolled back
	alone      bool // of one statement
	touched    map[*table]bool
}

type undoStep interface{ revert() }

func newTransaction(id uint64) *transaction {
	return &transaction{id: id, locked: make(map[*database]bool), touched: make(map[*table]bool)}
}

// note remembers how to undo a step.
func (tx *transaction) note(t *table, step undoStep) {
	if t.variable && !tx.alone {
		// Variables keep what they have when a transaction is rolled back,
		// but a statement that fails leaves no trace there either.
		tx.undo = append(tx.undo, variableStep{step})
		return
	}
	tx.undo = append(tx.undo, step)
	tx.touched[t] = true
}

// changed remembers how to undo a change of the catalogue.
func (tx *transaction) changed(revert func()) { tx.undo = append(tx.undo, undoFunc(revert)) }

type undoFunc func()

func (f undoFunc) revert() { f() }

// undoRow is one row added or removed.
type undoRow struct {
	t              *table
	added, removed *row
}

func (u undoRow) revert() {
	t := u.t
	if u.added != nil {
		for _, ix := range t.indexes {
			t.leave(ix, u.added)
		}
		t.rows[u.added.pos] = nil
		t.live--
		if u.added.pos == len(t.rows)-1 {
			t.rows = t.rows[:u.added.pos]
		}
	}
	if u.removed != nil {
		t.rows[u.removed.pos] = u.removed
		t.live++
		_ = t.enter(u.removed)
	}
}

// undoReplace is rows put in the places of others.
type undoReplace struct {
	t              *table
	added, removed []*row
}

func (u undoReplace) revert() {
	for _, r := range u.added {
		for _, ix := range u.t.indexes {
			u.t.leave(ix, r)
		}
	}
	for _, r := range u.removed {
		u.t.rows[r.pos] = r
		_ = u.t.enter(r) // they were all there before
	}
}

// variableStep is undone with its statement only.
type variableStep struct{ undoStep }

type undoContents struct {
	t   *table
	was contents
}

func (u undoContents) revert() {
	t := u.t
	t.rows, t.live, t.identity = u.was.rows, u.was.live, u.was.identity
	for i, ix := range t.indexes {
		ix.entries = u.was.entries[i]
	}
}

// mark is a place to go back to.
func (tx *transaction) mark() int { return len(tx.undo) }

// back undoes everything after the mark; whole says that the transaction ends.
func (tx *transaction) back(mark int, whole bool) {
	for i := len(tx.undo) - 1; i >= mark; i-- {
		if _, ok := tx.undo[i].(variableStep); ok && whole {
			continue
		}
		tx.undo[i].revert()
	}
	tx.undo = tx.undo[:mark]
}

// lock takes the database's lock for the session's transaction.
func (s *Session) lock(ctx context.Context, tx *transaction, db *database) error {
	if tx.locked[db] {
		return nil
	}
	if err := s.acquire(ctx, db, exclusive); err != nil {
		return err
	}
	tx.locked[db] = true
	return nil
}

// acquire takes a database's lock, under the session's lock timeout.
func (s *Session) acquire(ctx context.Context, db *database, mode lockMode) error {
	switch s.engine.locks.acquire(ctx, s, "database "+strings.ToLower(db.name), mode, s.lockTimeout) {
	case lockTimeout:
		return &value.Error{Number: 1222, State: 51, Class: 16, Message: "Lock request time out period exceeded."}
	case lockDeadlock:
		return deadlock(s.id)
	case lockCancelled:
		return context.Canceled
	}
	return nil
}

func (s *Session) release(db *database) {
	s.engine.locks.release(s, "database "+strings.ToLower(db.name))
}

func deadlock(session int) *value.Error {
	e := value.Errorf(1205, "Transaction (Process ID %d) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.", session)
	e.Class, e.State = 13, 51
	return e
}

// finish releases what a transaction holds.
func (s *Session) finish(tx *transaction) {
	for t := range tx.touched {
		t.compact()
	}
	for db := range tx.locked {
		s.release(db)
	}
	for _, key := range tx.appLocks {
		s.engine.locks.release(s, key)
	}
}

// begin opens a transaction, or counts one more level of that in progress.
func (s *Session) begin(out Sink) error {
	s.depth++
	if s.tx != nil {
		return nil
	}
	s.tx = newTransaction(s.engine.next.Add(1))
	return out.Begun(s.tx.id)
}

// commit ends one level; the last one makes it so.
func (s *Session) commit(out Sink) error {
	switch {
	case s.tx == nil:
		return value.Errorf(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
	case s.tx.doomed:
		return value.Errorf(3930, "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.")
	}
	if s.depth--; s.depth > 0 {
		return nil
	}
	tx := s.tx
	s.tx = nil
	s.finish(tx)
	return out.Committed(tx.id)
}

// rollback ends all levels, or goes back to a savepoint.
func (s *Session) rollback(name string, out Sink) error {
	if s.tx == nil {
		return value.Errorf(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
	}
	if mark, ok := s.tx.savepoints[strings.ToLower(name)]; ok && name != "" {
		s.tx.back(mark, false)
		return nil
	}
	tx := s.tx
	tx.back(0, true)
	s.tx, s.depth = nil, 0
	s.finish(tx)
	return out.RolledBack(tx.id)
}

// save sets a savepoint.
func (s *Session) save(name string) error {
	if s.tx == nil {
		return value.Errorf(628, "Cannot issue SAVE TRANSACTION when there is no active transaction.")
	}
	if s.tx.savepoints == nil {
		s.tx.savepoints = make(map[string]int)
	}
	s.tx.savepoints[strings.ToLower(name)] = s.tx.mark()
	return nil
}

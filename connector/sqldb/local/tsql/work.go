package tsql

import (
	"errors"
	"slices"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// work runs a statement that reads or changes data or definitions.
func (x *execution) work(st ast.Statement) error {
	switch st := st.(type) {
	case *ast.SelectStatement:
		if st.Into != nil {
			return x.changes(func(tx *transaction) error { return x.selectInto(tx, st) })
		}
		return x.selects(st)
	case *ast.InsertStatement:
		return x.changes(func(tx *transaction) error { return x.insert(tx, st) })
	case *ast.UpdateStatement:
		return x.changes(func(tx *transaction) error { return x.update(tx, st) })
	case *ast.DeleteStatement:
		return x.changes(func(tx *transaction) error { return x.delete(tx, st) })
	case *ast.MergeStatement:
		return x.changes(func(tx *transaction) error { return x.merge(tx, st) })
	case *ast.TruncateTableStatement:
		return x.changes(func(tx *transaction) error { return x.truncate(tx, st) })
	case *ast.InsertBulkStatement:
		return x.insertBulk(st)
	}
	return x.changes(func(tx *transaction) error {
		known, err := x.definition(tx, st)
		if !known && err == nil {
			err = unknownNode(st)
		}
		if err == nil {
			err = x.out.Done(commandOther, 0, false)
		}
		return err
	})
}

// changes runs a statement that may write, in the transaction in progress or
// in one of its own. If it fails, what it has done is undone.
func (x *execution) changes(f func(tx *transaction) error) error {
	s := x.s
	if s.implicit && s.tx == nil {
		if err := s.begin(x.out); err != nil {
			return err
		}
	}
	tx := s.tx
	if tx != nil && tx.doomed {
		return value.Errorf(3930, "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.")
	}
	if tx == nil {
		tx = newTransaction(0)
		tx.alone = true
		defer s.finish(tx)
	}
	mark := tx.mark()
	err := x.attempts(tx, f, func() { tx.back(mark, false) })
	if err != nil {
		tx.back(mark, false)
	}
	return err
}

// isolated tells whether reading keeps others from writing until the
// transaction ends.
func (x *execution) isolated() bool { return x.s.tx != nil && x.s.isolation >= 3 }

// errReader and errWriter ask for the database's lock: a statement begins
// without it, since many touch temporary tables and variables only, and begins
// anew under the lock that it turns out to need. Nothing of it has happened
// then, as names are looked up before anything is done.
var (
	errReader = errors.New("the statement needs the readers' lock")
	errWriter = errors.New("the statement needs the writer's lock")
)

// reads makes sure that a lock is held before the catalogue or a table that
// others see is looked at.
func (x *execution) reads() error {
	if x.unlocked {
		return errReader
	}
	return nil
}

// without runs f without a lock.
func (x *execution) without(f func() error) error {
	before := x.unlocked
	x.unlocked = true
	defer func() { x.unlocked = before }()
	return f()
}

// reading runs f without a lock, or under the readers' if it needs one.
func (x *execution) reading(f func() error) error {
	if x.s.tx != nil && x.s.tx.locked[x.s.db] {
		return f()
	}
	err := x.without(f)
	if !errors.Is(err, errReader) {
		return err
	}
	return x.s.reading(x.ctx, f)
}

// attempts runs f under as much of a lock as it needs. A reader gives its lock
// back before it asks for the writer's: two that keep theirs would wait for
// each other for ever. undo takes back what an attempt has done.
func (x *execution) attempts(tx *transaction, f func(tx *transaction) error, undo func()) error {
	run := func() (err error) {
		defer recovered(&err)
		return f(tx)
	}
	if tx.locked[x.s.db] {
		return run()
	}
	err := x.without(run)
	if errors.Is(err, errReader) && !x.isolated() {
		undo()
		err = x.s.reading(x.ctx, run)
	}
	if !errors.Is(err, errReader) && !errors.Is(err, errWriter) {
		return err
	}
	undo()
	if err := x.s.lock(x.ctx, tx, x.s.db); err != nil {
		return err
	}
	return run()
}

// writes makes sure that the writer's lock is held before t is changed.
func (x *execution) writes(tx *transaction, t *table) error {
	if t != nil && t.own || tx.locked[x.s.db] {
		return nil
	}
	return errWriter
}

// describe is a SELECT under FMTONLY: its columns without rows.
func (x *execution) describe(st *ast.SelectStatement) error {
	var p *plan
	err := x.reading(func() (err error) {
		p, err = x.compiler(nil).queryOf(st)
		return err
	})
	if err != nil {
		return err
	}
	if err := x.out.Columns(announced(p.columns)); err != nil {
		return err
	}
	return x.out.Done(commandSelect, 0, true)
}

// announced are columns as clients are told of them: NULL alone is an int.
func announced(columns []value.Column) []value.Column {
	for i, c := range columns {
		if c.Type.ID == value.Null {
			columns = slices.Clone(columns)
			columns[i].Type = intType
		}
	}
	return columns
}

// maxCollected bounds the values of a result that cannot be sent as it is
// found: about 256 MB.
const maxCollected = 8_000_000

// selects runs a SELECT. Its rows are collected under the lock and sent
// without it, so that a slow client holds up nobody.
func (x *execution) selects(st *ast.SelectStatement) error {
	var p *plan
	var rows [][]value.Value
	var n int64
	collect := func() (err error) {
		x.subqueries, n = 0, 0
		rows = rows[:0]
		if p, err = x.compiler(nil).queryOf(st); err != nil {
			return err
		}
		if p.exclusive && x.s.tx != nil && !x.s.tx.locked[x.s.db] {
			return errWriter
		}
		if p.source != nil && len(p.assigned) == 0 {
			p.source.freeze()
			return nil
		}
		return p.run(nil, func(r []value.Value) error {
			if len(p.assigned) > 0 { // each row sees what the one before has set
				for i, v := range p.assigned {
					v.val = r[i]
				}
				n++
				return nil
			}
			if rows = append(rows, r); len(rows)*len(r) > maxCollected {
				return &value.Error{Number: 701, State: 123, Class: 17, Message: "There is insufficient system memory to run this query: this test server keeps a result of several tables, or a sorted one, in memory."}
			}
			return nil
		})
	}
	if err := x.collecting(collect); err != nil {
		return err
	}
	if len(p.assigned) > 0 {
		x.s.rowCount = n
		return x.out.Done(commandSelect, n, false)
	}
	if err := x.out.Columns(announced(p.columns)); err != nil {
		return err
	}
	send := func(r []value.Value) error {
		if x.s.rowLimit > 0 && n >= x.s.rowLimit {
			return errEnough
		}
		if n++; n%256 == 0 {
			if err := x.ctx.Err(); err != nil {
				return err
			}
		}
		return x.out.Row(r)
	}
	err := x.sendAll(p, rows, send)
	x.s.rowCount = n
	if err != nil {
		return err
	}
	return x.out.Done(commandSelect, n, true)
}

func (x *execution) sendAll(p *plan, rows [][]value.Value, send func([]value.Value) error) error {
	var err error
	if p.source != nil {
		err = p.run(nil, send)
	} else {
		for _, r := range rows {
			if err = send(r); err != nil {
				break
			}
		}
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// collecting runs f under the lock that it needs, which is the writer's if the
// isolation level or a hint asks for it.
func (x *execution) collecting(f func() error) error {
	tx := x.s.tx
	if tx == nil || tx.locked[x.s.db] {
		return x.reading(f)
	}
	err := x.without(f)
	if errors.Is(err, errReader) && !x.isolated() {
		err = x.s.reading(x.ctx, f)
	}
	if !errors.Is(err, errReader) && !errors.Is(err, errWriter) {
		return err
	}
	if err := x.s.lock(x.ctx, tx, x.s.db); err != nil {
		return err
	}
	return f()
}

// freeze keeps the rows as they are now, while others may write.
func (r *relation) freeze() {
	rows := slices.Clone(r.table.rows)
	r.scan = func(_ *env, each func([]value.Value, *row) error) error {
		for _, one := range rows {
			if one == nil {
				continue
			}
			if err := each(one.vals, one); err != nil {
				return err
			}
		}
		return nil
	}
}

// done ends a statement that changed n rows.
func (x *execution) done(command uint16, n int64) error {
	x.s.rowCount, x.s.lastError = n, 0
	return x.out.Done(command, n, !x.s.noCount)
}

package tsql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// table is a table of rows in the order in which they came. Rows do not
// change: an update puts another in the place of the old one.
type table struct {
	objectInfo
	columns []tableColumn
	rows    []*row // nil where one was deleted
	live    int
	indexes []*index
	// own tables belong to one session: they need no lock.
	own bool
	// variable tables are not part of transactions.
	variable bool
	identity int64 // the next value
	seed     int64
	step     int64
	// compression and the like are accepted and forgotten; storage is kept
	// because people look at it: HEAP, CLUSTERED, CLUSTERED COLUMNSTORE.
	storage string
	scheme  string
}

type tableColumn struct {
	value.Column
	fallback *fallback // DEFAULT
	check    []checkConstraint
}

// fallback is a column's default.
type fallback struct {
	name string
	expr ast.ScalarExpression
	text *source
}

type checkConstraint struct {
	name string
	cond ast.BooleanExpression
	text *source
}

type row struct {
	vals []value.Value
	pos  int
}

// index is an index or a constraint of uniqueness. Only what is unique has
// entries: the others say what a real server would keep.
type index struct {
	name       string
	columns    []int
	unique     bool
	primary    bool
	constraint bool
	clustered  bool
	column     bool // columnstore
	entries    map[string]*row
}

func (t *table) column(name string) int {
	return slices.IndexFunc(t.columns, func(c tableColumn) bool { return strings.EqualFold(c.Name, name) })
}

func (t *table) resultColumns() []value.Column {
	out := make([]value.Column, len(t.columns))
	for i, c := range t.columns {
		out[i] = c.Column
	}
	return out
}

// appendKey builds the key of vals in the index.
func (t *table) appendKey(buf []byte, ix *index, vals []value.Value) []byte {
	for _, c := range ix.columns {
		buf = vals[c].AppendKey(buf, t.columns[c].Type)
	}
	return buf
}

// maxRows bounds what one table may hold.
const maxRows = 50_000_000

// insert adds a row; the error is 2627 or 2601 if a key is there already.
func (t *table) insert(tx *transaction, vals []value.Value) (*row, *value.Error) {
	if len(t.rows) >= maxRows {
		return nil, value.Errorf(1105, "Could not allocate space for object '%s': this test server holds at most %d rows in a table.", t.full(), maxRows)
	}
	r := &row{vals: vals, pos: len(t.rows)}
	if err := t.enter(r); err != nil {
		return nil, err
	}
	t.rows = append(t.rows, r)
	t.live++
	tx.note(t, undoRow{t: t, added: r})
	return r, nil
}

// enter adds r to the indexes, all or none.
func (t *table) enter(r *row) *value.Error {
	var buf [256]byte
	for i, ix := range t.indexes {
		if ix.entries == nil {
			continue
		}
		key := t.appendKey(buf[:0], ix, r.vals)
		if there := ix.entries[string(key)]; there != nil {
			for _, before := range t.indexes[:i] {
				t.leave(before, r)
			}
			return t.duplicate(ix, r.vals)
		}
		ix.entries[string(key)] = r
	}
	return nil
}

// leave takes r out of an index.
func (t *table) leave(ix *index, r *row) {
	if ix.entries == nil {
		return
	}
	var buf [256]byte
	key := t.appendKey(buf[:0], ix, r.vals)
	if ix.entries[string(key)] == r {
		delete(ix.entries, string(key))
	}
}

func (t *table) duplicate(ix *index, vals []value.Value) *value.Error {
	var shown []string
	for _, c := range ix.columns {
		text := "<NULL>"
		if !vals[c].IsNull() {
			text = value.Format(vals[c], t.columns[c].Type, 0)
		}
		shown = append(shown, text)
	}
	key := "(" + strings.Join(shown, ", ") + ")"
	e := &value.Error{Number: 2627, State: 1, Class: 14}
	switch {
	case !ix.constraint:
		e.Number = 2601
		e.Message = fmt.Sprintf("Cannot insert duplicate key row in object '%s' with unique index '%s'. The duplicate key value is %s.", t.full(), ix.name, key)
	case ix.primary:
		e.Message = fmt.Sprintf("Violation of PRIMARY KEY constraint '%s'. Cannot insert duplicate key in object '%s'. The duplicate key value is %s.", ix.name, t.full(), key)
	default:
		e.Message = fmt.Sprintf("Violation of UNIQUE KEY constraint '%s'. Cannot insert duplicate key in object '%s'. The duplicate key value is %s.", ix.name, t.full(), key)
	}
	return e
}

// remove deletes a row.
func (t *table) remove(tx *transaction, r *row) {
	for _, ix := range t.indexes {
		t.leave(ix, r)
	}
	t.rows[r.pos] = nil
	t.live--
	tx.note(t, undoRow{t: t, removed: r})
}

// replaceAll is an UPDATE: rows may trade keys.
func (t *table) replaceAll(tx *transaction, old []*row, vals [][]value.Value) ([]*row, *value.Error) {
	for _, r := range old {
		for _, ix := range t.indexes {
			t.leave(ix, r)
		}
	}
	out := make([]*row, len(old))
	for i, v := range vals {
		r := &row{vals: v, pos: old[i].pos}
		if err := t.enter(r); err != nil {
			for _, done := range out[:i] {
				for _, ix := range t.indexes {
					t.leave(ix, done)
				}
			}
			for _, back := range old {
				_ = t.enter(back) // they were all there before
			}
			return nil, err
		}
		out[i] = r
	}
	for _, r := range out {
		t.rows[r.pos] = r
	}
	tx.note(t, undoReplace{t: t, added: out, removed: old})
	return out, nil
}

// truncate empties the table.
func (t *table) truncate(tx *transaction) {
	old := contents{rows: t.rows, live: t.live, identity: t.identity}
	for _, ix := range t.indexes {
		old.entries = append(old.entries, ix.entries)
		if ix.entries != nil {
			ix.entries = make(map[string]*row)
		}
	}
	t.rows, t.live, t.identity = nil, 0, t.seed
	tx.note(t, undoContents{t: t, was: old})
}

type contents struct {
	rows     []*row
	live     int
	identity int64
	entries  []map[string]*row
}

// compact closes the gaps of deleted rows, when nothing can ask for their
// places any more.
func (t *table) compact() {
	if gaps := len(t.rows) - t.live; gaps < 1024 || gaps < t.live {
		return
	}
	t.rows = slices.DeleteFunc(t.rows, func(r *row) bool { return r == nil })
	for i, r := range t.rows {
		r.pos = i
	}
}

// addIndex builds an index over the rows that are there; 1505 if they are not
// unique.
func (t *table) addIndex(ix *index) *value.Error {
	if ix.unique {
		ix.entries = make(map[string]*row, t.live)
		for _, r := range t.rows {
			if r == nil {
				continue
			}
			key := string(t.appendKey(nil, ix, r.vals))
			if ix.entries[key] != nil {
				e := t.duplicate(ix, r.vals)
				return value.Errorf(1505, "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '%s' and the index name '%s'. %s",
					t.full(), ix.name, e.Message[strings.LastIndex(e.Message, "The duplicate"):])
			}
			ix.entries[key] = r
		}
	}
	t.indexes = append(t.indexes, ix)
	return nil
}

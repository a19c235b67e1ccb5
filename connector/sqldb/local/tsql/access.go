package tsql

import (
	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// key is a condition by which rows of a relation can be looked up: its column
// equals something that is known before.
type key struct {
	column int
	typ    value.Type  // that the two are compared as
	known  *expression // converted to typ
	same   bool        // a value of typ has the key of one of the column
	test   predicate
}

// plan puts the conditions where they can be checked first, and finds keys.
func (c *compiler) plan(f *from) error {
	position := make(map[int]int, len(f.steps)) // of a slot
	for i, s := range f.steps {
		position[s.rel.source.slot] = i
	}
	last := func(used uint64) int {
		at := -1
		for slot, i := range position {
			if used&(1<<slot) != 0 {
				at = max(at, i)
			}
		}
		return at
	}
	keys := make([][]key, len(f.steps))
	for _, b := range f.where {
		at, k, test, err := c.condition(b, f, position, last)
		if err != nil {
			return err
		}
		switch {
		case at < 0:
			f.before = both(f.before, test)
		case k != nil && !f.steps[at].left:
			keys[at] = append(keys[at], *k)
		default:
			f.steps[at].after = both(f.steps[at].after, test)
		}
	}
	for i, s := range f.steps {
		for _, b := range s.on {
			at, k, test, err := c.condition(b, f, position, last)
			if err != nil {
				return err
			}
			if k != nil && at == i {
				keys[i] = append(keys[i], *k)
				continue
			}
			s.match = both(s.match, test)
		}
		c.choose(s, keys[i], i > 0)
	}
	return nil
}

// condition compiles one condition: at which step it can be checked, and the
// key in it, if it is one for that step.
func (c *compiler) condition(b ast.BooleanExpression, f *from, position map[int]int, last func(uint64) int) (at int, k *key, test predicate, err error) {
	used, err := c.isolate(func() error {
		test, err = c.boolean(b)
		return err
	})
	if err != nil {
		return 0, nil, nil, err
	}
	at = last(used)
	eq, ok := b.(*ast.BooleanComparisonExpression)
	if !ok || eq.ComparisonType != "Equals" || at < 0 {
		return at, nil, test, nil
	}
	for _, sides := range [][2]ast.ScalarExpression{{eq.FirstExpression, eq.SecondExpression}, {eq.SecondExpression, eq.FirstExpression}} {
		var x, y *expression
		if x, err = c.scalar(sides[0]); err != nil {
			return 0, nil, nil, err
		}
		used, err := c.isolate(func() error {
			y, err = c.scalar(sides[1])
			return err
		})
		if err != nil {
			return 0, nil, nil, err
		}
		if !x.column || x.depth != 0 || position[x.slot] != at || last(used) >= at {
			continue
		}
		t := widerForComparison(x, y)
		return at, &key{column: x.col, typ: t, known: c.convert(y, t), same: sameKey(x.typ, t), test: test}, test, nil
	}
	return at, nil, test, nil
}

// sameKey tells whether values of the one type have the same keys as values
// of the other that they are equal to.
func sameKey(column, t value.Type) bool {
	switch {
	case column.ID.Text() && t.ID.Text():
		return column.Collation == t.Collation
	case column.ID.Bytes() && t.ID.Bytes(), column.ID.Integer() && t.ID.Integer():
		return true
	case column.ID.Exact():
		return t.ID == column.ID && t.Scale == column.Scale
	}
	return column.ID == t.ID
}

// choose decides how the rows of a step are found: in a unique index, in a
// table of hashes made for the statement, or one after the other.
func (c *compiler) choose(s *step, keys []key, inner bool) {
	if s.rel.table != nil {
		for _, ix := range s.rel.table.indexes {
			if ix.entries == nil {
				continue
			}
			if found, rest := covering(ix, keys); found != nil {
				s.lookup = indexLookup(s.rel.table, ix, found)
				for _, k := range rest {
					s.match = both(s.match, k.test)
				}
				return
			}
		}
	}
	repeated := inner || c.names.outer != nil
	if len(keys) == 0 || !repeated || !s.rel.stable {
		for _, k := range keys {
			s.match = both(s.match, k.test)
		}
		return
	}
	s.lookup = hashLookup(s.rel, keys)
}

// covering returns a key for every column of the index, in its order, and
// those that are left; nil if there are not enough.
func covering(ix *index, keys []key) (found, rest []key) {
	taken := make([]bool, len(keys))
	for _, col := range ix.columns {
		at := -1
		for i, k := range keys {
			if k.column == col && k.same && !taken[i] {
				at = i
			}
		}
		if at < 0 {
			return nil, nil
		}
		taken[at] = true
		found = append(found, keys[at])
	}
	for i, k := range keys {
		if !taken[i] {
			rest = append(rest, k)
		}
	}
	return found, rest
}

// appendKnown builds the key to look for; false if it holds a NULL, which
// nothing equals.
func appendKnown(buf []byte, keys []key, v *env, t *table) ([]byte, bool, error) {
	for _, k := range keys {
		x, err := k.known.eval(v)
		if err != nil || x.IsNull() {
			return buf, false, err
		}
		typ := k.typ
		if t != nil {
			typ = t.columns[k.column].Type
		}
		buf = x.AppendKey(buf, typ)
	}
	return buf, true, nil
}

func indexLookup(t *table, ix *index, keys []key) func(*env, func([]value.Value, *row) error) error {
	var scratch []byte
	return func(v *env, each func([]value.Value, *row) error) error {
		buf, ok, err := appendKnown(scratch[:0], keys, v, t)
		scratch = buf
		if err != nil || !ok {
			return err
		}
		if r := ix.entries[string(buf)]; r != nil {
			return each(r.vals, r)
		}
		return nil
	}
}

type found struct {
	vals []value.Value
	r    *row
}

// hashLookup reads the relation once and finds its rows by their keys.
func hashLookup(rel *relation, keys []key) func(*env, func([]value.Value, *row) error) error {
	var buckets map[string][]found
	var scratch []byte
	build := func(v *env) error {
		buckets = make(map[string][]found)
		return rel.scan(v, func(vals []value.Value, r *row) error {
			buf := scratch[:0]
			for _, k := range keys {
				x, failed := value.Convert(vals[k.column], rel.source.columns[k.column].Type, k.typ, 0, true)
				if failed != nil {
					return failed
				}
				if x.IsNull() {
					return nil
				}
				buf = x.AppendKey(buf, k.typ)
			}
			scratch = buf
			buckets[string(buf)] = append(buckets[string(buf)], found{vals, r})
			return nil
		})
	}
	return func(v *env, each func([]value.Value, *row) error) error {
		if buckets == nil {
			if err := build(v); err != nil {
				return err
			}
		}
		buf, ok, err := appendKnown(scratch[:0], keys, v, nil)
		scratch = buf
		if err != nil || !ok {
			return err
		}
		for _, f := range buckets[string(buf)] {
			if err := each(f.vals, f.r); err != nil {
				return err
			}
		}
		return nil
	}
}

// run hands over the joined rows: they stand in v when f is called.
func (f *from) run(v *env, each func() error) error {
	if f.before != nil {
		if t, err := f.before(v); err != nil || t != isTrue {
			return err
		}
	}
	n := 0
	return f.join(v, 0, &n, each)
}

// checked says how many rows are looked at between two looks at the clock.
const checked = 4096

func (f *from) join(v *env, i int, n *int, each func() error) error {
	if i == len(f.steps) {
		return each()
	}
	s := f.steps[i]
	slot := s.rel.source.slot
	matched := false
	next := func() error {
		if s.after != nil {
			if t, err := s.after(v); err != nil || t != isTrue {
				return err
			}
		}
		return f.join(v, i+1, n, each)
	}
	read := s.rel.scan
	if s.lookup != nil {
		read = s.lookup
	}
	err := read(v, func(vals []value.Value, r *row) error {
		if *n++; *n%checked == 0 {
			if err := v.x.ctx.Err(); err != nil {
				return err
			}
		}
		v.rows[slot], v.refs[slot] = vals, r
		if s.match != nil {
			if t, err := s.match(v); err != nil || t != isTrue {
				return err
			}
		}
		matched = true
		return next()
	})
	if err != nil || matched || !s.left {
		return err
	}
	v.rows[slot], v.refs[slot] = nil, nil
	return next()
}

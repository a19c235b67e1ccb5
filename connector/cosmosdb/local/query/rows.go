package query

import (
	"bytes"
	"slices"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// rows sets the variables for each row that WHERE lets through and calls yield;
// it returns false if that did, or if the run is to end.
func (s *selection) rows(f *frame, yield func() bool) bool {
	if s.where == nil {
		return s.from(f, 0, yield)
	}
	return s.from(f, 0, func() bool {
		if !s.where(f).IsTrue() {
			return f.err == nil
		}
		return yield()
	})
}

func (s *selection) from(f *frame, i int, yield func() bool) bool {
	if i == len(s.sources) {
		return f.row() && yield()
	}
	src := &s.sources[i]
	next := yield
	if i+1 < len(s.sources) {
		next = func() bool { return s.from(f, i+1, yield) }
	} else {
		next = func() bool { return f.row() && yield() }
	}
	switch {
	case src.sub != nil:
		return src.sub.results(f, func(v value.Value) bool { return src.walk(f, v, next) })
	case src.container:
		return f.items(func() bool {
			if src.of == nil {
				return next()
			}
			return src.walk(f, src.of(f), next)
		})
	}
	return src.walk(f, src.of(f), next)
}

// walk calls next for the value, or for each of its elements.
func (src *source) walk(f *frame, v value.Value, next func() bool) bool {
	if !src.each {
		if v.IsUndefined() {
			return true
		}
		if src.slot >= 0 {
			f.vars[src.slot] = v
		}
		return next()
	}
	more := true
	v.EachElement(func(e value.Value) bool {
		if src.slot >= 0 {
			f.vars[src.slot] = e
		}
		more = next()
		return more
	})
	return more
}

// results calls yield with each result of a subquery; it returns false if that
// did, or if the run is to end.
func (s *selection) results(f *frame, yield func(value.Value) bool) bool {
	held := f.held
	defer func() { f.release(f.held - held) }()
	offset, limit := s.offset, s.limit
	if limit == 0 {
		return true
	}
	stopped := false
	// take gives a result to yield; it returns false if no more are wanted.
	take := func(v value.Value) bool {
		if offset > 0 {
			offset--
			return true
		}
		limit--
		stopped = !yield(v)
		return !stopped && limit > 0
	}
	if s.distinct {
		take = s.once(f, take)
	}
	switch {
	case s.grouping != nil:
		s.groupResults(f, take)
	case len(s.order) > 0:
		s.sortedResults(f, take)
	default:
		s.rows(f, func() bool {
			v := s.project.of(f)
			return v.IsUndefined() || take(v)
		})
	}
	return !stopped && f.err == nil
}

// once lets through each value once.
func (s *selection) once(f *frame, take func(value.Value) bool) func(value.Value) bool {
	seen := map[string]bool{}
	var key []byte
	return func(v value.Value) bool {
		key = value.AppendIdentity(key[:0], v)
		if seen[string(key)] {
			return true
		}
		seen[string(key)] = true
		return f.hold(len(key)+groupSize) && take(v)
	}
}

func (s *selection) groupResults(f *frame, take func(value.Value) bool) {
	g := s.grouping
	groups := map[string]*group{}
	var order []*group
	if len(g.keys) == 0 {
		groups[""] = g.newGroup(nil)
		order = append(order, groups[""])
	}
	keys := make([]value.Value, len(g.keys))
	var id []byte
	s.rows(f, func() bool {
		id = id[:0]
		for i, k := range g.keys {
			keys[i] = k(f)
			id = value.AppendIdentity(id, keys[i])
		}
		to := groups[string(id)]
		if to == nil {
			to = g.newGroup(keys)
			groups[string(id)] = to
			order = append(order, to)
			if !f.hold(to.size + 2*len(id)) {
				return false
			}
		}
		return f.hold(g.add(f, to))
	})
	for _, of := range order {
		if f.err != nil {
			return
		}
		g.show(f, of)
		if v := s.project.of(f); !v.IsUndefined() && !take(v) {
			return
		}
	}
}

func (s *selection) sortedResults(f *frame, take func(value.Value) bool) {
	type result struct {
		key   []byte
		value value.Value
	}
	var results []result
	s.rows(f, func() bool {
		key, ok := s.orderKey(f, nil)
		v := s.project.of(f)
		if !ok || v.IsUndefined() {
			return true
		}
		// Twice the key is about what it and the value's own copy take.
		results = append(results, result{key, v.Clone()})
		return f.hold(2*len(key) + groupSize)
	})
	slices.SortStableFunc(results, func(a, b result) int { return bytes.Compare(a.key, b.key) })
	for _, r := range results {
		if f.err != nil || !take(r.value) {
			return
		}
	}
}

// orderKey appends what sorts the current row as ORDER BY wants it; ok is false
// if one of its keys is undefined.
func (s *selection) orderKey(f *frame, dst []byte) (key []byte, ok bool) {
	for _, o := range s.order {
		v := o.expr(f)
		if v.IsUndefined() {
			return dst, false
		}
		from := len(dst)
		dst = value.AppendIdentity(dst, v)
		if o.desc { // no key begins another, so that the complement turns the order
			complement(dst[from:])
		}
	}
	return dst, true
}

func complement(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// subquery compiles a subquery of an expression; use takes its results.
func (c *compiler) subquery(q *sql.Query, s *scope, use func(*selection, *frame) value.Value) (expr, error) {
	sub, err := c.selection(q, s, false)
	if err != nil {
		return nil, err
	}
	c.dynamic++
	return func(f *frame) value.Value { return use(sub, f) }, nil
}

func (s *selection) exists(f *frame) value.Value {
	found := false
	s.results(f, func(value.Value) bool {
		found = true
		return false
	})
	return value.Bool(found)
}

func (s *selection) array(f *frame) value.Value {
	var b value.ArrayBuilder
	s.results(f, func(v value.Value) bool {
		b.Append(v)
		return f.roomFor(b.Size())
	})
	return b.Value()
}

// scalar is the only result; none and several are undefined.
func (s *selection) scalar(f *frame) value.Value {
	var result value.Value
	n := 0
	s.results(f, func(v value.Value) bool {
		result = v
		n++
		return n < 2
	})
	if n != 1 {
		return value.Undefined()
	}
	return result
}

package data

import (
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go"

	"millrace/connector/delta/schema"
)

// source says where in a file the values of a leaf come from. Files of other
// writers need not have the leaf, and may have it at other levels: required
// where the table says that it may be null, or in an array of another form.
type source struct {
	*leaf
	// column is the file's, -1 if all values are null.
	column int
	// proxy tells that the column is another member of the same struct, which
	// shows where the struct itself is there: the leaf is missing.
	proxy bool
	// levels are the leaf's definition levels by those of the column.
	levels []uint8
	// same tells that they are the same.
	same bool
	// rep is the largest repetition level that counts; values of a proxy
	// deeper down do not.
	rep uint8
	// convert makes a value one of the leaf's type; nil if it is.
	convert func(*cell) error
}

// forbidden is the level of nulls where there must be none.
const forbidden = 0xff

// resolver matches the columns of a table with those of a file.
type resolver struct{ sources []source }

// resolve finds the sources of all leaves of l.
func (f *File) resolve(l *layout) ([]source, error) {
	r := &resolver{sources: make([]source, len(l.leaves))}
	err := guard(func() error {
		root := f.file.Root()
		for _, n := range l.top {
			if err := r.child(n, root, []uint8{0}); err != nil {
				return err
			}
		}
		return nil
	})
	return r.sources, err
}

// child matches a column, or a member of a struct, by name.
func (r *resolver) child(n *node, parent *parquet.Column, levels []uint8) error {
	if c := memberNamed(parent, n.name); c != nil {
		return r.match(n, c, enter(levels, c.Optional(), n.nullable), c.Repeated())
	}
	return r.missing(n, parent, levels)
}

// memberNamed finds a member. The case of letters counts only if there are two.
func memberNamed(parent *parquet.Column, name string) *parquet.Column {
	var found *parquet.Column
	for _, c := range parent.Columns() {
		if c.Name() == name {
			return c
		}
		if strings.EqualFold(c.Name(), name) {
			found = c
		}
	}
	return found
}

// enter goes into a field which the file and the table may each allow to be null.
func enter(levels []uint8, optional, nullable bool) []uint8 {
	last := len(levels) - 1
	out := append([]uint8(nil), levels...)
	there := levels[last]
	if nullable {
		there++
	}
	if !optional {
		out[last] = there
		return out
	}
	if !nullable {
		out[last] = forbidden
	}
	return append(out, there)
}

// repeat goes into a repeated field.
func repeat(levels []uint8) []uint8 {
	return append(append([]uint8(nil), levels...), levels[len(levels)-1]+1)
}

// match matches a field and all below it. levels are those at which c is there.
func (r *resolver) match(n *node, c *parquet.Column, levels []uint8, repeated bool) error {
	switch n.typ.(type) {
	case *schema.Array:
		return r.array(n, c, levels, repeated)
	case *schema.Map:
		return r.keysAndValues(n, c, levels, repeated)
	case *schema.Struct:
		if c.Leaf() || repeated {
			return mismatch(n, c)
		}
		for _, m := range n.children {
			if err := r.child(m, c, levels); err != nil {
				return err
			}
		}
		return nil
	}
	if !c.Leaf() || repeated {
		return mismatch(n, c)
	}
	convert, err := conversion(c.Type(), n.leaf)
	if err != nil {
		return err
	}
	s := source{leaf: n.leaf, column: c.Index(), levels: levels, rep: n.leaf.rep, convert: convert}
	s.same = true
	for have, want := range levels {
		s.same = s.same && have == int(want)
	}
	r.sources[n.leaf.index] = s
	return nil
}

func mismatch(n *node, c *parquet.Column) error {
	return fmt.Errorf("column %s: the table has %s, but the file has %s", strings.Join(c.Path(), "."), n.typ, c)
}

// array matches the forms that arrays have had: the usual group of a group of
// elements; a group of elements that are the repeated field itself; and a
// repeated field without any group.
func (r *resolver) array(n *node, c *parquet.Column, levels []uint8, repeated bool) error {
	element := n.children[0]
	list := c
	if !repeated {
		if c.Leaf() || len(c.Columns()) != 1 || !c.Columns()[0].Repeated() {
			return mismatch(n, c)
		}
		list = c.Columns()[0]
	}
	levels = repeat(levels)
	if !repeated && !list.Leaf() && len(list.Columns()) == 1 &&
		list.Name() != "array" && list.Name() != c.Name()+"_tuple" && !list.Columns()[0].Repeated() {
		inner := list.Columns()[0]
		return r.match(element, inner, enter(levels, inner.Optional(), element.nullable), false)
	}
	return r.match(element, list, enter(levels, false, element.nullable), false)
}

func (r *resolver) keysAndValues(n *node, c *parquet.Column, levels []uint8, repeated bool) error {
	pairs := c
	if !repeated {
		if c.Leaf() || len(c.Columns()) != 1 || !c.Columns()[0].Repeated() {
			return mismatch(n, c)
		}
		pairs = c.Columns()[0]
	}
	if pairs.Leaf() || len(pairs.Columns()) != 2 {
		return mismatch(n, c)
	}
	levels = repeat(levels)
	for i, part := range n.children {
		inner := pairs.Columns()[i]
		// Keys are never null, although some writers call them optional.
		if err := r.match(part, inner, enter(levels, inner.Optional(), part.nullable), inner.Repeated()); err != nil {
			return err
		}
	}
	return nil
}

// missing makes a field that the file does not have null in all rows.
func (r *resolver) missing(n *node, parent *parquet.Column, levels []uint8) error {
	if !n.nullable {
		return fmt.Errorf("the file has no column %s, which must not be null", n.name)
	}
	s := source{column: -1, proxy: true}
	if len(parent.Path()) > 0 {
		witness := shallowest(parent)
		s.column, s.rep = witness.Index(), uint8(parent.MaxRepetitionLevel())
		// Wherever the struct is there, the field is not.
		s.levels = append([]uint8(nil), levels...)
		for len(s.levels) <= witness.MaxDefinitionLevel() {
			s.levels = append(s.levels, levels[len(levels)-1])
		}
	}
	for _, f := range leavesBelow(n) {
		of := s
		of.leaf = f
		r.sources[f.index] = of
	}
	return nil
}

// shallowest returns the leaf below c that is in the fewest arrays.
func shallowest(c *parquet.Column) *parquet.Column {
	if c.Leaf() {
		return c
	}
	var best *parquet.Column
	for _, m := range c.Columns() {
		if found := shallowest(m); best == nil || found.MaxRepetitionLevel() < best.MaxRepetitionLevel() {
			best = found
		}
	}
	return best
}

func leavesBelow(n *node) []*leaf {
	if n.leaf != nil {
		return []*leaf{n.leaf}
	}
	var out []*leaf
	for _, m := range n.children {
		out = append(out, leavesBelow(m)...)
	}
	return out
}

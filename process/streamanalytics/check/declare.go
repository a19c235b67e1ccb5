package check

import (
	"slices"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
)

// reads calls visit for every input or step that a query reads from.
func reads(n syntax.Node, visit func(*syntax.Ident)) {
	syntax.Inspect(n, func(n syntax.Node) bool {
		if in, ok := n.(*syntax.Input); ok {
			visit(in.Name)
		}
		return true
	})
}

// usedSteps finds the steps that some statement needs, by folded name.
func usedSteps(script *syntax.Script) map[string]bool {
	queries := map[string]syntax.Query{}
	var todo []string
	for _, s := range script.Statements {
		switch s := s.(type) {
		case *syntax.With:
			for _, step := range s.Steps {
				if name := fold(step.Name.Name); queries[name] == nil {
					queries[name] = step.Query
				}
			}
		case *syntax.QueryStatement:
			reads(s, func(name *syntax.Ident) { todo = append(todo, fold(name.Name)) })
		}
	}
	used := map[string]bool{}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if used[name] {
			continue
		}
		used[name] = true
		if q := queries[name]; q != nil {
			reads(q, func(name *syntax.Ident) { todo = append(todo, fold(name.Name)) })
		}
	}
	return used
}

// declarations checks the CREATE TABLEs and notes the names of all steps.
func (c *checker) declarations(script *syntax.Script) {
	var read []string
	reads(script, func(name *syntax.Ident) { read = append(read, name.Name) })
	for _, s := range script.Statements {
		if w, ok := s.(*syntax.With); ok {
			for _, step := range w.Steps {
				if c.later[fold(step.Name.Name)] == nil {
					c.later[fold(step.Name.Name)] = step.Name
				}
			}
		}
	}
	for _, s := range script.Statements {
		if t, ok := s.(*syntax.CreateTable); ok {
			c.createTable(t, read)
		}
	}
}

func (c *checker) createTable(t *syntax.CreateTable, read []string) {
	name := t.Name.Name
	if before := c.declared[fold(name)]; before != nil {
		c.report(t.Name, "", "%s has two CREATE TABLE; the first one is at %s", quote(name), before.Pos())
		return
	}
	c.declared[fold(name)] = t
	_, known := c.known(name)
	if !known && (!c.o.AnyInput || !containsFold(read, name)) {
		candidates := read
		for n := range c.o.Inputs {
			candidates = append(candidates, n)
		}
		slices.Sort(candidates)
		c.report(t.Name, near(name, candidates), "there is no input named %s", quote(name))
	}
	if len(t.Columns) == 0 {
		c.report(t.Name, "", "CREATE TABLE names no columns")
	}
	if (&binder{c: c}).tooMany(len(t.Columns), maxItems, t.Name, "columns in one CREATE TABLE") {
		return
	}
	seen := map[string]bool{}
	for _, col := range t.Columns {
		if seen[fold(col.Name.Name)] {
			c.report(col.Name, "", "%s is declared twice", quote(col.Name.Name))
		}
		seen[fold(col.Name.Name)] = true
	}
}

// unionSource puts the inputs of FROM a UNION b together.
func (c *checker) unionSource(s *syntax.UnionSource) *entry {
	var sides []*entry
	var at []syntax.Node
	ok := true
	var collect func(s syntax.Source)
	collect = func(s syntax.Source) {
		if u, is := s.(*syntax.UnionSource); is {
			collect(u.Left)
			collect(u.Right)
			return
		}
		e := c.leaf(s)
		switch {
		case e == nil:
			ok = false
			return
		case e.reference:
			c.report(s, "", "%s is reference data, and UNION takes streams", quote(e.alias))
			ok = false
			return
		}
		sides = append(sides, e)
		at = append(at, s)
	}
	collect(s)
	if !ok {
		return nil
	}
	var rows []relation
	for _, e := range sides {
		rows = append(rows, e.rows)
	}
	all := c.union(rows, at, false, s.OpPos)
	if all == nil {
		return nil
	}
	out := &entry{rows: all, top: all.node(), time: &plan.Timestamp{}, pos: s}
	c.unionPartition(s, sides, at, out)
	return out
}

// unionPartition keeps the partitions of inputs that all have the same number.
func (c *checker) unionPartition(s *syntax.UnionSource, sides []*entry, at []syntax.Node, out *entry) {
	partitioned := 0
	for i, e := range sides {
		if len(e.partition) > 0 {
			partitioned++
		}
		if e.into != sides[0].into || len(e.partition) != len(sides[0].partition) {
			c.report(at[i], "give all of them the same PARTITION BY ... INTO", "the inputs of a UNION have the same number of partitions")
			return
		}
	}
	if partitioned != len(sides) {
		return
	}
	var first *syntax.PartitionBy
	switch x := at[0].(type) {
	case *syntax.Input:
		first = x.PartitionBy
	case *syntax.Derived:
		first = x.PartitionBy
	}
	out.alias = sides[0].alias
	c.partitionBy(out, first)
	out.alias = ""
}

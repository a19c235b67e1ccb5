package check

import (
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// joined makes the nodes of FROM. Entries that it has passed know where their
// slots and times are in the rows of the node it returns; nil if something is
// wrong, which it reports.
func (sel *selection) joined(s syntax.Source, leaves map[syntax.Source]*entry) plan.Node {
	node, _ := sel.joinedEntries(s, leaves)
	return node
}

func (sel *selection) joinedEntries(s syntax.Source, leaves map[syntax.Source]*entry) (plan.Node, []*entry) {
	switch s := s.(type) {
	case *syntax.Apply:
		node, entries := sel.joinedEntries(s.Left, leaves)
		if node == nil {
			return nil, nil
		}
		return sel.apply(s, node, entries, leaves[s]), append(entries, leaves[s])
	case *syntax.Join:
		left, entries := sel.joinedEntries(s.Left, leaves)
		right := leaves[s.Right]
		if left == nil || right == nil {
			return nil, nil
		}
		node := sel.join(s, left, entries, right)
		return node, append(entries, right)
	}
	e := leaves[s]
	if e == nil {
		return nil, nil
	}
	if e.reference {
		join, ok := sel.s.From.(*syntax.Join)
		for ok && join.Left != s {
			join, ok = join.Left.(*syntax.Join)
		}
		if !ok || join.Kind == syntax.LeftJoin || leaves[join.Right] == nil || leaves[join.Right].reference {
			sel.c.report(s, "read from a stream and JOIN it", "%s is reference data, which has no events of its own", quote(e.alias))
			return nil, nil
		}
	}
	return e.top, []*entry{e}
}

// within is a binder for the rows of some entries.
func (sel *selection) within(clause string, entries []*entry) *binder {
	b := sel.binder(clause)
	b.scope = &scope{entries: entries}
	return b
}

// refOnly tells that a scope has nothing but reference data.
func (s *scope) refOnly() bool {
	for _, e := range s.entries {
		if !e.reference {
			return false
		}
	}
	return len(s.entries) > 0
}

func (sel *selection) applyEntry(s *syntax.Apply) *entry {
	rows := &fixedRows{}
	e := &entry{rows: rows, applied: true, pos: s.Call}
	if s.Alias != nil {
		e.alias, e.pos = s.Alias.Name, s.Alias
	}
	names := []string{"PropertyName", "PropertyValue"}
	if len(s.Call.Name) == 1 && isName(s.Call.Name[0], "GetArrayElements") {
		names = []string{"ArrayIndex", "ArrayValue"}
		slot := &plan.Slot{}
		sel.c.kinds[slot] = value.BigInt
		rows.cols = append(rows.cols, plan.Column{Name: names[0], Expr: slot})
	} else {
		slot := &plan.Slot{}
		sel.c.kinds[slot] = value.String
		rows.cols = append(rows.cols, plan.Column{Name: names[0], Expr: slot})
	}
	rows.cols = append(rows.cols, plan.Column{Name: names[1], Expr: &plan.Slot{}})
	return e
}

func (sel *selection) apply(s *syntax.Apply, left plan.Node, entries []*entry, e *entry) plan.Node {
	c := sel.c
	elements := isName(s.Call.Name[0], "GetArrayElements")
	if len(s.Call.Name) > 1 || !elements && !isName(s.Call.Name[0], "GetRecordProperties") {
		hint := near(called(s.Call), []string{"GetArrayElements", "GetRecordProperties"})
		if hint == "" {
			hint = "there are GetArrayElements and GetRecordProperties"
		}
		c.report(s.Call, hint, "APPLY does not take %s", quote(called(s.Call)))
		return nil
	}
	if len(s.Call.Args) != 1 {
		c.report(s.Call, "", "%s takes 1 argument, not %d", called(s.Call), len(s.Call.Args))
		return nil
	}
	b := sel.within("APPLY", entries)
	over := b.expr(s.Call.Args[0])
	want := value.Record
	if elements {
		want = value.Array
	}
	if k := c.kindOf(over); k != value.Null && k != want {
		c.report(s.Call.Args[0], "", "%s takes %s, not %s", called(s.Call), want, k)
	}
	node := &plan.Apply{Common: plan.Common{Inputs: []plan.Node{left}}, Outer: s.Outer, Elements: elements, Over: over}
	rows := e.rows.(*fixedRows)
	rows.of = node
	e.top = node
	c.add(node, s.OpPos, func() {
		width := left.Head().Width
		for i, col := range rows.cols {
			col.Expr.(*plan.Slot).Index = width + i
		}
		node.Width = width + len(rows.cols)
	})
	return node
}

func (sel *selection) join(s *syntax.Join, left plan.Node, entries []*entry, right *entry) plan.Node {
	if len(entries) == 1 && entries[0].reference {
		// An INNER JOIN has no sides: the stream goes to the left.
		return sel.referenceJoin(s, right.top, []*entry{right}, entries[0])
	}
	if right.reference {
		return sel.referenceJoin(s, left, entries, right)
	}
	return sel.streamJoin(s, left, entries, right)
}

func (sel *selection) referenceJoin(s *syntax.Join, left plan.Node, entries []*entry, ref *entry) plan.Node {
	c := sel.c
	sel.scope.refs = true
	ref.shift = &shifter{left: left, all: c.moved, moved: map[*plan.Slot]*plan.Slot{}}
	src := ref.source
	node := &plan.ReferenceJoin{Common: plan.Common{Inputs: []plan.Node{left}}, Kind: s.Kind, Ref: src.src}
	if s.On != nil {
		both := append(append([]*entry{}, entries...), ref)
		node.On = sel.within("ON", both).cond(s.On)
		for _, part := range chain(s.On, syntax.And) {
			if d := datediff(part); d != nil {
				c.report(d, "leave it out", "a JOIN with reference data has no bound in time")
			}
		}
		node.LeftKeys, node.RightKeys = sel.equalities(s.On, entries, ref)
	}
	if v, ok := ref.rows.(*viewRows); ok && v.where != nil {
		node.On = both(node.On, mapCondSlots(v.where, ref.shift.slot))
	}
	for _, e := range entries {
		if len(e.partition) > 0 {
			node.Partition = sel.liftedPartition(e)
			break
		}
	}
	c.add(node, s.OpPos, func() {
		src.fix()
		ref.shift.fix()
		node.Width = left.Head().Width + src.src.Width
	})
	return node
}

func (sel *selection) liftedPartition(e *entry) []plan.Expr {
	var keys []plan.Expr
	for _, x := range e.partition {
		keys = append(keys, e.lift(sel.c, x))
	}
	return keys
}

func (sel *selection) streamJoin(s *syntax.Join, left plan.Node, entries []*entry, right *entry) plan.Node {
	c := sel.c
	sel.scope.streams = true
	if s.Kind == syntax.CrossJoin {
		c.report(right.pos, "write JOIN ... ON with DATEDIFF", "CROSS JOIN takes reference data on its right side, and %s is a stream", quote(right.alias))
		return nil
	}
	right.shift = &shifter{left: left, all: c.moved, moved: map[*plan.Slot]*plan.Slot{}}
	leftTime, rightTime := &plan.Slot{}, &plan.Slot{}
	c.kinds[leftTime], c.kinds[rightTime] = value.DateTime, value.DateTime
	for _, e := range entries {
		if _, own := e.time.(*plan.Timestamp); own {
			e.time = leftTime
		}
	}
	right.time = rightTime
	both := append(append([]*entry{}, entries...), right)
	node := &plan.Join{Common: plan.Common{Inputs: []plan.Node{left, right.top}}, Kind: s.Kind}
	errors := len(c.diags)
	low, high, wait, found := sel.bounds(s.On, entries, right)
	if !found && len(c.diags) == errors {
		c.reportSpan(syntax.Span{Start: s.On.Pos(), Stop: s.On.End()},
			"add AND DATEDIFF(minute, "+entries[0].alias+", "+right.alias+") BETWEEN 0 AND 5",
			"a JOIN of streams needs a bound in time")
	}
	node.Low, node.High, node.Wait = low, high, max(0, wait)
	node.On = sel.within("ON", both).cond(s.On)
	node.LeftKeys, node.RightKeys = sel.equalities(s.On, entries, right)
	sel.samePartitions(s, entries, right, node)
	for _, e := range entries {
		e.behind += max(0, high)
	}
	right.behind = max(0, -low)
	c.add(node, s.OpPos, func() {
		right.shift.fix()
		width := left.Head().Width + right.top.Head().Width
		leftTime.Index, rightTime.Index = width, width+1
		node.Width = width + 2
	})
	return node
}

// samePartitions reports a JOIN of partitioned inputs that does not compare
// their keys: rows that could match would be in different partitions.
func (sel *selection) samePartitions(s *syntax.Join, entries []*entry, right *entry, node *plan.Join) {
	var left *entry
	for _, e := range entries {
		if len(e.partition) > 0 {
			left = e
			break
		}
	}
	if left == nil || len(right.partition) == 0 {
		return
	}
	node.Partition = left.partition
	if left.into != right.into {
		sel.c.report(right.pos, "give both the same INTO", "%s and %s have different numbers of partitions", quote(left.alias), quote(right.alias))
		return
	}
	for i := range min(len(left.partition), len(right.partition)) {
		found := false
		for j := range node.LeftKeys {
			found = found || identity(node.LeftKeys[j]) == identity(left.partition[i]) && identity(node.RightKeys[j]) == identity(right.partition[i])
		}
		if !found {
			sel.c.report(s.On, "add AND with an equality of the keys of PARTITION BY", "%s and %s are partitioned, so ON has to compare their partition keys", quote(left.alias), quote(right.alias))
			return
		}
	}
}

// equalities finds the parts of ON that compare an expression over the left
// rows with one over the right ones.
func (sel *selection) equalities(on syntax.Expr, entries []*entry, right *entry) (leftKeys, rightKeys []plan.Expr) {
	c := sel.c
	for _, part := range chain(on, syntax.And) {
		eq, ok := syntax.Unparen(part).(*syntax.Binary)
		if !ok || eq.Op != syntax.Equal {
			continue
		}
		x, y := eq.X, eq.Y
		sideX, sideY := sel.side(x, entries, right), sel.side(y, entries, right)
		if sideX == rightSide && sideY == leftSide {
			x, y = y, x
			sideX, sideY = sideY, sideX
		}
		if sideX != leftSide || sideY != rightSide {
			continue
		}
		l := sel.within("ON", entries)
		r := sel.within("ON", []*entry{right})
		r.only = right
		left, other := l.expr(x), r.expr(y)
		// A text equals a datetime that it stands for, but has another key.
		if (c.kindOf(left) == value.DateTime) != (c.kindOf(other) == value.DateTime) {
			continue
		}
		leftKeys, rightKeys = append(leftKeys, left), append(rightKeys, other)
	}
	return leftKeys, rightKeys
}

type sideOf uint8

const (
	noSide sideOf = iota
	leftSide
	rightSide
	bothSides
)

// side tells whose columns x is made of. What depends on times, which the
// joined row has others of, belongs to no side.
func (sel *selection) side(x syntax.Expr, entries []*entry, right *entry) sideOf {
	both := &scope{entries: append(append([]*entry{}, entries...), right)}
	side := noSide
	timed := false
	syntax.Inspect(x, func(n syntax.Node) bool {
		if e, ok := n.(syntax.Expr); ok && isTimestamp(e) {
			timed = true
			return false
		}
		col, ok := n.(*syntax.Column)
		if !ok {
			return true
		}
		e := both.quietly(col.Path)
		switch {
		case e == nil:
			side = bothSides
		case len(col.Path) == 1 && both.byAlias(col.Path[0].Name) != nil:
			timed = true
		case e == right && (side == noSide || side == rightSide):
			side = rightSide
		case e != right && (side == noSide || side == leftSide):
			side = leftSide
		default:
			side = bothSides
		}
		return true
	})
	if timed {
		return bothSides
	}
	return side
}

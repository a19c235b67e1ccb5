package check

import (
	"fmt"
	"slices"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// from brings together what FROM names. It finds all entries first, then puts
// the analytic functions directly above the input that they look at, and joins
// then.
func (sel *selection) from() bool {
	sel.scope = &scope{}
	errors := len(sel.c.diags)
	leaves := map[syntax.Source]*entry{}
	if !sel.leaves(sel.s.From, leaves) {
		return false
	}
	if sel.binder("FROM").tooMany(len(sel.scope.entries), maxInputs, sel.s.From, "inputs in one FROM") {
		return false
	}
	sel.checkAliases()
	sel.analyticBelow()
	sel.node = sel.joined(sel.s.From, leaves)
	if sel.node == nil {
		if len(sel.c.diags) == errors {
			sel.c.report(sel.s.From, "", "this cannot be read from")
		}
		return false
	}
	sel.analyticAbove()
	sel.scope.node = sel.node
	return true
}

// leaves finds the inputs, steps, derived tables and patterns of FROM, from
// left to right; APPLYs become entries as well.
func (sel *selection) leaves(s syntax.Source, leaves map[syntax.Source]*entry) bool {
	switch s := s.(type) {
	case *syntax.Join:
		left := sel.leaves(s.Left, leaves)
		return sel.leaves(s.Right, leaves) && left
	case *syntax.Apply:
		ok := sel.leaves(s.Left, leaves)
		e := sel.applyEntry(s)
		leaves[s] = e
		sel.scope.entries = append(sel.scope.entries, e)
		return ok
	}
	e := sel.c.leaf(s)
	if e == nil {
		return false
	}
	leaves[s] = e
	sel.scope.entries = append(sel.scope.entries, e)
	return true
}

func (sel *selection) checkAliases() {
	for i, e := range sel.scope.entries {
		for _, before := range sel.scope.entries[:i] {
			if e.alias != "" && fold(e.alias) == fold(before.alias) {
				sel.c.report(e.pos, "give each its own name with AS", "two inputs of this FROM are called %s", quote(e.alias))
			}
		}
	}
}

// leaf checks what stands in FROM on its own.
func (c *checker) leaf(s syntax.Source) *entry {
	switch s := s.(type) {
	case *syntax.Input:
		return c.inputEntry(s)
	case *syntax.Derived:
		if s.TimestampBy != nil {
			c.report(s.TimestampBy, "put it behind the input inside of the query", "TIMESTAMP BY can only stand behind an input")
		}
		rows := c.query(s.Query)
		if rows == nil {
			return nil
		}
		e := &entry{rows: rows, top: rows.node(), time: &plan.Timestamp{}, pos: s}
		if s.Alias != nil {
			e.alias, e.pos = s.Alias.Name, s.Alias
		}
		c.partitionBy(e, s.PartitionBy)
		return e
	case *syntax.UnionSource:
		return c.unionSource(s)
	case *syntax.MatchRecognize:
		return c.match(s)
	}
	return nil
}

func (c *checker) inputEntry(s *syntax.Input) *entry {
	e := &entry{alias: s.Name.Name, time: &plan.Timestamp{}, pos: s}
	if s.Alias != nil {
		e.alias, e.pos = s.Alias.Name, s.Alias
		if fold(s.Alias.Name) != fold(s.Name.Name) {
			e.original = s.Name.Name
		}
	}
	if st, ok := c.steps[fold(s.Name.Name)]; ok {
		if s.TimestampBy != nil {
			c.report(s.TimestampBy, "put it behind the input that the step reads", "%s is a step, and TIMESTAMP BY can only stand behind an input", quote(st.name.Name))
		}
		if st.rows == nil {
			return nil
		}
		e.rows = st.rows
		if v, ok := st.rows.(*viewRows); ok {
			e.source, e.reference, e.time = v.src, true, nil
		}
	} else {
		src := c.source(s)
		if src == nil {
			return nil
		}
		e.rows, e.source = src, src
		if src.src.Input.Kind == plan.Reference {
			e.reference, e.time = true, nil
		}
	}
	e.top = e.rows.node()
	c.partitionBy(e, s.PartitionBy)
	return e
}

// partitionBy binds the keys of PARTITION BY over the entry's own rows.
func (c *checker) partitionBy(e *entry, by *syntax.PartitionBy) {
	if by == nil {
		return
	}
	if e.reference {
		c.report(by, "leave it out", "reference data has no partitions")
		return
	}
	b := &binder{c: c, scope: &scope{entries: []*entry{e}, node: e.top}, clause: "PARTITION BY"}
	if b.tooMany(len(by.Keys), maxKeys, by, "keys in PARTITION BY") {
		return
	}
	for _, key := range by.Keys {
		x := e.carriedKey(key)
		if x == nil {
			x = b.expr(key)
		}
		e.partition = append(e.partition, x)
		name := ""
		if col, ok := syntax.Unparen(key).(*syntax.Column); ok {
			name = fold(col.Path[len(col.Path)-1].Name)
		}
		e.partitionNames = append(e.partitionNames, name)
	}
	e.into = by.Into
	if by.Into == 1 {
		c.report(by, "leave INTO 1 out, or write a larger number", "a number of partitions is 2 or more")
	}
}

// overUse is one use of an input: with substreams (TIMESTAMP BY ... OVER) or
// without.
type overUse struct {
	over bool
	at   syntax.Node
	name string
}

// checkOvers sees to it that all inputs have substreams, or none.
func (c *checker) checkOvers() {
	with := slices.IndexFunc(c.overs, func(u overUse) bool { return u.over })
	if with < 0 {
		return
	}
	for _, u := range c.overs {
		if !u.over {
			c.report(u.at, "write TIMESTAMP BY ... OVER for this input too, or for none", "%s has no TIMESTAMP BY ... OVER, but %s has", quote(u.name), quote(c.overs[with].name))
		}
	}
}

// source returns the rows of an input; uses of an input with the same clauses
// are one node.
func (c *checker) source(s *syntax.Input) *sourceRows {
	in := c.input(s)
	if in == nil {
		return nil
	}
	rows := c.newSource(in)
	alias := s.Name.Name
	if s.Alias != nil {
		alias = s.Alias.Name
	}
	key := fold(in.Name)
	if by := s.TimestampBy; by != nil {
		if in.Kind == plan.Reference {
			c.report(by, "leave it out", "%s is reference data, which has no time", quote(in.Name))
			return nil
		}
		b := &binder{c: c, scope: &scope{entries: []*entry{{alias: alias, rows: rows, top: rows.src, source: rows, pos: s}}}, clause: "TIMESTAMP BY"}
		// The scope of the key is the source itself, so its canonical text does
		// not depend on aliases.
		key += fmt.Sprint(" by ", b.key(by.Time))
		rows.src.TimestampBy = b.timeExpr(by.Time)
		for _, over := range by.Over {
			key += fmt.Sprint(" over ", b.key(over))
			b.clause = "OVER"
			rows.src.Over = append(rows.src.Over, b.expr(over))
		}
	}
	if in.Kind == plan.Stream {
		c.uses = append(c.uses, streamUse{c.step, s, in, s.PartitionBy != nil})
		c.overs = append(c.overs, overUse{s.TimestampBy != nil && len(s.TimestampBy.Over) > 0, s, in.Name})
	}
	if same, ok := c.sources[key]; ok {
		return same
	}
	c.sources[key] = rows
	rows.src.Pos = s.Pos()
	if in.Kind == plan.Stream {
		c.addRows(rows.src, rows, s.Pos(), rows.fix)
	} else {
		c.references = append(c.references, rows)
	}
	return rows
}

func (c *checker) newSource(in *plan.Input) *sourceRows {
	rows := &sourceRows{
		c: c, src: &plan.Source{Input: in, Payload: -1}, index: map[string]int{}, meta: map[string]*plan.Slot{},
		kinds: map[string]value.Kind{},
	}
	var declared []string
	for _, d := range in.Declared {
		declared = append(declared, d.Name)
		rows.kinds[d.Name] = d.Kind
	}
	if known, ok := c.known(in.Name); ok && declared == nil {
		declared = known.Columns
	}
	if declared != nil {
		rows.close(declared)
	}
	return rows
}

// known returns what the options say of an input.
func (c *checker) known(name string) (Input, bool) {
	if in, ok := c.o.Inputs[name]; ok {
		return in, true
	}
	for n, in := range c.o.Inputs {
		if fold(n) == fold(name) {
			return in, true
		}
	}
	return Input{}, false
}

// input returns the input of that name; nil if there is none, which it reports.
func (c *checker) input(s *syntax.Input) *plan.Input {
	name := s.Name.Name
	if in, ok := c.inputs[fold(name)]; ok {
		return in
	}
	info, ok := c.known(name)
	if !ok && !c.o.AnyInput {
		c.unknownInput(s.Name)
		return nil
	}
	if later, ok := c.later[fold(name)]; ok && c.step != later.Name && later.Start.Offset > s.Start.Offset {
		if _, isInput := c.known(name); !isInput {
			c.report(s.Name, "put it before the one that reads it", "the step %s is defined later, at %s", quote(name), later.Pos())
			return nil
		}
	}
	in := &plan.Input{Name: name, Kind: info.Kind, PartitionKey: info.PartitionKey}
	if table := c.declared[fold(name)]; table != nil {
		for _, col := range table.Columns {
			in.Declared = append(in.Declared, plan.Declared{Name: c.spelled(col.Name.Name), Kind: kindOfType(col.Type.Type)})
		}
	}
	c.inputs[fold(name)] = in
	c.order = append(c.order, in)
	return in
}

func (c *checker) unknownInput(name *syntax.Ident) {
	if later, ok := c.later[fold(name.Name)]; ok {
		if fold(c.step) == fold(name.Name) {
			c.report(name, "", "the step %s cannot read from itself", quote(name.Name))
			return
		}
		c.report(name, "put it before the one that reads it", "the step %s is defined later, at %s", quote(name.Name), later.Pos())
		return
	}
	suggestion := near(name.Name, c.readable())
	if all := c.readable(); suggestion == "" && len(all) > 0 && len(all) <= 12 {
		suggestion = "there are " + joined(all)
	}
	c.report(name, suggestion, "there is no input or step named %s", quote(name.Name))
}

// readable returns the names that FROM can have.
func (c *checker) readable() []string {
	var names []string
	for n := range c.o.Inputs {
		names = append(names, n)
	}
	for _, st := range c.steps {
		names = append(names, st.name.Name)
	}
	slices.Sort(names)
	return names
}

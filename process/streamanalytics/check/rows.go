package check

import (
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// relation is what a name in FROM stands for: the rows of a node, whose columns
// are found by name. Expressions that it returns are over that node's rows;
// their slots get their numbers when all columns are known.
type relation interface {
	node() plan.Node
	// column returns the column of that name, nil if there is surely none.
	column(name string) plan.Expr
	// star returns what * stands for.
	star() []plan.Column
	// has tells whether there surely is a column of that name.
	has(name string) bool
	// names returns the columns known by name; open tells that there may be
	// others.
	names() (names []string, open bool)
	// layout returns the columns by slot, where rows are those of a Project.
	layout() []plan.Column
}

// sourceRows are the rows of an input.
type sourceRows struct {
	c      *checker
	src    *plan.Source
	fields []*plan.Slot
	index  map[string]int
	// meta are the slots of src.Meta by kind and name, added by place.
	meta  map[string]*plan.Slot
	added []*plan.Slot
	whole *plan.Slot
	// closed are all columns of the input, nil if they are not known; spelling
	// finds them by their folded names.
	closed   []string
	spelling map[string]string
	kinds    map[string]value.Kind
}

// system are the columns that the service adds to an event.
func system(name string) (plan.MetaKind, bool) {
	switch fold(name) {
	case "eventenqueuedutctime":
		return plan.MetaEnqueued, true
	case "eventprocessedutctime":
		return plan.MetaProcessed, true
	case "partitionid":
		return plan.MetaPartitionID, true
	case "iothub":
		return plan.MetaProperty, true
	}
	return 0, false
}

// fix numbers the slots: fields, the whole event, what was added to it.
func (s *sourceRows) fix() {
	n := 0
	for _, slot := range s.fields {
		slot.Index = n
		n++
	}
	s.src.Payload = -1
	if s.whole != nil {
		s.whole.Index, s.src.Payload = n, n
		n++
	}
	for i, slot := range s.added {
		slot.Index, s.src.Meta[i].Slot = n, n
		n++
	}
	s.src.Width = n
}

func (s *sourceRows) node() plan.Node { return s.src }

func (s *sourceRows) field(name string) *plan.Slot {
	if i, ok := s.index[name]; ok {
		return s.fields[i]
	}
	slot := &plan.Slot{}
	s.index[name] = len(s.fields)
	s.fields = append(s.fields, slot)
	s.src.Fields = append(s.src.Fields, name)
	if k, ok := s.kinds[name]; ok {
		s.c.kinds[slot] = k
	}
	return slot
}

// property returns the slot of what does not come from the event's text.
func (s *sourceRows) property(kind plan.MetaKind, name string) *plan.Slot {
	if kind != plan.MetaProperty {
		name = ""
	}
	key := string(rune('0'+kind)) + fold(name)
	slot, ok := s.meta[key]
	if !ok {
		slot = &plan.Slot{}
		s.meta[key] = slot
		s.added = append(s.added, slot)
		s.src.Meta = append(s.src.Meta, plan.Meta{Kind: kind, Name: name})
		switch kind {
		case plan.MetaEnqueued, plan.MetaProcessed:
			s.c.kinds[slot] = value.DateTime
		case plan.MetaPartitionID, plan.MetaOffset:
			s.c.kinds[slot] = value.BigInt
		case plan.MetaProperty:
		}
	}
	return slot
}

func (s *sourceRows) column(name string) plan.Expr {
	if n, ok := s.spelling[fold(name)]; ok {
		return s.field(n)
	}
	kind, ok := system(name)
	ok = ok && s.src.Input.Kind == plan.Stream
	switch {
	case ok && s.closed == nil:
		// Events that have been written to a file may hold it themselves.
		return firstOf(s.field(name), s.property(kind, name))
	case ok:
		return s.property(kind, name)
	case s.closed != nil:
		return nil
	}
	return s.field(name)
}

// firstOf is x, or where that is NULL y.
func firstOf(x, y plan.Expr) plan.Expr {
	return &plan.Case{Whens: []plan.When{{Cond: &plan.NotCond{Cond: &plan.IsNull{X: x}}, Then: x}}, Else: y}
}

// event returns the slot of the whole event.
func (s *sourceRows) event() *plan.Slot {
	if s.whole == nil {
		s.whole = &plan.Slot{}
	}
	return s.whole
}

func (s *sourceRows) star() []plan.Column {
	if s.closed == nil {
		return []plan.Column{{Expr: s.event(), Spread: true}}
	}
	var list []plan.Column
	for _, n := range s.closed {
		list = append(list, plan.Column{Name: n, Expr: s.field(n)})
	}
	return list
}

// close says that the source has these columns and no others.
func (s *sourceRows) close(names []string) {
	s.closed, s.spelling = names, map[string]string{}
	for _, n := range names {
		if _, ok := s.spelling[fold(n)]; !ok {
			s.spelling[fold(n)] = n
		}
	}
}

func (s *sourceRows) has(name string) bool {
	if _, ok := s.spelling[fold(name)]; ok {
		return true
	}
	_, added := system(name)
	return added && s.closed != nil && s.src.Input.Kind == plan.Stream
}

func (s *sourceRows) names() ([]string, bool) {
	if s.closed == nil {
		return s.src.Fields, true
	}
	return s.closed, false
}

func (s *sourceRows) layout() []plan.Column { return nil }

// projectRows are the rows of a Project: the result of a SELECT.
type projectRows struct {
	c       *checker
	project *plan.Project
	slots   []*plan.Slot
	// under yields a column of what the i-th column spreads, nil if there is
	// surely none; one entry per column, nil for those that are not spread.
	under []func(name string) plan.Expr
	// hidden are the columns that were asked for through a Spread.
	hidden map[string]*plan.Slot
	// byName are the places of the columns that are written out, by their folded
	// names, open tells that there are others as well.
	byName map[string]int
	open   bool
	// carried yields a key by which the rows below are partitioned; nil if there
	// is none of that folded name. carriedSlots are those that were asked for.
	carried      func(name string) plan.Expr
	carriedSlots map[string]*plan.Slot
}

// project adds a Project above in.
func (c *checker) project(in plan.Node, pos syntax.Pos) *projectRows {
	p := &projectRows{c: c, project: &plan.Project{Common: plan.Common{Inputs: []plan.Node{in}}}, hidden: map[string]*plan.Slot{}, byName: map[string]int{}}
	c.addRows(p.project, p, pos, func() {
		p.project.Width = len(p.slots)
		for i, slot := range p.slots {
			slot.Index = i
		}
	})
	return p
}

// put adds a column behind the others.
func (p *projectRows) put(col plan.Column, under func(string) plan.Expr) *plan.Slot {
	slot := &plan.Slot{}
	if _, ok := p.byName[fold(col.Name)]; !ok && !col.Spread && !col.Hidden {
		p.byName[fold(col.Name)] = len(p.slots)
	}
	p.open = p.open || col.Spread
	p.project.Columns = append(p.project.Columns, col)
	p.slots = append(p.slots, slot)
	p.under = append(p.under, under)
	if k := p.c.kindOf(col.Expr); k != value.Null && !col.Spread {
		p.c.kinds[slot] = k
	}
	return slot
}

func (p *projectRows) node() plan.Node { return p.project }

// written returns the column that is written out under this name, -1 without.
func (p *projectRows) written(name string) int {
	if at, ok := p.byName[fold(name)]; ok {
		return at
	}
	return -1
}

func (p *projectRows) has(name string) bool { return p.written(name) >= 0 }

// column finds a column by the rule that what stands further left wins: one
// that is written out, or a member of what is spread. Members are not known
// before the event comes, so the first one that is not NULL is taken.
func (p *projectRows) column(name string) plan.Expr {
	if slot, ok := p.hidden[name]; ok {
		return slot
	}
	x := p.below(name)
	if slot, ok := x.(*plan.Slot); ok && p.written(name) >= 0 && slot == p.slots[p.written(name)] {
		return slot
	}
	if x == nil {
		return nil
	}
	slot := p.put(plan.Column{Name: name, Expr: x, Hidden: true}, nil)
	p.hidden[name] = slot
	return slot
}

// below returns what the column is over the rows of the Project's input, or
// the Project's own slot if it is simply one of its columns.
func (p *projectRows) below(name string) plan.Expr {
	if at := p.written(name); !p.open {
		if at < 0 {
			return nil
		}
		return p.slots[at]
	}
	var found []plan.Expr
	for i, col := range p.project.Columns {
		if col.Hidden {
			continue
		}
		if !col.Spread {
			if !strings.EqualFold(col.Name, name) {
				continue
			}
			if len(found) == 0 {
				return p.slots[i]
			}
			found = append(found, col.Expr)
			break
		}
		if x := p.under[i](name); x != nil {
			found = append(found, x)
		}
	}
	if len(found) == 0 {
		return nil
	}
	x := found[len(found)-1]
	for i := len(found) - 2; i >= 0; i-- {
		x = firstOf(found[i], x)
	}
	return x
}

func (p *projectRows) star() []plan.Column {
	var list []plan.Column
	for i, col := range p.project.Columns {
		if !col.Hidden {
			list = append(list, plan.Column{Name: col.Name, Expr: p.slots[i], Spread: col.Spread})
		}
	}
	return list
}

func (p *projectRows) names() (names []string, open bool) {
	for _, col := range p.project.Columns {
		switch {
		case col.Spread:
			open = true
		case !col.Hidden:
			names = append(names, col.Name)
		}
	}
	return names, open
}

func (p *projectRows) layout() []plan.Column { return p.project.Columns }

func (p *projectRows) at(i int) *plan.Slot { return p.slots[i] }

// fixedRows are rows with columns that are known: those of MATCH_RECOGNIZE and
// APPLY. The slots are numbered by whoever makes the node.
type fixedRows struct {
	of   plan.Node
	cols []plan.Column
}

func (f *fixedRows) node() plan.Node { return f.of }

func (f *fixedRows) column(name string) plan.Expr {
	for _, col := range f.cols {
		if strings.EqualFold(col.Name, name) {
			return col.Expr
		}
	}
	return nil
}

func (f *fixedRows) has(name string) bool { return f.column(name) != nil }

func (f *fixedRows) star() []plan.Column { return f.cols }

func (f *fixedRows) names() ([]string, bool) {
	var names []string
	for _, col := range f.cols {
		names = append(names, col.Name)
	}
	return names, false
}

func (f *fixedRows) layout() []plan.Column { return nil }

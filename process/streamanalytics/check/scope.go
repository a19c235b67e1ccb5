package check

import (
	"fmt"
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
)

// entry is one input, step, derived table or APPLY of a FROM.
type entry struct {
	// alias is what columns are qualified by; original is the name of the input
	// where the alias is another one.
	alias, original string
	rows            relation
	// top is the node whose rows the entry stands for: that of rows, or one
	// above it that adds slots (Analytic).
	top plan.Node
	// shift moves expressions over top's rows to the joined rows; nil as long
	// as they are the same slots.
	shift *shifter
	// time is the row's time among the joined rows, nil for reference data and
	// the elements of APPLY.
	time plan.Expr
	// behind is how much later than the entry's own row the joined row can be,
	// in ticks.
	behind    int64
	source    *sourceRows
	reference bool
	applied   bool
	// partition are the keys of PARTITION BY over the entry's own rows.
	partition []plan.Expr
	// partitionNames are the folded names of those that are columns, "" for the
	// others.
	partitionNames []string
	into           int
	pos            syntax.Node
}

// shifter moves the slots of a right side behind those of the left one.
type shifter struct {
	left plan.Node
	// all is where the checker finds moved slots of every join.
	all   map[*plan.Slot]*plan.Slot
	moved map[*plan.Slot]*plan.Slot
}

func (s *shifter) slot(from *plan.Slot) *plan.Slot {
	to, ok := s.moved[from]
	if !ok {
		to = &plan.Slot{}
		s.moved[from] = to
		s.all[to] = from
	}
	return to
}

// fix numbers the moved slots, when both sides' slots have their numbers.
func (s *shifter) fix() {
	for from, to := range s.moved {
		to.Index = from.Index + s.left.Head().Width
	}
}

// lift moves an expression over the entry's own rows to the joined rows.
func (e *entry) lift(c *checker, x plan.Expr) plan.Expr {
	if e.shift == nil {
		return x
	}
	return mapSlots(x, func(from *plan.Slot) *plan.Slot {
		to := e.shift.slot(from)
		if k, ok := c.kinds[from]; ok {
			c.kinds[to] = k
		}
		return to
	})
}

// scope is what a SELECT's FROM brings together.
type scope struct {
	entries []*entry
	// node yields the joined rows.
	node plan.Node
	// streams tells that two streams are joined, refs that reference data is.
	streams, refs bool
	// keys remembers the numbers of expressions over this scope, see key.
	keys map[syntax.Expr]int
}

// byAlias finds an entry by what its columns are qualified by.
func (s *scope) byAlias(name string) *entry {
	for _, e := range s.entries {
		if strings.EqualFold(e.alias, name) {
			return e
		}
	}
	return nil
}

// renamed finds an entry whose own name is not to be used, as it has an alias.
func (s *scope) renamed(name string) *entry {
	for _, e := range s.entries {
		if e.original != "" && strings.EqualFold(e.original, name) {
			return e
		}
	}
	return nil
}

// find tells whose column a path is: the entry and the names from the column
// on, which are none if the path is the entry itself. It reports what it can
// not find and then returns nil.
func (s *scope) find(c *checker, path []*syntax.Ident) (*entry, []*syntax.Ident) {
	first := path[0]
	if e := s.byAlias(first.Name); e != nil {
		if len(path) > 1 || !e.has(first.Name) {
			return e, path[1:]
		}
		return e, path
	}
	if e := s.renamed(first.Name); e != nil && len(path) > 1 && !e.has(first.Name) {
		c.report(first, fmt.Sprintf("write %s.%s", e.alias, path[1].Name), "%s is called %s in this query", quote(e.original), quote(e.alias))
		return nil, nil
	}
	var sure, open []*entry
	for _, e := range s.entries {
		if e.has(first.Name) {
			sure = append(sure, e)
		} else if e.open() {
			open = append(open, e)
		}
	}
	if len(sure) == 0 {
		sure = open
	}
	switch len(sure) {
	case 0:
		c.unknownColumn(s.entries, first)
		return nil, nil
	case 1:
		return sure[0], path
	}
	var choices []string
	for _, e := range sure {
		choices = append(choices, e.alias+"."+first.Name)
	}
	c.report(first, "write "+strings.Join(choices, " or "), "it is not clear which input %s belongs to", quote(first.Name))
	return nil, nil
}

// has tells whether the entry surely has a column of that name.
func (e *entry) has(name string) bool { return e.rows.has(name) }

// open tells whether the entry may have columns that are not known.
func (e *entry) open() bool {
	switch rows := e.rows.(type) {
	case *sourceRows:
		return rows.closed == nil
	case *projectRows:
		return rows.open
	case *unionRows:
		return rows.sides[0].open
	case *viewRows:
		return rows.open()
	}
	return false
}

func (c *checker) unknownColumn(entries []*entry, name *syntax.Ident) {
	if c.full() {
		return
	}
	var known []string
	var of []string
	for _, e := range entries {
		names, _ := e.rows.names()
		known = append(known, names...)
		of = append(of, quote(e.alias))
		if e.source != nil && e.source.src.Input.Kind == plan.Stream {
			known = append(known, "EventEnqueuedUtcTime", "EventProcessedUtcTime", "PartitionId")
		}
	}
	suggestion := near(name.Name, known)
	if suggestion == "" && len(known) > 0 && len(known) <= 12 {
		suggestion = "there are " + strings.Join(known, ", ")
	}
	have := "has"
	if len(of) > 1 {
		have = "have"
	}
	c.report(name, suggestion, "%s %s no column %s", strings.Join(of, " and "), have, quote(name.Name))
}

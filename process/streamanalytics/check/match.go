package check

import (
	"strings"

	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// matchScope are the symbols of a MATCH_RECOGNIZE.
type matchScope struct {
	symbols []plan.Symbol
	// entry is the input that is matched.
	entry *entry
	// current is the symbol whose condition is bound, allRows for MEASURES.
	current int
	// later are the symbols that are defined after the one whose condition is
	// bound.
	later map[int]bool
	// bare binds columns over the rows of the input, within a symbol's argument.
	bare *binder
}

// allRows stands for all matched rows in place of a symbol.
const allRows = -1

func (m *matchScope) symbol(name string) (int, bool) {
	for i, s := range m.symbols {
		if strings.EqualFold(s.Name, name) {
			return i, true
		}
	}
	return 0, false
}

// column binds a column of the last row that a symbol has matched. Without a
// symbol it is the row in question in DEFINE, the last one of all in MEASURES.
func (m *matchScope) column(b *binder, x *syntax.Column) plan.Expr {
	symbol, path, ok := m.split(b, x)
	if !ok {
		return &plan.Const{}
	}
	if m.bare == nil {
		// Inside of an aggregate or FIRST, which say whose rows it is about.
		return b.path(x, path)
	}
	return &plan.SymbolValue{Symbol: symbol, X: m.bare.path(x, path)}
}

// split takes the symbol off a path.
func (m *matchScope) split(b *binder, x *syntax.Column) (symbol int, path []*syntax.Ident, ok bool) {
	if i, ok := m.symbol(x.Path[0].Name); ok {
		if len(x.Path) == 1 {
			b.bad(x, "write "+x.Path[0].Name+".column", "%s is a symbol of the pattern and no value", quote(x.Path[0].Name))
			return 0, nil, false
		}
		if i >= 0 && m.later[i] {
			b.bad(x, "put the definition of "+x.Path[0].Name+" before this one", "%s is defined after this condition, which can not use it", quote(x.Path[0].Name))
			return 0, nil, false
		}
		return i, x.Path[1:], true
	}
	var names []string
	for _, s := range m.symbols {
		names = append(names, s.Name)
	}
	if hint := near(x.Path[0].Name, names); hint != "" && len(x.Path) > 1 && m.entry.rows.column(x.Path[0].Name) != nil && !m.entry.has(x.Path[0].Name) {
		b.bad(x.Path[0], hint, "the pattern has no symbol %s", quote(x.Path[0].Name))
		return 0, nil, false
	}
	return m.current, x.Path, true
}

// aggregate binds an aggregate, LAST or FIRST over the rows of one symbol.
func (m *matchScope) aggregate(b *binder, x *syntax.Call, user string, name *syntax.Ident) plan.Expr {
	if b.inside != "" {
		return b.bad(x, "", "the aggregate %s cannot stand inside of %s", called(x), b.inside)
	}
	symbol, ok := m.one(b, x, x.Args)
	if !ok {
		return &plan.Const{}
	}
	inner := *m.bare
	inner.match = &matchScope{symbols: m.symbols, entry: m.entry, current: symbol, later: m.later, bare: nil}
	inner.inside = called(x)
	call := inner.aggregateCall(x, user, name)
	if call == nil {
		return &plan.Const{}
	}
	return &plan.SymbolAggregate{Symbol: symbol, Call: call}
}

// firstOrLast binds FIRST(symbol.x) and LAST(symbol.x).
func (m *matchScope) firstOrLast(b *binder, x *syntax.Call, first bool) plan.Expr {
	if len(x.Args) != 1 || x.Over != nil {
		return b.bad(x, "write "+called(x)+"(symbol.column)", "in MATCH_RECOGNIZE %s takes one argument", called(x))
	}
	symbol, ok := m.one(b, x, x.Args)
	if !ok {
		return &plan.Const{}
	}
	inner := *m.bare
	inner.match = &matchScope{symbols: m.symbols, entry: m.entry, current: symbol, later: m.later, bare: nil}
	inner.inside = called(x)
	return &plan.SymbolValue{Symbol: symbol, First: first, X: inner.expr(x.Args[0])}
}

// one finds the one symbol whose rows the arguments are about.
func (m *matchScope) one(b *binder, at syntax.Node, args []syntax.Expr) (symbol int, ok bool) {
	symbol, ok = allRows, true
	for _, arg := range args {
		syntax.Inspect(arg, func(n syntax.Node) bool {
			col, is := n.(*syntax.Column)
			if !is || !ok || len(col.Path) < 2 {
				return true
			}
			if i, is := m.symbol(col.Path[0].Name); is {
				if symbol != allRows && symbol != i {
					b.bad(at, "take one of each symbol", "this is about the rows of one symbol, not of %s and %s", m.symbols[symbol].Name, m.symbols[i].Name)
					ok = false
				}
				symbol = i
			}
			return true
		})
	}
	return symbol, ok
}

// match checks MATCH_RECOGNIZE.
func (c *checker) match(s *syntax.MatchRecognize) *entry {
	in := c.leaf(s.Input)
	if in == nil {
		return nil
	}
	if in.reference {
		c.report(s.Input, "", "MATCH_RECOGNIZE looks for patterns in a stream, and %s is reference data", quote(in.alias))
		return nil
	}
	node := &plan.Match{Common: plan.Common{Inputs: []plan.Node{in.top}, Partition: in.partition}}
	sc := &scope{entries: []*entry{in}, node: in.top}
	bare := &binder{c: c, scope: sc, clause: "MATCH_RECOGNIZE"}
	rows := &fixedRows{of: node}
	out := &entry{rows: rows, top: node, time: &plan.Timestamp{}, pos: s}
	if s.Alias != nil {
		out.alias, out.pos = s.Alias.Name, s.Alias
	}
	if s.Limit == nil {
		c.reportSpan(syntax.Span{Start: s.OpPos, Stop: s.OpPos}, "add LIMIT DURATION(minute, 5)", "MATCH_RECOGNIZE needs LIMIT DURATION")
	} else {
		node.Limit = bare.length(s.Limit, "LIMIT DURATION", 7*value.TicksPerDay)
	}
	if bare.tooMany(len(s.PartitionBy), maxKeys, s, "keys in PARTITION BY") || bare.tooMany(len(s.Measures), maxItems, s, "measures") || bare.tooMany(countSymbols(s.Pattern), maxItems, s, "symbols in one pattern") {
		return nil
	}
	for i, x := range s.PartitionBy {
		y := bare.expr(x)
		node.PartitionBy = append(node.PartitionBy, y)
		rows.cols = append(rows.cols, plan.Column{Name: c.spelled(nameOf(x, i)), Expr: c.matchSlot(len(rows.cols), y)})
	}
	for _, y := range in.partition {
		if !containsExpr(node.PartitionBy, y) {
			node.PartitionBy = append(node.PartitionBy, y)
		}
	}
	m := &matchScope{entry: in, current: allRows, bare: bare}
	node.Pattern = m.pattern(s.Pattern)
	m.define(c, s)
	node.Symbols = m.symbols
	c.measures(s, m, node, rows)
	c.add(node, s.OpPos, func() { node.Width = len(node.PartitionBy) + len(node.Measures) })
	return out
}

func (c *checker) matchSlot(index int, x plan.Expr) *plan.Slot {
	slot := &plan.Slot{Index: index}
	if k := c.kindOf(x); k != value.Null {
		c.kinds[slot] = k
	}
	return slot
}

func countSymbols(p syntax.Pattern) int {
	n := 0
	syntax.Inspect(p, func(q syntax.Node) bool {
		if _, ok := q.(*syntax.PatternName); ok {
			n++
		}
		return true
	})
	return n
}

// pattern numbers the symbols in the order of their first use. The dot is a
// symbol without a name that any row fulfils.
func (m *matchScope) pattern(p syntax.Pattern) plan.Pattern {
	items := func(list []syntax.Pattern) []plan.Pattern {
		var out []plan.Pattern
		for _, q := range list {
			out = append(out, m.pattern(q))
		}
		return out
	}
	switch p := p.(type) {
	case *syntax.PatternName:
		name := ""
		if p.Name != nil {
			name = p.Name.Name
		}
		i, ok := m.symbol(name)
		if !ok {
			i = len(m.symbols)
			m.symbols = append(m.symbols, plan.Symbol{Name: name})
		}
		return plan.Pattern{Op: plan.PatternSymbol, Symbol: i}
	case *syntax.PatternSequence:
		return plan.Pattern{Op: plan.PatternSequence, Items: items(p.Items)}
	case *syntax.PatternChoice:
		return plan.Pattern{Op: plan.PatternChoice, Items: items(p.Items)}
	case *syntax.PatternRepeat:
		op := plan.PatternStar
		switch p.Quantifier {
		case '+':
			op = plan.PatternPlus
		case '?':
			op = plan.PatternOptional
		}
		return plan.Pattern{Op: op, Items: []plan.Pattern{m.pattern(p.X)}}
	}
	return plan.Pattern{}
}

// define binds the conditions of the symbols.
func (m *matchScope) define(c *checker, s *syntax.MatchRecognize) {
	seen := map[string]*syntax.Ident{}
	var names []string
	for _, sym := range m.symbols {
		names = append(names, sym.Name)
	}
	later := map[int]bool{}
	for _, d := range s.Define {
		if i, ok := m.symbol(d.Name.Name); ok {
			later[i] = true
		}
	}
	for _, d := range s.Define {
		name := fold(d.Name.Name)
		if before, ok := seen[name]; ok {
			c.report(d.Name, "", "%s is defined twice; the first time at %s", quote(d.Name.Name), before.Pos())
			continue
		}
		seen[name] = d.Name
		i, ok := m.symbol(d.Name.Name)
		if !ok {
			c.report(d.Name, near(d.Name.Name, names), "the pattern has no symbol %s", quote(d.Name.Name))
			continue
		}
		delete(later, i)
		b := *m.bare
		b.clause = "DEFINE"
		b.match = &matchScope{symbols: m.symbols, entry: m.entry, current: i, later: later, bare: m.bare}
		m.symbols[i].Cond = b.cond(d.Cond)
	}
}

func (c *checker) measures(s *syntax.MatchRecognize, m *matchScope, node *plan.Match, rows *fixedRows) {
	b := *m.bare
	b.clause = "MEASURES"
	b.match = m
	keys := len(node.PartitionBy)
	for i, item := range s.Measures {
		name := c.spelled(nameOf(item.Expr, i))
		if item.Alias != nil {
			name = c.spelled(item.Alias.Name)
		}
		if rows.column(name) != nil {
			c.report(item, "give it another name with AS", "two columns are named %s", quote(name))
			continue
		}
		if star, ok := item.Expr.(*syntax.Star); ok {
			c.report(star, "name the columns", "* cannot stand in MEASURES")
			continue
		}
		x := b.expr(item.Expr)
		node.Measures = append(node.Measures, plan.Column{Name: name, Expr: x})
		rows.cols = append(rows.cols, plan.Column{Name: name, Expr: c.matchSlot(keys+len(node.Measures)-1, x)})
	}
}

// classifier is the list of the names that a match's rows have matched.
func (m *matchScope) classifier() plan.Expr {
	x := &plan.Classifier{}
	for _, s := range m.symbols {
		x.Names = append(x.Names, s.Name)
	}
	return x
}

// matchCall binds the functions that mean something else in MATCH_RECOGNIZE;
// nil for all others.
func (b *binder) matchCall(x *syntax.Call) plan.Expr {
	if b.match == nil || len(x.Name) != 1 {
		return nil
	}
	switch strings.ToUpper(x.Name[0].Name) {
	case "FIRST", "LAST":
		if b.match.bare == nil {
			return b.bad(x, "", "%s cannot stand inside of %s", called(x), b.inside)
		}
		return b.match.firstOrLast(b, x, strings.EqualFold(x.Name[0].Name, "FIRST"))
	case "CLASSIFIER":
		if len(x.Args) > 0 || x.Over != nil {
			return b.bad(x, "write CLASSIFIER()", "CLASSIFIER takes no arguments")
		}
		if b.match.current != allRows || b.match.bare == nil {
			return b.bad(x, "", "CLASSIFIER can only stand in MEASURES, on its own")
		}
		return b.match.classifier()
	case "PREV", "NEXT", "MATCH_NUMBER":
		if _, ok := function.Lookup(x.Name[0].Name); !ok {
			return b.bad(x, "use FIRST, LAST or an aggregate of a symbol", "there is no function %s in this language", called(x))
		}
	}
	return nil
}

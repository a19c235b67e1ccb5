package syntax

// path reads what begins with a name: a column, a call or a window.
func (p *parser) path() Expr {
	start := p.peek()
	names := []*Ident{p.take().ident()}
	for p.next(".") {
		switch t := p.after(1); t.kind {
		case wordToken, nameToken:
			p.take()
			names = append(names, p.take().ident())
		default:
			if t.upper == "*" {
				p.fail(p.from(start.Start), "", "a name with .* can only stand alone in a select list")
			}
			p.take()
			p.unexpected("a name")
		}
	}
	if !p.next("(") {
		return &Column{p.from(start.Start), names}
	}
	if len(names) == 1 && start.kind == wordToken {
		if kind, short, ok := windowKind(start.upper); ok {
			return p.window(start, kind, short)
		}
		if start.upper == "WINDOWS" {
			return p.windows(start)
		}
	}
	return p.call(start.Start, names)
}

// unitFunctions take a time unit as their first argument.
var unitFunctions = map[string]bool{"DATEADD": true, "DATEDIFF": true, "DATENAME": true, "DATEPART": true, "ISFIRST": true}

func (p *parser) call(start Pos, names []*Ident) Expr {
	defer p.enter()()
	c := &Call{Name: names}
	p.expect("(")
	// What OVER belongs to is clear again inside parentheses.
	noOver := p.noOver
	p.noOver = false
	switch {
	case p.next(")"):
	case p.next("*", ")"):
		c.Args = []Expr{&Star{Span: p.take().Span}}
	case p.next("*", ","):
		c.Args = []Expr{&Star{Span: p.take().Span}}
		for p.accept(",") {
			c.Args = append(c.Args, p.expr())
		}
	default:
		c.Distinct = p.accept("DISTINCT")
		if !c.Distinct && p.next("ALL") && startsValue(p.after(1)) {
			// ALL is what holds without DISTINCT.
			p.take()
		}
		if len(names) == 1 && names[0].Quote == 0 && unitFunctions[upperASCII(names[0].Name)] {
			c.Args = []Expr{p.unit(Year)}
			for p.accept(",") {
				c.Args = append(c.Args, p.expr())
			}
			break
		}
		c.Args = p.exprs()
	}
	p.close()
	p.noOver = noOver
	if p.next("WITHIN", "GROUP") {
		p.expect("WITHIN", "GROUP", "(")
		c.WithinGroup = p.orderBy()
		p.close()
	}
	if !p.noOver && p.next("OVER") {
		c.Over = p.over()
	}
	c.Span = p.from(start)
	var x Expr = c
	for n := 0; p.next("."); n++ {
		p.bound(n)
		p.take()
		if t := p.peek(); t.kind != wordToken && t.kind != nameToken {
			p.unexpected("a name")
		}
		name := p.take().ident()
		x = &Member{p.from(start), x, name}
	}
	return x
}

// startsValue tells whether a name stands there, and no word that goes on with
// the expression before it.
func startsValue(t token) bool {
	switch t.upper {
	case "AND", "BETWEEN", "IN", "IS", "LIKE", "NOT", "OR":
		return t.kind == nameToken
	}
	return t.kind == wordToken || t.kind == nameToken
}

func (p *parser) orderBy() []*OrderItem {
	p.expect("ORDER", "BY")
	var items []*OrderItem
	for {
		start := p.peek().Start
		item := &OrderItem{Expr: p.expr()}
		if !p.accept("ASC") {
			item.Desc = p.accept("DESC")
		}
		item.Span = p.from(start)
		items = append(items, item)
		if !p.accept(",") {
			return items
		}
	}
}

func (p *parser) over() *Over {
	o := &Over{Span: Span{Start: p.expect("OVER").Start}}
	p.expect("(")
	seen := map[string]bool{}
	for !p.next(")") {
		t := p.peek()
		if seen[t.upper] {
			p.fail(t.Span, "leave one out", "OVER has %s twice", t.upper)
		}
		switch {
		case p.accept("PARTITION"):
			p.expect("BY")
			o.PartitionBy = p.exprs()
		case p.next("ORDER"):
			o.OrderBy = p.orderBy()
		case p.next("LIMIT"):
			o.Limit = p.limit()
		case p.accept("WHEN"):
			o.When = p.expr()
		default:
			p.unexpected("PARTITION BY", "ORDER BY", "LIMIT DURATION", "WHEN", ")")
			continue
		}
		seen[t.upper] = true
	}
	p.expect(")")
	o.Span = p.from(o.Start)
	return o
}

// limit reads LIMIT DURATION(unit, n).
func (p *parser) limit() *Duration {
	p.expect("LIMIT")
	return p.duration("DURATION")
}

// duration reads NAME(unit, n).
func (p *parser) duration(name string) *Duration {
	start := p.expect(name).Start
	p.expect("(")
	d := &Duration{Unit: p.unit(Day)}
	p.expect(",")
	d.Value = p.expr()
	p.expect(")")
	d.Span = p.from(start)
	return d
}

// unit reads a time unit. With from Day only those are taken that durations
// can be counted in.
func (p *parser) unit(from TimeUnit) *Unit {
	t := p.peek()
	if t.kind != wordToken || p.after(1).upper == "(" || p.after(1).upper == "." {
		p.unexpected("a time unit")
	}
	p.take()
	u := &Unit{Span: t.Span, Name: t.text}
	unit, ok := ParseTimeUnit(t.text)
	last := Nanosecond
	if from == Day {
		last = Microsecond
	}
	if ok && unit >= from && unit <= last {
		u.Unit = unit
		return u
	}
	var names []string
	for n := from; n <= last; n++ {
		names = append(names, n.String())
	}
	suggestion := "write " + oneOf(names)
	if near := Nearest(t.text, names); near != "" {
		suggestion = "did you mean " + near + "?"
	}
	message := "%s is not a unit of time"
	if ok {
		message = "a length of time cannot be counted in %s"
	}
	p.wrong(t.Span, suggestion, message, quoted(t.text))
	return u
}

func windowKind(upper string) (kind WindowKind, short, ok bool) {
	for kind, names := range windowNames {
		if upper == upperASCII(names[0]) {
			return WindowKind(kind), false, true
		}
		if upper == upperASCII(names[1]) {
			return WindowKind(kind), true, true
		}
	}
	return 0, false, false
}

// windowNames are the long and the short name of every kind.
var windowNames = [...][2]string{
	Tumbling: {"TumblingWindow", "Tumbling"},
	Hopping:  {"HoppingWindow", "Hopping"},
	Sliding:  {"SlidingWindow", "Sliding"},
	Session:  {"SessionWindow", "Session"},
}

// WindowNames returns the names that window functions have, for suggestions.
func WindowNames() []string {
	var names []string
	for _, n := range windowNames {
		names = append(names, n[0], n[1])
	}
	return append(names, "Windows")
}

// part is one of the lengths that a window is made of.
type part struct {
	// name is what it is called in the long form.
	name     string
	optional bool
	of       func(*Window) **Duration
}

// windowParts are the parts of every kind in their order.
var windowParts = func() [4][]part {
	size := func(w *Window) **Duration { return &w.Size }
	hop := func(w *Window) **Duration { return &w.Hop }
	most := func(w *Window) **Duration { return &w.MaxDuration }
	offset := func(w *Window) **Duration { return &w.Offset }
	return [4][]part{
		Tumbling: {{"Duration", false, size}, {"Offset", true, offset}},
		Hopping:  {{"Duration", false, size}, {"Hop", false, hop}, {"Offset", true, offset}},
		Sliding:  {{"Duration", false, size}},
		Session:  {{"Timeout", false, size}, {"MaxDuration", true, most}},
	}
}()

func (p *parser) window(name token, kind WindowKind, short bool) Expr {
	w := &Window{Kind: kind, Short: short}
	p.expect("(")
	w.Long = p.after(1).upper == "("
	var unit *Unit
	if !w.Long {
		unit = p.unit(Day)
		p.expect(",")
	}
	for i, part := range windowParts[kind] {
		if i > 0 && !p.accept(",") {
			if part.optional {
				break
			}
			p.unexpected(",")
		}
		if w.Long {
			*part.of(w) = p.windowPart(part.name, i == 0)
			continue
		}
		start := p.peek().Start
		d := &Duration{Unit: unit, Value: p.expr()}
		d.Span = p.from(start)
		*part.of(w) = d
	}
	p.expect(")")
	if kind == Session && !p.noOver && p.accept("OVER") {
		p.expect("(", "PARTITION", "BY")
		w.PartitionBy = p.exprs()
		p.close()
	}
	w.Span = p.from(name.Start)
	return w
}

// windowPart reads one part of the long form; the first one of every kind may
// be called Duration.
func (p *parser) windowPart(name string, first bool) *Duration {
	if first && p.next("DURATION") {
		name = "Duration"
	}
	return p.duration(upperASCII(name))
}

// member reads a window within Windows(...).
func (p *parser) member() *Window {
	t := p.peek()
	if p.next("SYSTEM", ".", "TIMESTAMP") {
		p.expect("SYSTEM", ".", "TIMESTAMP")
		if p.accept("(") {
			p.expect(")")
		}
		return &Window{Span: p.from(t.Start), Kind: Snapshot}
	}
	kind, short, ok := windowKind(t.upper)
	for !ok {
		p.unexpected("TumblingWindow", "HoppingWindow", "SlidingWindow", "SessionWindow", "System.Timestamp()")
		t = p.peek()
		kind, short, ok = windowKind(t.upper)
	}
	p.take()
	w, _ := p.window(t, kind, short).(*Window)
	return w
}

func (p *parser) windows(name token) Expr {
	defer p.enter()()
	ws := &Windows{}
	p.expect("(")
	for {
		start := p.peek()
		n := &NamedWindow{}
		named := p.accept("WINDOW")
		if named {
			p.expect("(")
			id := p.peek()
			if id.kind != stringToken {
				p.unexpected("the window's id in quotes")
			}
			p.take()
			n.ID = &String{id.Span, id.text}
			p.expect(",")
		}
		n.Window = p.member()
		if named {
			p.expect(")")
		}
		n.Span = p.from(start.Start)
		ws.Windows = append(ws.Windows, n)
		if !p.accept(",") {
			break
		}
	}
	p.close()
	ws.Span = p.from(name.Start)
	return ws
}

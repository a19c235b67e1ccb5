package syntax

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// maker makes random trees, all of them such that a text exists for them.
type maker struct{ *rand.Rand }

func (m maker) one(words ...string) string { return words[m.IntN(len(words))] }

func (m maker) yes() bool { return m.IntN(3) == 0 }

func (m maker) ident() *Ident {
	if m.IntN(6) == 0 {
		return &Ident{Name: m.one("a b", "select", "x]y", `q"r`, "ä-ö", "1st", "--", "/*", "'", "new\nline"), Quote: "[\""[m.IntN(2)]}
	}
	return &Ident{Name: m.one("a", "b", "deviceId", "Value", "time", "limit", "partition", "timestamp", "Größe", "_x", "@y", "session", "cast", "n", "e1")}
}

// aliasOf is nil or a name.
func (m maker) aliasOf() *Ident {
	if m.yes() {
		return nil
	}
	return m.ident()
}

func (m maker) path(most int) []*Ident {
	path := []*Ident{m.ident()}
	for range m.IntN(most) {
		path = append(path, m.ident())
	}
	return path
}

func list[T any](m maker, most int, one func() T) []T {
	var out []T
	for range 1 + m.IntN(most) {
		out = append(out, one())
	}
	return out
}

func (m maker) number() *Number {
	return &Number{Text: m.one("0", "1", "42", "3.5", ".25", "2.", "1e9", "1.5E-3", "123456789012345678901234567890")}
}

func (m maker) text() *String {
	return &String{Value: m.one("", "a", "it's", "--", "/* */", "two\nlines", "ü", "\x80", "[x]", `"`)}
}

func (m maker) unit(from TimeUnit) *Unit {
	last := Nanosecond
	if from == Day {
		last = Microsecond
	}
	u := from + TimeUnit(m.IntN(int(last-from)+1))
	return &Unit{Name: u.String(), Unit: u}
}

func (m maker) duration() *Duration { return &Duration{Unit: m.unit(Day), Value: m.size()} }

func (m maker) size() Expr {
	if m.yes() {
		return &Unary{Op: Minus, X: m.number()}
	}
	return m.number()
}

func (m maker) exprs(depth int) []Expr {
	return list(m, 3, func() Expr { return m.expr(depth) })
}

func (m maker) leaf() Expr {
	switch m.IntN(5) {
	case 0:
		return m.number()
	case 1:
		return m.text()
	case 2:
		return &Null{}
	default:
		return &Column{Path: m.path(3)}
	}
}

func (m maker) expr(depth int) Expr {
	if depth <= 0 {
		return m.leaf()
	}
	d := depth - 1
	switch m.IntN(14) {
	case 0, 1, 2:
		return &Binary{Op: []Op{Or, And}[m.IntN(2)], X: m.expr(d), Y: m.expr(d)}
	case 3, 4, 5:
		return &Binary{Op: Equal + Op(m.IntN(int(Modulo-Equal)+1)), X: m.expr(d), Y: m.expr(d)}
	case 6:
		op := []Op{Not, Plus, Minus, BitNot}[m.IntN(4)]
		return &Unary{Op: op, X: m.expr(d)}
	case 7:
		return &Between{Not: m.yes(), X: m.expr(d), Low: m.expr(d), High: m.expr(d)}
	case 8:
		return &In{Not: m.yes(), X: m.expr(d), List: m.exprs(d)}
	case 9:
		if m.yes() {
			return &IsNull{Not: m.yes(), X: m.expr(d)}
		}
		return &Like{Not: m.yes(), X: m.expr(d), Pattern: m.expr(d)}
	case 10:
		c := &Case{Whens: list(m, 3, func() *When { return &When{Cond: m.expr(d), Then: m.expr(d)} })}
		if m.yes() {
			c.Operand = m.expr(d)
		}
		if m.yes() {
			c.Else = m.expr(d)
		}
		return c
	case 11:
		return &Cast{X: m.expr(d), Type: &TypeName{Type: BigInt + Type(m.IntN(int(Array)))}, Try: m.yes()}
	default:
		return m.call(d)
	}
}

func (m maker) call(depth int) Expr {
	c := &Call{Name: []*Ident{{Name: m.one("f", "COUNT", "LEFT", "right", "Lag", "TopOne", "REGEXMATCH")}}}
	switch m.IntN(6) {
	case 0:
		c.Args = []Expr{&Star{}}
	case 1:
		c.Name = []*Ident{{Name: m.one("udf", "System", "uda")}, m.ident()}
	case 2:
		c.Name = []*Ident{{Name: m.one("DateDiff", "DATEADD", "isfirst", "DATEPART", "DATENAME")}}
		c.Args = append([]Expr{m.unit(Year)}, m.exprs(depth)...)
	default:
		c.Args = m.exprs(depth)
		c.Distinct = m.yes()
	}
	if m.yes() {
		c.WithinGroup = m.order(depth)
	}
	if m.yes() {
		c.Over = &Over{}
		if m.yes() {
			c.Over.PartitionBy = m.exprs(depth)
		}
		if m.yes() {
			c.Over.OrderBy = m.order(depth)
		}
		if m.yes() {
			c.Over.Limit = m.duration()
		}
		if m.yes() {
			c.Over.When = m.expr(depth)
		}
	}
	if m.yes() {
		return &Member{X: c, Name: m.ident()}
	}
	return c
}

func (m maker) order(depth int) []*OrderItem {
	return list(m, 2, func() *OrderItem { return &OrderItem{Expr: m.expr(depth), Desc: m.yes()} })
}

func (m maker) window() *Window {
	w := &Window{Kind: WindowKind(m.IntN(4)), Short: m.yes(), Long: m.yes()}
	unit := m.unit(Day)
	for _, part := range windowParts[w.Kind] {
		if part.optional && m.yes() {
			continue
		}
		d := &Duration{Unit: unit, Value: m.size()}
		if w.Long {
			d.Unit = m.unit(Day)
		}
		*part.of(w) = d
	}
	if w.Kind == Session && m.yes() {
		w.PartitionBy = m.exprs(1)
	}
	return w
}

func (m maker) group() Expr {
	switch m.IntN(4) {
	case 0:
		return m.window()
	case 1:
		return &Windows{Windows: list(m, 3, func() *NamedWindow {
			n := &NamedWindow{Window: m.window()}
			if m.yes() {
				n.ID = m.text()
			}
			return n
		})}
	default:
		return m.expr(1)
	}
}

func (m maker) item(depth int) *Item {
	switch m.IntN(6) {
	case 0:
		return &Item{Expr: &Star{}}
	case 1:
		return &Item{Expr: &Star{Qualifier: m.path(2)}}
	default:
		return &Item{Expr: m.expr(depth), Alias: m.aliasOf()}
	}
}

func (m maker) inputClauses(depth int) (pb *PartitionBy, ts *TimestampBy) {
	if m.yes() {
		pb = &PartitionBy{Keys: m.exprs(1), Into: m.IntN(3)}
	}
	if m.yes() {
		// OVER behind the time belongs to TIMESTAMP BY, so the time has no calls
		// with an OVER of their own.
		ts = &TimestampBy{Time: &Binary{Op: Add, X: m.leaf(), Y: m.leaf()}}
		if m.yes() {
			ts.Over = m.exprs(depth)
		}
	}
	return pb, ts
}

func (m maker) operand(depth int) Source {
	pb, ts := m.inputClauses(depth)
	if depth > 0 && m.IntN(5) == 0 {
		return &Derived{Query: m.query(depth-1, false), Alias: m.aliasOf(), PartitionBy: pb, TimestampBy: ts}
	}
	return &Input{Name: m.ident(), Alias: m.aliasOf(), PartitionBy: pb, TimestampBy: ts}
}

func (m maker) source(depth int) Source {
	s := m.operand(depth)
	for m.yes() {
		switch m.IntN(4) {
		case 0:
			pb, ts := m.inputClauses(depth)
			s = &UnionSource{Left: s, Right: &Input{Name: m.ident(), Alias: m.aliasOf(), PartitionBy: pb, TimestampBy: ts}, All: m.yes()}
		case 1:
			s = &Apply{Outer: m.yes(), Left: s, Call: &Call{Name: []*Ident{{Name: "GetArrayElements"}}, Args: m.exprs(1)}, Alias: m.aliasOf()}
		default:
			j := &Join{Kind: JoinKind(m.IntN(3)), Left: s, Right: m.operand(depth)}
			if j.Kind != CrossJoin {
				j.On = m.expr(depth)
			}
			if m.yes() {
				j.Right = m.match(j.Right)
			}
			s = j
		}
	}
	if _, join := s.(*Join); !join && m.yes() {
		if in, ok := s.(*Input); ok {
			return m.match(in)
		}
	}
	return s
}

func (m maker) match(in Source) Source {
	r := &MatchRecognize{Input: in, Pattern: m.pattern(3), Alias: m.aliasOf()}
	if m.yes() {
		r.Limit = m.duration()
	}
	if m.yes() {
		r.PartitionBy = m.exprs(1)
	}
	r.Measures = list(m, 3, func() *Item { return &Item{Expr: m.expr(2), Alias: m.ident()} })
	r.Define = list(m, 3, func() *Definition { return &Definition{Name: m.ident(), Cond: m.expr(2)} })
	return r
}

func (m maker) pattern(depth int) Pattern {
	if depth <= 0 {
		if m.IntN(5) == 0 {
			return &PatternName{}
		}
		return &PatternName{Name: m.ident()}
	}
	items := list(m, 3, func() Pattern { return m.pattern(depth - 1) })
	switch {
	case m.yes():
		return &PatternRepeat{X: items[0], Quantifier: "*+?"[m.IntN(3)]}
	case len(items) == 1:
		return items[0]
	case m.yes():
		return &PatternChoice{Items: items}
	}
	return &PatternSequence{Items: items}
}

func (m maker) selectQuery(depth int, into bool) *Select {
	s := &Select{Items: list(m, 3, func() *Item { return m.item(depth) }), From: m.source(depth)}
	if into && m.yes() {
		s.Into = m.ident()
	}
	if m.yes() {
		s.Where = m.expr(depth + 1)
	}
	if m.yes() {
		s.GroupBy = list(m, 3, m.group)
	}
	if m.yes() {
		s.Having = m.expr(depth)
	}
	return s
}

func (m maker) query(depth int, into bool) Query {
	var q Query = m.selectQuery(depth, into)
	for m.IntN(6) == 0 {
		u := &Union{Left: q, All: m.yes(), Right: m.selectQuery(depth, false)}
		if m.yes() {
			u.Right = m.query(depth-1, false)
		}
		q = u
	}
	return q
}

func (m maker) script() *Script {
	s := &Script{}
	for range m.IntN(3) {
		s.Statements = append(s.Statements, &CreateTable{Name: m.ident(), Columns: list(m, 3, func() *ColumnDef {
			return &ColumnDef{Name: m.ident(), Type: &TypeName{Type: BigInt + Type(m.IntN(int(Array)))}}
		})})
	}
	if m.yes() {
		s.Statements = append(s.Statements, &With{Steps: list(m, 3, func() *Step { return &Step{Name: m.ident(), Query: m.query(2, false)} })})
	}
	for range m.IntN(3) {
		s.Statements = append(s.Statements, &QueryStatement{Query: m.query(2, true)})
	}
	return s
}

// Whatever tree is printed is read as the same tree, and its text with the
// comments, the line ends and the spelling of another author is, too.
func TestRandomTreesSurvivePrinting(t *testing.T) {
	t.Parallel()
	for seed := range uint64(120) {
		m := maker{rand.New(rand.NewPCG(seed, 1))}
		script := m.script()
		checkRoundTrip(t, script)
		text := m.disfigure(t, Print(script))
		read := mustParse(t, text)
		if got, want := dump(read), dump(script); got != want {
			t.Errorf("seed %d: the tree of\n%s\nis\n%s\nnot\n%s", seed, text, got, want)
		}
		checkPlaces(t, read, text)
		checkRoundTrip(t, read)
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// disfigure returns a text of the same meaning with other white space, comments
// anywhere and words in other cases.
func (m maker) disfigure(t testing.TB, text string) string {
	tokens, _ := lex(text, func(d Diagnostic) { t.Fatalf("%v in\n%s", d, text) })
	var b strings.Builder
	for i, token := range tokens {
		word := text[token.Start.Offset:token.Stop.Offset]
		if reserved[token.upper] && (i == 0 || tokens[i-1].text != ".") && m.yes() {
			switch token.upper {
			case "LEFT", "RIGHT":
			default:
				word = strings.ToLower(word)
			}
		}
		if i > 0 && tokens[i-1].text == "-" {
			b.WriteByte(' ') // a comment may follow, which three dashes would not begin
		}
		b.WriteString(m.gap(i > 0 && token.Start == tokens[i-1].Stop && token.kind != numberToken))
		b.WriteString(word)
	}
	b.WriteString(m.gap(true))
	return b.String()
}

// gap is white space and comments; it may be empty if optional.
func (m maker) gap(optional bool) string {
	switch m.IntN(12) {
	case 0:
		return m.one("\n", "\r\n", "\t", "\u00a0", "   ", "\n\n")
	case 1:
		return m.one(" -- note\n", "\n-- note\r\n", "--\n", "/**/", "/* a\n b */", " /* -- */ ", "\n\t/* a /* b */ */\n", "-- ' \"\n/* ' */")
	}
	if optional {
		return ""
	}
	return " "
}

// An error in a text costs no more than the text around it, and never the
// program.
func TestBrokenTexts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(250) {
		m := maker{rand.New(rand.NewPCG(seed, 2))}
		text := Print(m.script())
		tokens, _ := lex(text, func(d Diagnostic) { t.Fatalf("%v in\n%s", d, text) })
		var words []string
		for _, token := range tokens {
			words = append(words, text[token.Start.Offset:token.Stop.Offset])
		}
		for range 1 + m.IntN(3) {
			at := m.IntN(len(words))
			switch m.IntN(4) {
			case 0:
				words[at] = ""
			case 1:
				words[at] = words[m.IntN(len(words))]
			case 2:
				words[at] += " " + m.one("(", ")", ",", "'", "SELECT", "FROM", "x", "1", "[", ";", "OVER", "CASE", "&&", "\x00", "/*", "ORDER BY")
			case 3:
				if w := words[at]; len(w) > 3 {
					words[at] = w[:1] + w[2:]
				}
			}
		}
		broken := strings.Join(words, " ")
		script, diagnostics := Parse(broken)
		for _, d := range diagnostics {
			checkDiagnostic(t, d, broken)
		}
		if len(diagnostics) == 0 {
			checkRoundTrip(t, script)
		}
		if t.Failed() {
			t.Fatalf("with seed %d:\n%s", seed, broken)
		}
	}
}

package syntax

import "strings"

// Print returns the canonical text of a script: one clause a line, four spaces
// of indentation, keywords in upper case, names and comments as they are.
// Parsing it yields the same tree, and printing that the same text. Parentheses
// stay where the author put them and are added where a tree that no text was
// read for needs them. Of a script with errors only what could be read is
// printed.
func Print(s *Script) string {
	p := &printer{comments: s.Comments}
	for i, statement := range s.Statements {
		if i > 0 {
			p.want(blankLine)
		}
		p.statement(statement)
	}
	p.flush(nil)
	if p.out.Len() > 0 {
		p.out.WriteByte('\n')
	}
	return p.out.String()
}

// Text returns the canonical text of an expression, on one line.
func Text(e Expr) string {
	p := &printer{flat: true}
	p.expr(e, levelOr)
	return p.out.String()
}

// space is the white space that is due before the next piece of text.
type space uint8

const (
	nothing space = iota
	blank
	newLine
	blankLine
)

// lineWidth is what conditions and CASE expressions are broken at.
const lineWidth = 100

type printer struct {
	out      strings.Builder
	comments []*Comment
	indent   int
	due      space
	// open is set behind a comment that only the line's end closes.
	open bool
	// flat keeps everything on one line.
	flat bool
}

func (p *printer) want(s space) {
	if p.flat && s > blank {
		s = blank
	}
	p.due = max(p.due, s)
}

// raw writes text behind the white space that is due.
func (p *printer) raw(text string) {
	due, indent := p.due, p.indent
	if p.open && due < newLine {
		due = newLine
		indent++
	}
	p.due, p.open = nothing, false
	if p.out.Len() > 0 {
		switch due {
		case blank:
			p.out.WriteByte(' ')
		case blankLine:
			p.out.WriteString("\n\n")
		case newLine:
			p.out.WriteByte('\n')
		case nothing:
		}
		if due >= newLine {
			p.out.WriteString(strings.Repeat("    ", indent))
		}
	}
	p.out.WriteString(text)
}

// at writes the comments that stand before a place of the text that was read.
func (p *printer) at(pos Pos) {
	if pos.IsValid() && len(p.comments) > 0 {
		p.flush(&pos)
	}
}

// flush writes the comments before pos, or all if it is nil. One that followed
// something on its line still does.
func (p *printer) flush(pos *Pos) {
	for len(p.comments) > 0 {
		c := p.comments[0]
		if pos != nil && c.Start.Offset >= pos.Offset {
			return
		}
		p.comments = p.comments[1:]
		if c.OwnLine || p.open || p.out.Len() == 0 {
			p.want(newLine)
			p.raw(c.Text)
			p.due = newLine
		} else {
			due := max(p.due, blank)
			p.due = blank
			p.raw(c.Text)
			p.due = due
		}
		p.open = c.IsLine()
	}
}

// word writes keywords behind a blank.
func (p *printer) word(s string) {
	p.want(blank)
	p.raw(s)
	p.want(blank)
}

func (p *printer) ident(id *Ident) { p.name(id, !reserved[upperASCII(id.Name)]) }

// name writes a name; free tells whether it needs no delimiters here if it
// looks like a name.
func (p *printer) name(id *Ident, free bool) {
	p.at(id.Start)
	switch {
	case id.Quote == '"':
		p.raw(`"` + strings.ReplaceAll(id.Name, `"`, `""`) + `"`)
	case id.Quote != 0 || !free || !isPlain(id.Name):
		p.raw("[" + strings.ReplaceAll(id.Name, "]", "]]") + "]")
	default:
		p.raw(id.Name)
	}
}

// isPlain tells whether a name is made of the characters of plain ones.
func isPlain(name string) bool {
	for i, r := range name {
		if i == 0 && !isNameStart(r) || !isNamePart(r) {
			return false
		}
	}
	return name != ""
}

// names writes a chain of names. Behind a dot, and before the parenthesis of a
// call, keywords are names like others.
func (p *printer) names(path []*Ident, call bool) {
	for i, id := range path {
		if i > 0 {
			p.raw(".")
		}
		upper := upperASCII(id.Name)
		p.name(id, i > 0 || !reserved[upper] || call && len(path) == 1 && (upper == "LEFT" || upper == "RIGHT"))
	}
}

func (p *printer) as(alias *Ident) {
	if alias != nil {
		p.word("AS")
		p.ident(alias)
	}
}

func (p *printer) statement(s Statement) {
	p.at(s.Pos())
	switch s := s.(type) {
	case *CreateTable:
		p.word("CREATE TABLE")
		p.ident(s.Name)
		p.want(blank)
		p.raw("(")
		p.block(len(s.Columns), s.Stop, func(i int) {
			p.ident(s.Columns[i].Name)
			p.want(blank)
			p.at(s.Columns[i].Type.Start)
			p.raw(s.Columns[i].Type.Type.String())
		})
		p.want(newLine)
		p.raw(")")
		p.raw(";")
	case *With:
		p.word("WITH")
		for i, step := range s.Steps {
			if i > 0 {
				p.raw(",")
				p.want(newLine)
			}
			p.at(step.Start)
			p.ident(step.Name)
			p.word("AS")
			p.queryBlock(step.Query, step.Stop)
		}
	case *QueryStatement:
		p.query(s.Query)
		p.due = nothing
		p.raw(";")
	}
}

// block writes a list, one member a line, one level deeper, and the comments
// before closing, which is the place of what follows or zero.
func (p *printer) block(n int, closing Pos, member func(i int)) {
	p.indent++
	for i := range n {
		if i > 0 {
			p.raw(",")
		}
		p.want(newLine)
		member(i)
	}
	p.at(closing)
	p.indent--
}

// queryBlock writes a query in parentheses on lines of its own; closing is the
// place of the closing one or behind it.
func (p *printer) queryBlock(q Query, closing Pos) {
	p.raw("(")
	p.indent++
	p.want(newLine)
	p.query(q)
	p.at(closing)
	p.indent--
	p.want(newLine)
	p.raw(")")
}

func (p *printer) query(q Query) {
	if q == nil {
		return
	}
	p.at(q.Pos())
	switch q := q.(type) {
	case *Select:
		p.selectQuery(q)
	case *Union:
		p.query(q.Left)
		p.want(newLine)
		p.at(q.OpPos)
		p.raw("UNION")
		if q.All {
			p.word("ALL")
		}
		p.want(newLine)
		if u, ok := q.Right.(*Union); ok {
			p.queryBlock(u, Pos{})
			return
		}
		p.query(q.Right)
	case *ParenQuery:
		p.queryBlock(q.Query, q.Stop)
	}
}

func (p *printer) selectQuery(s *Select) {
	p.word("SELECT")
	if len(s.Items) == 1 {
		p.item(s.Items[0])
	} else {
		p.block(len(s.Items), Pos{}, func(i int) { p.item(s.Items[i]) })
	}
	if s.Into != nil {
		p.clause("INTO", s.IntoPos)
		p.ident(s.Into)
	}
	if s.From != nil {
		p.clause("FROM", s.FromPos)
		p.source(s.From)
	}
	if s.Where != nil {
		p.clause("WHERE", s.WherePos)
		p.condition(s.Where)
	}
	if len(s.GroupBy) > 0 {
		p.clause("GROUP BY", s.GroupPos)
		p.exprs(s.GroupBy)
	}
	if s.Having != nil {
		p.clause("HAVING", s.HavingPos)
		p.condition(s.Having)
	}
}

// clause begins a line with keywords.
func (p *printer) clause(words string, pos Pos) {
	p.want(newLine)
	p.at(pos)
	p.raw(words)
	p.want(blank)
}

func (p *printer) item(item *Item) {
	p.at(item.Start)
	if looksNamed(item.Expr) {
		// a = b in a select list gives b the name a.
		p.raw("(")
		p.expr(item.Expr, levelOr)
		p.raw(")")
	} else {
		p.expr(item.Expr, levelOr)
	}
	p.as(item.Alias)
}

// looksNamed tells whether the text of e begins with a name and an equals sign.
func looksNamed(e Expr) bool {
	for {
		switch x := e.(type) {
		case *Binary:
			if c, ok := x.X.(*Column); ok {
				return x.Op == Equal && len(c.Path) == 1
			}
			if levelOfExpr(x.X) < levelOf(x.Op) {
				return false
			}
			e = x.X
		case *Between:
			e = x.X
		case *In:
			e = x.X
		case *Like:
			e = x.X
		case *IsNull:
			e = x.X
		default:
			return false
		}
	}
}

// condition writes a condition; if it does not fit on a line, its parts that
// are joined by AND or OR get lines of their own.
func (p *printer) condition(e Expr) { p.part(e, levelOr) }

// part writes an operand of a condition, in parentheses if it binds less
// tightly than level.
func (p *printer) part(e Expr, level int) {
	b, ok := e.(*Binary)
	if !ok || b.Op != And && b.Op != Or || levelOf(b.Op) < level || p.flat || len(Text(e))+4*p.indent+len("HAVING ") <= lineWidth {
		p.expr(e, level)
		return
	}
	p.indent++
	p.chain(b, b.Op)
	p.indent--
}

// chain writes the operands of op, each on a line.
func (p *printer) chain(e Expr, op Op) {
	b, ok := e.(*Binary)
	if !ok || b.Op != op {
		p.part(e, levelOf(op))
		return
	}
	p.chain(b.X, op)
	p.want(newLine)
	p.at(b.OpPos)
	p.raw(op.String())
	p.want(blank)
	p.part(b.Y, levelOf(op)+1)
}

package sql

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"millrace/connector/cosmosdb/local/value"
)

// bare is a tree without positions, which can be compared.
func bare(q *Query) *Query {
	var clear func(v reflect.Value)
	clear = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				clear(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				clear(v.Index(i))
			}
		case reflect.Struct:
			switch v.Type() {
			case reflect.TypeFor[Span]():
				v.SetZero()
			case reflect.TypeFor[value.Value]():
			default:
				for i := range v.NumField() {
					clear(v.Field(i))
				}
			}
		}
	}
	clear(reflect.ValueOf(q))
	return q
}

// checkRoundTrip checks that the text of q parses back to the same tree, and
// forgets the positions in q.
func checkRoundTrip(t testing.TB, q *Query) {
	t.Helper()
	text := q.String()
	again, err := Parse(text)
	if err != nil {
		t.Fatalf("its own text %s: %v", text, err)
	}
	if !reflect.DeepEqual(bare(q), bare(again)) {
		t.Fatalf("%s\nparses back to another tree\n%s", text, again)
	}
	if s := again.String(); s != text {
		t.Fatalf("%s\nparses back to\n%s", text, s)
	}
}

type generator struct{ *rand.Rand }

func (g generator) one(list ...string) string { return list[g.IntN(len(list))] }

func (g generator) name() string { return g.one("c", "root", "x1", "_y", "größe", "rank", "Left") }
func (g generator) step() string {
	return g.one("a", "b", "value", "odd name", "", "é", "1", "\"\\\n", "ORDER")
}
func (g generator) param() string { return g.one("@p", "@1", "@order") }

func (g generator) exprs(least, depth int) []Expr {
	var list []Expr
	for range least + g.IntN(3) {
		list = append(list, g.expr(depth))
	}
	return list
}

func (g generator) expr(depth int) Expr {
	if depth <= 0 {
		return g.leaf()
	}
	depth--
	switch g.IntN(19) {
	case 0, 1:
		return &Member{Of: g.expr(depth), Name: g.step()}
	case 2:
		index := g.expr(depth)
		if l, ok := index.(*Literal); ok && l.Value.Kind() == value.KindString {
			return &Member{Of: g.expr(depth), Name: "text"}
		}
		return &Index{Of: g.expr(depth), Index: index}
	case 3:
		return &Array{Items: g.exprs(0, depth)}
	case 4:
		o := &Object{}
		for range g.IntN(3) {
			o.Members = append(o.Members, ObjectMember{Name: g.step(), Value: g.expr(depth)})
		}
		return o
	case 5, 6:
		u := &Unary{Op: UnaryOp(g.IntN(4)), X: g.expr(depth)}
		if l, ok := u.X.(*Literal); ok && u.Op == OpNegate && l.Value.Kind() == value.KindNumber {
			u.Op = OpNot
		}
		return u
	case 7, 8, 9, 10:
		return &Binary{Op: BinaryOp(g.IntN(len(binaryText))), L: g.expr(depth), R: g.expr(depth)}
	case 11:
		return &Conditional{If: g.expr(depth), Then: g.expr(depth), Else: g.expr(depth)}
	case 12:
		return &Between{X: g.expr(depth), Low: g.expr(depth), High: g.expr(depth), Not: g.IntN(2) == 0}
	case 13:
		return &In{X: g.expr(depth), Items: g.exprs(1, depth), Not: g.IntN(2) == 0}
	case 14:
		l := &Like{X: g.expr(depth), Pattern: g.expr(depth), Not: g.IntN(2) == 0}
		switch g.IntN(3) {
		case 0:
			l.Escape = &Literal{Value: value.String(g.one("!", "\\", ""))}
		case 1:
			l.Escape = &Parameter{Name: g.param()}
		}
		return l
	case 15:
		c := &Call{Name: g.name(), UDF: g.IntN(3) == 0, Args: g.exprs(0, depth)}
		if c.UDF && g.IntN(2) == 0 {
			c.Name = "order"
		}
		return c
	case 16:
		return &Exists{Query: g.query(depth - 1)}
	case 17:
		return &ArrayOf{Query: g.query(depth - 1)}
	}
	return &Subquery{Query: g.query(depth - 1)}
}

func (g generator) leaf() Expr {
	switch g.IntN(4) {
	case 0:
		return &Parameter{Name: g.param()}
	case 1:
		return &Name{Name: g.name()}
	}
	v := value.Undefined()
	switch g.IntN(6) {
	case 0:
		v = value.Null()
	case 1:
		v = value.Bool(g.IntN(2) == 0)
	case 2, 3:
		numbers := []float64{0, math.Copysign(0, -1), 1, -1, 0.5, -0.25, 1e21, -1e-9, math.MaxFloat64, math.SmallestNonzeroFloat64, 123456789}
		v = value.Number(numbers[g.IntN(len(numbers))])
	case 4:
		v = value.String(g.one("", "a", "it's", `"`, "\\", "--", "\n\u2028", "é😀", "\x00", "%_"))
	}
	return &Literal{Value: v}
}

func (g generator) count() Expr {
	if g.IntN(2) == 0 {
		return &Parameter{Name: g.param()}
	}
	return &Literal{Value: value.Number(float64(g.IntN(2000)))}
}

func (g generator) source(depth int) Source {
	s := Source{}
	if s.Each = g.IntN(2) == 0; s.Each || g.IntN(2) == 0 {
		s.Alias = g.name()
	}
	if depth > 0 && g.IntN(4) == 0 {
		s.Query = g.query(depth - 1)
		return s
	}
	s.Path = &Name{Name: g.name()}
	for range g.IntN(4) {
		if g.IntN(3) == 0 {
			s.Path = &Index{Of: s.Path, Index: &Literal{Value: value.Number(float64(g.IntN(9)))}}
		} else {
			s.Path = &Member{Of: s.Path, Name: g.step()}
		}
	}
	return s
}

func (g generator) query(depth int) *Query {
	q := &Query{Select: Select{Distinct: g.IntN(4) == 0}}
	if g.IntN(4) == 0 {
		q.Select.Top = g.count()
	}
	switch g.IntN(3) {
	case 0:
		q.Select.Star = true
	case 1:
		q.Select.Value = g.expr(depth)
	default:
		for _, e := range g.exprs(1, depth) {
			i := Item{Expr: e}
			if g.IntN(2) == 0 {
				i.Alias = g.one("x", "value", "AS", "größe", "_1")
			}
			q.Select.Items = append(q.Select.Items, i)
		}
	}
	if g.IntN(3) > 0 {
		for range 1 + g.IntN(3) {
			q.From = append(q.From, g.source(depth))
		}
	}
	if g.IntN(2) == 0 {
		q.Where = g.expr(depth)
	}
	if g.IntN(4) == 0 {
		q.GroupBy = g.exprs(1, depth)
	}
	for range g.IntN(3) {
		q.OrderBy = append(q.OrderBy, Order{Expr: g.expr(depth), Descending: g.IntN(2) == 0})
	}
	if g.IntN(4) == 0 {
		q.Offset, q.Limit = g.count(), g.count()
	}
	return q
}

// The text of any tree parses back to that tree.
func TestRandomTreesComeBack(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(4, 2))}
	for range 1500 {
		checkRoundTrip(t, g.query(1+g.IntN(4)))
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range canonical {
		f.Add(tt.text)
	}
	g := generator{rand.New(rand.NewPCG(5, 2))}
	for range 50 {
		f.Add(g.query(3).String())
	}
	for _, s := range []string{"", "SELECT '", "SELECT \"\\u", "SELECT 0x", "SELECT [[[", "SELECT a ? b", "SELECT * FROM c WHERE a NOT", "SELECT @", "\xff", "SELECT 1--"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			e, ok := err.(*SyntaxError)
			if !ok || e.Start < 0 || e.End < e.Start || e.End > len(text) {
				t.Fatalf("%q: %#v", text, err)
			}
			v, err := value.Parse([]byte(e.JSON()))
			if message, _ := v.Get("errors").Index(0).Get("message").AsString(); err != nil || message != e.Message {
				t.Fatalf("%q: %s: %v", text, e.JSON(), err)
			}
			return
		}
		if p := q.Pos(); p.Start < 0 || p.End < p.Start || p.End > len(text) {
			t.Fatalf("%q is at %v", text, p)
		}
		if len(text) < 4<<10 {
			checkRoundTrip(t, q)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := `SELECT c.id, c["value"] AS v FROM c WHERE c.type = @type AND c.deviceId IN ("a", "b") AND c.createdAt >= "2024-01-01" ORDER BY c._ts DESC OFFSET 0 LIMIT 100`
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

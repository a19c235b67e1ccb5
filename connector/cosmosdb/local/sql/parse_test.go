package sql

import (
	"errors"
	"strings"
	"testing"
)

// canonical are queries with the text that their tree prints as. That text
// parses to a tree that prints the same, which TestCanonicalText checks too.
var canonical = []struct{ text, want string }{
	// SELECT
	{`select * from c`, `SELECT * FROM c`},
	{`SELECT *`, `SELECT *`},
	{`SELECT 1`, `SELECT 1`},
	{`SELECT VALUE 1`, `SELECT VALUE 1`},
	{`SELECT VALUE c FROM c`, `SELECT VALUE c FROM c`},
	{`SELECT VALUE COUNT(1) FROM c`, `SELECT VALUE COUNT(1) FROM c`},
	{`SELECT DISTINCT VALUE c.type FROM c`, `SELECT DISTINCT VALUE c.type FROM c`},
	{`SELECT DISTINCT c.a, c.b FROM c`, `SELECT DISTINCT c.a, c.b FROM c`},
	{`SELECT TOP 10 * FROM c`, `SELECT TOP 10 * FROM c`},
	{`SELECT TOP @n c.id FROM c`, `SELECT TOP @n c.id FROM c`},
	{`SELECT DISTINCT TOP 3 VALUE c.x FROM c`, `SELECT DISTINCT TOP 3 VALUE c.x FROM c`},
	{`SELECT TOP 3 DISTINCT VALUE c.x FROM c`, `SELECT DISTINCT TOP 3 VALUE c.x FROM c`},
	{`SELECT c.id, c["odd name"] AS x FROM c`, `SELECT c.id, c["odd name"] AS x FROM c`},
	{`SELECT c.id identifier, c.a + 1 sum FROM c`, `SELECT c.id AS identifier, c.a + 1 AS sum FROM c`},
	{`SELECT c.x AS value, c.y AS order FROM c`, `SELECT c.x AS value, c.y AS order FROM c`},
	{`SELECT COUNT(1) AS n, c.type FROM c GROUP BY c.type`, `SELECT COUNT(1) AS n, c.type FROM c GROUP BY c.type`},
	{`SELECT {"a": c.x, b: [c.y, 1], 'value': {}} AS o FROM c`, `SELECT {"a": c.x, "b": [c.y, 1], "value": {}} AS o FROM c`},
	// FROM and JOIN
	{`SELECT * FROM root`, `SELECT * FROM root`},
	{`SELECT * FROM Families f`, `SELECT * FROM Families AS f`},
	{`SELECT * FROM Families AS f`, `SELECT * FROM Families AS f`},
	{`SELECT * FROM c.items`, `SELECT * FROM c.items`},
	{`SELECT * FROM c["a b"].items[0] i`, `SELECT * FROM c["a b"].items[0] AS i`},
	{`SELECT * FROM c IN root.items`, `SELECT * FROM c IN root.items`},
	{`SELECT t FROM c JOIN t IN c.tags`, `SELECT t FROM c JOIN t IN c.tags`},
	{`SELECT * FROM c JOIN x IN c.a JOIN y IN x.b JOIN z IN y["c"]`, `SELECT * FROM c JOIN x IN c.a JOIN y IN x.b JOIN z IN y.c`},
	{`SELECT * FROM c JOIN c.a AS x JOIN c.b y`, `SELECT * FROM c JOIN c.a AS x JOIN c.b AS y`},
	{`SELECT * FROM c JOIN (SELECT VALUE t FROM t IN c.tags WHERE t = 'x') AS t`, `SELECT * FROM c JOIN (SELECT VALUE t FROM t IN c.tags WHERE t = "x") AS t`},
	{`SELECT * FROM c JOIN t IN (SELECT VALUE c.tags)`, `SELECT * FROM c JOIN t IN (SELECT VALUE c.tags)`},
	{`SELECT VALUE s FROM (SELECT c.a FROM c) s`, `SELECT VALUE s FROM (SELECT c.a FROM c) AS s`},
	// Paths
	{`SELECT c.a.b["c"].d[0][@i][c.n] FROM c`, `SELECT c.a.b.c.d[0][@i][c.n] FROM c`},
	{`SELECT c['it\'s'], c["\u00e9"], c[""], c["1a"] FROM c`, `SELECT c["it's"], c["é"], c[""], c["1a"] FROM c`},
	{`SELECT c.value, c.order, c["select"], c.Top, c.group.by FROM c`, `SELECT c["value"], c["order"], c["select"], c["Top"], c["group"]["by"] FROM c`},
	{`SELECT c.größe, é.x FROM é`, `SELECT c["größe"], é.x FROM é`},
	{`SELECT [1, 2][0], {"a": 1}.a, "x"[0], (1)[0], ARRAY(SELECT 1)[0]`, `SELECT [1, 2][0], {"a": 1}.a, "x"[0], (1)[0], ARRAY(SELECT 1)[0]`},
	// Constants
	{`SELECT true, FALSE, Null, UNDEFINED, undefined`, `SELECT true, false, null, undefined, undefined`},
	{`SELECT 0, 1.50, .5, 5., 1e3, 1E-7, 0x1F, 1e21, 123456789012`, `SELECT 0, 1.5, 0.5, 5, 1000, 1e-7, 31, 1e+21, 123456789012`},
	{`SELECT -1, - 1, -(1), --2
 -0, +1, - -1, -.5e-9`, `SELECT -1, -1, -1, -0, +1, 1, -5e-10`},
	{`SELECT "a\"b'\\\/\b\f\n\r\t\u00e9\ud83d\ude00", 'a"b\'', '', ""`, `SELECT "a\"b'\\/\b\f\n\r\té😀", "a\"b'", "", ""`},
	{"SELECT 'two\nlines', '--', '/**/'", `SELECT "two\nlines", "--", "/**/"`},
	{`SELECT @a, @1, @größe, @select`, `SELECT @a, @1, @größe, @select`},
	{`SELECT [], [[]], {}, {"a": undefined}`, `SELECT [], [[]], {}, {"a": undefined}`},
	// Comments and white space
	{"SELECT * -- all of it\nFROM c--\n--x", `SELECT * FROM c`},
	{"\uFEFFSELECT\t*\r\nFROM\u00a0c", `SELECT * FROM c`},
	{`SELECT*FROM c WHERE(c.a)=1AND 2=2`, ``},
	{`SELECT*FROM c WHERE(c.a)=(1)AND(2)=2`, `SELECT * FROM c WHERE c.a = 1 AND 2 = 2`},
	// Operators
	{`SELECT a = b, a != b, a <> b, a < b, a <= b, a > b, a >= b`, `SELECT a = b, a != b, a != b, a < b, a <= b, a > b, a >= b`},
	{`SELECT a + b - c * d / e % f, a & b | c ^ d, ~a, a << 1 >> 2 >>> 3, a || b || c`, `SELECT a + b - c * d / e % f, a & b | c ^ d, ~a, a << 1 >> 2 >>> 3, a || b || c`},
	{`SELECT (a + b) * c, a + (b * c), a - (b - c), (a - b) - c`, `SELECT (a + b) * c, a + b * c, a - (b - c), a - b - c`},
	{`SELECT a AND b OR c AND NOT d, (a OR b) AND c, a AND (b AND c), !a`, `SELECT a AND b OR c AND NOT d, (a OR b) AND c, a AND (b AND c), NOT a`},
	{`SELECT NOT a = 1, NOT (a = 1), NOT NOT a, - -a, -(-(-a)), -a.b, (-a).b, ~-1, !-a`, `SELECT NOT a = 1, NOT (a = 1), NOT NOT a, -(-a), -(-(-a)), -a.b, (-a).b, ~-1, NOT -a`},
	{`SELECT a ?? "d", a ?? b ?? c, (a ?? b) ?? c, a ?? b OR c, (a ?? b) = c`, `SELECT a ?? "d", a ?? b ?? c, (a ?? b) ?? c, a ?? b OR c, (a ?? b) = c`},
	{`SELECT a ? b : c, a ? b : c ? d : e, a ? b ? c : d : e, (a ? b : c) ? d : e, a ?? b ? c : d`, `SELECT a ? b : c, a ? b : c ? d : e, a ? b ? c : d : e, (a ? b : c) ? d : e, a ?? b ? c : d`},
	{`SELECT a ? 1 : 2 AS x, (a ? b : c) + 1`, `SELECT a ? 1 : 2 AS x, (a ? b : c) + 1`},
	{`SELECT a = b = c, a = (b = c), a || b = c || d, a + b || c`, `SELECT a = b = c, a = (b = c), a || b = c || d, a + b || c`},
	{`SELECT * FROM c WHERE c.a BETWEEN 1 AND 2 AND c.b NOT BETWEEN @x AND @y + 1 OR c.d`, `SELECT * FROM c WHERE c.a BETWEEN 1 AND 2 AND c.b NOT BETWEEN @x AND @y + 1 OR c.d`},
	{`SELECT * FROM c WHERE c.a IN (1) AND c.b NOT IN (@a, "x", null, [1])`, `SELECT * FROM c WHERE c.a IN (1) AND c.b NOT IN (@a, "x", null, [1])`},
	{`SELECT * FROM c WHERE (c.a IN (1, 2)) = true`, `SELECT * FROM c WHERE (c.a IN (1, 2)) = true`},
	{`SELECT * FROM c WHERE c.a LIKE "%x_" OR c.b NOT LIKE @p ESCAPE '!' AND c.d LIKE "a" || "%" ESCAPE @e`, `SELECT * FROM c WHERE c.a LIKE "%x_" OR c.b NOT LIKE @p ESCAPE "!" AND c.d LIKE "a" || "%" ESCAPE @e`},
	{`SELECT a + b IN (1), a = b LIKE "x"`, `SELECT a + b IN (1), a = b LIKE "x"`},
	// Functions and subqueries
	{`SELECT LEFT(c.a, 2), RIGHT(c.a, 2), left FROM c`, `SELECT LEFT(c.a, 2), RIGHT(c.a, 2), left FROM c`},
	{`SELECT GetCurrentTimestamp(), udf.f(), UDF.order(1, c.a), is_defined(c.x) FROM c`, `SELECT GetCurrentTimestamp(), udf.f(), udf.order(1, c.a), is_defined(c.x) FROM c`},
	{`SELECT * FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.tags WHERE t = 1) AND NOT exists (SELECT 1)`, `SELECT * FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.tags WHERE t = 1) AND NOT EXISTS(SELECT 1)`},
	{`SELECT ARRAY(SELECT VALUE t FROM t IN c.tags) AS tags, (SELECT VALUE COUNT(1) FROM t IN c.tags) AS n FROM c`, `SELECT ARRAY(SELECT VALUE t FROM t IN c.tags) AS tags, (SELECT VALUE COUNT(1) FROM t IN c.tags) AS n FROM c`},
	{`SELECT (SELECT (SELECT (SELECT 1)))`, `SELECT (SELECT (SELECT (SELECT 1)))`},
	{`SELECT rank, let, first, all FROM rank`, `SELECT rank, let, first, all FROM rank`},
	// Clauses
	{`SELECT * FROM c WHERE c.a = 1`, `SELECT * FROM c WHERE c.a = 1`},
	{`SELECT c.a FROM c GROUP BY c.a, LOWER(c.b)`, `SELECT c.a FROM c GROUP BY c.a, LOWER(c.b)`},
	{`SELECT * FROM c ORDER BY c.a`, `SELECT * FROM c ORDER BY c.a ASC`},
	{`SELECT * FROM c ORDER BY c.a desc, c.b asc, c.d`, `SELECT * FROM c ORDER BY c.a DESC, c.b ASC, c.d ASC`},
	{`SELECT * FROM c ORDER BY rank`, `SELECT * FROM c ORDER BY rank ASC`},
	{`SELECT * FROM c OFFSET 0 LIMIT 10`, `SELECT * FROM c OFFSET 0 LIMIT 10`},
	{`SELECT * FROM c ORDER BY c._ts DESC OFFSET @o LIMIT @l`, `SELECT * FROM c ORDER BY c._ts DESC OFFSET @o LIMIT @l`},
	{`SELECT c.a FROM c JOIN t IN c.t WHERE t GROUP BY c.a ORDER BY c.a OFFSET 1 LIMIT 2`, `SELECT c.a FROM c JOIN t IN c.t WHERE t GROUP BY c.a ORDER BY c.a ASC OFFSET 1 LIMIT 2`},
	// What clients send
	{`SELECT * from root where root.resource = "/dbs/RID/colls/RID/"`, `SELECT * FROM root WHERE root.resource = "/dbs/RID/colls/RID/"`},
	{`SELECT * FROM c WHERE c.offerResourceId = 'COLL_RID'`, `SELECT * FROM c WHERE c.offerResourceId = "COLL_RID"`},
	{`SELECT VALUE root FROM root WHERE (root["type"] = "CO2")`, `SELECT VALUE root FROM root WHERE root.type = "CO2"`},
	{`SELECT c._rid, [{"item": c.v}] AS orderByItems, c AS payload FROM c WHERE (true) ORDER BY c.v`, `SELECT c._rid, [{"item": c.v}] AS orderByItems, c AS payload FROM c WHERE true ORDER BY c.v ASC`},
}

func TestCanonicalText(t *testing.T) {
	t.Parallel()
	for _, tt := range canonical {
		q, err := Parse(tt.text)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s: accepted as %s", tt.text, q)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := q.String(); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
		}
		checkRoundTrip(t, q)
	}
}

// What holds how tightly, written with all brackets.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"a + b * c", "(a + (b * c))"},
		{"a - b - c", "((a - b) - c)"},
		{"a & b + c | d", "(((a & b) + c) | d)"}, // one level, to the left
		{"a || b + c", "(a || (b + c))"},
		{"a = b || c", "(a = (b || c))"},
		{"a < b << c", "((a < b) << c)"}, // shifts compare, in the service's grammar
		{"a = b AND c", "((a = b) AND c)"},
		{"a AND b OR c AND d", "((a AND b) OR (c AND d))"},
		{"a OR b ?? c OR d", "((a OR b) ?? (c OR d))"},
		{"a ?? b ?? c", "(a ?? (b ?? c))"},
		{"a ?? b ? c : d", "((a ?? b) ? c : d)"},
		{"a ? b : c ? d : e", "(a ? b : (c ? d : e))"},
		{"NOT a = b", "((NOT a) = b)"}, // so the service
		{"NOT a AND b", "((NOT a) AND b)"},
		{"NOT a IN (b)", "((NOT a) IN (b))"},
		{"-a.b * c", "((- (a.b)) * c)"},
		{"a BETWEEN b + c AND d AND e", "((a BETWEEN (b + c) AND d) AND e)"},
		{"a = b IN (c)", "((a = b) IN (c))"},
		{"a AND b LIKE c || d", "(a AND (b LIKE (c || d)))"},
	} {
		q, err := Parse("SELECT VALUE " + tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := bracketed(q.Select.Value); got != tt.want {
			t.Errorf("%s is %s, want %s", tt.text, got, tt.want)
		}
	}
}

func bracketed(e Expr) string {
	switch e := e.(type) {
	case *Unary:
		return "(" + e.Op.String() + " " + bracketed(e.X) + ")"
	case *Binary:
		return "(" + bracketed(e.L) + " " + e.Op.String() + " " + bracketed(e.R) + ")"
	case *Conditional:
		return "(" + bracketed(e.If) + " ? " + bracketed(e.Then) + " : " + bracketed(e.Else) + ")"
	case *Between:
		return "(" + bracketed(e.X) + " BETWEEN " + bracketed(e.Low) + " AND " + bracketed(e.High) + ")"
	case *In:
		return "(" + bracketed(e.X) + " IN (" + bracketed(e.Items[0]) + "))"
	case *Like:
		return "(" + bracketed(e.X) + " LIKE " + bracketed(e.Pattern) + ")"
	case *Member:
		return "(" + bracketed(e.Of) + "." + e.Name + ")"
	}
	return Text(e)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	near := func(s string) string { return "Syntax error, incorrect syntax near '" + s + "'." }
	for _, tt := range []struct {
		text       string
		code       string
		start, end int
		message    string
	}{
		{"", CodeSyntax, 0, 0, near("")},
		{"FROM c", CodeSyntax, 0, 4, near("FROM")},
		{"SELECT", CodeSyntax, 0, 6, near("SELECT")},
		{"SELECT FROM c", CodeSyntax, 7, 11, near("FROM")},
		{"SELECT * FORM c", CodeSyntax, 9, 13, near("FORM")},
		{"SELECT * FROM c WHERE", CodeSyntax, 16, 21, near("WHERE")},
		{"SELECT * FROM c WHERE c.a ==  1", CodeSyntax, 27, 28, near("=")},
		{"SELECT * FROM c WHERE c.a = 'x' y", CodeSyntax, 32, 33, near("y")},
		{"SELECT * FROM c WHERE c.a = (1", CodeSyntax, 29, 30, near("1")},
		{"SELECT * FROM c WHERE c.a IN ()", CodeSyntax, 30, 31, near(")")},
		{"SELECT * FROM c WHERE c.a IN (1) = true", CodeSyntax, 33, 34, near("=")},
		{"SELECT * FROM c WHERE c.a BETWEEN 1", CodeSyntax, 34, 35, near("1")},
		{"SELECT * FROM c WHERE c.a LIKE 'a' ESCAPE 1", CodeSyntax, 42, 43, near("1")},
		{"SELECT *, c.a FROM c", CodeSyntax, 8, 9, near(",")},
		{"SELECT c.a, FROM c", CodeSyntax, 12, 16, near("FROM")},
		{"SELECT value FROM c", CodeSyntax, 13, 17, near("FROM")},
		{"SELECT c. FROM c", CodeSyntax, 10, 14, near("FROM")},
		{"SELECT c.* FROM c", CodeSyntax, 9, 10, near("*")},
		{"SELECT c[1 FROM c", CodeSyntax, 11, 15, near("FROM")},
		{"SELECT TOP -1 * FROM c", CodeSyntax, 11, 12, near("-")},
		{"SELECT TOP 1.5 * FROM c", CodeSyntax, 11, 14, near("1.5")},
		{"SELECT TOP 99999999999 * FROM c", CodeSyntax, 11, 22, near("99999999999")},
		{"SELECT * FROM c OFFSET 1", CodeSyntax, 23, 24, near("1")},
		{"SELECT * FROM c LIMIT 1", CodeSyntax, 16, 21, near("LIMIT")},
		{"SELECT * FROM c OFFSET 1.0 LIMIT 1", CodeSyntax, 23, 26, near("1.0")},
		{"SELECT * FROM c ORDER c.a", CodeSyntax, 22, 23, near("c")},
		{"SELECT * FROM c ORDER BY c.a WHERE 1", CodeSyntax, 29, 34, near("WHERE")},
		{"SELECT * FROM c, d", CodeSyntax, 15, 16, near(",")},
		{"SELECT * FROM c JOIN", CodeSyntax, 16, 20, near("JOIN")},
		{"SELECT * FROM c[x]", CodeSyntax, 16, 17, near("x")},
		{"SELECT * FROM order", CodeSyntax, 14, 19, near("order")},
		{"SELECT * FROM c AS value", CodeSyntax, 19, 24, near("value")},
		{"SELECT {1: 2}", CodeSyntax, 8, 9, near("1")},
		{"SELECT {a: 2,}", CodeSyntax, 13, 14, near("}")},
		{"SELECT [1,]", CodeSyntax, 10, 11, near("]")},
		{"SELECT f(1,)", CodeSyntax, 11, 12, near(")")},
		{"SELECT udf(1)", CodeSyntax, 10, 11, near("(")},
		{"SELECT 1; SELECT 2", CodeToken, 8, 9, "Syntax error, invalid token ';'."},
		{"SELECT c.$x", CodeToken, 9, 10, "Syntax error, invalid token '$'."},
		{"SELECT 12ab", CodeToken, 7, 11, "Syntax error, invalid token '12ab'."},
		{"SELECT 1e", CodeToken, 7, 9, "Syntax error, invalid token '1e'."},
		{"SELECT 1e999", CodeToken, 7, 12, "Syntax error, invalid token '1e999'."},
		{"SELECT 0xZZ", CodeToken, 7, 11, "Syntax error, invalid token '0xZZ'."},
		{"SELECT @ FROM c", CodeToken, 7, 8, "Syntax error, invalid token '@'."},
		{"SELECT '😀', #", CodeToken, 13, 14, "Syntax error, invalid token '#'."}, // in UTF-16
		{`SELECT * FROM c WHERE c.a = "x`, CodeString, 28, 29, `Syntax error, invalid string literal token '"'.`},
		{`SELECT * FROM c WHERE c.a = 'it\x'`, CodeString, 28, 29, `Syntax error, invalid string literal token '''.`},
		{`SELECT '\u12g4'`, CodeString, 7, 8, `Syntax error, invalid string literal token '''.`},
		{"SELECT \xff", CodeToken, 0, 0, "Syntax error, the query is not valid UTF-8."},
		{"SELECT * FROM c ORDER BY RANK RRF(c.a)", CodeSyntax, 25, 29, "ORDER BY RANK is not supported here: it needs a full-text or vector index."},
	} {
		_, err := Parse(tt.text)
		var e *SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if want := (SyntaxError{tt.code, tt.message, tt.start, tt.end}); *e != want {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.text, *e, want)
		}
	}
}

func TestErrorAsTheServiceWritesIt(t *testing.T) {
	t.Parallel()
	_, err := Parse(`SELECT * FROM c WHERE c.a < > "x"`)
	var e *SyntaxError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	want := `{"errors":[{"severity":"Error","location":{"start":28,"end":29},"code":"SC1001","message":"Syntax error, incorrect syntax near '>'."}]}`
	if got := e.JSON(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got, want := e.Error(), "SC1001 at 28: Syntax error, incorrect syntax near '>'."; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		text string
		ok   bool
	}{
		{"brackets", "SELECT " + strings.Repeat("(", 150) + "1" + strings.Repeat(")", 150), true},
		{"too many brackets", "SELECT " + strings.Repeat("(", 100_000) + "1", false},
		{"too many arrays", "SELECT " + strings.Repeat("[", MaxDepth+1), false},
		{"too many objects", "SELECT " + strings.Repeat("{a:", MaxDepth+1), false},
		{"too many signs", "SELECT " + strings.Repeat("- ", MaxDepth+1) + "a", false},
		{"too many subqueries", strings.Repeat("SELECT (", MaxDepth), false},
		{"too many in FROM", strings.Repeat("SELECT * FROM (", MaxDepth+1), false},
		{"too many alternatives", "SELECT " + strings.Repeat("a ? b : ", MaxDepth+1) + "c", false},
		{"too many defaults", "SELECT " + strings.Repeat("a ?? ", MaxDepth+1) + "c", false},
		{"too many steps", "SELECT a" + strings.Repeat(".a", MaxOperators+1), false},
		{"a long list", "SELECT * FROM c WHERE c.a IN (" + strings.Repeat("1, ", 50_000) + "1)", true},
		{"many conditions", "SELECT * FROM c WHERE c.a = 1" + strings.Repeat(" OR c.a = 1", 10_000), true},
		{"a long text", "SELECT '" + strings.Repeat("x", MaxText) + "'", false},
	} {
		q, err := Parse(tt.text)
		var e *SyntaxError
		switch {
		case tt.ok && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.ok:
			if again, err := Parse(q.String()); err != nil || again.String() != q.String() {
				t.Errorf("%s: not the same again: %v", tt.name, err)
			}
		case !errors.As(err, &e) || e.Code != CodeLimit:
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	text := `SELECT c.a AS x, f(1 + 2, "é😀") FROM c JOIN t IN c.tags WHERE NOT c.b IN (1, @p) ORDER BY c.d DESC`
	q, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	units := []rune(text) // the emoji is the only one of two units
	cut := func(s Span) string {
		back := func(i int) int {
			if i > strings.IndexRune(string(units), '😀')-1 {
				return i - 1
			}
			return i
		}
		return string(units[back(s.Start):back(s.End)])
	}
	where := q.Where.(*In)
	for _, tt := range []struct {
		at   Span
		want string
	}{
		{q.Pos(), text}, {q.Select.Items[0].Span, "c.a AS x"}, {q.Select.Items[0].Expr.Pos(), "c.a"},
		{q.Select.Items[1].Expr.Pos(), `f(1 + 2, "é😀")`}, {q.Select.Items[1].Expr.(*Call).Args[0].Pos(), "1 + 2"},
		{q.From[1].Span, "t IN c.tags"}, {where.Pos(), "NOT c.b IN (1, @p)"}, {where.X.Pos(), "NOT c.b"},
		{where.Items[1].Pos(), "@p"}, {q.OrderBy[0].Span, "c.d DESC"},
	} {
		if got := cut(tt.at); got != tt.want {
			t.Errorf("%v is %q, want %q", tt.at, got, tt.want)
		}
	}
}

func TestConditionOfAPatch(t *testing.T) {
	t.Parallel()
	q, err := ParseCondition("from c where (c.TotalDue = 0 OR NOT IS_DEFINED(c.TotalDue))")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := q.String(), "SELECT * FROM c WHERE c.TotalDue = 0 OR NOT IS_DEFINED(c.TotalDue)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, s := range []string{"", "c.a = 1", "SELECT * FROM c", "FROM c WHERE", "FROM c x y"} {
		if _, err := ParseCondition(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestInspectSeesEverything(t *testing.T) {
	t.Parallel()
	q, err := Parse(`SELECT TOP @a @b, [@c], {x: @d} FROM r JOIN t IN (SELECT @e) WHERE -@f AND f(@g) BETWEEN @h AND @i
		OR @j IN (@k) OR @l LIKE @m ESCAPE @n OR EXISTS(SELECT @o) OR ARRAY(SELECT VALUE @p)[@q].x ?? (SELECT @r) ? @s : @t
		GROUP BY @u ORDER BY @v OFFSET @w LIMIT @x`)
	if err != nil {
		t.Fatal(err)
	}
	seen := ""
	q.Inspect(func(e Expr) bool {
		if p, ok := e.(*Parameter); ok {
			seen += p.Name[1:]
		}
		return true
	})
	if seen != "abcdefghijklmnopqrstuvwx" {
		t.Errorf("saw %s", seen)
	}
	count := 0
	q.Inspect(func(Expr) bool { count++; return false })
	if count != 11 {
		t.Errorf("%d expressions at the top", count)
	}
}

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"a": true, "_a1": true, "Top1": true, "": false, "1a": false, "a b": false, "é": false, "top": false, "VALUE": false, "a-b": false, "@a": false, "[": false, "`": false} {
		if got := IsIdentifier(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

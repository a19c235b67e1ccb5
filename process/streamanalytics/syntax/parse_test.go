package syntax

import (
	"slices"
	"strings"
	"testing"
)

// Texts that are nested or chained without end get an error, and soon.
func TestDeepTexts(t *testing.T) {
	t.Parallel()
	const n = 12_000
	for name, text := range map[string]string{
		"parentheses":             "SELECT " + strings.Repeat("(", n) + "a" + strings.Repeat(")", n) + " FROM i",
		"open parentheses":        "SELECT " + strings.Repeat("(", n),
		"NOT":                     "SELECT * FROM i WHERE " + strings.Repeat("NOT ", n) + "a",
		"signs":                   "SELECT " + strings.Repeat("- ", n) + "a FROM i",
		"calls":                   "SELECT " + strings.Repeat("f(", n) + "a" + strings.Repeat(")", n) + " FROM i",
		"CASE":                    "SELECT " + strings.Repeat("CASE WHEN ", n) + "a FROM i",
		"casts":                   "SELECT " + strings.Repeat("CAST(", n) + "a FROM i",
		"queries":                 strings.Repeat("SELECT a FROM (", n/2) + "i",
		"queries in queries":      strings.Repeat("(", n) + "SELECT a FROM i",
		"IN":                      "SELECT * FROM i WHERE " + strings.Repeat("a IN (", n) + "1",
		"patterns":                "SELECT * FROM i MATCH_RECOGNIZE (PATTERN (" + strings.Repeat("(", n) + "a",
		"windows":                 "SELECT * FROM i GROUP BY " + strings.Repeat("TumblingWindow(second, ", n/4),
		"sums":                    "SELECT 1" + strings.Repeat("+1", n) + " FROM i",
		"conditions":              "SELECT * FROM i WHERE a" + strings.Repeat(" OR a", n) + " AND b",
		"tests":                   "SELECT * FROM i WHERE a" + strings.Repeat(" IS NULL", n),
		"members":                 "SELECT f()" + strings.Repeat(".a", n) + " FROM i",
		"joins":                   "SELECT * FROM i" + strings.Repeat(" CROSS JOIN j", n/4),
		"unions":                  "SELECT * FROM i" + strings.Repeat(" UNION SELECT * FROM i", n/4),
		"subqueries":              "SELECT " + strings.Repeat("(SELECT ", n) + "1",
		"windows of windows":      "SELECT * FROM i GROUP BY " + strings.Repeat("Windows(", n),
		"OVER":                    "SELECT " + strings.Repeat("f() OVER (WHEN ", n/4),
		"a text that is too long": strings.Repeat(" ", MaxText+1),
	} {
		script, diagnostics := Parse(text)
		if name == "joins" || name == "unions" {
			// Fewer than the most that may follow each other: still no harm.
			checkRoundTrip(t, script)
			continue
		}
		if len(diagnostics) == 0 {
			t.Errorf("%s: no error", name)
		}
		if len(diagnostics) > maxDiagnostics {
			t.Errorf("%s: %d errors", name, len(diagnostics))
		}
	}
	if _, diagnostics := Parse(strings.Repeat("SELECT 1 2 3 FROM i;", 500)); len(diagnostics) != maxDiagnostics {
		t.Errorf("%d errors are reported", len(diagnostics))
	}
}

// What is nested as deep as allowed is read and printed.
func TestNestingWithinTheBounds(t *testing.T) {
	t.Parallel()
	const n = MaxDepth - 10
	checkRoundTrip(t, mustParse(t, "SELECT "+strings.Repeat("(", n)+"a"+strings.Repeat(")", n)+" FROM i"))
	checkRoundTrip(t, mustParse(t, "SELECT * FROM i WHERE a = 1"+strings.Repeat(" OR a = 1", 5000)))
}

// An error in one place leaves the rest of the tree as it is.
func TestTreeAroundErrors(t *testing.T) {
	t.Parallel()
	script, diagnostics := Parse(`CREATE TABLE t (a bigint, b, c float);
WITH x AS (SELECT a, b +, c FROM t WHERE d = 1), y AS (SELECT * FROM x WHERE = 2)
SELECT f(g h), k INTO out FROM y TIMESTAMP BY at WHERE l = 3 GROUP BY (m HAVING n > 4;
SELECT * INTO second FROM x`)
	if len(diagnostics) != 5 {
		t.Errorf("%v", diagnostics)
	}
	var names []string
	Inspect(script, func(n Node) bool {
		if id, ok := n.(*Ident); ok {
			names = append(names, id.Name)
		}
		return true
	})
	for _, want := range []string{"t", "a", "c", "x", "y", "d", "out", "k", "at", "l", "n", "second"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not in the tree: %v", want, names)
		}
	}
	if len(script.Statements) != 4 {
		t.Errorf("%d statements", len(script.Statements))
	}
}

// Precedence, written out with parentheses.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	for text, same := range map[string]string{
		"a + b * c":                       "a + (b * c)",
		"a - b - c":                       "(a - b) - c",
		"a / b % c * d":                   "((a / b) % c) * d",
		"a + b & c | d ^ e - f":           "((((a + b) & c) | d) ^ e) - f",
		"~a * -b":                         "(~a) * (-b)",
		"- a + b":                         "(-a) + b",
		"a = b + c":                       "a = (b + c)",
		"NOT a = b":                       "NOT (a = b)",
		"NOT a = b AND c = d":             "(NOT (a = b)) AND (c = d)",
		"a = 1 OR b = 2 AND c = 3":        "(a = 1) OR ((b = 2) AND (c = 3))",
		"NOT NOT a = b":                   "NOT (NOT (a = b))",
		"a BETWEEN 1 AND 2 AND b = 3":     "(a BETWEEN 1 AND 2) AND (b = 3)",
		"a + 1 BETWEEN b - 1 AND c * 2":   "(a + 1) BETWEEN (b - 1) AND (c * 2)",
		"a NOT IN (1, 2) OR b IS NULL":    "(a NOT IN (1, 2)) OR (b IS NULL)",
		"NOT a LIKE 'x' + 'y'":            "NOT (a LIKE ('x' + 'y'))",
		"a | b = c":                       "(a | b) = c",
		"NOT a IS NOT NULL":               "NOT (a IS NOT NULL)",
		"CASE WHEN a OR b THEN c + d END": "CASE WHEN (a OR b) THEN (c + d) END",
	} {
		got := mustParse(t, "SELECT x FROM i WHERE "+text)
		want := mustParse(t, "SELECT x FROM i WHERE "+same)
		if dump(got) != dump(want) {
			t.Errorf("%s is read as\n%s\nnot\n%s", text, dump(got), dump(want))
		}
		where := got.Statements[0].(*QueryStatement).Query.(*Select).Where
		if Text(where) != text && Text(where) != strings.ReplaceAll(text, "- a", "-a") {
			t.Errorf("%s prints as %s", text, Text(where))
		}
	}
}

// Trees that no text was read for get the parentheses that they need.
func TestParenthesesAreAdded(t *testing.T) {
	t.Parallel()
	col := func(name string) Expr { return &Column{Path: []*Ident{{Name: name}}} }
	sum := &Binary{Op: Add, X: col("a"), Y: col("b")}
	for want, e := range map[string]Expr{
		"(a + b) * c":                  &Binary{Op: Multiply, X: sum, Y: col("c")},
		"c - (a + b)":                  &Binary{Op: Subtract, X: col("c"), Y: sum},
		"-(a + b)":                     &Unary{Op: Minus, X: sum},
		"- -1":                         &Unary{Op: Minus, X: &Unary{Op: Minus, X: &Number{Text: "1"}}},
		"a = (NOT b)":                  &Binary{Op: Equal, X: col("a"), Y: &Unary{Op: Not, X: col("b")}},
		"NOT (a OR b)":                 &Unary{Op: Not, X: &Binary{Op: Or, X: col("a"), Y: col("b")}},
		"a BETWEEN (b = c) AND d":      &Between{X: col("a"), Low: &Binary{Op: Equal, X: col("b"), Y: col("c")}, High: col("d")},
		"[select].[a b]":               &Column{Path: []*Ident{{Name: "select"}, {Name: "a b"}}},
		"f(a, 'it''s').[x y]":          &Member{X: &Call{Name: []*Ident{{Name: "f"}}, Args: []Expr{col("a"), &String{Value: "it's"}}}, Name: &Ident{Name: "x y"}},
		"Tumbling(second, 5)":          &Window{Short: true, Size: &Duration{Unit: &Unit{Name: "second", Unit: Second}, Value: &Number{Text: "5"}}},
		"CAST(a + b AS nvarchar(max))": &Cast{X: sum, Type: &TypeName{Type: NVarCharMax}},
	} {
		if got := Text(e); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestDefaultOutput(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SELECT * FROM i":                                       "",
		"SELECT * INTO o FROM i":                                "o",
		"SELECT * INTO [o p] FROM i UNION SELECT * FROM j":      "o p",
		"(SELECT * INTO o FROM i UNION SELECT a FROM j)":        "o",
		"SELECT a FROM (SELECT * FROM i) UNION SELECT b FROM j": "",
	} {
		got := ""
		if id := mustParse(t, text).Statements[0].(*QueryStatement).Into(); id != nil {
			got = id.Name
		}
		if got != want {
			t.Errorf("%s goes to %q, not %q", text, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"SELECT", "FROM", "WHERE", "GROUP", "BY", "TumblingWindow", "COUNT"}
	for word, want := range map[string]string{
		"selct": "SELECT", "FORM": "FROM", "wher": "WHERE", "WHEER": "WHERE", "tumblingwndow": "TumblingWindow", "cuont": "COUNT",
		"x": "", "bi": "", "value": "", "device": "", "frmo": "FROM", "frrromm": "", "": "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q is near %q, not %q", word, got, want)
		}
	}
}

func TestTimeUnits(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]TimeUnit{
		"day": Day, "DD": Day, "d": Day, "hour": Hour, "hh": Hour, "hours": Hour, "minute": Minute, "mi": Minute, "n": Minute,
		"second": Second, "ss": Second, "S": Second, "millisecond": Millisecond, "ms": Millisecond, "microsecond": Microsecond, "mcs": Microsecond,
		"year": Year, "yy": Year, "yyyy": Year, "quarter": Quarter, "qq": Quarter, "q": Quarter, "month": Month, "mm": Month, "m": Month,
		"dayofyear": DayOfYear, "dy": DayOfYear, "y": DayOfYear, "week": Week, "wk": Week, "ww": Week, "weekday": Weekday, "dw": Weekday, "ns": Nanosecond,
	} {
		if got, ok := ParseTimeUnit(name); !ok || got != want {
			t.Errorf("%s is %v %v", name, got, ok)
		}
	}
	for u := Year; u <= Nanosecond; u++ {
		if got, ok := ParseTimeUnit(u.String()); !ok || got != u {
			t.Errorf("%s is %s", u, got)
		}
	}
	for _, name := range []string{"", "min", "sec", "century", "h"} {
		if u, ok := ParseTimeUnit(name); ok {
			t.Errorf("%q is %s", name, u)
		}
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	text := "SELECT a\r\nFROM\tgröße WHRE x\n"
	_, diagnostics := Parse(text)
	if len(diagnostics) != 1 {
		t.Fatal(diagnostics)
	}
	if got, want := diagnostics[0].Excerpt(text), "FROM größe WHRE x\n           ^^^^"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := (Diagnostic{}).Excerpt(text); got != "" {
		t.Errorf("an error without a place shows %q", got)
	}
}

// FuzzParse reads anything. Places are always true; what has no errors can be
// printed and read again without a change.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/queries.txt", "testdata/errors.txt"} {
		for _, c := range readGolden(f, file) {
			f.Add(c.input)
		}
	}
	f.Add("\xff'\x00[\u2028]-- \xfe\n/*/**/")
	f.Fuzz(func(t *testing.T, text string) {
		script, diagnostics := Parse(text)
		for _, d := range diagnostics {
			checkDiagnostic(t, d, text)
		}
		if len(diagnostics) > 0 {
			Print(script) // what there is of it
			return
		}
		checkRoundTrip(t, script)
		if len(text) < 1000 {
			checkPlaces(t, script, text)
		}
	})
}

// FuzzNames prints any name and any text such that it is read back.
func FuzzNames(f *testing.F) {
	f.Add("a", "b")
	f.Add("a]b", "it's")
	f.Add("select", "--")
	f.Add("[", "/*")
	f.Fuzz(func(t *testing.T, name, value string) {
		if name == "" || len(name)+len(value) > 1000 {
			return
		}
		script := &Script{Statements: []Statement{&QueryStatement{Query: &Select{
			Items: []*Item{{Expr: &String{Value: value}, Alias: &Ident{Name: name}}, {Expr: &Column{Path: []*Ident{{Name: name, Quote: '"'}, {Name: name}}}}},
			From:  &Input{Name: &Ident{Name: name, Quote: '['}},
		}}}}
		again := mustParse(t, Print(script))
		s := again.Statements[0].(*QueryStatement).Query.(*Select)
		if s.Items[0].Expr.(*String).Value != value || s.Items[0].Alias.Name != name || s.From.(*Input).Name.Name != name {
			t.Errorf("%q and %q are read as\n%s", name, value, dump(again))
		}
		for _, id := range s.Items[1].Expr.(*Column).Path {
			if id.Name != name {
				t.Errorf("%q is read as %q", name, id.Name)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var all strings.Builder
	for _, c := range readGolden(b, "testdata/queries.txt") {
		all.WriteString(c.input + "\n;\n")
	}
	text := all.String()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, diagnostics := Parse(text); len(diagnostics) > 0 {
			b.Fatal(diagnostics[0])
		}
	}
}

package query

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// generator makes random items and queries over them.
type generator struct{ *rand.Rand }

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g generator) scalar() string {
	return g.pick("0", "1", "2", "3.5", "-1", `"x"`, `"xy"`, `"y"`, `""`, "true", "false", "null")
}

func (g generator) anything() string {
	switch g.IntN(8) {
	case 0:
		return "[" + g.scalar() + "," + g.scalar() + "]"
	case 1:
		return `{"p":` + g.scalar() + "}"
	}
	return g.scalar()
}

func (g generator) item(i int) string {
	members := []string{fmt.Sprintf(`"id":"i%d"`, i), fmt.Sprintf(`"_rid":"r%d"`, i)}
	maybe := func(text string) {
		if g.IntN(6) > 0 {
			members = append(members, text)
		}
	}
	maybe(`"key":` + g.pick(`"k1"`, `"k2"`, `"k3"`, `"k4"`, `"k5"`, `"k6"`, "1", "2", "null", "true"))
	maybe(`"a":` + g.anything())
	maybe(fmt.Sprintf(`"n":%d`, g.IntN(6)))
	maybe(`"s":` + g.pick(`"apple"`, `"apply"`, `"bee"`, `"b"`, `"cat"`))
	maybe(`"o":{"n":` + g.scalar() + `,"s":` + g.scalar() + `}`)
	elements := make([]string, g.IntN(4))
	for i := range elements {
		elements[i] = g.scalar()
	}
	maybe(`"t":[` + strings.Join(elements, ",") + "]")
	return "{" + strings.Join(members, ",") + "}"
}

func (g generator) items(n int) []string {
	items := make([]string, n)
	for i := range items {
		items[i] = g.item(i)
	}
	return items
}

func (g generator) path() string {
	return g.pick("c.a", "c.n", "c.s", "c.o.n", "c.o.s", "c.key", "c.id", "c.missing", `c["a"]`, "c.o")
}

func (g generator) constant() string {
	if g.IntN(4) == 0 {
		return g.pick(`"k1"`, `"k2"`, `"i1"`, `"i2"`, `"apple"`, `"b"`, "undefined", "[1,2]", "1 + 1")
	}
	return g.scalar()
}

func (g generator) condition(depth int) string {
	if depth > 0 && g.IntN(3) == 0 {
		return "(" + g.condition(depth-1) + g.pick(" AND ", " AND ", " OR ") + g.condition(depth-1) + ")"
	}
	p := g.path()
	switch g.IntN(13) {
	case 0, 1, 2:
		return p + g.pick(" = ", " < ", " <= ", " > ", " >= ", " != ") + g.constant()
	case 3:
		return p + g.pick(" IN (", " NOT IN (") + g.constant() + ", " + g.constant() + ")"
	case 4:
		return p + " BETWEEN " + g.constant() + " AND " + g.constant()
	case 5:
		return g.pick("STARTSWITH", "CONTAINS") + "(c.s, " + g.pick(`"a"`, `"appl"`, `"b"`, `""`) + g.pick("", ", true", ", false") + ")"
	case 6:
		return "c.s LIKE " + g.pick(`"a%"`, `"%e"`, `"_ee"`, `"apple"`, `"%"`)
	case 7:
		return "ARRAY_CONTAINS(c.t, " + g.constant() + ")"
	case 8:
		return "EXISTS(SELECT VALUE x FROM x IN c.t WHERE x = " + g.constant() + ")"
	case 9:
		return g.pick("IS_DEFINED(", "IS_NUMBER(", "IS_STRING(", "IS_NULL(") + p + ")"
	case 10:
		return "NOT (" + p + " = " + g.constant() + ")"
	case 11:
		return g.constant() + g.pick(" = ", " < ", " >= ") + p
	}
	return "c.key = " + g.pick(`"k1"`, `"k2"`, "1", "null")
}

// query is one in parts.
type query struct {
	text string
	// ordered tells that the whole order is fixed, limited that the results
	// depend on the order.
	ordered, limited bool
}

func (g generator) where() string {
	if g.IntN(4) == 0 {
		return ""
	}
	return " WHERE " + g.condition(2)
}

func (g generator) limits() (top, end string, limited bool) {
	switch g.IntN(5) {
	case 0:
		return fmt.Sprintf("TOP %d ", g.IntN(12)), "", true
	case 1:
		return "", fmt.Sprintf(" OFFSET %d LIMIT %d", g.IntN(12), g.IntN(12)), true
	}
	return "", "", false
}

func (g generator) query() query {
	top, end, limited := g.limits()
	where := g.where()
	switch g.IntN(5) {
	case 0:
		text := "SELECT " + top + g.aggregates() + " FROM c" + where + end
		return query{text: text, ordered: true, limited: limited}
	case 1:
		by := []string{g.path()}
		if g.IntN(2) == 0 {
			by = append(by, "c.n > 2")
		}
		list := by[0] + " AS g"
		if g.IntN(4) > 0 {
			list += ", " + g.aggregate() + " AS x, " + g.aggregate() + " AS y"
		} else if g.IntN(2) == 0 {
			list = "VALUE " + g.pick(by[0], g.aggregate())
		}
		text := "SELECT " + top + list + " FROM c" + where + " GROUP BY " + strings.Join(by, ", ") + end
		return query{text: text, limited: limited}
	case 2:
		given := g.pick("VALUE c.a", "VALUE c.n", "c.s", "c.n, c.s", "VALUE c.o", "VALUE c.t[0]")
		order := ""
		if strings.HasPrefix(given, "VALUE c.") && g.IntN(2) == 0 && given != "VALUE c.t[0]" {
			order = " ORDER BY " + given[6:] + g.pick("", " DESC")
		} else if g.IntN(3) == 0 {
			order = " ORDER BY c.id"
		}
		return query{text: "SELECT DISTINCT " + top + given + " FROM c" + where + order + end, ordered: order != "", limited: limited}
	}
	given := g.pick("*", "c.id, c.n", "VALUE c.id", "VALUE c.a", "c.id, c.n + 1 AS m, c.o.s", "VALUE {\"i\": c.id, \"a\": c.a}", "c.id, ARRAY_LENGTH(c.t) AS l")
	from := " FROM c"
	if given != "*" && g.IntN(4) == 0 {
		from += " JOIN x IN c.t"
		given = "c.id, x"
	}
	order := ""
	if g.IntN(2) == 0 {
		order = " ORDER BY " + g.pick(g.path()+g.pick("", " DESC")+", ", g.path()+", "+g.path()+" DESC, ", "") + "c.id" + g.pick("", " DESC")
	}
	return query{text: "SELECT " + top + given + from + where + order + end, ordered: order != "", limited: limited}
}

func (g generator) aggregate() string {
	return g.pick("COUNT(1)", "COUNT(c.a)", "SUM(c.n)", "AVG(c.n)", "MIN(c.n)", "MAX(c.n)", "MIN(c.a)", "MAX(c.a)", "SUM(c.a)", "AVG(c.a)", "COUNTIF(c.n > 2)")
}

func (g generator) aggregates() string {
	if g.IntN(2) == 0 {
		return "VALUE " + g.aggregate()
	}
	return g.aggregate() + " AS x, " + g.aggregate() + " AS y"
}

// agree compares the results of two ways to run a query.
func (q query) agree(a, b []string) bool {
	if q.limited && !q.ordered {
		return len(a) == len(b)
	}
	a, b = slices.Clone(a), slices.Clone(b)
	if !q.ordered {
		slices.Sort(a)
		slices.Sort(b)
	}
	return slices.Equal(a, b)
}

var moreRounds = flag.Int("rounds", 1, "how many times as many rounds of random queries to run")

func rounds(n int) int { return n * *moreRounds }

// However a query is read, and in pages of whatever size, it gives the same.
func TestIndexesAndPagesChangeNothing(t *testing.T) {
	t.Parallel()
	for round := range rounds(20) {
		seed := uint64(round)
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		c := newContainer(t, g.items(60)...)
		indexed := *c
		indexed.indexed = everyPath
		some := *c
		some.indexed = func(path string) bool { return path == "/n" || path == "/s" || path == "/t/[]" }
		for range 25 {
			q := g.query()
			want := all(t, c, q.text, Options{})
			for _, source := range []*container{c, &indexed, &some} {
				o := Options{Definition: byKey, MaxItems: 1 + g.IntN(7)}
				switch g.IntN(4) {
				case 0:
					o.MaxScan = 1 + g.IntN(20)
				case 1:
					o.MaxBytes = 1 + g.IntN(100)
				case 2:
					o.Definition.Paths = nil
				}
				if got := all(t, source, q.text, o); !q.agree(want, got) {
					t.Fatalf("seed %d: %s\nin pages of %d, indexed %v: %d results\n%s\nwant %d\n%s", seed, q.text, o.MaxItems,
						source.indexed("/a"), len(got), strings.Join(got, "\n"), len(want), strings.Join(want, "\n"))
				}
			}
		}
	}
}

// Items that are there all the time are given once, in order, however many
// others come and go between the pages.
func TestPagesBearWithChanges(t *testing.T) {
	t.Parallel()
	for round := range rounds(30) {
		g := generator{rand.New(rand.NewPCG(uint64(round), 2))}
		c := newContainer(t, g.items(80)...)
		if g.IntN(2) == 0 {
			c.indexed = everyPath
		}
		text := g.pick(
			"SELECT VALUE c.id FROM c", "SELECT VALUE c.id FROM c WHERE c.n >= 0", "SELECT VALUE c.id FROM c ORDER BY c.n",
			"SELECT VALUE c.id FROM c ORDER BY c.n DESC", "SELECT VALUE c.id FROM c ORDER BY c.s, c.n DESC",
			"SELECT VALUE c.id FROM c JOIN x IN [c.n]", "SELECT DISTINCT VALUE c.id FROM c", "SELECT VALUE c.id FROM c GROUP BY c.id",
			"SELECT VALUE c.id FROM c WHERE c.s IN ('apple', 'bee', 'b')")
		text = strings.Replace(text, " JOIN x IN [c.n]", " JOIN (SELECT VALUE c.n) x", 1)
		want := map[string]int{}
		for _, id := range all(t, c, text, Options{}) {
			want[id] = 0
		}
		o := Options{MaxItems: 1 + g.IntN(9)}
		gone := map[string]bool{}
		for added := 1000; ; added++ {
			page, err := compiled(t, text, o).Run(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				if _, there := want[string(item)]; there {
					want[string(item)]++
				}
			}
			if o.Continuation = page.Continuation; o.Continuation == "" {
				break
			}
			victim := g.IntN(len(c.items))
			gone[fmt.Sprintf("%q", c.items[victim].id)] = true
			c.items = slices.Delete(c.items, victim, victim+1)
			if added < 1040 {
				c.put(t, g.item(added))
			}
		}
		for id, n := range want {
			if n > 1 || n == 0 && !gone[id] {
				t.Fatalf("round %d: %s: %s was given %d times", round, text, id, n)
			}
		}
	}
}

// What sorts and groups within its memory gives all results, on more pages;
// what cannot says so.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var items []string
	for i := range 500 {
		items = append(items, fmt.Sprintf(`{"id":"%d","key":"k%d","n":%d,"text":"%s"}`, i, i%7, i%50, strings.Repeat("x", 200)))
	}
	c := newContainer(t, items...)
	small := Options{Memory: 20_000}
	for text, count := range map[string]int{
		"SELECT * FROM c ORDER BY c.n":                                      500,
		"SELECT * FROM c ORDER BY c.n DESC, c.key OFFSET 100 LIMIT 300":     300,
		"SELECT DISTINCT c.id, c.text FROM c":                               500,
		"SELECT c.id, COUNT(1) AS n FROM c GROUP BY c.id":                   500,
		"SELECT c.n, MAX(c.text) AS x FROM c GROUP BY c.n OFFSET 1 LIMIT 9": 9,
	} {
		if got := all(t, c, text, small); len(got) != count {
			t.Errorf("%s: %d results, want %d", text, len(got), count)
		}
	}
	for _, text := range []string{
		"SELECT VALUE MAKELIST(c.text) FROM c",
		"SELECT DISTINCT VALUE c.text || c.id FROM c ORDER BY c.n",
		"SELECT VALUE COUNT(1) FROM (SELECT DISTINCT VALUE c.id || c.text FROM c)",
		"SELECT c.n, MAKELIST(c.text) AS l FROM c GROUP BY c.missing, c.n > 100",
		"SELECT VALUE ARRAY(SELECT VALUE REPLICATE('x', 9000) FROM a IN [1,2,3]) FROM c",
	} {
		text = strings.Replace(text, "a IN [1,2,3]", "(SELECT VALUE [1,2,3]) l JOIN a IN l", 1)
		text = strings.Replace(text, "c.n, MAKELIST", "MAKELIST", 1)
		_, err := compiled(t, text, small).Run(context.Background(), c)
		var refused *Error
		if !errors.As(err, &refused) || !strings.Contains(refused.Message, "memory") && !strings.Contains(refused.Message, "MB") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAQueryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := newContainer(t, `{"id":"1","t":[1,2,3,4,5,6,7,8,9,10]}`)
	joins := strings.Repeat(" JOIN x%d IN c.t", 1)
	text := "SELECT VALUE COUNT(1) FROM c"
	for i := range 12 {
		text += fmt.Sprintf(strings.ReplaceAll(joins, "%d", "%[1]d"), i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := compiled(t, text, Options{}).Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestContinuationsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(3, 3))}
	c := newContainer(t, g.items(30)...)
	texts := []string{"SELECT * FROM c", "SELECT * FROM c ORDER BY c.n", "SELECT c.id FROM c", "SELECT DISTINCT c.s FROM c"}
	for _, from := range texts {
		page, err := compiled(t, from, Options{MaxItems: 2}).Run(context.Background(), c)
		if err != nil || page.Continuation == "" {
			t.Fatalf("%s: %v, %q", from, err, page.Continuation)
		}
		for _, to := range texts {
			_, err := compiled(t, to, Options{MaxItems: 2, Continuation: page.Continuation}).Run(context.Background(), c)
			var refused *Error
			if from != to && !errors.As(err, &refused) || from == to && err != nil {
				t.Errorf("%s with the token of %s: %v", to, from, err)
			}
		}
		for _, o := range []Options{
			{Continuation: page.Continuation, Low: "10"},
			{Continuation: page.Continuation, Parameters: map[string]value.Value{"@x": value.Null()}},
			{Continuation: page.Continuation[:len(page.Continuation)/2]},
			{Continuation: "null"}, {Continuation: "{}"}, {Continuation: `{"v":1}`}, {Continuation: "\x00"},
		} {
			_, err := compiled(t, from, o).Run(context.Background(), c)
			var refused *Error
			if !errors.As(err, &refused) {
				t.Errorf("%s with %q: %v", from, o.Continuation, err)
			}
		}
	}
}

// corpus is what fuzz targets query.
func corpus(t testing.TB) *container {
	g := generator{rand.New(rand.NewPCG(7, 7))}
	c := newContainer(t, g.items(12)...)
	c.indexed = func(path string) bool { return strings.Contains(path, "n") }
	return c
}

func FuzzCompile(f *testing.F) {
	g := generator{rand.New(rand.NewPCG(5, 5))}
	for range 100 {
		f.Add(g.query().text)
	}
	for _, text := range []string{
		"SELECT VALUE REGEXMATCH(c.s, '(a+)+$') FROM c", "SELECT VALUE ARRAY(SELECT VALUE x FROM x IN c.t ORDER BY x) FROM c",
		"SELECT * FROM (SELECT DISTINCT VALUE c.n FROM c) s", "SELECT VALUE REPLICATE(c.s, 9999) || REPLICATE(c.s, 9999) FROM c",
		"SELECT VALUE DateTimeBin('2020-01-01', 'ns', 9223372036854775807)", "SELECT VALUE IntDiv(-9223372036854775808, -1)",
	} {
		f.Add(text)
	}
	c := corpus(f)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 || strings.Contains(strings.ToUpper(text), "REGEX") && len(text) > 200 {
			return
		}
		q, err := sql.Parse(text)
		if err != nil {
			return
		}
		o := Options{MaxItems: 5, Memory: 1 << 20, Definition: byKey}
		for range 3 {
			p, err := Compile(q, o)
			if err != nil {
				checkError(t, text, err)
				return
			}
			rows := 0
			page, err := p.Run(limited{context.Background(), &rows}, c)
			if err != nil {
				if !errors.Is(err, errEnough) {
					checkError(t, text, err)
				}
				return
			}
			for _, item := range page.Items {
				if _, err := value.Parse(item); err != nil {
					t.Fatalf("%s gives %q: %v", text, item, err)
				}
			}
			if o.Continuation = page.Continuation; o.Continuation == "" {
				break
			}
		}
		info, err := Info(q, byKey, nil)
		if err != nil {
			checkError(t, text, err)
		} else if r := info.QueryInfo.RewrittenQuery; r != "" && info.Unsupported(clientFeatures) == nil {
			if _, err := sql.Parse(strings.ReplaceAll(r, "{documentdb-formattableorderbyquery-filter}", "true")); err != nil {
				t.Fatalf("%s is rewritten to %s: %v", text, r, err)
			}
		}
	})
}

func checkError(t *testing.T, text string, err error) {
	t.Helper()
	var syntax *sql.SyntaxError
	var refused *Error
	if !errors.As(err, &syntax) && !errors.As(err, &refused) {
		t.Fatalf("%s: %v", text, err)
	}
}

var errEnough = errors.New("enough rows for a test")

// limited is a context that ends after so many looks at it.
type limited struct {
	context.Context
	looks *int
}

func (l limited) Err() error {
	if *l.looks++; *l.looks > 2000 {
		return errEnough
	}
	return nil
}

func FuzzContinuation(f *testing.F) {
	c := corpus(f)
	texts := []string{
		"SELECT * FROM c", "SELECT c.id, x FROM c JOIN x IN c.t", "SELECT * FROM c ORDER BY c.n", "SELECT * FROM c ORDER BY c.n DESC, c.id",
		"SELECT * FROM c ORDER BY c.s OFFSET 1 LIMIT 7", "SELECT DISTINCT VALUE c.s FROM c", "SELECT c.s, COUNT(1) AS n FROM c GROUP BY c.s",
		"SELECT DISTINCT VALUE c.s FROM c ORDER BY c.id", "SELECT * FROM c WHERE c.n IN (1, 2, 3)",
	}
	for i, text := range texts {
		page, err := compiled(f, text, Options{MaxItems: 2}).Run(context.Background(), c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(page.Continuation, i)
	}
	f.Fuzz(func(t *testing.T, token string, i int) {
		text := texts[uint(i)%uint(len(texts))]
		page, err := compiled(t, text, Options{MaxItems: 2, Continuation: token}).Run(context.Background(), c)
		if err != nil {
			checkError(t, token, err)
		} else if len(page.Items) > 2 {
			t.Fatalf("%d results", len(page.Items))
		}
	})
}

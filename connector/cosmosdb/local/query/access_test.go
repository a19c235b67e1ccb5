package query

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// How a query reads shows in what it read.
func TestChoiceOfAccess(t *testing.T) {
	t.Parallel()
	var items []string
	for i := range 200 {
		items = append(items, fmt.Sprintf(`{"id":"i%d","key":"k%d","n":%d,"s":"s%03d","t":[%d,%d],"a b":{"c":%d}}`, i, i%20, i%50, i, i%10, i%10+100, i))
	}
	c := newContainer(t, items...)
	c.indexed = func(path string) bool { return path != "/bare" }
	for _, tt := range []struct {
		where, order string
		index        string
		read         int // items at most
	}{
		{"c.id = 'i7'", "", "", 1},
		{"c.id IN ('i7', 'i8', 'nosuch')", "", "", 2},
		{"c.id = 'i7' AND c.key = 'k7'", "", "", 1},
		{"c.id = 7", "", "", 0},
		{"c.key = 'k3'", "", "", 10},
		{"c.key = 'k3' OR c.key = 'k4'", "", "", 20},
		{"c.key = 'k3' AND c.n > 10", "", "", 10},
		{"c.key = 'k3' AND c.n = 3", "", "/n", 4},
		{"c.n = 3", "", "/n", 4},
		{"c.n = 3 AND c.bare = 1", "", "/n", 4},
		{"3 = c.n AND c.s > 's1'", "", "/n", 4},
		{"c.n IN (3, 4)", "", "/n", 8},
		{"c.n = 3 OR c.n = 4 OR c.n = 5", "", "/n", 12},
		{"c.n > 47", "", "/n", 8},
		{"c.n >= 10 AND c.n < 12", "", "/n", 8},
		{"c.n BETWEEN 10 AND 11 AND c.bare = 1", "", "/n", 8},
		{"c.n < 0", "", "/n", 0},
		{"c.n = undefined", "", "/n", 0},
		{"STARTSWITH(c.s, 's01')", "", "/s", 10},
		{"STARTSWITH(c.s, 'S01', true)", "", "", 200},
		{"c.s LIKE 's01%'", "", "/s", 10},
		{"c.s LIKE '%01'", "", "", 200},
		{"ARRAY_CONTAINS(c.t, 103)", "", "/t/[]", 20},
		{"c['a b'].c = 9", "", `/"a b"/c`, 1},
		{"c.bare = 1", "", "", 200},
		{"NOT (c.n = 3)", "", "", 200},
		{"c.n = 3 OR c.s = 's001'", "", "", 200},
		{"c.createdAt > GetCurrentDateTime()", "", "/createdAt", 0},
		{"c.createdAt > RAND()", "", "", 200},
		{"true", "c.s", "/s", 10},
		{"true", "c.s DESC", "/s", 10},
		{"c.s > 's100'", "c.s", "/s", 10},
		{"c.n = 3", "c.s", "/s", 200},
		{"c.key = 'k3'", "c.s", "", 10},
		{"true", "c.n, c.s", "/n", 20},
		{"true", "c.n DESC, c.s", "/n", 20},
		{"true", "c.bare", "", 200},
	} {
		text := "SELECT TOP 10 VALUE c.id FROM c WHERE " + tt.where
		if tt.order != "" {
			text += " ORDER BY " + tt.order
		}
		page, err := compiled(t, text, Options{Definition: byKey}).Run(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		if s := page.Stats; s.Index != tt.index || s.ItemsRead > tt.read {
			t.Errorf("%s: read %d items with index %q, want at most %d with %q", text, s.ItemsRead, s.Index, tt.read, tt.index)
		}
	}
}

// The pages of an order by several keys do not read again what is behind them.
func TestSortedPagesBeginWhereTheLastEnded(t *testing.T) {
	t.Parallel()
	var items []string
	for i := range 300 {
		items = append(items, fmt.Sprintf(`{"id":"i%d","key":"k","n":%d,"m":%d}`, i, i/3, i))
	}
	c := newContainer(t, items...)
	c.indexed = everyPath
	for _, text := range []string{"SELECT VALUE c.m FROM c ORDER BY c.n, c.m DESC", "SELECT VALUE c.m FROM c ORDER BY c.n DESC, c.m", "SELECT DISTINCT VALUE c.n FROM c ORDER BY c.n"} {
		read := 0
		o := Options{MaxItems: 10}
		for {
			page, err := compiled(t, text, o).Run(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			read += page.Stats.ItemsRead
			if o.Continuation = page.Continuation; o.Continuation == "" {
				break
			}
		}
		if read > 700 {
			t.Errorf("%s read %d items to give 300", text, read)
		}
	}
}

// Texts that are longer than what an index keeps of them.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3000)
	c := newContainer(t)
	for i, text := range []string{long + "c", long + "a", long + "b", "x", "y", strings.Repeat("x", 1024)} {
		c.put(t, fmt.Sprintf(`{"id":"%d","key":"%d","s":"%s"}`, i, i, text))
	}
	indexed := *c
	indexed.indexed = everyPath
	for _, text := range []string{
		"SELECT VALUE c.id FROM c WHERE c.s > '" + long + "a'", "SELECT VALUE c.id FROM c WHERE c.s >= '" + long + "b'",
		"SELECT VALUE c.id FROM c WHERE c.s < '" + long + "b'", "SELECT VALUE c.id FROM c WHERE c.s <= '" + long + "a'",
		"SELECT VALUE c.id FROM c WHERE c.s = '" + long + "b'", "SELECT VALUE c.id FROM c WHERE STARTSWITH(c.s, '" + long + "')",
		"SELECT VALUE c.id FROM c ORDER BY c.s, c.id", "SELECT VALUE c.id FROM c ORDER BY c.s DESC, c.id",
		"SELECT DISTINCT VALUE c.s FROM c", "SELECT DISTINCT VALUE c.s FROM c ORDER BY c.s", "SELECT COUNT(1) AS n, c.s FROM c GROUP BY c.s",
	} {
		want := all(t, c, text, Options{})
		if len(want) == 0 {
			t.Errorf("%.60s gives nothing", text)
		}
		for _, source := range []*container{c, &indexed} {
			got := all(t, source, text, Options{MaxItems: 1})
			a, b := slices.Clone(want), slices.Clone(got)
			if !strings.Contains(text, "ORDER BY") {
				slices.Sort(a)
				slices.Sort(b)
			}
			if !slices.Equal(a, b) {
				t.Errorf("%.60s ... %s\ngot  %.90q\nwant %.90q", text, text[len(text)-20:], got, want)
			}
		}
	}
}

package query

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/value"
)

// A chain of || copies its texts once, not once for each operator.
func TestConcatenationTakesLinearWork(t *testing.T) {
	c := newContainer(t, fmt.Sprintf(`{"id":"%s","key":"a"}`, strings.Repeat("x", 50)))
	text := "SELECT VALUE c.id" + strings.Repeat(" || c.id", 5000) + " FROM c"
	got := all(t, c, text, Options{})
	if len(got) != 1 || len(got[0]) != 50*5001+2 {
		t.Fatalf("%d results", len(got))
	}
	plan := compiled(t, text, Options{})
	if n := testing.AllocsPerRun(1, func() {
		if _, err := plan.Run(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}); n > 1000 {
		t.Errorf("%.0f allocations for 5,000 operators", n)
	}
}

// ending ends after some looks at it, as a context that is cancelled meanwhile.
type ending struct {
	context.Context
	looks int
}

func (e *ending) Err() error {
	if e.looks--; e.looks < 0 {
		return context.Canceled
	}
	return nil
}

// Work on a single row ends with the context, too.
func TestLongExpressionsAreGivenUp(t *testing.T) {
	t.Parallel()
	c := newContainer(t, `{"id":"a","key":"a","t":[1,2,3],"o":{"p":"q"}}`)
	for _, part := range []string{
		"CONTAINS(c.o.p, 'x')", "c.t = c.o", "c.o.p || 'x' = 'y'", "c.t[0] = 'a'", "c.o.p LIKE '%z'", "c.id > c.key",
		"ARRAY_CONTAINS_ANY(c.t" + strings.Repeat(", 7", 100) + ")", "NOT IS_DEFINED(c.id)", "c.id IN (c.t, c.o)", "EXISTS(SELECT VALUE t FROM t IN c.t WHERE t = 9)",
	} {
		text := "SELECT VALUE 1 FROM c WHERE " + part + strings.Repeat(" OR "+part, 999)
		ctx := &ending{context.Background(), 5}
		_, err := compiled(t, text, Options{}).Run(ctx, c)
		if !errors.Is(err, context.Canceled) || ctx.looks < -3 {
			t.Errorf("%s: %v, %d looks more", part, err, -ctx.looks)
		}
	}
}

// Constants that take long are left to the run, which can be given up.
func TestFoldingOfConstantsEnds(t *testing.T) {
	t.Parallel()
	big := value.String(strings.Repeat("a", 1<<20))
	o := Options{Parameters: map[string]value.Value{"@big": big}}
	plan := compiled(t, "SELECT VALUE 1 FROM c WHERE "+strings.Repeat("UPPER(@big) = 'x' OR ", 2000)+"false", o)
	_, err := plan.Run(&ending{context.Background(), 3}, newContainer(t, `{"id":"a","key":"a"}`))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the run ended with %v", err)
	}
}

// A page that has taken its time ends, and the next one goes on.
func TestPagesEndInTime(t *testing.T) {
	t.Parallel()
	c := newContainer(t)
	for i := range 300 {
		c.put(t, fmt.Sprintf(`{"id":"i%03d","key":"k%d","n":%d}`, i, i%7, i))
	}
	o := Options{Until: time.Now()}
	page, err := compiled(t, "SELECT VALUE c.n FROM c WHERE c.n >= 0", o).Run(context.Background(), c)
	if err != nil || page.Continuation == "" || len(page.Items) != lateEvery {
		t.Fatalf("%d results, continuation %q, %v", len(page.Items), page.Continuation, err)
	}
	if got := all(t, c, "SELECT VALUE c.n FROM c WHERE c.n >= 0", o); len(got) != 300 {
		t.Errorf("%d results in all", len(got))
	}
}

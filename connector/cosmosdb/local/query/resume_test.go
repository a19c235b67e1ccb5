package query

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// newStored is a container of a store on disk, with some ranges.
func newStored(t *testing.T, ranges int, indexing string) *store.Container {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(t.TempDir(), store.Options{CacheBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d, err := s.CreateDatabase(ctx, "d", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.CreateContainer(ctx, d, store.Properties{ID: "c", PartitionKey: byKey, Indexing: []byte(indexing)}, ranges, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// row is a result of a rewritten ORDER BY.
type row struct {
	keys   []value.Value
	number uint64
	id     string
}

func rowOf(t *testing.T, text string) row {
	t.Helper()
	v, err := value.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var r row
	v.Get("orderByItems").EachElement(func(e value.Value) bool {
		r.keys = append(r.keys, e.Get("item"))
		return true
	})
	r.id, _ = v.Get("payload").AsString()
	rid, _ := v.Get("_rid").AsString()
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(rid, "-", "/"))
	if err != nil || len(raw) != 16 {
		t.Fatalf("%s: the _rid: %v", text, err)
	}
	r.number = binary.LittleEndian.Uint64(raw[8:])
	return r
}

// resumer reads pages over all ranges and keeps nothing between them but what a
// client's continuation holds: the last row, and what each range has given.
type resumer struct {
	t         *testing.T
	source    *store.Container
	rewritten string
	by        []string // the expressions of ORDER BY
	desc      []bool
	last      []*row // of each range
}

func (r *resumer) compare(a, b row) int {
	for i := range r.by {
		if order := value.Compare(a.keys[i], b.keys[i]); order != 0 {
			if r.desc[i] {
				order = -order
			}
			return order
		}
	}
	return 0
}

// behind tells whether a row comes behind the last one that was given of its
// range: by its keys, then by its number.
func (r *resumer) behind(a, last row) bool {
	order := r.compare(a, last)
	if order == 0 {
		order = cmp.Compare(a.number, last.number)
		if slices.Contains(r.desc, true) {
			order = -order
		}
	}
	return order > 0
}

// page gives the next rows, of all ranges together.
func (r *resumer) page(size int) []string {
	r.t.Helper()
	type of struct {
		row
		from int
	}
	var rows []of
	for n, bounds := range r.source.Ranges() {
		filter := "true"
		if last := r.last[n]; last != nil {
			op := map[bool]string{false: ">=", true: "<="}[r.desc[0]]
			filter = fmt.Sprintf("%s %s %s", r.by[0], op, last.keys[0])
		}
		text := strings.ReplaceAll(r.rewritten, "{documentdb-formattableorderbyquery-filter}", filter)
		o := Options{Low: bounds.Low, High: bounds.High, MaxItems: 3, Definition: byKey}
		for _, result := range all(r.t, r.source, text, o) {
			if one := rowOf(r.t, result); r.last[n] == nil || r.behind(one, *r.last[n]) {
				rows = append(rows, of{one, n})
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b of) int { return r.compare(a.row, b.row) })
	var ids []string
	for _, one := range rows[:min(size, len(rows))] {
		r.last[one.from] = &one.row
		ids = append(ids, one.id)
	}
	return ids
}

// Clients that resume an ORDER BY over several ranges by the last item's keys and
// the number in its _rid give all items that were there from the beginning, each
// once and in order, however many have equal keys and whatever is added between
// the pages.
func TestResumingByNumber(t *testing.T) {
	t.Parallel()
	orders := []string{"c.n", "c.n DESC", "c.n, c.s", "c.n DESC, c.s DESC", "c.n, c.s DESC", "c.n DESC, c.s"}
	for round, order := range slices.Concat(orders, orders) {
		indexing := `{"includedPaths":[{"path":"/*"}]}`
		if round >= len(orders) {
			indexing = `{"includedPaths":[{"path":"/s/?"}],"excludedPaths":[{"path":"/*"}]}`
		}
		t.Run(fmt.Sprint(order, " ", round), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(round), 8))
			ranges := 1 + round%4
			c := newStored(t, ranges, indexing)
			added := map[string]bool{}
			add := func(items int) {
				for range items {
					pk, id := fmt.Sprint("p", random.IntN(12)), fmt.Sprint("i", random.IntN(1_000_000))
					key, err := partition.New(byKey, pk)
					if err != nil {
						t.Fatal(err)
					}
					body := fmt.Sprintf(`{"id":%q,"key":%q,"n":%d,"s":%q}`, id, pk, random.IntN(4), string(rune('a'+random.IntN(2))))
					res, err := c.Apply(context.Background(), key, []store.Op{{Kind: store.OpCreate, ID: id, Body: []byte(body)}})
					if err != nil || !res[0].Status.Done() {
						t.Fatalf("%s: %v, %+v", body, err, res)
					}
					added[id] = true
				}
			}
			add(50)
			first := maps.Clone(added)
			r := &resumer{t: t, source: c, last: make([]*row, ranges)}
			info := infoOf(t, "SELECT VALUE c.id FROM c ORDER BY "+order, byKey, nil)
			r.rewritten, r.by = info.QueryInfo.RewrittenQuery, info.QueryInfo.OrderByExpressions
			for _, direction := range info.QueryInfo.OrderBy {
				r.desc = append(r.desc, direction == "Descending")
			}
			seen := map[string]bool{}
			for pages := 0; ; pages++ {
				ids := r.page(9)
				if len(ids) == 0 || pages > 200 {
					break
				}
				for _, id := range ids {
					if seen[id] {
						t.Fatalf("%s was given twice", id)
					}
					seen[id] = true
				}
				if pages < 4 {
					add(3)
				}
			}
			for id := range first {
				if !seen[id] {
					t.Errorf("%s was not given", id)
				}
			}
		})
	}
}

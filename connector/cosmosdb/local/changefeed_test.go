package local_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	docsPath = "/dbs/db/colls/c/docs"
	aIM      = "A-IM"
	changes  = "Incremental feed"
	rangeHdr = "X-Ms-Documentdb-Partitionkeyrangeid"
	epkType  = "X-Ms-Read-Key-Type"
	startEPK = "X-Ms-Start-Epk"
	endEPK   = "X-Ms-End-Epk"
)

func ids(docs []map[string]any) []string {
	var all []string
	for _, d := range docs {
		all = append(all, fmt.Sprint(d["id"]))
	}
	return all
}

// changesFrom reads the change feed behind an etag until there is nothing new,
// and returns the ids in order and the last etag.
func (w *world) changesFrom(t *testing.T, etag string, head ...string) ([]string, string) {
	t.Helper()
	var all []string
	for range 1000 {
		h := append([]string{aIM, changes}, head...)
		if etag != "" {
			h = append(h, "If-None-Match", etag)
		}
		a := w.raw(t, "GET", docsPath, "", h...)
		if a.header.Get("Etag") == "" {
			t.Fatalf("no etag: %d %v %s", a.status, a.header, a.body)
		}
		etag = a.header.Get("Etag")
		switch a.status {
		case 304:
			if len(a.body) != 0 {
				t.Errorf("304 with a body: %s", a.body)
			}
			return all, etag
		case 200:
			docs := a.documents(t)
			if len(docs) == 0 {
				t.Error("200 without changes")
			}
			for _, d := range docs {
				if lsn, _ := d["_lsn"].(float64); lsn <= 0 {
					t.Errorf("no _lsn: %v", d)
				}
			}
			all = append(all, ids(docs)...)
		default:
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	t.Fatal("the change feed does not end")
	return nil, ""
}

func TestChangeFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{}), soon(t)
	if got, _ := w.changesFrom(t, ""); len(got) != 0 {
		t.Errorf("changes of nothing: %v", got)
	}
	_, now := w.changesFrom(t, "*")
	fill(t, c, 25, 1)
	all, end := w.changesFrom(t, "", "X-Ms-Max-Item-Count", "10")
	if len(all) != 25 || !slices.IsSorted(all) {
		t.Errorf("from the beginning: %v", all)
	}
	if got, _ := w.changesFrom(t, now); !slices.Equal(got, all) {
		t.Errorf("since before the first write: %v", got)
	}
	if got, _ := w.changesFrom(t, "*"); len(got) != 0 {
		t.Errorf("from now: %v", got)
	}
	// An item is in the feed once, at its latest version; deletes are not.
	if _, err := c.UpsertItem(ctx, key("k0"), []byte(`{"id":"i003","pk":"k0","again":1}`), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteItem(ctx, key("k0"), "i004", nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.changesFrom(t, end); !slices.Equal(got, []string{"i003"}) {
		t.Errorf("since the end: %v", got)
	}
	if got, _ := w.changesFrom(t, ""); len(got) != 24 || got[23] != "i003" || slices.Contains(got, "i004") {
		t.Errorf("from the beginning: %v", got)
	}
	// The JavaScript client writes it with a capital letter.
	if a := w.raw(t, "GET", docsPath, "", aIM, "Incremental Feed", rangeHdr, "0").want(t, 200, ""); len(a.documents(t)) != 24 {
		t.Errorf("%s", a.body)
	}
	since := func(at time.Time) int {
		got, _ := w.changesFrom(t, "", "If-Modified-Since", at.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
		return len(got)
	}
	if n := since(time.Now().Add(-time.Hour)); n != 24 {
		t.Errorf("%d changes within an hour", n)
	}
	if n := since(time.Now().Add(time.Hour)); n != 0 {
		t.Errorf("%d changes of the future", n)
	}
	w.raw(t, "GET", docsPath, "", aIM, changes, "If-Modified-Since", "yesterday").want(t, 400, "")
	w.raw(t, "GET", docsPath, "", aIM, changes, "If-None-Match", `"x"`).want(t, 400, "")
	w.raw(t, "GET", docsPath, "", aIM, "Full-Fidelity Feed").want(t, 400, "").mentions(t, "not supported")
}

func TestChangeFeedOfSeveralRanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.container(t, "c", shape{ru: several})
	fill(t, c, 60, 12)
	all, end := w.changesFrom(t, "", "X-Ms-Max-Item-Count", "7")
	slices.Sort(all)
	if len(all) != 60 || len(slices.Compact(all)) != 60 {
		t.Errorf("over all ranges: %d %v", len(all), all)
	}
	var each []string
	for i := range 3 {
		got, etag := w.changesFrom(t, "", rangeHdr, fmt.Sprint(i), "X-Ms-Max-Item-Count", "4")
		if strings.Contains(etag, ":") || len(got) == 0 {
			t.Errorf("range %d: %v %s", i, got, etag)
		}
		each = append(each, got...)
		// The position over all ranges is one in each of them, too.
		if got, _ := w.changesFrom(t, end, rangeHdr, fmt.Sprint(i)); len(got) != 0 {
			t.Errorf("range %d behind the end: %v", i, got)
		}
	}
	slices.Sort(each)
	if !slices.Equal(each, all) {
		t.Errorf("range by range: %v", each)
	}
	one, _ := w.changesFrom(t, "", pkHeader, `["k3"]`)
	if len(one) != 5 {
		t.Errorf("of one partition key: %v", one)
	}
	for _, id := range one {
		if n := 0; !strings.HasPrefix(id, "i") || func() bool { _, err := fmt.Sscanf(id, "i%d", &n); return err != nil || n%12 != 3 }() {
			t.Errorf("%s is not of that partition key", id)
		}
	}
	var halves []string
	for _, r := range [][2]string{{"", "1F"}, {"1F", "FF"}} {
		got, _ := w.changesFrom(t, "", epkType, "EffectivePartitionKeyRange", startEPK, r[0], endEPK, r[1])
		halves = append(halves, got...)
	}
	slices.Sort(halves)
	if !slices.Equal(halves, all) {
		t.Errorf("by halves of the key space: %v", halves)
	}
	w.raw(t, "GET", docsPath, "", aIM, changes, rangeHdr, "3").want(t, 410, "1002")
	w.raw(t, "GET", docsPath, "", aIM, changes, "If-None-Match", `"5"`).want(t, 400, "")
}

// Java's processor of changes asks for items inside of what tells of a change.
func TestChangesAroundItems(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	for _, id := range []string{"a", "b"} {
		w.raw(t, "POST", "/dbs/db/colls/c/docs", `{"id":"`+id+`","pk":"p"}`, pkHeader, `["p"]`).want(t, 201, "")
	}
	a := w.raw(t, "GET", "/dbs/db/colls/c/docs", "", "A-IM", "Incremental Feed", "x-ms-documentdb-partitionkeyrangeid", "0",
		"x-ms-cosmos-changefeed-wire-format-version", "2021-09-15").want(t, 200, "")
	var feed struct {
		Documents []struct {
			Current  struct{ ID string }
			Metadata struct{ LSN, CRTS int64 }
		}
	}
	if err := json.Unmarshal(a.body, &feed); err != nil || len(feed.Documents) != 2 {
		t.Fatalf("%v: %s", err, a.body)
	}
	for i, d := range feed.Documents {
		if d.Current.ID != string(rune('a'+i)) || d.Metadata.LSN != int64(i+1) || d.Metadata.CRTS == 0 {
			t.Errorf("change %d: %+v", i, d)
		}
	}
}

func TestReadFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.container(t, "c", shape{ru: several})
	fill(t, c, 60, 12)
	read := func(size int, head ...string) []string {
		t.Helper()
		var all []string
		continuation := ""
		for range 1000 {
			h := append([]string{"X-Ms-Max-Item-Count", fmt.Sprint(size)}, head...)
			if continuation != "" {
				h = append(h, "X-Ms-Continuation", continuation)
			}
			a := w.raw(t, "GET", docsPath, "", h...).want(t, 200, "")
			docs := a.documents(t)
			if size > 0 && len(docs) > size || a.header.Get("X-Ms-Item-Count") != fmt.Sprint(len(docs)) {
				t.Errorf("%d items, count %s, of %d", len(docs), a.header.Get("X-Ms-Item-Count"), size)
			}
			all = append(all, ids(docs)...)
			if continuation = a.header.Get("X-Ms-Continuation"); continuation == "" {
				slices.Sort(all)
				return all
			}
		}
		t.Fatal("the feed does not end")
		return nil
	}
	all := read(-1)
	if len(all) != 60 || len(slices.Compact(slices.Clone(all))) != 60 {
		t.Fatalf("%v", all)
	}
	for _, size := range []int{1, 7, 60, 1000} {
		if got := read(size); !slices.Equal(got, all) {
			t.Errorf("pages of %d: %v", size, got)
		}
	}
	var each []string
	for i := range 3 {
		each = append(each, read(3, rangeHdr, fmt.Sprint(i))...)
	}
	if slices.Sort(each); !slices.Equal(each, all) {
		t.Errorf("range by range: %v", each)
	}
	if got := read(2, pkHeader, `["k3"]`); len(got) != 5 {
		t.Errorf("of one partition key: %v", got)
	}
	w.raw(t, "GET", docsPath, "", "X-Ms-Continuation", "nonsense").want(t, 400, "")
	w.raw(t, "GET", docsPath, "", "X-Ms-Max-Item-Count", "many").want(t, 400, "")
}

// A page ends at 4 MB however many items the client asks for. Nothing is
// decoded here: that would take most of the time.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{}), soon(t)
	for i := range 3 {
		doc := fmt.Appendf(nil, `{"id":"%d","pk":"p","x":%q}`, i, strings.Repeat("x", 1500<<10))
		if _, err := c.CreateItem(ctx, key("p"), doc, nil); err != nil {
			t.Fatal(err)
		}
	}
	count := func(a answer) string {
		return fmt.Sprint(a.want(t, 200, "").header.Get("X-Ms-Item-Count"), " ", len(a.body) <= 4<<20)
	}
	first := w.raw(t, "GET", docsPath, "")
	if got := count(first); got != "2 true" {
		t.Errorf("read feed: %s", got)
	}
	if got := count(w.raw(t, "GET", docsPath, "", "X-Ms-Continuation", first.header.Get("X-Ms-Continuation"))); got != "1 true" {
		t.Errorf("read feed, second page: %s", got)
	}
	if got := count(w.raw(t, "GET", docsPath, "", aIM, changes)); got != "2 true" {
		t.Errorf("change feed: %s", got)
	}
	first = w.query(t, `{"query":"SELECT * FROM c"}`, pkHeader, `["p"]`)
	if got := count(first); got != "2 true" {
		t.Errorf("query: %s", got)
	}
	if got := count(w.query(t, `{"query":"SELECT * FROM c"}`, pkHeader, `["p"]`, "X-Ms-Continuation", first.header.Get("X-Ms-Continuation"))); got != "1 true" {
		t.Errorf("query, second page: %s", got)
	}
}

package local

import (
	"iter"
	"net/http"
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		escaped string
		want    path
	}{
		{"", path{}},
		{"/", path{}},
		{"/dbs", path{kind: kindDatabase, feed: true, word: "dbs", link: "dbs"}},
		{"/dbs/", path{kind: kindDatabase, feed: true, word: "dbs", link: "dbs"}},
		{"/dbs/d", path{kind: kindDatabase, word: "dbs", database: "d", link: "dbs/d"}},
		{"/dbs/d/colls", path{kind: kindContainer, feed: true, word: "colls", database: "d", link: "dbs/d/colls", parent: "dbs/d"}},
		{"//dbs/d/colls/C%20c/", path{kind: kindContainer, word: "colls", database: "d", container: "C c", link: "dbs/d/colls/C c"}},
		{"/dbs/d/colls/c/docs", path{kind: kindItem, feed: true, word: "docs", database: "d", container: "c",
			link: "dbs/d/colls/c/docs", parent: "dbs/d/colls/c"}},
		{"/dbs/d/colls/c/docs/a%2Fb", path{kind: kindItem, word: "docs", database: "d", container: "c", name: "a/b",
			link: "dbs/d/colls/c/docs/a/b"}},
		{"/dbs/d/colls/c/docs/docs", path{kind: kindItem, word: "docs", database: "d", container: "c", name: "docs",
			link: "dbs/d/colls/c/docs/docs"}},
		{"/DBS/d/Colls/c/Docs", path{kind: kindItem, feed: true, word: "docs", database: "d", container: "c",
			link: "DBS/d/Colls/c/Docs", parent: "DBS/d/Colls/c"}},
		{"/dbs/d/colls/c/pkranges", path{kind: kindRange, feed: true, word: "pkranges", database: "d", container: "c",
			link: "dbs/d/colls/c/pkranges", parent: "dbs/d/colls/c"}},
		{"/offers", path{kind: kindOffer, feed: true, word: "offers", link: "offers"}},
		{"/offers/abcd", path{kind: kindOffer, word: "offers", name: "abcd", link: "offers/abcd"}},
		{"/dbs/d/colls/c/sprocs", path{kind: kindAbsent, feed: true, word: "sprocs", database: "d", container: "c",
			link: "dbs/d/colls/c/sprocs", parent: "dbs/d/colls/c"}},
		{"/dbs/d/colls/c/udfs/u", path{kind: kindAbsent, word: "udfs", database: "d", container: "c", name: "u",
			link: "dbs/d/colls/c/udfs/u"}},
		{"/dbs/d/users/u/permissions", path{kind: kindAbsent, feed: true, word: "permissions", database: "d", name: "permissions",
			link: "dbs/d/users/u/permissions", parent: "dbs/d/users/u"}},
	} {
		got, ok := parsePath(tt.escaped)
		if !ok || got != tt.want {
			t.Errorf("%q:\n got %+v (%v)\nwant %+v", tt.escaped, got, ok, tt.want)
		}
	}
	for _, escaped := range []string{
		"/x", "/dbs//colls", "/dbs/d/x", "/dbs/d/colls/c/x", "/dbs/d/colls/c/pkranges/0", "/dbs/%zz", "/offers/a/b",
		"/dbs/d/colls/c/docs/i/attachments/a/b", "/dbs/d/colls/c/docs/i/x", "/dbs/" + strings.Repeat("a", maxPath),
		"/a/b/c/d/e/f/g/h/i/j",
	} {
		if p, ok := parsePath(escaped); ok {
			t.Errorf("%.40q is taken for %+v", escaped, p)
		}
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	const docs = "/dbs/d/colls/c/docs"
	for _, tt := range []struct {
		verb, path string
		header     [2]string
		want       operation
	}{
		{"GET", "/", [2]string{}, opAccountRead},
		{"POST", "/", [2]string{}, opNone},
		{"GET", "/dbs", [2]string{}, opDatabaseFeed},
		{"POST", "/dbs", [2]string{}, opDatabaseCreate},
		{"POST", "/dbs", [2]string{"X-Ms-Documentdb-Isquery", "True"}, opDatabaseQuery},
		{"DELETE", "/dbs/d", [2]string{}, opDatabaseDelete},
		{"PUT", "/dbs/d", [2]string{}, opNone},
		{"PUT", "/dbs/d/colls/c", [2]string{}, opContainerReplace},
		{"HEAD", "/dbs/d/colls/c", [2]string{}, opContainerRead},
		{"GET", docs, [2]string{}, opItemFeed},
		{"GET", docs, [2]string{"A-Im", "Incremental Feed"}, opChangeFeed},
		{"POST", docs, [2]string{}, opItemCreate},
		{"POST", docs, [2]string{"X-Ms-Documentdb-Is-Upsert", "True"}, opItemUpsert},
		{"POST", docs, [2]string{"X-Ms-Cosmos-Is-Batch-Request", "True"}, opBatch},
		{"POST", docs, [2]string{"X-Ms-Cosmos-Is-Query-Plan-Request", "True"}, opQueryPlan},
		{"POST", docs, [2]string{"X-Ms-Documentdb-Query", "True"}, opItemQuery},
		{"POST", docs, [2]string{"Content-Type", "application/query+json"}, opItemQuery},
		{"DELETE", docs, [2]string{}, opNone},
		{"PATCH", docs + "/i", [2]string{}, opItemPatch},
		{"POST", docs + "/i", [2]string{}, opNone},
		{"GET", "/dbs/d/colls/c/pkranges", [2]string{}, opRangeFeed},
		{"POST", "/offers", [2]string{"Content-Type", "application/query+json; charset=utf-8"}, opOfferQuery},
		{"POST", "/offers", [2]string{}, opNone},
		{"PUT", "/offers/x", [2]string{}, opOfferReplace},
		{"POST", "/dbs/d/colls/c/sprocs/s", [2]string{}, opAbsentResource},
		{"POST", "/dbs/d/colls/c/sprocs", [2]string{}, opAbsentCreate},
		{"BREW", docs, [2]string{}, opNone},
	} {
		p, ok := parsePath(tt.path)
		if !ok {
			t.Fatalf("%s is no path", tt.path)
		}
		h := http.Header{}
		if tt.header[0] != "" {
			h[tt.header[0]] = []string{tt.header[1]}
		}
		var in headers
		in.fill(pairs(h))
		if got := operationOf(tt.verb, &p, &in); got != tt.want {
			t.Errorf("%s %s %v: operation %d, want %d", tt.verb, tt.path, tt.header, got, tt.want)
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/dbs/d/colls/c/docs/a%2Fb", "/offers/x", "/dbs/d/users/u/permissions", "/%", "/dbs/%00"} {
		f.Add(s, "POST", "application/query+json")
	}
	f.Fuzz(func(t *testing.T, escaped, verb, contentType string) {
		p, ok := parsePath(escaped)
		if !ok {
			return
		}
		in := headers{}
		in.fill(pairs(http.Header{"Content-Type": {contentType}}))
		if op := operationOf(verb, &p, &in); op >= opCount {
			t.Errorf("operation %d", op)
		}
		if p.feed && !strings.HasPrefix(p.link, p.parent) {
			t.Errorf("the feed %q has the parent %q", p.link, p.parent)
		}
		if p.kind == kindItem && !p.feed && (p.database == "" || p.container == "" || p.name == "") {
			t.Errorf("%q: an item without a name, or in nothing: %+v", escaped, p)
		}
	})
}

func pairs(h http.Header) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		for name, values := range h {
			if !yield([]byte(name), []byte(values[0])) {
				return
			}
		}
	}
}

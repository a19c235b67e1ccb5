package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"millrace/connector/cosmosdb/local"
)

// several is a throughput with three physical ranges.
const several = 30000

func TestContents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	var c contents
	if text := w.api(200, "GET", "/databases", "", &c); len(c.Databases) != 0 || !strings.Contains(text, `"databases":[]`) {
		t.Errorf("%s", text)
	}
	ttl := int32(60)
	coll := w.container("db", "c", several, azcosmos.ContainerProperties{DefaultTimeToLive: &ttl,
		UniqueKeyPolicy: &azcosmos.UniqueKeyPolicy{UniqueKeys: []azcosmos.UniqueKey{{Paths: []string{"/a", "/b"}}}}})
	w.add(coll, "p", `{"id":"1","pk":"p"}`)
	w.api(200, "GET", "/databases", "", &c)
	if len(c.Databases) != 1 || len(c.Databases[0].Containers) != 1 || c.Requests == 0 {
		t.Fatalf("%+v", c)
	}
	i := c.Databases[0].Containers[0]
	if i.Database != "db" || i.ID != "c" || i.Items != 1 || i.Bytes == 0 || i.Ranges != 3 || *i.DefaultTTL != 60 ||
		i.Throughput != (local.Throughput{Bought: several, Limit: several}) || i.Stats.Requests == 0 || i.Stats.Charge == 0 ||
		!slices.Equal(i.PartitionKey, []string{"/pk"}) || len(i.UniqueKeys) != 1 {
		t.Errorf("%+v", i)
	}
	var v containerView
	w.api(200, "GET", "/container?database=db&container=c", "", &v)
	var settings struct {
		ID         string `json:"id"`
		DefaultTTL int    `json:"defaultTtl"`
	}
	if err := json.Unmarshal([]byte(v.Settings), &settings); err != nil || settings.ID != "c" || settings.DefaultTTL != 60 || !strings.Contains(v.Settings, "\n  \"id\"") {
		t.Errorf("%v in %s", err, v.Settings)
	}
	for _, names := range []string{"database=no&container=c", "database=db&container=no", ""} {
		w.api(404, "GET", "/container?"+names, "", nil)
		w.api(404, "GET", "/items?"+names, "", nil)
	}
	w.api(404, "POST", "/query", `{"database":"no","container":"c","query":"SELECT * FROM c"}`, nil)
	requests := c.Databases[0].Containers[0].Stats.Requests
	if w.api(200, "GET", "/databases", "", &c); c.Databases[0].Containers[0].Stats.Requests != requests {
		t.Error("looking was counted")
	}
}

func TestItemsByPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	coll := w.container("db", "c", several, azcosmos.ContainerProperties{})
	want := map[string]bool{}
	for i := range 25 {
		id := fmt.Sprint("item-", i)
		want[id] = true
		w.add(coll, fmt.Sprint("p", i%7), fmt.Sprintf(`{"id":%q,"pk":"p%d","n":12345678901234567890.10}`, id, i%7))
	}
	after, pages := "", 0
	for {
		var got itemsView
		w.api(200, "GET", "/items?database=db&container=c&count=10&after="+after, "", &got)
		pages++
		for _, i := range got.Items {
			if !want[i.ID] {
				t.Errorf("%s came twice, or is not there", i.ID)
			}
			delete(want, i.ID)
			if len(i.PartitionKey) != 1 || !strings.HasPrefix(i.PartitionKey[0], `"p`) || i.Modified == 0 || i.Size == 0 ||
				!strings.Contains(i.Text, "\n  \"n\": 12345678901234567890.10") {
				t.Errorf("%+v", i)
			}
		}
		if after = got.After; after == "" {
			break
		}
	}
	if len(want) != 0 || pages != 3 {
		t.Errorf("%d pages without %v", pages, want)
	}
	for _, bad := range []string{"count=0", "count=1001", "count=x", "after=%21"} {
		w.api(400, "GET", "/items?database=db&container=c&"+bad, "", nil)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	coll := w.container("db", "c", several, azcosmos.ContainerProperties{})
	for i := range 12 {
		w.add(coll, fmt.Sprint("p", i), fmt.Sprintf(`{"id":"%02d","pk":"p%d","n":%d}`, i, i, i))
	}
	var got answerView
	// Over all ranges in one order, by pages.
	var all []string
	for continuation, pages := "", 0; ; pages++ {
		w.ask(200, "SELECT VALUE c.n FROM c ORDER BY c.n DESC", 5, continuation, &got)
		all = append(all, got.Texts...)
		if continuation = got.Continuation; continuation == "" || pages > 12 {
			break
		}
	}
	if !slices.Equal(all, strings.Fields("11 10 9 8 7 6 5 4 3 2 1 0")) || got.Ranges != 3 || got.Charge < 3*2.3 {
		t.Errorf("%v %+v", all, got)
	}
	got = answerView{}
	if w.ask(200, "SELECT COUNT(1) AS n, SUM(c.n) AS s FROM c", 0, "", &got); len(got.Texts) != 1 || got.ItemsRead != 12 ||
		!slices.Equal(got.Columns, []string{"n", "s"}) || got.Rows[0][0] != (cell{Kind: "number", Text: "12"}) || got.Rows[0][1].Text != "66" {
		t.Errorf("%+v", got)
	}
	got = answerView{}
	if w.ask(200, `SELECT c.id FROM c WHERE c.pk = "p3"`, 0, "", &got); len(got.Texts) != 1 || got.Ranges != 1 || got.ItemsRead != 1 {
		t.Errorf("one partition: %+v", got)
	}
	var wrong problem
	if w.ask(400, "SELECT *\nFORM c", 0, "", &wrong); wrong.Error.Code != "SC1001" || wrong.Error.Start == nil || *wrong.Error.Start != 9 || *wrong.Error.End != 13 {
		t.Errorf("%+v", wrong)
	}
	if w.ask(400, "SELECT NOPE(1) FROM c", 0, "", &wrong); wrong.Error.Code != "SC2005" {
		t.Errorf("%+v", wrong)
	}
	w.ask(400, "SELECT * FROM c", 0, "not a continuation", nil)
	w.ask(400, "SELECT * FROM c", 5000, "", nil)
	w.api(400, "POST", "/query", `{"nope":1}`, nil)
	if status, _, _ := w.request("POST", "/_explorer/api/query", `{"database":"db","container":"c","query":"SELECT * FROM c"}`,
		func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }); status != 415 {
		t.Errorf("a form: %d", status)
	}
}

// A budget that is used up does not keep people from looking.
func TestLookingIsFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	coll := w.container("db", "c", 400, azcosmos.ContainerProperties{})
	big := strings.Repeat("x", 50<<10)
	w.add(coll, "p", `{"id":"1","pk":"p","big":"`+big+`"}`)
	w.add(coll, "p", `{"id":"2","pk":"p","big":"`+big+`"}`)
	for range 5 {
		w.ask(200, "SELECT * FROM c", 0, "", nil)
	}
	var c contents
	if w.api(200, "GET", "/databases", "", &c); c.Databases[0].Containers[0].Stats.Requests > 4 {
		t.Errorf("%+v", c.Databases[0].Containers[0].Stats)
	}
}

func TestWithAKey(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString([]byte("hush"))
	w := newWorld(t, key)
	w.container("db", "c", 400, azcosmos.ContainerProperties{})
	body := `{"database":"db","container":"c","query":"SELECT * FROM c"}`
	paths := []string{"GET /databases", "GET /container?database=db&container=c", "GET /items?database=db&container=c", "POST /query"}
	try := func(what string, want int, change func(*http.Request)) {
		t.Helper()
		for _, p := range paths {
			method, path, _ := strings.Cut(p, " ")
			b := ""
			if method == "POST" {
				b = body
			}
			if got, answer, _ := w.request(method, "/_explorer/api"+path, b, change); got != want || want == 401 && strings.Contains(answer, "c\"") {
				t.Errorf("%s, %s: %d %s", what, p, got, answer)
			}
		}
	}
	try("no signature", 401, nil)
	w.key = base64.StdEncoding.EncodeToString([]byte("wrong"))
	try("the wrong key", 401, nil)
	w.key = key
	try("the key", 200, nil)
	try("another's date", 401, func(r *http.Request) { r.Header.Set("X-Ms-Date", "Tue, 15 Nov 1994 08:12:31 GMT") })
	try("another's path", 401, func(r *http.Request) {
		other := r.Clone(t.Context())
		other.URL.Path = "/_explorer/api/other"
		sign(t, other, key)
		r.Header.Set("Authorization", other.Header.Get("Authorization"))
	})
	w.key = ""
	var a about
	if w.api(200, "GET", "", "", &a); !a.KeyNeeded || strings.Contains(fmt.Sprint(a), key) {
		t.Errorf("%+v", a)
	}
}

// Pages of other sites get nothing, under whatever name they reach the server.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.container("db", "c", 400, azcosmos.ContainerProperties{})
	body := `{"database":"db","container":"c","query":"SELECT * FROM c"}`
	for name, change := range map[string]func(*http.Request){
		"origin":  func(r *http.Request) { r.Header.Set("Origin", "https://bad.example.com") },
		"site":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"rebinds": func(r *http.Request) { r.Host = "bad.example.com" },
		"rebinds2": func(r *http.Request) {
			r.Host = "bad.example.com"
			r.Header.Set("Authorization", "type=master&ver=1.0&sig=eA==")
		},
	} {
		if status, answer, _ := w.request("POST", "/_explorer/api/query", body, change); status != 403 && status != 421 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		if status, answer, _ := w.request("POST", "/dbs", `{"id":"made"}`, change); status != 403 && status != 421 {
			t.Errorf("%s: the API: %d %s", name, status, answer)
		}
	}
	for _, path := range []string{"/", "/_explorer/", "/_explorer/api/databases", "/dbs"} {
		if status, answer, _ := w.request("GET", path, "", func(r *http.Request) { r.Host = "bad.example.com:8081" }); status != 421 {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	var c contents
	if w.api(200, "GET", "/databases", "", &c); len(c.Databases) != 1 {
		t.Errorf("%+v", c)
	}
}

func TestThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	html := func(r *http.Request) { r.Header.Set("Accept", "text/html,*/*") }
	if status, _, h := w.request("GET", "/", "", html); status != 302 || h.Get("Location") != "/_explorer/" {
		t.Errorf("the root: %d %v", status, h)
	}
	status, body, h := w.request("GET", "/_explorer/", "", html)
	if status != 200 || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Content-Type") != "text/html; charset=utf-8" ||
		h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", status, h)
	}
	for _, bad := range []string{"http://", "https://", "src=", "@import", "{{", "innerHTML"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for path, want := range map[string]int{"/_explorer": 301, "/_explorer/nope": 404, "/_explorerx": 404, "/_explorer/api/nope": 404} {
		if status, _, _ := w.request("GET", path, "", nil); status != want && !(want == 301 && status/100 == 3) {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _, _ := w.request("DELETE", "/_explorer/", "", nil); status != 405 {
		t.Errorf("DELETE: %d", status)
	}
}

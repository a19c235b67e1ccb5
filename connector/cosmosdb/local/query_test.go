package local_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// queryAll reads all pages of a query.
func queryAll(t *testing.T, c *azcosmos.ContainerClient, text string, pk azcosmos.PartitionKey, o *azcosmos.QueryOptions) []string {
	t.Helper()
	ctx := soon(t)
	pager := c.NewQueryItemsPager(text, pk, o)
	all := []string{}
	for pages := 0; pager.More(); pages++ {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if o != nil && o.PageSizeHint > 0 && len(page.Items) > int(o.PageSizeHint) {
			t.Errorf("%s: a page of %d items", text, len(page.Items))
		}
		if page.RequestCharge <= 0 {
			t.Errorf("%s: the page is free", text)
		}
		for _, item := range page.Items {
			all = append(all, string(item))
		}
		if pages > 2000 {
			t.Fatalf("%s: the results do not end", text)
		}
	}
	return all
}

// What a query gives from one partition key. Each is run with pages of every
// size that makes a difference.
func TestQueriesThroughTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{}), soon(t)
	for _, doc := range []string{
		`{"id":"a","pk":"p","n":1,"s":"one","tags":["x","y"],"deep":{"v":10}}`,
		`{"id":"b","pk":"p","n":2,"s":"two","tags":["y"],"deep":{"v":20}}`,
		`{"id":"c","pk":"p","n":3,"s":"Three","tags":[]}`,
		`{"id":"d","pk":"p","n":3,"s":null,"b":true}`,
		`{"id":"e","pk":"p","s":"five"}`,
		`{"id":"f","pk":"q","n":100}`,
	} {
		pk := fmt.Sprint(fields(t, []byte(doc))["pk"])
		if _, err := c.CreateItem(ctx, key(pk), []byte(doc), nil); err != nil {
			t.Fatal(err)
		}
	}
	p := func(name string, v any) azcosmos.QueryParameter { return azcosmos.QueryParameter{Name: name, Value: v} }
	for _, tt := range []struct {
		text, want string
		params     []azcosmos.QueryParameter
	}{
		{`SELECT VALUE c.id FROM c`, `["a","b","c","d","e"]`, nil},
		{`select value c.id from c where c.n = 3`, `["c","d"]`, nil},
		{`SELECT c.id, c.n AS number FROM c WHERE c.n < 2`, `[{"id":"a","number":1}]`, nil},
		{`SELECT VALUE root.id FROM root WHERE root.s != "one" AND IS_DEFINED(root.n)`, `["b","c","d"]`, nil},
		{`SELECT VALUE c.id FROM c WHERE c.n IN (1, 3) OR c.s = "five"`, `["a","c","d","e"]`, nil},
		{`SELECT VALUE c.id FROM c WHERE c.n BETWEEN 2 AND 3 AND NOT c.b`, `[]`, nil},
		{`SELECT VALUE c.id FROM c WHERE c.s LIKE "t%"`, `["b"]`, nil},
		{`SELECT VALUE c.id FROM c WHERE STARTSWITH(c.s, "t", true)`, `["b","c"]`, nil},
		{`SELECT VALUE c.id FROM c WHERE c.n > @low AND c.s = @s`, `["b"]`, []azcosmos.QueryParameter{p("@low", 1), p("@s", "two")}},
		{`SELECT VALUE c.id FROM c WHERE ARRAY_CONTAINS(@ids, c.id)`, `["a","e"]`, []azcosmos.QueryParameter{p("@ids", []string{"a", "e"})}},
		{`SELECT VALUE c.id FROM c WHERE c.s = null`, `["d"]`, nil},
		{`SELECT TOP 2 VALUE c.id FROM c`, `["a","b"]`, nil},
		{`SELECT VALUE c.id FROM c ORDER BY c.n DESC`, ``, nil},
		{`SELECT VALUE c.id FROM c WHERE IS_NUMBER(c.n) ORDER BY c.n DESC, c.id ASC`, `["c","d","b","a"]`, nil},
		{`SELECT VALUE c.id FROM c ORDER BY c.id OFFSET 1 LIMIT 2`, `["b","c"]`, nil},
		{`SELECT DISTINCT VALUE c.n FROM c WHERE c.n > 0 ORDER BY c.n`, `[1,2,3]`, nil},
		{`SELECT VALUE COUNT(1) FROM c`, `[5]`, nil},
		{`SELECT VALUE SUM(c.n) FROM c`, ``, nil},
		{`SELECT VALUE AVG(c.n) FROM c WHERE IS_DEFINED(c.n)`, `[2.25]`, nil},
		{`SELECT MIN(c.n) AS low, MAX(c.n) AS high FROM c WHERE c.n > 0`, `[{"low":1,"high":3}]`, nil},
		{`SELECT c.n, COUNT(1) AS k FROM c WHERE c.n >= 2 GROUP BY c.n`, `[{"n":2,"k":1},{"n":3,"k":2}]`, nil},
		{`SELECT c.id, t AS tag FROM c JOIN t IN c.tags`, `[{"id":"a","tag":"x"},{"id":"a","tag":"y"},{"id":"b","tag":"y"}]`, nil},
		{`SELECT VALUE c.id FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.tags WHERE t = "x")`, `["a"]`, nil},
		{`SELECT VALUE ARRAY(SELECT VALUE UPPER(t) FROM t IN c.tags) FROM c WHERE c.id = "a"`, `[["X","Y"]]`, nil},
		{`SELECT VALUE {"v": c.deep.v ?? -1, "s": c.n > 1 ? "big" : "small"} FROM c WHERE c.n <= 3 AND c.id < "d"`, `[{"v":10,"s":"small"},{"v":20,"s":"big"},{"v":-1,"s":"big"}]`, nil},
		{`SELECT VALUE c["deep"]["v"] + 0.5 FROM c WHERE c.tags[0] = "x"`, `[10.5]`, nil},
		{`SELECT VALUE 1 + 1`, `[2]`, nil},
	} {
		for _, size := range []int32{0, -1, 1, 2, 100} {
			got := queryAll(t, c, tt.text, key("p"), &azcosmos.QueryOptions{PageSizeHint: size, QueryParameters: tt.params})
			if all := "[" + strings.Join(got, ",") + "]"; tt.want != "" && all != tt.want {
				t.Errorf("%s with pages of %d:\n%s, want\n%s", tt.text, size, all, tt.want)
			}
		}
	}
}

func TestQueryAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.container(t, "c", shape{})
	fill(t, c, 40, 2)
	pager := c.NewQueryItemsPager("SELECT * FROM c WHERE c.n >= 0", key("k0"), &azcosmos.QueryOptions{PageSizeHint: 5, PopulateIndexMetrics: true})
	page, err := pager.NextPage(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if page.QueryMetrics == nil || !strings.Contains(*page.QueryMetrics, "outputDocumentCount=5;") || page.IndexMetrics == nil || page.ContinuationToken == nil {
		t.Errorf("%+v", page)
	}
	// The continuation stands on its own: another client goes on with it.
	rest := queryAll(t, c, "SELECT * FROM c WHERE c.n >= 0", key("k0"), &azcosmos.QueryOptions{ContinuationToken: page.ContinuationToken})
	if len(rest) != 15 {
		t.Errorf("%d items behind the first page", len(rest))
	}
	first := fields(t, page.Items[0])
	for _, name := range []string{"_rid", "_self", "_etag", "_ts", "_attachments"} {
		if first[name] == nil {
			t.Errorf("no %s in %v", name, first)
		}
	}
	for _, token := range []string{"x", "0:x", "9:", ":", "-1:"} {
		a := w.query(t, `{"query":"SELECT * FROM c"}`, "X-Ms-Continuation", token, pkHeader, `["k0"]`)
		if a.status != 400 && token != "9:" {
			t.Errorf("continuation %q: %d %s", token, a.status, a.body)
		}
	}
}

// query posts a query as JavaScript's and Python's clients do.
func (w *world) query(t *testing.T, body string, head ...string) answer {
	t.Helper()
	return w.raw(t, "POST", docsPath, body, append([]string{"Content-Type", "application/query+json", "X-Ms-Documentdb-Isquery", "True"}, head...)...)
}

func TestQueriesThatAreWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	for _, body := range []string{``, `x`, `[]`, `{}`, `{"query":5}`, `{"query":"SELECT 1","parameters":{}}`,
		`{"query":"SELECT 1","parameters":[5]}`, `{"query":"SELECT 1","parameters":[{"name":"x","value":1}]}`} {
		w.query(t, body, pkHeader, `["p"]`).want(t, 400, "")
	}
	for text, code := range map[string]string{
		"SELEKT * FROM c": "SC1001", "SELECT * FROM c WHERE": "SC1001", "SELECT": "SC1001",
		"SELECT FOO(c) FROM c": "SC2005", "SELECT x.a FROM c": "SC2001",
	} {
		body, err := json.Marshal(map[string]any{"query": text})
		if err != nil {
			t.Fatal(err)
		}
		a := w.query(t, string(body), pkHeader, `["p"]`).want(t, 400, "").mentions(t, code, `"code":"BadRequest"`)
		if !json.Valid(a.body) || !strings.Contains(fmt.Sprint(fields(t, a.body)["message"]), `"severity":"Error"`) {
			t.Errorf("%s: %s", text, a.body)
		}
	}
}

// Over several physical ranges the gateway serves what can be served range by
// range, and refuses the rest with a plan.
func TestCrossPartitionQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.container(t, "c", shape{ru: several})
	fill(t, c, 60, 12)
	nowhere := azcosmos.NewPartitionKey()
	for _, size := range []int32{0, 1, 7, 100} {
		got := queryAll(t, c, "SELECT VALUE c.id FROM c", nowhere, &azcosmos.QueryOptions{PageSizeHint: size})
		slices.Sort(got)
		if len(got) != 60 || len(slices.Compact(got)) != 60 {
			t.Errorf("pages of %d: %d items", size, len(got))
		}
	}
	if got := queryAll(t, c, "SELECT VALUE c.n FROM c WHERE c.n % 10 = 3 AND c.group = 'g0'", nowhere, nil); len(got) != 2 {
		t.Errorf("%v", got)
	}
	// One whose WHERE names a partition key is about that one, whatever it is.
	for text, want := range map[string]string{
		"SELECT VALUE COUNT(1) FROM c WHERE c.pk = 'k3'":                          "[5]",
		"SELECT VALUE c.n FROM c WHERE c.pk = 'k3' ORDER BY c.n DESC":             "[51 39 27 15 3]",
		"SELECT TOP 2 VALUE c.n FROM c WHERE c.pk = 'k3' AND c.n > 10":            "[15 27]",
		"SELECT DISTINCT VALUE c.group FROM c WHERE 'k3' = c.pk AND c.n > 0":      `["g0"]`,
		"SELECT c.group, COUNT(1) AS k FROM c WHERE c.pk = 'k3' GROUP BY c.group": `[{"group":"g0","k":5}]`,
	} {
		if got := fmt.Sprint(queryAll(t, c, text, nowhere, nil)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"SELECT VALUE COUNT(1) FROM c":                          `"aggregates":["Count"]`,
		"SELECT * FROM c ORDER BY c.n":                          `"orderBy":["Ascending"]`,
		"SELECT TOP 5 * FROM c":                                 `"top":5`,
		"SELECT DISTINCT c.group FROM c":                        `"distinctType":"Unordered"`,
		"SELECT * FROM c OFFSET 1 LIMIT 2":                      `"offset":1`,
		"SELECT c.group, COUNT(1) AS k FROM c GROUP BY c.group": `"groupByAliases":["group","k"]`,
	} {
		_, err := c.NewQueryItemsPager(text, nowhere, nil).NextPage(soon(t))
		var re *azcore.ResponseError
		if !errors.As(err, &re) || re.StatusCode != 400 || re.RawResponse.Header.Get("X-Ms-Substatus") != "1004" {
			t.Errorf("%s: %v", text, err)
			continue
		}
		body, _ := json.Marshal(map[string]any{"query": text})
		a := w.query(t, string(body), "X-Ms-Documentdb-Query-Enablecrosspartition", "True").want(t, 400, "1004")
		plan, _ := fields(t, a.body)["additionalErrorInfo"].(string)
		if !strings.Contains(plan, want) {
			t.Errorf("%s: plan %s does not have %s", text, plan, want)
		}
		asked := w.query(t, string(body), "X-Ms-Cosmos-Is-Query-Plan-Request", "True", "X-Ms-Cosmos-Query-Version", "1.4",
			"X-Ms-Cosmos-Supported-Query-Features", "Aggregate, Distinct, MultipleOrderBy, OffsetAndLimit, OrderBy, Top, GroupBy, NonValueAggregate").want(t, 200, "")
		if string(asked.body) != plan {
			t.Errorf("%s: the plan asked for is\n%s, the one of the refusal\n%s", text, asked.body, plan)
		}
		// A client that cannot merge the results is told so, in place of the plan.
		for _, lacking := range [][]string{{"X-Ms-Cosmos-Is-Query-Plan-Request", "True"}, {"X-Ms-Documentdb-Query-Enablecrosspartition", "True"}} {
			told := w.query(t, string(body), append(lacking, "X-Ms-Cosmos-Supported-Query-Features", "HybridSearch")...).want(t, 400, "")
			if !strings.Contains(string(told.body), "Query contains 1 or more unsupported features.") {
				t.Errorf("%s: a client without features is told %s", text, told.body)
			}
		}
		// In one range everything runs.
		w.query(t, string(body), rangeHdr, "1").want(t, 200, "")
	}
	_, err := c.NewQueryItemsPager("SELECT * FROM c", nowhere, &azcosmos.QueryOptions{EnableCrossPartitionQuery: to.Ptr(false)}).NextPage(soon(t))
	failsWith(t, err, 400, "Cross partition query is required but disabled")
	if got := queryAll(t, c, "SELECT * FROM c WHERE c.pk = 'k3'", nowhere, &azcosmos.QueryOptions{EnableCrossPartitionQuery: to.Ptr(false)}); len(got) != 5 {
		t.Errorf("%d items", len(got))
	}
}

// Clients that sort the results of ranges are told how items with equal keys are
// ordered.
func TestOrderOfEqualKeysIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.container(t, "c", shape{ru: several})
	fill(t, c, 10, 3)
	for order, want := range map[string]string{
		"c.n":              `{"reverseRidEnabled":false,"reverseIndexScan":false}`,
		"c.n DESC":         `{"reverseRidEnabled":false,"reverseIndexScan":true}`,
		"c.n, c.pk DESC":   `{"reverseRidEnabled":false,"reverseIndexScan":true}`,
		"c.n ASC, c.group": `{"reverseRidEnabled":false,"reverseIndexScan":false}`,
	} {
		text := "SELECT c._rid, [{'item': c.n}] AS orderByItems, c AS payload FROM c ORDER BY " + order
		a := w.query(t, `{"query":"`+text+`"}`, rangeHdr, "0").want(t, 200, "")
		if got := a.header.Get("X-Ms-Cosmos-Query-Execution-Info"); got != want {
			t.Errorf("%s: %s", order, got)
		}
	}
	a := w.query(t, `{"query":"SELECT * FROM c ORDER BY c.n"}`, rangeHdr, "0").want(t, 200, "")
	if got := a.header.Get("X-Ms-Cosmos-Query-Execution-Info"); got != "" {
		t.Errorf("a query that is as the user wrote it: %s", got)
	}
}

func TestQueriesOverRanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.container(t, "c", shape{ru: several})
	fill(t, c, 60, 12)
	count := func(head ...string) int {
		t.Helper()
		a := w.query(t, `{"query":"SELECT VALUE COUNT(1) FROM c"}`, head...).want(t, 200, "")
		var feed struct{ Documents []int }
		if err := json.Unmarshal(a.body, &feed); err != nil || len(feed.Documents) != 1 {
			t.Fatalf("%s: %v", a.body, err)
		}
		return feed.Documents[0]
	}
	total := 0
	for i := range 3 {
		n := count(rangeHdr, fmt.Sprint(i))
		if n == 0 || n != count(rangeHdr, "RID=,"+fmt.Sprint(i)) {
			t.Errorf("%d items in range %d", n, i)
		}
		total += n
	}
	if total != 60 {
		t.Errorf("%d items in all ranges", total)
	}
	var bounds struct {
		PartitionKeyRanges []struct{ MinInclusive, MaxExclusive string }
	}
	a := w.raw(t, "GET", "/dbs/db/colls/c/pkranges", "").want(t, 200, "")
	if err := json.Unmarshal(a.body, &bounds); err != nil {
		t.Fatal(err)
	}
	first := bounds.PartitionKeyRanges[0]
	low, high := 0, 0
	middle := first.MaxExclusive[:1] + "0"
	low = count(rangeHdr, "0", epkType, "EffectivePartitionKeyRange", startEPK, first.MinInclusive, endEPK, middle)
	high = count(rangeHdr, "0", epkType, "EffectivePartitionKeyRange", startEPK, middle, endEPK, first.MaxExclusive)
	if low+high != count(rangeHdr, "0") {
		t.Errorf("%d and %d items in parts of range 0", low, high)
	}
	w.query(t, `{"query":"SELECT * FROM c"}`, rangeHdr, "3").want(t, 410, "1002")
	w.query(t, `{"query":"SELECT * FROM c"}`, rangeHdr, "0", epkType, "EffectivePartitionKeyRange", startEPK, "XY", endEPK, "FF").want(t, 400, "")
}

func TestQueriesOverResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, id := range []string{"a", "b", "c"} {
		w.container(t, id, shape{})
	}
	ctx := soon(t)
	var got []string
	pager := w.db.NewQueryContainersPager("SELECT * FROM root r WHERE r.id >= @id", &azcosmos.QueryContainersOptions{
		QueryParameters: []azcosmos.QueryParameter{{Name: "@id", Value: "b"}}})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Containers {
			got = append(got, c.ID)
		}
	}
	if fmt.Sprint(got) != "[b c]" {
		t.Errorf("containers %v", got)
	}
	databases := w.client.NewQueryDatabasesPager("SELECT * FROM root r WHERE r.id = 'db'", nil)
	page, err := databases.NextPage(ctx)
	if err != nil || len(page.Databases) != 1 || page.Databases[0].ID != "db" {
		t.Errorf("databases %+v %v", page.Databases, err)
	}
}

func TestQueriesAreThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *local.Options) { o.Throughput, o.Now = 400, newStandingClock().now })
	c, ctx := w.container(t, "c", shape{}), soon(t)
	for n := 0; ; n++ {
		_, err := c.NewQueryItemsPager("SELECT VALUE 1", key("p"), nil).NextPage(ctx)
		if err != nil {
			failsWith(t, err, 429)
			break
		}
		if n > 400 {
			t.Fatal("queries are never throttled")
		}
	}
}

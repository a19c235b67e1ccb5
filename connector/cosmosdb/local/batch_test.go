package local_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

func TestBatchThroughTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{}), soon(t)
	if _, err := c.CreateItem(ctx, key("p"), []byte(`{"id":"old","pk":"p","n":1}`), nil); err != nil {
		t.Fatal(err)
	}
	b := c.NewTransactionalBatch(key("p"))
	b.CreateItem([]byte(`{"id":"a","pk":"p"}`), nil)
	b.UpsertItem([]byte(`{"id":"b","pk":"p"}`), nil)
	b.UpsertItem([]byte(`{"id":"b","pk":"p","again":true}`), nil)
	b.ReplaceItem("old", []byte(`{"id":"old","pk":"p","n":2}`), nil)
	b.ReadItem("old", nil)
	var p azcosmos.PatchOperations
	p.AppendIncrement("/n", 5)
	b.PatchItem("old", p, nil)
	b.DeleteItem("a", nil)
	resp, err := c.ExecuteTransactionalBatch(ctx, b, nil)
	if err != nil || !resp.Success || resp.RawResponse.StatusCode != 200 {
		t.Fatalf("%v %+v", err, resp)
	}
	total := float32(0)
	for i, want := range []int32{201, 201, 200, 200, 200, 200, 204} {
		r := resp.OperationResults[i]
		if r.StatusCode != want || r.RequestCharge <= 0 || want != 204 && r.ETag == "" {
			t.Errorf("operation %d: %d, charge %v, etag %q", i, r.StatusCode, r.RequestCharge, r.ETag)
		}
		total += r.RequestCharge
	}
	if d := total - resp.RequestCharge; d < -0.1 || d > 0.1 || resp.SessionToken == "" {
		t.Errorf("charge %v, its operations %v; session %q", resp.RequestCharge, total, resp.SessionToken)
	}
	if got := fields(t, resp.OperationResults[4].ResourceBody)["n"]; got != 2.0 {
		t.Errorf("the read of the batch sees n = %v", got)
	}
	read, err := c.ReadItem(ctx, key("p"), "old", nil)
	if err != nil || fields(t, read.Value)["n"] != 7.0 || read.ETag != resp.OperationResults[5].ETag {
		t.Errorf("after the batch: %s, %v", read.Value, err)
	}
	_, err = c.ReadItem(ctx, key("p"), "a", nil)
	failsWith(t, err, 404)
}

func TestBatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{}), soon(t)
	stored, err := c.CreateItem(ctx, key("p"), []byte(`{"id":"there","pk":"p"}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	stale := &azcosmos.TransactionalBatchItemOptions{IfMatchETag: to.Ptr(azcore.ETag(`"stale"`))}
	for name, tt := range map[string]struct {
		status int32
		add    func(b *azcosmos.TransactionalBatch)
	}{
		"conflict":     {409, func(b *azcosmos.TransactionalBatch) { b.CreateItem([]byte(`{"id":"there","pk":"p"}`), nil) }},
		"not found":    {404, func(b *azcosmos.TransactionalBatch) { b.DeleteItem("missing", nil) }},
		"read":         {404, func(b *azcosmos.TransactionalBatch) { b.ReadItem("missing", nil) }},
		"precondition": {412, func(b *azcosmos.TransactionalBatch) { b.ReplaceItem("there", []byte(`{"id":"there","pk":"p"}`), stale) }},
		"other key":    {400, func(b *azcosmos.TransactionalBatch) { b.UpsertItem([]byte(`{"id":"x","pk":"q"}`), nil) }},
		"no id":        {400, func(b *azcosmos.TransactionalBatch) { b.UpsertItem([]byte(`{"pk":"p"}`), nil) }},
		"own conflict": {409, func(b *azcosmos.TransactionalBatch) { b.CreateItem([]byte(`{"id":"first","pk":"p"}`), nil) }},
		"condition": {412, func(b *azcosmos.TransactionalBatch) {
			var p azcosmos.PatchOperations
			p.SetCondition("from c where c.none = 1")
			p.AppendSet("/x", 1)
			b.PatchItem("there", p, nil)
		}},
	} {
		b := c.NewTransactionalBatch(key("p"))
		b.CreateItem([]byte(`{"id":"first","pk":"p"}`), nil)
		b.UpsertItem([]byte(`{"id":"there","pk":"p","n":1}`), nil)
		tt.add(&b)
		b.CreateItem([]byte(`{"id":"last","pk":"p"}`), nil)
		resp, err := c.ExecuteTransactionalBatch(ctx, b, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []int32
		for _, r := range resp.OperationResults {
			got = append(got, r.StatusCode)
		}
		if want := []int32{424, 424, tt.status, 424}; resp.Success || resp.RawResponse.StatusCode != 207 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %d %v, want %v", name, resp.RawResponse.StatusCode, got, want)
		}
		read, err := c.ReadItem(ctx, key("p"), "there", nil)
		if err != nil || read.ETag != stored.ETag {
			t.Errorf("%s: the item was changed: %v %s", name, err, read.Value)
		}
		_, err = c.ReadItem(ctx, key("p"), "first", nil)
		failsWith(t, err, 404)
	}
}

func TestBatchLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{}), soon(t)
	b := c.NewTransactionalBatch(key("p"))
	for i := range 101 {
		b.UpsertItem(fmt.Appendf(nil, `{"id":"%d","pk":"p"}`, i), nil)
	}
	_, err := c.ExecuteTransactionalBatch(ctx, b, nil)
	failsWith(t, err, 400, "more operations")
	b = c.NewTransactionalBatch(key("p"))
	for i := range 3 {
		b.UpsertItem(fmt.Appendf(nil, `{"id":"%d","pk":"p","x":%q}`, i, strings.Repeat("x", 800<<10)), nil)
	}
	_, err = c.ExecuteTransactionalBatch(ctx, b, nil)
	failsWith(t, err, 413)

	head := []string{"x-ms-cosmos-is-batch-request", "True", "x-ms-cosmos-batch-atomic", "True"}
	post := func(body string, more ...string) answer {
		return w.raw(t, "POST", "/dbs/db/colls/c/docs", body, append(more, head...)...)
	}
	for _, body := range []string{``, `{}`, `[]`, `[1]`, `[{}]`, `[{"operationType":"Sweep"}]`, `[{"operationType":"Read","id":5}]`, `[{"operationType":"Read","id":"a"}`} {
		post(body, pkHeader, `["p"]`).want(t, 400, "")
	}
	post(`[{"operationType":"Read","id":"a"}]`).want(t, 400, "")
	a := post(`[{"operationType":"Create","resourceBody":{"id":"a","pk":"p"}}]`, pkHeader, `["p"]`, "Prefer", "return=minimal").want(t, 200, "")
	var ops []map[string]any
	if err := json.Unmarshal(a.body, &ops); err != nil || len(ops) != 1 || ops[0]["resourceBody"] != nil || ops[0]["eTag"] == nil {
		t.Errorf("a minimal answer is still an array: %s", a.body)
	}
	a = post(`[{"operationType":"Upsert","resourceBody":{"id":"a","pk":"p"}}]`, pkHeader, `["p"]`).want(t, 200, "")
	if err := json.Unmarshal(a.body, &ops); err != nil || ops[0]["resourceBody"].(map[string]any)["id"] != "a" {
		t.Errorf("%s", a.body)
	}
}

// bulk sends a bulk request as JavaScript's and Java's clients do.
func (w *world) bulk(t *testing.T, rangeID, body string, more ...string) (answer, []map[string]any) {
	t.Helper()
	head := append([]string{"x-ms-cosmos-is-batch-request", "true", "x-ms-cosmos-batch-atomic", "false",
		"x-ms-cosmos-batch-continue-on-error", "true", "x-ms-documentdb-partitionkeyrangeid", rangeID}, more...)
	a := w.raw(t, "POST", "/dbs/db/colls/c/docs", body, head...)
	var ops []map[string]any
	if a.status < 400 {
		if err := json.Unmarshal(a.body, &ops); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
	}
	return a, ops
}

func statuses(ops []map[string]any) string {
	var s []string
	for _, op := range ops {
		s = append(s, fmt.Sprint(op["statusCode"]))
	}
	return strings.Join(s, " ")
}

func TestBulk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	a, ops := w.bulk(t, "0", `[
		{"operationType":"Create","partitionKey":"[\"p\"]","resourceBody":{"id":"a","pk":"p"}},
		{"operationType":"Upsert","partitionKey":"[\"q\"]","resourceBody":{"id":"a","pk":"q","n":1}},
		{"operationType":"Create","partitionKey":"[{}]","resourceBody":{"id":"none"}}]`)
	if a.status != 200 || statuses(ops) != "201 201 201" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a, ops = w.bulk(t, "0", `[
		{"operationType":"Create","partitionKey":"[\"p\"]","resourceBody":{"id":"a","pk":"p"}},
		{"operationType":"Read","partitionKey":"[\"q\"]","id":"a"},
		{"operationType":"Delete","partitionKey":"[\"p\"]","id":"missing"},
		{"operationType":"Replace","partitionKey":"[\"q\"]","id":"a","resourceBody":{"id":"a","pk":"q","n":2},"ifMatch":"\"stale\""},
		{"operationType":"Patch","partitionKey":"[\"q\"]","id":"a","resourceBody":{"operations":[{"op":"incr","path":"/n","value":2}]}},
		{"operationType":"Upsert","partitionKey":"[\"q\"]","resourceBody":{"id":"b","pk":"other"}},
		{"operationType":"Upsert","resourceBody":{"id":"b","pk":"p"}},
		{"operationType":"Delete","partitionKey":"[{}]","id":"none"}]`)
	if a.status != 207 || statuses(ops) != "409 200 404 412 200 400 201 204" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if n := ops[4]["resourceBody"].(map[string]any)["n"]; n != 3.0 {
		t.Errorf("patched to %v", n)
	}
	if ops[5]["subStatusCode"] != 1001.0 {
		t.Errorf("a key that does not match: %v", ops[5])
	}
	for i, op := range ops {
		if c, _ := op["requestCharge"].(float64); c <= 0 && i != 5 {
			t.Errorf("operation %d is free: %v", i, op)
		}
	}
	// Without "continue on error" what follows a failure is not run.
	a, ops = w.bulk(t, "0", `[{"operationType":"Delete","partitionKey":"[\"p\"]","id":"missing"},
		{"operationType":"Upsert","partitionKey":"[\"p\"]","resourceBody":{"id":"z","pk":"p"}}]`, "x-ms-cosmos-batch-continue-on-error", "false")
	if a.status != 207 || statuses(ops) != "404 424" {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.raw(t, "GET", "/dbs/db/colls/c/docs/z", "", pkHeader, `["p"]`).want(t, 404, "")
	// What comes before the failure is, whether that is found by reading the
	// request or by doing it.
	for wrong, want := range map[string]string{
		`{"operationType":"Create","partitionKey":"[\"q\"]","resourceBody":{"id":"y","pk":"other"}}`: "201 201 400 424 424",
		`{"operationType":"Read","partitionKey":"[\"q\"]","id":"missing"}`:                           "200 200 404 424 424",
	} {
		a, ops = w.bulk(t, "0", `[{"operationType":"Upsert","partitionKey":"[\"p\"]","resourceBody":{"id":"y1","pk":"p"}},
			{"operationType":"Upsert","partitionKey":"[\"q\"]","resourceBody":{"id":"y2","pk":"q"}},`+wrong+`,
			{"operationType":"Upsert","partitionKey":"[\"p\"]","resourceBody":{"id":"y3","pk":"p"}},
			{"operationType":"Delete","partitionKey":"[\"p\"]","id":"missing"}]`, "x-ms-cosmos-batch-continue-on-error", "False")
		if a.status != 207 || statuses(ops) != want {
			t.Errorf("%d %s, want %s", a.status, a.body, want)
		}
	}
	w.raw(t, "GET", "/dbs/db/colls/c/docs/y1", "", pkHeader, `["p"]`).want(t, 200, "")
	w.raw(t, "GET", "/dbs/db/colls/c/docs/y3", "", pkHeader, `["p"]`).want(t, 404, "")
}

// A session token names a range once, however many commits a request takes.
func TestBulkTellsItsSessionOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, `,{"operationType":"Upsert","partitionKey":"[\"p\"]","resourceBody":{"id":"%d","pk":"p"}}`, i)
	}
	a, _ := w.bulk(t, "0", "["+b.String()[1:]+"]")
	if got := a.header.Get("x-ms-session-token"); a.status != 200 || got != "0:-1#100" {
		t.Errorf("%d, session %q", a.status, got)
	}
}

func TestBulkGoesToOneRange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{ru: several})
	var got [3]string
	for i := range got {
		var ops []map[string]any
		_, ops = w.bulk(t, fmt.Sprint(i), `[{"operationType":"Upsert","partitionKey":"[\"p\"]","resourceBody":{"id":"a","pk":"p"}}]`)
		got[i] = statuses(ops)
		if got[i] == "410" && ops[0]["subStatusCode"] != 1002.0 {
			t.Errorf("%v", ops)
		}
	}
	if n := strings.Count(fmt.Sprint(got), "410"); n != 2 {
		t.Errorf("the same key in each range: %v", got)
	}
	a, _ := w.bulk(t, "7", `[{"operationType":"Upsert","partitionKey":"[\"p\"]","resourceBody":{"id":"a","pk":"p"}}]`)
	a.want(t, 410, "1002")
}

// hundred is a bulk request of so many upserts.
func hundred() string {
	ops := make([]string, 100)
	for i := range ops {
		ops[i] = fmt.Sprintf(`{"operationType":"Upsert","partitionKey":"[\"p\"]","resourceBody":{"id":"%d","pk":"p","x":1}}`, i)
	}
	return "[" + strings.Join(ops, ",") + "]"
}

// TestBulkThrottlesTheRest: told to stop at a failure, the service refuses one
// operation, and the others depend on that.
func TestBulkThrottlesTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *local.Options) { o.Throughput, o.Now = 0, newStandingClock().now })
	w.container(t, "c", shape{ru: 400})
	said := regexp.MustCompile(`^(20[01] )*429( 424)*$`)
	for range 20 {
		a, ops := w.bulk(t, "0", hundred(), "x-ms-cosmos-batch-continue-on-error", "False")
		if got := statuses(ops); strings.Contains(got, "429") {
			if a.status != 207 || !said.MatchString(got) {
				t.Errorf("%d %s", a.status, got)
			}
			return
		}
	}
	t.Error("nothing is throttled")
}

func TestBulkThrottlesEachOperation(t *testing.T) {
	t.Parallel()
	clock := newStandingClock()
	w := newWorld(t, func(o *local.Options) { o.Throughput, o.Now = 0, clock.now })
	w.container(t, "c", shape{ru: 400})
	body := hundred()
	stored, refused := map[int]bool{}, 0
	for round := 0; refused == 0 && round < 20; round++ {
		a, ops := w.bulk(t, "0", body)
		for i, op := range ops {
			switch op["statusCode"] {
			case 429.0:
				refused++
				if ms, _ := op["retryAfterMilliseconds"].(float64); ms <= 0 || op["subStatusCode"] != 3200.0 {
					t.Errorf("refused without saying until when: %v", op)
				}
			case 200.0, 201.0:
				stored[i] = true
			default:
				t.Fatalf("%v", op)
			}
		}
		if refused > 0 && a.status != 207 {
			t.Errorf("status %d", a.status)
		}
	}
	if refused == 0 || len(stored) == 0 {
		t.Fatalf("%d stored, %d refused", len(stored), refused)
	}
	clock.released.Store(true)
	waitFor(t, "the budget to be refilled", func() bool {
		return w.raw(t, "GET", "/dbs/db/colls/c/docs/0", "", pkHeader, `["p"]`).status == 200
	})
}

package local_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

func TestItemsThroughTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "items", shape{}), soon(t)
	doc := []byte(`{"id":"a","pk":"p","n":1.50,"text":"ü \u00fc","deep":{"x":[1,2,{"y":null}]}}`)
	created, err := c.CreateItem(ctx, key("p"), doc, withBody)
	if err != nil {
		t.Fatal(err)
	}
	got := fields(t, created.Value)
	if created.RawResponse.StatusCode != 201 || created.RequestCharge < 4 || created.SessionToken == nil || *created.SessionToken == "" || created.ActivityID == "" {
		t.Errorf("created: %d, charge %v, session %v", created.RawResponse.StatusCode, created.RequestCharge, created.SessionToken)
	}
	if got["_etag"] != string(created.ETag) || got["text"] != "ü ü" || got["_rid"] == "" || got["_attachments"] != "attachments/" ||
		!strings.HasPrefix(fmt.Sprint(got["_self"]), "dbs/") {
		t.Errorf("created %s", created.Value)
	}
	if ts, _ := got["_ts"].(float64); time.Since(time.Unix(int64(ts), 0)).Abs() > 2*time.Minute {
		t.Errorf("_ts %v", got["_ts"])
	}
	if !strings.Contains(string(created.Value), `"n":1.50`) {
		t.Errorf("a number was not kept as it was written: %s", created.Value)
	}
	read, err := c.ReadItem(ctx, key("p"), "a", nil)
	if err != nil || string(read.Value) != string(created.Value) || read.ETag != created.ETag || read.RequestCharge != 1 {
		t.Errorf("read %s (%v), charge %v, created %s", read.Value, err, read.RequestCharge, created.Value)
	}
	_, err = c.CreateItem(ctx, key("p"), doc, nil)
	failsWith(t, err, 409, "Conflict", "already exists")
	_, err = c.ReadItem(ctx, key("p"), "b", nil)
	failsWith(t, err, 404, "NotFound", "does not exist")
	_, err = c.ReadItem(ctx, key("q"), "a", nil)
	failsWith(t, err, 404)

	upserted, err := c.UpsertItem(ctx, key("p"), []byte(`{"id":"a","pk":"p","n":2}`), nil)
	if err != nil || upserted.RawResponse.StatusCode != 200 || len(upserted.Value) != 0 || upserted.ETag == created.ETag || upserted.ETag == "" {
		t.Errorf("upserted %+v (%v)", upserted, err)
	}
	fresh, err := c.UpsertItem(ctx, key("q"), []byte(`{"id":"a","pk":"q"}`), nil)
	if err != nil || fresh.RawResponse.StatusCode != 201 {
		t.Errorf("upserted anew: %+v (%v)", fresh, err)
	}
	if upserted.RequestCharge <= fresh.RequestCharge {
		t.Errorf("replacing costs %v, no more than inserting, %v", upserted.RequestCharge, fresh.RequestCharge)
	}
	replaced, err := c.ReplaceItem(ctx, key("p"), "a", []byte(`{"id":"a","pk":"p","n":3}`), withBody)
	if err != nil || replaced.RawResponse.StatusCode != 200 || fields(t, replaced.Value)["_rid"] != got["_rid"] {
		t.Errorf("replaced %s (%v)", replaced.Value, err)
	}
	_, err = c.ReplaceItem(ctx, key("p"), "none", []byte(`{"id":"none","pk":"p"}`), nil)
	failsWith(t, err, 404)
	deleted, err := c.DeleteItem(ctx, key("p"), "a", nil)
	if err != nil || deleted.RawResponse.StatusCode != 204 || deleted.RequestCharge <= 0 {
		t.Errorf("deleted %+v (%v)", deleted, err)
	}
	_, err = c.DeleteItem(ctx, key("p"), "a", nil)
	failsWith(t, err, 404)
}

func TestETagsThroughTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "etags", shape{}), soon(t)
	first, err := c.CreateItem(ctx, key("p"), []byte(`{"id":"a","pk":"p"}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ReplaceItem(ctx, key("p"), "a", []byte(`{"id":"a","pk":"p","n":2}`), &azcosmos.ItemOptions{IfMatchEtag: &first.ETag})
	if err != nil {
		t.Fatal(err)
	}
	stale := &azcosmos.ItemOptions{IfMatchEtag: &first.ETag}
	_, err = c.ReplaceItem(ctx, key("p"), "a", []byte(`{"id":"a","pk":"p","n":3}`), stale)
	failsWith(t, err, 412, "PreconditionFailed")
	_, err = c.UpsertItem(ctx, key("p"), []byte(`{"id":"a","pk":"p","n":3}`), stale)
	failsWith(t, err, 412)
	_, err = c.DeleteItem(ctx, key("p"), "a", stale)
	failsWith(t, err, 412)
	var p azcosmos.PatchOperations
	p.AppendSet("/n", 4)
	_, err = c.PatchItem(ctx, key("p"), "a", p, stale)
	failsWith(t, err, 412)
	if _, err = c.DeleteItem(ctx, key("p"), "a", &azcosmos.ItemOptions{IfMatchEtag: to.Ptr(azcore.ETagAny)}); err != nil {
		t.Error(err)
	}
}

// If-None-Match is not in the Go client.
func TestReadIfNoneMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	const docs, doc = "/dbs/db/colls/c/docs", "/dbs/db/colls/c/docs/a"
	a := w.raw(t, "POST", docs, `{"id":"a","pk":"p"}`, pkHeader, `["p"]`).want(t, 201, "")
	etag := a.header.Get("Etag")
	a = w.raw(t, "GET", doc, "", pkHeader, `["p"]`, "If-None-Match", etag).want(t, 304, "")
	if len(a.body) != 0 || a.header.Get("Etag") != etag {
		t.Errorf("not modified: %q, etag %q of %q", a.body, a.header.Get("Etag"), etag)
	}
	w.raw(t, "GET", doc, "", pkHeader, `["p"]`, "If-None-Match", `"other"`).want(t, 200, "")
	w.raw(t, "GET", doc, "", pkHeader, `["p"]`, "If-Match", `"other"`).want(t, 412, "")
	w.raw(t, "POST", docs, `{"id":"a","pk":"p"}`, pkHeader, `["p"]`, "x-ms-documentdb-is-upsert", "True", "If-None-Match", "*").want(t, 412, "")
	w.raw(t, "POST", docs, `{"id":"b","pk":"p"}`, pkHeader, `["p"]`, "x-ms-documentdb-is-upsert", "True", "If-None-Match", "*").want(t, 201, "")
}

const pkHeader = "X-Ms-Documentdb-Partitionkey"

func TestPartitionKeysMustAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{}), soon(t)
	_, err := c.CreateItem(ctx, key("other"), []byte(`{"id":"a","pk":"p"}`), nil)
	if re := failsWith(t, err, 400, "doesn't match"); re.RawResponse.Header.Get("X-Ms-Substatus") != "1001" {
		t.Errorf("substatus %q", re.RawResponse.Header.Get("X-Ms-Substatus"))
	}
	_, err = c.ReadItem(ctx, azcosmos.NewPartitionKey(), "a", nil)
	failsWith(t, err, 400)
	_, err = c.DeleteItem(ctx, azcosmos.NewPartitionKey(), "a", nil)
	failsWith(t, err, 400)
	_, err = c.ReadItem(ctx, key("a").AppendString("b"), "a", nil)
	failsWith(t, err, 400)

	const docs = "/dbs/db/colls/c/docs"
	for _, tt := range []struct{ header, body string }{
		{`[{}]`, `{"id":"none"}`},
		{`[null]`, `{"id":"null","pk":null}`},
		{`[true]`, `{"id":"true","pk":true}`},
		{`[12.0]`, `{"id":"number","pk":12}`},
		{`["\u00fc"]`, `{"id":"text","pk":"ü"}`},
		{`[""]`, `{"id":"empty","pk":""}`},
	} {
		id := fmt.Sprint(fields(t, []byte(tt.body))["id"])
		w.raw(t, "POST", docs, tt.body, pkHeader, tt.header).want(t, 201, "")
		w.raw(t, "GET", docs+"/"+id, "", pkHeader, tt.header).want(t, 200, "")
		w.raw(t, "GET", docs+"/"+id, "", pkHeader, `["x"]`).want(t, 404, "")
		w.raw(t, "POST", docs, tt.body, pkHeader, `["x"]`).want(t, 400, "1001")
	}
	for _, bad := range []string{``, `x`, `["a"`, `"a"`, `[["a"]]`, `[{"a":1}]`, `["a","b"]`} {
		if a := w.raw(t, "GET", docs+"/a", "", pkHeader, bad); a.status != 400 {
			t.Errorf("partition key %q: %d %s", bad, a.status, a.body)
		}
	}
	w.raw(t, "POST", docs, `{"id":"o","pk":{"a":1}}`, pkHeader, `["x"]`).want(t, 400, "1001")
}

func TestHierarchicalPartitionKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{paths: []string{"/tenant", "/user"}, ru: several}), soon(t)
	for i := range 12 {
		tenant, user := fmt.Sprintf("t%d", i%3), fmt.Sprintf("u%d", i)
		pk := azcosmos.NewPartitionKey().AppendString(tenant).AppendString(user)
		if _, err := c.CreateItem(ctx, pk, fmt.Appendf(nil, `{"id":"a","tenant":%q,"user":%q}`, tenant, user), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadItem(ctx, pk, "a", nil); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.ReadItem(ctx, azcosmos.NewPartitionKeyString("t1"), "a", nil)
	failsWith(t, err, 400)
	_, err = c.CreateItem(ctx, azcosmos.NewPartitionKeyString("t1"), []byte(`{"id":"b","tenant":"t1","user":"u"}`), nil)
	failsWith(t, err, 400)
	if got := queryAll(t, c, "SELECT * FROM c", key("t1"), nil); len(got) != 4 {
		t.Errorf("a prefix of the partition key gives %d items: %s", len(got), got)
	}
	if got := queryAll(t, c, "SELECT * FROM c WHERE c.tenant = 't1'", azcosmos.NewPartitionKey(), nil); len(got) != 4 {
		t.Errorf("a filter on a prefix of the partition key gives %d items: %s", len(got), got)
	}
}

func TestItemsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	const docs = "/dbs/db/colls/c/docs"
	post := func(body string) answer { return w.raw(t, "POST", docs, body, pkHeader, `["p"]`) }
	for _, body := range []string{``, `x`, `[]`, `"a"`, `null`, `{"id":"a","pk":"p"`, `{"id":"a","pk":"p"}}`, "{\"id\":\"a\",\"pk\":\"p\",\"x\":\"\xff\"}"} {
		post(body).want(t, 400, "").mentions(t, `"code":"BadRequest"`)
	}
	post(`{"pk":"p"}`).want(t, 400, "").mentions(t, "id")
	for _, id := range []string{``, `a/b`, `a\\b`, `a?b`, `a#b`, strings.Repeat("x", 1024)} {
		post(`{"id":"`+id+`","pk":"p"}`).want(t, 400, "")
	}
	post(`{"id":5,"pk":"p"}`).want(t, 400, "")
	post(`{"id":"`+strings.Repeat("x", 1023)+`","pk":"p"}`).want(t, 201, "")
	post(`{"id":"a b+ü%","pk":"p"}`).want(t, 201, "")
	w.raw(t, "GET", docs+"/a%20b+%C3%BC%25", "", pkHeader, `["p"]`).want(t, 200, "")
	post(`{"id":"big","pk":"p","x":"`+strings.Repeat("x", 2<<20)+`"}`).want(t, 413, "").mentions(t, "RequestEntityTooLarge")
	for _, ttl := range []string{`0`, `-2`, `"5"`, `1.5`} {
		post(`{"id":"t","pk":"p","ttl":`+ttl+`}`).want(t, 400, "").mentions(t, "ttl")
	}
	// A replace may not change the id of an item, nor its partition key.
	post(`{"id":"r","pk":"p"}`).want(t, 201, "")
	w.raw(t, "PUT", docs+"/r", `{"id":"s","pk":"p"}`, pkHeader, `["p"]`).want(t, 400, "")
	w.raw(t, "PUT", docs+"/r", `{"id":"r","pk":"q"}`, pkHeader, `["p"]`).want(t, 400, "1001")
	// What a client read it may write back: the system's own properties are made anew.
	a := w.raw(t, "GET", docs+"/r", "", pkHeader, `["p"]`).want(t, 200, "")
	b := w.raw(t, "PUT", docs+"/r", string(a.body), pkHeader, `["p"]`).want(t, 200, "")
	if got := strings.Count(string(b.body), `"_etag"`); got != 1 {
		t.Errorf("%d etags in %s", got, b.body)
	}
}

func TestMinimalAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	a := w.raw(t, "POST", "/dbs/db/colls/c/docs", `{"id":"a","pk":"p"}`, pkHeader, `["p"]`, "Prefer", "return=minimal").want(t, 201, "")
	if len(a.body) != 0 || a.header.Get("Etag") == "" {
		t.Errorf("body %q etag %q", a.body, a.header.Get("Etag"))
	}
	for _, name := range []string{"X-Ms-Request-Charge", "X-Ms-Activity-Id", "X-Ms-Session-Token"} {
		if a.header.Get(name) == "" {
			t.Errorf("no %s in %v", name, a.header)
		}
	}
	w.raw(t, "PATCH", "/dbs/db/colls/c/docs/a", `{"operations":[{"op":"set","path":"/x","value":1}]}`,
		pkHeader, `["p"]`, "Prefer", "return=minimal").want(t, 200, "")
}

func TestUniqueKeysThroughTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{unique: []string{"/eventId"}}), soon(t)
	create := func(pk, id, event string) error {
		_, err := c.CreateItem(ctx, key(pk), fmt.Appendf(nil, `{"id":%q,"pk":%q,"eventId":%q}`, id, pk, event), nil)
		return err
	}
	if err := create("p", "a", "e1"); err != nil {
		t.Fatal(err)
	}
	failsWith(t, create("p", "b", "e1"), 409, "Unique index constraint violation")
	if err := create("q", "b", "e1"); err != nil {
		t.Errorf("unique keys are per logical partition: %v", err)
	}
	if err := create("p", "b", "e2"); err != nil {
		t.Fatal(err)
	}
	_, err := c.UpsertItem(ctx, key("p"), []byte(`{"id":"b","pk":"p","eventId":"e1"}`), nil)
	failsWith(t, err, 409)
	if _, err = c.UpsertItem(ctx, key("p"), []byte(`{"id":"a","pk":"p","eventId":"e1","n":1}`), nil); err != nil {
		t.Errorf("an item may keep its own unique key: %v", err)
	}
	if _, err = c.DeleteItem(ctx, key("p"), "a", nil); err != nil {
		t.Fatal(err)
	}
	if err = create("p", "c", "e1"); err != nil {
		t.Errorf("the unique key of a deleted item is free: %v", err)
	}
}

func TestItemsExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{ttl: to.Ptr(int32(-1))}), soon(t)
	if _, err := c.CreateItem(ctx, key("p"), []byte(`{"id":"short","pk":"p","ttl":1}`), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateItem(ctx, key("p"), []byte(`{"id":"long","pk":"p"}`), nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the item to expire", func() bool {
		_, err := c.ReadItem(ctx, key("p"), "short", nil)
		return err != nil && failsWith(t, err, 404) != nil
	})
	if got := queryAll(t, c, "SELECT * FROM c", key("p"), nil); len(got) != 1 {
		t.Errorf("after one of two expired, a query gives %s", got)
	}
	if _, err := c.CreateItem(ctx, key("p"), []byte(`{"id":"short","pk":"p"}`), nil); err != nil {
		t.Errorf("the id of an expired item is free: %v", err)
	}
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestThrottlingThroughTheGoClient(t *testing.T) {
	t.Parallel()
	clock := newStandingClock()
	w := newWorld(t, func(o *local.Options) { o.Throughput, o.Now = 0, clock.now })
	c, ctx := w.container(t, "c", shape{ru: 400}), soon(t)
	var refused *azcore.ResponseError
	stored := 0
	for refused == nil {
		if _, err := c.UpsertItem(ctx, key("p"), fmt.Appendf(nil, `{"id":"i%d","pk":"p"}`, stored), nil); err != nil {
			refused = failsWith(t, err, 429, "Request rate is large")
			break
		}
		if stored++; stored > 400 {
			t.Fatal("400 RU/s are enough for 400 writes")
		}
	}
	h := refused.RawResponse.Header
	if h.Get("X-Ms-Substatus") != "3200" || h.Get("X-Ms-Retry-After-Ms") == "" {
		t.Errorf("headers %v", h)
	}
	_, err := c.ReadItem(ctx, key("p"), "i0", nil)
	failsWith(t, err, 429)
	// A client that retries as it is told gets there once time goes on.
	patient, err := azcosmos.NewClientFromConnectionString(w.srv.Address(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := patient.NewContainer("db", "c")
	if err != nil {
		t.Fatal(err)
	}
	clock.released.Store(true)
	for i := range 4 {
		if _, err := pc.UpsertItem(ctx, key("p"), fmt.Appendf(nil, `{"id":"i%d","pk":"p"}`, stored+i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := queryAll(t, pc, "SELECT * FROM c", key("p"), nil); len(got) != stored+4 {
		t.Errorf("%d items, %d were acknowledged", len(got), stored+4)
	}
}

func TestEverythingIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.container(t, "c", shape{ru: several, unique: []string{"/eventId"}})
	ctx := soon(t)
	fillEvents := func(from, to int) {
		for i := from; i < to; i++ {
			if _, err := c.CreateItem(ctx, key(fmt.Sprint(i%7)), fmt.Appendf(nil, `{"id":"i%d","pk":"%d","eventId":"e%d"}`, i, i%7, i), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	fillEvents(0, 50)
	before := w.raw(t, "GET", "/dbs/db/colls/c/docs/i3", "", pkHeader, `["3"]`).want(t, 200, "")
	if err := w.srv.Close(); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	var err error
	if c, err = w.db.NewContainer("c"); err != nil {
		t.Fatal(err)
	}
	after := w.raw(t, "GET", "/dbs/db/colls/c/docs/i3", "", pkHeader, `["3"]`).want(t, 200, "")
	if string(before.body) != string(after.body) {
		t.Errorf("before %s after %s", before.body, after.body)
	}
	_, err = c.CreateItem(ctx, key("3"), []byte(`{"id":"x","pk":"3","eventId":"e3"}`), nil)
	failsWith(t, err, http.StatusConflict)
	fillEvents(50, 60)
	if got := queryAll(t, c, "SELECT VALUE c.id FROM c", azcosmos.NewPartitionKey(), nil); len(got) != 60 {
		t.Errorf("%d items", len(got))
	}
}

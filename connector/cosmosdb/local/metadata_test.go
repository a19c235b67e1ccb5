package local_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local"
)

// What every answer says, whatever it is.
func TestEveryAnswerHasItsHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, path := range []string{"", "dbs", "dbs/db", "dbs/none", "x", "offers", "dbs/db/colls/none/docs/1"} {
		a := w.raw(t, "GET", path, "", "x-ms-activity-id", "11111111-2222-3333-4444-555555555555")
		for _, name := range []string{"x-ms-request-charge", "x-ms-gatewayversion", "x-ms-schemaversion", "x-ms-serviceversion", "date"} {
			if a.header.Get(name) == "" {
				t.Errorf("GET /%s: no header %s: %v", path, name, a.header)
			}
		}
		if got := a.header.Get("x-ms-activity-id"); got != "11111111-2222-3333-4444-555555555555" {
			t.Errorf("GET /%s: activity %q", path, got)
		}
		if got := a.header.Get("content-type"); got != "application/json" {
			t.Errorf("GET /%s: content type %q", path, got)
		}
		if !json.Valid(a.body) {
			t.Errorf("GET /%s: %s is not JSON", path, a.body)
		}
		if a.status >= 400 {
			var e struct{ Code, Message string }
			if json.Unmarshal(a.body, &e) != nil || e.Code == "" || !strings.Contains(e.Message, "ActivityId: 11111111-2222-3333-4444-555555555555") {
				t.Errorf("GET /%s: error body %s", path, a.body)
			}
		}
	}
}

func TestAccountSendsClientsBackToWhereTheyCameFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	port := strings.TrimSuffix(w.srv.Endpoint()[strings.LastIndexByte(w.srv.Endpoint(), ':')+1:], "/")
	req, err := http.NewRequestWithContext(soon(t), "GET", w.srv.Endpoint(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "localhost:" + port
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	type location struct{ Name, DatabaseAccountEndpoint string }
	var account struct {
		ID                                   string
		WritableLocations, ReadableLocations []location
		EnableMultipleWriteLocations         bool
		UserConsistencyPolicy                struct{ DefaultConsistencyLevel string }
		QueryEngineConfiguration             string
	}
	if err := json.NewDecoder(resp.Body).Decode(&account); err != nil {
		t.Fatal(err)
	}
	want := "http://localhost:" + port + "/"
	if len(account.WritableLocations) != 1 || len(account.ReadableLocations) != 1 ||
		account.WritableLocations[0].DatabaseAccountEndpoint != want || account.ReadableLocations[0].DatabaseAccountEndpoint != want {
		t.Errorf("locations %+v %+v, want %s", account.WritableLocations, account.ReadableLocations, want)
	}
	if account.UserConsistencyPolicy.DefaultConsistencyLevel != "Session" || !json.Valid([]byte(account.QueryEngineConfiguration)) {
		t.Errorf("account %+v", account)
	}
}

func TestDatabasesOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.raw(t, "POST", "dbs", `{"id":"My db ä"}`).want(t, 201, "")
	made := fields(t, a.body)
	if made["id"] != "My db ä" || made["_etag"] != a.header.Get("etag") || made["_colls"] != "colls/" || made["_users"] != "users/" ||
		made["_self"] != "dbs/"+made["_rid"].(string)+"/" || made["_ts"].(float64) < 1e9 {
		t.Errorf("database %s, etag %s", a.body, a.header.Get("etag"))
	}
	w.raw(t, "POST", "dbs", `{"id":"My db ä"}`).want(t, 409, "").mentions(t, `"code":"Conflict"`)
	w.raw(t, "POST", "dbs", `{"id":""}`).want(t, 400, "")
	w.raw(t, "POST", "dbs", `{"id":"a/b"}`).want(t, 400, "").mentions(t, "BadRequest")
	w.raw(t, "POST", "dbs", `{"id":`).want(t, 400, "")
	w.raw(t, "POST", "dbs", ``).want(t, 400, "")
	w.raw(t, "GET", "dbs/My%20db%20%C3%A4", "").want(t, 200, "")
	w.raw(t, "GET", "dbs/"+made["_rid"].(string), "").want(t, 200, "").mentions(t, "My db")
	w.raw(t, "GET", "dbs/my%20db%20%C3%A4", "").want(t, 404, "").mentions(t, `"code":"NotFound"`)
	a = w.raw(t, "GET", "dbs/My%20db%20%C3%A4", "", "if-none-match", made["_etag"].(string)).want(t, 304, "")
	if len(a.body) != 0 {
		t.Errorf("304 with a body: %s", a.body)
	}
	a = w.raw(t, "HEAD", "dbs/db", "").want(t, 200, "")
	if len(a.body) != 0 || a.header.Get("etag") == "" {
		t.Errorf("HEAD: %v %s", a.header, a.body)
	}
	a = w.raw(t, "GET", "dbs", "", "x-ms-max-item-count", "1").want(t, 200, "")
	if a.header.Get("x-ms-item-count") != "1" || a.header.Get("x-ms-continuation") == "" {
		t.Errorf("first page: %v", a.header)
	}
	a.mentions(t, `"Databases":[{"id":"My db ä"`, `"_count":1`)
	a = w.raw(t, "GET", "dbs", "", "x-ms-max-item-count", "1", "x-ms-continuation", a.header.Get("x-ms-continuation")).want(t, 200, "")
	if a.mentions(t, `"id":"db"`); a.header.Get("x-ms-continuation") != "" {
		t.Errorf("the last page goes on: %v", a.header)
	}
	w.raw(t, "GET", "dbs", "", "x-ms-max-item-count", "some").want(t, 400, "")
	w.raw(t, "POST", "dbs", `{"query":"SELECT * FROM root r WHERE r.id=@id","parameters":[{"name":"@id","value":"db"}]}`,
		"x-ms-documentdb-isquery", "True", "content-type", "application/query+json").want(t, 200, "").mentions(t, `"_count":1`, `"id":"db"`)
	w.raw(t, "PUT", "dbs/db", `{"id":"db"}`).want(t, 405, "")
	w.raw(t, "DELETE", "dbs/My%20db%20%C3%A4", "", "if-match", `"other"`).want(t, 412, "")
	w.raw(t, "DELETE", "dbs/My%20db%20%C3%A4", "").want(t, 204, "")
	w.raw(t, "DELETE", "dbs/My%20db%20%C3%A4", "").want(t, 404, "")
}

func TestContainersOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.raw(t, "POST", "dbs/db/colls", `{"id":"c","partitionKey":{"paths":["/deviceId"],"kind":"Hash"},"defaultTtl":-1}`).want(t, 201, "")
	made := fields(t, a.body)
	rid := made["_rid"].(string)
	for name, want := range map[string]any{"id": "c", "_docs": "docs/", "_sprocs": "sprocs/", "_triggers": "triggers/", "_udfs": "udfs/",
		"_conflicts": "conflicts/", "_etag": a.header.Get("etag"), "defaultTtl": -1.0} {
		if made[name] != want {
			t.Errorf("%s is %v, want %v", name, made[name], want)
		}
	}
	if !strings.HasSuffix(made["_self"].(string), "/colls/"+rid+"/") || a.header.Get("x-ms-alt-content-path") != "dbs/db" ||
		a.header.Get("x-ms-content-path") != strings.Split(made["_self"].(string), "/")[1] {
		t.Errorf("_self %v, headers %v", made["_self"], a.header)
	}
	w.raw(t, "POST", "dbs/db/colls", `{"id":"c","partitionKey":{"paths":["/deviceId"]}}`).want(t, 409, "")
	w.raw(t, "POST", "dbs/db/colls", `{"id":"d"}`).want(t, 400, "").mentions(t, "partition key")
	w.raw(t, "POST", "dbs/none/colls", `{"id":"d","partitionKey":{"paths":["/a"]}}`).want(t, 404, "1003")
	w.raw(t, "GET", "dbs/db/colls/c", "").want(t, 200, "")
	w.raw(t, "GET", strings.TrimSuffix(made["_self"].(string), "/"), "").want(t, 200, "").mentions(t, `"id":"c"`)
	w.raw(t, "GET", "dbs/db/colls/none", "").want(t, 404, "")
	w.raw(t, "GET", "dbs/db/colls/none/docs", "").want(t, 404, "1003")
	a = w.raw(t, "GET", "dbs/db/colls/c", "", "x-ms-documentdb-populatequotainfo", "True").want(t, 200, "")
	if !strings.Contains(a.header.Get("x-ms-resource-usage"), "documentsCount=0;") || !strings.Contains(a.header.Get("x-ms-resource-quota"), "collectionSize=") {
		t.Errorf("quota %v", a.header)
	}

	// Replace: the policy changes, the key does not.
	body := strings.Replace(string(a.body), `"excludedPaths":[`, `"excludedPaths":[{"path":"/x/?"},`, 1)
	if body == string(a.body) {
		t.Fatal("no excluded paths in " + body)
	}
	etag := a.header.Get("etag")
	w.raw(t, "PUT", "dbs/db/colls/c", body, "if-match", `"other"`).want(t, 412, "")
	a = w.raw(t, "PUT", "dbs/db/colls/c", body, "if-match", etag).want(t, 200, "").mentions(t, `{"path":"/x/?"}`)
	if a.header.Get("etag") == etag {
		t.Error("the etag stays after a replace")
	}
	w.raw(t, "PUT", "dbs/db/colls/c", `{"id":"c","partitionKey":{"paths":["/other"],"kind":"Hash"}}`).want(t, 400, "").mentions(t, "partition key cannot be changed")
	w.raw(t, "PUT", "dbs/db/colls/c", `{"id":"e","partitionKey":{"paths":["/deviceId"],"kind":"Hash"}}`).want(t, 400, "")

	w.raw(t, "GET", "dbs/db/colls", "").want(t, 200, "").mentions(t, `"DocumentCollections":[{"id":"c"`, `"_count":1`)
	w.raw(t, "POST", "dbs/db/colls", `{"query":"SELECT VALUE r.id FROM r"}`, "content-type", "application/query+json").want(t, 200, "").
		mentions(t, `"DocumentCollections":["c"]`)

	// A container that is made anew under the same name is another one.
	w.raw(t, "DELETE", "dbs/db/colls/c", "").want(t, 204, "")
	w.raw(t, "GET", "dbs/db/colls/c", "").want(t, 404, "")
	a = w.raw(t, "POST", "dbs/db/colls", `{"id":"c","partitionKey":{"paths":["/deviceId"]}}`).want(t, 201, "")
	if fields(t, a.body)["_rid"] == rid {
		t.Error("a new container has the _rid of the one that was deleted")
	}
}

func TestPartitionKeyRangesOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.raw(t, "POST", "dbs/db/colls", `{"id":"c","partitionKey":{"paths":["/deviceId"]}}`, "x-ms-offer-throughput", "30000").want(t, 201, "")
	a := w.raw(t, "GET", "dbs/db/colls/c/pkranges", "", "a-im", "Incremental feed").want(t, 200, "")
	var feed struct {
		RID                string `json:"_rid"`
		Count              int    `json:"_count"`
		PartitionKeyRanges []struct {
			ID, MinInclusive, MaxExclusive, Status string
			RidPrefix                              int
			ThroughputFraction                     float64
			Parents                                []string
			RID                                    string `json:"_rid"`
			Self                                   string `json:"_self"`
			ETag                                   string `json:"_etag"`
			TS                                     int64  `json:"_ts"`
		}
	}
	if err := json.Unmarshal(a.body, &feed); err != nil {
		t.Fatal(err)
	}
	if feed.Count != 3 || len(feed.PartitionKeyRanges) != 3 {
		t.Fatalf("%s", a.body)
	}
	low, share, seen := "", 0.0, map[string]bool{}
	for i, r := range feed.PartitionKeyRanges {
		if r.ID != string(rune('0'+i)) || r.MinInclusive != low || r.Status != "online" || r.Parents == nil || len(r.RID) != 24 || r.ETag == "" ||
			r.TS == 0 || seen[r.RID] || !strings.HasSuffix(r.Self, "/pkranges/"+r.RID+"/") {
			t.Errorf("range %d: %+v", i, r)
		}
		low, share, seen[r.RID] = r.MaxExclusive, share+r.ThroughputFraction, true
	}
	if low != "FF" || share < 0.999 || share > 1.001 {
		t.Errorf("the ranges end at %q, their shares add up to %v", low, share)
	}
	etag := a.header.Get("etag")
	a = w.raw(t, "GET", "dbs/db/colls/c/pkranges", "", "a-im", "Incremental feed", "if-none-match", etag).want(t, 304, "")
	if a.header.Get("etag") != etag || len(a.body) != 0 {
		t.Errorf("304: %v %s", a.header, a.body)
	}
	w.raw(t, "GET", "dbs/db/colls/c/pkranges", "", "if-none-match", `"x"`).want(t, 200, "")
	w.raw(t, "GET", "dbs/db/colls/none/pkranges", "").want(t, 404, "1003")
	w.raw(t, "POST", "dbs/db/colls/c/pkranges", `{}`).want(t, 405, "")
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.raw(t, "POST", "dbs/db/colls", `{"id":"c","partitionKey":{"paths":["/a"]}}`).want(t, 201, "")
	for path, name := range map[string]string{"dbs/db/colls/c/sprocs": "StoredProcedures", "dbs/db/colls/c/triggers": "Triggers",
		"dbs/db/colls/c/udfs": "UserDefinedFunctions", "dbs/db/colls/c/conflicts": "Conflicts", "dbs/db/users": "Users",
		"dbs/db/clientencryptionkeys": "ClientEncryptionKeys"} {
		w.raw(t, "GET", path, "").want(t, 200, "").mentions(t, `"`+name+`":[],"_count":0`)
		w.raw(t, "POST", path, `{"query":"SELECT * FROM r"}`, "content-type", "application/query+json").want(t, 200, "").mentions(t, `"_count":0`)
		w.raw(t, "POST", path, `{"id":"x"}`).want(t, 400, "").mentions(t, "not supported")
		w.raw(t, "GET", path+"/x", "").want(t, 404, "")
		w.raw(t, "DELETE", path+"/x", "").want(t, 404, "")
	}
	w.raw(t, "POST", "dbs/db/colls/c/sprocs/x", `[]`).want(t, 404, "")
	w.raw(t, "GET", "dbs/db/users/u/permissions", "").want(t, 404, "")
	w.raw(t, "GET", "nonsense", "").want(t, 404, "")
	a := w.raw(t, "DELETE", "dbs", "").want(t, 405, "")
	if got := a.header.Get("allow"); got != "GET, POST" {
		t.Errorf("allow %q", got)
	}
	w.raw(t, "BREW", "dbs/db", "").want(t, 405, "")
	w.raw(t, "OPTIONS", "dbs/db", "").want(t, 405, "")
}

// With a key, only those who have it are answered.
func TestOnlyTheKeyOpens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *local.Options) { o.Key = "c2VjcmV0IGtleSBvZiB0aGlzIHRlc3Q=" })
	a := w.raw(t, "GET", "dbs/db", "").want(t, 401, "").mentions(t, `"code":"Unauthorized"`, "The input authorization token can't serve the request")
	if strings.Contains(string(a.body), "c2VjcmV0") {
		t.Error("the answer holds the key")
	}
	w.raw(t, "GET", "dbs/db", "", "authorization", "nonsense").want(t, 401, "")
	w.raw(t, "GET", "", "").want(t, 401, "")
	if _, err := w.db.Read(soon(t), nil); err != nil {
		t.Errorf("with the key: %v", err)
	}
	if !strings.HasSuffix(w.srv.Address(), ";AccountKey=c2VjcmV0IGtleSBvZiB0aGlzIHRlc3Q=;") {
		t.Error("the connection string has another key")
	}
}

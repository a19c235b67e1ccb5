package local_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

type offer struct {
	ID, Resource, OfferResourceID, OfferVersion string
	RID                                         string `json:"_rid"`
	Self                                        string `json:"_self"`
	ETag                                        string `json:"_etag"`
	Content                                     struct {
		OfferThroughput        int
		OfferAutopilotSettings *struct{ MaxThroughput int }
	}
}

// offers are those of a feed's answer.
func (a answer) offers(t *testing.T) []offer {
	t.Helper()
	var feed struct{ Offers []offer }
	if err := json.Unmarshal(a.body, &feed); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return feed.Offers
}

// Each SDK asks for an offer in a form of its own.
func TestOffersAreFoundAsEverySDKAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := fields(t, w.raw(t, "POST", "dbs/db/colls", `{"id":"c","partitionKey":{"paths":["/a"]}}`, "x-ms-offer-throughput", "1200").want(t, 201, "").body)
	w.raw(t, "POST", "dbs/db/colls", `{"id":"other","partitionKey":{"paths":["/a"]}}`).want(t, 201, "")
	rid, self := c["_rid"].(string), c["_self"].(string)
	for _, query := range []string{
		fmt.Sprintf(`{"query":"SELECT * FROM c WHERE c.offerResourceId = '%s'"}`, rid),
		fmt.Sprintf(`{"query":"SELECT * from root where root.resource = \"/%s\"","parameters":[]}`, self),
		fmt.Sprintf(`{"query":"SELECT * from root where root.resource = \"/%s\"","parameters":[]}`, strings.TrimSuffix(self, "/")),
		fmt.Sprintf(`{"query":"SELECT * FROM root WHERE root.resource=@link","parameters":[{"name":"@link","value":"%s"}]}`, self),
		fmt.Sprintf(`{"query":"select * from root r where r.resource = '%s'","parameters":[]}`, strings.Trim(self, "/")),
		fmt.Sprintf(`{"query":"select * from c where c.offerResourceId = @rid","parameters":[{"name":"@rid","value":"%s"}]}`, rid),
	} {
		found := w.raw(t, "POST", "offers", query, "content-type", "application/query+json").want(t, 200, "").offers(t)
		if len(found) != 1 || found[0].OfferResourceID != rid || found[0].Resource != self || found[0].Content.OfferThroughput != 1200 ||
			found[0].OfferVersion != "V2" || found[0].ID != found[0].RID || found[0].Self != "offers/"+found[0].RID+"/" {
			t.Errorf("%s\nfinds %+v", query, found)
		}
	}
	if all := w.raw(t, "GET", "offers", "").want(t, 200, "").offers(t); len(all) != 2 {
		t.Errorf("%d offers, want 2", len(all))
	}
}

func TestOffersChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.raw(t, "POST", "dbs/db/colls", `{"id":"c","partitionKey":{"paths":["/a"]}}`, "x-ms-offer-throughput", "20000").want(t, 201, "")
	all := w.raw(t, "GET", "offers", "").offers(t)
	if len(all) != 1 {
		t.Fatalf("offers %+v", all)
	}
	o := all[0]
	path := "offers/" + o.RID
	a := w.raw(t, "GET", path, "").want(t, 200, "")
	// A hundredth of what it had.
	if a.header.Get("x-ms-cosmos-min-throughput") != "400" || a.header.Get("x-ms-offer-replace-pending") != "false" {
		t.Errorf("headers %v", a.header)
	}
	put := func(content string, head ...string) answer {
		t.Helper()
		return w.raw(t, "PUT", path, fmt.Sprintf(`{"_rid":%q,"id":%q,"offerVersion":"V2","content":%s}`, o.RID, o.ID, content), head...)
	}
	for _, wrong := range []string{`{"offerThroughput":300}`, `{"offerThroughput":450}`, `{"offerThroughput":1000100}`, `{}`, `{"offerThroughput":"x"}`,
		`{"offerAutopilotSettings":{"maxThroughput":4000}}`} {
		put(wrong).want(t, 400, "")
	}
	put(`{"offerThroughput":900}`, "if-match", `"other"`).want(t, 412, "")
	a = put(`{"offerThroughput":900}`, "if-match", o.ETag).want(t, 200, "").mentions(t, `"offerThroughput":900`)
	if a.header.Get("etag") == o.ETag {
		t.Error("the etag stays")
	}
	put(`{"offerAutopilotSettings":{"maxThroughput":4000}}`, "x-ms-cosmos-migrate-offer-to-autopilot", "true").want(t, 200, "").
		mentions(t, `"maxThroughput":4000`, `"offerThroughput":400,`)
	put(`{"offerAutopilotSettings":{"maxThroughput":4500}}`).want(t, 400, "")
	put(`{"offerAutopilotSettings":{"maxThroughput":6000}}`).want(t, 200, "").mentions(t, `"maxThroughput":6000`)
	put(`{"offerThroughput":500}`).want(t, 400, "")
	put(`{"offerThroughput":500}`, "x-ms-cosmos-migrate-offer-to-manual-throughput", "true").want(t, 200, "").mentions(t, `"offerThroughput":500`)
	w.raw(t, "GET", "offers/AAAA", "").want(t, 404, "")
	w.raw(t, "PUT", "offers/AAAA", `{"content":{"offerThroughput":500}}`).want(t, 404, "")
	w.raw(t, "DELETE", path, "").want(t, 405, "")

	w.raw(t, "DELETE", "dbs/db/colls/c", "").want(t, 204, "")
	w.raw(t, "GET", path, "").want(t, 404, "")
}

func TestThroughputIsAskedForWithinItsRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const body = `{"id":"c","partitionKey":{"paths":["/a"]}}`
	for _, head := range [][]string{
		{"x-ms-offer-throughput", "399"}, {"x-ms-offer-throughput", "450"}, {"x-ms-offer-throughput", "x"},
		{"x-ms-cosmos-offer-autopilot-settings", `{"maxThroughput":500}`}, {"x-ms-cosmos-offer-autopilot-settings", `x`},
		{"x-ms-offer-throughput", "400", "x-ms-cosmos-offer-autopilot-settings", `{"maxThroughput":1000}`},
	} {
		w.raw(t, "POST", "dbs/db/colls", body, head...).want(t, 400, "").mentions(t, "BadRequest")
	}
	w.raw(t, "POST", "dbs/db/colls", body, "x-ms-cosmos-offer-autopilot-settings", `{"maxThroughput":11000}`).want(t, 201, "")
	w.raw(t, "GET", "dbs/db/colls/c/pkranges", "").want(t, 200, "").mentions(t, `"_count":2`)
}

// The Go client's operations on databases, containers and throughput.
func TestMetadataThroughTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := soon(t)
	shared := azcosmos.NewAutoscaleThroughputProperties(20000)
	made, err := w.client.CreateDatabase(ctx, azcosmos.DatabaseProperties{ID: "shared"}, &azcosmos.CreateDatabaseOptions{ThroughputProperties: &shared})
	if err != nil {
		t.Fatal(err)
	}
	if made.RequestCharge <= 0 || made.ActivityID == "" || made.DatabaseProperties.ETag == nil || made.DatabaseProperties.ResourceID == "" {
		t.Errorf("made %+v", made)
	}
	_, err = w.client.CreateDatabase(ctx, azcosmos.DatabaseProperties{ID: "shared"}, nil)
	failsWith(t, err, 409)
	db, err := w.client.NewDatabase("shared")
	if err != nil {
		t.Fatal(err)
	}
	tp, err := db.ReadThroughput(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if most, ok := tp.ThroughputProperties.AutoscaleMaxThroughput(); !ok || most != 20000 || tp.MinThroughput == nil {
		t.Errorf("throughput %v %v, at least %v", most, ok, tp.MinThroughput)
	}
	if tp, err = db.ReplaceThroughput(ctx, azcosmos.NewAutoscaleThroughputProperties(30000), nil); err != nil {
		t.Fatal(err)
	}
	if most, ok := tp.ThroughputProperties.AutoscaleMaxThroughput(); !ok || most != 30000 {
		t.Errorf("throughput %v %v", most, ok)
	}

	// A container of such a database has no throughput of its own.
	props := azcosmos.ContainerProperties{ID: "c", PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Paths: []string{"/deviceId"}, Version: 2}}
	if _, err := db.CreateContainer(ctx, props, nil); err != nil {
		t.Fatal(err)
	}
	c, err := db.NewContainer("c")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ReadThroughput(ctx, nil)
	failsWith(t, err, 404)
	if _, err := db.Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	_, err = c.Read(ctx, nil)
	failsWith(t, err, 404)
}

// Settings come back, and may be replaced by themselves.
func TestContainersThroughTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx, db := soon(t), w.db
	w.container(t, "c", shape{})
	ttl := int32(3600)
	props := azcosmos.ContainerProperties{ID: "full", PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Paths: []string{"/deviceId"}, Version: 2},
		DefaultTimeToLive: &ttl, UniqueKeyPolicy: &azcosmos.UniqueKeyPolicy{UniqueKeys: []azcosmos.UniqueKey{{Paths: []string{"/eventId"}}}},
		IndexingPolicy: &azcosmos.IndexingPolicy{Automatic: true, IndexingMode: azcosmos.IndexingModeConsistent,
			IncludedPaths: []azcosmos.IncludedPath{{Path: "/type/?"}, {Path: "/deviceId/?"}, {Path: "/createdAt/?"}},
			ExcludedPaths: []azcosmos.ExcludedPath{{Path: "/*"}}}}
	manual := azcosmos.NewManualThroughputProperties(1000)
	if _, err := db.CreateContainer(ctx, props, &azcosmos.CreateContainerOptions{ThroughputProperties: &manual}); err != nil {
		t.Fatal(err)
	}
	full, err := db.NewContainer("full")
	if err != nil {
		t.Fatal(err)
	}
	read, err := full.Read(ctx, &azcosmos.ReadContainerOptions{PopulateQuotaInfo: true})
	if err != nil {
		t.Fatal(err)
	}
	p := read.ContainerProperties
	if p.ID != "full" || *p.DefaultTimeToLive != 3600 || len(p.UniqueKeyPolicy.UniqueKeys) != 1 || len(p.IndexingPolicy.IncludedPaths) != 3 ||
		len(p.IndexingPolicy.ExcludedPaths) != 2 || p.PartitionKeyDefinition.Version != 2 || p.ConflictResolutionPolicy.Mode != azcosmos.ConflictResolutionModeLastWriteWins {
		t.Errorf("container %+v", p)
	}
	longer := int32(7200)
	p.DefaultTimeToLive = &longer
	replaced, err := full.Replace(ctx, *p, nil)
	if err != nil || *replaced.ContainerProperties.DefaultTimeToLive != 7200 {
		t.Errorf("replaced: %v, %+v", err, replaced.ContainerProperties)
	}
	tp, err := full.ReplaceThroughput(ctx, azcosmos.NewManualThroughputProperties(1500), nil)
	if err != nil {
		t.Fatal(err)
	}
	if ru, ok := tp.ThroughputProperties.ManualThroughput(); !ok || ru != 1500 {
		t.Errorf("throughput %d %v", ru, ok)
	}

	var names []string
	for pager := db.NewQueryContainersPager("SELECT * FROM c WHERE c.id != 'c'", nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Containers {
			names = append(names, c.ID)
		}
	}
	if len(names) != 1 || names[0] != "full" {
		t.Errorf("containers %v", names)
	}
	if _, err := full.Delete(ctx, nil); err != nil {
		t.Fatal(err)
	}
	_, err = full.Read(ctx, nil)
	failsWith(t, err, 404)
}

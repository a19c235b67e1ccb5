package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// world is a stand-in with one database, and clients for it.
type world struct {
	srv    *local.Server
	opts   local.Options
	client *azcosmos.Client
	db     *azcosmos.DatabaseClient
}

// newWorld starts a stand-in in a folder of the test's own. edit may be nil.
func newWorld(t *testing.T, edit func(*local.Options)) *world {
	t.Helper()
	w := &world{opts: local.Options{DataDir: t.TempDir(), Throughput: -1}}
	if edit != nil {
		edit(&w.opts)
	}
	w.start(t)
	if _, err := w.client.CreateDatabase(soon(t), azcosmos.DatabaseProperties{ID: "db"}, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.srv.Close() })
	return w
}

// start opens the folder and connects a client that does not retry.
func (w *world) start(t *testing.T) {
	t.Helper()
	var err error
	if w.srv, err = local.Start(soon(t), w.opts); err != nil {
		t.Fatal(err)
	}
	w.client, err = azcosmos.NewClientFromConnectionString(w.srv.Address(), &azcosmos.ClientOptions{
		ClientOptions: azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	if w.db, err = w.client.NewDatabase("db"); err != nil {
		t.Fatal(err)
	}
}

// soon is a context for one step of a test: long enough for a loaded machine.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// shape is what a test's container needs beyond the defaults.
type shape struct {
	paths  []string // of the partition key; /pk if empty
	unique []string
	ttl    *int32
	ru     int32 // 0 is none asked for
	index  *azcosmos.IndexingPolicy
}

// container creates a container and returns a client for it.
func (w *world) container(t *testing.T, id string, s shape) *azcosmos.ContainerClient {
	t.Helper()
	props := azcosmos.ContainerProperties{ID: id, DefaultTimeToLive: s.ttl, IndexingPolicy: s.index,
		PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Paths: []string{"/pk"}, Version: 2}}
	if len(s.paths) > 0 {
		props.PartitionKeyDefinition.Paths = s.paths
	}
	if len(s.paths) > 1 {
		props.PartitionKeyDefinition.Kind = azcosmos.PartitionKeyKindMultiHash
	}
	if len(s.unique) > 0 {
		props.UniqueKeyPolicy = &azcosmos.UniqueKeyPolicy{UniqueKeys: []azcosmos.UniqueKey{{Paths: s.unique}}}
	}
	var o *azcosmos.CreateContainerOptions
	if s.ru > 0 {
		tp := azcosmos.NewManualThroughputProperties(s.ru)
		o = &azcosmos.CreateContainerOptions{ThroughputProperties: &tp}
	}
	if _, err := w.db.CreateContainer(soon(t), props, o); err != nil {
		t.Fatal(err)
	}
	c, err := w.db.NewContainer(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// several is a throughput that gives a container three physical ranges.
const several = 30000

func key(s string) azcosmos.PartitionKey { return azcosmos.NewPartitionKeyString(s) }

// withBody asks for the item in a write's answer.
var withBody = &azcosmos.ItemOptions{EnableContentResponseOnWrite: true}

// failsWith wants an error answer with this status.
func failsWith(t *testing.T, err error, status int, mentions ...string) *azcore.ResponseError {
	t.Helper()
	var re *azcore.ResponseError
	if !errors.As(err, &re) {
		t.Fatalf("error %v, want an answer with status %d", err, status)
	}
	if re.StatusCode != status {
		t.Fatalf("status %d, want %d: %v", re.StatusCode, status, err)
	}
	for _, m := range mentions {
		if !strings.Contains(re.Error(), m) {
			t.Errorf("the answer %v does not mention %q", err, m)
		}
	}
	return re
}

// fields decodes JSON into a table.
func fields(t *testing.T, b []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return m
}

// answer is what a raw request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// raw sends one request with a token that any stand-in without a key of its own
// accepts. head is names and values in turn.
func (w *world) raw(t *testing.T, verb, path, body string, head ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(soon(t), verb, w.srv.Endpoint()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "type%3Dmaster%26ver%3D1.0%26sig%3DMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI%3D")
	req.Header.Set("X-Ms-Date", time.Now().UTC().Format(http.TimeFormat))
	req.Header.Set("X-Ms-Version", "2020-07-15")
	for i := 0; i+1 < len(head); i += 2 {
		req.Header.Set(head[i], head[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, b}
}

// want checks an answer's status and sub-status ("" is none).
func (a answer) want(t *testing.T, status int, substatus string) answer {
	t.Helper()
	if got := a.header.Get("X-Ms-Substatus"); a.status != status || substatus != got && (substatus != "" || got != "0") {
		t.Fatalf("status %d substatus %q, want %d %q: %s", a.status, got, status, substatus, a.body)
	}
	return a
}

// mentions checks that an answer's body says these things.
func (a answer) mentions(t *testing.T, texts ...string) answer {
	t.Helper()
	for _, s := range texts {
		if !bytes.Contains(a.body, []byte(s)) {
			t.Errorf("answer %s does not mention %q", a.body, s)
		}
	}
	return a
}

// documents are the items of a feed's answer.
func (a answer) documents(t *testing.T) []map[string]any {
	t.Helper()
	var feed struct {
		Documents []map[string]any
		Count     int    `json:"_count"`
		RID       string `json:"_rid"`
	}
	if err := json.Unmarshal(a.body, &feed); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	if feed.Count != len(feed.Documents) || feed.RID == "" {
		t.Errorf("feed %s: _count %d of %d items, _rid %q", a.body, feed.Count, len(feed.Documents), feed.RID)
	}
	return feed.Documents
}

// fill creates n items i000.. with the partition keys k0..k(keys-1), in turn.
func fill(t *testing.T, c *azcosmos.ContainerClient, n, keys int) {
	t.Helper()
	ctx := soon(t)
	for k := range keys {
		pk := fmt.Sprintf("k%d", k)
		b := c.NewTransactionalBatch(key(pk))
		in := 0
		flush := func() {
			if in == 0 {
				return
			}
			resp, err := c.ExecuteTransactionalBatch(ctx, b, nil)
			if err != nil || !resp.Success {
				t.Fatalf("batch: %v %+v", err, resp.OperationResults)
			}
			b, in = c.NewTransactionalBatch(key(pk)), 0
		}
		for i := k; i < n; i += keys {
			b.UpsertItem(fmt.Appendf(nil, `{"id":"i%03d","pk":%q,"n":%d,"group":"g%d"}`, i, pk, i, i%3), nil)
			if in++; in == 100 {
				flush()
			}
		}
		flush()
	}
}

// standingClock stands until it is released, so that budgets are not refilled
// however slow the machine is.
type standingClock struct {
	since    time.Time
	released atomic.Bool
}

func newStandingClock() *standingClock { return &standingClock{since: time.Now()} }

func (c *standingClock) now() time.Time {
	if c.released.Load() {
		return time.Now()
	}
	return c.since
}

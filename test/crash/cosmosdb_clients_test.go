package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/internal/testservice"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

const (
	// Writers have items of their own, groups of them that are written as one
	// batch, or one by one.
	singleWriters, batchWriters = 4, 2
	groupSize, groups           = 10, 12
)

// writer writes its items again and again, each time with the next number.
type writer struct {
	name  string
	batch bool
	// sent and acked are the last numbers that were sent and acknowledged, by
	// item; known by the writer's goroutine only while it runs.
	sent, acked map[string]int64
}

func pkOf(name string, group int) string { return fmt.Sprint(name, "/", group) }

func (w *writer) item(id, pk string, n int64) []byte {
	w.sent[id] = n
	return fmt.Appendf(nil, `{"id":%q,"pk":%q,"n":%d,"m":%d,"writer":%q,"filling":%q}`, id, pk, n, n, w.name, strings.Repeat("x", 200))
}

// work writes until ctx ends. A write that failed may or may not be there. It
// returns what nothing but a defect explains.
func (w *writer) work(ctx context.Context, c *azcosmos.ContainerClient, rng *rand.Rand, acknowledged *atomic.Int64) error {
	for n := int64(1); ctx.Err() == nil; n++ {
		group := rng.IntN(groups)
		pk := pkOf(w.name, group)
		key := azcosmos.NewPartitionKeyString(pk)
		var ids []string
		var err error
		if w.batch {
			batch := c.NewTransactionalBatch(key)
			for i := range groupSize {
				ids = append(ids, fmt.Sprint(w.name, "-", group, "-", i))
				batch.UpsertItem(w.item(ids[i], pk, n), nil)
			}
			var resp azcosmos.TransactionalBatchResponse
			if resp, err = c.ExecuteTransactionalBatch(ctx, batch, nil); err == nil && !resp.Success {
				return fmt.Errorf("%s: a batch was refused: %+v", w.name, resp.OperationResults)
			}
		} else {
			ids = []string{fmt.Sprint(w.name, "-", group, "-", rng.IntN(groupSize))}
			_, err = c.UpsertItem(ctx, key, w.item(ids[0], pk, n), nil)
		}
		var refused *azcore.ResponseError
		switch {
		case errors.As(err, &refused):
			return fmt.Errorf("%s: %w", w.name, err)
		case err != nil:
			time.Sleep(5 * time.Millisecond) // the service is being started again
			continue
		}
		for _, id := range ids {
			w.acked[id] = n
		}
		acknowledged.Add(1)
	}
	return nil
}

// follower reads the change feed as it grows, over all kills.
type follower struct {
	url, etag string
	client    *http.Client
	// last is the last number seen, by item.
	last map[string]int64
}

type feedItem struct {
	ID string `json:"id"`
	N  int64  `json:"n"`
}

// next reads one page; none: there is nothing new. An error that is not a
// *fault is a service that is away.
func (f *follower) next(ctx context.Context) (none bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return false, err
	}
	r.Header.Set("A-IM", "Incremental feed")
	if f.etag != "" {
		r.Header.Set("If-None-Match", f.etag)
	}
	resp, err := f.client.Do(r)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return false, err
	}
	switch resp.StatusCode {
	case http.StatusNotModified:
		f.etag = resp.Header.Get("Etag")
		return true, nil
	case http.StatusOK:
	default:
		return false, &fault{fmt.Sprintf("the change feed: %s: %s", resp.Status, body)}
	}
	var page struct{ Documents []feedItem }
	if err := json.Unmarshal(body, &page); err != nil {
		return false, &fault{fmt.Sprintf("the change feed: %v in %s", err, body)}
	}
	for _, d := range page.Documents {
		if d.N < f.last[d.ID] {
			return false, &fault{fmt.Sprintf("the change feed shows %s with %d after %d", d.ID, d.N, f.last[d.ID])}
		}
		f.last[d.ID] = d.N
	}
	f.etag = resp.Header.Get("Etag")
	return false, nil
}

type fault struct{ text string }

func (f *fault) Error() string { return f.text }

// follow reads until ctx ends.
func (f *follower) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		none, err := f.next(ctx)
		var bad *fault
		if errors.As(err, &bad) {
			return bad
		}
		if none || err != nil {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return nil
}

// TestCosmosDBKilledUnderClients: clients of the official SDK write while the
// store is killed at random, and every write that was acknowledged is there at
// the end, whole batches only, in the index and in the change feed as well.
func TestCosmosDBKilledUnderClients(t *testing.T) {
	t.Parallel()
	s := newScene(t, "akskafka-databricks-cosmosdb")
	v := &service{s: s, args: []string{"local", "cosmosdb", "--json", "--throughput", "-1", "--port", strconv.Itoa(testservice.Port(t)),
		"--data-dir", filepath.Join(filepath.Dir(s.dir), "cosmosdb")}}
	address := v.start()
	defer func() { _ = v.cmd.Process.Kill(); _ = v.cmd.Wait() }()
	c, endpoint := clientOf(t, address)
	v.refuseAnother()
	feed := &follower{url: endpoint + "dbs/db/colls/c/docs", client: &http.Client{Timeout: time.Minute}, last: map[string]int64{}}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	var acknowledged atomic.Int64
	failed := make(chan error, singleWriters+batchWriters+1)
	background := func(fn func() error) {
		running.Go(func() {
			if err := fn(); err != nil {
				failed <- err
			}
		})
	}
	var writers []*writer
	for i := range singleWriters + batchWriters {
		w := &writer{name: fmt.Sprint("w", i), batch: i >= singleWriters, sent: map[string]int64{}, acked: map[string]int64{}}
		writers = append(writers, w)
		rng := rand.New(rand.NewPCG(s.rng.Uint64(), 1))
		background(func() error { return w.work(ctx, c, rng, &acknowledged) })
	}
	background(func() error { return feed.follow(ctx) })
	for range s.kills {
		// A life ends after some writes, so that there is always something
		// to lose.
		until := acknowledged.Load() + 1 + s.rng.Int64N(250)
		for deadline := time.Now().Add(3 * time.Minute); acknowledged.Load() < until; time.Sleep(time.Millisecond) {
			select {
			case err := <-failed:
				t.Fatal(err)
			default:
			}
			if time.Now().After(deadline) {
				t.Fatalf("no more than %d writes were acknowledged in three minutes", acknowledged.Load())
			}
		}
		v.kill()
		v.start()
	}
	cancel()
	running.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	t.Logf("%d writes were acknowledged while the store was killed %d times", acknowledged.Load(), s.kills)
	v.kill() // what was acknowledged last is there, too
	v.start()
	stored := scan(t, c, "SELECT c.id, c.n FROM c WHERE c.m >= 0") // by no index
	for name, other := range map[string]map[string]int64{
		"the index of /n":      scan(t, c, "SELECT c.id, c.n FROM c WHERE c.n >= 0"),
		"the index of /writer": scan(t, c, `SELECT c.id, c.n FROM c WHERE STARTSWITH(c.writer, "w")`),
		"the change feed":      feed.rest(t),
		"another change feed":  (&follower{url: feed.url, client: feed.client, last: map[string]int64{}}).rest(t),
	} {
		if !maps.Equal(stored, other) {
			t.Errorf("%s differs: %d items, %d are stored", name, len(other), len(stored))
		}
	}
	for _, w := range writers {
		w.check(t, stored)
	}
}

// refuseAnother wants a second process on the same data to be told so.
func (v *service) refuseAnother() {
	t := v.s.t
	args := slices.Clone(v.args)
	args[slices.Index(args, "--port")+1] = "0"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, v.s.bin, args...)
	cmd.Env = v.s.env
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "is in use by another process\n  hint: stop it") {
		t.Errorf("a second process on the same data: %v: %s", err, out)
	}
}

// clientOf makes a container of several ranges, and a client of it.
func clientOf(t *testing.T, address string) (c *azcosmos.ContainerClient, endpoint string) {
	client, err := azcosmos.NewClientFromConnectionString(address, &azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{
		Retry: policy.RetryOptions{MaxRetries: -1}, Transport: &http.Client{Timeout: time.Minute}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateDatabase(t.Context(), azcosmos.DatabaseProperties{ID: "db"}, nil); err != nil {
		t.Fatal(err)
	}
	db, err := client.NewDatabase("db")
	if err != nil {
		t.Fatal(err)
	}
	threeRanges := azcosmos.NewManualThroughputProperties(30000)
	if _, err := db.CreateContainer(t.Context(), azcosmos.ContainerProperties{ID: "c",
		PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Paths: []string{"/pk"}, Version: 2},
		IndexingPolicy: &azcosmos.IndexingPolicy{IndexingMode: azcosmos.IndexingModeConsistent, Automatic: true,
			IncludedPaths: []azcosmos.IncludedPath{{Path: "/n/?"}, {Path: "/writer/?"}}, ExcludedPaths: []azcosmos.ExcludedPath{{Path: "/*"}}},
	}, &azcosmos.CreateContainerOptions{ThroughputProperties: &threeRanges}); err != nil {
		t.Fatal(err)
	}
	if c, err = db.NewContainer("c"); err != nil {
		t.Fatal(err)
	}
	return c, client.Endpoint()
}

// scan asks for the numbers of all items, by their ids.
func scan(t *testing.T, c *azcosmos.ContainerClient, query string) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	pages := c.NewQueryItemsPager(query, azcosmos.NewPartitionKey(), nil)
	for pages.More() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			var d feedItem
			if err := json.Unmarshal(item, &d); err != nil {
				t.Fatal(err)
			}
			if _, twice := all[d.ID]; twice {
				t.Errorf("%s: %s came twice", query, d.ID)
			}
			all[d.ID] = d.N
		}
	}
	return all
}

// rest reads what there is of the change feed.
func (f *follower) rest(t *testing.T) map[string]int64 {
	t.Helper()
	for {
		none, err := f.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if none {
			return f.last
		}
	}
}

// check compares what a writer knows with what is stored.
func (w *writer) check(t *testing.T, stored map[string]int64) {
	t.Helper()
	for id, n := range w.acked {
		if stored[id] < n || stored[id] > w.sent[id] {
			t.Errorf("%s is %d, but %d was acknowledged and %d sent", id, stored[id], n, w.sent[id])
		}
	}
	for id, n := range stored {
		if strings.HasPrefix(id, w.name+"-") && (w.sent[id] == 0 || n > w.sent[id]) {
			t.Errorf("%s is %d: nobody has sent that", id, n)
		}
	}
	if !w.batch {
		return
	}
	for group := range groups {
		numbers := map[int64]int{}
		for i := range groupSize {
			numbers[stored[fmt.Sprint(w.name, "-", group, "-", i)]]++
		}
		if len(numbers) != 1 {
			t.Errorf("a batch is there in part: %v", slices.Collect(maps.Keys(numbers)))
		}
	}
}

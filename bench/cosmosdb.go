package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
	"golang.org/x/sync/errgroup"

	"millrace/connector/cosmosdb/local"
	"millrace/record"
)

// upserts are loops that write prepared documents to the embedded Cosmos DB, a
// device's documents of a round in one batch, with as many requests at once as
// the store's own default.
const upsertsAtOnce = 32

// upserter sends one batch of one device.
type upserter func(ctx context.Context, device string, docs [][]byte) error

// upsertRound is how many events are grouped by device at a time: about 20 for
// each of 1000 devices, which is what a relay that is behind finds.
const upsertRound = 20_000

// cosmosLoop runs a bare loop. Making the documents is not measured.
func cosmosLoop(open func(s *local.Server) (upserter, error)) func(context.Context, *child) (measured, error) {
	return func(ctx context.Context, c *child) (m measured, err error) {
		s, err := local.Start(ctx, local.Options{DataDir: filepath.Join(c.dir, "cosmosdb"), Throughput: -1})
		if err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		if err := cosmosContainer(ctx, s); err != nil {
			return m, err
		}
		upsert, err := open(s)
		if err != nil {
			return m, err
		}
		events, err := prepared(upsertRound)
		if err != nil {
			return m, err
		}
		for m.Events < c.events {
			n := min(int64(len(events)), c.events-m.Events)
			batches := documents(events[:n], m.Events)
			var part measured
			t := start()
			g, gctx := errgroup.WithContext(ctx)
			g.SetLimit(upsertsAtOnce)
			for device, docs := range batches {
				g.Go(func() error { return upsert(gctx, device, docs) })
			}
			if err := g.Wait(); err != nil {
				return m, err
			}
			t.stop(&part)
			m.add(part, int(n))
		}
		return m, nil
	}
}

// documents are the events under new identities, by device.
func documents(events []record.Event, done int64) map[string][][]byte {
	batches := make(map[string][][]byte)
	for i := range events {
		e := &events[i]
		old := e.ID.String()
		id := e.ID
		id[0], id[1] = byte(done/upsertRound), byte(done/upsertRound>>8)
		doc := append([]byte(`{"id":"`+id.String()+`",`), e.Raw[1:]...)
		doc = bytes.Replace(doc, []byte(old), []byte(id.String()), 1)
		device := string(e.DeviceID)
		batches[device] = append(batches[device], doc)
	}
	return batches
}

const (
	cosmosDatabase   = "bench"
	cosmosEvents     = "events"
	cosmosThroughput = 40_000 // decides the number of ranges, and limits nothing
)

// cosmosClient is set up as the connector sets its own up.
func cosmosClient(s *local.Server) (*azcosmos.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.DisableCompression = 2*upsertsAtOnce, 2*upsertsAtOnce, true
	return azcosmos.NewClientFromConnectionString(s.Address(), &azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: transport}, Retry: policy.RetryOptions{MaxRetries: -1}}})
}

// cosmosContainer makes a container as the solutions describe it.
func cosmosContainer(ctx context.Context, s *local.Server) error {
	client, err := cosmosClient(s)
	if err != nil {
		return err
	}
	if _, err := client.CreateDatabase(ctx, azcosmos.DatabaseProperties{ID: cosmosDatabase}, nil); err != nil {
		return err
	}
	db, err := client.NewDatabase(cosmosDatabase)
	if err != nil {
		return err
	}
	units := azcosmos.NewManualThroughputProperties(cosmosThroughput)
	_, err = db.CreateContainer(ctx, azcosmos.ContainerProperties{ID: cosmosEvents,
		PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Paths: []string{"/deviceId"}, Version: 2},
		UniqueKeyPolicy:        &azcosmos.UniqueKeyPolicy{UniqueKeys: []azcosmos.UniqueKey{{Paths: []string{"/eventId"}}}},
		IndexingPolicy: &azcosmos.IndexingPolicy{Automatic: true, IndexingMode: azcosmos.IndexingModeConsistent,
			IncludedPaths: []azcosmos.IncludedPath{{Path: "/type/?"}, {Path: "/deviceId/?"}, {Path: "/createdAt/?"}},
			ExcludedPaths: []azcosmos.ExcludedPath{{Path: "/*"}}},
	}, &azcosmos.CreateContainerOptions{ThroughputProperties: &units})
	return err
}

// sdkUpserts writes through the official SDK.
func sdkUpserts(s *local.Server) (upserter, error) {
	client, err := cosmosClient(s)
	if err != nil {
		return nil, err
	}
	container, err := client.NewContainer(cosmosDatabase, cosmosEvents)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, device string, docs [][]byte) error {
		batch := container.NewTransactionalBatch(azcosmos.NewPartitionKeyString(device))
		for _, d := range docs {
			batch.UpsertItem(d, nil)
		}
		answer, err := container.ExecuteTransactionalBatch(ctx, batch, nil)
		if err == nil && !answer.Success {
			err = fmt.Errorf("a batch of %s was refused", device)
		}
		return err
	}, nil
}

// httpUpserts writes the same requests by hand: what is left is the server's
// own cost, and that of Go's HTTP client.
func httpUpserts(s *local.Server) (upserter, error) {
	key, err := base64.StdEncoding.DecodeString(local.WellKnownKey)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.DisableCompression = 2*upsertsAtOnce, 2*upsertsAtOnce, true
	client := &http.Client{Transport: transport}
	link := "dbs/" + cosmosDatabase + "/colls/" + cosmosEvents
	target := strings.TrimSuffix(s.Endpoint(), "/") + "/" + link + "/docs"
	return func(ctx context.Context, device string, docs [][]byte) error {
		body := make([]byte, 0, 1100*len(docs))
		for i, d := range docs {
			body = append(body, `[,`[min(i, 1)])
			body = append(body, `{"operationType":"Upsert","resourceBody":`...)
			body = append(append(body, d...), '}')
		}
		body = append(body, ']')
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		if err != nil {
			return err
		}
		date := time.Now().UTC().Format(http.TimeFormat)
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "post\ndocs\n%s\n%s\n\n", link, strings.ToLower(date))
		for name, value := range map[string]string{
			"Authorization": url.QueryEscape("type=master&ver=1.0&sig=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))),
			"X-Ms-Date":     date, "X-Ms-Version": "2020-11-05", "Content-Type": "application/json", "Prefer": "return=minimal",
			"X-Ms-Documentdb-Partitionkey": `["` + device + `"]`,
			"X-Ms-Cosmos-Is-Batch-Request": "True", "X-Ms-Cosmos-Batch-Atomic": "True",
		} {
			req.Header[name] = []string{value}
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, answer)
		}
		return err
	}, nil
}

// pacedCosmosDB is a whole run at a rate, from the simulator to the verdict.
func pacedCosmosDB(ingest string, rate int) func(context.Context, *child) (measured, error) {
	return func(ctx context.Context, c *child) (measured, error) {
		r, err := stages(ctx, c, "CIDPTMV", nil, fmt.Sprintf("simulate.rate=%d", rate), "ingest.kind="+ingest, "ingest.partitions=16",
			"serve.kind=cosmosdb", "serve.throughput=100000", "process.dedupe.horizon=0s")
		if err != nil {
			return measured{}, err
		}
		m := figures(r, r.Events.Stored)
		m.P50Ms, m.P99Ms = r.LatencyMs.EndToEnd.P50, r.LatencyMs.EndToEnd.P99
		return m, nil
	}
}

// relayCosmosDB reads what was preloaded and upserts it.
func relayCosmosDB(ctx context.Context, c *child) (measured, error) {
	return relay(ctx, c, nil, "serve.kind=cosmosdb", "serve.throughput=0", "process.dedupe.horizon=0s")
}

package cosmosdb_test

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/cosmosdb"
	"millrace/connector/cosmosdb/local"
)

// standin starts our own Cosmos DB and returns a configuration for it.
func standin(t testing.TB, o local.Options) cosmosdb.Config {
	t.Helper()
	o.DataDir = t.TempDir()
	server, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("closing the stand-in: %v", err)
		}
	})
	c := cosmosdb.NewConfig()
	c.ConnectionString, c.Bulk = server.Address(), true
	return *c
}

var features = connectortest.StoreFeatures{Count: count, Unacceptable: unacceptable}

func TestStandin(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1, Key: local.WellKnownKey})
	c.Throughput = 400
	connectortest.RunIdempotentStore(t, features, factory(c))
}

func TestStandinOfSeveralRanges(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1})
	c.Throughput = 50_000
	connectortest.RunIdempotentStore(t, features, factory(c))
}

// TestStandinTransactional has a batch for each device.
func TestStandinTransactional(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1})
	c.Throughput, c.Bulk = 50_000, false
	connectortest.RunIdempotentStore(t, features, factory(c))
}

// TestStandinThrottling has so little throughput that requests are refused all
// the time, on a machine that is fast enough for it: each range takes a good
// thousand events a second, and many tests write to the same one.
func TestStandinThrottling(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: 60_000})
	c.Throughput = 50_000 // five ranges, each with a fifth of the 60,000
	connectortest.RunIdempotentStore(t, features, factory(c))
}

// TestThrottled checks the account of a write that is refused by the stand-in's
// budget: a full batch takes what two seconds grant.
func TestThrottled(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: 400})
	c.Throughput = 400
	s := prepared(t, &c)
	r, err := s.Write(t.Context(), &connector.Write{Results: events(t, 300, func(i int) (int, int) { return 1, i })})
	if err != nil {
		t.Fatal(err)
	}
	u := s.Usage()
	if r.Stored != 300 || r.Duplicates != 0 || r.Throttled == 0 || u.Throttled != int64(r.Throttled) || u.Written != 300 {
		t.Errorf("receipt %+v, usage %+v", r, u)
	}
	// About 8 request units an event, and little for what was refused.
	if perEvent := r.Charge / 300; perEvent < 4 || perEvent > 16 || math.Abs(u.Charge-r.Charge) > 0.01 {
		t.Errorf("%.2f request units an event; usage %+v", perEvent, u)
	}
	if u.Requests != 3+u.Throttled {
		t.Errorf("usage %+v for three batches", u)
	}
}

// TestThrottledMeanwhile: a write shows what is refused while it is under way,
// and ends when it is told to.
func TestThrottledMeanwhile(t *testing.T) {
	t.Parallel()
	var refusing atomic.Bool
	c := faulty(t, standin(t, local.Options{Throughput: -1}), func(int64) string {
		if refusing.Load() {
			return "429"
		}
		return ""
	})
	s := prepared(t, &c)
	refusing.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for s.Usage().Throttled < 50 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	results := events(t, 300, func(i int) (int, int) { return i % 30, i / 30 })
	r, err := s.Write(ctx, &connector.Write{Results: results})
	if !errors.Is(err, context.Canceled) || r.Stored != 0 || r.Throttled < 50 || math.Abs(r.Charge-0.38*float64(r.Throttled)) > 0.01 {
		t.Errorf("a write that was cancelled: %+v, %v", r, err)
	}
	// What waits for the service goes on by itself when that grants it.
	before := s.Usage().Throttled
	go func() {
		for s.Usage().Throttled < before+50 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		refusing.Store(false)
	}()
	if r, err := s.Write(t.Context(), &connector.Write{Results: results}); err != nil || r.Stored != 300 || r.Throttled < 50 {
		t.Errorf("a write that had to wait: %+v, %v", r, err)
	}
}

func prepared(t testing.TB, c *cosmosdb.Config) *cosmosdb.Store {
	t.Helper()
	s := open(t, c, env(newRun()))
	t.Cleanup(func() { s.Close() })
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

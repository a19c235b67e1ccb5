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
	c.ConnectionString = server.Address()
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

// TestStandinThrottling has so little throughput that requests are refused all
// the time: each range takes some hundred events a second.
func TestStandinThrottling(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: 40_000})
	c.Throughput = 50_000 // five ranges, each with a fifth of the 40,000
	var throttled atomic.Int64
	make := factory(c)
	t.Run("Suite", func(t *testing.T) {
		connectortest.RunIdempotentStore(t, features, func(t testing.TB) func(testing.TB) connector.Store {
			open := make(t)
			return func(t testing.TB) connector.Store { return &watched{open(t).(*cosmosdb.Store), &throttled} }
		})
	})
	if throttled.Load() == 0 {
		t.Error("nothing was refused; the test has tested nothing")
	}
}

// watched adds up what stores counted as refused.
type watched struct {
	*cosmosdb.Store
	throttled *atomic.Int64
}

func (w *watched) Close() error {
	w.throttled.Add(w.Throttled())
	return w.Store.Close()
}

// TestThrottled checks the account of a write that is refused time and again:
// everything is stored once, what was refused and charged is counted while it
// waits, and a cancelled write ends soon.
func TestThrottled(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: 1000})
	c.Throughput = 1000
	s := prepared(t, &c)
	results := events(t, 300, func(i int) (int, int) { return i % 30, i / 30 })
	r, err := s.Write(t.Context(), &connector.Write{Results: results})
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
	if u.Requests < 30+u.Throttled {
		t.Errorf("usage %+v for at least 30 requests", u)
	}
	// A write that is under way shows what is refused, and can be ended.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for s.Throttled() < u.Throttled+5 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	many := events(t, 3000, func(i int) (int, int) { return i % 30, 1000 + i/30 })
	if _, err := s.Write(ctx, &connector.Write{Results: many}); !errors.Is(err, context.Canceled) {
		t.Errorf("a write that was cancelled: %v", err)
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

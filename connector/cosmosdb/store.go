package cosmosdb

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// Store is a container of Cosmos DB as a connector.Store. It keeps no
// positions: workers resume from what their group committed, and upsert again
// what they had stored since. Safe for concurrent use.
type Store struct {
	cfg       Config
	name      string // the container's
	keys      keyPath
	account   *account
	database  *azcosmos.DatabaseClient
	container *azcosmos.ContainerClient
	// slots bound the requests under way, over all calls of Write.
	slots   chan struct{}
	buffers sync.Pool // of *request
	usage   usage

	// places is where partition keys lie, nil before anybody asked; looking is
	// held by who finds out.
	places  atomic.Pointer[rangeMap]
	looking sync.Mutex
	// tookBulk: the service has taken a bulk request.
	tookBulk atomic.Bool
}

var (
	_ connector.Store   = (*Store)(nil)
	_ connector.Metered = (*Store)(nil)
)

func newStore(cfg Config, a *account, env connector.Env) (*Store, error) {
	s := &Store{cfg: cfg, name: cfg.ContainerOf(env.Run), keys: newKeyPath(cfg.PartitionKey), account: a,
		slots: make(chan struct{}, cfg.Concurrency)}
	s.buffers.New = func() any { return new(request) }
	var err error
	if s.database, err = a.client.NewDatabase(cfg.Database); err != nil {
		return nil, fmt.Errorf("the database %q: %w", cfg.Database, err)
	}
	if s.container, err = s.database.NewContainer(s.name); err != nil {
		return nil, fmt.Errorf("the container %q: %w", s.name, err)
	}
	return s, nil
}

// Describe implements connector.Store.
func (s *Store) Describe() string {
	return fmt.Sprintf("Cosmos DB %s, container %s/%s", s.account.host, s.cfg.Database, s.name)
}

// Traits implements connector.Store. Two writers let one unit of work begin
// while the last requests of the other are under way; more would only make the
// batches of each device smaller. A unit is no more than the container takes in
// about two seconds at 8 request units an event, so that one which is throttled
// moves on in steps that people can see.
func (s *Store) Traits() connector.Traits {
	rows := s.cfg.MaxRows
	if units := s.cfg.Throughput; units > 0 {
		rows = min(rows, max(units/4, 100))
	}
	return connector.Traits{Kind: connector.Idempotent, Timed: true, Writers: 2, MaxRows: rows, Linger: s.cfg.Linger.D(), Shared: true}
}

// Claim implements connector.Store. Nothing is kept and nobody fenced: what two
// workers write at once is the same.
func (s *Store) Claim(ctx context.Context, _ string, partitions []int32) (map[int32]int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	positions := make(map[int32]int64, len(partitions))
	for _, p := range partitions {
		positions[p] = connector.Unknown
	}
	return positions, nil
}

// Close implements connector.Store.
func (s *Store) Close() error {
	s.account.close()
	return nil
}

type usage struct{ requests, throttled, written, microUnits atomic.Int64 }

func (u *usage) charge(units float64) { u.microUnits.Add(int64(units * 1e6)) }

// Usage implements connector.Metered.
func (s *Store) Usage() connector.Usage {
	return connector.Usage{Requests: s.usage.requests.Load(), Throttled: s.usage.throttled.Load(),
		Written: s.usage.written.Load(), Charge: float64(s.usage.microUnits.Load()) / 1e6}
}

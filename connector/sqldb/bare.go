package sqldb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"millrace/connector"
	"millrace/record"
)

// BareLoader is the limit that benchmarks hold the Store against: it loads
// rows in bulk into the same table and merges them by the same statements,
// each batch in one transaction, and does nothing else — no positions, no
// epochs, no checks of what it is given, no answer to failures. Not for
// anything that must be right. Not safe for concurrent use.
type BareLoader struct {
	store *Store
	d     bareDialect
}

// bareDialect is what a dialect adds for a BareLoader.
type bareDialect interface {
	bare(ctx context.Context, results []record.Result, storedAt int64) (stored int, err error)
}

// OpenBare opens a loader and creates the tables.
func OpenBare(ctx context.Context, c *Config, env connector.Env) (*BareLoader, error) {
	s, err := c.Open(ctx, env)
	if err != nil {
		return nil, err
	}
	store := s.(*Store)
	d, ok := store.d.(bareDialect)
	if !ok {
		return nil, fmt.Errorf("%s has no bare loader", store.Describe())
	}
	return &BareLoader{store: store, d: d}, store.Prepare(ctx)
}

// Load stores the results and returns how many of them are new. The
// eventIds within results must differ.
func (b *BareLoader) Load(ctx context.Context, results []record.Result, storedAt int64) (int, error) {
	return b.d.bare(ctx, results, storedAt)
}

// Drop removes the tables.
func (b *BareLoader) Drop(ctx context.Context) error { return b.store.Drop(ctx) }

// Close closes the loader.
func (b *BareLoader) Close() error { return b.store.Close() }

func (d *duckDB) bare(ctx context.Context, results []record.Result, storedAt int64) (stored int, err error) {
	b := &batch{results: results, rows: make([]int32, len(results))}
	for i := range b.rows {
		b.rows[i] = int32(i)
	}
	err = d.transaction(ctx, func(f *duckFile) error {
		stored, err = d.merge(ctx, f, b, storedAt)
		return err
	})
	return stored, d.classify("loading", err)
}

func (p *postgres) bare(ctx context.Context, results []record.Result, _ int64) (int, error) {
	var r connector.Receipt
	err := p.tx(ctx, func(tx pgx.Tx) error { return p.load(ctx, tx, results, &r) })
	return r.Stored, p.classify("loading", err)
}

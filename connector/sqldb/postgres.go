package sqldb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/connector"
	"millrace/record"
)

// postgres is the dialect of PostgreSQL, spoken natively (pgx) rather than
// through database/sql, for the sake of COPY.
type postgres struct {
	cfg   Config
	names names
	sql   statements
	where string // host:port/database
	pool  *pgxpool.Pool
}

// Settings of the sessions, unless the URL says otherwise.
var sessionSettings = map[string]string{
	"TimeZone": "UTC",
	// A worker that hangs in the middle of a transaction must not keep its
	// successor from claiming the partitions.
	"idle_in_transaction_session_timeout": "60s",
	// A staged batch of 50,000 events fits into it; what does not goes
	// through a temporary file.
	"temp_buffers": "64MB",
}

func newPostgres(cfg *Config, n names, env connector.Env) (*postgres, error) {
	stmts, err := loadStatements("postgres.sql", n)
	if err != nil {
		return nil, err
	}
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, &connector.Hinted{Hint: "it looks like postgres://user:password@host:5432/database", Err: fmt.Errorf("the store's url: %w", err)}
	}
	p := &postgres{cfg: *cfg, names: n, sql: stmts}
	p.where = fmt.Sprintf("%s:%d/%s", pc.ConnConfig.Host, pc.ConnConfig.Port, pc.ConnConfig.Database)
	// One more than writers, for claims and queries while all are busy.
	pc.MaxConns = max(pc.MaxConns, int32(cfg.Writers)+1)
	pc.ConnConfig.ConnectTimeout = cmp.Or(pc.ConnConfig.ConnectTimeout, 10*time.Second)
	params := pc.ConnConfig.RuntimeParams
	for k, v := range sessionSettings {
		if _, set := params[k]; !set {
			params[k] = v
		}
	}
	if params["application_name"] == "" {
		params["application_name"] = "millrace " + n.Events
	}
	if p.pool, err = pgxpool.NewWithConfig(context.Background(), pc); err != nil {
		return nil, fmt.Errorf("setting up connections to %s: %w", p.where, err)
	}
	return p, nil
}

func (p *postgres) describe() string {
	return fmt.Sprintf("PostgreSQL %s table %s", p.where, p.names.Events)
}

func (p *postgres) traits() connector.Traits {
	t := connector.Traits{Kind: connector.Transactional, Timed: true, Writers: p.cfg.Writers, MaxRows: p.cfg.MaxRows, Shared: true, Layout: Rowstore}
	if p.cfg.Layout != Rowstore {
		t.Layout = "rowstore (PostgreSQL has no " + p.cfg.Layout + ")"
	}
	return t
}

func (p *postgres) close() error {
	p.pool.Close()
	return nil
}

// tx runs fn in a transaction, which an error of fn rolls back. If the commit
// fails its outcome is unknown: a caller must be able to repeat fn.
func (p *postgres) tx(ctx context.Context, fn func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, p.pool, fn)
}

// exec runs statements by name, without parameters.
func (p *postgres) exec(ctx context.Context, tx pgx.Tx, names ...string) error {
	for _, name := range names {
		if _, err := tx.Exec(ctx, p.sql[name]); err != nil {
			return err
		}
	}
	return nil
}

func (p *postgres) prepare(ctx context.Context) error {
	err := p.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, p.sql["lockSchema"], p.names.Events); err != nil {
			return err
		}
		if p.names.Schema != "" {
			if err := p.exec(ctx, tx, "createSchema"); err != nil {
				return err
			}
		}
		return p.exec(ctx, tx, "createEvents", "createPositions", "probe")
	})
	return p.classify("preparing "+p.describe(), err)
}

func (p *postgres) drop(ctx context.Context) error {
	err := p.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, p.sql["lockSchema"], p.names.Events); err != nil {
			return err
		}
		return p.exec(ctx, tx, "dropEvents", "dropPositions")
	})
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) && e.Code == "3F000" {
		return nil // not even the schema exists
	}
	return p.classify("dropping "+p.describe(), err)
}

func (p *postgres) claim(ctx context.Context, worker string, partitions []int32) (map[int32]ownership, error) {
	var owned map[int32]ownership
	err := p.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, p.sql["addPartitions"], partitions); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, p.sql["lockPartitions"], partitions); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, p.sql["claim"], partitions, worker)
		if err != nil {
			return err
		}
		owned, err = collectOwners(rows)
		return err
	})
	return owned, p.classify("claiming partitions in "+p.describe(), err)
}

func (p *postgres) owners(ctx context.Context, partitions []int32) (map[int32]ownership, error) {
	rows, err := p.pool.Query(ctx, p.sql["owners"], partitions)
	if err != nil {
		return nil, p.classify("reading positions of "+p.describe(), err)
	}
	owned, err := collectOwners(rows)
	return owned, p.classify("reading positions of "+p.describe(), err)
}

func collectOwners(rows pgx.Rows) (map[int32]ownership, error) {
	owned := make(map[int32]ownership)
	var partition int32
	var o ownership
	_, err := pgx.ForEachRow(rows, []any{&partition, &o.worker, &o.epoch, &o.position}, func() error {
		owned[partition] = o
		return nil
	})
	return owned, err
}

func (p *postgres) write(ctx context.Context, u *unit) (connector.Receipt, error) {
	var r connector.Receipt
	err := p.tx(ctx, func(tx pgx.Tx) error {
		if len(u.results) > 0 {
			// Not the check that counts, which is the last one: it saves
			// loading what cannot be written.
			if err := p.ready(ctx, tx, u); err != nil {
				return err
			}
			if err := p.load(ctx, tx, u.results, &r); err != nil {
				return err
			}
		}
		return p.advance(ctx, tx, u.advances)
	})
	if err != nil {
		return connector.Receipt{}, p.classify("writing to "+p.describe(), err)
	}
	return r, nil
}

func (p *postgres) ready(ctx context.Context, tx pgx.Tx, u *unit) error {
	rows, err := tx.Query(ctx, p.sql["owners"], u.partitions())
	if err != nil {
		return err
	}
	owned, err := collectOwners(rows)
	if err != nil {
		return err
	}
	return u.ready(owned)
}

// load stages results and merges them into the table.
func (p *postgres) load(ctx context.Context, tx pgx.Tx, results []record.Result, r *connector.Receipt) error {
	if err := p.exec(ctx, tx, "createStaging"); err != nil {
		return err
	}
	src := newCopyReader(results)
	if _, err := tx.Conn().PgConn().CopyFrom(ctx, src, p.sql["copy"]); err != nil {
		return err
	}
	var at time.Time
	if err := tx.QueryRow(ctx, p.sql["clock"]).Scan(&at); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, p.sql["merge"], at)
	if err != nil {
		return err
	}
	*r = connector.Receipt{Stored: int(tag.RowsAffected()), StoredAt: at.UnixMicro(), Bytes: src.bytes}
	r.Duplicates = len(results) - r.Stored
	return nil
}

func (p *postgres) advance(ctx context.Context, tx pgx.Tx, moves []move) error {
	if len(moves) == 0 {
		return nil
	}
	n := len(moves)
	partitions, epochs, from, to := make([]int32, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, m := range moves {
		partitions[i], epochs[i], from[i], to[i] = m.Partition, m.epoch, m.From, m.To
	}
	tag, err := tx.Exec(ctx, p.sql["advance"], partitions, epochs, from, to)
	if err == nil && tag.RowsAffected() != int64(n) {
		return errMoved
	}
	return err
}

func (p *postgres) count(ctx context.Context, results []record.Result) (n int, storedAt int64, err error) {
	ids, partitions, offsets := make([][16]byte, len(results)), make([]int32, len(results)), make([]int64, len(results))
	for i := range results {
		ids[i], partitions[i], offsets[i] = results[i].ID, results[i].Partition, results[i].Offset
	}
	var at *time.Time
	err = p.pool.QueryRow(ctx, p.sql["count"], ids, partitions, offsets).Scan(&n, &at)
	if at != nil {
		storedAt = at.UnixMicro()
	}
	return n, storedAt, p.classify("counting rows of "+p.describe(), err)
}

func (p *postgres) probe(ctx context.Context, results []record.Result) error {
	err := p.tx(ctx, func(tx pgx.Tx) error {
		var r connector.Receipt
		if err := p.load(ctx, tx, results, &r); err != nil {
			return err
		}
		return errTakeBack
	})
	if errors.Is(err, errTakeBack) {
		return nil
	}
	return p.classify(fmt.Sprintf("probing %d rows", len(results)), err)
}

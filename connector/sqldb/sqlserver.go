package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"millrace/connector"
	"millrace/record"
)

// sqlServer is the dialect of SQL Server and Azure SQL Database, through
// Microsoft's driver. A dedicated SQL pool is a dialect of its own, which
// shares what it can (warehouse.go).
type sqlServer struct {
	cfg   Config
	names serverNames
	sql   statements
	where string // host:port/database
	db    *sql.DB
	// opened: a connection was had, so there is a database of this name.
	opened atomic.Bool
}

// spare is how many connections there may be beyond those of the writers: for
// claims, queries and the readers of a scan.
const spare = 4

func newSQLServer(cfg *Config, n names) (dialect, error) {
	address, err := parseSQLServer(cfg.URL)
	if err != nil {
		return nil, &connector.Hinted{Hint: "it looks like sqlserver://user:password@host:1433?database=NAME", Err: fmt.Errorf("the store's url: %w", err)}
	}
	s := &sqlServer{cfg: *cfg, names: newServerNames(n, cfg.Layout), where: address.where}
	if s.sql, err = loadServerStatements(s.names); err != nil {
		return nil, err
	}
	c, err := address.connector()
	if err != nil {
		return nil, fmt.Errorf("setting up connections to %s: %w", s.where, err)
	}
	s.db = sql.OpenDB(c)
	s.db.SetMaxOpenConns(cfg.Writers + spare)
	s.db.SetMaxIdleConns(cfg.Writers + spare)
	// Azure's gateway forgets connections that are idle for half an hour.
	s.db.SetConnMaxIdleTime(10 * time.Minute)
	if cfg.Layout == Warehouse {
		return &warehouse{s}, nil
	}
	return s, nil
}

func (s *sqlServer) describe() string {
	return fmt.Sprintf("SQL Server %s table %s", s.where, s.names.Events)
}

func (s *sqlServer) traits() connector.Traits {
	return connector.Traits{Kind: connector.Transactional, Timed: true, Writers: s.cfg.Writers, MaxRows: s.cfg.MaxRows, Shared: true, Layout: s.names.Layout}
}

func (s *sqlServer) close() error { return s.db.Close() }

// session runs fn with a connection of its own. After any error but errMoved
// and one about a row that was not even sent, the connection is not used
// again: it may be in the middle of a bulk load or of a transaction.
func (s *sqlServer) session(ctx context.Context, fn func(*sql.Conn) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	s.opened.Store(true)
	err = moved(fn(conn))
	var refused *refusedError
	if err != nil && !errors.Is(err, errMoved) && !errors.As(err, &refused) {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // closes it
		err = ended(ctx, err)
	}
	if closed := conn.Close(); err == nil && closed != nil && !errors.Is(closed, sql.ErrConnDone) {
		return closed
	}
	return err
}

// ended says of an error that ctx was over, if it was: the driver may say so
// with the words of a connection that broke.
func ended(ctx context.Context, err error) error {
	if over := ctx.Err(); over != nil && !errors.Is(err, over) {
		return fmt.Errorf("%w: %w", over, err)
	}
	return err
}

// exec runs statements by name, without parameters.
func (s *sqlServer) exec(ctx context.Context, db execer, names ...string) error {
	for _, name := range names {
		if _, err := db.ExecContext(ctx, s.sql[name]); err != nil {
			return err
		}
	}
	return nil
}

// drain reads everything that a batch answers, and hands over its rows. The
// batch has succeeded only if all of it was read without an error.
func drain(rows *sql.Rows, err error, row func() error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		for rows.Next() {
			if err := row(); err != nil {
				return err
			}
		}
		if !rows.NextResultSet() {
			return rows.Err()
		}
	}
}

// collect reads rows of the table of positions.
func (s *sqlServer) collect(rows *sql.Rows, err error) (map[int32]ownership, error) {
	owned := make(map[int32]ownership)
	err = drain(rows, err, func() error {
		var partition int32
		var o ownership
		if err := rows.Scan(&partition, &o.worker, &o.epoch, &o.position); err != nil {
			return err
		}
		owned[partition] = o
		return nil
	})
	return owned, err
}

func (s *sqlServer) claim(ctx context.Context, worker string, partitions []int32) (owned map[int32]ownership, err error) {
	err = s.session(ctx, func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, s.sql["claim"], sql.Named("name", s.lockName("claim")),
			sql.Named("partitions", partitionsJSON(partitions)), sql.Named("worker", worker))
		owned, err = s.collect(rows, err)
		return err
	})
	return owned, s.classify("claiming partitions in "+s.describe(), err)
}

func (s *sqlServer) owners(ctx context.Context, partitions []int32) (owned map[int32]ownership, err error) {
	err = s.session(ctx, func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, s.sql["owners"], sql.Named("partitions", partitionsJSON(partitions)))
		owned, err = s.collect(rows, err)
		return err
	})
	return owned, s.classify("reading positions of "+s.describe(), err)
}

func (s *sqlServer) write(ctx context.Context, u *unit) (r connector.Receipt, err error) {
	moves, count := sql.Named("moves", movesJSON(u.advances)), sql.Named("count", int64(len(u.advances)))
	err = s.session(ctx, func(conn *sql.Conn) error {
		if len(u.results) == 0 {
			_, err := conn.ExecContext(ctx, s.sql["advance"], moves, count)
			return err
		}
		staged, err := s.stage(ctx, conn, u.results)
		if err != nil {
			return err
		}
		r, err = s.merged(ctx, conn, staged, "write", moves, count)
		return err
	})
	if err != nil {
		return connector.Receipt{}, s.classify("writing to "+s.describe(), err)
	}
	return r, nil
}

// merged runs a batch that merges what is staged and answers how many rows
// were new and when.
func (s *sqlServer) merged(ctx context.Context, conn *sql.Conn, staged staged, name string, params ...any) (r connector.Receipt, err error) {
	var at time.Time
	rows, err := conn.QueryContext(ctx, s.sql[name], params...)
	if err = drain(rows, err, func() error { return rows.Scan(&r.Stored, &at) }); err != nil {
		return r, err
	}
	if at.IsZero() {
		return r, fmt.Errorf("the server has merged %d rows and not answered", staged.rows)
	}
	r.StoredAt, r.Bytes, r.Duplicates = at.UnixMicro(), staged.bytes, staged.results-r.Stored
	return r, nil
}

func (s *sqlServer) count(ctx context.Context, results []record.Result) (n int, storedAt int64, err error) {
	err = s.session(ctx, func(conn *sql.Conn) error {
		if _, err := s.stage(ctx, conn, results); err != nil {
			return err
		}
		var at sql.NullTime
		err := conn.QueryRowContext(ctx, s.sql["count"]).Scan(&n, &at)
		if at.Valid {
			storedAt = at.Time.UnixMicro()
		}
		return err
	})
	return n, storedAt, s.classify("counting rows of "+s.describe(), err)
}

func (s *sqlServer) probe(ctx context.Context, results []record.Result) error {
	err := s.session(ctx, func(conn *sql.Conn) error {
		if _, err := s.stage(ctx, conn, results); err != nil {
			return err
		}
		return s.exec(ctx, conn, "probe")
	})
	return s.classify(fmt.Sprintf("probing %d rows", len(results)), err)
}

// bare implements bareDialect.
func (s *sqlServer) bare(ctx context.Context, results []record.Result, _ int64) (stored int, err error) {
	err = s.session(ctx, func(conn *sql.Conn) error {
		staged, err := s.stage(ctx, conn, results)
		if err != nil {
			return err
		}
		r, err := s.merged(ctx, conn, staged, "bare")
		stored = r.Stored
		return err
	})
	return stored, s.classify("loading", err)
}

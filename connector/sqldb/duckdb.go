package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"millrace/connector"
	"millrace/connector/internal/duckread"
)

// duckDB is the dialect of the embedded database. One process writes, which
// DuckDB's own lock on the file enforces; within the process all stores of a
// file share one opened database and take turns.
type duckDB struct {
	cfg   Config
	path  string
	names names
	sql   statements

	mu   sync.Mutex
	file *duckFile // nil until first used
}

func newDuckDB(cfg *Config, path string, n names) (*duckDB, error) {
	stmts, err := loadStatements("duckdb.sql", duckNames{n, duckDatabase})
	if err != nil {
		return nil, err
	}
	return &duckDB{cfg: *cfg, path: path, names: n, sql: stmts}, nil
}

// duckDatabase is the name under which the file is attached.
const duckDatabase = "millrace"

type duckNames struct {
	names
	Database string
}

func (d *duckDB) describe() string {
	return fmt.Sprintf("DuckDB %s table %s", d.path, d.names.Events)
}

func (d *duckDB) traits() connector.Traits {
	t := connector.Traits{Kind: connector.Transactional, Timed: true, Writers: 1, MaxRows: d.cfg.MaxRows, Layout: Columnstore}
	if d.cfg.Layout != Columnstore {
		t.Layout = "columnstore (DuckDB has no " + d.cfg.Layout + ")"
	}
	return t
}

// duckFile is an opened database file. Stores of this process that use the
// same file share it: the lock on the file belongs to the process, so that
// opening it twice would not be refused, and would damage it.
type duckFile struct {
	db   *sql.DB
	path string
	refs int // under duckFiles.mu

	// writing is held for each transaction that writes, and by who reads or
	// sets batch.
	writing sync.Mutex
	conn    *sql.Conn // the writing connection
	batch   *batch    // what millrace_batch() hands over
	most    int64     // bytes that are merged at once; 0: all of a write
	failed  error     // of the checkpoint before

	checkpointAt  int64
	checkpointing atomic.Bool
	checkpoints   sync.WaitGroup
}

var duckFiles = struct {
	mu   sync.Mutex
	open map[string]*duckFile
}{open: make(map[string]*duckFile)}

// rowGroup is how many rows DuckDB lays out together. The default, 122,880,
// is made for narrow rows: with events of 1 KB a checkpoint rewrites up to
// 100 MB of a group that is not full, for seconds, and a large write goes to
// the write-ahead log and then to the file. With small groups full ones go
// straight to the file, and a checkpoint has little left to do. Below 4,096
// loading gets slower.
const rowGroup = 4096

// opened returns the file, opening it on first use. With create unset a file
// that does not exist is an error.
func (d *duckDB) opened(ctx context.Context, create bool) (*duckFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file != nil {
		return d.file, nil
	}
	path, err := realPath(d.path, create)
	if err != nil {
		return nil, d.classify("opening "+d.path, err)
	}
	duckFiles.mu.Lock()
	defer duckFiles.mu.Unlock()
	f := duckFiles.open[path]
	if f == nil {
		if f, err = openDuckFile(ctx, path, &d.cfg); err != nil {
			return nil, d.classify("opening "+d.path, err)
		}
		duckFiles.open[path] = f
	}
	f.refs++
	d.file = f
	return f, nil
}

// realPath makes one name for one file, and its folder if create is set.
func realPath(path string, create bool) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(path)
	if create {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	} else if _, err := os.Stat(path); err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	path = filepath.Join(dir, filepath.Base(path))
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path, nil
}

func openDuckFile(ctx context.Context, path string, cfg *Config) (*duckFile, error) {
	// The file is attached to an empty database in memory, since only ATTACH
	// takes a size of row groups.
	c, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, err
	}
	f := &duckFile{db: sql.OpenDB(c), path: path, checkpointAt: int64(cfg.Checkpoint)}
	for _, s := range []string{
		fmt.Sprintf("SET memory_limit = '%dMiB'", cfg.MemoryLimit>>20),
		fmt.Sprintf("SET threads = %d", cfg.Threads),
		// A safety net: tidy comes first.
		fmt.Sprintf("SET checkpoint_threshold = '%dKiB'", 8*cfg.Checkpoint>>10),
		// Nothing reads rows in the order of their insertion, and keeping it
		// costs memory and the second thread of an insert.
		"SET preserve_insertion_order = false",
		// Nothing is ever fetched from the network.
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		fmt.Sprintf("SET temp_directory = %s", duckread.Quoted(path+".tmp")),
		fmt.Sprintf("ATTACH %s AS %s (ROW_GROUP_SIZE %d)", duckread.Quoted(path), duckDatabase, rowGroup),
	} {
		if _, err := f.db.ExecContext(ctx, s); err != nil {
			return nil, errors.Join(err, f.db.Close())
		}
	}
	if f.conn, err = f.connect(ctx); err == nil {
		err = f.register(f.conn)
	}
	if err != nil {
		return nil, errors.Join(err, f.db.Close())
	}
	return f, nil
}

// connect opens a connection for which the file is the default database.
func (f *duckFile) connect(ctx context.Context) (*sql.Conn, error) {
	c, err := f.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.ExecContext(ctx, "USE "+duckDatabase); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// release gives up one reference; the last one closes the database, which
// moves the write-ahead log into the file.
func (f *duckFile) release() error {
	duckFiles.mu.Lock()
	defer duckFiles.mu.Unlock()
	if f.refs--; f.refs > 0 {
		return nil
	}
	delete(duckFiles.open, f.path)
	f.checkpoints.Wait()
	// Detaching, unlike closing, says whether it went well.
	_, err := f.conn.ExecContext(context.Background(), "USE memory; DETACH "+duckDatabase)
	return errors.Join(err, f.conn.Close(), f.db.Close())
}

func (d *duckDB) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.file
	if f == nil {
		return nil
	}
	d.file = nil
	if err := f.release(); err != nil {
		return d.classify("closing "+d.path, err)
	}
	return nil
}

// tidy moves the write-ahead log into the table once it has grown, in the
// pause after a write rather than within one: at a steady rate no write waits
// for it.
func (f *duckFile) tidy() {
	wal, err := os.Stat(f.path + ".wal")
	if err != nil || wal.Size() < f.checkpointAt || f.checkpointing.Swap(true) {
		return
	}
	f.checkpoints.Go(func() {
		defer f.checkpointing.Store(false)
		f.writing.Lock()
		defer f.writing.Unlock()
		// Not the caller's ctx: the next write or Close waits for the end.
		if _, err := f.conn.ExecContext(context.Background(), "CHECKPOINT "+duckDatabase); duckType(err) != duckdb.ErrorTypeTransaction {
			f.failed = err
		} // else a query is reading; the next write comes back to it
	})
}

// transaction runs fn in a transaction of the writing connection. fn's error
// and a failed commit leave nothing behind.
func (d *duckDB) transaction(ctx context.Context, fn func(f *duckFile) error) error {
	f, err := d.opened(ctx, true)
	if err != nil {
		return err
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	if err := f.failed; err != nil {
		f.failed = nil
		return fmt.Errorf("moving the write-ahead log into the table: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// Neither end of a transaction is to be interrupted: both are local and
	// short, and it would be unknown whether they happened.
	end := context.WithoutCancel(ctx)
	if _, err := f.conn.ExecContext(end, "BEGIN"); err != nil {
		return errors.Join(err, f.rollback(end))
	}
	if err := fn(f); err != nil {
		return errors.Join(err, f.rollback(end))
	}
	if _, err = f.conn.ExecContext(end, "COMMIT"); err == nil {
		f.tidy()
	}
	return err
}

// rollback ends the transaction of the writing connection, if there is one: a
// statement that failed may have ended it already. The interruption of that
// statement may come late and meet the rollback instead, so it is tried again:
// a connection that stays in a transaction would refuse all that follows.
func (f *duckFile) rollback(ctx context.Context) (err error) {
	for range 3 {
		_, err = f.conn.ExecContext(ctx, "ROLLBACK")
		if err == nil || strings.Contains(err.Error(), "no transaction is active") {
			return nil
		}
	}
	return err
}

// exec runs a statement by name on the writing connection.
func (d *duckDB) exec(ctx context.Context, f *duckFile, name string, args ...any) (int64, error) {
	r, err := f.conn.ExecContext(ctx, d.sql[name], args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (d *duckDB) prepare(ctx context.Context) error {
	create := []string{"createEvents", "createPositions"}
	if d.names.Schema != "" {
		create = append([]string{"createSchema"}, create...)
	}
	err := d.transaction(ctx, func(f *duckFile) error {
		for _, name := range append(create, "probe") {
			if _, err := d.exec(ctx, f, name); err != nil {
				return err
			}
		}
		return nil
	})
	return d.classify("preparing "+d.describe(), err)
}

func (d *duckDB) drop(ctx context.Context) error {
	if _, err := os.Stat(d.path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	err := d.transaction(ctx, func(f *duckFile) error {
		for _, name := range []string{"dropEvents", "dropPositions"} {
			if _, err := d.exec(ctx, f, name); err != nil {
				return err
			}
		}
		return nil
	})
	return d.classify("dropping "+d.describe(), err)
}

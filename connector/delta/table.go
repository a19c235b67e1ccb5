package delta

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/delta/txlog"
)

// Table is a Delta table for those who ask it or look after it: any table,
// whoever wrote it. Safe for concurrent use.
type Table struct {
	cfg    Config // how to read and rewrite files
	bucket blob.Bucket
	log    *txlog.Table
	env    connector.Env
}

// OpenTable opens the table of a run, without connecting to it.
func (c *Config) OpenTable(ctx context.Context, env connector.Env) (*Table, error) {
	bucket, err := c.bucket(ctx, env)
	if err != nil {
		return nil, err
	}
	t := newTable(bucket, c.PathOf(env.Run), env)
	t.cfg = *c
	return t, nil
}

func newTable(bucket blob.Bucket, path string, env connector.Env) *Table {
	return &Table{cfg: *NewConfig(), bucket: bucket, env: env, log: txlog.Open(bucket, path, txlog.Options{Log: env.Log})}
}

// Describe names the table for people, without secrets.
func (t *Table) Describe() string { return t.log.Describe() }

// patience is how long Close waits for a checkpoint that is being written.
const patience = 10 * time.Second

// closeLog waits for a checkpoint, or gives it up; the log is whole without.
func (t *Table) closeLog() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := t.log.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("closing %s: %w", t.Describe(), err)
	}
	return nil
}

// Close releases what the table holds.
func (t *Table) Close() error { return errors.Join(t.closeLog(), t.bucket.Close()) }

// snapshot reads the newest version.
func (t *Table) snapshot(ctx context.Context, doing string) (*txlog.Snapshot, error) {
	s, err := t.log.Snapshot(ctx)
	if err != nil {
		return nil, t.failed(doing, err)
	}
	return s, nil
}

// failed says what went wrong with what.
func (t *Table) failed(doing string, err error) error {
	err = fmt.Errorf("%s: %w", doing, err)
	if errors.Is(err, txlog.ErrNoTable) {
		return &connector.Hinted{Hint: tableHint, Err: err}
	}
	return err
}

// Ping tells whether the place of the table can be reached and read, without
// creating anything. A container or a table that is missing is fine: Prepare
// makes them.
func (c *Config) Ping(ctx context.Context, env connector.Env) error {
	t, err := c.OpenTable(ctx, env)
	if err != nil {
		return err
	}
	found, err := blob.Any(ctx, t.bucket, t.log.Prefix()+"_delta_log/")
	if found {
		_, err = t.log.Snapshot(ctx)
	}
	return errors.Join(err, t.Close())
}

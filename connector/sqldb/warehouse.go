package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"millrace/connector"
	"millrace/record"
)

// warehouse is the dialect of a dedicated SQL pool (Azure Synapse). It is
// spoken to like SQL Server, but its transactions are steps of this process:
// the pool does not count rows in a batch.
type warehouse struct{ *sqlServer }

// probe implements dialect: the merge, rolled back.
func (w *warehouse) probe(ctx context.Context, results []record.Result) error {
	err := w.session(ctx, func(conn *sql.Conn) error {
		rows, err := w.stage(ctx, conn, results)
		if err != nil {
			return err
		}
		err = w.tx(ctx, conn, func(tx *sql.Tx) error {
			if _, err := w.mergeIn(ctx, tx, rows); err != nil {
				return err
			}
			return errTakeBack
		})
		if errors.Is(err, errTakeBack) {
			return nil
		}
		return err
	})
	return w.classify(fmt.Sprintf("probing %d rows", len(results)), err)
}

func (w *warehouse) prepare(ctx context.Context) error {
	err := w.session(ctx, func(conn *sql.Conn) error { return w.create(ctx, conn) })
	if isThere(err) {
		// Another worker was faster: there is no lock to wait for. If it is
		// there again, it is not a table.
		err = w.session(ctx, func(conn *sql.Conn) error { return w.create(ctx, conn) })
	}
	return w.classify("preparing "+w.describe(), err)
}

// isThere tells whether something could not be created because it exists.
func isThere(err error) bool {
	for _, e := range serverErrors(err) {
		if e.Number == 2714 || e.Number == 2759 {
			return true
		}
	}
	return false
}

func (w *warehouse) create(ctx context.Context, conn *sql.Conn) error {
	if w.names.Schema != "" {
		if err := w.exec(ctx, conn, "createSchema"); err != nil {
			return err
		}
	}
	if err := w.exec(ctx, conn, "createEvents", "createPositions"); err != nil {
		return err
	}
	return w.upgradeAll(ctx, conn)
}

func (w *warehouse) drop(ctx context.Context) error {
	return w.classify("dropping "+w.describe(), w.session(ctx, func(conn *sql.Conn) error {
		return w.exec(ctx, conn, "dropEvents", "dropPositions")
	}))
}

// movesFor puts moves where the statements look for them.
func (w *warehouse) movesFor(ctx context.Context, conn *sql.Conn, moves []move) error {
	if err := w.exec(ctx, conn, "createMoves"); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, fillMoves(moves))
	return err
}

// only is a list of moves of which nothing but the partition counts.
func only(partitions []int32) []move {
	moves := make([]move, len(partitions))
	for i, p := range partitions {
		moves[i].Partition = p
	}
	return moves
}

// tx runs fn in a transaction on conn.
func (w *warehouse) tx(ctx context.Context, conn *sql.Conn, fn func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // if it fails the connection ends, and with it the transaction
		return err
	}
	return tx.Commit()
}

func (w *warehouse) claim(ctx context.Context, worker string, partitions []int32) (owned map[int32]ownership, err error) {
	err = w.session(ctx, func(conn *sql.Conn) error {
		if err := w.movesFor(ctx, conn, only(partitions)); err != nil {
			return err
		}
		return w.tx(ctx, conn, func(tx *sql.Tx) error {
			if err := w.exec(ctx, tx, "lockPositions", "addPartitions"); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, w.sql["claim"], sql.Named("worker", worker)); err != nil {
				return err
			}
			rows, err := tx.QueryContext(ctx, w.sql["owners"])
			owned, err = w.collect(rows, err)
			return err
		})
	})
	return owned, w.classify("claiming partitions in "+w.describe(), err)
}

func (w *warehouse) owners(ctx context.Context, partitions []int32) (owned map[int32]ownership, err error) {
	err = w.session(ctx, func(conn *sql.Conn) error {
		if err := w.movesFor(ctx, conn, only(partitions)); err != nil {
			return err
		}
		rows, err := conn.QueryContext(ctx, w.sql["owners"])
		owned, err = w.collect(rows, err)
		return err
	})
	return owned, w.classify("reading positions of "+w.describe(), err)
}

func (w *warehouse) write(ctx context.Context, u *unit) (r connector.Receipt, err error) {
	err = w.session(ctx, func(conn *sql.Conn) error {
		var rows staged
		if len(u.results) > 0 {
			if rows, err = w.stage(ctx, conn, u.results); err != nil {
				return err
			}
		}
		if err := w.movesFor(ctx, conn, u.advances); err != nil {
			return err
		}
		return w.tx(ctx, conn, func(tx *sql.Tx) error {
			n, err := affected(tx.ExecContext(ctx, w.sql["advance"]))
			if err == nil && n != len(u.advances) {
				return errMoved
			}
			if err != nil || len(u.results) == 0 {
				return err
			}
			r, err = w.mergeIn(ctx, tx, rows)
			return err
		})
	})
	if err != nil {
		return connector.Receipt{}, w.classify("writing to "+w.describe(), err)
	}
	return r, nil
}

func (w *warehouse) mergeIn(ctx context.Context, tx *sql.Tx, rows staged) (r connector.Receipt, err error) {
	var at time.Time
	if err := tx.QueryRowContext(ctx, w.sql["clock"]).Scan(&at); err != nil {
		return r, err
	}
	at = at.UTC().Truncate(time.Microsecond)
	if r.Stored, err = affected(tx.ExecContext(ctx, w.sql["merge"], sql.Named("storedAt", at))); err != nil {
		return r, err
	}
	r.StoredAt, r.Bytes, r.Duplicates = at.UnixMicro(), rows.bytes, rows.results-r.Stored
	return r, nil
}

// affected is how many rows a statement has set.
func affected(result sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// bare implements bareDialect.
func (w *warehouse) bare(ctx context.Context, results []record.Result, _ int64) (stored int, err error) {
	err = w.session(ctx, func(conn *sql.Conn) error {
		rows, err := w.stage(ctx, conn, results)
		if err != nil {
			return err
		}
		return w.tx(ctx, conn, func(tx *sql.Tx) error {
			r, err := w.mergeIn(ctx, tx, rows)
			stored = r.Stored
			return err
		})
	})
	return stored, w.classify("loading", err)
}

package tsql

import (
	"context"

	"millrace/connector/sqldb/local/value"
)

// Bulk takes the rows that INSERT BULK has announced, as one statement: all of
// them or none. It reports SQL errors to out; the caller has to read what is
// left of the rows then. Other errors are those of the source or the client.
func (s *Session) Bulk(ctx context.Context, columns []value.Column, rows RowSource, out Sink) error {
	load := s.load
	s.load = nil
	if load == nil {
		return s.Fail(value.Errorf(4804, "The bulk load data was not announced by INSERT BULK."), out)
	}
	x := &execution{ctx: ctx, s: s, out: out, sc: &scope{src: load.src, variables: map[string]*variable{}, outermost: true}}
	var n int64
	err := x.changes(func(tx *transaction) error {
		t, err := x.tableNamed(load.table)
		if err != nil {
			return err
		}
		if err := x.writes(tx, t); err != nil {
			return err
		}
		at, err := load.bulkColumns(t, columns)
		if err != nil {
			return err
		}
		in, err := x.inserter(tx, t, at, columns)
		if err != nil {
			return err
		}
		for ; ; n++ {
			if n%256 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			r, err := rows.Next()
			if err != nil || r == nil {
				return err
			}
			if _, err := in.add(r); err != nil {
				return err
			}
		}
	})
	if e := asSQL(err); e != nil {
		return s.Fail(e, out)
	}
	if err != nil {
		return err
	}
	s.rowCount = n
	return out.Done(commandBulk, n, true)
}

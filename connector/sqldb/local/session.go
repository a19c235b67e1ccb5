package local

import (
	"context"

	"millrace/connector/sqldb/local/tds"
	"millrace/connector/sqldb/local/tsql"
)

// session answers the requests of one connection: it brings the wire's form
// of them to the engine's, and lets faults happen.
type session struct {
	*tsql.Session
	s *Server
}

// faulty runs a request with the faults that are due.
func (s *session) faulty(ctx context.Context, text string, r *tds.Reply, run func() error) error {
	f, ok := s.s.faults.take(text)
	if !ok {
		return run()
	}
	if err := f.wait(ctx); err != nil {
		return err
	}
	switch {
	case f.DropBefore:
		return tds.ErrDrop
	case f.Error != 0:
		return s.Fail(f.failure(), r)
	}
	if err := run(); err != nil {
		return err
	}
	if f.DropAfter {
		return tds.ErrDrop
	}
	return nil
}

// Batch implements tds.Session.
func (s *session) Batch(ctx context.Context, text string, r *tds.Reply) error {
	return s.faulty(ctx, text, r, func() error { return s.Session.Batch(ctx, text, r) })
}

// Call implements tds.Session.
func (s *session) Call(ctx context.Context, c *tds.Call, r *tds.Reply) (status int32, outputs []tds.Param, err error) {
	args := make([]tsql.Argument, len(c.Params))
	for i, p := range c.Params {
		args[i] = tsql.Argument{Name: p.Name, Output: p.Output, Default: p.Default, Type: p.Type, Value: p.Value}
		if t := p.Table; t != nil {
			args[i].Table, args[i].Columns, args[i].Rows = t.Schema+"."+t.Name, t.Columns, t.Rows
		}
	}
	text := c.Procedure
	if len(args) > 0 && (text == "sp_executesql" || text == "sp_prepexec") {
		text = args[0].Value.Text()
	}
	err = s.faulty(ctx, text, r, func() error {
		var after []tsql.Argument
		status, after, err = s.Session.Call(ctx, c.Procedure, args, r)
		for _, a := range after {
			outputs = append(outputs, tds.Param{Name: a.Name, Type: a.Type, Value: a.Value})
		}
		return err
	})
	return status, outputs, err
}

// Transaction implements tds.Session.
func (s *session) Transaction(ctx context.Context, t *tds.Transaction, r *tds.Reply) error {
	names := map[uint16]string{tds.Begin: "BEGIN", tds.Commit: "COMMIT", tds.Rollback: "ROLLBACK", tds.Save: "SAVE"}
	err := s.faulty(ctx, names[t.Kind]+" TRANSACTION", r, func() error {
		switch t.Kind {
		case tds.Begin:
			return s.Begin(int(t.Isolation), r)
		case tds.Commit:
			return s.Commit(r)
		case tds.Rollback:
			return s.Rollback(t.Name, r)
		}
		return s.Save(t.Name, r)
	})
	if err == nil && t.Then != nil {
		err = s.Begin(int(t.Then.Isolation), r)
	}
	return err
}

// Bulk implements tds.Session.
func (s *session) Bulk(ctx context.Context, b *tds.Bulk, r *tds.Reply) error {
	return s.faulty(ctx, "BULK LOAD", r, func() error { return s.Session.Bulk(ctx, b.Columns, b, r) })
}

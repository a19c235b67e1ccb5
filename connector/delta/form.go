package delta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"millrace/connector"
	"millrace/connector/delta/data"
	"millrace/connector/delta/schema"
	"millrace/connector/delta/txlog"
)

// form is how events go into the table: what its schema, as it was read last,
// makes of the options. It does not change.
type form struct {
	metadata *txlog.Metadata
	table    data.Table
	options  data.WriterOptions
	// writers are *data.EventWriter that nobody uses at the moment.
	writers sync.Pool
}

// Prepare implements connector.Store: it creates the table, or adds the columns
// that it lacks.
func (s *Store) Prepare(ctx context.Context) error {
	if err := s.bucket.Prepare(ctx); err != nil {
		return fmt.Errorf("preparing %s: %w", s.Describe(), err)
	}
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	for {
		snap, err := s.log().Snapshot(ctx)
		if errors.Is(err, txlog.ErrNoTable) {
			snap, err = s.create(ctx)
		}
		if err == nil {
			snap, err = s.evolve(ctx, snap)
		}
		var conflict *txlog.ConflictError
		switch {
		case errors.As(err, &conflict), errors.Is(err, txlog.ErrTableExists):
			continue // another worker prepares it, too
		case err != nil:
			return fmt.Errorf("preparing %s: %w", s.Describe(), err)
		}
		return s.fits(snap)
	}
}

// create makes the table.
func (s *Store) create(ctx context.Context) (*txlog.Snapshot, error) {
	columns, err := s.cfg.form().Schema()
	if err != nil {
		return nil, err
	}
	return s.log().Create(ctx, txlog.Metadata{Schema: columns, PartitionColumns: s.cfg.PartitionBy,
		Configuration: s.cfg.properties()}, "CREATE TABLE")
}

// evolve adds the columns to the table that the options ask for and it lacks.
func (s *Store) evolve(ctx context.Context, snap *txlog.Snapshot) (*txlog.Snapshot, error) {
	if err := s.samePartitions(snap.Metadata); err != nil {
		return nil, err
	}
	wanted, err := s.cfg.form().Schema()
	if err != nil {
		return nil, err
	}
	grown, err := snap.Metadata.Schema.With(wanted.Fields...)
	if err != nil {
		return nil, s.misfit(err)
	}
	if grown.Equal(snap.Metadata.Schema) {
		return snap, nil
	}
	changed := snap.Metadata.Clone()
	changed.Schema = grown
	return s.log().Commit(ctx, snap, txlog.Change{Operation: "ADD COLUMNS", Metadata: changed,
		Parameters: map[string]string{"columns": strings.Join(added(snap.Metadata.Schema, grown), ", ")}})
}

// added are the columns that a schema has more than another.
func added(before, after *schema.Struct) []string {
	var out []string
	for _, f := range after.Fields {
		if old, ok := before.Field(f.Name); !ok || !schema.Equal(old.Type, f.Type) {
			out = append(out, f.Name+" "+f.Type.String())
		}
	}
	return out
}

// samePartitions refuses a table that is laid out in another way.
func (s *Store) samePartitions(m *txlog.Metadata) error {
	if slices.EqualFunc(m.PartitionColumns, s.cfg.PartitionBy, strings.EqualFold) {
		return nil
	}
	by := func(columns []string) string {
		if len(columns) == 0 {
			return "not partitioned"
		}
		return "partitioned by " + strings.Join(columns, ", ")
	}
	return &connector.Hinted{Hint: fmt.Sprintf("set serve.partitionBy to [%s], or choose another serve.path", strings.Join(m.PartitionColumns, ", ")),
		Err: fmt.Errorf("%s is %s, but serve.partitionBy asks for one that is %s", s.Describe(), by(m.PartitionColumns), by(s.cfg.PartitionBy))}
}

// misfit says that the table has another schema than events need.
func (s *Store) misfit(err error) error {
	return &connector.Hinted{Hint: "choose another serve.path, or change the type of the column with the program that made the table",
		Err: fmt.Errorf("events do not fit into %s: %w", s.Describe(), err)}
}

// fits makes sure that files for the table as it is in snap can be written, and
// that those written before can be committed to it.
func (s *Store) fits(snap *txlog.Snapshot) error {
	if f := s.current(); f != nil && f.metadata == snap.Metadata {
		return nil
	}
	if err := errors.Join(s.samePartitions(snap.Metadata), s.remembers(snap.Metadata)); err != nil {
		return err
	}
	f := &form{metadata: snap.Metadata,
		table:   data.Table{PartitionBy: s.cfg.PartitionBy, Columns: data.MemberColumns(snap.Metadata.Schema)},
		options: data.WriterOptions{Compression: s.cfg.Compression, StatsColumns: statsColumns(snap.Metadata)}}
	w, err := data.NewEventWriter(f.table, snap.Metadata.Schema, f.options)
	if err != nil {
		return s.misfit(err)
	}
	f.writers.Put(w)
	s.mu.Lock()
	s.form = f
	s.mu.Unlock()
	return nil
}

// holds tells whether files of the form can become a part of the table as it is
// now: none of its columns has another type, or is gone. A nil form has none.
func (f *form) holds(m *txlog.Metadata) bool {
	if f == nil || f.metadata == m {
		return true
	}
	for _, c := range f.metadata.Schema.Fields {
		if now, ok := m.Schema.Field(c.Name); !ok || !schema.Equal(now.Type, c.Type) {
			return false
		}
	}
	return true
}

// statsColumns is for how many columns the table wants statistics.
func statsColumns(m *txlog.Metadata) int {
	if n, err := strconv.Atoi(m.Configuration[propStatsColumns]); err == nil {
		return n
	}
	return data.DefaultStatsColumns
}

func (s *Store) current() *form {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.form
}

// formed returns the form of the table, reading it if it is not known yet.
func (s *Store) formed(ctx context.Context) (*form, error) {
	if f := s.current(); f != nil {
		return f, nil
	}
	snap, err := s.log().Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("writing to %s: %w", s.Describe(), err)
	}
	if err := s.fits(snap); err != nil {
		return nil, err
	}
	return s.current(), nil
}

func (f *form) writer() (*data.EventWriter, error) {
	if w, ok := f.writers.Get().(*data.EventWriter); ok {
		return w, nil
	}
	return data.NewEventWriter(f.table, f.metadata.Schema, f.options)
}

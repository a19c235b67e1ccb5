package delta

import (
	"log/slog"
	"testing"

	"millrace/connector"
	"millrace/connector/delta/schema"
	"millrace/connector/delta/txlog"
	"millrace/record"
)

// The type of a column changes between the writing of a file and its commit: the
// file, which has the former type, does not get into the table, and the next try
// makes another one.
func TestColumnsThatChangeMeanwhile(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := NewConfig()
	c.Columns = map[string]string{"humidity": "double"}
	opened, err := c.Open(ctx, connector.Env{DataDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := opened.(*Store)
	defer s.Close()
	if err := s.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(ctx, "w", []int32{0}); err != nil {
		t.Fatal(err)
	}
	w := &connector.Write{Results: []record.Result{plain(t, 0, 0)}, Advances: []connector.Advance{{Partition: 0, From: 0, To: 1}}}
	moves, err := s.moves(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.gate.pass(ctx, true); err != nil {
		t.Fatal(err)
	}
	p := &pending{moves: moves, rows: 1, done: make(chan struct{})}
	if p.form, p.add, err = s.files(ctx, w.Results, 1); err != nil {
		t.Fatal(err)
	}
	other := txlog.Open(s.bucket, s.cfg.PathOf(""), txlog.Options{})
	defer other.Close(ctx)
	base, err := other.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	changed := base.Metadata.Clone()
	var fields []schema.Field
	for _, f := range base.Metadata.Schema.Fields {
		if f.Name == "humidity" {
			f.Type = schema.Long
		}
		fields = append(fields, f)
	}
	changed.Schema = schema.New(fields...)
	if _, err := other.Commit(ctx, base, txlog.Change{Operation: "CREATE OR REPLACE TABLE", Metadata: changed}); err != nil {
		t.Fatal(err)
	}
	if unused, err := s.commit(ctx, p); !unused || connector.ActionOf(err) != connector.Retry {
		t.Fatalf("a file of the former columns: unused %v, %v", unused, err)
	}
	if _, err := s.Write(ctx, w); err != nil {
		t.Fatal(err)
	}
	rows := 0
	if err := s.Scan(ctx, func(*record.Stored) error { rows++; return nil }); err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

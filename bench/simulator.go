package main

import (
	"context"
	"os"
	"path/filepath"

	"millrace/connector"
	"millrace/record"
	"millrace/simulate"
)

// sink is a producer that acknowledges at once, so that nothing but the
// simulator is measured.
type sink struct {
	acked func(*connector.Message, error)
	keep  func(*connector.Message) // nil: look at nothing
}

func (s *sink) Produce(_ context.Context, m *connector.Message) error {
	if s.keep != nil {
		s.keep(m)
	}
	s.acked(m, nil)
	return nil
}

func (s *sink) Flush(context.Context) error { return nil }
func (s *sink) Close() error                { return nil }

func simulateInto(ctx context.Context, dir string, events int64, keep func(*connector.Message)) (simulate.Summary, error) {
	cfg := simulate.Defaults()
	cfg.Devices, cfg.Seed, cfg.Rate, cfg.Events, cfg.Duration, cfg.Duplicates = devices, 1, 0, events, 0, 0
	s, err := simulate.New(cfg, dir, "bench")
	if err != nil {
		return simulate.Summary{}, err
	}
	return s.Run(ctx, func(_ context.Context, acked func(*connector.Message, error)) (connector.Producer, error) {
		return &sink{acked, keep}, nil
	})
}

func simulator(ctx context.Context, c *child) (m measured, err error) {
	t := start()
	sum, err := simulateInto(ctx, filepath.Join(c.dir, "ledger"), c.events, nil)
	t.stop(&m)
	m.Events = sum.Unique
	return m, err
}

// prepared makes n decoded events, as a simulator sends them.
func prepared(n int) ([]record.Event, error) {
	dir, err := os.MkdirTemp("", "millrace-bench-events-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var bad error
	events := make([]record.Event, 0, n)
	_, err = simulateInto(context.Background(), filepath.Join(dir, "ledger"), int64(n), func(m *connector.Message) {
		var e record.Event
		if err := e.Decode(append([]byte(nil), m.Value...)); err != nil {
			bad = err
		}
		events = append(events, e)
	})
	if err == nil {
		err = bad
	}
	return events, err
}

package ingest

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"millrace/connector"
)

// fakeLog hands out sources that fail with the given errors, then run until
// the context ends.
type fakeLog struct {
	errs    []error
	sources int
	closed  int
}

type fakeSource struct {
	connector.Source
	log *fakeLog
	err error
}

func (l *fakeLog) Source(context.Context, string) (connector.Source, error) {
	s := &fakeSource{log: l}
	if l.sources < len(l.errs) {
		s.err = l.errs[l.sources]
	}
	l.sources++
	return s, nil
}

func (s *fakeSource) Run(ctx context.Context, _ connector.Handler) error {
	if s.err != nil {
		return s.err
	}
	<-ctx.Done()
	return nil
}

func (s *fakeSource) Close() error { s.log.closed++; return nil }

type fakeSession struct {
	connector.Handler
	stopped *int
	failed  chan struct{}
	err     error
}

func (s fakeSession) Stop()                   { *s.stopped++ }
func (s fakeSession) Failed() <-chan struct{} { return s.failed }
func (s fakeSession) Err() error              { return s.err }

func reader(l *fakeLog, stopped *int) *Reader {
	return &Reader{Log: l, Group: "g", Logger: slog.New(slog.DiscardHandler),
		NewSession: func(connector.Source) Session { return fakeSession{stopped: stopped} }}
}

func TestReaderJoinsAgainWhenFenced(t *testing.T) {
	t.Parallel()
	l := &fakeLog{errs: []error{connector.FencedError([]int32{1}, "test"), connector.Retryable(errors.New("away"), 0)}}
	stopped := 0
	r := reader(l, &stopped)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	for {
		if sessions, fenced := r.Counts(); sessions == 3 && fenced == 1 {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("ended with %v", err)
		default:
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if stopped != 3 || l.closed != 3 {
		t.Fatalf("%d sessions stopped, %d sources closed, want 3 of each", stopped, l.closed)
	}
}

func TestReaderEndsOnWhatRetryingCannotMend(t *testing.T) {
	t.Parallel()
	bad := errors.New("topic authorization failed")
	stopped := 0
	if err := reader(&fakeLog{errs: []error{bad}}, &stopped).Run(t.Context()); !errors.Is(err, bad) || stopped != 1 {
		t.Fatalf("error %v, %d stopped", err, stopped)
	}
}

type ends []int64

func (e ends) Ends(context.Context) ([]int64, error) { return e, nil }

func TestBacklog(t *testing.T) {
	t.Parallel()
	b := NewBacklog(ends{100, 50, 0})
	for _, step := range []struct {
		positions     map[int32]int64
		behind, total int64
	}{
		{nil, 150, 150},
		{map[int32]int64{0: connector.Unknown, 1: 20}, 130, 150},
		{map[int32]int64{0: 100}, 30, 150}, // partition 1 is between two owners
		{map[int32]int64{0: 90, 1: 50}, 0, 150},
	} {
		behind, total, err := b.Measure(t.Context(), step.positions)
		if err != nil || behind != step.behind || total != step.total {
			t.Fatalf("%v: behind %d of %d, %v; want %d of %d", step.positions, behind, total, err, step.behind, step.total)
		}
	}
}

// TestReaderNoticesAFailureWhileNothingArrives: the last unit of a stream can
// fail when no delivery will ever tell the source.
func TestReaderNoticesAFailureWhileNothingArrives(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	stopped := 0
	r := reader(&fakeLog{}, &stopped)
	r.NewSession = func(connector.Source) Session {
		s := fakeSession{stopped: &stopped, failed: make(chan struct{}), err: full}
		close(s.failed)
		return s
	}
	if err := r.Run(t.Context()); !errors.Is(err, full) || stopped != 1 {
		t.Fatalf("error %v, %d stopped", err, stopped)
	}
}

// Package ingest is the second stage: it reads the log. A Reader keeps one
// worker in the log's consumer group, session after session, and a Backlog
// says how far behind the store's positions are.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"millrace/connector"
)

// Opener opens the reading side of a log; connector.Log is one.
type Opener interface {
	Source(ctx context.Context, group string) (connector.Source, error)
}

// Session handles what one group session delivers, and is stopped after it.
type Session interface {
	connector.Handler
	// Failed is closed when the session can go on no longer; Err then says
	// why. It may fail while nothing is being delivered.
	Failed() <-chan struct{}
	Err() error
	// Stop gives up what is still under way.
	Stop()
}

// Reader keeps a worker reading.
type Reader struct {
	Log   Opener
	Group string
	// NewSession makes the handler of one session; src records its
	// positions with the group.
	NewSession func(src connector.Source) Session
	Logger     *slog.Logger

	sessions atomic.Int64
	fenced   atomic.Int64
}

// Run reads until ctx ends, then leaves the group in good order and returns
// nil. A session that was fenced (another worker claimed its partitions, as
// happens after a pause longer than the group's session timeout) is followed
// by a new one, which claims whatever the group then assigns; other errors
// end Run.
func (r *Reader) Run(ctx context.Context) error {
	for {
		r.sessions.Add(1)
		err := r.session(ctx)
		if err == nil || ctx.Err() != nil {
			return nilIfEnded(ctx, err)
		}
		switch connector.ActionOf(err) {
		case connector.Fenced:
			r.fenced.Add(1)
			r.Logger.Warn("another worker took partitions over; joining the group again", "error", err)
		case connector.Retry:
			r.Logger.Warn("reading was interrupted; joining the group again", "error", err)
		default:
			return err
		}
		// Jitter, so that two workers do not fence each other in step.
		select {
		case <-time.After(200*time.Millisecond + rand.N(800*time.Millisecond)):
		case <-ctx.Done():
			return nil
		}
	}
}

// nilIfEnded keeps a real failure during shutdown, and drops the mere echo of
// the cancellation.
func nilIfEnded(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	switch connector.ActionOf(err) {
	case connector.Fenced, connector.Retry:
		return nil
	}
	return err
}

func (r *Reader) session(ctx context.Context) (err error) {
	src, err := r.Log.Source(ctx, r.Group)
	if err != nil {
		return fmt.Errorf("joining consumer group %s: %w", r.Group, err)
	}
	s := r.NewSession(src)
	defer func() {
		s.Stop()
		err = errors.Join(err, src.Close())
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-s.Failed():
			cancel()
		case <-ctx.Done():
		}
	}()
	err = src.Run(ctx, s)
	cancel()
	<-watched
	if failure := s.Err(); failure != nil {
		return failure // rather than what it led to
	}
	return err
}

// Counts returns how many sessions were begun and how many ended fenced.
func (r *Reader) Counts() (sessions, fenced int64) { return r.sessions.Load(), r.fenced.Load() }

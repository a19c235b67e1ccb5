package capture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"
)

// newArchive completes an archive whose description is filled in.
func newArchive(a *archive) *archive {
	a.done = make(chan struct{})
	a.begun = make(chan struct{})
	a.enc = newEncoder()
	a.status = Status{Namespace: a.namespace, Hub: a.hub, Partition: a.partition}
	return a
}

// request asks for all events of now to be archived. The channel is closed when
// they are.
func (a *archive) request() <-chan struct{} {
	c := make(chan struct{})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, c)
	if a.interrupt != nil {
		a.interrupt()
	}
	return c
}

// finish makes the archive end after what there is now. The first call counts,
// except that a pause is more than a change.
func (a *archive) finish(how finish) {
	a.mu.Lock()
	before := a.finishing
	a.finishing = max(before, how)
	a.mu.Unlock()
	if before == goOn {
		a.request()
	}
}

func (a *archive) isFinishing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.finishing != goOn
}

func (a *archive) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// await waits for c, for the end of the archive, or for a failure that trying
// again does not mend.
func (a *archive) await(ctx context.Context, c <-chan struct{}) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c:
			return nil
		case <-a.done:
			return nil
		case <-ctx.Done():
			if err := a.failure(); err != nil {
				return fmt.Errorf("%w: %w", context.Cause(ctx), err)
			}
			return context.Cause(ctx)
		case <-tick.C:
			err := a.failure()
			if err != nil && connector.ActionOf(err) == connector.Fail && !passing(err) {
				return err
			}
		}
	}
}

// passing tells of an error without an action whether it may pass: those of
// this machine's disk, and of hubs that are going away.
func passing(err error) bool {
	var hint *connector.Hinted
	return !errors.As(err, &hint) || errors.Is(err, hub.ErrNotFound) || errors.Is(err, hub.ErrClosed)
}

func (a *archive) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status.Err
}

// noted tells that it is on disk where the archive begins, or that this failed.
func (a *archive) noted() { a.begunOnce.Do(func() { close(a.begun) }) }

func (a *archive) fail(err error) {
	a.noted()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status.Err = fmt.Errorf("capturing partition %d of hub %s: %w", a.partition, a.hub, err)
}

// well notes that things get on.
func (a *archive) well() {
	if a.fails == 0 {
		return
	}
	a.fails = 0
	if !a.said.IsZero() {
		a.said = time.Time{}
		a.logger.Info("Capture gets on again", "next", a.st.Next)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status.Err = nil
}

// tell publishes how far the archive is.
func (a *archive) tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.status
	s.Next, s.Files, s.Events, s.Bytes, s.LastFile = a.st.Next, a.st.Files, a.st.Events, a.st.Bytes, a.st.LastName
}

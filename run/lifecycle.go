package run

import (
	"context"
	"errors"
	"fmt"
)

// lifecycle stops what was started, in the opposite order, also when a later
// start fails half-way.
type lifecycle struct{ stops []namedStop }

type namedStop struct {
	name string
	stop func() error
}

func (l *lifecycle) started(name string, stop func() error) {
	l.stops = append(l.stops, namedStop{name, stop})
}

func (l *lifecycle) stop() error {
	var errs []error
	for len(l.stops) > 0 {
		last := l.stops[len(l.stops)-1]
		l.stops = l.stops[:len(l.stops)-1]
		if err := last.stop(); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}

// background runs fn until the returned stop is called, which cancels it and
// waits. Its error, if it ends by itself with one, goes to failed.
func background(ctx context.Context, failed func(error), fn func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		err := fn(ctx)
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		done <- err
	}()
	return func() error { cancel(); return <-done }
}

package local

import (
	"context"
	"runtime"
	"sync"
)

// queryMemory bounds what one query may take for sorting and grouping, in bytes.
const queryMemory = 32 << 20

// queryLimit bounds how many queries run at once, and so their memory: more of
// them than processors would only make all of them slower. The zero value is
// ready for use.
type queryLimit struct {
	once  sync.Once
	slots chan struct{}
}

// enter waits for a place; leave gives it back. The error is the context's.
func (l *queryLimit) enter(ctx context.Context) (leave func(), err error) {
	l.once.Do(func() { l.slots = make(chan struct{}, max(8, 2*runtime.GOMAXPROCS(0))) })
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

package local

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// queryMemory bounds what one query may take for sorting and grouping, in bytes.
const queryMemory = 32 << 20

// A client that does not wait any more is not noticed, so a query's time is
// bounded: after queryPageTime a page ends where it is, if the query is one that
// can go on there, and after queryTime, when clients have stopped waiting, any
// query is given up.
const (
	queryPageTime = 5 * time.Second
	queryTime     = time.Minute
)

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

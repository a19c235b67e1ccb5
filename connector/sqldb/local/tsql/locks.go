package tsql

import (
	"context"
	"slices"
	"sync"
	"time"
)

// lockMode says who else may hold a lock.
type lockMode uint8

const (
	shared lockMode = iota + 1
	exclusive
)

// lockResult is how a request for a lock ended.
type lockResult int

const (
	lockGranted lockResult = iota
	lockTimeout
	lockDeadlock
	lockCancelled
)

// locks are all locks of an engine: those of databases and those of
// applications, so that a deadlock over both kinds is found.
type locks struct {
	mu        sync.Mutex
	resources map[string]*resource
}

type resource struct {
	holders map[*Session]*holding
	queue   []*waiter
}

type holding struct {
	mode  lockMode
	count int
}

type waiter struct {
	session *Session
	mode    lockMode
	at      *resource
	granted chan struct{}
}

func newLocks() *locks { return &locks{resources: make(map[string]*resource)} }

// acquire waits for a lock: for ever if wait is negative. What a session
// holds already is counted, and made exclusive if it was shared.
func (l *locks) acquire(ctx context.Context, s *Session, key string, mode lockMode, wait time.Duration) lockResult {
	l.mu.Lock()
	r := l.resources[key]
	if r == nil {
		r = &resource{holders: make(map[*Session]*holding)}
		l.resources[key] = r
	}
	w := &waiter{session: s, mode: mode, at: r, granted: make(chan struct{})}
	held := r.holders[s]
	if r.compatible(w) && (held != nil || len(r.queue) == 0) {
		r.grant(w)
		l.mu.Unlock()
		return lockGranted
	}
	switch {
	case wait == 0:
		l.forget(key, r)
		l.mu.Unlock()
		return lockTimeout
	case l.closesCircle(w):
		l.mu.Unlock()
		return lockDeadlock
	}
	if held != nil { // who has a part of it goes before those who have none
		r.queue = slices.Insert(r.queue, 0, w)
	} else {
		r.queue = append(r.queue, w)
	}
	s.waiting = w
	l.mu.Unlock()
	return l.wait(ctx, key, w, wait)
}

func (l *locks) wait(ctx context.Context, key string, w *waiter, wait time.Duration) lockResult {
	var expired <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		expired = t.C
	}
	result := lockGranted
	select {
	case <-w.granted:
	case <-expired:
		result = lockTimeout
	case <-ctx.Done():
		result = lockCancelled
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w.session.waiting = nil
	select {
	case <-w.granted: // it may have come at the last moment
		return lockGranted
	default:
	}
	w.at.queue = slices.DeleteFunc(w.at.queue, func(o *waiter) bool { return o == w })
	w.at.advance()
	l.forget(key, w.at)
	return result
}

// closesCircle tells whether w would wait for somebody who waits for w.
func (l *locks) closesCircle(w *waiter) bool {
	// Whoever is found waiting behind the one that asks closes the circle.
	first := w.session
	for s := range w.at.holders {
		if s != first && leadsTo(s, first, map[*Session]bool{}) {
			return true
		}
	}
	for _, o := range w.at.queue {
		if leadsTo(o.session, first, map[*Session]bool{}) {
			return true
		}
	}
	return false
}

// leadsTo follows what s waits for, and what those wait for.
func leadsTo(s, target *Session, seen map[*Session]bool) bool {
	if seen[s] || s.waiting == nil {
		return false
	}
	seen[s] = true
	for other := range s.waiting.at.holders {
		if other != s && (other == target || leadsTo(other, target, seen)) {
			return true
		}
	}
	for _, o := range s.waiting.at.queue {
		if o == s.waiting {
			break
		}
		if o.session == target || leadsTo(o.session, target, seen) {
			return true
		}
	}
	return false
}

// compatible tells whether all other holders allow w.
func (r *resource) compatible(w *waiter) bool {
	for s, h := range r.holders {
		if s != w.session && (h.mode == exclusive || w.mode == exclusive) {
			return false
		}
	}
	return true
}

func (r *resource) grant(w *waiter) {
	h := r.holders[w.session]
	if h == nil {
		h = &holding{}
		r.holders[w.session] = h
	}
	h.mode = max(h.mode, w.mode)
	h.count++
	close(w.granted)
}

// advance lets in those at the front of the queue.
func (r *resource) advance() {
	for len(r.queue) > 0 && r.compatible(r.queue[0]) {
		r.grant(r.queue[0])
		r.queue = r.queue[1:]
	}
}

// release gives back one of the times that s has acquired the lock; false: it
// did not hold it.
func (l *locks) release(s *Session, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.resources[key]
	if r == nil || r.holders[s] == nil {
		return false
	}
	h := r.holders[s]
	if h.count--; h.count == 0 {
		delete(r.holders, s)
		r.advance()
		l.forget(key, r)
	}
	return true
}

func (l *locks) forget(key string, r *resource) {
	if len(r.holders) == 0 && len(r.queue) == 0 {
		delete(l.resources, key)
	}
}

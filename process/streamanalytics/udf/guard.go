package udf

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"
)

// guard ends calls that take too long or too much memory. Entering and leaving
// a call costs two atomic operations: a watcher of its own looks every tick
// whether the call it saw the last time is still running. The watcher starts
// with a call and ends itself when no calls come any more.
type guard struct {
	vm      *goja.Runtime
	options Options
	// state is the number of the call, shifted, and the flags below.
	state    atomic.Uint64
	watching atomic.Bool
	call     uint64
}

const (
	running = 1 << iota
	// fired: the watcher has decided to end the call; done: it has told the
	// engine.
	fired
	done
	flagBits = iota
)

const (
	tick = 10 * time.Millisecond
	// restAfter is how many ticks without a call end the watcher.
	restAfter = 100
)

// enter begins a call. Calls do not nest.
func (g *guard) enter() {
	g.call++
	g.state.Store(g.call<<flagBits | running)
	if !g.watching.Load() && g.watching.CompareAndSwap(false, true) {
		go g.watch()
	}
}

// leave ends the call that enter began.
func (g *guard) leave() {
	idle := g.call << flagBits
	if g.state.CompareAndSwap(idle|running, idle) {
		return
	}
	// The watcher is about to interrupt the engine: wait until it has, so
	// that the next call is not the one that is hit.
	for g.state.Load()&done == 0 {
		runtime.Gosched()
	}
	g.vm.ClearInterrupt()
	g.state.Store(idle)
}

// watch runs beside the calls. It counts its own ticks and not the time, so
// that a process which was stopped for a while is not taken for a long call.
func (g *guard) watch() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var (
		seen  uint64
		ticks time.Duration
		heap  int64
	)
	for range ticker.C {
		state := g.state.Load()
		if state != seen {
			seen, ticks = state, 0
			if state&running != 0 {
				heap = heapInUse()
			}
			continue
		}
		ticks++
		switch {
		case state&running == 0:
			if ticks >= restAfter && g.stopWatching(state) {
				return
			}
		case state&fired != 0:
		case ticks*tick > g.options.TimeLimit:
			g.interrupt(state, ErrTimeLimit)
		case heapInUse()-heap > g.options.MemoryLimit:
			// Part of it may be garbage, of this call or of others.
			runtime.GC()
			if now := heapInUse(); now-heap <= g.options.MemoryLimit {
				heap = now
			} else {
				g.interrupt(state, ErrMemoryLimit)
			}
		}
	}
}

// interrupt ends the call that has the given state, if it still runs.
func (g *guard) interrupt(state uint64, reason error) {
	if g.state.CompareAndSwap(state, state|fired) {
		g.vm.Interrupt(reason)
		g.state.Store(state | fired | done)
	}
}

// stopWatching ends the watcher unless a call has just begun.
func (g *guard) stopWatching(state uint64) bool {
	g.watching.Store(false)
	// A call that began before this line may have seen a watcher: it must
	// keep one. One that begins after it starts its own.
	return g.state.Load() == state || !g.watching.CompareAndSwap(false, true)
}

// heapInUse returns the bytes of heap objects, without stopping the program.
func heapInUse() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}

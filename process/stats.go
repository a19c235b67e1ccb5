package process

import (
	"sync"
	"sync/atomic"

	"millrace/record"
)

// Stats counts what a worker's runtimes did; it outlives them, so that counts
// go on when a session is restarted. Safe for concurrent use.
type Stats struct {
	inputs, inputBytes, results, duplicates, dead, written, replayed atomic.Int64
	watermark                                                        atomic.Int64

	// Delay is that of the watermarks of tasks that have one.
	Delay Delay

	mu        sync.Mutex
	state     map[int32]int64
	peakState int64
	positions map[int32]int64
	settled   map[int32]bool
}

// NewStats returns empty counters.
func NewStats() *Stats {
	s := &Stats{state: make(map[int32]int64), positions: make(map[int32]int64), settled: make(map[int32]bool)}
	s.watermark.Store(record.NoTime)
	return s
}

// Counts is a reading of Stats.
type Counts struct {
	// Inputs are log entries processed, with their bytes in InputBytes;
	// every one is a Result, a Duplicate or a Dead letter. Entries
	// processed again after a restart count again.
	Inputs, InputBytes, Results, Duplicates, Dead int64
	// Written are inputs whose outcome is stored.
	Written int64
	// Replayed are entries reread to rebuild state.
	Replayed int64
	// Watermark is the highest createdAt processed, or record.NoTime.
	Watermark int64
}

// Counts reads the counters.
func (s *Stats) Counts() Counts {
	return Counts{
		Inputs: s.inputs.Load(), InputBytes: s.inputBytes.Load(), Results: s.results.Load(),
		Duplicates: s.duplicates.Load(), Dead: s.dead.Load(), Written: s.written.Load(),
		Replayed: s.replayed.Load(), Watermark: s.watermark.Load(),
	}
}

// Positions returns the stored position of every partition owned now.
func (s *Stats) Positions() map[int32]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[int32]int64, len(s.positions))
	for p, pos := range s.positions {
		m[p] = pos
	}
	return m
}

func (s *Stats) position(p int32, pos int64) {
	s.mu.Lock()
	s.positions[p] = pos
	s.mu.Unlock()
}

func (s *Stats) forget(p int32) {
	s.mu.Lock()
	delete(s.positions, p)
	delete(s.state, p)
	delete(s.settled, p)
	s.mu.Unlock()
}

// holds notes how much state a task keeps.
func (s *Stats) holds(p int32, t Task) {
	sized, ok := t.(Sized)
	if !ok {
		return
	}
	bytes := sized.StateBytes()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state[p] = bytes
	sum := int64(0)
	for _, n := range s.state {
		sum += n
	}
	s.peakState = max(s.peakState, sum)
}

// PeakState is the most memory that the state of all tasks took at once, roughly.
func (s *Stats) PeakState() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peakState
}

// waiting notes whether a Clocked task has anything open.
func (s *Stats) waiting(p int32, is bool) {
	s.mu.Lock()
	if _, owned := s.positions[p]; owned {
		s.settled[p] = !is
	}
	s.mu.Unlock()
}

// Settled counts the partitions owned now whose tasks are Clocked, have read all
// that the log held when they were last told the time, and wait for nothing more.
func (s *Stats) Settled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, is := range s.settled {
		if is {
			n++
		}
	}
	return n
}

func (s *Stats) processed(b *record.Batch, results []record.Result, dead int, duplicates int64) {
	bytes := 0
	for i := range b.Records {
		bytes += len(b.Records[i].Value)
	}
	s.inputs.Add(int64(len(b.Records)))
	s.inputBytes.Add(int64(bytes))
	s.results.Add(int64(len(results)))
	s.dead.Add(int64(dead))
	s.duplicates.Add(duplicates)
	high := s.watermark.Load()
	for i := range results {
		high = max(high, results[i].CreatedAt)
	}
	for old := s.watermark.Load(); old < high && !s.watermark.CompareAndSwap(old, high); old = s.watermark.Load() {
	}
}

// Package metrics samples what all stages of a run have done so far. A sample
// feeds everything that shows a run: the live progress, the report's
// intervals and the Prometheus endpoint, so that they cannot disagree.
package metrics

import (
	"context"
	"sync"
	"time"
)

// Phase says what a run is doing.
type Phase string

// The phases of a run, in order.
const (
	Preparing Phase = "preparing"
	Streaming Phase = "streaming"
	Draining  Phase = "draining"
	// Settling: all is stored, but results that follow from time may come, such
	// as those of windows that are still open.
	Settling  Phase = "settling"
	Verifying Phase = "verifying"
	Finished  Phase = "finished"
)

// Sample is a reading of all counters at one moment. Counters only grow while
// one process runs.
type Sample struct {
	At      time.Time
	Elapsed time.Duration
	Phase   Phase

	// Target is how many unique events the simulator is going to send; 0
	// if no simulator runs here or it runs until stopped.
	Target int64
	// Rate is the offered rate in events per second; 0 is as fast as the
	// log takes it.
	Rate float64
	// Offered events are due by now, Acked ones acknowledged by the log;
	// Sent counts what was handed to the log's client, duplicates and
	// malformed events included.
	Offered, Unique, Sent, Acked, SentBytes int64
	InjectedDuplicates, Malformed           int64
	// Lag is how far the simulator is behind its schedule.
	Lag time.Duration
	// SendErrors are messages that the log refused for good.
	SendErrors int64

	// Processed entries were read and decoded; of these Duplicates were
	// dropped and DeadLettered could not be used.
	Processed, ProcessedBytes, Duplicates, DeadLettered int64
	// Replayed entries were reread to rebuild state after a start.
	Replayed int64
	// Sessions in the consumer group, and how many ended fenced.
	Sessions, Fenced int64

	// Stored rows are new in the store; StoreDuplicates it had already.
	Stored, StoreDuplicates, StoredBytes int64
	Writes                               int64
	// Throttled requests were refused for their rate, StoreThrottled of them
	// by the store.
	Retries, Throttled, StoreThrottled int64
	Charge                             float64
	// Outage is the store's error while it is being retried.
	Outage string

	// Backlog entries are in the log and not yet stored; -1 if unknown.
	Backlog, LogEntries int64

	// Verified rows have been read back so far.
	Verified int64

	CPUSeconds float64
	RSSBytes   int64
}

// Waiting is the number of events, not counting copies and malformed ones, that
// are due and not acknowledged by the log.
func (s *Sample) Waiting() int64 { return max(0, s.Offered-s.Unique) }

// AckedBytes is the size of the acknowledged messages. Which ones they are is
// not counted, so it is their share of what was handed to the client.
func (s *Sample) AckedBytes() int64 {
	if s.Sent == 0 {
		return 0
	}
	return int64(float64(s.SentBytes) * float64(s.Acked) / float64(s.Sent))
}

// Sampler reads a sample at every tick and hands it to its sinks.
type Sampler struct {
	gather func(ctx context.Context) Sample
	every  time.Duration
	sinks  []func(Sample)

	mu     sync.Mutex
	kept   []Sample
	stride int
	ticks  int
	last   Sample
}

// maxKept bounds the history: beyond it every other sample is dropped and the
// stride between kept ones doubles.
const maxKept = 7200

// NewSampler returns a sampler; Run starts it.
func NewSampler(every time.Duration, gather func(context.Context) Sample, sinks ...func(Sample)) *Sampler {
	return &Sampler{gather: gather, every: every, sinks: sinks, stride: 1}
}

// Run samples until ctx ends.
func (s *Sampler) Run(ctx context.Context) {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Take(ctx)
		}
	}
}

// Take reads a sample now.
func (s *Sampler) Take(ctx context.Context) Sample {
	sample := s.gather(ctx)
	s.mu.Lock()
	s.last = sample
	if s.ticks%s.stride == 0 {
		if len(s.kept) == maxKept {
			half := s.kept[:0]
			for i := 0; i < maxKept; i += 2 {
				half = append(half, s.kept[i])
			}
			s.kept, s.stride = half, s.stride*2
		}
		s.kept = append(s.kept, sample)
	}
	s.ticks++
	s.mu.Unlock()
	for _, sink := range s.sinks {
		sink(sample)
	}
	return sample
}

// Last returns the newest sample without taking one.
func (s *Sampler) Last() Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// History returns the samples kept, oldest first.
func (s *Sampler) History() []Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Sample(nil), s.kept...)
}

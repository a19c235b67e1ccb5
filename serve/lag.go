package serve

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// LagHistogram holds microseconds, up to an hour. Safe for concurrent use.
type LagHistogram struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newLagHistogram() *LagHistogram {
	return &LagHistogram{h: hdrhistogram.New(1, 3_600_000_000, 3)}
}

func (l *LagHistogram) record(micros, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Clamped to the histogram's range, which is RecordValues' only error.
	_ = l.h.RecordValues(min(max(micros, 0), 3_600_000_000), n)
}

// Quantile returns the given percentile (0 to 100) in microseconds.
func (l *LagHistogram) Quantile(q float64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.h.ValueAtQuantile(q)
}

// Max returns the largest value in microseconds.
func (l *LagHistogram) Max() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.h.Max()
}

// Mean returns the mean in microseconds.
func (l *LagHistogram) Mean() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.h.Mean()
}

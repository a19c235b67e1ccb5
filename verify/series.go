package verify

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxIntervals bounds the memory of a series: a longer run gets longer
// intervals, which the report states.
const maxIntervals = 1000

// ladder are the interval lengths tried when none is configured; each divides
// the next.
var ladder = []time.Duration{
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

// interval is one cell of a series.
type interval struct {
	in, out int64
	latency *hdrhistogram.Histogram // end to end; nil while out is 0
}

// series counts rows per interval. Rows come in any order, so all intervals
// are open at once.
type series struct {
	origin int64 // microseconds; the beginning of cells[0]
	width  int64 // microseconds
	auto   bool
	cells  []interval
}

// newSeries begins at origin. A width of 0 chooses one that fits the run.
func newSeries(origin int64, width time.Duration) *series {
	s := &series{origin: origin, width: width.Microseconds()}
	if s.width <= 0 {
		s.auto, s.width = true, ladder[0].Microseconds()
	}
	return s
}

// cell returns the interval of a time. Times before the origin count in the
// first interval; the caller has left out implausible ones.
func (s *series) cell(at int64) *interval {
	i := max(0, (at-s.origin)/s.width)
	for i >= maxIntervals {
		s.widen(s.next())
		i = max(0, (at-s.origin)/s.width)
	}
	for int64(len(s.cells)) <= i {
		s.cells = append(s.cells, interval{})
	}
	return &s.cells[i]
}

func (s *series) stored(at, endToEnd int64) {
	c := s.cell(at)
	c.out++
	if c.latency == nil {
		c.latency = hdrhistogram.New(100, int64(24*time.Hour/time.Microsecond), 2)
	}
	// The range is clamped, so that recording cannot fail.
	_ = c.latency.RecordValue(min(max(endToEnd, 0), c.latency.HighestTrackableValue()))
}

// next is how many of the present intervals make one of the next length.
func (s *series) next() int64 {
	if s.auto {
		for _, l := range ladder {
			if w := l.Microseconds(); w > s.width {
				return w / s.width
			}
		}
	}
	return 2
}

// widen merges every k neighbours.
func (s *series) widen(k int64) {
	merged := s.cells[:0]
	for i := 0; i < len(s.cells); i += int(k) {
		sum := s.cells[i]
		for _, c := range s.cells[i+1 : min(i+int(k), len(s.cells))] {
			sum.in += c.in
			sum.out += c.out
			switch {
			case sum.latency == nil:
				sum.latency = c.latency
			case c.latency != nil:
				sum.latency.Merge(c.latency)
			}
		}
		merged = append(merged, sum)
	}
	clear(s.cells[len(merged):])
	s.cells = merged
	s.width *= k
}

// settle widens an automatic series to the length that suits a run of the
// given length: 1 s below half a minute, 5 s below two minutes, else 10 s.
func (s *series) settle(run time.Duration) {
	want := 10 * time.Second
	switch {
	case run < 30*time.Second:
		want = time.Second
	case run < 2*time.Minute:
		want = 5 * time.Second
	}
	for s.auto && s.width < want.Microseconds() {
		s.widen(s.next())
	}
}

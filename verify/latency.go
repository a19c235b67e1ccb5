package verify

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"millrace/record"
)

// longest is the longest time that the percentiles tell apart: services
// that write in files of minutes, and outages of hours, fit.
const longest = int64(7 * 24 * time.Hour / time.Microsecond)

// backwards is how far a later stage's clock may lie before an earlier one's
// by granularity alone: logs keep milliseconds.
const backwards = -1000

// stage measures one stage, to three significant digits; the maximum exactly.
type stage struct {
	h         *hdrhistogram.Histogram
	sum, max  int64
	backwards int64
}

func newStage() stage { return stage{h: hdrhistogram.New(1, longest, 3)} }

// record takes one time in microseconds.
func (s *stage) record(us int64) {
	if us < 0 {
		if us < backwards {
			s.backwards++
		}
		us = 0
	}
	// The range is clamped, so that recording cannot fail.
	_ = s.h.RecordValue(min(us, longest))
	s.sum += us
	s.max = max(s.max, us)
}

func (s *stage) percentiles() Percentiles {
	n := s.h.TotalCount()
	if n == 0 {
		return Percentiles{}
	}
	q := s.h.ValueAtPercentilesSlice([]float64{50, 95, 99, 99.9})
	// A histogram's cell is named by its upper end, which may lie above the
	// largest value seen.
	for i := range q {
		q[i] = min(q[i], s.max)
	}
	return Percentiles{
		Count: n, Mean: micros(s.sum / n), P50: micros(q[0]), P95: micros(q[1]),
		P99: micros(q[2]), P999: micros(q[3]), Max: micros(s.max),
	}
}

// stages measures a run.
type stages struct{ endToEnd, ingest, process, serve stage }

func newStages() *stages {
	return &stages{endToEnd: newStage(), ingest: newStage(), process: newStage(), serve: newStage()}
}

// record takes one row whose times are plausible. due is when the event was to
// be sent; each tells whether the times of the stages are exact.
func (s *stages) record(r *record.Stored, due int64, each bool) {
	s.endToEnd.record(r.StoredAt - due)
	if !each {
		return
	}
	s.ingest.record(r.EnqueuedAt - due)
	s.process.record(r.ProcessedAt - r.EnqueuedAt)
	s.serve.record(r.StoredAt - r.ProcessedAt)
}

func (s *stages) latency() Latency {
	return Latency{
		EndToEnd: s.endToEnd.percentiles(), Ingest: s.ingest.percentiles(),
		Process: s.process.percentiles(), Serve: s.serve.percentiles(),
		Backwards: s.ingest.backwards + s.process.backwards + s.serve.backwards,
	}
}

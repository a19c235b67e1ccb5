package process

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"millrace/record"
)

// Watermarked is implemented by tasks that work in event time.
type Watermarked interface {
	// Watermark is the time, in microseconds, up to which the task has what it
	// needs: no result that it gives out from now on is about an earlier one.
	// record.NoTime before the first input.
	Watermark() int64
}

// Sized is implemented by tasks that keep state.
type Sized interface {
	// StateBytes is the memory that the state takes, roughly. It is asked for
	// after each batch.
	StateBytes() int64
}

// Delay counts how far behind the clock watermarks were, once for each batch, when it
// had been worked on: the service's metric "watermark delay". Safe for concurrent
// use.
type Delay struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

// mostDelay is the longest delay that is told from longer ones, in microseconds.
const mostDelay = int64(24 * time.Hour / time.Microsecond)

func (d *Delay) saw(t Task) {
	w, ok := t.(Watermarked)
	if !ok {
		return
	}
	at := w.Watermark()
	if at == record.NoTime {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.h == nil {
		d.h = hdrhistogram.New(1, mostDelay, 3)
	}
	// Clamped to the histogram's range, which is RecordValue's only error.
	_ = d.h.RecordValue(min(max(time.Now().UnixMicro()-at, 1), mostDelay))
}

// Quantiles returns how many batches were counted, and the mean, the given
// percentiles (0 to 100) and the longest delay.
func (d *Delay) Quantiles(of ...float64) (count int64, mean time.Duration, quantiles []time.Duration, longest time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	quantiles = make([]time.Duration, len(of))
	if d.h == nil {
		return 0, 0, quantiles, 0
	}
	for i, q := range of {
		quantiles[i] = time.Duration(d.h.ValueAtQuantile(q)) * time.Microsecond
	}
	return d.h.TotalCount(), time.Duration(d.h.Mean()) * time.Microsecond, quantiles, time.Duration(d.h.Max()) * time.Microsecond
}

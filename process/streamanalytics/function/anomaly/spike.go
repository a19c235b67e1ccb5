package anomaly

import (
	"math"
	"sync"
)

// minTrained is how many values make a history, if it may hold as many.
const minTrained = 10

type spikeAndDip struct {
	history
	mode Mode
	// share is the highest score of an anomaly.
	share  float64
	normal *[tableMask + 1]float64
}

// NewSpikeAndDip returns a detector of temporary anomalies. The confidence is
// in per cent, from 1 to 100; history is the number of events to learn from,
// from 2 to MaxHistory.
func NewSpikeAndDip(confidence float64, history int, mode Mode) (Detector, error) {
	share, err := parameters(confidence, history)
	if err != nil {
		return nil, err
	}
	d := &spikeAndDip{mode: mode, share: share, normal: normalTable()}
	d.max = history
	return d, nil
}

// Expire forgets the values of times before the given one.
func (d *spikeAndDip) Expire(before int64) {
	for d.expired(before) {
		d.pop()
	}
}

// Size returns the bytes that the history takes.
func (d *spikeAndDip) Size() int { return d.size() }

// AppendState appends the history.
func (d *spikeAndDip) AppendState(dst []byte) []byte { return d.appendState(dst) }

// ReadState replaces the history.
func (d *spikeAndDip) ReadState(b []byte) (rest []byte, err error) {
	d.first, d.n, d.sorted = 0, 0, d.sorted[:0]
	return d.readState(b, d.push)
}

// Add scores a value.
func (d *spikeAndDip) Add(v float64, at int64) (bool, float64) {
	if !finite(v) {
		return false, 1
	}
	score := 1.0
	trained := d.n >= min(minTrained, d.max)
	if trained {
		above, below := d.tails(v)
		switch d.mode {
		case Spikes:
			score = above
		case Dips:
			score = below
		default:
			score = min(1, 2*min(above, below))
		}
	}
	d.push(v, at)
	return trained && score <= d.share, score
}

// tails returns the probabilities of a value of at least and of at most v.
func (d *spikeAndDip) tails(v float64) (above, below float64) {
	s := d.sorted
	n := len(s)
	spread := s[n-1] - s[0]
	if spread == 0 {
		// All values are the same: the kernels have no width.
		switch {
		case v > s[0]:
			return 0, 1
		case v < s[0]:
			return 1, 0
		}
		return 1, 1
	}
	k := int(math.Ceil(math.Sqrt(float64(n))))
	// No kernel is narrower than the mean distance of neighbours, so that
	// values which repeat do not make others impossible.
	floor := spread / float64(n)
	sum := 0.0
	for i, x := range s {
		// A window of k neighbours around i stands for the nearest ones.
		low := max(0, min(i-k/2, n-1-k))
		high := min(n-1, low+k)
		width := max(x-s[low], s[high]-x, floor)
		z := (x-v)/width*tableSteps + tableReach*tableSteps
		switch {
		case z >= tableSize:
			sum++
		case z > 0:
			j := int(z)
			a := d.normal[j&tableMask]
			sum += a + (z-float64(j))*(d.normal[(j+1)&tableMask]-a)
		}
	}
	above = sum / float64(n)
	return above, 1 - above
}

// The table of the normal distribution function, which is looked up n times
// per event. It reaches 8 deviations to each side; beyond, it is 0 or 1.
const (
	tableReach = 8
	tableSteps = 128
	tableSize  = 2 * tableReach * tableSteps
	// tableMask spares the loop the checks of bounds.
	tableMask = 2*tableSize - 1
)

var normalTable = sync.OnceValue(func() *[tableMask + 1]float64 {
	t := new([tableMask + 1]float64)
	for i := range t {
		t[i] = math.Erfc(-(float64(i)/tableSteps-tableReach)/math.Sqrt2) / 2
	}
	return t
})

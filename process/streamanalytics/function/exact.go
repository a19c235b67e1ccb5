package function

import (
	"math"
	"unsafe"

	"millrace/process/streamanalytics/codec"
)

// expansion is a sum of floats without any rounding: its parts do not overlap
// and grow in magnitude, so a few of them hold what a sum of many floats needs
// (J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997). The
// zero expansion is 0. It must not be copied: parts may be a view of few.
type expansion struct {
	parts []float64
	// few is where parts live while they are few, as they nearly always are.
	few [3]float64
}

// add adds x, which must be finite. The sum must stay below the largest float.
func (e *expansion) add(x float64) {
	if e.parts == nil {
		e.parts = e.few[:0]
	}
	kept := e.parts[:0]
	for _, y := range e.parts {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		sum := x + y
		if rest := y - (sum - x); rest != 0 {
			kept = append(kept, rest)
		}
		x = sum
	}
	if x != 0 {
		kept = append(kept, x)
	}
	e.parts = kept
}

// addProduct adds x*y without rounding, unless the product is so small that
// its last bits have no float.
func (e *expansion) addProduct(x, y float64) {
	p := float64(x * y)
	e.add(p)
	e.add(math.FMA(x, y, -p))
}

// sum returns the float that is nearest to the sum.
func (e *expansion) sum() float64 {
	n := len(e.parts) - 1
	if n < 0 {
		return 0
	}
	total, rest := e.parts[n], 0.0
	for n--; n >= 0; n-- {
		x, y := total, e.parts[n]
		total = x + y
		if rest = y - (total - x); rest != 0 {
			break
		}
	}
	// The rest is half a unit in the last place at most. If it is exactly half,
	// the parts below decide, which the rounding above could not see.
	if n > 0 && (rest < 0) == (e.parts[n-1] < 0) && rest != 0 {
		if y := rest * 2; y == (total+y)-total {
			total += y
		}
	}
	return total
}

func (e *expansion) size() int {
	if len(e.parts) == 0 || cap(e.parts) <= len(e.few) {
		return 0
	}
	return cap(e.parts) * 8
}

func (e *expansion) appendState(dst []byte) []byte {
	dst = codec.AppendUint(dst, uint64(len(e.parts)))
	for _, p := range e.parts {
		dst = codec.AppendFloat(dst, p)
	}
	return dst
}

func (e *expansion) read(d *codec.Decoder) {
	e.parts = e.few[:0]
	n := d.Count(8)
	if n > mostParts {
		d.Fail("a sum has too many parts")
	}
	for range n {
		p := d.Float()
		if !(math.Abs(p) < largestPart) {
			d.Fail("a part of a sum is too large")
			return
		}
		// Adding them keeps damaged parts from overlapping.
		e.add(p)
	}
}

// Bounds for what is read: an expansion of floats has no more parts than fit
// between the largest and the smallest float, and nobody adds 2^40 floats near
// hugeFloat.
const (
	mostParts   = 64
	largestPart = 0x1p1010
)

// Floats from here on are summed apart, scaled down, so that no sum on the way
// to the result leaves the range of floats.
const (
	hugeFloat = 0x1p970
	hugeScale = 0x1p-200
)

// exactSum is a sum of floats that is rounded once, when it is asked for. So
// it depends neither on the order of the floats nor on sums that were merged,
// and what is taken out again leaves no trace. The zero exactSum is empty; it
// must not be copied.
type exactSum struct {
	small expansion
	rare  *rareSum
}

// rareSum is what few sums have: huge floats, and those that are no numbers.
type rareSum struct {
	huge          expansion
	nan, pos, neg int64
}

func (s *exactSum) add(x float64) {
	if math.Abs(x) < hugeFloat {
		s.small.add(x)
		return
	}
	s.addRare(x, 1)
}

func (s *exactSum) remove(x float64) {
	if math.Abs(x) < hugeFloat {
		s.small.add(-x)
		return
	}
	s.addRare(x, -1)
}

func (s *exactSum) addRare(x float64, times int64) {
	if s.rare == nil {
		s.rare = &rareSum{}
	}
	switch r := s.rare; {
	case math.IsNaN(x):
		r.nan += times
	case math.IsInf(x, 1):
		r.pos += times
	case math.IsInf(x, -1):
		r.neg += times
	default:
		r.huge.add(x * hugeScale * float64(times))
	}
}

// merge adds the floats of o.
func (s *exactSum) merge(o *exactSum) {
	for _, p := range o.small.parts {
		s.small.add(p)
	}
	if o.rare == nil {
		return
	}
	if s.rare == nil {
		s.rare = &rareSum{}
	}
	for _, p := range o.rare.huge.parts {
		s.rare.huge.add(p)
	}
	s.rare.nan += o.rare.nan
	s.rare.pos += o.rare.pos
	s.rare.neg += o.rare.neg
}

// result is the sum, rounded once. It is infinite if the sum is out of range
// or a float was infinite.
func (s *exactSum) result() float64 {
	r := s.rare
	switch {
	case r == nil:
		return s.small.sum()
	case r.nan > 0 || r.pos > 0 && r.neg > 0:
		return math.NaN()
	case r.pos > 0:
		return math.Inf(1)
	case r.neg > 0:
		return math.Inf(-1)
	case len(r.huge.parts) == 0:
		return s.small.sum()
	}
	var all expansion
	for _, p := range s.small.parts {
		all.add(p * hugeScale)
	}
	for _, p := range r.huge.parts {
		all.add(p)
	}
	return all.sum() / hugeScale
}

// infinite reports whether one of the floats was infinite.
func (s *exactSum) infinite() bool { return s.rare != nil && (s.rare.pos > 0 || s.rare.neg > 0) }

func (s *exactSum) size() int {
	n := s.small.size()
	if s.rare != nil {
		n += int(unsafe.Sizeof(*s.rare)) + s.rare.huge.size()
	}
	return n
}

func (s *exactSum) appendState(dst []byte) []byte {
	dst = s.small.appendState(dst)
	if s.rare == nil {
		return append(dst, 0)
	}
	dst = s.rare.huge.appendState(append(dst, 1))
	dst = codec.AppendInt(dst, s.rare.nan)
	dst = codec.AppendInt(dst, s.rare.pos)
	return codec.AppendInt(dst, s.rare.neg)
}

func (s *exactSum) read(d *codec.Decoder) {
	s.small.read(d)
	s.rare = nil
	if d.Bool() {
		s.rare = &rareSum{}
		s.rare.huge.read(d)
		s.rare.nan, s.rare.pos, s.rare.neg = d.Int(), d.Int(), d.Int()
	}
}

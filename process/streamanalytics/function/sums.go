package function

import (
	"fmt"
	"math"
	"math/bits"
	"unsafe"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/value"
)

// sums is the state of SUM and AVG. Bigints are summed in 128 bits, floats
// without rounding, so only the result can be out of range.
type sums struct {
	// n counts all numbers, floats those that are floats.
	n, floats int64
	hi        int64
	lo        uint64
	exact     *exactSum
	average   bool
}

func newSum(AggOptions) State { return &sums{} }

func newAvg(AggOptions) State { return &sums{average: true} }

func (s *sums) name() string {
	if s.average {
		return "AVG"
	}
	return "SUM"
}

func (s *sums) Add(args []value.Value, _ int64) error {
	v := args[0]
	switch v.Kind() {
	case value.Null:
		return nil
	case value.BigInt:
	default:
		var err error
		if v, err = number(s.name(), v); err != nil {
			return err
		}
	}
	s.n++
	if v.Kind() == value.BigInt {
		s.addInt(v.Int())
		return nil
	}
	if s.exact == nil {
		s.exact = &exactSum{}
	}
	s.floats++
	s.exact.add(v.Double())
	return nil
}

// Remove implements Remover.
func (s *sums) Remove(args []value.Value, _ int64) {
	v, err := number("", args[0])
	if err != nil {
		return
	}
	s.n--
	if v.Kind() == value.BigInt {
		s.subInt(v.Int())
		return
	}
	s.floats--
	s.exact.remove(v.Double())
}

func (s *sums) addInt(n int64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, uint64(n), 0)
	s.hi += n>>63 + int64(carry)
}

func (s *sums) subInt(n int64) {
	var borrow uint64
	s.lo, borrow = bits.Sub64(s.lo, uint64(n), 0)
	s.hi -= n>>63 + int64(borrow)
}

func (s *sums) Merge(other State) {
	o := other.(*sums)
	s.n += o.n
	s.floats += o.floats
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi += o.hi + int64(carry)
	if o.exact != nil {
		if s.exact == nil {
			s.exact = &exactSum{}
		}
		s.exact.merge(o.exact)
	}
}

// Result is NULL without numbers. AVG is a float; SUM is a bigint if all
// numbers are.
func (s *sums) Result() (value.Value, error) {
	if s.n == 0 {
		return value.Value{}, nil
	}
	if s.floats == 0 && !s.average {
		if s.hi != int64(s.lo)>>63 {
			return value.Value{}, fmt.Errorf("SUM of %d bigints does not fit a bigint: %w; CAST them AS float", s.n, value.ErrOverflow)
		}
		return value.Int(int64(s.lo)), nil
	}
	total := s.total()
	if math.IsInf(total, 0) && !s.exact.infinite() {
		return value.Value{}, fmt.Errorf("%s of %d numbers does not fit a float: %w", s.name(), s.n, value.ErrOverflow)
	}
	if s.average {
		total /= float64(s.n)
	}
	return value.Double(total), nil
}

// total is the sum of all numbers, rounded once.
func (s *sums) total() float64 {
	if s.exact != nil && s.hi == 0 && s.lo == 0 {
		return s.exact.result()
	}
	// Four pieces of 32 bits, of which the first has the sign: each is a float.
	var all exactSum
	all.add(float64(s.hi>>32) * 0x1p96)
	all.add(float64(uint32(s.hi)) * 0x1p64)
	all.add(float64(s.lo>>32) * 0x1p32)
	all.add(float64(uint32(s.lo)))
	if s.exact != nil {
		all.merge(s.exact)
	}
	return all.result()
}

func (s *sums) Size() int {
	n := int(unsafe.Sizeof(*s))
	if s.exact != nil {
		n += int(unsafe.Sizeof(*s.exact)) + s.exact.size()
	}
	return n
}

func (s *sums) AppendState(dst []byte) []byte {
	dst = codec.AppendInt(dst, s.n)
	dst = codec.AppendInt(dst, s.floats)
	dst = codec.AppendInt(dst, s.hi)
	dst = codec.AppendUint(dst, s.lo)
	dst = codec.AppendBool(dst, s.exact != nil)
	if s.exact != nil {
		dst = s.exact.appendState(dst)
	}
	return dst
}

func (s *sums) ReadState(b []byte) ([]byte, error) {
	d := codec.NewDecoder(b, ErrState)
	s.n, s.floats, s.hi, s.lo = d.Int(), d.Int(), d.Int(), d.Uint()
	s.exact = nil
	if d.Bool() {
		s.exact = &exactSum{}
		s.exact.read(d)
	} else if s.floats != 0 {
		d.Fail("a sum of floats is missing")
	}
	if d.Err() != nil {
		*s = sums{average: s.average}
	}
	return done(d, s.name())
}

// variance is the state of VAR, VARP, STDEV and STDEVP: the exact sums of the
// numbers and of their squares. Taken as floats would be, the difference of
// the two loses all digits where the numbers differ little; exactly, it loses
// none, and it merges and shrinks as sums do. That is why it is not computed
// with running means (Welford, Chan).
type variance struct {
	kind         *varianceKind
	n            int64
	sum, squares exactSum
}

type varianceKind struct {
	name string
	// sample: divide by n-1; root: the standard deviation.
	sample, root bool
}

func newVariance(name string, sample, root bool) func(AggOptions) State {
	kind := &varianceKind{name, sample, root}
	return func(AggOptions) State { return &variance{kind: kind} }
}

func (s *variance) Add(args []value.Value, _ int64) error {
	if args[0].IsNull() {
		return nil
	}
	v, err := number(s.kind.name, args[0])
	if err != nil {
		return err
	}
	x := v.Double()
	high, low := square(x)
	s.n++
	s.sum.add(x)
	s.squares.add(high)
	s.squares.add(low)
	return nil
}

// Remove implements Remover.
func (s *variance) Remove(args []value.Value, _ int64) {
	v, err := number("", args[0])
	if err != nil {
		return
	}
	x := v.Double()
	high, low := square(x)
	s.n--
	s.sum.remove(x)
	s.squares.remove(high)
	s.squares.remove(low)
}

// square is x*x as a sum of two floats.
func square(x float64) (high, low float64) {
	high = float64(x * x)
	if math.IsInf(high, 0) {
		return high, 0
	}
	return high, math.FMA(x, x, -high)
}

func (s *variance) Merge(other State) {
	o := other.(*variance)
	s.n += o.n
	s.sum.merge(&o.sum)
	s.squares.merge(&o.squares)
}

// Result is NULL without numbers, and for VAR and STDEV of one number, as in
// T-SQL.
func (s *variance) Result() (value.Value, error) {
	if s.n == 0 || s.n == 1 && s.kind.sample {
		return value.Value{}, nil
	}
	by := float64(s.n)
	if s.kind.sample {
		by--
	}
	r := max(0, s.deviations()) / by
	if s.kind.root {
		r = math.Sqrt(r)
	}
	if math.IsInf(r, 0) || math.IsNaN(r) {
		return value.Value{}, fmt.Errorf("%s of %d numbers does not fit a float: %w", s.kind.name, s.n, value.ErrOverflow)
	}
	return value.Double(r), nil
}

// deviations is the sum of (x-m)² for the mean m. With m as a float it is the
// sum of x² - 2mx + m², added up without rounding, less what m is beside the
// true mean.
func (s *variance) deviations() float64 {
	if r := s.squares.result(); s.sum.rare != nil || s.squares.rare != nil || math.IsInf(r, 0) || math.IsNaN(r) {
		return r - s.sum.result()/float64(s.n)*s.sum.result()
	}
	n := float64(s.n)
	m := s.sum.small.sum() / n
	var all, beside expansion
	for _, p := range s.squares.small.parts {
		all.add(p)
	}
	for _, p := range s.sum.small.parts {
		all.addProduct(-2*m, p)
		beside.add(p)
	}
	high, low := square(m)
	all.addProduct(n, high)
	all.addProduct(n, low)
	beside.addProduct(-n, m)
	d := beside.sum()
	return all.sum() - d*d/n
}

func (s *variance) Size() int {
	return int(unsafe.Sizeof(*s)) + s.sum.size() + s.squares.size()
}

func (s *variance) AppendState(dst []byte) []byte {
	return s.squares.appendState(s.sum.appendState(codec.AppendInt(dst, s.n)))
}

func (s *variance) ReadState(b []byte) ([]byte, error) {
	d := codec.NewDecoder(b, ErrState)
	s.n = d.Int()
	s.sum.read(d)
	s.squares.read(d)
	if d.Err() != nil {
		*s = variance{kind: s.kind}
	}
	return done(d, s.kind.name)
}

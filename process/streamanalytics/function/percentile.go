package function

import (
	"math"
	"slices"
	"unsafe"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/value"
)

// percentileOptions are what one call of a percentile says.
type percentileOptions struct {
	name string
	// discrete: the result is one of the values.
	discrete bool
	desc     bool
	fraction float64
}

// percentile is the state of PERCENTILE_CONT and PERCENTILE_DISC: all values.
// Bigints and floats are kept apart, eight bytes each.
type percentile struct {
	options *percentileOptions
	ints    []int64
	floats  []float64
	// sorted: ints and floats are in order.
	sorted bool
}

func newPercentile(name string, discrete bool) func(AggOptions) State {
	return func(o AggOptions) State {
		return &percentile{options: &percentileOptions{name, discrete, len(o.OrderDesc) > 0 && o.OrderDesc[0], o.Fraction}}
	}
}

// Add takes the key of ORDER BY as the only argument.
func (s *percentile) Add(args []value.Value, _ int64) error {
	v := args[0]
	switch v.Kind() {
	case value.Null:
		return nil
	case value.String:
		// Unlike SUM, these are documented to take nothing else.
		return refuse(s.options.name, "numbers", v)
	}
	v, err := number(s.options.name, v)
	if err != nil {
		return err
	}
	s.sorted = false
	if v.Kind() == value.BigInt {
		s.ints = append(s.ints, v.Int())
	} else {
		s.floats = append(s.floats, v.Double())
	}
	return nil
}

// Remove implements Remover.
func (s *percentile) Remove(args []value.Value, _ int64) {
	if args[0].Kind() == value.String {
		return
	}
	v, err := number("", args[0])
	if err != nil {
		return
	}
	s.sort()
	if v.Kind() == value.BigInt {
		if i, ok := slices.BinarySearch(s.ints, v.Int()); ok {
			s.ints = slices.Delete(s.ints, i, i+1)
		}
	} else if i, ok := slices.BinarySearch(s.floats, v.Double()); ok {
		s.floats = slices.Delete(s.floats, i, i+1)
	}
}

func (s *percentile) sort() {
	if !s.sorted {
		slices.Sort(s.ints)
		slices.Sort(s.floats)
		s.sorted = true
	}
}

func (s *percentile) Merge(other State) {
	o := other.(*percentile)
	s.ints = append(s.ints, o.ints...)
	s.floats = append(s.floats, o.floats...)
	s.sorted = false
}

// at returns the i-th value in ascending order, of bigints and floats that are
// equal the bigint first. Both are sorted.
func (s *percentile) at(i int) value.Value {
	switch {
	case len(s.floats) == 0:
		return value.Int(s.ints[i])
	case len(s.ints) == 0:
		return value.Double(s.floats[i])
	}
	// As many bigints are among the first i values as bisection finds: those
	// with fewer than i-k floats before them.
	low, high := max(0, i-len(s.floats)), min(i, len(s.ints))
	for low < high {
		k := (low + high) / 2
		if f := i - k - 1; value.Order(value.Int(s.ints[k]), value.Double(s.floats[f])) <= 0 {
			low = k + 1
		} else {
			high = k
		}
	}
	k, f := low, i-low
	if f >= len(s.floats) || k < len(s.ints) && value.Order(value.Int(s.ints[k]), value.Double(s.floats[f])) <= 0 {
		return value.Int(s.ints[k])
	}
	return value.Double(s.floats[f])
}

// Result is NULL without values.
func (s *percentile) Result() (value.Value, error) {
	n := len(s.ints) + len(s.floats)
	if n == 0 {
		return value.Value{}, nil
	}
	s.sort()
	p := s.options.fraction
	if s.options.discrete {
		return s.at(s.place(discreteIndex(p, n), n)), nil
	}
	at := p * float64(n-1)
	low := min(max(int(at), 0), n-1)
	a := s.at(s.place(low, n)).Double()
	rest := at - float64(low)
	if rest <= 0 || low == n-1 {
		return value.Double(a), nil
	}
	b := s.at(s.place(low+1, n)).Double()
	return value.Double(a + rest*(b-a)), nil
}

// place turns an index of the order asked for into one of ascending order.
func (s *percentile) place(i, n int) int {
	if s.options.desc {
		return n - 1 - i
	}
	return i
}

// discreteIndex is the first index whose share of n values, itself included, is
// p or more.
func discreteIndex(p float64, n int) int {
	i := min(max(int(math.Ceil(p*float64(n)))-1, 0), n-1)
	// The product may have been rounded up across a whole number.
	for i > 0 && float64(i)/float64(n) >= p {
		i--
	}
	return i
}

func (s *percentile) Size() int {
	return int(unsafe.Sizeof(*s)) + int(unsafe.Sizeof(*s.options)) + 8*(cap(s.ints)+cap(s.floats))
}

func (s *percentile) AppendState(dst []byte) []byte {
	dst = codec.AppendUint(dst, uint64(len(s.ints)))
	for _, n := range s.ints {
		dst = codec.AppendInt(dst, n)
	}
	dst = codec.AppendUint(dst, uint64(len(s.floats)))
	for _, f := range s.floats {
		dst = codec.AppendFloat(dst, f)
	}
	return dst
}

func (s *percentile) ReadState(b []byte) ([]byte, error) {
	d := codec.NewDecoder(b, ErrState)
	s.ints, s.floats, s.sorted = nil, nil, false
	if n := d.Count(1); n > 0 {
		s.ints = make([]int64, n)
	}
	for i := range s.ints {
		s.ints[i] = d.Int()
	}
	if n := d.Count(8); n > 0 {
		s.floats = make([]float64, n)
	}
	for i := range s.floats {
		s.floats[i] = d.Float()
	}
	return done(d, s.options.name)
}

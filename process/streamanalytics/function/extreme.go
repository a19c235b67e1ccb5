package function

import (
	"fmt"
	"unsafe"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/value"
)

// extremeKind is MIN or MAX.
type extremeKind struct {
	name string
	// sign is what value.Order gives for a value that beats another one.
	sign int
	// text: texts are compared as texts, even if they read as numbers.
	text bool
}

func newExtreme(name string, sign int) func(AggOptions) State {
	plain, text := &extremeKind{name, sign, false}, &extremeKind{name, sign, true}
	return func(o AggOptions) State {
		kind := plain
		if o.Text {
			kind = text
		}
		if o.Sliding {
			return &slidingExtreme{kind: kind}
		}
		return &extreme{kind: kind}
	}
}

// take returns the value as it is compared, or an error if it has no order or
// none that goes with beside. A text that reads as a number is a float, unless
// the argument is known to be text.
func (k *extremeKind) take(v, beside value.Value) (value.Value, error) {
	switch v.Kind() {
	case value.Record, value.Array:
		return v, refuse(k.name, "bits, numbers, datetimes and texts", v)
	case value.String:
		if !k.text {
			if f := value.TryCast(v, value.Float); !f.IsNull() {
				v = f
			}
		}
	}
	if !beside.IsNull() && class(v) != class(beside) {
		return v, fmt.Errorf("%s can not compare %s with %s; CAST them to one type", k.name, describe(v), describe(beside))
	}
	return v, nil
}

// class tells what kinds can be compared with each other: numbers, datetimes,
// texts.
func class(v value.Value) value.Kind {
	switch v.Kind() {
	case value.Bit, value.BigInt:
		return value.Float
	}
	return v.Kind()
}

// beats reports whether a is to be kept rather than b. Of equal values that
// differ all the same (1 and 1.0, "a" and "A") one is preferred, so that the
// order of arrival does not show.
func (k *extremeKind) beats(a, b value.Value) bool {
	if c := value.Order(a, b) * k.sign; c != 0 {
		return c > 0
	}
	if a.Kind() != b.Kind() {
		return a.Kind() < b.Kind()
	}
	return a.Kind() == value.String && a.Str() < b.Str()
}

// extreme is the state of MIN or MAX.
type extreme struct {
	kind *extremeKind
	// best is NULL as long as there is none.
	best value.Value
	// mixed: values have been merged that can not be compared.
	mixed bool
}

func (s *extreme) Add(args []value.Value, _ int64) error {
	if args[0].IsNull() {
		return nil
	}
	v, err := s.kind.take(args[0], s.best)
	if err == nil && (s.best.IsNull() || s.kind.beats(v, s.best)) {
		s.best = v.Clone()
	}
	return err
}

func (s *extreme) Merge(other State) {
	o := other.(*extreme)
	s.mixed = s.mixed || o.mixed || !s.best.IsNull() && !o.best.IsNull() && class(s.best) != class(o.best)
	if s.best.IsNull() || !o.best.IsNull() && s.kind.beats(o.best, s.best) {
		s.best = o.best
	}
}

func (s *extreme) Result() (value.Value, error) {
	if s.mixed {
		return value.Value{}, mixed(s.kind.name)
	}
	return s.best, nil
}

func mixed(name string) error {
	return fmt.Errorf("%s can not compare the values of a group, which are of several types; CAST them to one type", name)
}

func (s *extreme) Size() int { return int(unsafe.Sizeof(*s)) + s.best.MemSize() }

func (s *extreme) AppendState(dst []byte) []byte {
	return s.best.AppendState(codec.AppendBool(dst, s.mixed))
}

func (s *extreme) ReadState(b []byte) ([]byte, error) {
	d := codec.NewDecoder(b, ErrState)
	s.mixed, s.best = d.Bool(), d.Value()
	if d.Err() != nil {
		s.mixed, s.best = false, value.Value{}
	}
	return done(d, s.kind.name)
}

// slidingExtreme is the state of MIN or MAX whose rows leave in the order in
// which they came. It keeps the best value, behind it the best one of those
// that came later, and so on: each may be the best when those before it have
// left. A row costs constant time on average.
type slidingExtreme struct {
	kind *extremeKind
	// added and removed count the rows that are not NULL.
	added, removed uint64
	queue          []numbered
	// bytes is what the queue's values hold beside it.
	bytes int
	mixed bool
}

// numbered is a value with its row's number.
type numbered struct {
	row uint64
	value.Value
}

func (s *slidingExtreme) Add(args []value.Value, _ int64) error {
	if args[0].IsNull() {
		return nil
	}
	var beside value.Value
	if len(s.queue) > 0 {
		beside = s.queue[0].Value
	}
	v, err := s.kind.take(args[0], beside)
	if err != nil {
		return err
	}
	s.push(numbered{s.added, v.Clone()})
	s.added++
	return nil
}

func (s *slidingExtreme) push(n numbered) {
	last := len(s.queue)
	for last > 0 && !s.kind.beats(s.queue[last-1].Value, n.Value) {
		last--
		s.bytes -= s.queue[last].MemSize()
	}
	clear(s.queue[last:])
	s.queue = append(s.queue[:last], n)
	s.bytes += n.MemSize()
}

// Remove implements Remover.
func (s *slidingExtreme) Remove(args []value.Value, _ int64) {
	if args[0].IsNull() || s.removed == s.added {
		return
	}
	s.removed++
	if len(s.queue) > 0 && s.queue[0].row < s.removed {
		s.bytes -= s.queue[0].MemSize()
		s.queue[0] = numbered{}
		s.queue = s.queue[1:]
	}
	if len(s.queue) == 0 {
		s.queue, s.mixed = nil, false
	}
}

func (s *slidingExtreme) Merge(other State) {
	o := other.(*slidingExtreme)
	s.mixed = s.mixed || o.mixed ||
		len(s.queue) > 0 && len(o.queue) > 0 && class(s.queue[0].Value) != class(o.queue[0].Value)
	for _, n := range o.queue {
		s.push(numbered{s.added + n.row - o.removed, n.Value})
	}
	s.added += o.added - o.removed
}

func (s *slidingExtreme) Result() (value.Value, error) {
	switch {
	case s.mixed:
		return value.Value{}, mixed(s.kind.name)
	case len(s.queue) == 0:
		return value.Value{}, nil
	}
	return s.queue[0].Value, nil
}

func (s *slidingExtreme) Size() int {
	return int(unsafe.Sizeof(*s)) + cap(s.queue)*int(unsafe.Sizeof(numbered{})) + s.bytes
}

func (s *slidingExtreme) AppendState(dst []byte) []byte {
	dst = codec.AppendBool(dst, s.mixed)
	dst = codec.AppendUint(dst, s.added-s.removed)
	dst = codec.AppendUint(dst, uint64(len(s.queue)))
	for _, n := range s.queue {
		dst = n.Value.AppendState(codec.AppendUint(dst, n.row-s.removed))
	}
	return dst
}

func (s *slidingExtreme) ReadState(b []byte) ([]byte, error) {
	d := codec.NewDecoder(b, ErrState)
	*s = slidingExtreme{kind: s.kind, mixed: d.Bool(), added: d.Uint()}
	for range d.Count(2) {
		n := numbered{d.Uint(), d.Value()}
		if n.row >= s.added || n.Kind() == value.Record || n.Kind() == value.Array {
			d.Fail("a value belongs to no row")
		}
		if d.Err() != nil {
			break
		}
		s.push(n)
	}
	if d.Err() != nil {
		*s = slidingExtreme{kind: s.kind}
	}
	return done(d, s.kind.name)
}

package function

import (
	"maps"
	"slices"
	"unsafe"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/value"
)

// counter is the state of COUNT(*) and COUNT(x): a number and no more, because
// there may be millions of groups.
type counter int64

func newCount(o AggOptions) State {
	if o.Distinct {
		return &distinct{}
	}
	return new(counter)
}

// Add counts a row, unless it has an argument and that is NULL.
func (s *counter) Add(args []value.Value, _ int64) error {
	if len(args) == 0 || !args[0].IsNull() {
		*s++
	}
	return nil
}

// Remove implements Remover.
func (s *counter) Remove(args []value.Value, _ int64) {
	if len(args) == 0 || !args[0].IsNull() {
		*s--
	}
}

func (s *counter) Merge(other State) { *s += *other.(*counter) }

func (s *counter) Result() (value.Value, error) { return value.Int(int64(*s)), nil }

func (s *counter) Size() int { return 8 }

func (s *counter) AppendState(dst []byte) []byte { return codec.AppendInt(dst, int64(*s)) }

func (s *counter) ReadState(b []byte) ([]byte, error) {
	d := codec.NewDecoder(b, ErrState)
	*s = counter(d.Int())
	return done(d, "COUNT")
}

// distinct is the state of COUNT(DISTINCT x): how often every value has come,
// by its key. Values are the same as GROUP BY takes them.
type distinct struct {
	// times points to the numbers, so that one more of a value that is there
	// takes no memory.
	times map[string]*int64
	// bytes is the length of all keys, scratch the memory for the next one.
	bytes   int
	scratch []byte
}

// mapEntry is what an entry of a map takes beside its key's text, roughly.
const mapEntry = 56

func (s *distinct) Add(args []value.Value, _ int64) error {
	if args[0].IsNull() {
		return nil
	}
	s.scratch = args[0].AppendKey(s.scratch[:0])
	if n := s.times[string(s.scratch)]; n != nil {
		*n++
		return nil
	}
	s.add(string(s.scratch), 1)
	return nil
}

func (s *distinct) add(key string, times int64) {
	if n := s.times[key]; n != nil {
		*n += times
		return
	}
	if s.times == nil {
		s.times = map[string]*int64{}
	}
	s.times[key] = &times
	s.bytes += len(key)
}

// Remove implements Remover.
func (s *distinct) Remove(args []value.Value, _ int64) {
	if args[0].IsNull() {
		return
	}
	s.scratch = args[0].AppendKey(s.scratch[:0])
	n := s.times[string(s.scratch)]
	if n == nil {
		return
	}
	if *n--; *n == 0 {
		delete(s.times, string(s.scratch))
		s.bytes -= len(s.scratch)
	}
}

func (s *distinct) Merge(other State) {
	for key, n := range other.(*distinct).times {
		s.add(key, *n)
	}
}

func (s *distinct) Result() (value.Value, error) { return value.Int(int64(len(s.times))), nil }

func (s *distinct) Size() int {
	return int(unsafe.Sizeof(*s)) + s.bytes + len(s.times)*mapEntry + cap(s.scratch)
}

// AppendState writes the keys in order, so that equal states have equal bytes.
func (s *distinct) AppendState(dst []byte) []byte {
	dst = codec.AppendUint(dst, uint64(len(s.times)))
	for _, key := range slices.Sorted(maps.Keys(s.times)) {
		dst = codec.AppendBytes(dst, key)
		dst = codec.AppendInt(dst, *s.times[key])
	}
	return dst
}

func (s *distinct) ReadState(b []byte) ([]byte, error) {
	*s = distinct{scratch: s.scratch}
	d := codec.NewDecoder(b, ErrState)
	for range d.Count(2) {
		key, n := d.Text(), d.Int()
		if n < 1 {
			d.Fail("a value has come less than once")
			break
		}
		s.add(key, n)
	}
	return done(d, "COUNT(DISTINCT)")
}

package function

import (
	"cmp"
	"slices"
	"unsafe"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/value"
)

// collected is the state of COLLECT: all values in the order of their times,
// those of one time as they came. The service promises no order; this one
// makes results repeatable.
type collected struct {
	rows []timed
	// bytes is what the values hold beside rows.
	bytes int
}

type timed struct {
	at int64
	value.Value
}

func newCollect(AggOptions) State { return &collected{} }

// Add takes the value, or the whole event. NULL is left out as all aggregates
// do.
func (s *collected) Add(args []value.Value, at int64) error {
	if !args[0].IsNull() {
		s.insert(timed{at, args[0].Clone()})
	}
	return nil
}

// insert puts a row behind those of its time. Rows mostly come in order.
func (s *collected) insert(t timed) {
	i := len(s.rows)
	if i > 0 && s.rows[i-1].at > t.at {
		i, _ = slices.BinarySearchFunc(s.rows, t.at, func(r timed, at int64) int {
			if r.at <= at {
				return -1
			}
			return 1
		})
	}
	s.rows = slices.Insert(s.rows, i, t)
	s.bytes += t.MemSize()
}

// Remove implements Remover.
func (s *collected) Remove(args []value.Value, at int64) {
	if args[0].IsNull() {
		return
	}
	i := 0
	if len(s.rows) > 0 && s.rows[0].at != at {
		i, _ = slices.BinarySearchFunc(s.rows, at, func(r timed, at int64) int { return cmp.Compare(r.at, at) })
	}
	if i >= len(s.rows) || s.rows[i].at != at {
		return
	}
	s.bytes -= s.rows[i].MemSize()
	if i == 0 {
		s.rows[0] = timed{}
		s.rows = s.rows[1:]
		return
	}
	s.rows = slices.Delete(s.rows, i, i+1)
}

func (s *collected) Merge(other State) {
	for _, r := range other.(*collected).rows {
		s.insert(r)
	}
}

func (s *collected) Result() (value.Value, error) {
	all := make([]value.Value, len(s.rows))
	for i, r := range s.rows {
		all[i] = r.Value
	}
	return value.NewArray(all), nil
}

func (s *collected) Size() int {
	return int(unsafe.Sizeof(*s)) + cap(s.rows)*int(unsafe.Sizeof(timed{})) + s.bytes
}

func (s *collected) AppendState(dst []byte) []byte {
	dst = codec.AppendUint(dst, uint64(len(s.rows)))
	for _, r := range s.rows {
		dst = r.Value.AppendState(codec.AppendInt(dst, r.at))
	}
	return dst
}

func (s *collected) ReadState(b []byte) ([]byte, error) {
	*s = collected{}
	d := codec.NewDecoder(b, ErrState)
	for range d.Count(2) {
		r := timed{d.Int(), d.Value()}
		if d.Err() != nil {
			break
		}
		s.insert(r)
	}
	return done(d, "COLLECT")
}

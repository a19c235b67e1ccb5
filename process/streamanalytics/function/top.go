package function

import (
	"cmp"
	"slices"
	"unsafe"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/value"
)

// topOptions are what one call of TOPONE or COLLECTTOP says.
type topOptions struct {
	name string
	n    int
	desc []bool
}

// top is the state of TOPONE and COLLECTTOP: the first n rows by the keys of
// ORDER BY. Of rows with equal keys the earlier comes first.
type top struct {
	options *topOptions
	// items are in order.
	items []topItem
	// added counts the rows that came, removed those that left again.
	added, removed uint64
	// bytes is what the items hold beside the slice.
	bytes int
	// scratch is memory for the keys of a row that may not be kept.
	scratch []value.Value
}

type topItem struct {
	keys []value.Value
	value.Value
	at  int64
	row uint64
	// worse counts the rows that came later and are before this one: with n of
	// them it will never show, as they leave later.
	worse int
}

func (t *topItem) size() int {
	n := t.MemSize() + len(t.keys)*int(unsafe.Sizeof(value.Value{}))
	for _, k := range t.keys {
		n += k.MemSize()
	}
	return n
}

// slidingTop is a top whose rows leave in the order in which they came. It
// keeps the rows that show and those that may show when others leave.
type slidingTop struct{ top }

func newTop(name string) func(AggOptions) State {
	return func(o AggOptions) State {
		options := &topOptions{name, o.N, o.OrderDesc}
		if name == topOne {
			options.n = 1
		}
		if o.Sliding {
			return &slidingTop{top{options: options}}
		}
		return &top{options: options}
	}
}

// topOne and collectTop are the names as the documentation spells them.
const (
	topOne     = "TopOne"
	collectTop = "CollectTop"
)

// compare orders rows by the keys, then by time, then as they came.
func (o *topOptions) compare(a, b *topItem) int {
	for i := range a.keys {
		if c := value.Order(a.keys[i], b.keys[i]); c != 0 {
			if i < len(o.desc) && o.desc[i] {
				return -c
			}
			return c
		}
	}
	if c := cmp.Compare(a.at, b.at); c != 0 {
		return c
	}
	return cmp.Compare(a.row, b.row)
}

// orderKey is a key as it is ordered: NULL lowest, then numbers, then
// datetimes. A text has to read as one of them.
func orderKey(name string, v value.Value) (value.Value, error) {
	switch v.Kind() {
	case value.Null, value.Bit, value.BigInt, value.Float, value.DateTime:
		return v, nil
	case value.String:
		if f := value.TryCast(v, value.Float); !f.IsNull() {
			return f, nil
		}
		if t := value.TryCast(v, value.DateTime); !t.IsNull() {
			return t, nil
		}
	}
	return v, refuse(name, "numbers and datetimes in ORDER BY", v)
}

// keys appends the keys of a row, which come behind its value.
func (o *topOptions) keys(dst, args []value.Value) ([]value.Value, error) {
	for _, a := range args[1:] {
		k, err := orderKey(o.name, a)
		if err != nil {
			return dst, err
		}
		dst = append(dst, k)
	}
	return dst, nil
}

// Add takes the value, or the whole event, then the keys.
func (s *top) Add(args []value.Value, at int64) error {
	item, ok, err := s.take(args, at)
	if err == nil && ok {
		s.insert(item)
	}
	return err
}

// take makes an item of a row; ok is false if it can not be among the first n.
// Only then is nothing cloned.
func (s *top) take(args []value.Value, at int64) (item topItem, ok bool, err error) {
	keys, err := s.options.keys(s.scratch[:0], args)
	if err != nil {
		return item, false, err
	}
	s.scratch = keys
	item = topItem{keys: keys, at: at, row: s.added}
	s.added++
	if n := len(s.items); s.options.n < 1 || n >= s.options.n && s.options.compare(&s.items[s.options.n-1], &item) < 0 {
		return topItem{}, false, nil
	}
	// Keys are numbers and datetimes, which hold no memory of others.
	item.keys = slices.Clone(keys)
	item.Value = args[0].Clone()
	return item, true, nil
}

func (s *top) find(item *topItem) int {
	i, _ := slices.BinarySearchFunc(s.items, item, func(a topItem, b *topItem) int { return s.options.compare(&a, b) })
	return i
}

func (s *top) insert(item topItem) {
	s.items = slices.Insert(s.items, s.find(&item), item)
	s.bytes += item.size()
	if last := len(s.items) - 1; last >= s.options.n {
		s.bytes -= s.items[last].size()
		s.items[last] = topItem{}
		s.items = s.items[:last]
	}
}

func (s *top) Merge(other State) {
	o := other.(*top)
	for _, item := range o.items {
		item.row += s.added
		if i := s.find(&item); i < s.options.n {
			s.insert(item)
		}
	}
	s.added += o.added
}

func (s *top) Result() (value.Value, error) {
	if s.options.name == topOne {
		if len(s.items) == 0 {
			return value.Value{}, nil
		}
		return s.items[0].Value, nil
	}
	ranked := make([]value.Value, min(len(s.items), s.options.n))
	for i := range ranked {
		ranked[i] = value.NewRecord([]value.Member{
			{Name: "rank", Value: value.Int(int64(i) + 1)},
			{Name: "value", Value: s.items[i].Value},
		})
	}
	return value.NewArray(ranked), nil
}

func (s *top) Size() int {
	return int(unsafe.Sizeof(*s)) + int(unsafe.Sizeof(*s.options)) + cap(s.items)*int(unsafe.Sizeof(topItem{})) + s.bytes +
		cap(s.scratch)*int(unsafe.Sizeof(value.Value{}))
}

// AppendState counts rows from the first that has not left.
func (s *top) AppendState(dst []byte) []byte {
	dst = codec.AppendUint(dst, s.added-s.removed)
	dst = codec.AppendUint(dst, uint64(len(s.items)))
	for i := range s.items {
		t := &s.items[i]
		dst = codec.AppendUint(dst, t.row-s.removed)
		dst = codec.AppendInt(dst, t.at)
		dst = codec.AppendUint(dst, uint64(len(t.keys)))
		for _, k := range t.keys {
			dst = k.AppendState(dst)
		}
		dst = t.Value.AppendState(dst)
	}
	return dst
}

func (s *top) read(b []byte, insert func(topItem)) ([]byte, error) {
	d := codec.NewDecoder(b, ErrState)
	s.items, s.bytes, s.removed = nil, 0, 0
	rows := d.Uint()
	var items []topItem
	for range d.Count(4) {
		t := topItem{row: d.Uint(), at: d.Int()}
		keys := d.Count(1)
		if keys != len(s.options.desc) || t.row >= rows {
			d.Fail("a row has the wrong keys or number")
		}
		for range keys {
			if d.Err() == nil {
				t.keys = append(t.keys, d.Value())
			}
		}
		t.Value = d.Value()
		if d.Err() != nil {
			break
		}
		items = append(items, t)
	}
	if d.Err() == nil && s.options.n > 0 {
		// In the order in which they came, as if they came again.
		slices.SortFunc(items, func(a, b topItem) int { return cmp.Compare(a.row, b.row) })
		for _, t := range items {
			insert(t)
		}
		s.added = rows
	} else {
		s.added = 0
	}
	return done(d, s.options.name)
}

func (s *top) ReadState(b []byte) ([]byte, error) { return s.read(b, s.insert) }

// Add takes the value, or the whole event, then the keys.
func (s *slidingTop) Add(args []value.Value, at int64) error {
	if s.options.n < 1 {
		return nil
	}
	keys, err := s.options.keys(nil, args)
	if err != nil {
		return err
	}
	s.insert(topItem{keys: keys, Value: args[0].Clone(), at: at, row: s.added})
	s.added++
	return nil
}

// insert adds a row that is later than all others, and drops those that will
// not show any more.
func (s *slidingTop) insert(item topItem) {
	i := s.find(&item)
	kept := s.items[:i]
	for _, t := range s.items[i:] {
		if t.worse++; t.worse < s.options.n {
			kept = append(kept, t)
			continue
		}
		s.bytes -= t.size()
	}
	clear(s.items[len(kept):])
	item.worse = 0
	s.items = slices.Insert(kept, i, item)
	s.bytes += item.size()
}

// Remove implements Remover.
func (s *slidingTop) Remove([]value.Value, int64) {
	if s.removed == s.added {
		return
	}
	i := slices.IndexFunc(s.items, func(t topItem) bool { return t.row == s.removed })
	s.removed++
	if i >= 0 {
		s.bytes -= s.items[i].size()
		s.items = slices.Delete(s.items, i, i+1)
	}
}

// Merge takes the rows of other as later ones.
func (s *slidingTop) Merge(other State) {
	o := other.(*slidingTop)
	items := slices.Clone(o.items)
	slices.SortFunc(items, func(a, b topItem) int { return cmp.Compare(a.row, b.row) })
	for _, t := range items {
		t.row += s.added - o.removed
		s.insert(t)
	}
	s.added += o.added - o.removed
}

func (s *slidingTop) ReadState(b []byte) ([]byte, error) { return s.read(b, s.insert) }

package udf

import (
	"strconv"

	"github.com/dop251/goja"
)

// What things take in the engine, in bytes: measured, rounded.
const (
	sizeOfState    = 1400
	sizeOfObject   = 400
	sizeOfProperty = 48
	sizeOfValue    = 16
)

// maxSized bounds how many values an estimate looks at.
const maxSized = 1 << 16

// sizer remembers an estimate until enough has happened to make a new one.
type sizer struct {
	events, next int
	bytes        int
}

func (z *sizer) changed() { z.events++ }

// Size returns an estimate of the bytes the state holds. It walks the object,
// but only after so many events that the cost for each stays constant.
func (st *State) Size() int {
	z := &st.size
	if z.bytes == 0 || z.events >= z.next {
		w := walker{seen: map[*goja.Object]bool{}}
		s := st.aggregate.script
		s.guard.enter()
		var ignored error
		func() {
			defer s.leave(st.aggregate.name, &ignored)
			s.vm.Try(func() { w.object(s, st.object, 0) })
		}()
		z.bytes = sizeOfState + w.bytes
		z.next = z.events + max(16, w.values/2)
	}
	return z.bytes
}

type walker struct {
	seen   map[*goja.Object]bool
	values int
	bytes  int
}

func (w *walker) value(s *script, v goja.Value, depth int) {
	w.values++
	w.bytes += sizeOfValue
	switch x := v.(type) {
	case *goja.Object:
		w.object(s, x, depth)
	case goja.String:
		w.bytes += x.Length()
	}
}

func (w *walker) object(s *script, o *goja.Object, depth int) {
	if w.seen[o] || w.values > maxSized || depth > maxStateDepth {
		return
	}
	w.seen[o] = true
	w.bytes += sizeOfObject
	switch o.ExportType() {
	case typeRecord:
		if r, ok := o.Export().(*record); ok {
			w.bytes += r.source.MemSize()
			return
		}
	case typeArray:
		if a, ok := o.Export().(*array); ok {
			w.bytes += a.source.MemSize()
			return
		}
	}
	switch classOf(o) {
	case "Function", "Date", "RegExp":
	case "Array":
		n := int(o.Get("length").ToInteger())
		for i := 0; i < n && w.values <= maxSized; i++ {
			w.value(s, o.Get(strconv.Itoa(i)), depth+1)
		}
		if w.values > maxSized {
			w.bytes += (n - maxSized) * sizeOfValue
		}
	case "Map", "Set":
		s.vm.ForOf(o, func(item goja.Value) bool {
			w.bytes += sizeOfProperty
			w.value(s, item, depth+1)
			return w.values <= maxSized
		})
	default:
		for _, key := range o.Keys() {
			w.bytes += sizeOfProperty + len(key)
			w.value(s, o.Get(key), depth+1)
		}
	}
}

package udf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"

	"millrace/process/streamanalytics/codec"
)

// The tags of the encoding of JavaScript values in a snapshot. JSON would not
// do: it turns a Date into text, and knows no undefined, NaN, Map or Set.
const (
	tagUndefined = iota
	tagNull
	tagFalse
	tagTrue
	tagInt
	tagFloat
	tagText   // UTF-8
	tagText16 // UTF-16, for text with half a surrogate pair
	tagBigInt
	tagDate
	tagObject
	tagBareObject // without a prototype
	tagArray
	tagHole
	tagMap
	tagSet
	tagRegExp
	tagValue // a record or array of the query that nobody has changed
	tagAgain // an object met before, by number
)

const (
	stateVersion  = 1
	maxStateDepth = 2000
	maxStateArray = 1 << 24
)

var errState = errors.New("the saved state of a JavaScript aggregate is damaged")

// encoder appends JavaScript values. Objects are numbered as they are met, so
// that shared ones stay shared and cycles end.
type encoder struct {
	script *script
	seen   map[*goja.Object]uint64
	path   []string
	err    error
}

// AppendState appends the object's own data properties. Methods are left out:
// ReadState gets them by constructing the object. What an aggregate keeps
// elsewhere, in variables of its constructor or of the file, is not saved. The
// error names a property whose value can not be saved: a function inside a
// collection, an object of a class of the user's own.
func (st *State) AppendState(dst []byte) (_ []byte, err error) {
	s := st.aggregate.script
	s.guard.enter()
	defer s.leave(st.aggregate.name, &err)
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, stateVersion)
	e := encoder{script: s, seen: map[*goja.Object]uint64{st.object: 0}}
	thrown := s.vm.Try(func() {
		for _, key := range st.object.Keys() {
			v := st.object.Get(key)
			if _, method := goja.AssertFunction(v); method {
				continue
			}
			dst = append(dst, 1)
			dst = codec.AppendBytes(dst, key)
			e.path = append(e.path[:0], "this", key)
			if dst = e.value(dst, v, 0); e.err != nil {
				return
			}
		}
	})
	if thrown != nil {
		return dst[:start], s.newError(st.aggregate.name, thrown)
	}
	if e.err != nil {
		return dst[:start], fmt.Errorf("%s can not be saved: %w", st.aggregate.name, e.err)
	}
	dst = append(dst, 0)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst, nil
}

func (e *encoder) fail(what string) {
	if e.err == nil {
		path := strings.Join(e.path, ".")
		e.err = fmt.Errorf("%s is %s; keep Numbers, Strings, Dates, plain Objects, Arrays, Maps and Sets", path, what)
	}
}

func (e *encoder) value(dst []byte, v goja.Value, depth int) []byte {
	switch {
	case v == nil:
		return append(dst, tagHole)
	case goja.IsUndefined(v):
		return append(dst, tagUndefined)
	case goja.IsNull(v):
		return append(dst, tagNull)
	}
	if o, ok := v.(*goja.Object); ok {
		return e.object(dst, o, depth)
	}
	if text, ok := v.(goja.String); ok {
		return appendString(dst, text)
	}
	if _, ok := v.(*goja.Symbol); ok {
		e.fail("a symbol")
		return dst
	}
	switch x := v.Export().(type) {
	case bool:
		if x {
			return append(dst, tagTrue)
		}
		return append(dst, tagFalse)
	case int64:
		return codec.AppendInt(append(dst, tagInt), x)
	case float64:
		return codec.AppendFloat(append(dst, tagFloat), x)
	case *big.Int:
		return codec.AppendBytes(codec.AppendBool(append(dst, tagBigInt), x.Sign() < 0), x.Bytes())
	}
	e.fail("of an unknown type")
	return dst
}

// appendString appends text as UTF-8 if that loses nothing.
func appendString(dst []byte, text goja.String) []byte {
	s := text.String()
	if !strings.ContainsRune(s, '\uFFFD') {
		return codec.AppendBytes(append(dst, tagText), s)
	}
	n := text.Length()
	dst = codec.AppendUint(append(dst, tagText16), uint64(n))
	for i := range n {
		dst = binary.LittleEndian.AppendUint16(dst, text.CharAt(i))
	}
	return dst
}

func (e *encoder) object(dst []byte, o *goja.Object, depth int) []byte {
	if n, ok := e.seen[o]; ok {
		return codec.AppendUint(append(dst, tagAgain), n)
	}
	if depth > maxStateDepth {
		e.path = e.path[:2]
		e.fail(fmt.Sprintf("nested deeper than %d", maxStateDepth))
		return dst
	}
	e.seen[o] = uint64(len(e.seen))
	switch o.ExportType() {
	case typeRecord:
		if r, ok := o.Export().(*record); ok && r.intact() {
			return r.source.AppendState(append(dst, tagValue))
		}
	case typeArray:
		if a, ok := o.Export().(*array); ok && a.intact() {
			return a.source.AppendState(append(dst, tagValue))
		}
	}
	switch class := classOf(o); class {
	case "Object":
		switch o.Prototype() {
		case nil:
			return e.members(append(dst, tagBareObject), o, depth)
		case e.script.objectPrototype:
			return e.members(append(dst, tagObject), o, depth)
		}
		e.fail("an object of a class")
	case "Array":
		return e.elements(dst, o, depth)
	case "Date":
		ms := math.NaN()
		if t, ok := o.Export().(time.Time); ok {
			ms = float64(t.UnixMilli())
		}
		return codec.AppendFloat(append(dst, tagDate), ms)
	case "Map":
		return e.collection(append(dst, tagMap), o, depth)
	case "Set":
		return e.collection(append(dst, tagSet), o, depth)
	case "RegExp":
		dst = codec.AppendBytes(append(dst, tagRegExp), o.Get("source").String())
		return codec.AppendBytes(dst, o.Get("flags").String())
	default:
		e.fail("a " + class)
	}
	return dst
}

func (e *encoder) members(dst []byte, o *goja.Object, depth int) []byte {
	keys := o.Keys()
	dst = codec.AppendUint(dst, uint64(len(keys)))
	for _, key := range keys {
		dst = codec.AppendBytes(dst, key)
		if dst = e.part(dst, key, o.Get(key), depth); e.err != nil {
			return dst
		}
	}
	return dst
}

func (e *encoder) elements(dst []byte, o *goja.Object, depth int) []byte {
	n := o.Get("length").ToInteger()
	if n > maxStateArray {
		e.fail(fmt.Sprintf("an array of more than %d elements", maxStateArray))
		return dst
	}
	dst = codec.AppendUint(append(dst, tagArray), uint64(n))
	for i := range int(n) {
		key := strconv.Itoa(i)
		if dst = e.part(dst, key, o.Get(key), depth); e.err != nil {
			return dst
		}
	}
	return dst
}

func (e *encoder) part(dst []byte, name string, v goja.Value, depth int) []byte {
	e.path = append(e.path, name)
	dst = e.value(dst, v, depth+1)
	if e.err == nil {
		e.path = e.path[:len(e.path)-1]
	}
	return dst
}

// collection appends the elements of a Set or the keys and values of a Map.
func (e *encoder) collection(dst []byte, o *goja.Object, depth int) []byte {
	dst = codec.AppendUint(dst, uint64(o.Get("size").ToInteger()))
	pairs := classOf(o) == "Map"
	e.script.vm.ForOf(o, func(item goja.Value) bool {
		if pair, ok := item.(*goja.Object); ok && pairs {
			dst = e.part(dst, "key", pair.Get("0"), depth)
			dst = e.part(dst, "value", pair.Get("1"), depth)
		} else {
			dst = e.part(dst, "element", item, depth)
		}
		return e.err == nil
	})
	return dst
}

// ReadState replaces the state by one that AppendState wrote, for the same
// aggregate, and returns what follows it in b. Damaged input is an error; what
// it leaves behind is unspecified.
func (st *State) ReadState(b []byte) (rest []byte, err error) {
	if len(b) < 5 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) || b[4] != stateVersion {
		return nil, errState
	}
	end := 4 + int(binary.LittleEndian.Uint32(b))
	s := st.aggregate.script
	st.size = sizer{}
	s.guard.enter()
	defer s.leave(st.aggregate.name, &err)
	d := decoder{Decoder: codec.NewDecoder(b[5:end], errState), script: s, objects: []*goja.Object{st.object}}
	thrown := s.vm.Try(func() {
		for _, key := range st.object.Keys() {
			if _, method := goja.AssertFunction(st.object.Get(key)); !method {
				d.check(st.object.Delete(key))
			}
		}
		for d.Err() == nil && d.Byte() == 1 {
			key := d.Text()
			d.check(define(st.object, key, d.value(0)))
		}
	})
	switch {
	case thrown != nil:
		return nil, s.newError(st.aggregate.name, thrown)
	case d.Err() != nil:
		return nil, d.Err()
	case len(d.Rest()) != 0:
		return nil, errState
	}
	return b[end:], nil
}

// define sets a property without running a setter.
func define(o *goja.Object, key string, v goja.Value) error {
	if v == nil {
		v = goja.Undefined()
	}
	return o.DefineDataProperty(key, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
}

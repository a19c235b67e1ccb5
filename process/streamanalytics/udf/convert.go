package udf

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"

	"millrace/process/streamanalytics/value"
)

// What a result may be, so that an endless object is an error.
const (
	maxResultDepth = 100
	maxResultNodes = 1 << 20
)

// toJS converts a value. The text of strings is copied, since JavaScript may
// keep it; records and arrays must own their memory.
func (s *script) toJS(v value.Value) goja.Value {
	switch v.Kind() {
	case value.BigInt:
		return s.vm.ToValue(v.Int())
	case value.Float:
		return s.vm.ToValue(v.Double())
	case value.String:
		return s.vm.ToValue(strings.Clone(v.Str()))
	case value.Bit:
		return s.vm.ToValue(v.Bool())
	case value.DateTime:
		return s.toDate(v.Ticks())
	case value.Record:
		return s.vm.NewDynamicObject(&record{script: s, source: v})
	case value.Array:
		return s.vm.NewDynamicArray(&array{script: s, source: v, length: -1})
	}
	return goja.Null()
}

// toDate makes a Date; ticks below a millisecond are cut off, towards the past.
func (s *script) toDate(ticks int64) goja.Value {
	ms := ticks / value.TicksPerMillisecond
	if ticks%value.TicksPerMillisecond < 0 {
		ms--
	}
	d, err := s.vm.New(s.newDate, s.vm.ToValue(ms))
	if err != nil {
		return goja.Null()
	}
	return d
}

// result converts what a call returned.
func (s *script) result(function string, v goja.Value) (value.Value, error) {
	if scalar, ok := s.scalar(v); ok {
		return scalar, nil
	}
	c := conversion{script: s}
	var out value.Value
	if thrown := s.vm.Try(func() { out = c.convert(v, 0) }); thrown != nil {
		return value.Value{}, s.newError(function, thrown)
	}
	if c.fault != "" {
		return value.Value{}, &Error{Function: function, File: s.file.name, Message: c.message(), Cause: nil}
	}
	return out, nil
}

// scalar converts everything but objects, symbols and functions.
func (s *script) scalar(v goja.Value) (value.Value, bool) {
	if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
		return value.Value{}, true
	}
	switch v.(type) {
	case *goja.Object, *goja.Symbol:
		return value.Value{}, false
	}
	switch x := v.Export().(type) {
	case int64:
		return value.Int(x), true
	case float64:
		return number(x), true
	case string:
		return value.Text(x), true
	case bool:
		if s.options.Level == value.Level12 {
			return value.Bool(x), true
		}
		if x {
			return value.Int(1), true
		}
		return value.Int(0), true
	case *big.Int:
		if x.IsInt64() {
			return value.Int(x.Int64()), true
		}
	}
	return value.Value{}, false
}

// number is a Number as the query sees it: a bigint when it is whole and fits.
func number(f float64) value.Value {
	if f >= -1<<63 && f < 1<<63 && f == math.Trunc(f) {
		return value.Int(int64(f))
	}
	return value.Double(f)
}

// conversion converts one result. It stops at the first fault.
type conversion struct {
	script *script
	nodes  int
	path   []string
	fault  string
}

func (c *conversion) fail(fault string) value.Value {
	if c.fault == "" {
		c.fault = fault
	}
	return value.Value{}
}

// message says what was returned, and where in the result it is.
func (c *conversion) message() string {
	if len(c.path) == 0 {
		return "it returned " + c.fault
	}
	return "the result's " + strings.Join(c.path, ".") + " is " + c.fault
}

// convert converts any value. It may run JavaScript (getters) and panic with
// its exceptions, as the engine's own functions do.
func (c *conversion) convert(v goja.Value, depth int) value.Value {
	if scalar, ok := c.script.scalar(v); ok {
		return scalar
	}
	const hint = ", which is no type of the query; return a Number, String, Boolean, Date, Array, plain Object or null"
	o, ok := v.(*goja.Object)
	if !ok {
		if goja.IsBigInt(v) {
			return c.fail("a BigInt beyond 64 bits" + hint)
		}
		return c.fail("a symbol" + hint)
	}
	if c.nodes++; c.nodes > maxResultNodes {
		return c.fail(fmt.Sprintf("an object with more than %d parts", maxResultNodes))
	}
	if depth > maxResultDepth {
		c.path = nil
		return c.fail(fmt.Sprintf("an object that nests deeper than %d or holds itself", maxResultDepth))
	}
	switch class := classOf(o); class {
	case "Object", "Arguments":
		return c.object(o, depth)
	case "Array":
		return c.array(o, depth)
	case "Date":
		t, ok := o.Export().(time.Time)
		if !ok {
			return value.Value{}
		}
		if y := t.UTC().Year(); y < 1 || y > 9999 {
			return c.fail("a Date outside the years 1 to 9999")
		}
		return value.TimeOf(t)
	case "Number", "String", "Boolean":
		// The boxed forms.
		return c.convert(c.script.vm.ToValue(o.Export()), depth+1)
	default:
		article := "a "
		if strings.ContainsAny(class[:1], "AEIOU") {
			article = "an "
		}
		if class == "Promise" {
			return c.fail("a Promise; a function of a query can not be async")
		}
		return c.fail(article + class + hint)
	}
}

func (c *conversion) object(o *goja.Object, depth int) value.Value {
	if o.ExportType() == typeRecord {
		if r, ok := o.Export().(*record); ok && r.intact() {
			return r.source
		}
	}
	keys := o.Keys()
	members := make([]value.Member, 0, len(keys))
	for _, k := range keys {
		members = append(members, value.Member{Name: k, Value: c.part(o, k, depth)})
		if c.fault != "" {
			return value.Value{}
		}
	}
	return value.NewRecord(members)
}

func (c *conversion) array(o *goja.Object, depth int) value.Value {
	if o.ExportType() == typeArray {
		if a, ok := o.Export().(*array); ok && a.intact() {
			return a.source
		}
	}
	length := o.Get("length").ToInteger()
	if length > maxResultNodes {
		return c.fail(fmt.Sprintf("an array of more than %d elements", maxResultNodes))
	}
	elements := make([]value.Value, 0, length)
	for i := range int(length) {
		elements = append(elements, c.part(o, strconv.Itoa(i), depth))
		if c.fault != "" {
			return value.Value{}
		}
	}
	return value.NewArray(elements)
}

// part converts one property of o.
func (c *conversion) part(o *goja.Object, name string, depth int) value.Value {
	c.path = append(c.path, name)
	v := c.convert(o.Get(name), depth+1)
	if c.fault == "" {
		c.path = c.path[:len(c.path)-1]
	}
	return v
}

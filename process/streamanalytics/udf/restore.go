package udf

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"

	"github.com/dop251/goja"

	"millrace/process/streamanalytics/value"
)

// decoder reads what encoder wrote. After the first fault it returns zero
// values; err tells.
type decoder struct {
	script  *script
	b       []byte
	objects []*goja.Object
	err     error
}

// check keeps the first error. The text of it does not matter to the reader.
func (d *decoder) check(err error) {
	if err != nil {
		d.damaged()
	}
}

func (d *decoder) damaged() {
	if d.err == nil {
		d.err = errState
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.damaged()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.damaged()
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count reads a number of things of at least unit bytes each.
func (d *decoder) count(unit int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/unit) {
		d.damaged()
		return 0
	}
	return int(n)
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.damaged()
		return make([]byte, n)
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) text() string { return string(d.take(d.count(1))) }

func (d *decoder) float() float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(d.take(8)))
}

// value reads one value; nil is a hole of an array.
func (d *decoder) value(depth int) goja.Value {
	if depth > maxStateDepth {
		d.damaged()
		return nil
	}
	vm := d.script.vm
	switch d.byte() {
	case tagUndefined:
		return goja.Undefined()
	case tagNull:
		return goja.Null()
	case tagFalse:
		return vm.ToValue(false)
	case tagTrue:
		return vm.ToValue(true)
	case tagInt:
		n, size := binary.Varint(d.b)
		if size <= 0 {
			d.damaged()
			return nil
		}
		d.b = d.b[size:]
		return vm.ToValue(n)
	case tagFloat:
		return vm.ToValue(d.float())
	case tagText:
		return vm.ToValue(d.text())
	case tagText16:
		units := make([]uint16, d.count(2))
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(d.take(2))
		}
		return goja.StringFromUTF16(units)
	case tagBigInt:
		return d.bigInt()
	case tagDate:
		return d.made("Date", vm.ToValue(d.float()))
	case tagObject:
		return d.members(vm.NewObject(), depth)
	case tagBareObject:
		return d.members(vm.CreateObject(nil), depth)
	case tagArray:
		return d.elements(depth)
	case tagHole:
		return nil
	case tagMap:
		return d.collection("Map", "set", 2, depth)
	case tagSet:
		return d.collection("Set", "add", 1, depth)
	case tagRegExp:
		source := vm.ToValue(d.text())
		return d.made("RegExp", source, vm.ToValue(d.text()))
	case tagValue:
		return d.queryValue()
	case tagAgain:
		if n := d.uvarint(); n < uint64(len(d.objects)) {
			return d.objects[n]
		}
	}
	d.damaged()
	return nil
}

func (d *decoder) bigInt() goja.Value {
	negative := d.byte() == 1
	n := new(big.Int).SetBytes(d.take(d.count(1)))
	if negative {
		n.Neg(n)
	}
	return d.script.vm.ToValue(n)
}

// met numbers an object, in the order in which the encoder met them.
func (d *decoder) met(o *goja.Object) *goja.Object {
	d.objects = append(d.objects, o)
	return o
}

// made constructs an object of a built-in class.
func (d *decoder) made(class string, args ...goja.Value) goja.Value {
	if d.err != nil {
		return nil
	}
	o, err := d.script.vm.New(d.script.classes[class], args...)
	if err != nil {
		d.damaged()
		return nil
	}
	return d.met(o)
}

func (d *decoder) members(o *goja.Object, depth int) goja.Value {
	d.met(o)
	for range d.count(2) {
		key := d.text()
		v := d.value(depth + 1)
		if d.err != nil {
			return nil
		}
		d.check(define(o, key, v))
	}
	return o
}

func (d *decoder) elements(depth int) goja.Value {
	o := d.met(d.script.vm.NewArray())
	n := d.count(1)
	for i := range n {
		v := d.value(depth + 1)
		if d.err != nil {
			return nil
		}
		if v != nil {
			d.check(define(o, strconv.Itoa(i), v))
		}
	}
	d.check(o.Set("length", n))
	return o
}

func (d *decoder) collection(class, method string, parts, depth int) goja.Value {
	n := d.count(parts)
	o, ok := d.made(class).(*goja.Object)
	if !ok {
		return nil
	}
	add, ok := goja.AssertFunction(d.script.classes[class].Get("prototype").(*goja.Object).Get(method))
	if !ok {
		d.damaged()
		return nil
	}
	for range n {
		args := make([]goja.Value, parts)
		for i := range args {
			args[i] = d.value(depth + 1)
		}
		if d.err != nil {
			return nil
		}
		_, err := add(o, args...)
		d.check(err)
	}
	return o
}

func (d *decoder) queryValue() goja.Value {
	v, rest, err := value.ReadState(d.b)
	if err != nil {
		d.damaged()
		return nil
	}
	d.b = rest
	js := d.script.toJS(v.Clone())
	if o, ok := js.(*goja.Object); ok {
		d.met(o)
	}
	return js
}

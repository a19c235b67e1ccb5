package udf

import (
	"math/big"
	"strconv"

	"github.com/dop251/goja"

	"millrace/process/streamanalytics/codec"
)

// decoder reads what encoder wrote. After the first fault it returns zero
// values; Err tells.
type decoder struct {
	*codec.Decoder
	script  *script
	objects []*goja.Object
}

// check takes an error of the engine as damage: what it can not do was not
// written by AppendState.
func (d *decoder) check(err error) {
	if err != nil {
		d.Fail(err.Error())
	}
}

// value reads one value; nil is a hole of an array.
func (d *decoder) value(depth int) goja.Value {
	if depth > maxStateDepth {
		d.Fail("its objects nest too deep")
		return nil
	}
	vm := d.script.vm
	switch d.Byte() {
	case tagUndefined:
		return goja.Undefined()
	case tagNull:
		return goja.Null()
	case tagFalse:
		return vm.ToValue(false)
	case tagTrue:
		return vm.ToValue(true)
	case tagInt:
		return vm.ToValue(d.Int())
	case tagFloat:
		return vm.ToValue(d.Float())
	case tagText:
		return vm.ToValue(d.Text())
	case tagText16:
		units := make([]uint16, d.Count(2))
		for i := range units {
			units[i] = uint16(d.Byte()) | uint16(d.Byte())<<8
		}
		return goja.StringFromUTF16(units)
	case tagBigInt:
		return d.bigInt()
	case tagDate:
		return d.made("Date", vm.ToValue(d.Float()))
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
		source := vm.ToValue(d.Text())
		return d.made("RegExp", source, vm.ToValue(d.Text()))
	case tagValue:
		return d.queryValue()
	case tagAgain:
		if n := d.Uint(); n < uint64(len(d.objects)) {
			return d.objects[n]
		}
	}
	d.Fail("a value is of no known kind")
	return nil
}

func (d *decoder) bigInt() goja.Value {
	negative := d.Bool()
	n := new(big.Int).SetBytes(d.Bytes())
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
	if d.Err() != nil {
		return nil
	}
	o, err := d.script.vm.New(d.script.classes[class], args...)
	if err != nil {
		d.check(err)
		return nil
	}
	return d.met(o)
}

func (d *decoder) members(o *goja.Object, depth int) goja.Value {
	d.met(o)
	for range d.Count(2) {
		key := d.Text()
		v := d.value(depth + 1)
		if d.Err() != nil {
			return nil
		}
		d.check(define(o, key, v))
	}
	return o
}

func (d *decoder) elements(depth int) goja.Value {
	o := d.met(d.script.vm.NewArray())
	n := d.Count(1)
	for i := range n {
		v := d.value(depth + 1)
		if d.Err() != nil {
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
	n := d.Count(parts)
	o, ok := d.made(class).(*goja.Object)
	if !ok {
		return nil
	}
	add, ok := goja.AssertFunction(d.script.classes[class].Get("prototype").(*goja.Object).Get(method))
	if !ok {
		d.Fail("the class " + class + " has no method " + method)
		return nil
	}
	for range n {
		args := make([]goja.Value, parts)
		for i := range args {
			args[i] = d.value(depth + 1)
		}
		if d.Err() != nil {
			return nil
		}
		_, err := add(o, args...)
		d.check(err)
	}
	return o
}

func (d *decoder) queryValue() goja.Value {
	v := d.Value()
	if d.Err() != nil {
		return nil
	}
	js := d.script.toJS(v)
	if o, ok := js.(*goja.Object); ok {
		d.met(o)
	}
	return js
}

package codec

import (
	"errors"
	"math"
	"testing"

	"millrace/process/streamanalytics/value"
)

var errDamaged = errors.New("damaged")

func write() []byte {
	b := AppendUint(nil, math.MaxUint64)
	b = AppendInt(b, math.MinInt64)
	b = AppendFixed(b, 7)
	b = AppendFloat(b, math.Inf(-1))
	b = AppendBool(b, true)
	b = AppendBool(b, false)
	b = AppendBytes(b, "text")
	b = AppendBytes(b, []byte{})
	b = AppendUint(b, 2)
	b = value.Text("v").AppendState(b)
	return append(b, "rest"...)
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	d := NewDecoder(write(), errDamaged)
	if n := d.Uint(); n != math.MaxUint64 {
		t.Error(n)
	}
	if n := d.Int(); n != math.MinInt64 {
		t.Error(n)
	}
	if n := d.Fixed(); n != 7 {
		t.Error(n)
	}
	if f := d.Float(); !math.IsInf(f, -1) {
		t.Error(f)
	}
	if !d.Bool() || d.Bool() {
		t.Error("true and false were read as others")
	}
	if s, e := d.Text(), d.Bytes(); s != "text" || len(e) != 0 {
		t.Error(s, e)
	}
	if i := d.Index(3); i != 2 {
		t.Error(i)
	}
	if v := d.Value(); v.Str() != "v" {
		t.Error(v)
	}
	if string(d.Rest()) != "rest" || d.Err() != nil {
		t.Errorf("%q, %v", d.Rest(), d.Err())
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(d *Decoder){
		"byte":  func(d *Decoder) { d.Bytes(); d.Byte() },
		"bool":  func(d *Decoder) { d.Bool() },
		"count": func(d *Decoder) { d.Count(3) },
		"index": func(d *Decoder) { d.Index(2) },
		"fixed": func(d *Decoder) { d.Fixed() },
		"value": func(d *Decoder) { d.Byte(); d.Value() },
	} {
		d := NewDecoder([]byte{2, 200, 200}, errDamaged)
		read(d)
		first := d.Err()
		if !errors.Is(first, errDamaged) || d.Rest() != nil {
			t.Errorf("%s: %v, %d bytes left", name, first, len(d.Rest()))
		}
		// Whatever follows is zero, and the first fault stays.
		if d.Uint() != 0 || d.Int() != 0 || d.Float() != 0 || d.Text() != "" || !d.Value().IsNull() || d.Count(1) != 0 || d.Index(1) != 0 || d.Bool() {
			t.Errorf("%s: something was read after the fault", name)
		}
		if d.Err() != first {
			t.Errorf("%s: the fault became %v", name, d.Err())
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(write())
	f.Fuzz(func(t *testing.T, b []byte) {
		d := NewDecoder(b, errDamaged)
		for d.Err() == nil {
			before := len(d.Rest())
			switch d.Byte() % 8 {
			case 0:
				d.Uint()
			case 1:
				d.Int()
			case 2:
				d.Float()
			case 3:
				d.Bool()
			case 4:
				_ = make([]byte, d.Count(1))
			case 5:
				d.Text()
			case 6:
				d.Index(10)
			case 7:
				d.Value()
			}
			if d.Err() == nil && len(d.Rest()) >= before {
				t.Fatal("nothing was read")
			}
		}
	})
}

package value

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestStateRoundTrip(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for range 3000 {
		var vs []Value
		var b []byte
		for range r.IntN(4) + 1 {
			v := randomValue(r, 3)
			vs = append(vs, v)
			b = v.AppendState(b)
		}
		rest := b
		for _, v := range vs {
			var got Value
			var err error
			if got, rest, err = ReadState(rest); err != nil || !identical(got, v) || got.form != v.form {
				t.Fatalf("%v reads back as %v, %v", v, got, err)
			}
		}
		if len(rest) != 0 {
			t.Fatalf("%d bytes are left", len(rest))
		}
		// Cut off anywhere, it is damaged, or another value: never a panic.
		for i := range b {
			if _, _, err := ReadState(b[:i]); err != nil && !errors.Is(err, ErrState) {
				t.Fatalf("error %v", err)
			}
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(-1)} {
		if got, _, err := ReadState(Double(f).AppendState(nil)); err != nil || !identical(got, Double(f)) {
			t.Errorf("%v reads back as %v, %v", f, got, err)
		}
	}
}

func FuzzReadState(f *testing.F) {
	for _, v := range []Value{{}, Int(-5), Double(1.5), Text("text"), Time(1), Bool(true), Raw([]byte(`{"a":[1,2]}`)),
		NewArray([]Value{Int(1), NewRecord([]Member{{"a", Text("b")}})})} {
		f.Add(v.AppendState(nil))
	}
	f.Add([]byte{stateText, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{stateArray, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(bytes.Repeat([]byte{stateArray, 1}, 1000))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := ReadState(b)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if len(rest) >= len(b) {
			t.Fatal("nothing was read")
		}
		again, left, err := ReadState(v.AppendState(nil))
		if err != nil || len(left) != 0 || !identical(again, v) {
			t.Fatalf("%v reads back as %v, %v", v, again, err)
		}
		v.AppendKey(v.AppendJSON(nil))
		if v.Clone().MemSize() != v.MemSize() {
			t.Fatal("a clone has another size")
		}
	})
}

func TestJSONText(t *testing.T) {
	t.Parallel()
	if got := RawAt([]byte(` {"A":true} `), Level10).JSON(); string(got) != `{"A":true}` {
		t.Errorf("the text is %q", got)
	}
	if NewRecord(nil).JSON() != nil || Text("{}").JSON() != nil {
		t.Error("text of what is none")
	}
}

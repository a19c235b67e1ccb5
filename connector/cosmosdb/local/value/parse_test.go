package value

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextsThatAreNotJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text   string
		offset int
	}{
		{"", 0}, {" ", 1}, {"nul", 0}, {"tru e", 0}, {"{", 1}, {"[", 1}, {"[1", 2}, {"[1,]", 3}, {"[,1]", 1}, {`{"a"}`, 4}, {`{"a":}`, 5},
		{`{"a":1,}`, 7}, {`{a:1}`, 1}, {`{"a":1 "b":2}`, 7}, {"1 2", 2}, {"01", 0}, {"-", 1}, {"1.", 2}, {".5", 0}, {"+1", 0}, {"1e", 2}, {"1e+", 3},
		{"1e400", 0}, {"-1e999", 0}, {strings.Repeat("9", 400), 0}, {`"`, 0}, {`"a`, 0}, {`"\x"`, 1}, {`"\u12g4"`, 1}, {"\"a\nb\"", 2}, {"\"\xff\"", 1}, {"'a'", 0},
		{"[1]]", 3}, {"NaN", 0}, {"\uFEFF1", 0}, {"[" + strings.Repeat("[", MaxDepth), MaxDepth}, {strings.Repeat(`{"a":`, MaxDepth+1) + "1", MaxDepth * 5},
	} {
		_, err := Parse([]byte(tt.text))
		var p *ParseError
		if !errors.As(err, &p) {
			t.Errorf("%.40q: %v", tt.text, err)
		} else if p.Offset != tt.offset {
			t.Errorf("%.40q: at %d (%v), want %d", tt.text, p.Offset, err, tt.offset)
		}
	}
	deepest := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	for _, s := range []string{deepest, "0", "-0", "1e300", " null ", `"\ud800"`, `{"":""}`, strings.Repeat("9", 308)} {
		if _, err := Parse([]byte(s)); err != nil {
			t.Errorf("%.40q: %v", s, err)
		}
	}
}

var seeds = []string{
	`{"id":"1","a":{"b":[1,2,{"c":null}]},"d":"x\"y\u00e9\ud83d\ude00"}`, `[]`, `{}`, `"a\u0000"`, `-0.5e-3`, `[[[[]]]]`, `{"a":1,"a":2}`,
	`{"a`, `[1,`, `"\`, `{"a":"\u12`, `{"a":}`, `}{`, `[{]}`, `{"a" 1}`, `{:1}`, `{"a"::1}`, `"`, ` `, `tru`, "\xff", `{"/a~":[0]}`,
}

func FuzzValue(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), []byte(seeds[0]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) > 4<<10 || len(b) > 4<<10 {
			return // more of the same
		}
		// Whatever is taken for valid, nothing panics.
		lookAtAll(Trusted(a), 0)
		v, err := Parse(a)
		if err == nil != (json.Valid(a) && utf8.Valid(a)) && !beyondLimits(err) {
			t.Fatalf("%q: %v", a, err)
		}
		if err != nil {
			return
		}
		out := v.AppendJSON(nil)
		again, err := Parse(out)
		if err != nil || string(again.AppendJSON(nil)) != string(out) || !Same(v, again) {
			t.Fatalf("%q became %q: %v", a, out, err)
		}
		if w, err := Parse(b); err == nil {
			checkPair(t, v, w)
			checkPair(t, v, v)
		}
	})
}

func beyondLimits(err error) bool {
	var p *ParseError
	return errors.As(err, &p) && (p.Reason == "nested too deep" || p.Reason == "a number out of range")
}

func lookAtAll(v Value, depth int) {
	v.Get("a")
	v.Index(1)
	v.AsString()
	v.AsNumber()
	_ = v.AppendJSON(nil)
	if depth > 3 {
		return
	}
	v.Len()
	Hash(v)
	AppendKey(nil, v)
	v.EachMember(func(_ string, m Value) bool { lookAtAll(m, depth+1); return true })
	v.EachElement(func(e Value) bool { lookAtAll(e, depth+1); return true })
}

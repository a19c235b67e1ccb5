package value

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// random makes JSON texts whose meaning it knows.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 7))} }

var someStrings = []string{"", "a", "b", "id", "ab", "a\x00", "a\x00b", "a\x01", "\"", "\\", "/", "~", "a/b", "é", "日本", "😀", "\u2028", "\t\n", "-", "0", "1", "zz{", "]["}

var someNumbers = []float64{0, math.Copysign(0, -1), 1, -1, 1.5, -2.25, 1e21, 1e-7, 123456789012345680000, math.MaxFloat64, math.SmallestNonzeroFloat64, 9007199254740993, 0.1, -1e100, 1e20, 42}

func (r random) text() string { return someStrings[r.IntN(len(someStrings))] }

// any is what encoding/json would decode.
func (r random) any(depth int) any {
	n := 6
	if depth > 0 {
		n = 10
	}
	switch r.IntN(n) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2, 3:
		return someNumbers[r.IntN(len(someNumbers))]
	case 4, 5:
		return r.text()
	case 6, 7:
		list := []any{}
		for range r.IntN(4) {
			list = append(list, r.any(depth-1))
		}
		return list
	}
	m := map[string]any{}
	for range r.IntN(5) {
		m[r.text()] = r.any(depth - 1)
	}
	return m
}

func (r random) space() string {
	return [...]string{"", "", "", "", " ", "\n\t", "\r\n  "}[r.IntN(7)]
}

// json writes v, with white space, escapes and forms of numbers that it
// chooses, members in any order, and now and then a name twice.
func (r random) json(v any) string {
	s := r.space()
	switch v := v.(type) {
	case nil:
		s += "null"
	case bool:
		s += strconv.FormatBool(v)
	case float64:
		s += r.number(v)
	case string:
		s += r.quoted(v)
	case []any:
		s += "["
		for i, e := range v {
			if i > 0 {
				s += ","
			}
			s += r.json(e)
		}
		s += r.space() + "]"
	case map[string]any:
		first := true
		s += "{"
		for name, m := range v {
			if !first {
				s += ","
			}
			first = false
			if r.IntN(6) == 0 {
				s += r.space() + r.quoted(name) + ":" + r.json(r.any(1)) + ","
			}
			s += r.space() + r.quoted(name) + r.space() + ":" + r.json(m)
		}
		s += r.space() + "}"
	}
	return s + r.space()
}

func (r random) number(f float64) string {
	switch r.IntN(3) {
	case 0:
		return strconv.FormatFloat(f, 'e', -1, 64)
	case 1:
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func (r random) quoted(s string) string {
	if r.IntN(3) > 0 {
		b, _ := json.Marshal(s)
		return string(b)
	}
	q := `"`
	for _, c := range s {
		if c > 0xFFFF {
			c -= 0x10000
			q += fmt.Sprintf(`\u%04x\u%04X`, 0xD800+c>>10, 0xDC00+c&0x3FF)
		} else {
			q += fmt.Sprintf(`\u%04x`, c)
		}
	}
	return q + `"`
}

// plain decodes a Value as encoding/json would its text.
func plain(v Value) any {
	switch v.Kind() {
	case KindBool:
		b, _ := v.AsBool()
		return b
	case KindNumber:
		f, _ := v.AsNumber()
		return f
	case KindString:
		s, _ := v.AsString()
		return s
	case KindArray:
		list := []any{}
		v.EachElement(func(e Value) bool { list = append(list, plain(e)); return true })
		return list
	case KindObject:
		m := map[string]any{}
		v.EachMember(func(name string, e Value) bool { m[name] = plain(e); return true })
		return m
	}
	return nil
}

// made builds the value of v with the builders.
func made(v any) Value {
	switch v := v.(type) {
	case bool:
		return Bool(v)
	case float64:
		return Number(v)
	case string:
		return String(v)
	case []any:
		var b ArrayBuilder
		for _, e := range v {
			b.Append(made(e))
		}
		return b.Value()
	case map[string]any:
		var b ObjectBuilder
		for name, e := range v {
			b.Set(name, made(e))
		}
		return b.Value()
	}
	return Null()
}

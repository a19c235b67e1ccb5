package record

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestFingerprintEqual(t *testing.T) {
	for _, group := range [][]string{
		{"10", "10.0", "1e1", "1E+1", "100e-1", "0.1e2", " 10\n", "10.000000000000000000000"},
		{"0", "-0", "0.0", "-0.0e5", "0e999", "1e-400"},
		{"0.1", "0.1000000000000000055511151231257827", "1e-1", "0.10"},
		{"9007199254740993", "9007199254740992", "9.007199254740992e15"},
		{"1e400", "1e401", "17e999999999999999999999"},
		{"123456789012345", "1.23456789012345e14", "123456789012345.0"},
		{`"a/b"`, `"a\/b"`, `"\u0061\u002Fb"`, `"\u0061/b"`},
		{`"é"`, `"\u00e9"`, `"\u00E9"`},
		{`"😀"`, `"\ud83d\ude00"`, `"\uD83D\uDE00"`},
		{`{"a":1,"b":{"c":[],"d":2}}`, `{"b":{"d":2.0,"c":[ ]} , "a":1}`, `{"\u0062":{"c":[],"d":2},"a":1}`},
	} {
		for _, text := range group[1:] {
			sameContent(t, []byte(group[0]), []byte(text))
		}
	}
}

func TestFingerprintDiffers(t *testing.T) {
	seen := map[uint64]string{}
	for _, text := range []string{
		`null`, `true`, `false`, `0`, `1`, `-1`, `""`, `"0"`, `"1"`, `"null"`, `"true"`, `[]`, `{}`, `[null]`, `[[]]`, `[{}]`,
		`[0]`, `[1]`, `["1"]`, `[1,1]`, `[1,2]`, `[2,1]`, `[[1],2]`, `[1,[2]]`, `[[1,2]]`, `[1,2,null]`, `[null,1,2]`,
		`{"a":1}`, `{"a":"1"}`, `{"a":null}`, `{"a":{}}`, `{"a":[]}`, `{"a":[1]}`, `{"b":1}`, `{"1":"a"}`, `{"a.b":1}`, `{"a":{"b":1}}`,
		`{"a":1,"a":1}`, `{"a":1,"b":1}`, `{"a":1,"b":2}`, `{"a":2,"b":1}`, `{"a":{"b":1},"c":2}`, `{"a":{"b":1,"c":2}}`, `{"":1}`, `{"":""}`,
		`[{"a":1},{"b":2}]`, `[{"b":2},{"a":1}]`, `[{"a":1,"b":2}]`, `{"a":[1,2]}`, `{"a":[2,1]}`,
		`0.1`, `0.10000000000000002`, `10.1234567890123`, `10.1234567890124`, `1e400`, `-1e400`, `1.7976931348623157e308`, `5e-324`,
		`9007199254740992`, `9007199254740994`, `100`, `1000`, `"a"`, `"b"`, `"aa"`, `"aaa"`, `"aba"`, `"aab"`, `"abcd"`, `"abcde"`, `"abcdefgh"`, `"abcdefghi"`,
		`"abcdefghabcdefgh"`, `"abcdefghabcdefghi"`, `"` + strings.Repeat("a", 31) + `"`, `"` + strings.Repeat("a", 32) + `"`, `"` + strings.Repeat("a", 33) + `"`,
		`"` + strings.Repeat("a", 300) + `"`, `"\u0000"`, `"\u0000\u0000"`,
	} {
		h, err := Fingerprint([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have the same fingerprint", text, other)
		}
		seen[h] = text
	}
}

// randomValue makes a JSON value as encoding/json would decode it.
func randomValue(r *rand.Rand, depth int) any {
	n := 7
	if depth == 0 {
		n = 5
	}
	switch r.IntN(n) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return randomDouble(r)
	case 3, 4:
		return randomText(r)
	case 5:
		list := []any{}
		for range r.IntN(5) {
			list = append(list, randomValue(r, depth-1))
		}
		return list
	}
	m := map[string]any{}
	for range r.IntN(6) {
		m[randomText(r)] = randomValue(r, depth-1)
	}
	return m
}

func randomDouble(r *rand.Rand) float64 {
	switch r.IntN(4) {
	case 0:
		return float64(r.IntN(2000) - 1000)
	case 1:
		return float64(r.IntN(1e9)) / math.Pow10(r.IntN(9))
	case 2:
		return r.NormFloat64()
	}
	for {
		if f := math.Float64frombits(r.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
}

func randomText(r *rand.Rand) string {
	alphabet := []rune("abc xyz0189\"\\/\b\f\n\r\t\x00\x1fé中😀\u2028")
	s := make([]rune, r.IntN(12))
	if r.IntN(20) == 0 {
		s = make([]rune, 400)
	}
	for i := range s {
		s[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(s)
}

// respell writes v as JSON in a random order and spelling.
func respell(r *rand.Rand, b *strings.Builder, v any) {
	space := func() {
		for range max(0, r.IntN(6)-3) {
			b.WriteByte(" \t\r\n"[r.IntN(4)])
		}
	}
	space()
	defer space()
	switch v := v.(type) {
	case nil, bool:
		fmt.Fprint(b, map[any]string{nil: "null", true: "true", false: "false"}[v])
	case float64:
		b.WriteString(respellDouble(r, v))
	case string:
		respellText(r, b, v)
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			respell(r, b, e)
		}
		b.WriteByte(']')
	case map[string]any:
		names := make([]string, 0, len(v))
		for n := range v {
			names = append(names, n)
		}
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		b.WriteByte('{')
		for i, n := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			space()
			respellText(r, b, n)
			space()
			b.WriteByte(':')
			respell(r, b, v[n])
		}
		b.WriteByte('}')
	}
}

func respellDouble(r *rand.Rand, f float64) string {
	switch r.IntN(4) {
	case 0:
		return strconv.FormatFloat(f, 'e', -1, 64)
	case 1:
		return strconv.FormatFloat(f, 'E', 20, 64)
	case 2:
		if s := strconv.FormatFloat(f, 'f', -1, 64); strings.Contains(s, ".") {
			return s + "00"
		}
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func respellText(r *rand.Rand, b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c > 0xffff && r.IntN(2) == 0:
			c -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04X`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		case c <= 0xffff && r.IntN(3) == 0:
			fmt.Fprintf(b, `\u%04X`, c)
		case c < 0x20 || c == '"' || c == '\\':
			q, _ := json.Marshal(string(c))
			b.Write(q[1 : len(q)-1])
		case c == '/' && r.IntN(2) == 0:
			b.WriteString(`\/`)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
}

// mutate changes one thing somewhere in v, and says whether it did.
func mutate(r *rand.Rand, v any) any {
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return []any{nil}
		}
		i := r.IntN(len(v))
		out := append([]any{}, v...)
		switch r.IntN(3) {
		case 0:
			return append(out[:i], out[i+1:]...)
		case 1:
			return append(out[:i:i], append([]any{nil}, v[i:]...)...)
		}
		out[i] = mutate(r, v[i])
		return out
	case map[string]any:
		out := map[string]any{}
		var names []string
		for n, e := range v {
			out[n] = e
			names = append(names, n)
		}
		if len(names) == 0 {
			return map[string]any{"": nil}
		}
		n := names[r.IntN(len(names))]
		switch r.IntN(3) {
		case 0:
			delete(out, n)
		case 1:
			delete(out, n)
			for n += "x"; ; n += "x" {
				if _, taken := out[n]; !taken {
					break
				}
			}
			out[n] = v[strings.TrimRight(n, "x")]
		default:
			out[n] = mutate(r, v[n])
		}
		return out
	case float64:
		if r.IntN(2) == 0 {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
		if v == 0 {
			return 1.0
		}
		return math.Nextafter(v, 0)
	case string:
		return v + "a"
	case bool:
		return !v
	}
	return false
}

func TestFingerprintProperties(t *testing.T) {
	r := newRand(t)
	text := func(v any) []byte {
		var b strings.Builder
		respell(r, &b, v)
		return []byte(b.String())
	}
	for range 5000 {
		v := randomValue(r, 4)
		a := text(v)
		if !json.Valid(a) {
			t.Fatalf("the test wrote %s", a)
		}
		sameContent(t, a, text(v))
		m := mutate(r, v)
		x, _ := json.Marshal(v)
		y, _ := json.Marshal(m)
		if string(x) == string(y) {
			continue // renaming "yx" to "yxx" may have been undone
		}
		f, _ := Fingerprint(a)
		g, err := Fingerprint(text(m))
		if err != nil || f == g {
			t.Fatalf("same fingerprint (%v):\n%s\n%s", err, x, y)
		}
	}
}

// TestFingerprintOfStandardEvent changes each byte of an event to another that
// leaves it JSON; every content must have its own fingerprint.
func TestFingerprintOfStandardEvent(t *testing.T) {
	r := newRand(t)
	raw := standardEvent(r)
	seen := map[uint64]bool{}
	count := 0
	for i := range raw {
		for _, c := range []byte(`0123456789abcdfgxyzTMPCO-`) {
			changed := append([]byte{}, raw...)
			changed[i] = c
			if c == raw[i] {
				continue
			}
			h, err := Fingerprint(changed)
			if err != nil {
				continue
			}
			// Numbers out of range are all one content (and an exponent
			// could write the content of another change; there is no e
			// among the replacements).
			var v any
			if json.Unmarshal(changed, &v) != nil {
				continue
			}
			count++
			seen[h] = true
		}
	}
	if len(seen) != count {
		t.Errorf("%d contents have %d fingerprints", count, len(seen))
	}
}

func FuzzFingerprint(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(`[1e5,-0.0,"\ud83d\ude00",{"a":{},"":[null,true,false]}]`))
	f.Add([]byte(`12345678.123456789`))
	f.Add([]byte(`"\ud800"`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := Fingerprint(raw)
		if (err == nil) != plainJSON(raw) {
			t.Fatalf("Fingerprint says %v, encoding/json says %v", err, plainJSON(raw))
		}
		if err != nil {
			return
		}
		// encoding/json drops all but the last of repeated names, and
		// refuses numbers out of range: compare only where it does not.
		var v any
		if json.Unmarshal(raw, &v) != nil || repeatsNames(raw) {
			return
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := Fingerprint(again); err != nil || g != h {
			t.Fatalf("different fingerprints (%v):\n%s\n%s", err, raw, again)
		}
	})
}

// repeatsNames tells whether an object in raw has a name twice, by counting
// names before and after a trip through maps.
func repeatsNames(raw []byte) bool {
	var v any
	_ = json.Unmarshal(raw, &v)
	again, _ := json.Marshal(v)
	return countColons(raw) != countColons(again)
}

func countColons(raw []byte) (n int) {
	inString := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case c == ':' && !inString:
			n++
		}
	}
	return n
}

func BenchmarkFingerprint(b *testing.B) {
	raw := standardEvent(rand.New(rand.NewPCG(1, 1)))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Fingerprint(raw); err != nil {
			b.Fatal(err)
		}
	}
}

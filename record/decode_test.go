package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// standardEvent is an event of the standard form, 0.93 KB.
func standardEvent(r *rand.Rand) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"eventId":"%08x-%04x-4%03x-8%03x-%012x","complexData":{`, r.Uint32(), r.IntN(1<<16),
		r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
	double := func() string { return fmt.Sprintf("%d.%013d", 10+r.IntN(90), r.Int64N(1e13)) }
	for i := range 23 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"moreData%d":%s`, i, double())
	}
	fmt.Fprintf(&b, `},"value":%s,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":"%s","createdAt":"%s"}`,
		double(), r.IntN(1000), r.IntN(1e6), []string{"TEMP", "CO2"}[r.IntN(2)],
		AppendTime(nil, 1767322800000000+r.Int64N(1e12)))
	return b.Bytes()
}

func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

const (
	minimal = `{"eventId":"0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11","deviceId":"d","deviceSequenceNumber":7,"createdAt":"2026-01-02T15:04:05.123456Z"}`
	idHead  = `{"eventId":"0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11",`
)

func TestDecodeFields(t *testing.T) {
	raw := []byte(` {"eventId":"0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11" , "complexData":{"a":[1,{}]},"value":-1.5e1,` +
		`"site":"north","deviceId":"contoso:\/\/d\u00e9-1","deviceSequenceNumber":9223372036854775807,"tags":[1,2],` +
		`"type":"TEMP","createdAt":"2026-01-02T15:04:05.123456Z"}` + "\n")
	e := Event{Extra: []byte("old"), Type: []byte("old"), HasValue: true}
	if err := e.Decode(raw); err != nil {
		t.Fatal(err)
	}
	if e.ID.String() != "0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11" || string(e.DeviceID) != "contoso://dé-1" ||
		e.Sequence != 9223372036854775807 || e.Value != -15 || !e.HasValue || string(e.Type) != "TEMP" ||
		string(e.ComplexData) != `{"a":[1,{}]}` || string(e.Extra) != `"site":"north","tags":[1,2]` ||
		string(AppendTime(nil, e.CreatedAt)) != "2026-01-02T15:04:05.123456Z" || &e.Raw[0] != &raw[0] {
		t.Fatalf("decoded %+v", e)
	}
	// Reuse leaves nothing of the event before.
	if err := e.Decode([]byte(minimal)); err != nil {
		t.Fatal(err)
	}
	if e.Type != nil || e.HasValue || e.Value != 0 || e.ComplexData != nil || e.Extra != nil {
		t.Fatalf("old values are left: %+v", e)
	}
	if err := e.Decode([]byte("{")); err == nil || e.DeviceID != nil || e.Sequence != 0 || string(e.Raw) != "{" {
		t.Fatalf("a failure left %+v, %v", e, err)
	}
}

func TestDecodeExtra(t *testing.T) {
	for _, c := range []struct{ name, in, extra string }{
		{"upper-case id", strings.Replace(minimal, "0b2c", "0B2C", 1), `"eventId":"0B2C7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11"`},
		{"offset", strings.Replace(minimal, "15:04:05.123456Z", "16:04:05.123456+01:00", 1),
			`"createdAt":"2026-01-02T16:04:05.123456+01:00"`},
		{"nanoseconds", strings.Replace(minimal, "3456Z", "3456000Z", 1), `"createdAt":"2026-01-02T15:04:05.123456000Z"`},
		{"escaped time", strings.Replace(minimal, "2026-", `2026\u002d`, 1), ""},
		{"escaped name", strings.Replace(minimal, "deviceId", `device\u0049d`, 1), ""},
		{"side by side", minimal[:len(minimal)-1] + `, "a" : 1 , "b":2 }`, `"a" : 1 , "b":2`},
		{"apart", `{"x":[],` + strings.Replace(minimal[1:len(minimal)-1], `"deviceId"`, `"y":{},"deviceId"`, 1) + `,"z":null,"z":1}`,
			`"x":[],"y":{},"z":null,"z":1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Event
			if err := e.Decode([]byte(c.in)); err != nil {
				t.Fatal(err)
			}
			if string(e.Extra) != c.extra {
				t.Fatalf("Extra is %s, want %s", e.Extra, c.extra)
			}
			if string(AppendTime(nil, e.CreatedAt)) != "2026-01-02T15:04:05.123456Z" || string(e.DeviceID) != "d" {
				t.Fatalf("decoded %+v", e)
			}
			sameContent(t, []byte(c.in), AppendOriginal(nil, &e))
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	with := func(old, new string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("%q not in the event", old)
		}
		return strings.Replace(minimal, old, new, 1)
	}
	add := func(m string) string { return minimal[:len(minimal)-1] + "," + m + "}" }
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	for _, c := range []struct {
		in     string
		reason Reason
		field  string
	}{
		{"", NotJSON, ""}, {"  ", NotJSON, ""}, {"null", NotJSON, ""}, {"[1]", NotJSON, ""}, {"temp=21", NotJSON, ""},
		{minimal + "x", NotJSON, ""}, {minimal + minimal, NotJSON, ""}, {minimal[:40], NotJSON, ""},
		{add(`"x":01`), NotJSON, ""}, {add(`"x":1.`), NotJSON, ""}, {add(`"x":.5`), NotJSON, ""}, {add(`"x":1e`), NotJSON, ""},
		{add(`"x":+1`), NotJSON, ""}, {add(`"x":-`), NotJSON, ""}, {add(`"x":nul`), NotJSON, ""}, {add(`"x":NaN`), NotJSON, ""},
		{add(`"x":"\x"`), NotJSON, ""}, {add(`"x":"\ud800"`), NotJSON, ""}, {add(`"x":"\udc00\ud800"`), NotJSON, ""},
		{add("\"x\":\"\xff\""), NotJSON, ""}, {add("\"x\":\"a\nb\""), NotJSON, ""}, {add(`"x":[1,]`), NotJSON, ""},
		{add(`"x":{"a":1,}`), NotJSON, ""}, {add(`"x":{"a"}`), NotJSON, ""}, {add(`"x":` + deep), NotJSON, ""}, {add(""), NotJSON, ""},
		{"{}", MissingField, "eventId"}, {idHead + `"deviceId":"d","createdAt":"2026-01-02T15:04:05Z"}`, MissingField, "deviceSequenceNumber"},
		{with(`"0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11"`, "12"), WrongType, "eventId"}, {with("0b2c7f2e-", "0b2c7f2e"), WrongType, "eventId"},
		{with("0b2c", "0b2g"), WrongType, "eventId"}, {with(`"d"`, `""`), WrongType, "deviceId"}, {with(`"d"`, `null`), WrongType, "deviceId"},
		{with(":7", ":7.0"), WrongType, "deviceSequenceNumber"}, {with(":7", ":-7"), WrongType, "deviceSequenceNumber"},
		{with(":7", `:"7"`), WrongType, "deviceSequenceNumber"}, {with(":7", ":9223372036854775808"), WrongType, "deviceSequenceNumber"},
		{with("2026-01-02T", "2026-13-02T"), WrongType, "createdAt"}, {with(`"2026-01-02T15:04:05.123456Z"`, "1767322800"), WrongType, "createdAt"},
		{add(`"value":"1"`), WrongType, "value"}, {add(`"value":1e999`), WrongType, "value"}, {add(`"value":null`), WrongType, "value"},
		{add(`"type":1`), WrongType, "type"}, {add(`"complexData":[]`), WrongType, "complexData"},
		{add(`"deviceId":"d"`), WrongType, "deviceId"}, {add(`"v\u0061lue":1,"value":1`), WrongType, "value"},
		// Text that is not JSON is never called anything else.
		{with(":7", ":-7") + "x", NotJSON, ""},
	} {
		var e Event
		err := e.Decode([]byte(c.in))
		var de *DecodeError
		if !errors.As(err, &de) || de.Reason != c.reason || de.Field != c.field || de.Detail == "" {
			t.Errorf("%.150s: %v (%+v), want %s %s", c.in, err, de, c.reason, c.field)
		}
	}
	var e Event
	if err := e.Decode([]byte(add(`"x":` + deep[1:len(deep)-1]))); err != nil {
		t.Errorf("nesting of exactly %d levels is refused: %v", MaxDepth, err)
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	raw := standardEvent(newRand(t))
	var e Event
	if n := testing.AllocsPerRun(100, func() { _ = e.Decode(raw) }); n != 0 {
		t.Errorf("Decode allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Fingerprint(raw) }); n != 0 {
		t.Errorf("Fingerprint allocates %v times", n)
	}
}

// loneSurrogate tells whether JSON that encoding/json accepts has a \u escape
// of half a surrogate pair, which encoding/json turns into U+FFFD and we refuse.
func loneSurrogate(raw []byte) bool {
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if raw[i+1] == 'u' && scanEscape(raw, i) < 0 {
			return true
		}
		if next := scanEscape(raw, i); next > 0 {
			i = next - 1
		}
	}
	return false
}

func depthOf(raw []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

// plainJSON is an independent opinion on whether raw is JSON as we accept it.
func plainJSON(raw []byte) bool {
	return json.Valid(raw) && utf8.Valid(raw) && !loneSurrogate(raw) && depthOf(raw) <= MaxDepth
}

func FuzzDecode(f *testing.F) {
	f.Add(standardEvent(rand.New(rand.NewPCG(1, 1))))
	f.Add([]byte(minimal))
	f.Add([]byte(minimal[:len(minimal)-1] + `,"value":1e5,"type":"\ud83d\ude00","complexData":{"a":[-0.0,null,true]},"x":"\u0000"}`))
	f.Add([]byte(strings.Replace(minimal, "0b2c", "0B2C", 1)))
	f.Add([]byte(strings.Replace(minimal, "15:04:05.123456Z", "23:59:60+00:00", 1)))
	f.Add([]byte(`{"a":"\ud800"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept := bytes.Clone(raw)
		var e Event
		err := e.Decode(raw)
		isObject := plainJSON(raw) && bytes.TrimLeft(raw, " \t\r\n")[0] == '{'
		var de *DecodeError
		if err != nil && !errors.As(err, &de) {
			t.Fatalf("error of another kind: %v", err)
		}
		if notJSON := de != nil && de.Reason == NotJSON; notJSON == isObject {
			t.Fatalf("Decode says %v, encoding/json says object=%v", err, isObject)
		}
		if err == nil {
			again := AppendOriginal(nil, &e)
			sameContent(t, raw, again)
			var e2 Event
			if err := e2.Decode(again); err != nil {
				t.Fatalf("what AppendOriginal wrote does not decode: %v", err)
			}
			if e2.ID != e.ID || e2.Sequence != e.Sequence || e2.CreatedAt != e.CreatedAt || e2.Value != e.Value ||
				!bytes.Equal(e2.DeviceID, e.DeviceID) || !bytes.Equal(e2.Type, e.Type) {
				t.Fatalf("fields changed: %+v, %+v", e, e2)
			}
			checkDocument(t, &e)
		}
		if !bytes.Equal(kept, raw) {
			t.Fatal("the input was changed")
		}
	})
}

// checkDocument checks that the original can be told from a document.
func checkDocument(t *testing.T, e *Event) {
	t.Helper()
	r := Result{Event: *e, EnqueuedAt: 1767322800000001, ProcessedAt: NoTime}
	doc := AppendDocument(nil, &r)
	if !json.Valid(doc) {
		t.Fatalf("not JSON: %s", doc)
	}
	var s Stored
	if err := ParseDocument(doc, &s); err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	want, err := Fingerprint(e.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if s.Fingerprint != want || s.EnqueuedAt != r.EnqueuedAt || s.ProcessedAt != NoTime || s.ID != e.ID ||
		s.Sequence != e.Sequence || s.CreatedAt != e.CreatedAt || !bytes.Equal(s.DeviceID, e.DeviceID) {
		t.Fatalf("document %s reads back as %+v", doc, s)
	}
}

func sameContent(t *testing.T, a, b []byte) {
	t.Helper()
	x, err := Fingerprint(a)
	if err != nil {
		t.Fatalf("%v: %s", err, a)
	}
	y, err := Fingerprint(b)
	if err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	if x != y {
		t.Fatalf("different fingerprints:\n%s\n%s", a, b)
	}
}

func TestDocument(t *testing.T) {
	for _, in := range []string{
		minimal,
		" " + minimal[:len(minimal)-1] + " \n}\n",
		minimal[:len(minimal)-1] + `,"enqueuedAt":"yesterday","processedAt":5,"processedAt":null}`,
		string(standardEvent(newRand(t))),
	} {
		var e Event
		if err := e.Decode([]byte(in)); err != nil {
			t.Fatal(err)
		}
		checkDocument(t, &e)
	}
	var e Event
	if err := e.Decode([]byte(minimal)); err != nil {
		t.Fatal(err)
	}
	got := string(AppendDocument(nil, &Result{Event: e, EnqueuedAt: 0, ProcessedAt: 1}))
	want := minimal[:len(minimal)-1] + `,"enqueuedAt":"1970-01-01T00:00:00.000000Z","processedAt":"1970-01-01T00:00:00.000001Z"}`
	if got != want {
		t.Errorf("got %s", got)
	}
	// Whoever reads the last of two members of one name reads ours.
	e.Raw = []byte(minimal[:len(minimal)-1] + `,"enqueuedAt":"mine"}`)
	var m map[string]any
	if err := json.Unmarshal(AppendDocument(nil, &Result{Event: e}), &m); err != nil || m["enqueuedAt"] != "1970-01-01T00:00:00.000000Z" {
		t.Errorf("%v, %v", m, err)
	}
	if err := ParseDocument([]byte(minimal[:len(minimal)-1]+`,"processedAt":7}`), new(Stored)); err == nil {
		t.Error("a processedAt that is no time is accepted")
	}
}

func TestAppendOriginalFromColumns(t *testing.T) {
	e := Event{DeviceID: []byte("a\"b\\\n\x01é"), Type: []byte{}, HasValue: true, Value: 1e300}
	out := AppendOriginal(nil, &e)
	var m map[string]any
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if m["deviceId"] != string(e.DeviceID) || m["value"] != 1e300 || m["type"] != "" || m["complexData"] != nil {
		t.Errorf("%s", out)
	}
}

func BenchmarkDecode(b *testing.B) {
	raw := standardEvent(rand.New(rand.NewPCG(1, 1)))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	var e Event
	for b.Loop() {
		if err := e.Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendOriginal(b *testing.B) {
	raw := standardEvent(rand.New(rand.NewPCG(1, 1)))
	var e Event
	if err := e.Decode(raw); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		out = AppendOriginal(out[:0], &e)
	}
}

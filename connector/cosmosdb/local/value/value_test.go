package value

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func parse(t testing.TB, s string) Value {
	t.Helper()
	v, err := Parse([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

func TestWalkingOverADocument(t *testing.T) {
	t.Parallel()
	doc := parse(t, ` { "a" : 1 , "b":{"c":[true , null,"x\"y\\",{"d":[]}],"a":9}, "a":2, "\u00e9\n":"\ud83d\ude00\ud800", "e":{}, "s":"]}{[" } `)
	for _, tt := range []struct {
		got  Value
		want string
	}{
		{doc.Get("a"), "2"}, // the last one counts
		{doc.Get("b").Get("a"), "9"},
		{doc.Get("b").Get("c").Index(0), "true"},
		{doc.Get("b").Get("c").Index(1), "null"},
		{doc.Get("b").Get("c").Index(2), `"x\"y\\"`},
		{doc.Get("b").Get("c").Index(3).Get("d"), "[]"},
		{doc.Get("b").Get("c").Index(3).Get("d").Index(0), "undefined"},
		{doc.Get("b").Get("c").Index(4), "undefined"},
		{doc.Get("b").Get("c").Index(-1), "undefined"},
		{doc.Get("b").Get("c").Get("length"), "undefined"},
		{doc.Get("é\n"), `"\ud83d\ude00\ud800"`},
		{doc.Get("e"), "{}"},
		{doc.Get("s"), `"]}{["`},
		{doc.Get("A"), "undefined"},
		{doc.Get("a").Get("b"), "undefined"},
		{doc.Index(0), "undefined"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	if s, ok := doc.Get("é\n").AsString(); !ok || s != "😀\uFFFD" {
		t.Errorf("escapes: %q, %v", s, ok)
	}
	if n := doc.Len(); n != 5 {
		t.Errorf("%d members, want 5", n)
	}
	if n := doc.Get("b").Get("c").Len(); n != 4 {
		t.Errorf("%d elements, want 4", n)
	}
	names := ""
	doc.EachMember(func(name string, _ Value) bool { names += name + " "; return name != "b" })
	if names != "a b " {
		t.Errorf("members %q", names)
	}
}

func TestKindsAndWhatTheyGive(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		v    Value
		kind Kind
	}{
		{Value{}, KindUndefined}, {Undefined(), KindUndefined}, {Null(), KindNull}, {Bool(false), KindBool},
		{Number(0), KindNumber}, {String(""), KindString}, {Array(), KindArray}, {Object(), KindObject},
		{Trusted(nil), KindUndefined}, {Trusted([]byte(" [1]")), KindArray},
	} {
		if tt.v.Kind() != tt.kind {
			t.Errorf("%v is %v, want %v", tt.v, tt.v.Kind(), tt.kind)
		}
		_, b := tt.v.AsBool()
		_, n := tt.v.AsNumber()
		_, s := tt.v.AsString()
		if b != (tt.kind == KindBool) || n != (tt.kind == KindNumber) || s != (tt.kind == KindString) {
			t.Errorf("%v: bool %v, number %v, string %v", tt.v, b, n, s)
		}
	}
	if !Bool(true).IsTrue() || Bool(false).IsTrue() || Number(1).IsTrue() || Undefined().IsTrue() {
		t.Error("only true is true")
	}
}

func TestNumbersPrintAsJavaScriptPrintsThem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		f    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "0"}, {1, "1"}, {-1.5, "-1.5"}, {100, "100"}, {0.30000000000000004, "0.30000000000000004"},
		{1e20, "100000000000000000000"}, {1e21, "1e+21"}, {-1e21, "-1e+21"}, {1.5e300, "1.5e+300"}, {123456789012345680000, "123456789012345680000"},
		{1e-6, "0.000001"}, {1e-7, "1e-7"}, {1.25e-10, "1.25e-10"}, {5e-324, "5e-324"}, {math.MaxFloat64, "1.7976931348623157e+308"},
		{9007199254740993, "9007199254740992"}, {math.NaN(), "null"}, {math.Inf(1), "null"},
	} {
		if got := string(Number(tt.f).AppendJSON(nil)); got != tt.want {
			t.Errorf("%g: %s, want %s", tt.f, got, tt.want)
		}
	}
	// What came from a document keeps its text.
	for _, s := range []string{"1.0", "-0", "1E+2", "12345678901234567890", "0.10"} {
		if got := parse(t, s).String(); got != s {
			t.Errorf("%s became %s", s, got)
		}
	}
}

func TestStringsAreEscapedAsJavaScriptDoes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ s, want string }{
		{"", `""`}, {"a\"b\\c/", `"a\"b\\c/"`}, {"\b\f\n\r\t\x00\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\""},
		{"é😀<&>\u2028", "\"é😀<&>\u2028\""}, {"a\xffb\xc3", "\"a\uFFFDb\uFFFD\""},
	} {
		if got := string(String(tt.s).AppendJSON(nil)); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.s, got, tt.want)
		}
	}
}

func TestBuildersLeaveUndefinedOut(t *testing.T) {
	t.Parallel()
	v := Object(Member{"a", Undefined()}, Member{"b\n", Array(Number(1), Undefined(), String("x"), Null())}, Member{"c", Object()})
	if got, want := v.String(), `{"b\n":[1,"x",null],"c":{}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var b ArrayBuilder
	b.Append(Bool(true))
	first := b.Value()
	b.Append(Bool(false))
	if got := first.String() + b.Value().String() + b.Value().String(); got != "[true][false][]" {
		t.Errorf("a builder after its value: %s", got)
	}
}

func TestCloneStandsOnItsOwn(t *testing.T) {
	t.Parallel()
	text := []byte(`{"a":"xyz"}`)
	v := Trusted(text).Get("a")
	kept := v.Clone()
	copy(text, strings.Repeat(" ", len(text)))
	if kept.String() != `"xyz"` {
		t.Errorf("the copy changed with the document: %s", kept)
	}
}

// Whatever the text of a document is like, walking over it finds what a decoder
// finds, and what is built from that is the same value.
func TestRandomDocumentsAsADecoderSeesThem(t *testing.T) {
	t.Parallel()
	r := newRandom(1)
	for range 2000 {
		want := r.any(4)
		s := r.json(want)
		v := parse(t, s)
		if got := plain(v); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n got %#v\nwant %#v", s, got, want)
		}
		if m, ok := want.(map[string]any); ok {
			if v.Len() != len(m) {
				t.Fatalf("%s: %d members", s, v.Len())
			}
			for name, w := range m {
				if got := plain(v.Get(name)); !reflect.DeepEqual(got, w) {
					t.Fatalf("%s: %q is %#v, want %#v", s, name, got, w)
				}
			}
		}
		if list, ok := want.([]any); ok {
			for i, w := range list {
				if got := plain(v.Index(i)); !reflect.DeepEqual(got, w) {
					t.Fatalf("%s: [%d] is %#v, want %#v", s, i, got, w)
				}
			}
		}
		out := v.AppendJSON(nil)
		if got := strings.TrimSpace(s); string(out) != got {
			t.Fatalf("passed through as %s, not %s", out, got)
		}
		b := made(want)
		if equal, defined := Equal(b, v); !equal || !defined {
			t.Fatalf("%v built again is not %s", b, s)
		}
		if !json.Valid(b.AppendJSON(nil)) {
			t.Fatalf("built %s", b)
		}
	}
}

func TestLookingAtAMemberAllocatesNothing(t *testing.T) {
	doc := Trusted([]byte(sampleDocument()))
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := doc.Get("type").AsString(); !ok {
			t.Fatal("no type")
		}
		if _, ok := doc.Get("complexData").Get("moreData22").AsNumber(); !ok {
			t.Fatal("no moreData22")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// sampleDocument is about 1 KB with 30 members.
func sampleDocument() string {
	var b strings.Builder
	b.WriteString(`{"eventId":"6b1f6d0e-6d53-4f0c-9a3b-0b9f1c6c4f3e","complexData":{`)
	for i := range 23 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"moreData` + string(AppendNumber(nil, float64(i))) + `":` + string(AppendNumber(nil, 10+float64(i)*math.Pi)))
	}
	b.WriteString(`},"value":49.02278128887753,"deviceId":"contoso://device-id-154","deviceSequenceNumber":4711,"type":"CO2",` +
		`"createdAt":"2024-05-17T08:31:09.123456Z","id":"6b1f6d0e-6d53-4f0c-9a3b-0b9f1c6c4f3e","_rid":"K4dvAIClggAEAAAAAAAAAA==",` +
		`"_self":"dbs/K4dvAA==/colls/K4dvAIClggA=/docs/K4dvAIClggAEAAAAAAAAAA==/","_etag":"\"010002d3-0000-0c00-0000-6114d2bd0000\"","_ts":1628754621}`)
	return b.String()
}

func BenchmarkGet(b *testing.B) {
	text := []byte(sampleDocument())
	for _, name := range []string{"eventId", "type", "_ts", "none"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Trusted(text).Get(name)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(sampleDocument())
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendKey(b *testing.B) {
	doc := Trusted([]byte(sampleDocument()))
	v := doc.Get("deviceId")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendKey(dst[:0], v)
	}
}

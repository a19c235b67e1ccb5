package amqp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestPerformativesOnTheWire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body any
		want string
	}{
		{&Begin{RemoteChannel: new(uint16(0)), NextOutgoingID: 1, IncomingWindow: 5000, OutgoingWindow: 2, HandleMax: new(uint32(255))},
			"005311" + "c01208" + "600000" + "5201" + "7000001388" + "5202" + "52ff" + "404040"},
		{&Flow{NextIncomingID: new(uint32(1)), IncomingWindow: 2, NextOutgoingID: 3, OutgoingWindow: 4},
			"005313" + "c0100b" + "5201" + "5202" + "5203" + "5204" + "40404040" + "4242" + "40"},
		{&Transfer{Handle: 1, DeliveryID: new(uint32(0)), DeliveryTag: []byte{9}, MessageFormat: new(uint32(0)), Settled: new(true)},
			"005314" + "c00f0b" + "5201" + "43" + "a00109" + "43" + "41" + "42" + "4040" + "424242"},
		{&Disposition{Role: RoleReceiver, First: 1, Last: new(uint32(2)), Settled: true, State: Accepted{}},
			"005315" + "c00e06" + "41" + "5201" + "5202" + "41" + "005324c00100" + "42"},
		{&Detach{Handle: 3, Closed: true, Error: &Error{Condition: "a", Description: "b"}},
			"005316" + "c01103" + "5203" + "41" + "00531d" + "c00803" + "a30161" + "a10162" + "40"},
		{&End{}, "005317" + "c00201" + "40"},
		{&Close{}, "005318" + "c00201" + "40"},
		{&SASLMechanisms{Mechanisms: []Symbol{"PLAIN"}}, "005340" + "c00b01" + "e00801a305504c41494e"},
		{&SASLOutcome{}, "005344" + "c00402" + "5000" + "40"},
	} {
		got := AppendPerformative(nil, tt.body)
		if h := hex.EncodeToString(got); h != tt.want {
			t.Errorf("%T: %s, want %s", tt.body, h, tt.want)
		}
	}
}

// The Python client reads by index, so the lists have to be complete.
func TestListsAreComplete(t *testing.T) {
	t.Parallel()
	for body, want := range map[any]int{
		&Open{}: 10, &Begin{}: 8, &Attach{}: 14, &Flow{}: 11, &Transfer{}: 11, &Disposition{}: 6,
		&Detach{}: 3, &End{}: 1, &Close{}: 1, &SASLMechanisms{}: 1, &SASLInit{}: 3, &SASLOutcome{}: 2,
	} {
		b := AppendPerformative(nil, body)
		v, rest, err := ReadValue(b)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%T: %x, rest %x, error %v", body, b, rest, err)
		}
		if n := len(v.(Described).Value.(List)); n != want {
			t.Errorf("%T has %d fields, want %d", body, n, want)
		}
		if b[1] != codeSmallUlong || b[3] != codeList8 {
			t.Errorf("%T begins with %x", body, b[:4])
		}
	}
}

// filled returns a performative in which every field is set at random, or left
// alone at random.
func filled(rnd *rand.Rand, p any) any {
	fillStruct(rnd, reflect.ValueOf(p).Elem())
	if a, ok := p.(*Attach); ok && a.Target != nil && a.Target.Coordinator {
		a.Target = &Target{Coordinator: true, Capabilities: a.Target.Capabilities}
	}
	return p
}

func fillStruct(rnd *rand.Rand, v reflect.Value) {
	for i := range v.NumField() {
		if f := v.Field(i); rnd.IntN(4) > 0 {
			fillField(rnd, f, v.Type().Field(i).Name)
		}
	}
}

func fillField(rnd *rand.Rand, f reflect.Value, name string) {
	switch f.Interface().(type) {
	case string, Symbol:
		f.SetString(randomText(rnd))
	case []byte:
		f.SetBytes(randomBytes(rnd))
	case []Symbol:
		s := make([]Symbol, rnd.IntN(3))
		for i := range s {
			s[i] = Symbol(randomText(rnd))
		}
		f.Set(reflect.ValueOf(s))
	case Map:
		m := make(Map, rnd.IntN(3))
		for i := range m {
			m[i] = Pair{Symbol(randomText(rnd)), randomValue(rnd, 3)}
		}
		f.Set(reflect.ValueOf(m))
	case any:
		fillOther(rnd, f, name)
	default: // a nil interface: a state or an outcome
		fillState(rnd, f)
	}
}

func fillOther(rnd *rand.Rand, f reflect.Value, name string) {
	switch f.Kind() {
	case reflect.Bool:
		f.SetBool(true)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.SetUint(edge(rnd) >> (64 - f.Type().Bits()))
		if rnd.IntN(2) == 0 {
			f.SetUint(uint64(rnd.IntN(256)))
		}
	case reflect.Int64:
		f.SetInt(int64(edge(rnd)))
	case reflect.Pointer:
		f.Set(reflect.New(f.Type().Elem()))
		if f.Elem().Kind() == reflect.Struct {
			fillStruct(rnd, f.Elem())
		} else {
			fillOther(rnd, f.Elem(), name)
		}
	default:
		panic("cannot fill " + name + " of type " + f.Type().String())
	}
}

func fillState(rnd *rand.Rand, f reflect.Value) {
	var state any
	switch rnd.IntN(7) {
	case 0:
		state = Accepted{}
	case 1:
		state = Released{}
	case 2:
		state = Rejected{Error: &Error{Condition: Symbol(randomText(rnd)), Description: randomText(rnd), Info: Map{{Symbol("x"), int32(1)}}}}
	case 3:
		state = Modified{DeliveryFailed: true, MessageAnnotations: Map{{Symbol("y"), randomValue(rnd, 3)}}}
	case 4:
		state = Received{SectionNumber: rnd.Uint32(), SectionOffset: rnd.Uint64()}
	case 5:
		state = Described{uint64(0x34), List{[]byte{1}, nil}}
	case 6:
		return
	}
	f.Set(reflect.ValueOf(state))
}

func performatives() []any {
	return []any{
		&Open{}, &Begin{}, &Attach{}, &Flow{}, &Transfer{}, &Disposition{}, &Detach{}, &End{}, &Close{},
		&SASLMechanisms{}, &SASLInit{}, &SASLOutcome{},
	}
}

// Every performative survives encoding and decoding, also when the same structs
// are decoded into again and again.
func TestRandomPerformatives(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	var h hot
	for range 500 {
		for _, empty := range performatives() {
			p := filled(rnd, empty)
			tail := randomBytes(rnd)
			enc := AppendPerformative(nil, p)
			got, rest, err := readPerformative(append(bytes.Clone(enc), tail...), &h)
			if err != nil || !bytes.Equal(rest, tail) || !reflect.DeepEqual(got, p) {
				t.Fatalf("%#v\nbecame %#v\nrest %x, error %v, encoded %x", p, got, rest, err, enc)
			}
			if cut := enc[:rnd.IntN(len(enc))]; len(cut) > 0 {
				if _, _, err := ReadPerformative(cut); err == nil {
					t.Fatalf("%x, cut from %x, is read", cut, enc)
				}
			}
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestForeignPerformatives(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		in   string
		want any
	}{
		"empty list":            {"00531745", &End{}},
		"short list":            {"005314c0020143", &Transfer{}},
		"long descriptor":       {"008000000000000000 18 45", &Close{}},
		"long list":             {"005317d00000000700000003404142", &End{}},
		"symbolic descriptor":   {"00a30e" + hex.EncodeToString([]byte("amqp:flow:list")) + "c006034352075208", &Flow{NextIncomingID: new(uint32(0)), IncomingWindow: 7, NextOutgoingID: 8}},
		"numbers of any width":  {"005316c0090280000000000000000541", nil},
		"a symbol for several":  {"005340c00401a30141", &SASLMechanisms{Mechanisms: []Symbol{"A"}}},
		"several in a list":     {"005340c00801c00501a3025043", &SASLMechanisms{Mechanisms: []Symbol{"PC"}}},
		"unknown descriptor":    {"00530f45", nil},
		"a section":             {"00537045", nil},
		"a map for a list":      {"005310c10100", nil},
		"a string for a number": {"005316c00401a1013141", nil},
		"too large a number":    {"005316c00a018000000001000000ff", nil},
		"handle as ulong":       {"005316c00401530541", nil},
		"detach by ulong":       {"005316c00402530541", &Detach{Handle: 5, Closed: true}},
		"bool in two bytes":     {"005316c00402520556 01", nil},
		"bool as two bytes":     {"005316c0050252055601", &Detach{Handle: 5, Closed: true}},
		"bool of 2":             {"005316c0050252055602", nil},
		"text that is not UTF8": {"005310c00401a101ff", nil},
		"count beyond the end":  {"005317c00109", nil},
		"no descriptor":         {"45", nil},
		"nothing":               {"", nil},
	} {
		got, _, err := ReadPerformative(unhex(t, string(bytes.ReplaceAll([]byte(tt.in), []byte(" "), nil))))
		if tt.want == nil {
			if err == nil {
				t.Errorf("%s: no error but %#v", name, got)
			}
			var e *Error
			if !errors.As(err, &e) || e.Condition != ErrorDecode {
				t.Errorf("%s: error %v", name, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %#v, error %v, want %#v", name, got, err, tt.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	if s := (&Error{Condition: ErrorNotFound}).Error(); s != "amqp:not-found" {
		t.Error(s)
	}
	if s := (&Error{Condition: ErrorNotFound, Description: "no hub x"}).Error(); s != "amqp:not-found: no hub x" {
		t.Error(s)
	}
}

func TestAppendPerformativePanicsOnOthers(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a value instead of a pointer was encoded")
		}
	}()
	AppendPerformative(nil, Open{})
}

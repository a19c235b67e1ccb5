package amqp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
)

// parsed parses b and fails the test if that is not possible.
func parsed(t testing.TB, b []byte) Message {
	t.Helper()
	var m Message
	if err := ParseMessage(b, &m); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	return m
}

func officialMessage() *goamqp.Message {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	return &goamqp.Message{
		Header:              &goamqp.MessageHeader{Durable: true, Priority: 7, TTL: 5 * time.Second, DeliveryCount: 3},
		DeliveryAnnotations: goamqp.Annotations{"d": int64(1)},
		Annotations:         goamqp.Annotations{"x-opt-partition-key": "key", "n": int32(-5)},
		Properties: &goamqp.MessageProperties{
			MessageID: goamqp.UUID{1, 2, 3}, UserID: []byte("user"), To: new("to"), Subject: new("subject"),
			ReplyTo: new("reply"), CorrelationID: uint64(300), ContentType: new("application/json"),
			ContentEncoding: new("utf-8"), AbsoluteExpiryTime: &at, CreationTime: &at, GroupID: new("group"),
			GroupSequence: new(uint32(9)), ReplyToGroupID: new("back"),
		},
		ApplicationProperties: map[string]any{
			"bool": true, "int8": int8(-8), "int16": int16(-16), "int32": int32(-32), "int64": int64(-64_000),
			"uint8": uint8(8), "uint16": uint16(16), "uint32": uint32(32_000), "uint64": uint64(1 << 40),
			"float32": float32(1.5), "float64": 2.5, "string": "é", "binary": []byte{0, 1}, "uuid": goamqp.UUID{9},
			"time": at, "null": nil,
		},
		Data:   [][]byte{[]byte("body")},
		Footer: goamqp.Annotations{"f": "oot"},
	}
}

// The official codec writes, we read.
func TestOfficialMessageIsRead(t *testing.T) {
	t.Parallel()
	b, err := officialMessage().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	m := parsed(t, b)
	if got := m.Append(nil); !bytes.Equal(got, b) || m.Len() != len(b) {
		t.Errorf("put together again: %x, want %x", got, b)
	}
	data, kind, err := m.Data(nil)
	if string(data) != "body" || kind != BodyData || err != nil {
		t.Errorf("%q %v %v", data, kind, err)
	}
	h, err := ReadHeader(m.Header)
	if want := (Header{Durable: true, Priority: new(uint8(7)), TTL: new(uint32(5000)), DeliveryCount: 3}); err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("%+v, %v", h, err)
	}
	p, err := ReadProperties(m.Properties)
	want := Properties{
		MessageID: UUID{1, 2, 3}, UserID: []byte("user"), To: "to", Subject: "subject", ReplyTo: "reply",
		CorrelationID: uint64(300), ContentType: "application/json", ContentEncoding: "utf-8",
		AbsoluteExpiryTime: new(Timestamp(1_700_000_000_123)), CreationTime: new(Timestamp(1_700_000_000_123)),
		GroupID: "group", GroupSequence: new(uint32(9)), ReplyToGroupID: "back",
	}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, %v", p, err)
	}
	props, err := ReadMap(m.ApplicationProperties)
	if err != nil || len(props) != 16 {
		t.Fatal(props, err)
	}
	for key, want := range map[string]any{
		"bool": true, "int8": int8(-8), "int16": int16(-16), "int32": int32(-32), "int64": int64(-64_000),
		"uint8": uint8(8), "uint16": uint16(16), "uint32": uint32(32_000), "uint64": uint64(1 << 40),
		"float32": float32(1.5), "float64": 2.5, "string": "é", "binary": []byte{0, 1}, "uuid": UUID{9},
		"time": Timestamp(1_700_000_000_123), "null": nil,
	} {
		if got, ok := props.Get(key); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, want %#v", key, got, want)
		}
	}
	if key, ok := ReadText(FindEntry(m.MessageAnnotations, "x-opt-partition-key")); string(key) != "key" || !ok {
		t.Errorf("partition key %q, %v", key, ok)
	}
	if v := FindEntry(m.MessageAnnotations, "x-opt"); v != nil {
		t.Errorf("an entry that is not there: %x", v)
	}
}

// We write, the official codec reads.
func TestOfficialCodecReadsUs(t *testing.T) {
	t.Parallel()
	want := officialMessage()
	at := Timestamp(1_700_000_000_123)
	b := AppendHeader(nil, &Header{Durable: true, Priority: new(uint8(7)), TTL: new(uint32(5000)), DeliveryCount: 3})
	b = AppendDeliveryAnnotations(b, Map{{Symbol("d"), int64(1)}})
	b = AppendMessageAnnotations(b, Map{{Symbol("x-opt-partition-key"), "key"}, {Symbol("n"), int32(-5)}})
	b = AppendProperties(b, &Properties{
		MessageID: UUID{1, 2, 3}, UserID: []byte("user"), To: "to", Subject: "subject", ReplyTo: "reply",
		CorrelationID: uint64(300), ContentType: "application/json", ContentEncoding: "utf-8",
		AbsoluteExpiryTime: &at, CreationTime: &at, GroupID: "group", GroupSequence: new(uint32(9)), ReplyToGroupID: "back",
	})
	b = AppendApplicationProperties(b, Map{
		{"bool", true}, {"int8", int8(-8)}, {"int16", int16(-16)}, {"int32", int32(-32)}, {"int64", int64(-64_000)},
		{"uint8", uint8(8)}, {"uint16", uint16(16)}, {"uint32", uint32(32_000)}, {"uint64", uint64(1 << 40)},
		{"float32", float32(1.5)}, {"float64", 2.5}, {"string", "é"}, {"binary", []byte{0, 1}}, {"uuid", UUID{9}},
		{"time", at}, {"null", nil},
	})
	b = AppendData(b, "body")
	footer, err := (&goamqp.Message{Footer: want.Footer}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, footer...)
	var got goamqp.Message
	if err := got.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	// The same moments, told in the zone of the machine.
	for _, at := range []*time.Time{got.Properties.AbsoluteExpiryTime, got.Properties.CreationTime} {
		*at = at.UTC()
	}
	got.ApplicationProperties["time"] = got.ApplicationProperties["time"].(time.Time).UTC()
	if !reflect.DeepEqual(got.Properties, want.Properties) {
		t.Errorf("%+v\nwant %+v", got.Properties, want.Properties)
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("%+v\nwant %+v", &got, want)
	}
}

// Random values in an amqp-value body go through the official codec and back.
func TestOfficialCodecAgreesOnRandomValues(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		v := randomScalar(rnd, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 17, 18}[rnd.IntN(14)])
		switch rnd.IntN(4) {
		case 0:
			v = List{v, nil, randomText(rnd)}
		case 1:
			v = Map{{"k", v}}
		case 2:
			v = []string{"-" + randomText(rnd), "-" + randomText(rnd)} // it refuses arrays of empty strings
		}
		var m goamqp.Message
		if err := m.UnmarshalBinary(AppendBody(nil, v)); err != nil {
			t.Fatalf("%#v: %v", v, err)
		}
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatalf("%#v became %#v: %v", v, m.Value, err)
		}
		got := parsed(t, b)
		back, err := got.Value()
		if err != nil || !reflect.DeepEqual(back, v) {
			t.Fatalf("%#v came back as %#v, %v", v, back, err)
		}
	}
}

func batch(t testing.TB, n int, size int) (payload []byte, events [][]byte) {
	t.Helper()
	envelope := &goamqp.Message{
		Annotations: goamqp.Annotations{"x-opt-partition-key": "key"},
		Properties:  &goamqp.MessageProperties{MessageID: "first"},
	}
	for i := range n {
		inner := &goamqp.Message{
			Annotations: envelope.Annotations,
			Data:        [][]byte{bytes.Repeat([]byte{byte(i)}, size+i%300)},
		}
		b, err := inner.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		envelope.Data = append(envelope.Data, b)
	}
	payload, err := envelope.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return payload, envelope.Data
}

func TestEachBatched(t *testing.T) {
	t.Parallel()
	payload, want := batch(t, 1000, 10)
	var got [][]byte
	if err := EachBatched(payload, func(inner []byte) error { got = append(got, inner); return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("%d events differ from the %d sent", len(got), len(want))
	}
	for _, inner := range got {
		m := parsed(t, inner)
		if key, _ := ReadText(FindEntry(m.MessageAnnotations, "x-opt-partition-key")); string(key) != "key" {
			t.Fatalf("partition key %q", key)
		}
	}
	envelope := parsed(t, payload)
	if &envelope.Body[0] != &payload[len(payload)-len(envelope.Body)] {
		t.Error("the body of the envelope is a copy")
	}
	joined, kind, err := envelope.Data(nil)
	if !bytes.Equal(joined, bytes.Join(want, nil)) || kind != BodyData || err != nil {
		t.Errorf("%d bytes of kind %v, %v", len(joined), kind, err)
	}
	stop := errors.New("stop")
	if err := EachBatched(payload, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	if err := EachBatched(AppendBody(nil, "value"), nil); err == nil {
		t.Error("a value is taken for a batch")
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	value := AppendBody(nil, Map{{"k", List{int32(1)}}})
	sequence := unhex(t, "005376c0050255015502")
	for name, tt := range map[string]struct {
		in   []byte
		data []byte
		kind BodyKind
	}{
		"none":          {AppendHeader(nil, &Header{}), nil, BodyNone},
		"nothing":       {nil, nil, BodyNone},
		"null data":     {[]byte{0, 0x53, descData, codeNull}, nil, BodyData},
		"empty data":    {AppendData(nil, ""), []byte{}, BodyData},
		"data":          {AppendData(nil, "abc"), []byte("abc"), BodyData},
		"data twice":    {AppendData(AppendData(nil, "abc"), "def"), []byte("abcdef"), BodyData},
		"value":         {value, value, BodyValue},
		"null value":    {AppendBody(nil, nil), AppendBody(nil, nil), BodyValue},
		"sequence":      {sequence, sequence, BodySequence},
		"two sequences": {append(bytes.Clone(sequence), sequence...), append(bytes.Clone(sequence), sequence...), BodySequence},
	} {
		m := parsed(t, tt.in)
		data, kind, err := m.Data(nil)
		if !bytes.Equal(data, tt.data) || kind != tt.kind || err != nil {
			t.Errorf("%s: %x of kind %v, %v", name, data, kind, err)
		}
		if _, err := m.Value(); (err == nil) != (tt.kind == BodyValue) {
			t.Errorf("%s: as a value: %v", name, err)
		}
	}
}

// Other forms of descriptors are accepted and written in the form all clients
// read.
func TestForeignDescriptors(t *testing.T) {
	t.Parallel()
	want := AppendData(AppendData(AppendMessageAnnotations(nil, Map{{Symbol("k"), "v"}}), "one"), "two")
	m := parsed(t, want)
	long := func(code byte) []byte { return []byte{0, codeUlong, 0, 0, 0, 0, 0, 0, 0, code} }
	symbolic := func(name string) []byte { return AppendSymbol([]byte{0}, name) }
	one, two := AppendData(nil, "one"), AppendData(nil, "two")
	annotations := m.MessageAnnotations[3:]
	for name, parts := range map[string][][]byte{
		"long":          {long(descMessageAnnotations), annotations, long(descData), one[3:], long(descData), two[3:]},
		"symbolic":      {symbolic("amqp:message-annotations:map"), annotations, one, symbolic("amqp:data:binary"), two[3:]},
		"the last only": {m.MessageAnnotations, one, long(descData), two[3:]},
		"the first":     {m.MessageAnnotations, long(descData), one[3:], two},
	} {
		in := bytes.Join(parts, nil)
		before := bytes.Clone(in)
		m := parsed(t, in)
		if got := m.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
		if !bytes.Equal(in, before) {
			t.Errorf("%s: the message itself was changed", name)
		}
	}
}

// Some clients send the footer before the body.
func TestSectionsInAnyOrder(t *testing.T) {
	t.Parallel()
	header, body := AppendHeader(nil, &Header{}), AppendData(AppendData(nil, "one"), "two")
	annotations, footer := AppendMessageAnnotations(nil, nil), []byte{0, 0x53, descFooter, codeMap8, 1, 0}
	want := bytes.Join([][]byte{header, annotations, body, footer}, nil)
	for _, in := range [][][]byte{
		{header, annotations, body, footer}, {header, annotations, footer, body}, {body, footer, annotations, header},
	} {
		m := parsed(t, bytes.Join(in, nil))
		if got := m.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("%x, want %x", got, want)
		}
	}
}

func TestParseMessageRefuses(t *testing.T) {
	t.Parallel()
	header := AppendHeader(nil, &Header{})
	annotations := AppendMessageAnnotations(nil, nil)
	data, value := AppendData(nil, "x"), AppendBody(nil, "x")
	for name, parts := range map[string][][]byte{
		"a section twice":           {header, header},
		"two values":                {value, value},
		"data and value":            {data, value},
		"value and data":            {value, data},
		"something within the body": {data, annotations, data},
		"no section":                {{codeNull}},
		"a performative":            {AppendPerformative(nil, &End{})},
		"unknown descriptor":        {{0, 0x53, 0x79, codeNull}},
		"cut":                       {data[:4]},
		"a list of annotations":     {{0, 0x53, descMessageAnnotations, codeList8, 1, 0}},
		"a text as data":            {{0, 0x53, descData, codeStr8, 0}},
		"a map with half an entry":  {{0, 0x53, descMessageAnnotations, codeMap8, 2, 1, codeNull}},
		"text that is no UTF-8":     {{0, 0x53, descValue, codeStr8, 1, 0xff}},
		"an impossible constructor": {{0, 0x53, descValue, 0x49}},
	} {
		var m Message
		err := ParseMessage(bytes.Join(parts, nil), &m)
		var e *Error
		if !errors.As(err, &e) || e.Condition != ErrorDecode {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEachEntry(t *testing.T) {
	t.Parallel()
	section := AppendApplicationProperties(nil, Map{{"a", int32(1)}, {Symbol("b"), List{"x"}}, {"c", nil}})
	got := map[string]string{}
	err := EachEntry(section, func(key string, value []byte) error {
		got[key] = hex.EncodeToString(value)
		return nil
	})
	want := map[string]string{"a": "5401", "b": "c00401a10178", "c": "40"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if err := EachEntry(nil, nil); err != nil {
		t.Error(err)
	}
	for name, section := range map[string][]byte{
		"number as key": AppendMessageAnnotations(nil, Map{{uint64(1), "x"}}),
		"list":          AppendHeader(nil, &Header{}),
		"cut":           section[:len(section)-1],
		"empty":         {},
	} {
		if err := EachEntry(section, func(string, []byte) error { return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	stop := errors.New("stop")
	if err := EachEntry(section, func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	built, start := OpenMap([]byte("before"), SectionApplicationProperties)
	built = AppendValue(AppendString(built, "a"), int32(1))
	built = CloseMap(built, start, 1)
	if want := AppendApplicationProperties([]byte("before"), Map{{"a", int32(1)}}); !bytes.Equal(built, want) {
		t.Errorf("%x, want %x", built, want)
	}
}

func TestParsingDoesNotAllocate(t *testing.T) {
	payload, _ := batch(t, 100, 100)
	var envelope, m Message
	n := testing.AllocsPerRun(100, func() {
		if err := ParseMessage(payload, &envelope); err != nil {
			t.Fatal(err)
		}
		err := EachBatched(payload, func(inner []byte) error {
			if err := ParseMessage(inner, &m); err != nil {
				return err
			}
			if FindEntry(m.MessageAnnotations, "x-opt-partition-key") == nil {
				t.Fatal("the partition key is gone")
			}
			_, _, err := m.Data(nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

package amqp

import (
	"bytes"
	"testing"

	goamqp "github.com/Azure/go-amqp"
)

// event is an encoded event of about 1 KB, as a device sends it with a key.
func event(b *testing.B) []byte {
	m := &goamqp.Message{
		Annotations:           goamqp.Annotations{"x-opt-partition-key": "contoso://device-id-154"},
		ApplicationProperties: map[string]any{"type": "TEMP", "n": int64(12345)},
		Data:                  [][]byte{bytes.Repeat([]byte("0123456789"), 100)},
	}
	enc, err := m.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	return enc
}

func BenchmarkParseEvent(b *testing.B) {
	enc := event(b)
	var m Message
	b.SetBytes(int64(len(enc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseMessage(enc, &m); err != nil {
			b.Fatal(err)
		}
		if FindEntry(m.MessageAnnotations, "x-opt-partition-key") == nil {
			b.Fatal("no key")
		}
		if _, _, err := m.Data(nil); err != nil {
			b.Fatal(err)
		}
	}
}

// The official client's codec on the same event, for comparison.
func BenchmarkParseEventOfficial(b *testing.B) {
	enc := event(b)
	b.SetBytes(int64(len(enc)))
	b.ReportAllocs()
	for b.Loop() {
		var m goamqp.Message
		if err := m.UnmarshalBinary(enc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadTransfer(b *testing.B) {
	frame := AppendFrame(nil, &Frame{
		Body: &Transfer{
			Handle: 0, DeliveryID: new(uint32(123456)), DeliveryTag: []byte("12345678"),
			MessageFormat: new(BatchFormat), Settled: new(false),
		},
		Payload: event(b),
	})
	wire := bytes.Repeat(frame, 100)
	src := bytes.NewReader(nil)
	r := NewReader(src, 1<<16)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if !r.Buffered() && src.Len() == 0 {
			src.Reset(wire)
		}
		if _, err := r.ReadFrame(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendTransfer(b *testing.B) {
	payload := event(b)
	f := &Frame{
		Body:    &Transfer{DeliveryID: new(uint32(123456)), DeliveryTag: []byte("12345678"), MessageFormat: new(uint32(0)), Settled: new(true)},
		Payload: payload,
	}
	var dst []byte
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if len(dst) > 64<<10 {
			dst = dst[:0]
		}
		dst = AppendFrame(dst, f)
	}
}

func BenchmarkReadDisposition(b *testing.B) {
	wire := AppendPerformative(nil, &Disposition{Role: RoleReceiver, First: 100_000, Last: new(uint32(100_300)), Settled: true, State: Accepted{}})
	var h hot
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := readPerformative(wire, &h); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadFlow(b *testing.B) {
	wire := AppendPerformative(nil, &Flow{NextIncomingID: new(uint32(100_000)), IncomingWindow: 5000, OutgoingWindow: 5000, Handle: new(uint32(0)), DeliveryCount: new(uint32(100_000)), LinkCredit: new(uint32(300))})
	var h hot
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := readPerformative(wire, &h); err != nil {
			b.Fatal(err)
		}
	}
}

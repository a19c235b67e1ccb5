package hub_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func seeds(t testing.TB) [][]byte {
	full := amqp.AppendMessageAnnotations(nil, amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k"}})
	full = amqp.AppendProperties(full, &amqp.Properties{MessageID: "id", ContentType: "text/plain"})
	full = amqp.AppendApplicationProperties(full, amqp.Map{{Key: "a", Value: int32(1)}})
	full = amqp.AppendData(amqp.AppendData(full, "one"), "two")
	var out [][]byte
	for _, ms := range [][]amqp.Message{{event("a")}, {parse(t, full), event("b")}, {parse(t, amqp.AppendBody(nil, "v"))}} {
		b, err := hub.EncodeBatch(9, ms...)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return append(out,
		rawBatch(9, 0, -1, kmsg.Record{Key: []byte("k"), Value: []byte("v"), Headers: []kmsg.Header{{Key: "h", Value: []byte("x")}}}, kmsg.Record{}),
		rawBatch(9, 0x30, 1, kmsg.Record{Key: []byte{0, 0, 0, 0}}))
}

// mend makes lengths and checksums right, so that what is inside is looked at.
func mend(raw []byte) []byte {
	raw = bytes.Clone(raw)
	if len(raw) >= 61 {
		binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
		raw[16] = 2
		hub.Checksum(raw)
	}
	return raw
}

// Whatever is in the log, every event that comes out of it is an AMQP message
// that can be read.
func FuzzAnswer(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, int64(0))
	}
	f.Fuzz(func(t *testing.T, raw []byte, at int64) {
		raw = mend(raw)
		events, _, _ := hub.DecodeAnswer(at, &kmsg.FetchResponseTopicPartition{RecordBatches: raw,
			AbortedTransactions: []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: at}}})
		for i := range events {
			e := &events[i]
			var m amqp.Message
			if err := amqp.ParseMessage(e.AppendMessage(nil, nil), &m); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
			e.Properties()
			e.SystemProperties()
			e.PartitionKey()
		}
	})
}

// Stripping never panics, never changes what it was given, and leaves nothing of
// what it was to remove.
func FuzzStripMarker(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
		f.Add(append(bytes.Clone(s), s...))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = mend(raw)
		before := bytes.Clone(raw)
		out := hub.StripMarker(raw)
		if !bytes.Equal(raw, before) {
			t.Fatal("the original has changed")
		}
		was, _, err := hub.DecodeAnswer(0, &kmsg.FetchResponseTopicPartition{RecordBatches: raw})
		if err != nil {
			return
		}
		is, _, err := hub.DecodeAnswer(0, &kmsg.FetchResponseTopicPartition{RecordBatches: out})
		if err != nil || len(is) != len(was) {
			t.Fatalf("%d events instead of %d, %v", len(is), len(was), err)
		}
		for i := range is {
			if is[i].Sequence != was[i].Sequence || !bytes.Equal(is[i].Body(), was[i].Body()) {
				t.Fatalf("event %d has changed", i)
			}
		}
	})
}

// Whatever is appended either is refused or comes out as an AMQP message.
func FuzzAppend(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	for _, m := range []amqp.Message{event("a"), parse(f, amqp.AppendBody(nil, amqp.Map{{Key: "k", Value: int64(1)}}))} {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m amqp.Message
		if amqp.ParseMessage(raw, &m) != nil {
			return
		}
		batch, err := hub.EncodeBatch(0, m)
		if err != nil {
			return
		}
		events, _, err := hub.DecodeAnswer(0, &kmsg.FetchResponseTopicPartition{RecordBatches: batch})
		if err != nil || len(events) != 1 || !events[0].AMQP() {
			t.Fatalf("%d events, %v", len(events), err)
		}
		var back amqp.Message
		if err := amqp.ParseMessage(events[0].AppendMessage(nil, nil), &back); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Properties, m.Properties) || !bytes.Equal(back.Header, m.Header) || back.Kind() != m.Kind() {
			t.Fatalf("% x became % x", raw, back.Append(nil))
		}
	})
}

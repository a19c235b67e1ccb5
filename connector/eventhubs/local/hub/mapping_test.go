package hub_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"

	goamqp "github.com/Azure/go-amqp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// randomText favours lengths around where encodings change.
func randomText(r *rand.Rand) string {
	n := r.IntN(20)
	if r.IntN(8) == 0 {
		n = 240 + r.IntN(40)
	}
	var b strings.Builder
	for range n {
		b.WriteRune([]rune("abcXYZ0 é€𝄞\x00$-_.")[r.IntN(16)])
	}
	return b.String()
}

func randomValue(r *rand.Rand, depth int) any {
	n := 16
	if depth > 0 {
		n = 18
	}
	switch r.IntN(n) {
	case 0:
		return r.IntN(2) == 0
	case 1:
		return int8(r.Int32())
	case 2:
		return int16(r.Int32())
	case 3:
		return r.Int32() >> r.IntN(31)
	case 4:
		return -r.Int64() >> r.IntN(63)
	case 5:
		return uint8(r.Uint32())
	case 6:
		return uint16(r.Uint32())
	case 7:
		return r.Uint32() >> r.IntN(32)
	case 8:
		return r.Uint64() >> r.IntN(64)
	case 9:
		return r.Float32()
	case 10:
		return r.NormFloat64()
	case 11:
		return []byte(randomText(r))
	case 12:
		return goamqp.Symbol("symbol" + fmt.Sprint(r.IntN(1000)))
	case 13:
		var u goamqp.UUID
		binary.BigEndian.PutUint64(u[:], r.Uint64())
		return u
	case 14:
		return time.UnixMilli(r.Int64N(1 << 42)).UTC()
	case 16:
		out := map[string]any{}
		for range r.IntN(4) {
			out[randomText(r)] = randomValue(r, depth-1)
		}
		return out
	case 17:
		var out []any
		for range 1 + r.IntN(3) {
			out = append(out, randomValue(r, depth-1))
		}
		return out
	}
	return randomText(r)
}

func randomAnnotations(r *rand.Rand) goamqp.Annotations {
	a := goamqp.Annotations{}
	for range r.IntN(4) {
		a[randomText(r)] = randomValue(r, 1)
	}
	if r.IntN(2) == 0 {
		a["x-opt-partition-key"] = randomText(r)
	}
	if r.IntN(4) == 0 {
		a["x-opt-offset"] = "forged"
		a["x-opt-sequence-number"] = int64(-1)
	}
	return a
}

func pointerTo[T any](r *rand.Rand, v T) *T {
	if r.IntN(2) == 0 {
		return nil
	}
	return &v
}

// randomMessage makes any message that the official codec can.
func randomMessage(r *rand.Rand) *goamqp.Message {
	m := &goamqp.Message{}
	if r.IntN(2) == 0 {
		m.Header = &goamqp.MessageHeader{Durable: r.IntN(2) == 0, Priority: uint8(r.IntN(9)), TTL: time.Duration(r.IntN(1e6)) * time.Millisecond}
	}
	if r.IntN(2) == 0 {
		m.Annotations = randomAnnotations(r)
	}
	if r.IntN(8) == 0 {
		m.DeliveryAnnotations = randomAnnotations(r)
	}
	if r.IntN(2) == 0 {
		ids := []any{nil, uint64(r.IntN(300)), goamqp.UUID{1, 2, byte(r.IntN(256))}, []byte("id"), randomText(r)}
		m.Properties = &goamqp.MessageProperties{
			MessageID: ids[r.IntN(5)], CorrelationID: ids[r.IntN(5)], UserID: []byte(randomText(r)),
			To: pointerTo(r, randomText(r)), Subject: pointerTo(r, randomText(r)), ReplyTo: pointerTo(r, randomText(r)),
			ContentType: pointerTo(r, "application/json"), ContentEncoding: pointerTo(r, "gzip"),
			AbsoluteExpiryTime: pointerTo(r, time.UnixMilli(r.Int64N(1<<42)).UTC()), CreationTime: pointerTo(r, time.UnixMilli(r.Int64N(1<<42)).UTC()),
			GroupID: pointerTo(r, randomText(r)), GroupSequence: pointerTo(r, r.Uint32()), ReplyToGroupID: pointerTo(r, randomText(r)),
		}
	}
	if r.IntN(2) == 0 {
		m.ApplicationProperties = map[string]any{}
		for range r.IntN(6) {
			m.ApplicationProperties[randomText(r)] = randomValue(r, 1)
		}
		if r.IntN(4) == 0 {
			m.ApplicationProperties[hub.MarkerHeader] = "my own"
		}
	}
	switch r.IntN(8) {
	case 0:
	case 1:
		m.Value = randomValue(r, 2)
	case 2:
		for range 1 + r.IntN(3) {
			m.Sequence = append(m.Sequence, []any{randomValue(r, 1), randomValue(r, 1)})
		}
	case 3:
		for range 2 + r.IntN(3) {
			m.Data = append(m.Data, []byte(randomText(r)))
		}
	default:
		m.Data = [][]byte{[]byte(randomText(r))}
	}
	if r.IntN(8) == 0 {
		m.Footer = randomAnnotations(r)
	}
	return m
}

func parse(t testing.TB, raw []byte) amqp.Message {
	t.Helper()
	var m amqp.Message
	if err := amqp.ParseMessage(raw, &m); err != nil {
		t.Fatalf("%v: % x", err, raw)
	}
	return m
}

func official(t testing.TB, raw []byte) *goamqp.Message {
	t.Helper()
	var m goamqp.Message
	if err := m.UnmarshalBinary(raw); err != nil {
		t.Fatalf("%v: % x", err, raw)
	}
	return &m
}

// A message that was sent comes out the same, apart from what the service adds.
func TestMessagesComeOutAsTheyWentIn(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	delivery := amqp.AppendDeliveryAnnotations(nil, amqp.Map{{Key: amqp.Symbol("last_enqueued_offset"), Value: "9"}})
	for round := range 300 {
		var sent [][]byte
		var ms []amqp.Message
		for range 1 + r.IntN(20) {
			raw, err := randomMessage(r).MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, raw)
			ms = append(ms, parse(t, raw))
		}
		base := r.Int64() >> r.IntN(60)
		batch, err := hub.EncodeBatch(base, ms...)
		if err != nil {
			t.Fatal(err)
		}
		events, next, err := hub.DecodeAnswer(base, &kmsg.FetchResponseTopicPartition{RecordBatches: batch})
		if err != nil || len(events) != len(sent) || next != base+int64(len(sent)) {
			t.Fatalf("seed %d round %d: %d of %d events, next %d, %v", seed, round, len(events), len(sent), next, err)
		}
		for i := range events {
			want := official(t, sent[i])
			if want.Annotations == nil {
				want.Annotations = goamqp.Annotations{}
			}
			key, _ := want.Annotations["x-opt-partition-key"].(string)
			want.Annotations["x-opt-sequence-number"] = base + int64(i)
			want.Annotations["x-opt-offset"] = fmt.Sprint(base + int64(i))
			want.Annotations["x-opt-enqueued-time"] = time.UnixMilli(events[i].Enqueued)
			want.DeliveryAnnotations = goamqp.Annotations{"last_enqueued_offset": "9"}
			got := official(t, events[i].AppendMessage(nil, delivery))
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d round %d event %d:\ngot  %+v\nwant %+v", seed, round, i, got, want)
			}
			if k := events[i].PartitionKey(); k != key {
				t.Fatalf("partition key %q, want %q", k, key)
			}
			if !events[i].AMQP() || len(events[i].Properties()) != len(want.ApplicationProperties) {
				t.Fatalf("properties %v, want %v", events[i].Properties(), want.ApplicationProperties)
			}
		}
		checkStripped(t, batch, sent)
	}
}

// kafkaRecords decodes record batches with the Kafka client's own code.
func kafkaRecords(t testing.TB, f *kmsg.FetchResponseTopicPartition) []*kgo.Record {
	t.Helper()
	fp, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{IsolationLevel: kgo.ReadCommitted(), Topic: "t"}, f, kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		t.Fatal(fp.Err)
	}
	return fp.Records
}

// checkStripped compares what a Kafka client sees with and without the marker.
func checkStripped(t *testing.T, batch []byte, sent [][]byte) {
	t.Helper()
	before := slices.Clone(batch)
	with := kafkaRecords(t, &kmsg.FetchResponseTopicPartition{RecordBatches: batch})
	without := kafkaRecords(t, &kmsg.FetchResponseTopicPartition{RecordBatches: hub.StripMarker(batch)})
	if !bytes.Equal(batch, before) {
		t.Fatal("the original has changed")
	}
	if len(with) != len(sent) || len(without) != len(sent) {
		t.Fatalf("%d and %d records of %d", len(with), len(without), len(sent))
	}
	for i := range with {
		w, wo := with[i], without[i]
		last := w.Headers[len(w.Headers)-1]
		if last.Key != hub.MarkerHeader {
			t.Fatalf("the last header is %q", last.Key)
		}
		w.Headers = w.Headers[:len(w.Headers)-1]
		if w.Key != nil || wo.Key != nil || !bytes.Equal(w.Value, wo.Value) || (w.Value == nil) != (wo.Value == nil) ||
			w.Offset != wo.Offset || !w.Timestamp.Equal(wo.Timestamp) || len(w.Headers) != len(wo.Headers) {
			t.Fatalf("record %d: %+v and %+v", i, w, wo)
		}
		for k := range w.Headers {
			if w.Headers[k].Key != wo.Headers[k].Key || !bytes.Equal(w.Headers[k].Value, wo.Headers[k].Value) {
				t.Fatalf("record %d header %d: %q and %q", i, k, w.Headers[k], wo.Headers[k])
			}
		}
	}
}

// What a Kafka consumer sees of an event that was written through AMQP.
func TestKafkaSees(t *testing.T) {
	t.Parallel()
	creation := amqp.Timestamp(1700000000123)
	var raw []byte
	raw = amqp.AppendMessageAnnotations(raw, amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k"}})
	raw = amqp.AppendProperties(raw, &amqp.Properties{MessageID: uint64(42), UserID: []byte("me"), To: "there", Subject: "not shown",
		ReplyTo: "here", CorrelationID: "not shown", ContentType: "text/plain", ContentEncoding: "utf-8", CreationTime: &creation})
	raw = amqp.AppendApplicationProperties(raw, amqp.Map{{Key: "text", Value: "hi"}, {Key: "int", Value: int32(5)}, {Key: "long", Value: int64(7)}})
	raw = amqp.AppendData(raw, "body ")
	raw = amqp.AppendData(raw, "in two")
	batch, err := hub.EncodeBatch(0, parse(t, raw))
	if err != nil {
		t.Fatal(err)
	}
	rec := kafkaRecords(t, &kmsg.FetchResponseTopicPartition{RecordBatches: hub.StripMarker(batch)})[0]
	want := []kgo.RecordHeader{
		{Key: "text", Value: []byte{0xa1, 2, 'h', 'i'}}, {Key: "int", Value: []byte{0x54, 5}}, {Key: "long", Value: []byte{0x55, 7}},
		{Key: "message-id", Value: []byte("42")}, {Key: "user-id", Value: []byte("me")}, {Key: "to", Value: []byte("there")},
		{Key: "reply-to", Value: []byte("here")}, {Key: "content-type", Value: []byte("text/plain")},
		{Key: "content-encoding", Value: []byte("utf-8")}, {Key: "creation-time", Value: []byte("2023-11-14T22:13:20.123Z")},
	}
	if rec.Key != nil || string(rec.Value) != "body in two" || !reflect.DeepEqual(rec.Headers, want) {
		t.Errorf("record: key %q value %q headers %q", rec.Key, rec.Value, rec.Headers)
	}
}

// rawBatch makes a record batch as a Kafka client would, with the client's own
// code.
func rawBatch(base int64, attributes int16, producer int64, records ...kmsg.Record) []byte {
	b := kmsg.RecordBatch{FirstOffset: base, PartitionLeaderEpoch: -1, Magic: 2, Attributes: attributes, LastOffsetDelta: int32(len(records) - 1),
		FirstTimestamp: 1_000_000, MaxTimestamp: 2_000_000, ProducerID: producer, FirstSequence: -1, NumRecords: int32(len(records))}
	for i := range records {
		r := &records[i]
		r.OffsetDelta, r.TimestampDelta64 = int32(i), int64(i)
		r.Length = 0
		r.Length = int32(len(r.AppendTo(nil)) - 1) // the length 0 is one byte
		b.Records = r.AppendTo(b.Records)
	}
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	raw := b.AppendTo(nil)
	hub.Checksum(raw)
	return raw
}

// What an AMQP consumer sees of an event that a Kafka client wrote.
func TestAMQPSees(t *testing.T) {
	t.Parallel()
	batch := rawBatch(5, 0, -1,
		kmsg.Record{Key: []byte("key"), Value: []byte("value"), Headers: []kmsg.Header{
			{Key: "h", Value: []byte("first")}, {Key: "g", Value: nil}, {Key: "h", Value: []byte("last")}, {Key: "bad\xff", Value: []byte{}}}},
		kmsg.Record{},
		kmsg.Record{Key: []byte{}, Value: []byte{}, Headers: []kmsg.Header{{Key: hub.MarkerHeader, Value: []byte("not ours")}}},
	)
	events, _, err := hub.DecodeAnswer(0, &kmsg.FetchResponseTopicPartition{RecordBatches: batch})
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	annotations := func(i int64, key any) goamqp.Annotations {
		a := goamqp.Annotations{"x-opt-sequence-number": 5 + i, "x-opt-offset": fmt.Sprint(5 + i), "x-opt-enqueued-time": time.UnixMilli(1_000_000 + i)}
		if key != nil {
			a["x-opt-kafka-key"] = key
		}
		return a
	}
	for i, want := range []*goamqp.Message{
		{Annotations: annotations(0, []byte("key")), Data: [][]byte{[]byte("value")},
			ApplicationProperties: map[string]any{"h": []byte("last"), "g": nil, "bad\uFFFD": []byte{}}},
		{Annotations: annotations(1, nil)},
		{Annotations: annotations(2, []byte{}), Data: [][]byte{{}},
			ApplicationProperties: map[string]any{hub.MarkerHeader: []byte("not ours")}},
	} {
		if got := official(t, events[i].AppendMessage(nil, nil)); !reflect.DeepEqual(got, want) {
			t.Errorf("event %d:\ngot  %+v\nwant %+v", i, got, want)
		}
		if events[i].AMQP() || len(events[i].Properties()) != len(want.ApplicationProperties) {
			t.Errorf("event %d: properties %v", i, events[i].Properties())
		}
	}
	if got := events[0].SystemProperties(); !reflect.DeepEqual(got, amqp.Map{{Key: "x-opt-kafka-key", Value: []byte("key")}}) {
		t.Errorf("system properties: %v", got)
	}
	if out := hub.StripMarker(batch); !bytes.Equal(out, batch) {
		t.Error("what is not ours was changed")
	}
}

func TestSystemProperties(t *testing.T) {
	t.Parallel()
	seq := uint32(3)
	raw := amqp.AppendMessageAnnotations(nil, amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k"}})
	raw = amqp.AppendProperties(raw, &amqp.Properties{MessageID: "m", GroupSequence: &seq})
	batch, err := hub.EncodeBatch(0, parse(t, amqp.AppendData(raw, "x")))
	if err != nil {
		t.Fatal(err)
	}
	events, _, err := hub.DecodeAnswer(0, &kmsg.FetchResponseTopicPartition{RecordBatches: batch})
	if err != nil {
		t.Fatal(err)
	}
	want := amqp.Map{{Key: "x-opt-partition-key", Value: "k"}, {Key: "message-id", Value: "m"}, {Key: "group-sequence", Value: uint32(3)}}
	if got := events[0].SystemProperties(); !reflect.DeepEqual(got, want) {
		t.Errorf("system properties: %v", got)
	}
}

// Only batches with a marker are rewritten, the others and a cut-off end stay.
func TestStripMarkerLeavesTheRest(t *testing.T) {
	t.Parallel()
	ours, err := hub.EncodeBatch(1, event("a"), event("b"))
	if err != nil {
		t.Fatal(err)
	}
	foreign := rawBatch(0, 0, -1, kmsg.Record{Value: []byte("x")})
	mention := rawBatch(3, 0, -1, kmsg.Record{Value: []byte(hub.MarkerHeader)})
	in := slices.Concat(foreign, ours, mention, ours[:70])
	out := hub.StripMarker(in)
	if !bytes.HasPrefix(out, foreign) || !bytes.HasSuffix(out, slices.Concat(mention, ours[:70])) || len(out) >= len(in) {
		t.Errorf("% x", out)
	}
	if got := kafkaRecords(t, &kmsg.FetchResponseTopicPartition{RecordBatches: out}); len(got) != 4 {
		t.Errorf("%d records", len(got))
	}
	if out := hub.StripMarker(foreign); &out[0] != &foreign[0] {
		t.Error("what has no marker was copied")
	}
}

// The walk over record batches agrees with the Kafka client's: aborted
// transactions, control records, compression, positions inside a batch.
func TestAnswersAgreeWithTheClient(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	compressors := map[int16]kgo.Compressor{}
	for codec, c := range map[int16]kgo.CompressionCodec{1: kgo.GzipCompression(), 2: kgo.SnappyCompression(), 3: kgo.Lz4Compression(), 4: kgo.ZstdCompression()} {
		comp, err := kgo.DefaultCompressor(c)
		if err != nil {
			t.Fatal(err)
		}
		compressors[codec] = comp
	}
	for round := range 150 {
		var f kmsg.FetchResponseTopicPartition
		next := r.Int64N(100)
		start, first := next, int64(1) // first is the size of the first batch
		open := map[int64]int64{}      // where each producer's transaction began
		for range r.IntN(12) {
			producer := int64(r.IntN(3))
			began, inTx := open[producer]
			if inTx && r.IntN(3) == 0 {
				kind := int16(r.IntN(2))
				key := kmsg.ControlRecordKey{Type: kmsg.ControlRecordKeyType(kind)}
				f.RecordBatches = append(f.RecordBatches, rawBatch(next, 0x30, producer, kmsg.Record{Key: key.AppendTo(nil), Value: []byte{0, 0, 0, 0, 0, 0}})...)
				if kind == 0 {
					f.AbortedTransactions = append(f.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: producer, FirstOffset: began})
				}
				delete(open, producer)
				next++
				continue
			}
			attributes := int16(0)
			if inTx || r.IntN(2) == 0 {
				attributes = 0x10
				if !inTx {
					open[producer] = next
				}
			} else {
				producer = -1
			}
			if r.IntN(4) == 0 {
				attributes |= 0x08
			}
			var records []kmsg.Record
			for range 1 + r.IntN(4) {
				records = append(records, kmsg.Record{Key: []byte(randomText(r)), Value: []byte(randomText(r)), Headers: []kmsg.Header{{Key: "k", Value: []byte("v")}}})
			}
			raw := rawBatch(next, attributes, producer, records...)
			if codec := int16(r.IntN(8)); compressors[codec] != nil {
				raw = hub.Compressed(raw, codec, compressors[codec])
			}
			f.RecordBatches = append(f.RecordBatches, raw...)
			if next == start {
				first = int64(len(records))
			}
			next += int64(len(records))
		}
		// What is still open is beyond the last stable offset and not part
		// of an answer to a reader of what is committed.
		for producer, began := range open {
			f.AbortedTransactions = append(f.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: producer, FirstOffset: began})
		}
		// The log answers from the batch on that has the position, and names no
		// transaction that ended before.
		from := start + r.Int64N(first)
		if r.IntN(4) == 0 && len(f.RecordBatches) > 0 {
			f.RecordBatches = f.RecordBatches[:len(f.RecordBatches)-1] // the last batch is cut off
		}
		fp, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{IsolationLevel: kgo.ReadCommitted(), Offset: from}, &f, kgo.DefaultDecompressor(), nil)
		events, _, err := hub.DecodeAnswer(from, &f)
		if err != nil || len(events) != len(fp.Records) {
			t.Fatalf("seed %d round %d: %d events, the client has %d; %v", seed, round, len(events), len(fp.Records), err)
		}
		for i, rec := range fp.Records {
			e := &events[i]
			if e.Sequence != rec.Offset || e.Enqueued != rec.Timestamp.UnixMilli() || !bytes.Equal(e.Body(), rec.Value) {
				t.Fatalf("seed %d round %d event %d: %d at %d, the client has %d at %v", seed, round, i, e.Sequence, e.Enqueued, rec.Offset, rec.Timestamp)
			}
		}
	}
}

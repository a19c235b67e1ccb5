package kafka

import (
	"bytes"
	"fmt"
	"testing"

	"millrace/record"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func decodeBatch(t *testing.T, raw []byte) []*kgo.Record {
	t.Helper()
	rp := kmsg.NewFetchResponseTopicPartition()
	rp.RecordBatches = raw
	fp, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t"}, &rp, kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		t.Fatal(fp.Err)
	}
	return fp.Records
}

// What is built by hand is what Kafka's client reads.
func TestBatch(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 63, 64, 65, 9000} {
		b := newBatch(1<<40, 7)
		for i := range n {
			r := &record.Result{Partition: int32(i % 3), Offset: int64(i) << 33}
			next := int64(-1)
			if i == n-1 {
				next = 1 << 50
			}
			before := len(b.buf)
			key, value := fmt.Appendf(nil, "key-%d", i), bytes.Repeat([]byte{byte(i)}, i%500)
			b.add(key, value, r, next)
			if grown := len(b.buf) - before; grown > recordSize(key, value) {
				t.Fatalf("record %d took %d bytes, more than foreseen (%d)", i, grown, recordSize(key, value))
			}
		}
		raw := b.seal(99)
		var head kmsg.RecordBatch
		if err := head.ReadFrom(raw); err != nil {
			t.Fatal(err)
		}
		if head.ProducerID != 1<<40 || head.ProducerEpoch != 7 || head.FirstSequence != 99 || head.NumRecords != int32(n) ||
			head.LastOffsetDelta != int32(n-1) || head.Attributes != attrTransactional || int(head.Length) != len(raw)-12 {
			t.Fatalf("%d records: header %+v", n, head)
		}
		records := decodeBatch(t, raw)
		if len(records) != n {
			t.Fatalf("%d records came back, want %d", len(records), n)
		}
		for i, r := range records {
			p, o, next, err := readHeaders(r)
			wantNext := int64(-1)
			if i == n-1 {
				wantNext = 1 << 50
			}
			if err != nil || p != int32(i%3) || o != int64(i)<<33 || next != wantNext || r.Offset != int64(i) ||
				string(r.Key) != fmt.Sprintf("key-%d", i) || !bytes.Equal(r.Value, bytes.Repeat([]byte{byte(i)}, i%500)) {
				t.Fatalf("record %d of %d came back as %d/%d next %d, %q (%v)", i, n, p, o, next, r.Key, err)
			}
		}
		b.release()
	}
}

func FuzzReadHeaders(f *testing.F) {
	f.Add([]byte("3/17"), []byte("18"))
	f.Add([]byte(""), []byte("-1"))
	f.Add([]byte("99999999999/1"), []byte("x"))
	f.Fuzz(func(t *testing.T, from, next []byte) {
		rec := &kgo.Record{Headers: []kgo.RecordHeader{{Key: headerFrom, Value: from}, {Key: headerNext, Value: next}}}
		p, o, n, err := readHeaders(rec)
		if err == nil && (p < 0 || o < 0 || n < 0) {
			t.Fatalf("%q and %q are %d/%d next %d", from, next, p, o, n)
		}
		rec.Value = from
		if position, outEnd, err := readPosition(rec); err == nil && (position < -1 || outEnd < 0) {
			t.Fatalf("%q is %d and %d", from, position, outEnd)
		}
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: headerOffset, Value: from}, kgo.RecordHeader{Key: headerPartition, Value: next},
			kgo.RecordHeader{Key: headerAt, Value: next})
		var l record.DeadLetter
		_ = readLetter(rec, &l)
	})
}

func TestLetterRecord(t *testing.T) {
	t.Parallel()
	in := record.DeadLetter{Partition: 3, Offset: 1 << 40, Reason: record.Oversized, Detail: "detail", At: -5, Key: []byte("k"), Raw: []byte("raw")}
	var out record.DeadLetter
	if err := readLetter(letterRecord(&in), &out); err != nil || fmt.Sprint(in) != fmt.Sprint(out) {
		t.Errorf("%v came back as %v: %v", in, out, err)
	}
	if err := readLetter(&kgo.Record{Value: []byte("x")}, &out); err == nil {
		t.Error("a record without headers was taken for a letter")
	}
}

package local

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// makeBatch encodes records with the given differences in time.
func makeBatch(deltas []int64, value []byte) []byte {
	var records []byte
	for i, d := range deltas {
		r := kmsg.NewRecord()
		r.TimestampDelta64, r.OffsetDelta = d, int32(i)
		r.Key, r.Value = []byte("k"), value
		body := r.AppendTo(nil)[1:] // the length 0 is one byte
		records = append(binary.AppendVarint(records, int64(len(body))), body...)
	}
	b := kmsg.NewRecordBatch()
	b.Magic, b.NumRecords, b.LastOffsetDelta = 2, int32(len(deltas)), int32(len(deltas)-1)
	b.FirstTimestamp = 1000
	for _, d := range deltas {
		b.MaxTimestamp = max(b.MaxTimestamp, 1000+d)
	}
	b.Records = records
	b.Length = int32(49 + len(records))
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[batchCRCAt:], crc32.Checksum(raw[batchAttributesAt:], castagnoli))
	return raw
}

func decode(t *testing.T, raw []byte) []*kgo.Record {
	t.Helper()
	rp := kmsg.NewFetchResponseTopicPartition()
	rp.RecordBatches = raw
	fp, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t"}, &rp, kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		t.Fatal(fp.Err)
	}
	return fp.Records
}

func TestStamp(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_123)
	deltas := []int64{0, 1, 63, 64, -1, 8191, 8192, 1 << 20, 1 << 40, 5}
	raw := makeBatch(deltas, []byte("value"))
	size := len(raw)
	stamp(raw, now.UnixMilli())
	records := decode(t, raw)
	if len(records) != len(deltas) || len(raw) != size {
		t.Fatalf("%d records in %d bytes, want %d in %d", len(records), len(raw), len(deltas), size)
	}
	for i, r := range records {
		if !r.Timestamp.Equal(now) || string(r.Key) != "k" || string(r.Value) != "value" || r.Offset != int64(i) {
			t.Errorf("record %d: %v %q %q at %d", i, r.Timestamp, r.Key, r.Value, r.Offset)
		}
	}
}

// Whatever comes, stamp keeps the bytes' number, does not panic, and touches
// only batches whose checksum is right; those stay right and readable.
func FuzzStamp(f *testing.F) {
	f.Add(makeBatch([]int64{0}, nil), int64(1))
	f.Add(makeBatch([]int64{0, 100, 7}, []byte("v")), int64(1_800_000_000_000))
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(t *testing.T, raw []byte, now int64) {
		sealed := bytes.Clone(raw)
		if len(sealed) >= batchRecordsAt { // make the checksum right
			binary.BigEndian.PutUint32(sealed[batchCRCAt:], crc32.Checksum(sealed[batchAttributesAt:], castagnoli))
		}
		for _, b := range [][]byte{bytes.Clone(raw), sealed} {
			right := len(b) >= batchRecordsAt && binary.BigEndian.Uint32(b[batchCRCAt:]) == crc32.Checksum(b[batchAttributesAt:], castagnoli)
			before := bytes.Clone(b)
			stamp(b, now)
			if !right && !bytes.Equal(before, b) {
				t.Fatal("a damaged batch was changed")
			}
			if right && binary.BigEndian.Uint32(b[batchCRCAt:]) != crc32.Checksum(b[batchAttributesAt:], castagnoli) {
				t.Fatal("the checksum is wrong afterwards")
			}
		}
	})
}

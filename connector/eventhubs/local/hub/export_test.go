package hub

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"millrace/connector/eventhubs/local/amqp"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// SetPatience changes how long a topic must be missing to count as deleted. It
// must be called before anything else is.
func (c *Cluster) SetPatience(d time.Duration) { c.patience = d }

// SetAppendTimeout changes how long appends are repeated. It must be called
// while nothing is being appended.
func (c *Cluster) SetAppendTimeout(d time.Duration) { c.timeout = d }

// EncodeBatch encodes events as one record batch that begins at position base.
func EncodeBatch(base int64, events ...amqp.Message) ([]byte, error) {
	var b recordBatch
	for i := range events {
		if err := b.add(&events[i]); err != nil {
			return nil, err
		}
	}
	b.seal(7, 1, 3)
	for i := range 8 {
		b.buf[i] = byte(base >> (56 - 8*i))
	}
	return b.buf, nil
}

// DecodeAnswer decodes what a fetch from a position on brought. The events are
// copies of each other's memory only as far as they are parts of f.
func DecodeAnswer(at int64, f *kmsg.FetchResponseTopicPartition) (events []Event, next int64, err error) {
	a := newAnswer(at, f)
	for {
		var e Event
		ok, err := a.event(&e)
		if err != nil || !ok {
			return events, a.next, err
		}
		events = append(events, e)
	}
}

// Checksum makes the checksum of a record batch anew.
func Checksum(batch []byte) {
	binary.BigEndian.PutUint32(batch[batchCRCAt:], crc32.Checksum(batch[batchAttrsAt:], castagnoli))
}

// Compressed returns a record batch with its records compressed.
func Compressed(batch []byte, codec int16, c kgo.Compressor) []byte {
	records, _ := c.Compress(new(bytes.Buffer), batch[batchHeaderSize:])
	out := append(slices.Clone(batch[:batchHeaderSize]), records...)
	out[batchAttrsAt+1] |= byte(codec)
	binary.BigEndian.PutUint32(out[batchLengthAt:], uint32(len(out)-batchLengthAt-4))
	Checksum(out)
	return out
}

// Hold keeps others from working on the entities.
func (c *Cluster) Hold() (letGo func()) {
	c.admin <- struct{}{}
	return c.letGo
}

package archive

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// Limits of what a damaged file can make this package allocate.
const (
	maxMetadata = 4 << 20
	maxBlock    = 1 << 30
)

var avroMagic = []byte("Obj\x01")

// damaged says that a file is not what Capture writes.
func damaged(format string, args ...any) error {
	return fmt.Errorf("the file is damaged: "+format, args...)
}

// noEOF makes an end where there must be none an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// container reads the blocks of an Avro object container file.
type container struct {
	in *bufio.Reader
	// seen are the bytes read so far, kept while the header is read.
	seen  []byte
	codec string
	// schema is its text, nulls whether Properties may hold null.
	schema string
	sync   [16]byte

	compressed []byte
	inflate    io.ReadCloser
	source     bytes.Reader
}

// block is the content of one block: count records, one after the other.
type block struct {
	count int64
	data  []byte
}

// openContainer reads the header of a file.
func openContainer(r io.Reader) (*container, error) {
	c := &container{in: bufio.NewReaderSize(r, 64<<10), codec: "null"}
	magic, err := c.take(len(avroMagic))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(magic, avroMagic) {
		return nil, damaged("it does not begin like an Avro file")
	}
	for {
		n, err := c.headerLong()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		if n < 0 { // a block with its size, which nobody needs
			if _, err := c.headerLong(); err != nil {
				return nil, err
			}
			n = -n
		}
		for ; n > 0; n-- {
			key, err := c.headerBytes()
			if err != nil {
				return nil, err
			}
			value, err := c.headerBytes()
			if err != nil {
				return nil, err
			}
			switch key {
			case "avro.codec":
				c.codec = value
			case "avro.schema":
				c.schema = value
			}
		}
	}
	sync, err := c.take(len(c.sync))
	if err != nil {
		return nil, err
	}
	copy(c.sync[:], sync)
	return c, nil
}

// take reads n bytes of the header.
func (c *container) take(n int) ([]byte, error) {
	if n < 0 || len(c.seen)+n > maxMetadata {
		return nil, damaged("its header is too long")
	}
	start := len(c.seen)
	c.seen = append(c.seen, make([]byte, n)...)
	if _, err := io.ReadFull(c.in, c.seen[start:]); err != nil {
		return nil, fmt.Errorf("reading its header: %w", noEOF(err))
	}
	return c.seen[start:], nil
}

func (c *container) headerLong() (int64, error) {
	var text [binary.MaxVarintLen64]byte
	for i := range text {
		b, err := c.take(1)
		if err != nil {
			return 0, err
		}
		if text[i] = b[0]; b[0] < 0x80 {
			v, n := binary.Varint(text[:i+1])
			if n <= 0 {
				break
			}
			return v, nil
		}
	}
	return 0, damaged("a number in its header has no end")
}

func (c *container) headerBytes() (string, error) {
	n, err := c.headerLong()
	if err != nil {
		return "", err
	}
	if n < 0 || n > maxMetadata {
		return "", damaged("a length in its header is %d", n)
	}
	b, err := c.take(int(n))
	return string(b), err
}

// next reads the next block into b, reusing its memory; io.EOF after the last.
func (c *container) next(b *block) error {
	b.count, b.data = 0, b.data[:0]
	if _, err := c.in.Peek(1); errors.Is(err, io.EOF) {
		return io.EOF
	}
	count, size, err := c.blockHead()
	if err != nil {
		return err
	}
	if c.codec != "deflate" {
		b.data, err = readInto(b.data, c.in, size)
	} else {
		c.compressed, err = readInto(c.compressed[:0], c.in, size)
	}
	if err != nil {
		return fmt.Errorf("reading a block: %w", noEOF(err))
	}
	var sync [16]byte
	if _, err := io.ReadFull(c.in, sync[:]); err != nil {
		return fmt.Errorf("reading a block: %w", noEOF(err))
	}
	if sync != c.sync {
		return damaged("a block does not end where it should")
	}
	if c.codec == "deflate" {
		if err := c.inflated(b); err != nil {
			return err
		}
	}
	if count > int64(len(b.data))/minRecord {
		return damaged("a block of %d bytes cannot hold %d records", len(b.data), count)
	}
	b.count = count
	return nil
}

func (c *container) blockHead() (count, size int64, err error) {
	if count, err = binary.ReadVarint(c.in); err == nil {
		size, err = binary.ReadVarint(c.in)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading a block: %w", noEOF(err))
	}
	if count < 0 || size < 0 || size > maxBlock {
		return 0, 0, damaged("a block has %d records and %d bytes", count, size)
	}
	return count, size, nil
}

// inflated decompresses the block.
func (c *container) inflated(b *block) error {
	c.source.Reset(c.compressed)
	if c.inflate == nil {
		c.inflate = flate.NewReader(&c.source)
	} else if err := c.inflate.(flate.Resetter).Reset(&c.source, nil); err != nil {
		return fmt.Errorf("decompressing a block: %w", err)
	}
	buf := bytes.NewBuffer(b.data)
	n, err := io.Copy(buf, io.LimitReader(c.inflate, maxBlock+1))
	if err != nil {
		return damaged("a block cannot be decompressed: %v", err)
	}
	if n > maxBlock {
		return damaged("a block has more than %d bytes", maxBlock)
	}
	b.data = buf.Bytes()
	return nil
}

// readInto reads size bytes. Memory grows with what is really there, not with
// what a damaged file announces.
func readInto(dst []byte, r io.Reader, size int64) ([]byte, error) {
	const step = 4 << 20
	for size > 0 {
		n := int(min(size, step))
		start := len(dst)
		if cap(dst)-start < n {
			grown := make([]byte, start, max(2*cap(dst), start+n))
			copy(grown, dst)
			dst = grown
		}
		dst = dst[:start+n]
		if _, err := io.ReadFull(r, dst[start:]); err != nil {
			return dst[:start], err
		}
		size -= int64(n)
	}
	return dst, nil
}

// layout is what the decoder of this package can read.
type layout int

const (
	// foreign: another program's schema or compression.
	foreign layout = iota
	// withNull is Capture's schema, withoutNull that of its early years, in
	// which Properties held no null.
	withNull
	withoutNull
)

// layoutOf compares a schema with Capture's.
func layoutOf(schema, codec string) layout {
	if codec != "null" && codec != "deflate" && codec != "" {
		return foreign
	}
	var s struct {
		Type   string `json:"type"`
		Fields []struct {
			Name string `json:"name"`
			Type any    `json:"type"`
		} `json:"fields"`
	}
	if json.Unmarshal([]byte(schema), &s) != nil || s.Type != "record" || len(s.Fields) != 6 {
		return foreign
	}
	values := []any{"long", "double", "string", "bytes"}
	found := withoutNull
	for i, want := range []struct {
		name string
		t    any
	}{
		{"SequenceNumber", "long"}, {"Offset", "string"}, {"EnqueuedTimeUtc", "string"},
		{"SystemProperties", mapOf(values)}, {"Properties", mapOf(values)}, {"Body", []any{"null", "bytes"}},
	} {
		f := s.Fields[i]
		if f.Name != want.name {
			return foreign
		}
		if i == 4 && reflect.DeepEqual(f.Type, mapOf(append(values, "null"))) {
			found = withNull
			continue
		}
		if !reflect.DeepEqual(f.Type, want.t) {
			return foreign
		}
	}
	return found
}

func mapOf(values []any) any { return map[string]any{"type": "map", "values": values} }

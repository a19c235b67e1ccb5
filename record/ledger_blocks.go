package record

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// cursor reads numbers off a payload. Once something is wrong, everything is.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	return v * c.skip(n)
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	return v * uint64(c.skip(n))
}

// skip goes n bytes on, and returns 0 if there is something wrong, else 1.
func (c *cursor) skip(n int) int64 {
	if n <= 0 || n > len(c.b) || c.bad {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return 1
}

// entry reads the next entry; last is the createdAt of the one before.
func (c *cursor) entry(e *Entry, last int64) (createdAt int64, err error) {
	if len(c.b) < minEntry {
		return 0, errors.New("a block has fewer entries than it says")
	}
	tag := c.b[0]
	*e = Entry{Kind: EntryKind(tag & 3), Sequence: -1}
	c.b = c.b[1:]
	switch e.Kind {
	case Malformed:
		if int(tag>>2) >= len(reasonCodes) {
			return 0, fmt.Errorf("there is no reason %d", tag>>2)
		}
		e.Reason = reasonCodes[tag>>2]
	case Unique, Duplicate:
		if tag>>2 != 0 || len(c.b) < len(e.ID)+8 {
			return 0, errors.New("an entry cannot be read")
		}
		copy(e.ID[:], c.b)
		c.b = c.b[len(e.ID):]
	default:
		return 0, fmt.Errorf("there is no entry kind %d", e.Kind)
	}
	e.Fingerprint = binary.LittleEndian.Uint64(c.b)
	c.b = c.b[8:]
	e.Device = uint32(c.uint32())
	if e.Kind != Malformed {
		if e.Sequence = int64(c.uvarint()); e.Sequence < 0 {
			c.bad = true
		}
	}
	e.CreatedAt = last + c.varint()
	if c.bad {
		return 0, errors.New("an entry cannot be read")
	}
	return e.CreatedAt, nil
}

// uint32 reads a number that must fit into 32 bits.
func (c *cursor) uint32() uint64 {
	v := c.uvarint()
	if v > 1<<32-1 {
		c.bad = true
		return 0
	}
	return v
}

// blockReader goes through the blocks of a file.
type blockReader struct {
	l   *ledgerReader
	r   *bufio.Reader
	off int64
	end int64
	buf []byte
}

func newBlockReader(l *ledgerReader, from, to int64) *blockReader {
	return &blockReader{l: l, r: bufio.NewReaderSize(io.NewSectionReader(l.src, from, to-from), 256<<10), off: from, end: to}
}

// next returns the next block's payload, valid until the next call. io.EOF
// means that there is no further complete block: off is then where an
// unfinished one begins, if there is one.
func (b *blockReader) next() (blockType, []byte, error) {
	left := b.end - b.off
	if left < ledgerBlockHead {
		return 0, nil, io.EOF
	}
	var head [ledgerBlockHead]byte
	if err := b.fill(head[:]); err != nil {
		return 0, nil, err
	}
	if crc32.Checksum(head[:8], castagnoli) != binary.LittleEndian.Uint32(head[8:]) {
		// After a power failure a file may be longer than what had
		// reached the disk; the rest reads as zeros.
		zero, err := b.onlyZeros(head[:])
		if err != nil {
			return 0, nil, err
		}
		if zero {
			return 0, nil, io.EOF
		}
		return 0, nil, b.l.corrupt(b.off, "the head of a block has a wrong checksum")
	}
	n := int64(binary.LittleEndian.Uint32(head[0:]))
	t := blockType(binary.LittleEndian.Uint32(head[4:]))
	if n > maxLedgerBlock {
		return 0, nil, b.l.corrupt(b.off, "a block of %d bytes is longer than any can be", n)
	}
	whole := ledgerBlockHead + n + ledgerBlockTail
	if whole > left {
		return 0, nil, io.EOF
	}
	b.buf = slices.Grow(b.buf[:0], int(n)+ledgerBlockTail)[:n+ledgerBlockTail]
	if err := b.fill(b.buf); err != nil {
		return 0, nil, err
	}
	if crc32.Checksum(b.buf[:n], castagnoli) != binary.LittleEndian.Uint32(b.buf[n:]) {
		if whole == left {
			return 0, nil, io.EOF // the last write did not reach the disk
		}
		return 0, nil, b.l.corrupt(b.off, "a block of %d bytes has a wrong checksum", n)
	}
	b.off += whole
	return t, b.buf[:n], nil
}

func (b *blockReader) fill(p []byte) error {
	if _, err := io.ReadFull(b.r, p); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = errors.New("the file became shorter while it was read")
		}
		return fmt.Errorf("read ledger %s: %w", b.l.path, err)
	}
	return nil
}

// onlyZeros tells whether head and everything behind it are zeros.
func (b *blockReader) onlyZeros(head []byte) (bool, error) {
	for _, c := range head {
		if c != 0 {
			return false, nil
		}
	}
	for {
		c, err := b.r.ReadByte()
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read ledger %s: %w", b.l.path, err)
		}
		if c != 0 {
			return false, nil
		}
	}
}

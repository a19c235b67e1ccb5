package capture

import (
	"bytes"
	"fmt"
	"os"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/flate"
)

// blockSize is the size of the encoded events from which a block is closed. It
// follows from nothing but the events, as the file's bytes must.
const blockSize = 1 << 20

// deflateLevel is a compromise: higher levels cost more than they save on
// events in JSON.
const deflateLevel = 5

// spill is a file that is being filled, on this machine's disk: one block at a
// time is in memory.
type spill struct {
	file  *os.File
	codec string
	sync  [syncSize]byte
	hash  *xxhash.Digest

	block  []byte // encoded events
	count  int64  // events in block
	out    []byte // a block as it is written
	blocks int

	// size is that of the file so far, data that of the events in it
	// before compression.
	size, data int64
	events     int64

	deflate    *flate.Writer
	compressed bytes.Buffer
}

// newSpill starts a file at path, replacing what a killed process left there.
// The block's memory may be that of an earlier file.
func newSpill(path, codec string, sync [syncSize]byte, block []byte) (*spill, error) {
	// Whoever reads the archive reads the file: it may become an object
	// without being copied.
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	s := &spill{file: f, codec: codec, sync: sync, hash: xxhash.New(), block: block[:0]}
	if codec == codecDeflate {
		if s.deflate, err = flate.NewWriter(&s.compressed, deflateLevel); err != nil {
			f.Close()
			return nil, err
		}
	}
	if err := s.write(appendHeader(nil, codec, sync)); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func (s *spill) write(b []byte) error {
	if _, err := s.file.Write(b); err != nil {
		return err
	}
	s.hash.Write(b) //nolint:errcheck // never fails
	s.size += int64(len(b))
	return nil
}

// add appends an event.
func (s *spill) add(enc *encoder, e *event) error {
	before := len(s.block)
	s.block = enc.event(s.block, e)
	s.data += int64(len(s.block) - before)
	s.count++
	s.events++
	if len(s.block) < blockSize {
		return nil
	}
	return s.flush()
}

// flush writes the events at hand as a block.
func (s *spill) flush() error {
	data := s.block
	if s.deflate != nil {
		s.compressed.Reset()
		s.deflate.Reset(&s.compressed)
		if _, err := s.deflate.Write(data); err != nil {
			return fmt.Errorf("compressing: %w", err)
		}
		if err := s.deflate.Close(); err != nil {
			return fmt.Errorf("compressing: %w", err)
		}
		data = s.compressed.Bytes()
	}
	s.out = appendLong(appendLong(s.out[:0], s.count), int64(len(data)))
	if err := s.write(s.out); err != nil {
		return err
	}
	if err := s.write(data); err != nil {
		return err
	}
	if err := s.write(s.sync[:]); err != nil {
		return err
	}
	s.block, s.count = s.block[:0], 0
	s.blocks++
	return nil
}

// finish writes what is left. A file without events gets an empty block, with
// which it has the 508 bytes by which readers know it; compressed it would have
// more than that, and gets none, which is as good to read.
func (s *spill) finish() error {
	if s.count > 0 || s.blocks == 0 && s.codec == codecNull {
		return s.flush()
	}
	return nil
}

// close closes the file, which stays where it is.
func (s *spill) close() error { return s.file.Close() }

// sum is the hash of all that was written.
func (s *spill) sum() uint64 { return s.hash.Sum64() }

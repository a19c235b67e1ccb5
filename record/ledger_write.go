package record

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// LedgerWriter writes one simulator's ledger.
//
// For every message, call Append; before the messages are handed to the log,
// call Flush, which is what makes their intents survive the death of this
// process; call Acked when the log has acknowledged. Append and Flush belong
// to one goroutine; Acked and FlushAcks may be called from any.
//
// What Flush has written is in the operating system's page cache: it survives
// kill -9, not a power failure. Close also syncs the file to the disk.
type LedgerWriter struct {
	path   string
	header LedgerHeader

	// The intents not yet written; owned by the appending goroutine.
	buf       []byte
	pending   int64
	next      int64 // index of the next entry
	batchAt   int64 // when the first of the pending was appended
	lastMicro int64 // createdAt of the entry before; batchAt at first

	acks ackSet

	mu     sync.Mutex // guards the file and everything below
	file   *os.File
	end    int64 // where the next block goes
	failed error
	out    []byte
	closed bool
}

// CreateLedger creates the ledger file and writes its header. A file that is
// there already is never overwritten (ErrLedgerExists). It sets
// h.Fingerprints, and h.StartedAt if that is 0.
func CreateLedger(path string, h LedgerHeader) (*LedgerWriter, error) {
	h.Fingerprints = FingerprintVersion
	if h.StartedAt == 0 {
		h.StartedAt = time.Now().UnixMicro()
	}
	if h.Instances < 1 || h.Instance < 0 || h.Instance >= h.Instances {
		return nil, fmt.Errorf("create ledger %s: instance %d of %d does not exist", path, h.Instance, h.Instances)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create the ledger's folder: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create ledger %s: %w", path, ErrLedgerExists)
	}
	if err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	w := &LedgerWriter{path: path, header: h, file: file}
	if err := w.begin(); err != nil {
		_ = file.Close()
		_ = os.Remove(path) // nothing was sent yet, and half a header helps nobody
		return nil, err
	}
	return w, nil
}

func (w *LedgerWriter) begin() error {
	if err := lockFile(w.file); err != nil {
		return fmt.Errorf("create ledger %s: %w", w.path, err)
	}
	text, err := json.Marshal(&w.header)
	if err != nil {
		return fmt.Errorf("create ledger %s: %w", w.path, err)
	}
	head := append([]byte(ledgerMagic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(head[len(ledgerMagic):], LedgerVersion)
	// One write, so that a file has its whole header or is refused as
	// unfinished.
	w.out = appendBlock(append(w.out[:0], head...), blockHeader, text)
	return w.write(w.out)
}

// Header returns the ledger's header.
func (w *LedgerWriter) Header() LedgerHeader { return w.header }

// Path returns the ledger's file.
func (w *LedgerWriter) Path() string { return w.path }

// appendBlock frames a payload, given in one or two parts.
func appendBlock(dst []byte, t blockType, payload ...[]byte) []byte {
	n := 0
	for _, part := range payload {
		n += len(part)
	}
	var head [ledgerBlockHead]byte
	binary.LittleEndian.PutUint32(head[0:], uint32(n))
	binary.LittleEndian.PutUint32(head[4:], uint32(t))
	binary.LittleEndian.PutUint32(head[8:], crc32.Checksum(head[:8], castagnoli))
	dst = append(dst, head[:]...)
	start := len(dst)
	for _, part := range payload {
		dst = append(dst, part...)
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// write appends to the file. After a failure the ledger is never written
// again: what it does not know must not be sent. The caller holds mu (or is
// the only one who has w).
func (w *LedgerWriter) write(b []byte) error {
	if w.failed != nil {
		return w.failed
	}
	if n, err := w.file.WriteAt(b, w.end); err != nil {
		w.failed = fmt.Errorf("write ledger %s: %w", w.path, err)
		if n > 0 {
			// Best effort: a torn tail is tolerated by readers.
			_ = w.file.Truncate(w.end)
		}
		return w.failed
	}
	w.end += int64(len(b))
	return nil
}

// Append adds the intent to send e, and returns its index, with which Acked
// is called later. It is kept in memory until Flush.
func (w *LedgerWriter) Append(e *Entry) (int64, error) {
	if w.pending == 0 {
		w.batchAt = time.Now().UnixMicro()
		w.lastMicro = w.batchAt
		w.buf = w.buf[:0]
	}
	tag := byte(e.Kind)
	switch e.Kind {
	case Unique, Duplicate:
		if e.Sequence < 0 {
			return 0, fmt.Errorf("ledger: an event cannot have the sequence %d", e.Sequence)
		}
		w.buf = append(w.buf, tag)
		w.buf = append(w.buf, e.ID[:]...)
	case Malformed:
		code, err := reasonCode(e.Reason)
		if err != nil {
			return 0, err
		}
		w.buf = append(w.buf, tag|code<<2)
	default:
		return 0, fmt.Errorf("ledger: there is no entry of %v", e.Kind)
	}
	w.buf = binary.LittleEndian.AppendUint64(w.buf, e.Fingerprint)
	w.buf = binary.AppendUvarint(w.buf, uint64(e.Device))
	if e.Kind != Malformed {
		w.buf = binary.AppendUvarint(w.buf, uint64(e.Sequence))
	}
	w.buf = binary.AppendVarint(w.buf, e.CreatedAt-w.lastMicro)
	w.lastMicro = e.CreatedAt
	w.pending++
	w.next++
	if len(w.buf) > maxLedgerBlock/2 {
		if err := w.Flush(); err != nil {
			return 0, err
		}
	}
	return w.next - 1, nil
}

// Flush writes what was appended, and the acknowledgements that came in. When
// it returns nil, the appended messages may be handed to the log.
func (w *LedgerWriter) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.flushAcks(); err != nil {
		return err
	}
	if w.pending == 0 {
		return w.failed
	}
	var room [3 * binary.MaxVarintLen64]byte
	head := binary.AppendVarint(room[:0], w.batchAt)
	head = binary.AppendUvarint(head, uint64(w.next-w.pending))
	head = binary.AppendUvarint(head, uint64(w.pending))
	w.out = appendBlock(w.out[:0], blockIntents, head, w.buf)
	if err := w.write(w.out); err != nil {
		return err
	}
	w.pending = 0
	return nil
}

// Acked notes that the log acknowledged the message with this index. It does
// not write; Flush and FlushAcks do.
func (w *LedgerWriter) Acked(index int64) { w.acks.add(index) }

// FlushAcks writes the acknowledgements that came in. Call it every now and
// then: what it has not written when the process dies is in doubt.
func (w *LedgerWriter) FlushAcks() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flushAcks()
}

func (w *LedgerWriter) flushAcks() error {
	if w.closed {
		return fmt.Errorf("write ledger %s: %w", w.path, fs.ErrClosed)
	}
	for {
		ranges := w.acks.take()
		if len(ranges) == 0 {
			return w.failed
		}
		w.out = appendBlock(w.out[:0], blockAcks, ranges)
		if err := w.write(w.out); err != nil {
			return err
		}
	}
}

// Close writes what is pending and the final account, syncs the file to the
// disk and closes it. unsent is the number of messages that were due in this
// session and never handed to the log; finished tells that nothing is left to
// do, so that the run cannot be continued. Closing again does nothing.
func (w *LedgerWriter) Close(unsent int64, finished bool) error {
	w.mu.Lock()
	done := w.closed
	w.mu.Unlock()
	if done {
		return nil
	}
	err := w.Flush()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		var text []byte
		text, err = json.Marshal(closing{Unsent: unsent, Finished: finished, At: time.Now().UnixMicro()})
		if err == nil {
			w.out = appendBlock(w.out[:0], blockClose, text)
			err = w.write(w.out)
		}
	}
	if err == nil {
		if err = w.file.Sync(); err != nil {
			err = fmt.Errorf("write ledger %s: %w", w.path, err)
		}
	}
	w.closed = true
	if cerr := w.file.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close ledger %s: %w", w.path, cerr)
	}
	return err
}

// ackSet gathers indexes between two writes, as bits in chunks, because they
// come in nearly in order, from several goroutines, and leave as ranges.
type ackSet struct {
	mu     sync.Mutex
	chunks map[int64]*ackChunk
	last   *ackChunk
	free   []*ackChunk
	// order are the numbers of the chunks, as they were first touched.
	order []int64
	out   []byte
}

const chunkBits = 4096

type ackChunk struct {
	number int64
	words  [chunkBits / 64]uint64
}

func (s *ackSet) add(index int64) {
	number, bit := index/chunkBits, uint(index%chunkBits)
	s.mu.Lock()
	c := s.last
	if c == nil || c.number != number {
		c = s.chunk(number)
	}
	c.words[bit/64] |= 1 << (bit % 64)
	s.mu.Unlock()
}

func (s *ackSet) chunk(number int64) *ackChunk {
	c := s.chunks[number]
	if c == nil {
		if n := len(s.free); n > 0 {
			c, s.free = s.free[n-1], s.free[:n-1]
			*c = ackChunk{}
		} else {
			c = new(ackChunk)
		}
		c.number = number
		if s.chunks == nil {
			s.chunks = make(map[int64]*ackChunk)
		}
		s.chunks[number] = c
		s.order = append(s.order, number)
	}
	s.last = c
	return c
}

// take returns the payload of an acks block and forgets what is in it. It is
// empty when there is nothing; it never exceeds the bound of a block, so it
// must be called until then. The slice is valid until the next call.
func (s *ackSet) take() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = s.out[:0]
	taken := 0
	var from, to int64 // the range being built: [from, to)
	var end int64      // of the last range written
	emit := func() {
		if to > from {
			s.out = binary.AppendVarint(s.out, from-end)
			s.out = binary.AppendUvarint(s.out, uint64(to-from))
			end = to
		}
	}
	for _, number := range s.order {
		if len(s.out) > maxLedgerBlock/2 {
			break
		}
		c := s.chunks[number]
		for i, w := range c.words {
			at := number*chunkBits + int64(i)*64
			for w != 0 {
				low := bits.TrailingZeros64(w)
				n := bits.TrailingZeros64(^(w >> low))
				if start := at + int64(low); start == to && to > from {
					to += int64(n)
				} else {
					emit()
					from, to = start, start+int64(n)
				}
				if low+n == 64 {
					break
				}
				w &^= (1<<n - 1) << low
			}
		}
		delete(s.chunks, number)
		if len(s.free) < 64 {
			s.free = append(s.free, c)
		}
		taken++
	}
	emit()
	s.order = append(s.order[:0], s.order[taken:]...)
	s.last = nil
	return s.out
}

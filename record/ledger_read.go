package record

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrLedgerEmpty is returned for a ledger file without a complete header: its
// simulator died while creating it, before it sent anything.
var ErrLedgerEmpty = errors.New("the ledger has no header yet")

// ReadLedger reads all ledger files of a folder, in the order of their
// instances, and calls fn (which may be nil) with the entries of each in the
// order in which they were sent. The Entry is reused between calls. An error
// of fn ends the reading and is returned as it is.
//
// The files must belong to one run, and no two to one instance. A folder
// without a ledger is ErrNoLedger, damage is a *LedgerCorrupt. Memory grows
// with one bit per entry of the largest file, and with nothing else.
func ReadLedger(dir string, fn func(*Entry) error) (*LedgerInfo, error) {
	paths, err := LedgerPaths(dir)
	if err != nil {
		return nil, err
	}
	var readers []*ledgerReader
	defer func() {
		for _, r := range readers {
			_ = r.file.Close()
		}
	}()
	for _, path := range paths {
		r, err := openLedger(path)
		if errors.Is(err, ErrLedgerEmpty) {
			continue // its instance shows up as missing
		}
		if err != nil {
			return nil, err
		}
		readers = append(readers, r)
	}
	if len(readers) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoLedger)
	}
	slices.SortStableFunc(readers, func(a, b *ledgerReader) int { return a.header.Instance - b.header.Instance })
	if err := sameRun(readers); err != nil {
		return nil, err
	}
	info := &LedgerInfo{Totals: LedgerTotals{FirstAt: NoTime, LastAt: NoTime, Complete: true, Finished: true}}
	present := make(map[int]bool)
	for _, r := range readers {
		f, err := r.read(fn)
		if err != nil {
			return nil, err
		}
		info.Files = append(info.Files, *f)
		info.Totals.add(&f.Totals)
		present[f.Header.Instance] = true
	}
	// Headers are data: a damaged number must not become a long loop.
	for i := 0; i < readers[0].header.Instances && len(info.Missing) < 1000; i++ {
		if !present[i] {
			info.Missing = append(info.Missing, i)
			info.Totals.Complete, info.Totals.Finished = false, false
		}
	}
	return info, nil
}

// LedgerPaths returns the ledger files of a folder, sorted by name.
func LedgerPaths(dir string) ([]string, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoLedger)
	}
	if err != nil {
		return nil, fmt.Errorf("look for ledgers: %w", err)
	}
	var paths []string
	for _, n := range names {
		if !n.IsDir() && strings.HasSuffix(n.Name(), LedgerSuffix) {
			paths = append(paths, filepath.Join(dir, n.Name()))
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoLedger)
	}
	return paths, nil
}

// ReadLedgerFile reads one ledger file like ReadLedger. A file whose
// simulator died before it had written the header is ErrLedgerEmpty.
func ReadLedgerFile(path string, fn func(*Entry) error) (*LedgerFile, error) {
	r, err := openLedger(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.file.Close() }()
	return r.read(fn)
}

func sameRun(readers []*ledgerReader) error {
	first := readers[0]
	for i, r := range readers[1:] {
		a, b := &first.header, &r.header
		what := ""
		switch {
		case a.Run != b.Run:
			what = "belong to different runs"
		case a.Seed != b.Seed:
			what = "have different seeds"
		case a.Instances != b.Instances:
			what = "disagree on the number of instances"
		case a.DevicePrefix != b.DevicePrefix || a.Devices != b.Devices || a.Rate != b.Rate || !maps.Equal(a.Settings, b.Settings):
			what = "were written with different settings"
		case readers[i].header.Instance == b.Instance:
			first, what = readers[i], fmt.Sprintf("are both of instance %d of %d", b.Instance+1, b.Instances)
		}
		if what != "" {
			return fmt.Errorf("the ledgers %s and %s %s", first.path, r.path, what)
		}
	}
	return nil
}

// ledgerReader reads one file in two passes: the first finds out what was
// acknowledged, the second goes through the entries.
type ledgerReader struct {
	path   string
	file   *os.File
	src    io.ReaderAt
	header LedgerHeader
	// start is where the first block after the header begins, end where the
	// last good block ends.
	start, end int64
	size       int64
	// acked has a bit per entry.
	acked   []uint64
	entries int64
	last    blockType
	close   closing
	totals  LedgerTotals
	active  time.Duration
	// continued counts the resume blocks that have entries before them.
	continued int
	// session is when the present session began, seen the last time known
	// of it.
	session, seen int64
}

func openLedger(path string) (*ledgerReader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	r := &ledgerReader{path: path, file: file, src: file, size: info.Size()}
	if err := r.readHeader(); err != nil {
		_ = file.Close()
		return nil, err
	}
	return r, nil
}

func (r *ledgerReader) corrupt(at int64, format string, args ...any) error {
	return &LedgerCorrupt{Path: r.path, Offset: at, Detail: fmt.Sprintf(format, args...)}
}

func (r *ledgerReader) readHeader() error {
	head := make([]byte, min(r.size, int64(ledgerFileHead)))
	if _, err := r.src.ReadAt(head, 0); err != nil && err != io.EOF {
		return fmt.Errorf("read ledger %s: %w", r.path, err)
	}
	if n := min(len(head), len(ledgerMagic)); string(head[:n]) != ledgerMagic[:n] {
		return r.corrupt(0, "it is not a ledger (it does not begin with %s)", ledgerMagic)
	}
	if len(head) < ledgerFileHead {
		return fmt.Errorf("ledger %s: %w", r.path, ErrLedgerEmpty)
	}
	if v := binary.LittleEndian.Uint32(head[len(ledgerMagic):]); v != LedgerVersion {
		return r.corrupt(0, "it has the format version %d; this program reads %d", v, LedgerVersion)
	}
	b := newBlockReader(r, int64(ledgerFileHead), r.size)
	t, payload, err := b.next()
	if err == io.EOF {
		return fmt.Errorf("ledger %s: %w", r.path, ErrLedgerEmpty)
	}
	if err != nil {
		return err
	}
	if t != blockHeader {
		return r.corrupt(int64(ledgerFileHead), "the first block is not a header")
	}
	if err := json.Unmarshal(payload, &r.header); err != nil {
		return r.corrupt(int64(ledgerFileHead), "the header cannot be read: %v", err)
	}
	if h := &r.header; h.Instances < 1 || h.Instance < 0 || h.Instance >= h.Instances {
		return r.corrupt(int64(ledgerFileHead), "there is no instance %d of %d", h.Instance, h.Instances)
	}
	if v := r.header.Fingerprints; v != FingerprintVersion {
		return r.corrupt(int64(ledgerFileHead), "its fingerprints are of version %d; this program computes %d", v, FingerprintVersion)
	}
	r.start = b.off
	return nil
}

func (r *ledgerReader) read(fn func(*Entry) error) (*LedgerFile, error) {
	if err := r.resolve(); err != nil {
		return nil, err
	}
	if err := r.walk(fn); err != nil {
		return nil, err
	}
	t := &r.totals
	t.Acked = t.Unique + t.Duplicates + t.Malformed
	t.Sent = r.entries
	t.InDoubt = t.Sent - t.Acked
	if r.last == blockClose && r.end == r.size {
		t.Complete, t.Finished = true, r.close.Finished
		t.Offered = t.Sent + max(0, r.close.Unsent)
	} else {
		t.Offered = t.Sent
	}
	t.Unsent = t.Offered - t.Acked
	return &LedgerFile{Path: r.path, Header: r.header, Totals: r.totals, TornBytes: r.size - r.end, Active: r.active, Continued: r.continued}, nil
}

// resolve is the first pass.
func (r *ledgerReader) resolve() error {
	r.totals.FirstAt, r.totals.LastAt = NoTime, NoTime
	r.session, r.seen = r.header.StartedAt, r.header.StartedAt
	b := newBlockReader(r, r.start, r.size)
	r.end = r.start
	r.last = blockHeader
	for {
		at := b.off
		t, payload, err := b.next()
		if err == io.EOF {
			r.endSession()
			return nil
		}
		if err != nil {
			return err
		}
		switch t {
		case blockIntents:
			err = r.intents(at, payload)
		case blockAcks:
			err = r.acks(at, payload)
		case blockResume:
			var s resuming
			if err = json.Unmarshal(payload, &s); err != nil {
				return r.corrupt(at, "a resume block cannot be read: %v", err)
			}
			if r.entries > 0 {
				r.continued++
			}
			r.endSession()
			r.session, r.seen = s.At, s.At
			r.totals.Retried += max(0, s.Retried)
		case blockClose:
			r.close = closing{}
			if err = json.Unmarshal(payload, &r.close); err != nil {
				return r.corrupt(at, "a close block cannot be read: %v", err)
			}
			r.seen = max(r.seen, r.close.At)
		default:
			err = r.corrupt(at, "there is no block type %d", t)
		}
		if err != nil {
			return err
		}
		if r.last == blockClose && t != blockResume {
			return r.corrupt(at, "a closed ledger goes on without a resume block")
		}
		r.last, r.end = t, b.off
	}
}

func (r *ledgerReader) endSession() {
	if d := r.seen - r.session; d > 0 {
		r.active += time.Duration(d) * time.Microsecond
	}
}

// minEntry is the size of the smallest entry.
const minEntry = 11

func (r *ledgerReader) intents(at int64, payload []byte) error {
	head, _, err := intentsHead(payload)
	if err != nil {
		return r.corrupt(at, "%v", err)
	}
	if head.first != r.entries {
		return r.corrupt(at, "entries from %d on are followed by entries from %d on", r.entries, head.first)
	}
	r.entries += head.count
	for int64(len(r.acked))*64 < r.entries {
		r.acked = append(r.acked, 0)
	}
	r.seen = max(r.seen, head.at)
	if r.totals.FirstAt == NoTime {
		r.totals.FirstAt = head.at
	}
	r.totals.LastAt = max(r.totals.LastAt, head.at)
	return nil
}

// intentsBlock is the beginning of a block of intents.
type intentsBlock struct {
	at, first, count int64
}

func intentsHead(p []byte) (h intentsBlock, rest []byte, err error) {
	c := cursor{b: p}
	h.at = c.varint()
	h.first = int64(c.uvarint())
	h.count = int64(c.uint32())
	if c.bad || h.count <= 0 || h.count > int64(len(c.b))/minEntry {
		return h, nil, errors.New("the beginning of a block of entries cannot be read")
	}
	return h, c.b, nil
}

func (r *ledgerReader) acks(at int64, payload []byte) error {
	c := cursor{b: payload}
	var end int64
	for len(c.b) > 0 {
		from := end + c.varint()
		n := int64(c.uvarint())
		if c.bad || n <= 0 || from < 0 || from >= r.entries || n > r.entries-from {
			return r.corrupt(at, "an acknowledgement is of messages that were never sent")
		}
		end = from + n
		setBits(r.acked, from, end)
	}
	return nil
}

// setBits sets the bits [from, to).
func setBits(words []uint64, from, to int64) {
	for from < to {
		w, bit := from/64, from%64
		n := min(64-bit, to-from)
		words[w] |= (^uint64(0) >> (64 - n)) << bit
		from += n
	}
}

// walk is the second pass.
func (r *ledgerReader) walk(fn func(*Entry) error) error {
	b := newBlockReader(r, r.start, r.end)
	index := int64(0)
	for {
		at := b.off
		t, payload, err := b.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if t != blockIntents {
			continue
		}
		head, rest, err := intentsHead(payload)
		if err != nil {
			return r.corrupt(at, "%v", err)
		}
		c := cursor{b: rest}
		var e Entry
		last := head.at
		for range head.count {
			if last, err = c.entry(&e, last); err != nil {
				return r.corrupt(at, "%v", err)
			}
			e.Acked = index < r.entries && r.acked[index/64]>>(index%64)&1 != 0
			index++
			if e.Acked {
				switch e.Kind {
				case Unique:
					r.totals.Unique++
				case Duplicate:
					r.totals.Duplicates++
				case Malformed:
					r.totals.Malformed++
				}
			}
			if fn != nil {
				if err := fn(&e); err != nil {
					return err
				}
			}
		}
		if len(c.b) != 0 {
			return r.corrupt(at, "%d bytes follow the last entry of a block", len(c.b))
		}
	}
}

// ReadLedgerHeader reads only the header of a ledger file. A file without one
// is ErrLedgerEmpty.
func ReadLedgerHeader(path string) (*LedgerHeader, error) {
	r, err := openLedger(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.file.Close() }()
	return &r.header, nil
}

// RemoveEmptyLedger removes a ledger file that is ErrLedgerEmpty, unless a
// simulator is just creating it (ErrLedgerInUse).
func RemoveEmptyLedger(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("remove an empty ledger: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := lockFile(file); err != nil {
		return fmt.Errorf("remove the empty ledger %s: %w", path, err)
	}
	if _, err := ReadLedgerHeader(path); !errors.Is(err, ErrLedgerEmpty) {
		return fmt.Errorf("remove the ledger %s: %w", path, ErrLedgerInUse)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove an empty ledger: %w", err)
	}
	return nil
}

package local

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// What kfake needs help with after it was killed.
//
// Sequences: which batches of which idempotent producer a partition holds is
// what lets a broker recognise a repeated batch, and refuse one that comes
// before its predecessor. kfake writes that down when it is closed and at no
// other time; after a kill it would trust notes that are out of date or, with
// none, take whatever comes first, so that a producer's events change order.
// Kafka rebuilds this from the log, and so does recoverLog.
//
// Index entries: each batch has one, which says among other things whether it
// belongs to a transaction. A kill between the writes of batch and entry
// leaves a batch without; all later entries would then be taken for their
// predecessors'.

// The layout of a batch's header, as far as it is needed here (see stamp.go
// for the rest), and of an entry of the index.
const (
	batchLengthAt   = 8
	batchEpochAt    = 12
	batchProducerAt = 43
	batchPIDEpochAt = 51
	batchSequenceAt = 53
	batchLastAt     = 23

	attributeTransactional = 1 << 4
	attributeControl       = 1 << 5

	indexEntrySize = 15
	indexVersion   = 1
)

// sequences is one partition's notes on one producer, as kfake stores them.
type sequences struct {
	PID     int64            `json:"pid"`
	Topic   string           `json:"topic"`
	Part    int32            `json:"partition"`
	Entries [5]sequenceEntry `json:"entries"`
	Count   uint8            `json:"count"`
	At      uint8            `json:"at"`
	Epoch   int16            `json:"epoch"`
	Seen    bool             `json:"seen"`
	NextSeq int32            `json:"next_seq"`
}

type sequenceEntry struct {
	FirstSeq int32 `json:"first_seq"`
	NextSeq  int32 `json:"next_seq"`
	Offset   int64 `json:"offset"`
}

// appended notes a batch.
func (s *sequences) appended(epoch int16, first, count int32, offset int64) {
	next := int32((int64(first) + int64(count)) % math.MaxInt32) // as kfake counts
	if !s.Seen || s.Epoch != epoch {
		s.Entries, s.Count, s.At = [5]sequenceEntry{}, 0, 0
	}
	s.Seen, s.Epoch, s.NextSeq = true, epoch, next
	s.Entries[s.At] = sequenceEntry{first, next, offset}
	s.At = (s.At + 1) % 5
	s.Count = min(s.Count+1, 5)
}

// recoverLog prepares a data directory that may have been left by a kill. It
// must run before the broker reads the directory.
func recoverLog(dir string) error {
	root := filepath.Join(dir, "partitions")
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range []string{"pids.log", "groups.log"} {
		if err := cutFrames(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	// Written when the broker is closed, read when it starts: without it,
	// there was a kill.
	_, err = os.Stat(filepath.Join(dir, "session_state.json"))
	killed := errors.Is(err, fs.ErrNotExist)
	var all []*sequences
	var parts []*partition
	aborted := map[int64]int16{}
	for _, e := range entries {
		name, number, ok := cutLast(e.Name(), "-")
		topic, uerr := url.PathUnescape(name)
		p, perr := strconv.ParseInt(number, 10, 32)
		if !e.IsDir() || !ok || uerr != nil || perr != nil {
			continue // not a partition
		}
		part := &partition{dir: filepath.Join(root, e.Name()), topic: topic, number: int32(p), producers: map[int64]*sequences{}, open: map[int64]int16{}}
		if err := part.recover(); err != nil {
			return fmt.Errorf("reading partition %d of topic %s: %w", p, topic, err)
		}
		for _, s := range part.producers {
			all = append(all, s)
		}
		for pid, epoch := range part.open {
			aborted[pid] = max(aborted[pid], epoch)
		}
		parts = append(parts, part)
	}
	if killed {
		// In this order: a kill in between is mended by the next start.
		if err := raiseEpochs(dir, aborted); err != nil {
			return err
		}
		for _, p := range parts {
			if err := p.abortOpen(); err != nil {
				return fmt.Errorf("ending transactions in partition %d of topic %s: %w", p.number, p.topic, err)
			}
		}
	}
	text, err := json.Marshal(map[string]any{"version": 1, "windows": all})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "seq_windows.json")
	if err := os.WriteFile(file+".tmp", text, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".tmp", file)
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// partition is one partition's folder.
type partition struct {
	dir       string
	topic     string
	number    int32
	producers map[int64]*sequences

	// open are the producers with a transaction that has no marker yet, and
	// their epochs.
	open map[int64]int16
	// The end of what is whole: the next offset, the leader epoch, the last
	// segment, and how much of its two files.
	next              int64
	leaderEpoch       int32
	lastBase          int64
	whole, wholeIndex int64
}

func (p *partition) recover() error {
	files, err := filepath.Glob(filepath.Join(p.dir, "*.dat"))
	if err != nil {
		return err
	}
	var bases []int64
	for _, f := range files {
		base, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(f), ".dat"), 10, 64)
		if err == nil {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	for i, base := range bases {
		if err := p.segment(base, i == len(bases)-1); err != nil {
			return err
		}
	}
	return nil
}

// segment reads one segment's batches. Only the last one can have been cut
// off, so its checksums are looked at and its index is completed.
func (p *partition) segment(base int64, last bool) error {
	f, err := os.Open(filepath.Join(p.dir, fmt.Sprintf("%d.dat", base)))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	p.lastBase, p.whole = base, 0
	var index []byte
	header := make([]byte, batchRecordsAt)
	for at := int64(0); at+batchRecordsAt <= info.Size(); {
		if _, err := f.ReadAt(header, at); err != nil {
			return err
		}
		size := 12 + int64(int32(binary.BigEndian.Uint32(header[batchLengthAt:])))
		if size < batchRecordsAt || at+size > info.Size() {
			break
		}
		if last {
			sum := crc32.New(castagnoli)
			if _, err := io.Copy(sum, io.NewSectionReader(f, at+batchAttributesAt, size-batchAttributesAt)); err != nil {
				return err
			}
			if sum.Sum32() != binary.BigEndian.Uint32(header[batchCRCAt:]) {
				break
			}
			index = append(index, indexEntry(header)...)
		}
		p.note(header)
		at += size
		p.whole = at
	}
	if last {
		p.wholeIndex = int64(len(index))
		return completeIndex(filepath.Join(p.dir, fmt.Sprintf("%d.idx", base)), index)
	}
	return nil
}

func (p *partition) note(header []byte) {
	p.next = int64(binary.BigEndian.Uint64(header)) + int64(int32(binary.BigEndian.Uint32(header[batchLastAt:]))) + 1
	p.leaderEpoch = int32(binary.BigEndian.Uint32(header[batchEpochAt:]))
	pid := int64(binary.BigEndian.Uint64(header[batchProducerAt:]))
	epoch := int16(binary.BigEndian.Uint16(header[batchPIDEpochAt:]))
	attributes := binary.BigEndian.Uint16(header[batchAttributesAt:])
	switch {
	case pid < 0:
		return
	case attributes&attributeControl != 0:
		delete(p.open, pid)
		return
	case attributes&attributeTransactional != 0:
		p.open[pid] = epoch
	}
	s := p.producers[pid]
	if s == nil {
		s = &sequences{PID: pid, Topic: p.topic, Part: p.number}
		p.producers[pid] = s
	}
	s.appended(epoch, int32(binary.BigEndian.Uint32(header[batchSequenceAt:])),
		int32(binary.BigEndian.Uint32(header[batchCountAt:])), int64(binary.BigEndian.Uint64(header)))
}

// indexEntry is a batch's entry: version, checksum, leader epoch, a time that
// is computed anew when it is read, and whether it is part of a transaction.
func indexEntry(header []byte) []byte {
	e := make([]byte, indexEntrySize)
	e[0] = indexVersion
	binary.LittleEndian.PutUint32(e[2:], binary.BigEndian.Uint32(header[batchEpochAt:]))
	binary.LittleEndian.PutUint64(e[6:], binary.BigEndian.Uint64(header[batchMaxTimeAt:]))
	attributes := binary.BigEndian.Uint16(header[batchAttributesAt:])
	if attributes&attributeTransactional != 0 && attributes&attributeControl == 0 {
		e[14] = 1
	}
	e[1] = byte(crc32.Checksum(e[2:], castagnoli))
	return e
}

// completeIndex makes the index as long as want. What it has stays.
func completeIndex(file string, want []byte) error {
	have, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	whole := len(have) / indexEntrySize * indexEntrySize
	if len(have) == len(want) {
		return nil
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	keep := min(whole, len(want))
	err = f.Truncate(int64(keep))
	if err == nil {
		_, err = f.WriteAt(want[keep:], int64(keep))
	}
	return errors.Join(err, f.Close())
}

package process

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Snapshots keeps task states in a folder, one file per partition and
// position, the newest two of each partition. Files appear atomically (write,
// sync, rename) and carry a checksum; the format is docs/formats/snapshot.md.
// Several workers may share the folder: a file's content follows from its
// position, so whoever writes it writes the same.
type Snapshots struct {
	dir  string
	log  *slog.Logger
	wake chan struct{}
	done sync.WaitGroup
	once sync.Once

	mu      sync.Mutex
	waiting map[int32]*publication
}

type publication struct {
	engine string
	*pendingSnapshot
}

// pendingSnapshot is a state whose position the store does not hold yet.
type pendingSnapshot struct {
	partition int32
	position  int64
	state     []byte
}

const (
	snapshotMagic   = "MRSNAP01"
	snapshotsKept   = 2
	snapshotMaxName = 1 << 10
)

// OpenSnapshots uses dir, which it creates, and starts the writer. Close must
// be called.
func OpenSnapshots(dir string, log *slog.Logger) (*Snapshots, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the snapshot folder: %w", err)
	}
	s := &Snapshots{dir: dir, log: log, wake: make(chan struct{}, 1), waiting: make(map[int32]*publication)}
	s.removeTorn()
	s.done.Add(1)
	go s.run()
	return s, nil
}

// removeTorn deletes what a kill in the middle of save left, unless it is so
// young that another worker may be writing it.
func (s *Snapshots) removeTorn() {
	paths, _ := filepath.Glob(filepath.Join(s.dir, "tmp-*"))
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Minute {
			_ = os.Remove(path) // it may be gone already
		}
	}
}

// Close writes what is waiting. Nothing may be published any more.
func (s *Snapshots) Close() {
	s.once.Do(func() { close(s.wake) })
	s.done.Wait()
}

// publish hands a state to the background writer. While that is behind, only
// the newest state of each partition waits.
func (s *Snapshots) publish(engine string, p *pendingSnapshot) {
	s.mu.Lock()
	s.waiting[p.partition] = &publication{engine, p}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Snapshots) run() {
	defer s.done.Done()
	for more := true; more; {
		_, more = <-s.wake
		for p := s.take(); p != nil; p = s.take() {
			if err := s.save(p.engine, p.pendingSnapshot); err != nil {
				// Losing a snapshot costs a longer replay, nothing else.
				s.log.Warn("snapshot not written", "partition", p.partition, "error", err)
			}
		}
	}
}

func (s *Snapshots) take() *publication {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, publication := range s.waiting {
		delete(s.waiting, p)
		return publication
	}
	return nil
}

func (s *Snapshots) save(engine string, p *pendingSnapshot) error {
	head := encodeSnapshotHead(engine, p)
	tmp, err := os.CreateTemp(s.dir, "tmp-*")
	if err != nil {
		return fmt.Errorf("creating a temporary file: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(head)
	if err == nil {
		_, err = tmp.Write(p.state)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", tmp.Name(), err)
	}
	if err := os.Rename(tmp.Name(), filepath.Join(s.dir, snapshotName(p.partition, p.position))); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	files := s.list(p.partition)
	for _, old := range files[:max(len(files)-snapshotsKept, 0)] {
		_ = os.Remove(old.path) // an undeleted old file is harmless
	}
	return nil
}

func encodeSnapshotHead(engine string, p *pendingSnapshot) []byte {
	le := binary.LittleEndian
	head := append([]byte(nil), snapshotMagic...)
	head = le.AppendUint16(head, uint16(len(engine)))
	head = append(head, engine...)
	head = le.AppendUint32(head, uint32(p.partition))
	head = le.AppendUint64(head, uint64(p.position))
	head = le.AppendUint64(head, uint64(len(p.state)))
	sum := xxhash.New()
	sum.Write(head)
	sum.Write(p.state)
	return le.AppendUint64(head, sum.Sum64())
}

func snapshotName(partition int32, position int64) string {
	return fmt.Sprintf("p%05d-%020d.snap", partition, position)
}

// snapshotFile is one file found in the folder.
type snapshotFile struct {
	path      string
	engine    string // wanted
	partition int32
	position  int64
}

// list returns a partition's snapshots, oldest position first.
func (s *Snapshots) list(partition int32) []snapshotFile {
	paths, _ := filepath.Glob(filepath.Join(s.dir, fmt.Sprintf("p%05d-*.snap", partition)))
	var files []snapshotFile
	for _, path := range paths {
		_, digits, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".snap"), "-")
		if pos, err := strconv.ParseInt(digits, 10, 64); err == nil {
			files = append(files, snapshotFile{path: path, partition: partition, position: pos})
		}
	}
	slices.SortFunc(files, func(a, b snapshotFile) int { return int(max(min(a.position-b.position, 1), -1)) })
	return files
}

// load returns the snapshots at or before position, the newest first.
func (s *Snapshots) load(engine string, partition int32, position int64) []snapshotFile {
	files := slices.DeleteFunc(s.list(partition), func(f snapshotFile) bool { return f.position > position })
	slices.Reverse(files)
	for i := range files {
		files[i].engine = engine
	}
	return files
}

func (f snapshotFile) read() ([]byte, error) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	engine, p, err := decodeSnapshot(data)
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", f.path, err)
	}
	if engine != f.engine || p.partition != f.partition || p.position != f.position {
		return nil, fmt.Errorf("snapshot %s is of engine %q partition %d position %d, wanted %q %d %d",
			f.path, engine, p.partition, p.position, f.engine, f.partition, f.position)
	}
	return p.state, nil
}

var errSnapshotTorn = errors.New("torn or altered (its checksum does not match)")

// decodeSnapshot reads the file format; every length is checked against what
// is there before it is used.
func decodeSnapshot(data []byte) (engine string, p *pendingSnapshot, err error) {
	le := binary.LittleEndian
	const fixed = 4 + 8 + 8 + 8
	if len(data) < len(snapshotMagic)+2+fixed || string(data[:len(snapshotMagic)]) != snapshotMagic {
		return "", nil, errors.New("not a snapshot file")
	}
	name := int(le.Uint16(data[len(snapshotMagic):]))
	at := len(snapshotMagic) + 2
	if name > snapshotMaxName || len(data) < at+name+fixed {
		return "", nil, errSnapshotTorn
	}
	engine = string(data[at : at+name])
	at += name
	p = &pendingSnapshot{partition: int32(le.Uint32(data[at:])), position: int64(le.Uint64(data[at+4:]))}
	size, want := le.Uint64(data[at+12:]), le.Uint64(data[at+20:])
	p.state = data[at+fixed:]
	sum := xxhash.New()
	sum.Write(data[:at+20])
	sum.Write(p.state)
	if uint64(len(p.state)) != size || sum.Sum64() != want {
		return "", nil, errSnapshotTorn
	}
	return engine, p, nil
}

package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options are how a store is opened. The zero value is ready for use.
type Options struct {
	// SyncWrites brings every write to the disk before it is acknowledged, so
	// that it survives the loss of power. Without it an acknowledged write is
	// with the operating system, and survives the end of the process only.
	SyncWrites bool
	// CacheBytes is how much memory the cache of blocks takes, 0 is 64 MB.
	CacheBytes int64
	// Log gets what is worth knowing; nil is nothing.
	Log *slog.Logger
	// Now is the clock, nil the system's.
	Now func() time.Time

	memTable uint64 // bytes, 0 is the default
}

const (
	defaultCache    = 64 << 20
	defaultMemTable = 32 << 20
	// formatVersion is the version of docs/formats/cosmosdb.md.
	formatVersion = 2
)

// ErrClosed is what a closed store says.
var ErrClosed = errors.New("the store is closed")

// Store is the databases, containers and items in a directory. It is safe for
// concurrent use.
type Store struct {
	db      *pebble.DB
	now     func() time.Time
	log     *slog.Logger
	session uint16

	// users counts the calls and iterators that use db; closing makes it
	// negative.
	users  atomic.Int64
	idle   chan struct{}
	closer sync.Once
	closed error

	// catalogue is replaced as a whole under change.
	catalogue atomic.Pointer[catalogue]
	change    sync.Mutex
	next      uint32 // number for the next record; guarded by change

	stop   context.CancelFunc
	tasks  sync.WaitGroup
	wake   chan struct{} // tells the background that there is something to do
	upkeep sync.Mutex    // held by who tends the containers
}

// Open opens the store in a directory, which is made if it does not exist. One
// process at a time may have it open.
func Open(dir string, o Options) (*Store, error) {
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCache
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.memTable == 0 {
		o.memTable = defaultMemTable
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the store's directory: %w", err)
	}
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	if err != nil {
		return nil, fmt.Errorf("the store in %s is in use by another process, or cannot be written: %w", dir, err)
	}
	s := &Store{now: o.Now, log: o.Log, idle: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	options := pebbleOptions(o)
	options.Lock = lock
	s.db, err = pebble.Open(dir, options)
	if err != nil {
		return nil, errors.Join(openError(dir, err), lock.Close())
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("the store in %s: %w", dir, err), s.db.Close(), lock.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = func() {
		cancel()
		s.tasks.Wait()
		s.closed = errors.Join(s.db.Close(), lock.Close())
	}
	s.tasks.Go(func() { s.background(ctx) })
	return s, nil
}

func openError(dir string, err error) error {
	switch {
	case strings.Contains(err.Error(), "format major version"):
		return fmt.Errorf("the store in %s was written by a newer version: use that one, or another directory: %w", dir, err)
	case errors.Is(err, pebble.ErrCorruption):
		return fmt.Errorf("the store in %s is damaged: %w", dir, err)
	}
	return fmt.Errorf("cannot open the store in %s: %w", dir, err)
}

// pebbleOptions keeps the memory of the key-value store near 200 MB however
// much there is in it.
func pebbleOptions(o Options) *pebble.Options {
	options := &pebble.Options{
		FS: vfs.Default,
		// What is being written is taken off the cache: one table that takes
		// writes, and one that is on its way to the disk.
		CacheSize:                   o.CacheBytes + 2*int64(o.memTable),
		MemTableSize:                o.memTable,
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       40,
		LBaseMaxBytes:               128 << 20,
		MaxOpenFiles:                512,
		BytesPerSync:                1 << 20,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      storeLog{o.Log},
	}
	if !o.SyncWrites {
		options.FS = quietFS{vfs.Default}
	}
	options.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy { return separation }
	filter := pointFilter{bloom.FilterPolicy(10)}
	options.Filters = map[string]pebble.FilterPolicy{filter.Name(): filter}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = filter
		options.Levels[i].FilterType = pebble.TableFilter
		options.Levels[i].BlockSize = 16 << 10
		// Telemetry is digits, which hardly shrink: compressing them took a
		// tenth of the processor time of a run.
		options.Levels[i].Compression = uncompressed
	}
	return options
}

func uncompressed() *sstable.CompressionProfile { return sstable.NoCompression }

// separation keeps items apart from keys, so that sorting the keys does not copy
// the items again and again.
var separation = pebble.ValueSeparationPolicy{
	Enabled:               true,
	MinimumSize:           256,
	MaxBlobReferenceDepth: 10,
	RewriteMinimumAge:     5 * time.Minute,
	TargetGarbageRatio:    0.3,
}

// pointFilter is a filter of the keys that are looked up one by one. The others
// are always walked over, and would only take space in it.
type pointFilter struct {
	pebble.FilterPolicy
}

func (f pointFilter) Name() string { return "millrace.point." + f.FilterPolicy.Name() }

func (f pointFilter) NewWriter(t pebble.FilterType) pebble.FilterWriter {
	return pointFilterWriter{f.FilterPolicy.NewWriter(t)}
}

type pointFilterWriter struct {
	pebble.FilterWriter
}

func (w pointFilterWriter) AddKey(key []byte) {
	if len(key) >= dataPrefix && key[0] == spaceData {
		switch key[dataPrefix-1] {
		case kindIndex, kindFeed, kindTTL:
			return
		}
	}
	w.FilterWriter.AddKey(key)
}

// storeLog is the log of the key-value store. What it calls fatal, a disk that
// takes no more writes above all, ends the process: what was acknowledged is
// safe, and nothing else may be.
type storeLog struct{ log *slog.Logger }

func (l storeLog) Infof(string, ...any) {}

func (l storeLog) Errorf(format string, args ...any) {
	l.log.Warn("the store reports", "what", fmt.Sprintf(format, args...))
}

func (l storeLog) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.log.Error("the store cannot go on", "why", text)
	panic("the store of Cosmos DB cannot go on: " + text)
}

// Close waits for calls and iterators that are under way, then closes the
// store. Everything that was acknowledged is there when it is opened again,
// with or without Close.
func (s *Store) Close() error {
	s.closer.Do(func() {
		if s.users.Add(math.MinInt64/2) != math.MinInt64/2 {
			<-s.idle
		}
		s.stop()
	})
	return s.closed
}

// acquire keeps the store open until release.
func (s *Store) acquire() error {
	if s.users.Add(1) < 0 {
		s.release()
		return ErrClosed
	}
	return nil
}

func (s *Store) release() {
	if s.users.Add(-1) == math.MinInt64/2 {
		select {
		case s.idle <- struct{}{}:
		default:
		}
	}
}

// commit writes a batch so that it survives the process.
func (s *Store) commit(b *pebble.Batch) error {
	if err := s.db.Apply(b, pebble.Sync); err != nil {
		return fmt.Errorf("cannot write to the store: %w", err)
	}
	return nil
}

// value looks a key up; nil if it is not there. The caller owns it.
func (s *Store) value(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the store: %w", err)
	}
	defer closer.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}

// load reads what is kept in memory, and marks the directory as used by one
// more process.
func (s *Store) load() error {
	format, err := s.value(metaKey("format"))
	if err != nil {
		return err
	}
	opened, err := s.value(metaKey("sessions"))
	if err != nil {
		return err
	}
	switch {
	case format == nil && opened == nil:
		if err := s.mustBeEmpty(); err != nil {
			return err
		}
		opened = make([]byte, 8)
	case len(format) != 4 || len(opened) != 8:
		return errors.New("it is damaged: the version of its format cannot be read")
	case binary.BigEndian.Uint32(format) != formatVersion:
		return fmt.Errorf("it has version %d of the format, this version of millrace reads %d: use the one that wrote it, or another directory",
			binary.BigEndian.Uint32(format), formatVersion)
	}
	if err := s.loadCatalogue(); err != nil {
		return err
	}
	sessions := binary.BigEndian.Uint64(opened) + 1
	s.session = uint16(sessions)
	b := s.db.NewBatch()
	defer b.Close()
	err = errors.Join(
		b.Set(metaKey("format"), binary.BigEndian.AppendUint32(nil, formatVersion), nil),
		b.Set(metaKey("sessions"), binary.BigEndian.AppendUint64(nil, sessions), nil))
	if err != nil {
		return err
	}
	return s.commit(b)
}

// mustBeEmpty refuses a key-value store that somebody else has filled.
func (s *Store) mustBeEmpty() error {
	iter, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	some := iter.First()
	if err := iter.Close(); err != nil {
		return err
	}
	if some {
		return errors.New("it is not a store of Cosmos DB: choose another directory")
	}
	return nil
}

package txlog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"millrace/connector/blob"
)

// Options are what is not the table's own business. The zero value is good.
type Options struct {
	// Log is told of what goes wrong without harm; nil: nobody.
	Log *slog.Logger
	// Engine is written to commits; "" means Millrace.
	Engine string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// NoCheckpoints leaves checkpoints and the clean-up of the log to other
	// writers.
	NoCheckpoints bool
}

// Table is a Delta table. It is safe for concurrent use, also by any number of
// processes at once. Close it.
type Table struct {
	bucket blob.Bucket
	// prefix is the table's folder with a slash at the end, or "".
	prefix string
	opts   Options

	// loading is held while the newest snapshot is looked for, committing
	// by the one commit of this process that is under way: those behind
	// it would only lose the race against it. Both are channels, as
	// waiting must end with the context.
	loading, committing chan struct{}

	mu sync.Mutex
	// latest is the newest snapshot that is known, nil at first; seen is
	// when the storage confirmed it.
	latest *Snapshot
	seen   time.Time
	// maintaining is set while a checkpoint is being written.
	maintaining bool
	cleaned     time.Time
	closed      bool

	background sync.WaitGroup
	// life is for what Close waits for, spare for what it does not: cleaning
	// up can take long, and goes on next time.
	life, spare         context.Context //nolint:containedctx // for goroutines of the table's own
	stop, stopSpareTime context.CancelFunc
}

// Open returns the table in the folder path of the bucket, "" being the
// bucket's own. It neither reads nor creates anything. The bucket stays the
// caller's to close, after the table.
func Open(bucket blob.Bucket, path string, o Options) *Table {
	t := &Table{bucket: bucket, opts: o, loading: make(chan struct{}, 1), committing: make(chan struct{}, 1)}
	if path = strings.Trim(path, "/"); path != "" {
		t.prefix = path + "/"
	}
	if t.opts.Log == nil {
		t.opts.Log = slog.New(slog.DiscardHandler)
	}
	if t.opts.Engine == "" {
		t.opts.Engine = "Millrace"
	}
	if t.opts.Now == nil {
		t.opts.Now = time.Now
	}
	t.life, t.stop = context.WithCancel(context.Background())
	t.spare, t.stopSpareTime = context.WithCancel(t.life)
	return t
}

// Close waits for a checkpoint that is being written, until ctx ends; then it
// gives the checkpoint up, which harms nothing. A clean-up of the log that is
// under way ends at once.
func (t *Table) Close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stopSpareTime()
	done := make(chan struct{})
	go func() {
		t.background.Wait()
		close(done)
	}()
	select {
	case <-done:
		t.stop()
		return nil
	case <-ctx.Done():
		t.stop()
		<-done
		return ctx.Err()
	}
}

// Describe names the table for people, without secrets.
func (t *Table) Describe() string {
	if t.prefix == "" {
		return "the Delta table in " + t.bucket.Describe()
	}
	return "the Delta table " + strings.TrimSuffix(t.prefix, "/") + " in " + t.bucket.Describe()
}

// Object returns the name, inside the bucket, of the file at path, as it stands
// in Add and Remove. It fails for files outside of the table's folder.
func (t *Table) Object(path string) (string, error) {
	if isAbsolute(path) {
		return "", &UnsupportedError{Table: t.Describe(), Doing: "read", Why: "its file " + path + " lies outside of it"}
	}
	name := t.prefix + path
	if err := blob.CheckName(name); err != nil {
		return "", fmt.Errorf("a file of %s: %w", t.Describe(), err)
	}
	return name, nil
}

// Bucket returns the bucket that the table is in.
func (t *Table) Bucket() blob.Bucket { return t.bucket }

// Prefix is what the names of all the table's objects begin with: "", or the
// table's folder with a slash.
func (t *Table) Prefix() string { return t.prefix }

func (t *Table) now() time.Time { return t.opts.Now() }

// acquire takes a lock unless ctx ends first.
func acquire(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// known returns the newest snapshot that is known, or nil.
func (t *Table) known() *Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest
}

// learn notes a snapshot, if it is newer than what is known. afresh says that
// it replaces whatever is known.
func (t *Table) learn(s *Snapshot, afresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = time.Now()
	if afresh || t.latest == nil || s.Version >= t.latest.Version {
		t.latest = s
	}
}

// confirmed tells whether the storage has confirmed a moment ago that base, or
// what came after it, is there.
func (t *Table) confirmed(base *Snapshot) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest != nil && t.latest.Version >= base.Version && time.Since(t.seen) < 5*time.Second
}

const logFolder = "_delta_log/"

func (t *Table) commitName(version int64) string {
	return t.prefix + logFolder + fmt.Sprintf("%020d.json", version)
}

func (t *Table) checkpointName(version int64) string {
	return t.prefix + logFolder + fmt.Sprintf("%020d.checkpoint.parquet", version)
}

// object is what the name of an object in the log says.
type object struct {
	version int64
	kind    kind
	// part of parts is for checkpoints in several objects, else 1 of 1.
	part, parts int64
}

type kind int

const (
	foreign kind = iota
	isCommit
	isCheckpoint
	isChecksum
)

// parseName reads the name of an object, without the log's folder. What it does
// not know is foreign: other writers put things there, and they must not be
// taken for a part of the log.
func parseName(name string) object {
	if len(name) < 21 || name[20] != '.' {
		return object{}
	}
	version, ok := digits(name[:20])
	if !ok {
		return object{}
	}
	o := object{version: version, part: 1, parts: 1}
	switch rest := name[21:]; rest {
	case "json":
		o.kind = isCommit
	case "crc":
		o.kind = isChecksum
	case "checkpoint.parquet":
		o.kind = isCheckpoint
	default:
		// checkpoint.PPPPPPPPPP.NNNNNNNNNN.parquet
		p := strings.Split(rest, ".")
		if len(p) != 4 || p[0] != "checkpoint" || p[3] != "parquet" || len(p[1]) != 10 || len(p[2]) != 10 {
			return object{}
		}
		part, ok1 := digits(p[1])
		parts, ok2 := digits(p[2])
		if !ok1 || !ok2 || part < 1 || part > parts {
			return object{}
		}
		o.kind, o.part, o.parts = isCheckpoint, part, parts
	}
	return o
}

func digits(s string) (int64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// read returns the content of an object and what the storage says of it.
func (t *Table) read(ctx context.Context, name string) ([]byte, blob.Info, error) {
	r, info, err := t.bucket.Get(ctx, name, blob.Range{})
	if err != nil {
		return nil, info, err
	}
	defer r.Close()
	body := make([]byte, info.Size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, info, fmt.Errorf("reading %s in %s: %w", name, t.bucket.Describe(), err)
	}
	return body, info, nil
}

// readCommit reads one version. A version that is not there is
// blob.ErrNotFound; one that makes no sense is a *CorruptError.
func (t *Table) readCommit(ctx context.Context, version int64) (*commit, error) {
	name := t.commitName(version)
	for attempt := 0; ; attempt++ {
		body, info, err := t.read(ctx, name)
		if err != nil {
			return nil, err
		}
		c, err := parseCommit(version, body)
		if err == nil {
			c.time, c.etag = info.Modified, etag(info)
			return c, nil
		}
		// Some writers show an object in a folder before it is whole.
		if attempt == 3 || time.Since(info.Modified).Abs() > time.Minute {
			return nil, &CorruptError{Object: name, Err: err}
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// etag is without the quotes, which are not always there.
func etag(i blob.Info) string { return strings.Trim(i.ETag, `"`) }

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func isNotFound(err error) bool { return errors.Is(err, blob.ErrNotFound) }

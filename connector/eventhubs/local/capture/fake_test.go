package capture

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
)

// fakeLog is a partition whose events, holes and expiry a test decides.
type fakeLog struct {
	mu         sync.Mutex
	events     []event // in order, with holes in the numbers
	begin, end int64
	changed    chan struct{}
}

func newFakeLog() *fakeLog { return &fakeLog{changed: make(chan struct{})} }

func (l *fakeLog) touch() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// append adds an event with a body, of now.
func (l *fakeLog) append(body string) { l.appendAt(body, time.Now()) }

func (l *fakeLog) appendAt(body string, t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, event{sequence: l.end, enqueued: t.UnixMilli(), body: []byte(body)})
	l.end++
	l.touch()
}

// hole uses up a sequence number, as the log does for its own purposes.
func (l *fakeLog) hole() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end++
	l.touch()
}

// expire removes the events before begin.
func (l *fakeLog) expire(begin int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin = begin
	l.events = slices.DeleteFunc(l.events, func(e event) bool { return e.sequence < begin })
	l.touch()
}

func (l *fakeLog) all() []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

func (l *fakeLog) bounds(context.Context) (int64, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begin, l.end, nil
}

func (l *fakeLog) sequenceAt(_ context.Context, t time.Time) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.enqueued >= t.UnixMilli() {
			return e.sequence, nil
		}
	}
	return l.end, nil
}

func (l *fakeLog) open(_ context.Context, from int64) (eventReader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from > l.end {
		return nil, errors.New("behind the end")
	}
	return &fakeReader{l: l, at: from}, nil
}

type fakeReader struct {
	l   *fakeLog
	at  int64
	out []event
}

func (r *fakeReader) close()          {}
func (r *fakeReader) position() int64 { return r.at }

func (r *fakeReader) next(ctx context.Context, limit int) ([]event, error) {
	for {
		r.l.mu.Lock()
		changed := r.l.changed
		for i := range r.out {
			clear(r.out[i].body) // valid until now, and no longer
		}
		r.out = r.out[:0]
		for _, e := range r.l.events {
			if e.sequence >= r.at && len(r.out) < limit {
				e.body = slices.Clone(e.body)
				r.out = append(r.out, e)
			}
		}
		if len(r.out) > 0 {
			r.at = r.out[len(r.out)-1].sequence + 1
		} else {
			r.at = max(r.at, r.l.end)
		}
		r.l.mu.Unlock()
		if len(r.out) > 0 {
			return r.out, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// world is what an archive lives in, with faults: from step killAt on, nothing
// that it does happens any more, as after a kill.
type world struct {
	log    *fakeLog
	states stateStore
	bucket blob.Bucket

	mu     sync.Mutex
	steps  int
	killAt int // 0: never
	kill   context.CancelFunc
	// fault is asked at each step for an error to return; after says that
	// the step happens all the same. It is called with mu held.
	fault func(step string) (err error, after bool)
}

var errKilled = errors.New("killed")

// step counts a step. It is called before (after false) and after each thing
// that is done.
func (w *world) step() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps++
	if w.killAt > 0 && w.steps >= w.killAt {
		w.kill()
		return errKilled
	}
	return nil
}

func (w *world) do(name string, fn func() error) error {
	if err := w.step(); err != nil {
		return err
	}
	w.mu.Lock()
	var fault error
	var after bool
	if w.fault != nil {
		fault, after = w.fault(name)
	}
	w.mu.Unlock()
	if fault != nil && !after {
		return fault
	}
	if err := fn(); err != nil {
		return err
	}
	if err := w.step(); err != nil {
		return err
	}
	return fault
}

type worldLog struct{ w *world }

func (l worldLog) bounds(ctx context.Context) (begin, end int64, err error) {
	err = l.w.do("bounds", func() error { begin, end, err = l.w.log.bounds(ctx); return err })
	return begin, end, err
}

func (l worldLog) sequenceAt(ctx context.Context, t time.Time) (n int64, err error) {
	err = l.w.do("sequenceAt", func() error { n, err = l.w.log.sequenceAt(ctx, t); return err })
	return n, err
}

func (l worldLog) open(ctx context.Context, from int64) (r eventReader, err error) {
	err = l.w.do("open", func() error { r, err = l.w.log.open(ctx, from); return err })
	return worldReader{l.w, r}, err
}

type worldReader struct {
	w *world
	eventReader
}

func (r worldReader) next(ctx context.Context, limit int) (out []event, err error) {
	err = r.w.do("next", func() error { out, err = r.eventReader.next(ctx, limit); return err })
	return out, err
}

type worldStates struct{ w *world }

func (s worldStates) load() (out *state, err error) {
	err = s.w.do("load", func() error { out, err = s.w.states.load(); return err })
	return out, err
}

func (s worldStates) save(st *state) error {
	return s.w.do("save", func() error { return s.w.states.save(st) })
}

type worldBucket struct {
	blob.Bucket
	w *world
}

func (b worldBucket) PutNew(ctx context.Context, name string, body io.Reader) (info blob.Info, err error) {
	err = b.w.do("put", func() error { info, err = b.Bucket.PutNew(ctx, name, body); return err })
	return info, err
}

func (b worldBucket) Get(ctx context.Context, name string, r blob.Range) (rc io.ReadCloser, info blob.Info, err error) {
	err = b.w.do("get", func() error { rc, info, err = b.Bucket.Get(ctx, name, r); return err })
	return rc, info, err
}

// bench is a world with an archive in it.
type bench struct {
	*world
	t     testing.TB
	dir   string
	set   settings
	since time.Time
	fresh bool
	hubID string
	logs  *logs
	a     *archive
}

func newBench(t testing.TB, bucket blob.Bucket) *bench {
	dir := t.TempDir()
	if bucket == nil {
		var err error
		if bucket, err = blob.Open(t.Context(), t.TempDir(), "", nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bucket.Close() })
	}
	b := &bench{t: t, dir: dir, hubID: "id", fresh: true, since: time.Now().UTC().Truncate(time.Millisecond), logs: &logs{},
		world: &world{log: newFakeLog(), states: stateFile(dir + "/0.json"), bucket: bucket}}
	b.set = settings{interval: time.Minute, sizeLimit: 1 << 20, format: DefaultNameFormat, codec: codecNull, container: "c"}
	return b
}

// start starts an archive; stop (or a kill) ends it.
func (b *bench) start() *archive {
	ctx, cancel := context.WithCancel(context.Background())
	b.kill = cancel
	w := b.world
	a := newArchive(&archive{namespace: "ns", hub: "hub", partition: 0, hubID: b.hubID, since: b.since, fresh: b.fresh,
		set: b.set, log: worldLog{w}, states: worldStates{w}, dir: b.dir, cancel: cancel, logger: slog.New(b.logs),
		storage: func(string) (blob.Bucket, error) { return worldBucket{b.bucket, w}, nil }})
	b.a = a
	go a.run(ctx)
	return a
}

func (b *bench) stop() {
	b.a.cancel()
	<-b.a.done
}

// flush waits until all there is, is archived, or the archive was killed.
func (b *bench) flush() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := b.a.await(ctx, b.a.request()); err != nil {
		b.t.Fatal(err)
	}
}

// files reads all files of the archive in the order of their names.
func files(t testing.TB, bucket blob.Bucket) (names []string, contents [][]byte) {
	t.Helper()
	err := bucket.List(t.Context(), "", func(i blob.Info) error {
		data, err := blob.ReadAll(t.Context(), bucket, i.Name)
		names, contents = append(names, i.Name), append(contents, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, contents
}

// wantFiles compares the archive with "name: body body ...", a line each.
func (b *bench) wantFiles(want ...string) {
	b.t.Helper()
	names, contents := files(b.t, b.bucket)
	var got []string
	for i, name := range names {
		line := strings.TrimSuffix(strings.TrimPrefix(name, "ns/hub/0/"), ".avro") + ":"
		for _, r := range readFile(b.t, contents[i]) {
			line += " " + string(r.body)
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("the archive holds\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// logs keeps what was logged.
type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logs) WithGroup(string) slog.Handler            { return l }
func (l *logs) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	l.lines = append(l.lines, line)
	return nil
}

func (l *logs) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

var errBusy = connector.Retryable(errors.New("the storage is busy"), 0)

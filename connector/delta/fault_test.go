package delta

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/record"
)

// lossy is a bucket whose requests fail at random: some before anything has
// happened, some of the puts after it.
type lossy struct {
	blob.Bucket
	mu  sync.Mutex
	rnd *rand.Rand
	// in is how many requests there are to one that fails; 0: none fails.
	in int
}

var errLost = connector.Retryable(&connector.Unreachable{What: "the storage", Err: errors.New("no answer")}, 0)

func (l *lossy) fails() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.in > 0 && l.rnd.IntN(l.in) == 0
}

func (l *lossy) set(in int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in = in
}

func (l *lossy) PutNew(ctx context.Context, name string, body io.Reader) (blob.Info, error) {
	if l.fails() {
		return blob.Info{}, errLost
	}
	info, err := l.Bucket.PutNew(ctx, name, body)
	if err == nil && l.fails() {
		return blob.Info{}, errLost // it has happened, and nobody knows
	}
	return info, err
}

func (l *lossy) Get(ctx context.Context, name string, r blob.Range) (io.ReadCloser, blob.Info, error) {
	if l.fails() {
		return nil, blob.Info{}, errLost
	}
	return l.Bucket.Get(ctx, name, r)
}

func (l *lossy) Stat(ctx context.Context, name string) (blob.Info, error) {
	if l.fails() {
		return blob.Info{}, errLost
	}
	return l.Bucket.Stat(ctx, name)
}

func (l *lossy) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	if l.fails() {
		return errLost
	}
	return l.Bucket.List(ctx, prefix, fn)
}

// again repeats call while it asks for it, as the serving stage does.
func again(t *testing.T, what string, call func() error) (tries int) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; tries++ {
		err := call()
		if err == nil {
			return tries
		}
		if connector.ActionOf(err) != connector.Retry || time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// Requests fail, answers get lost: every event is in the table once for all
// that, and every error asks for another try.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := NewConfig()
	c.CommitInterval, c.CompactAfter, c.Writers = connector.Duration(10*time.Millisecond), 6, 3
	c.Properties = map[string]string{"delta.checkpointInterval": "4"}
	store, err := c.Open(ctx, connector.Env{DataDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := store.(*Store)
	defer s.Close()
	bucket := &lossy{Bucket: s.bucket, rnd: rand.New(rand.NewPCG(seed, 0)), in: 6}
	s.bucket = bucket
	s.table = s.newTable()
	again(t, "Prepare", func() error { return s.Prepare(ctx) })
	partitions := []int32{0, 1, 2}
	again(t, "Claim", func() error { _, err := s.Claim(ctx, "w", partitions); return err })
	const writes, size = 12, 20
	var wg sync.WaitGroup
	tries := make([]int, len(partitions))
	for _, p := range partitions {
		wg.Go(func() {
			for i := range int64(writes) {
				w := &connector.Write{Advances: []connector.Advance{{Partition: p, From: i * size, To: (i + 1) * size}}}
				for o := i * size; o < (i+1)*size; o++ {
					w.Results = append(w.Results, plain(t, p, o))
				}
				tries[p] += again(t, "Write", func() error { _, err := s.Write(ctx, w); return err })
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	t.Logf("tries that failed: %v", tries)
	bucket.set(0)
	seen := map[string]bool{}
	err = s.Scan(ctx, func(r *record.Stored) error {
		k := fmt.Sprint(r.Partition, " ", r.Offset)
		if seen[k] {
			return fmt.Errorf("%s is there twice", k)
		}
		seen[k] = true
		return nil
	})
	if err != nil || len(seen) != len(partitions)*writes*size {
		t.Errorf("%d rows, want %d: %v", len(seen), len(partitions)*writes*size, err)
	}
	positions, err := s.Claim(ctx, "after", partitions)
	if err != nil || positions[0] != writes*size || positions[1] != writes*size || positions[2] != writes*size {
		t.Errorf("positions %v: %v", positions, err)
	}
}

func plain(t *testing.T, p int32, o int64) record.Result {
	r := record.Result{Partition: p, Offset: o, EnqueuedAt: o + 1, ProcessedAt: o + 2}
	err := r.Decode(fmt.Appendf(nil, `{"eventId":"00000000-0000-4000-%04x-%012x","deviceId":"d%d","deviceSequenceNumber":%d,"type":"TEMP","createdAt":"2026-01-02T15:04:05.123456Z"}`, p, o, p, o))
	if err != nil {
		t.Error(err)
	}
	return r
}

// The gate opens once in an interval, for a while, and for those in a hurry.
func TestGate(t *testing.T) {
	t.Parallel()
	var g gate
	g.init(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	if err := g.pass(ctx, false); err != nil {
		t.Fatal(err)
	}
	// In company: the gate is still open.
	if err := g.pass(ctx, false); err != nil || g.under != 2 {
		t.Fatalf("%v, %d are under way", err, g.under)
	}
	gathered := make(chan struct{})
	go func() {
		g.gather(t.Context())
		close(gathered)
	}()
	g.arrive()
	g.arrive()
	<-gathered
	// Too late for company: only who is in a hurry gets through.
	g.opened = g.opened.Add(-30 * time.Minute)
	if err := g.pass(ctx, true); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := g.pass(ctx, false); !errors.Is(err, context.Canceled) {
		t.Errorf("the gate lets through after %v", err)
	}
	g.opened = g.opened.Add(-time.Hour)
	if err := g.pass(t.Context(), false); err != nil || time.Since(g.opened) > time.Minute {
		t.Errorf("%v; the gate was opened %s ago", err, time.Since(g.opened))
	}
}

func TestParseAt(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]struct {
		version int64
		moment  time.Time
	}{
		"":                          {-1, time.Time{}},
		"0":                         {0, time.Time{}},
		" 12 ":                      {12, time.Time{}},
		"2026-11-22T12:00:00Z":      {-1, noon},
		"2026-11-22T14:00:00+02:00": {-1, noon},
		"2026-11-22 12:00:00":       {-1, noon},
		"2026-11-22T12:00:00.000":   {-1, noon},
		"2026-11-22 12:00":          {-1, noon},
		"2026-11-22":                {-1, noon.Add(-12 * time.Hour)},
	} {
		v, m, err := parseAt(text)
		if err != nil || v != want.version || !m.Equal(want.moment) {
			t.Errorf("%q: %d %s %v", text, v, m, err)
		}
	}
	for _, text := range []string{"-1", "1.5", "noon", "2026-13-01", "v3"} {
		var bad *BadTimeError
		if _, _, err := parseAt(text); !errors.As(err, &bad) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseTable(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string][3]string{
		"data/events":                                   {"data/events", "", ""},
		"file:///data/events":                           {"file:///data/events", "", ""},
		"abfss://c@acc.dfs.core.windows.net/a/b":        {"https://acc.blob.core.windows.net", "c", "a/b"},
		"https://acc.blob.core.windows.net/c/a/b/?sv=1": {"https://acc.blob.core.windows.net/?sv=1", "c", "a/b"},
		"az://c/a/b":                                    {"", "c", "a/b"},
	} {
		address, container, path, err := parseTable(ref)
		if got := [3]string{address, container, path}; err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", ref, got, err, want)
		}
	}
	for ref, want := range map[string]string{
		"s3://bucket/x": "s3:// are not supported", "az://c": "needs a container and a path",
		"abfss://acc.dfs.core.windows.net/x": "needs a container", "https://acc.blob.core.windows.net/c": "and a path",
	} {
		if _, _, _, err := parseTable(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestFolderValue(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"": "__HIVE_DEFAULT_PARTITION__", "TEMP": "TEMP", "a b/c=d": "a%20b%2Fc%3Dd", "..": ".%2E", "x.": "x%2E", "é": "%C3%A9",
	} {
		if got := folderValue(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
	a, b := folderValue(strings.Repeat("/", 200)+"a"), folderValue(strings.Repeat("/", 200)+"b")
	if a == b || len(a) > maxFolder || blob.CheckName(a) != nil {
		t.Errorf("long values: %q %q", a, b)
	}
}

package files

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/record"
)

// paused is a bucket that holds back what puts new objects until it is let go,
// as a process that sleeps after it has looked does, and loses answers.
type paused struct {
	blob.Bucket
	mu sync.Mutex
	// at is closed when a put arrives, which then waits for on.
	at, on chan struct{}
	lose   int
}

func (p *paused) PutNew(ctx context.Context, name string, body io.Reader) (blob.Info, error) {
	p.mu.Lock()
	at, on := p.at, p.on
	p.at, p.on = nil, nil
	lose := p.lose > 0
	if lose {
		p.lose--
	}
	p.mu.Unlock()
	if at != nil {
		close(at)
		<-on
	}
	info, err := p.Bucket.PutNew(ctx, name, body)
	if lose {
		return blob.Info{}, connector.Retryable(errors.New("no answer"), 0)
	}
	return info, err
}

func opened(t *testing.T, dir, format string) (*Store, *paused) {
	t.Helper()
	c := NewConfig()
	c.Format = format
	opened, err := c.Open(t.Context(), connector.Env{DataDir: dir, Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := opened.(*Store)
	p := &paused{Bucket: s.bucket}
	s.bucket = p
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, p
}

func stretch(t *testing.T, from, to int64) *connector.Write {
	t.Helper()
	w := &connector.Write{Advances: []connector.Advance{{From: from, To: to}}}
	for o := from; o < to; o++ {
		r := record.Result{Offset: o, ProcessedAt: record.NoTime}
		raw := fmt.Appendf(nil, "{\"eventId\":\"00000000-0000-4000-8000-%012x\",\n \"deviceId\":\"d\",\"deviceSequenceNumber\":%d,\r\n\"createdAt\":\"2026-01-02T15:04:05Z\"}", o, o)
		if err := r.Decode(raw); err != nil {
			t.Fatal(err)
		}
		w.Results = append(w.Results, r)
	}
	return w
}

func position(t *testing.T, s *Store) int64 {
	t.Helper()
	got, err := s.Claim(t.Context(), "w", []int32{0})
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func offsets(t *testing.T, s *Store) map[int64]int {
	t.Helper()
	seen := map[int64]int{}
	if err := s.Scan(t.Context(), func(r *record.Stored) error { seen[r.Offset]++; return nil }); err != nil {
		t.Fatal(err)
	}
	return seen
}

func once(t *testing.T, s *Store, to int64) {
	t.Helper()
	seen := offsets(t, s)
	for o := range to {
		if seen[o] != 1 {
			t.Fatalf("offset %d is there %d times", o, seen[o])
		}
	}
	if int64(len(seen)) != to {
		t.Fatalf("%d offsets, want %d", len(seen), to)
	}
}

// A former owner that sleeps between looking and writing collides with whoever
// has gone on: whichever comes first, no event is there twice.
func TestSleeperCollides(t *testing.T) {
	t.Parallel()
	for _, format := range []string{Parquet, JSONL} {
		for _, first := range []string{"old", "new"} {
			dir := t.TempDir()
			old, bucket := opened(t, dir, format)
			position(t, old)
			if _, err := old.Write(t.Context(), stretch(t, 0, 100)); err != nil {
				t.Fatal(err)
			}
			at, on := make(chan struct{}), make(chan struct{})
			bucket.at, bucket.on = at, on
			done := make(chan error, 1)
			go func() {
				_, err := old.Write(context.Background(), stretch(t, 100, 200))
				done <- err
			}()
			<-at
			newer, _ := opened(t, dir, format)
			if got := position(t, newer); got != 100 {
				t.Fatalf("the new owner starts at %d", got)
			}
			if first == "old" {
				close(on)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			_, err := newer.Write(t.Context(), stretch(t, 100, 150))
			if first == "old" {
				if connector.ActionOf(err) != connector.Fenced || err == nil {
					t.Fatalf("the new owner's write: %v", err)
				}
				if got := position(t, newer); got != 200 {
					t.Fatalf("the new owner goes on from %d", got)
				}
				once(t, newer, 200)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			close(on)
			if err := <-done; connector.ActionOf(err) != connector.Fenced || err == nil {
				t.Fatalf("the old owner's write: %v", err)
			}
			once(t, newer, 150)
		}
	}
}

// A write whose answer is lost has happened once when it is repeated, also by
// the next one.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, format := range []string{Parquet, JSONL} {
		dir := t.TempDir()
		s, bucket := opened(t, dir, format)
		position(t, s)
		for from := int64(0); from < 400; from += 100 {
			w := stretch(t, from, from+100)
			w.Results = w.Results[:90+from/100] // nothing comes of the last ones
			bucket.mu.Lock()
			bucket.lose = 1
			bucket.mu.Unlock()
			if _, err := s.Write(t.Context(), w); connector.ActionOf(err) != connector.Retry || err == nil {
				t.Fatalf("a lost answer: %v", err)
			}
			if r, err := s.Write(t.Context(), w); err != nil || r.Stored != len(w.Results) {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		other, _ := opened(t, dir, format)
		if got := position(t, other); got != 400 {
			t.Errorf("the position is %d", got)
		}
		if n := len(offsets(t, other)); n != 90+91+92+93 {
			t.Errorf("%d events", n)
		}
	}
}

// The end of a chain is found with and without position.json, whatever it says.
func TestEndIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := opened(t, dir, JSONL)
	position(t, s)
	for from := int64(0); from < 150; from++ {
		if _, err := s.Write(t.Context(), stretch(t, from, from+1)); err != nil {
			t.Fatal(err)
		}
	}
	note := s.metaOf(0, "position")
	var there positionNote
	if err := s.get(t.Context(), note, &there); err != nil || there.End != 128 {
		t.Fatalf("position.json says %+v, %v", there, err)
	}
	for _, says := range []*positionNote{nil, {0, 0}, {100, 120}, {150, 150}} {
		if err := s.bucket.Delete(t.Context(), note); err != nil {
			t.Fatal(err)
		}
		if says != nil {
			if err := s.put(t.Context(), note, says); err != nil {
				t.Fatal(err)
			}
		}
		other, _ := opened(t, dir, JSONL)
		if got := position(t, other); got != 150 {
			t.Errorf("with %+v the position is %d", says, got)
		}
	}
	once(t, s, 150)
}

func TestOtherFormatIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opened(t, dir, JSONL)
	c := NewConfig()
	s, err := c.Open(t.Context(), connector.Env{DataDir: dir, Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var hinted *connector.Hinted
	for range 2 {
		if err := s.Prepare(t.Context()); !errors.As(err, &hinted) || !strings.Contains(err.Error(), "*.jsonl") {
			t.Errorf("Prepare: %v", err)
		}
	}
	if _, err := s.Claim(t.Context(), "w", []int32{0}); !errors.As(err, &hinted) {
		t.Errorf("Claim: %v", err)
	}
}

// A file that somebody has cut off or changed is an error, no answer.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for _, format := range []string{Parquet, JSONL} {
		dir := t.TempDir()
		s, _ := opened(t, dir, format)
		position(t, s)
		if _, err := s.Write(t.Context(), stretch(t, 0, 500)); err != nil {
			t.Fatal(err)
		}
		path, ok := blob.LocalPath(s.bucket.(*paused).Bucket, s.nameOf(0, 0))
		if !ok {
			t.Fatal("the file is nowhere")
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text[:len(text)*2/3], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(t.Context(), "w", []int32{0}); err == nil {
			t.Errorf("%s: a file that was cut off has an end", format)
		}
		if err := s.Scan(t.Context(), func(*record.Stored) error { return nil }); err == nil {
			t.Errorf("%s: a file that was cut off is read", format)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	c := &Config{Path: "_x", Format: "csv", Compression: "snappy"}
	if got := len(c.Validate()); got != 9 {
		t.Errorf("%d problems: %v", got, c.Validate())
	}
	c = NewConfig()
	c.Format, c.Compression = JSONL, "zstd"
	if got := c.Validate(); len(got) != 1 || !strings.Contains(got[0].Error(), "gzip") {
		t.Errorf("%v", got)
	}
}

func FuzzLine(f *testing.F) {
	const event = `{"eventId":"0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11","deviceId":"d","deviceSequenceNumber":7,"createdAt":"2026-01-02T15:04:05.123456Z"`
	f.Add([]byte(event+"}"), int32(3), int64(42), int64(43))
	f.Add([]byte(event+",\n\t\"storedAt\":\"x\",\"partitionId\":\"y\",\r\n\"logOffset\":1,\"nextOffset\":[]} "), int32(0), int64(0), int64(9))
	f.Add([]byte(event+`,"a":",\"storedAt\":\"2026-01-02T15:04:05Z\",\"partitionId\":1,\"logOffset\":2}"}`), int32(1), int64(5), int64(6))
	f.Fuzz(func(t *testing.T, raw []byte, p int32, offset, next int64) {
		// Whatever a line is, taking it apart ends.
		var l line
		_ = l.parse(bytes.Clone(raw))
		r := record.Result{Partition: p, Offset: offset, EnqueuedAt: 5, ProcessedAt: record.NoTime}
		if r.Decode(raw) != nil || offset < 0 || next <= offset {
			return
		}
		want, err := record.Fingerprint(raw)
		if err != nil {
			t.Fatal(err)
		}
		text := appendLine(nil, &r, 1_767_366_245_123_456, next)
		if text[len(text)-1] != '\n' || bytes.Count(text, []byte("\n")) != 1 || !json.Valid(text) {
			t.Fatalf("no line: %q", text)
		}
		var s record.Stored
		if err := l.parse(text[:len(text)-1]); err != nil {
			t.Fatal(err)
		}
		if err := l.stored(&s); err != nil {
			t.Fatal(err)
		}
		if s.Fingerprint != want || s.ID != r.ID || s.Partition != p || s.Offset != offset || l.next != next || s.EnqueuedAt != 5 ||
			s.ProcessedAt != record.NoTime || s.StoredAt != 1_767_366_245_123_456 {
			t.Fatalf("%q reads back as %+v, next %d", text, s, l.next)
		}
	})
}

// Lines longer than any buffer come back whole, and the end of a file is found
// behind them.
func TestLongLines(t *testing.T) {
	t.Parallel()
	for _, compression := range []string{"none", "gzip"} {
		c := NewConfig()
		c.Format, c.Compression = JSONL, compression
		e, err := newEncoder(c)
		if err != nil {
			t.Fatal(err)
		}
		var results []record.Result
		for i := range 5 {
			r := record.Result{Offset: int64(i)}
			raw := fmt.Sprintf(`{"eventId":"00000000-0000-4000-8000-%012x","deviceId":"d","deviceSequenceNumber":1,"createdAt":"2026-01-02T15:04:05Z","long":"%s"}`,
				i, strings.Repeat("x", i*300_000))
			if err := r.Decode([]byte(raw)); err != nil {
				t.Fatal(err)
			}
			results = append(results, r)
		}
		dir := t.TempDir()
		b, err := blob.Open(t.Context(), dir, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if err := e.encode(&file, results, []int32{0, 1, 2, 3, 4}, 1, 77); err != nil {
			t.Fatal(err)
		}
		if _, err := b.PutNew(t.Context(), "f", bytes.NewReader(file.Bytes())); err != nil {
			t.Fatal(err)
		}
		o := object{name: "f", size: int64(file.Len()), suffix: c.suffix()}
		if end, err := endOf(t.Context(), b, o); err != nil || end != 77 {
			t.Errorf("it ends at %d, %v", end, err)
		}
		n := int64(0)
		err = readObject(t.Context(), b, o, "", func(s *record.Stored) error {
			want, err := record.Fingerprint(results[n].Raw)
			if s.Offset != n || s.Fingerprint != want {
				t.Errorf("line %d: %+v", n, *s)
			}
			n++
			return err
		})
		if err != nil || n != 5 {
			t.Errorf("%d lines, %v", n, err)
		}
	}
}

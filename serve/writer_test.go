package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// script answers each call with the next error.
type script struct {
	errs    []error
	writes  [][]int64 // offsets of each successful or tried write
	letters []record.DeadLetter
	order   []string
}

func (s *script) next() error {
	if len(s.errs) == 0 {
		return nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return err
}

func (s *script) Claim(context.Context, string, []int32) (map[int32]int64, error) {
	return map[int32]int64{1: 7}, s.next()
}

func (s *script) Write(_ context.Context, w *connector.Write) (connector.Receipt, error) {
	var offsets []int64
	for _, r := range w.Results {
		offsets = append(offsets, r.Offset)
	}
	s.writes = append(s.writes, offsets)
	s.order = append(s.order, "store")
	return connector.Receipt{Stored: len(w.Results), StoredAt: time.Now().UnixMicro()}, s.next()
}

type letterBox struct{ *script }

func (l letterBox) Write(_ context.Context, letters []record.DeadLetter) error {
	l.letters = append(l.letters, letters...)
	l.order = append(l.order, "letters")
	return nil
}

func writer(s *script) *Writer {
	w := NewWriter(s, letterBox{s}, "w1", NewStats(), slog.New(slog.DiscardHandler))
	w.backoff = Backoff{Min: time.Microsecond, Max: time.Millisecond}
	return w
}

func unit(offsets ...int64) *connector.Write {
	w := &connector.Write{Advances: []connector.Advance{{Partition: 1, From: 0, To: 100}}}
	for _, o := range offsets {
		w.Results = append(w.Results, record.Result{Partition: 1, Offset: o})
	}
	return w
}

func TestWriterRetriesWhatMayBeRetried(t *testing.T) {
	t.Parallel()
	away := connector.Retryable(errors.New("connection refused"), 0)
	s := &script{errs: []error{away, fmt.Errorf("wrapped: %w", away), nil}}
	w := writer(s)
	if err := w.Write(t.Context(), unit(1, 2), nil); err != nil {
		t.Fatal(err)
	}
	if c := w.stats.Counts(); len(s.writes) != 3 || c.Retries != 2 || c.Stored != 2 || c.Outage != "" {
		t.Fatalf("%d writes, counts %+v", len(s.writes), c)
	}
}

func TestWriterGivesUpAtOnceOnWhatCannotHelp(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"plain":  errors.New("password authentication failed"),
		"fenced": connector.FencedError([]int32{1}, "test"),
	} {
		s := &script{errs: []error{err}}
		if got := writer(s).Write(t.Context(), unit(1), nil); !errors.Is(got, err) || len(s.writes) != 1 {
			t.Errorf("%s: %d writes, error %v", name, len(s.writes), got)
		}
	}
}

func TestWriterStopsRetryingWhenAsked(t *testing.T) {
	t.Parallel()
	s := &script{errs: slices.Repeat([]error{connector.Retryable(errors.New("away"), time.Hour)}, 5)}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := writer(s).Write(ctx, unit(1), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

// TestWriterBuriesTheRejected: what the store refuses goes to the dead letters
// with the store's words, before the rest and the positions are written.
func TestWriterBuriesTheRejected(t *testing.T) {
	t.Parallel()
	refuse := &connector.Error{Action: connector.Reject, Items: []int{0, 2}, Err: errors.New("text with a zero byte")}
	s := &script{errs: []error{refuse, nil}}
	own := []record.DeadLetter{{Partition: 1, Offset: 9, Reason: record.NotJSON}}
	if err := writer(s).Write(t.Context(), unit(10, 11, 12), own); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.writes[1], []int64{11}) {
		t.Fatalf("second write has %v", s.writes[1])
	}
	if !slices.Equal(s.order, []string{"letters", "store", "letters", "store"}) {
		t.Fatalf("order %v", s.order)
	}
	if len(s.letters) != 3 || s.letters[2].Offset != 12 || s.letters[2].Reason != record.Rejected ||
		!strings.Contains(s.letters[2].Detail, "zero byte") {
		t.Fatalf("letters %+v", s.letters)
	}
}

func TestDeadLetterFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sub", "dead.jsonl")
	want := []record.DeadLetter{
		{Partition: 1, Offset: 2, Reason: record.NotJSON, Detail: "d <&> \u2028", At: 5, Key: []byte("k"), Raw: []byte(`{"a`)},
		{Partition: 1, Offset: 3, Reason: record.WrongType, At: 6, Key: []byte{0xff}, Raw: []byte{0, 0xfe, '\n'}},
	}
	for i := range want {
		d, err := OpenDeadLetterFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Write(t.Context(), want[i:i+1]); err != nil {
			t.Fatal(err)
		}
		// A kill in the middle of a later write:
		if _, err := d.f.WriteString(`{"partition":1,"off`); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d, err := OpenDeadLetterFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var got []record.DeadLetter
	if err := d.Scan(t.Context(), func(l *record.DeadLetter) error { got = append(got, *l); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func TestDeadLetterFileUnwritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDeadLetterFile(filepath.Join(dir, "f", "dead.jsonl")); err == nil {
		t.Fatal("no error")
	}
}

func FuzzScanLetters(f *testing.F) {
	f.Add(`{"partition":1,"offset":2,"reason":"not-json","at":"2026-01-01T00:00:00Z","raw":"x"}` + "\n")
	f.Add(`{"partition":1,"rawBase64":"!"}`)
	f.Fuzz(func(t *testing.T, text string) {
		_ = scanLetters(t.Context(), strings.NewReader(text), func(*record.DeadLetter) error { return nil })
	})
}

// TestWriterInsists: told to, the writer tries again what the store refuses,
// until it is taken or the worker ends; nothing goes to the dead letters.
func TestWriterInsists(t *testing.T) {
	refuse := &connector.Error{Action: connector.Reject, Items: []int{0}, Err: errors.New("the column is too short")}
	s := &script{errs: []error{refuse, refuse, refuse, nil}}
	w := writer(s)
	w.RetryRejected = true
	unit := &connector.Write{Results: []record.Result{{Offset: 5}, {Offset: 6}}}
	if err := w.Write(t.Context(), unit, nil); err != nil {
		t.Fatal(err)
	}
	if len(s.writes) != 4 || len(s.writes[3]) != 2 || len(s.letters) != 0 {
		t.Errorf("%d writes, the last of %v, and %d letters; want 4, all of it, and none", len(s.writes), s.writes[3], len(s.letters))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	s.errs = slices.Repeat([]error{refuse}, 10_000)
	if err := w.Write(ctx, unit, nil); !errors.Is(err, refuse) {
		t.Errorf("a worker that ends meanwhile gets %v, want what the store said", err)
	}
}

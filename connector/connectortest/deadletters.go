package connectortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"millrace/connector"
	"millrace/record"
)

// DeadLettersFactory makes an empty place for dead letters and returns how to
// open it; each call of open gives a client of its own.
type DeadLettersFactory func(t testing.TB) (open func(t testing.TB) connector.DeadLetters)

// RunDeadLetters checks that a place for dead letters keeps the contract of
// connector.DeadLetters.
func RunDeadLetters(t *testing.T, factory DeadLettersFactory) {
	t.Run("RoundTrip", func(t *testing.T) { t.Parallel(); testLettersRoundTrip(t, factory) })
	t.Run("Concurrent", func(t *testing.T) { t.Parallel(); testLettersConcurrent(t, factory) })
	t.Run("Empty", func(t *testing.T) { t.Parallel(); testLettersEmpty(t, factory) })
}

func sampleLetters() []record.DeadLetter {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	return []record.DeadLetter{
		{Partition: 0, Offset: 0, Reason: record.NotJSON, Detail: "no object", At: 1, Key: []byte("device"), Raw: []byte("not json")},
		{Partition: 3, Offset: 1 << 40, Reason: record.MissingField, Detail: "eventId is missing \"quoted\"\nsecond line", At: 1_700_000_000_123_456, Key: all, Raw: all},
		{Partition: 1, Offset: 7, Reason: record.WrongType, Raw: []byte{0}},
		{Partition: 1, Offset: 8, Reason: record.WrongType, Key: []byte("k"), Raw: []byte("\xff\xfe invalid UTF-8 \xc3\x28")},
		{Partition: 2, Offset: 9, Reason: record.Oversized, Detail: "larger than it may be", Raw: bytes.Repeat([]byte("x\n"), 500_000)},
		{Partition: 4, Offset: 10, Reason: record.Rejected, Detail: strings.Repeat("long ", 2000), Raw: []byte("{}")},
		{Partition: 5, Offset: 11, Reason: record.NotJSON, Raw: nil},
	}
}

type letterID struct {
	partition int32
	offset    int64
}

func scanLetters(t *testing.T, d connector.DeadLetters) map[letterID]record.DeadLetter {
	t.Helper()
	got := map[letterID]record.DeadLetter{}
	err := d.Scan(testContext(t), func(l *record.DeadLetter) error {
		c := *l
		c.Key, c.Raw = bytes.Clone(l.Key), bytes.Clone(l.Raw)
		got[letterID{l.Partition, l.Offset}] = c
		return nil
	})
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return got
}

func sameLetter(a, b record.DeadLetter) bool {
	return a.Partition == b.Partition && a.Offset == b.Offset && a.Reason == b.Reason && a.Detail == b.Detail &&
		a.At == b.At && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Raw, b.Raw)
}

func testLettersRoundTrip(t *testing.T, factory DeadLettersFactory) {
	open := factory(t)
	d := open(t)
	if d.Describe() == "" {
		t.Error("Describe says nothing")
	}
	letters := sampleLetters()
	// One by one, all at once, and once more: a letter may be seen twice.
	for i := range letters[:3] {
		if err := d.Write(testContext(t), letters[i:i+1]); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	for range 2 {
		if err := d.Write(testContext(t), letters); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	check := func(d connector.DeadLetters) {
		t.Helper()
		got := scanLetters(t, d)
		for _, want := range letters {
			if l := got[letterID{want.Partition, want.Offset}]; !sameLetter(l, want) {
				t.Errorf("letter (%d, %d) came back as %.200v, want %.200v", want.Partition, want.Offset, l, want)
			}
		}
		if len(got) != len(letters) {
			t.Errorf("%d letters came back, want %d", len(got), len(letters))
		}
	}
	check(d)
	if err := d.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	d = open(t)
	defer d.Close()
	check(d)
	stop := errors.New("enough")
	if err := d.Scan(testContext(t), func(*record.DeadLetter) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Scan: %v, want the callback's error", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Write(ctx, letters); err == nil {
		t.Error("Write with an ended context succeeded")
	}
}

func testLettersConcurrent(t *testing.T, factory DeadLettersFactory) {
	d := factory(t)(t)
	defer d.Close()
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				l := record.DeadLetter{Partition: int32(w), Offset: int64(i), Reason: record.NotJSON, Raw: fmt.Appendf(nil, "%d/%d", w, i)}
				if err := d.Write(testContext(t), []record.DeadLetter{l}); err != nil {
					t.Errorf("Write: %v", err)
				}
			}
		}()
	}
	wg.Wait()
	got := scanLetters(t, d)
	for w := range writers {
		for i := range each {
			l := got[letterID{int32(w), int64(i)}]
			if want := fmt.Sprintf("%d/%d", w, i); string(l.Raw) != want {
				t.Errorf("letter (%d, %d) holds %q, want %q", w, i, l.Raw, want)
			}
		}
	}
}

func testLettersEmpty(t *testing.T, factory DeadLettersFactory) {
	d := factory(t)(t)
	defer d.Close()
	if err := d.Write(testContext(t), nil); err != nil {
		t.Errorf("Write of nothing: %v", err)
	}
	if got := scanLetters(t, d); len(got) != 0 {
		t.Errorf("%d letters where none were written", len(got))
	}
}

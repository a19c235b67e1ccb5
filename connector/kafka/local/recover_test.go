package local

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What is rebuilt from the log is what the broker wrote down itself.
func TestRecoverLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := context.Background()
	s, err := Start(ctx, Options{DataDir: dir, SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, txn := range []string{"", "a transaction"} {
		opts := []kgo.Opt{kgo.SeedBrokers(s.Address()), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("a topic"[2:]),
			kgo.UnknownTopicRetries(-1), kgo.ProducerBatchCompression(kgo.NoCompression())}
		if txn != "" {
			opts = append(opts, kgo.TransactionalID(txn))
		}
		cl, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			if txn != "" {
				if err := cl.BeginTransaction(); err != nil {
					t.Fatal(err)
				}
			}
			var records []*kgo.Record
			for range 1 + i*7%50 {
				records = append(records, &kgo.Record{Key: []byte{byte(i)}, Value: bytes.Repeat([]byte("x"), 2000)})
			}
			if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if txn != "" {
				if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(i%3 > 0)); err != nil {
					t.Fatal(err)
				}
			}
		}
		cl.Close()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	windows := func() map[[2]int64]sequences {
		t.Helper()
		var f struct{ Windows []sequences }
		text, err := os.ReadFile(filepath.Join(dir, "seq_windows.json"))
		if err == nil {
			err = json.Unmarshal(text, &f)
		}
		if err != nil {
			t.Fatal(err)
		}
		m := map[[2]int64]sequences{}
		for _, w := range f.Windows {
			if w.Seen {
				m[[2]int64{w.PID, int64(w.Part)}] = w
			}
		}
		return m
	}
	indexes := func() map[string][]byte {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "partitions", "*", "*.idx"))
		if err != nil || len(files) < 2 {
			t.Fatal(files, err)
		}
		m := map[string][]byte{}
		for _, f := range files {
			if m[f], err = os.ReadFile(f); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(m[f]); i += indexEntrySize {
				// Running maxima and checksums may differ.
				clear(m[f][i+6 : i+14])
				m[f][i+1] = 0
			}
		}
		return m
	}
	want, wantIndexes := windows(), indexes()
	if len(want) < 2 {
		t.Fatalf("the broker wrote down %v", want)
	}
	if err := recoverLog(dir); err != nil {
		t.Fatal(err)
	}
	if got := windows(); !equalWindows(got, want) {
		t.Errorf("rebuilt\n%+v\nwant\n%+v", got, want)
	}
	if got := indexes(); !reflect.DeepEqual(got, wantIndexes) {
		t.Error("whole indexes were changed")
	}
	// Indexes that a kill has cut off, or that lack all entries.
	for f := range wantIndexes {
		for _, size := range []int64{0, indexEntrySize - 1, indexEntrySize + 3, int64(len(wantIndexes[f])) - 1} {
			if last, _ := filepath.Glob(filepath.Join(filepath.Dir(f), "*.idx")); len(last) > 1 || size < 0 || size > int64(len(wantIndexes[f])) {
				continue // only the last segment of a partition is written to
			}
			if err := os.Truncate(f, size); err != nil {
				t.Fatal(err)
			}
			if err := recoverLog(dir); err != nil {
				t.Fatal(err)
			}
			if got := indexes(); !bytes.Equal(got[f], wantIndexes[f]) {
				t.Errorf("an index cut to %d bytes was completed to\n%x\nwant\n%x", size, got[f], wantIndexes[f])
			}
		}
	}
	if err := recoverLog(t.TempDir()); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
}

func equalWindows(a, b map[[2]int64]sequences) bool {
	if len(a) != len(b) {
		return false
	}
	for k, x := range a {
		y := b[k]
		if x.NextSeq != y.NextSeq || x.Epoch != y.Epoch || x.Count != y.Count || x.Topic != y.Topic {
			return false
		}
		// The same entries, wherever the ring begins.
		have := map[sequenceEntry]bool{}
		for _, e := range x.Entries[:x.Count] {
			have[e] = true
		}
		for _, e := range y.Entries[:y.Count] {
			if !have[e] {
				return false
			}
		}
	}
	return true
}

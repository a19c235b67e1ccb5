package txlog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// eventStats is of the size that files with events have.
var eventStats = func() string {
	var b strings.Builder
	b.WriteString(`{"numRecords":10000`)
	for _, part := range []string{"minValues", "maxValues", "nullCount"} {
		fmt.Fprintf(&b, `,"%s":{"deviceSequenceNumber":1234567,"type":"TEMP","complexData":{`, part)
		for i := range 23 {
			fmt.Fprintf(&b, `"moreData%d":%d.123456789,`, i, i+10)
		}
		b.WriteString(`"x":1}}`)
	}
	return b.String() + "}"
}()

// longLog writes n versions without going through Commit, which would sync
// each.
func longLog(b *testing.B, n, every int) (*Table, string) {
	b.Helper()
	bucket, dir := folder(b)
	tb := open(b, bucket, "", Options{NoCheckpoints: true})
	s := created(b, tb)
	for v := int64(1); v < int64(n); v++ {
		c := &commit{version: v, time: time.Now(), info: CommitInfo{Operation: "STREAMING UPDATE", TxnID: newID()}, txns: []Txn{{AppID: "app", Version: v}}}
		c.files = []fileAction{{add: &Add{Path: fmt.Sprintf("part-%05d-%s.snappy.parquet", v, newID()), Size: 1 << 20, Modified: 1, DataChange: true, Stats: eventStats}}}
		body, err := c.encode(v - 1)
		if err != nil {
			b.Fatal(err)
		}
		put(b, dir, commitFile(v), string(body))
		if s, err = s.apply(c, ""); err != nil {
			b.Fatal(err)
		}
		if every > 0 && v%int64(every) == 0 {
			if err := tb.checkpoint(context.Background(), s, true); err != nil {
				b.Fatal(err)
			}
		}
	}
	return tb, dir
}

func BenchmarkSnapshot(b *testing.B) {
	for _, every := range []int{0, 9990} {
		name := "10k commits"
		if every > 0 {
			name += ", checkpoint at 9990"
		}
		b.Run(name, func(b *testing.B) {
			tb, _ := longLog(b, 10_000, every)
			b.ReportAllocs()
			for b.Loop() {
				s, err := tb.load(context.Background())
				if err != nil || s.NumFiles() != 9999 {
					b.Fatal(s, err)
				}
			}
		})
	}
}

// BenchmarkFollow is what a reader pays for looking whether there is anything
// new.
func BenchmarkFollow(b *testing.B) {
	bucket, _ := folder(b)
	tb := open(b, bucket, "", Options{})
	created(b, tb)
	b.ReportAllocs()
	for b.Loop() {
		newest(b, tb)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("%d files", n), func(b *testing.B) {
			bucket, _ := folder(b)
			tb := open(b, bucket, "", Options{NoCheckpoints: true})
			s := created(b, tb)
			if n > 0 {
				s = commitTo(b, tb, s, Change{Add: manyFiles(n)})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a := file(fmt.Sprint("f", i))
				a.Stats = eventStats
				s = commitTo(b, tb, s, Change{Add: []*Add{a}, Txns: []Txn{{AppID: "app", Version: int64(i)}}})
			}
		})
	}
}

func manyFiles(n int) []*Add {
	out := make([]*Add, n)
	for i := range out {
		out[i] = file(fmt.Sprintf("part-%05d-%s.snappy.parquet", i, newID()))
		out[i].Stats = strings.Clone(eventStats)
	}
	return out
}

func BenchmarkCheckpoint(b *testing.B) {
	s := newSnapshot()
	s.Protocol, s.Metadata = newProtocol, &Metadata{ID: "i", Schema: idColumn}
	for _, a := range manyFiles(100_000) {
		s.file(fileAction{add: a})
	}
	b.Run("write 100k files", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := writeCheckpoint(io.Discard, s, time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read 100k files", func(b *testing.B) {
		var buf bytes.Buffer
		if _, _, err := writeCheckpoint(&buf, s, time.Now()); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var got *Snapshot
		for b.Loop() {
			got = newSnapshot()
			if err := readCheckpointFile(buf.Bytes(), got, false); err != nil || got.NumFiles() != 100_000 {
				b.Fatal(got, err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-held")
		b.ReportMetric(float64(buf.Len())/1e6, "MB-file")
		runtime.KeepAlive(got)
	})
}

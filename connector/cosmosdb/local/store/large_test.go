package store

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/value"
)

// BenchmarkLarge fills a container with LARGE_ITEMS sample events (300,000 if it
// is not set) and reports what it then takes to open it, to find an item, and
// to read all.
func BenchmarkLarge(b *testing.B) {
	items, _ := strconv.Atoi(os.Getenv("LARGE_ITEMS"))
	if items == 0 {
		items = 300_000
	}
	for range b.N {
		w := newWorld(b, sampleProperties(), 4)
		random := rand.New(rand.NewPCG(1, 2))
		start, used := time.Now(), cpu()
		var text []byte
		var ids []string
		for n := 0; n < items; n += 20 {
			ops := make([]KeyedOp, 20)
			var id string
			for i := range ops {
				device := random.IntN(1000)
				id, text = event(nil, random, device, n+i)
				ops[i] = KeyedOp{Key: w.key(fmt.Sprintf("contoso://device-id-%d", device)), Op: Op{Kind: OpUpsert, ID: id, Body: text, NoBody: true}}
			}
			if n%1000 == 0 {
				ids = append(ids, id)
			}
			if _, err := w.c.ApplyEach(context.Background(), ops); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(items)/time.Since(start).Seconds(), "items/s")
		b.ReportMetric(float64(cpu()-used)/1000/float64(items), "us-cpu/item")
		b.ReportMetric(float64(resident()>>20), "rss-MB")
		start = time.Now()
		w.reopen()
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "reopen-ms")
		b.ReportMetric(float64(onDisk(b, w.dir))/float64(items), "disk-B/item")
		start = time.Now()
		for _, id := range ids {
			if got := w.ids(Access{ID: &id}); len(got) != 1 {
				b.Fatal(got)
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/float64(len(ids)), "us/by-id")
		start = time.Now()
		const reads = 200
		for i := range reads {
			at := valueKey(value.String(time.Unix(0, 1_700_000_000_000_000_000+int64(i*items/reads)*100_000).UTC().Format("2006-01-02T15:04:05.000000Z")))
			if got := w.ids(Access{Index: &IndexScan{Path: "/createdAt", Low: at, High: at}}); len(got) != 1 {
				b.Fatal(got)
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/reads, "us/by-createdAt")
		used = cpu()
		it, err := w.c.Open(context.Background(), Access{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for it.Next() {
			n++
		}
		if err := it.Close(); err != nil || n != items {
			b.Fatal(n, err)
		}
		b.ReportMetric(float64(cpu()-used)/1000/float64(items), "us-cpu/scanned")
	}
}

func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

func onDisk(b *testing.B, dir string) (size int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				size += info.Size()
			}
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return size
}

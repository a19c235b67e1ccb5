package verify

import (
	"context"
	"flag"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/record"
)

var memoryEvents = flag.Int("verify.events", 300_000, "how many events TestMemory judges")

// endless is a run of n events that is made up as it is read, so that nothing
// but the judge takes memory.
func endless(n, devices int) Input {
	info := &record.LedgerInfo{
		Files: []record.LedgerFile{{Header: record.LedgerHeader{DevicePrefix: "contoso://device-id-", Instances: 1}}},
		Totals: record.LedgerTotals{
			Offered: int64(n), Sent: int64(n), Acked: int64(n), FirstAt: t0, LastAt: t0 + int64(n)*100,
		},
	}
	return Input{
		Warmup: 5 * time.Second,
		Ledgers: []LedgerSource{func(fn func(*record.Entry) error) (*record.LedgerInfo, error) {
			var e record.Entry
			for i := range n {
				e = record.Entry{ID: id(i), Fingerprint: fingerprint(i), Device: uint32(i % devices),
					Sequence: int64(i / devices), CreatedAt: t0 + int64(i)*100, Acked: true}
				if err := fn(&e); err != nil {
					return nil, err
				}
			}
			return info, nil
		}},
		Scan: func(_ context.Context, fn func(*record.Stored) error) error {
			var s record.Stored
			var name []byte
			for k := range n {
				i := int(uint64(k) * 7919 % uint64(n)) // 7919 does not divide n: every row once, in disorder
				d := i % devices
				name = strconv.AppendInt(append(name[:0], "contoso://device-id-"...), int64(d), 10)
				created := t0 + int64(i)*100
				s = record.Stored{ID: id(i), Fingerprint: fingerprint(i), DeviceID: name, Sequence: int64(i / devices),
					Partition: int32(d % 4), Offset: int64(i), CreatedAt: created, EnqueuedAt: created + 1000,
					ProcessedAt: created + 2000, StoredAt: (created/50_000 + 2) * 50_000}
				if err := fn(&s); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// TestMemory: what the judge keeps per event is bounded, whatever the payload.
// With -verify.events=5000000 it is the measurement of the documentation.
func TestMemory(t *testing.T) {
	n := *memoryEvents
	in := endless(n, 1000)
	base := heap()
	var most uint64
	// Taken when all is read, and the index and all histograms are there.
	scan := in.Scan
	in.Scan = func(ctx context.Context, fn func(*record.Stored) error) error {
		err := scan(ctx, fn)
		most = heap()
		return err
	}
	start := time.Now()
	v, err := Check(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Judge(nil, Measured{}); err != nil {
		t.Fatal(err)
	}
	if !v.Pass || v.Fates.ServedOnce != int64(n) {
		t.Fatalf("verdict %+v %q", v.Fates, v.Imbalances)
	}
	const fixed = 24 << 20 // histograms, the last chunk
	perEvent := (float64(most) - float64(base)) / float64(n)
	t.Logf("%d events: %.1f bytes of heap per event, peak of the process %s, %s",
		n, perEvent, peakRSS(), time.Since(start).Round(time.Millisecond))
	if limit := 65*float64(n) + fixed; float64(most)-float64(base) > limit {
		t.Errorf("%d bytes of heap for %d events, want at most %.0f", most-base, n, limit)
	}
}

// heap is the live heap.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func peakRSS() string {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

func BenchmarkCheck(b *testing.B) {
	const n = 200_000
	in := endless(n, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Check(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
}

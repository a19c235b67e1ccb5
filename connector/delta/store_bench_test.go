package delta_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/delta"
	"millrace/record"
)

// The benchmarks write and read events of the usual size, a file an operation:
//
//	go test -run '^$' -bench . -benchtime 30x ./connector/delta
//
// µs-cpu/event is what counts: it is of the whole process, and does not depend
// on what else the machine does.

// bulk makes batches of results; every batch has new eventIds.
type bulk struct {
	rnd     *rand.Rand
	results []record.Result
	next    int64
}

func newBulk(tb testing.TB, n int) *bulk {
	rnd := rand.New(rand.NewPCG(1, 2))
	b := &bulk{rnd: rnd, results: make([]record.Result, n)}
	var events []record.Event
	for i := range 2000 {
		json := fmt.Appendf(nil, `{"eventId":%q,"complexData":{`, record.ID{15: 1})
		for j := range 23 {
			if j > 0 {
				json = append(json, ',')
			}
			json = fmt.Appendf(json, `"moreData%d":%v`, j, 10+90*rnd.Float64())
		}
		json = fmt.Appendf(json, `},"value":%v,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":"CO2","createdAt":"2026-01-02T03:04:05.123456Z"}`,
			10+90*rnd.Float64(), i%1000, i/1000)
		var e record.Event
		if err := e.Decode(json); err != nil {
			tb.Fatal(err)
		}
		events = append(events, e)
	}
	for i := range b.results {
		b.results[i].Event = events[rnd.IntN(len(events))]
	}
	return b
}

// batch returns the next n results and the advance that they need.
func (b *bulk) batch(n int) *connector.Write {
	now := time.Now().UnixMicro()
	w := &connector.Write{Results: b.results[:n], Advances: []connector.Advance{{Partition: 0, From: b.next, To: b.next + int64(n)}}}
	for i := range w.Results {
		r := &w.Results[i]
		binary.BigEndian.PutUint64(r.ID[:], b.rnd.Uint64())
		binary.BigEndian.PutUint64(r.ID[8:], b.rnd.Uint64())
		r.Offset, r.Sequence = b.next+int64(i), b.next+int64(i)
		r.CreatedAt, r.EnqueuedAt, r.ProcessedAt = now+int64(i), now+int64(i)+500, now+int64(i)+900
	}
	b.next += int64(n)
	return w
}

// cpu is the processor time that this process has had.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func prepared(tb testing.TB, c *delta.Config) *delta.Store {
	s := open(tb, c, env(tb.TempDir(), newRun()))
	if err := s.Prepare(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if _, err := s.Claim(tb.Context(), "bench", []int32{0}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{32_768, 10_000, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := quick()
			c.CompactAfter = 0
			s := prepared(b, c)
			in := newBulk(b, size)
			var spent time.Duration
			for b.Loop() {
				w := in.batch(size)
				before := cpu(b)
				if _, err := s.Write(b.Context(), w); err != nil {
					b.Fatal(err)
				}
				spent += cpu(b) - before
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N*size), "µs-cpu/event")
		})
	}
}

func BenchmarkScan(b *testing.B) {
	s := prepared(b, quick())
	const files, size = 8, 20_000
	in := newBulk(b, size)
	for range files {
		if _, err := s.Write(b.Context(), in.batch(size)); err != nil {
			b.Fatal(err)
		}
	}
	before := cpu(b)
	for b.Loop() {
		if err := s.Scan(b.Context(), func(*record.Stored) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N*files*size), "µs-cpu/event")
}

package delta_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"millrace/connector/connectortest"
	"millrace/record"
)

// The benchmarks write and read events of the usual size, a file an operation:
//
//	go test -run '^$' -bench . -benchtime 30x ./connector/delta
//
// µs-cpu/event is what counts: it is of the whole process, and does not depend
// on what else the machine does.

// cpu is the processor time that this process has had.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{32_768, 10_000, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := quick()
			c.CompactAfter = 0
			s := connectortest.Prepared(b, c, connectortest.Env(b.TempDir(), ""), 0)
			in := connectortest.NewBulk(b, size)
			var spent time.Duration
			for b.Loop() {
				w := in.Next(size)
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
	s := connectortest.Prepared(b, quick(), connectortest.Env(b.TempDir(), ""), 0)
	const files, size = 8, 20_000
	in := connectortest.NewBulk(b, size)
	for range files {
		if _, err := s.Write(b.Context(), in.Next(size)); err != nil {
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

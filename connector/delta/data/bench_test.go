package data

import (
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"

	"millrace/record"
)

// standardEvent is an event of the standard form, about 1 KB.
func standardEvent(r *rand.Rand, sequence int) []byte {
	b := fmt.Appendf(nil, `{"eventId":"%08x-%04x-4%03x-8%03x-%012x","complexData":{`, r.Uint32(), r.IntN(1<<16),
		r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
	double := func() string { return fmt.Sprintf("%d.%013d", 10+r.IntN(90), r.Int64N(1e13)) }
	for i := range complexCount {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `"moreData%d":%s`, i, double())
	}
	b = fmt.Appendf(b, `},"value":%s,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":"%s","createdAt":"%s"}`,
		double(), r.IntN(1000), sequence, []string{"TEMP", "CO2"}[r.IntN(2)],
		record.AppendTime(nil, 1767322800000000+int64(sequence)*100))
	return b
}

func standardResults(t testing.TB, r *rand.Rand, n int) []record.Result {
	results := make([]record.Result, n)
	for i := range results {
		if err := results[i].Decode(standardEvent(r, i)); err != nil {
			t.Fatal(err)
		}
		results[i].Partition, results[i].Offset = int32(i%4), int64(i/4)
		results[i].EnqueuedAt = results[i].CreatedAt + 1000
		results[i].ProcessedAt = results[i].CreatedAt + 5000
	}
	return results
}

// cpuTime is what this process has had of processors, in nanoseconds: other
// processes do not count.
func cpuTime(t testing.TB) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkEncode(b *testing.B) {
	results := standardResults(b, rand.New(rand.NewPCG(1, 1)), 10_000)
	for _, codec := range Compressions() {
		b.Run(codec, func(b *testing.B) {
			w, err := NewEventWriter(Table{}, nil, WriterOptions{Compression: codec, StatsColumns: DefaultStatsColumns})
			if err != nil {
				b.Fatal(err)
			}
			var file []byte
			start := cpuTime(b)
			b.ReportAllocs()
			var events, bytes int64
			for b.Loop() {
				var written Written
				if file, written, err = w.Encode(file[:0], results, nil, 1767322800000000); err != nil {
					b.Fatal(err)
				}
				events += written.Rows
				bytes += written.Size
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(cpuTime(b)-start)/float64(events), "cpu-ns/event")
			b.ReportMetric(float64(bytes)/float64(events), "bytes/event")
		})
	}
}

func BenchmarkComplexData(b *testing.B) {
	results := standardResults(b, rand.New(rand.NewPCG(1, 1)), 1000)
	var c complexFields
	i := 0
	for b.Loop() {
		if !c.scanUsual(results[i%1000].ComplexData) {
			b.Fatal("not usual")
		}
		i++
	}
}

func BenchmarkReadEvents(b *testing.B) {
	results := standardResults(b, rand.New(rand.NewPCG(1, 1)), 10_000)
	file, _ := encode(b, Table{}, WriterOptions{}, results, 1)
	b.ReportAllocs()
	start := cpuTime(b)
	n := 0
	for b.Loop() {
		if err := open(b, file).ReadEvents(b.Context(), nil, nil, func(*record.Stored) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(n), "cpu-ns/event")
}

func BenchmarkRewrite(b *testing.B) {
	results := standardResults(b, rand.New(rand.NewPCG(1, 1)), 10_000)
	file, _ := encode(b, Table{}, WriterOptions{}, results, 1)
	s, err := Table{}.Schema()
	if err != nil {
		b.Fatal(err)
	}
	r, err := NewRewriter(s, nil, WriterOptions{StatsColumns: DefaultStatsColumns})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	start := cpuTime(b)
	n := int64(0)
	for b.Loop() {
		r.Reset(io.Discard)
		for range 10 {
			if err := r.Append(b.Context(), open(b, file)); err != nil {
				b.Fatal(err)
			}
		}
		written, err := r.Finish()
		if err != nil {
			b.Fatal(err)
		}
		n += written.Rows
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(n), "cpu-ns/event")
}

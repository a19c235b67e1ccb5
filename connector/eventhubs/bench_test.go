package eventhubs_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// benchEvent is an event of the usual form and size.
func benchEvent(n int) []byte {
	b := fmt.Appendf(nil, `{"eventId":"%08x-0000-4000-8000-%012x","complexData":{`, n, n)
	for i := range 23 {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `"moreData%d":%.14f`, i, 10+float64((n*31+i*17)%9000)/100+0.12345678901)
	}
	return fmt.Appendf(b, `},"value":%.14f,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":"TEMP","createdAt":"2026-01-02T03:04:05.123456Z"}`,
		10.5, n%1000, n/1000)
}

func benchProduce(b *testing.B, l connector.Log, n int) {
	b.Helper()
	ctx := context.Background()
	p, err := l.Producer(ctx, func(_ *connector.Message, err error) {
		if err != nil {
			b.Error(err)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	values, keys := make([][]byte, 1000), make([][]byte, 1000)
	for i := range values {
		values[i], keys[i] = benchEvent(i), fmt.Appendf(nil, "contoso://device-id-%d", i)
	}
	for i := range n {
		if err := p.Produce(ctx, &connector.Message{Key: keys[i%1000], Value: values[i%1000]}); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	_ = p.Close()
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func report(b *testing.B, n int, used time.Duration) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(used.Seconds()/float64(n)*1e6, "cpu-s/Mevents")
}

// BenchmarkProduce is the producer, with the stand-in in this process.
func BenchmarkProduce(b *testing.B) {
	l := prepared(b, configFor(start(b, options{}).Address()), testEnv(b), 4)
	b.ResetTimer()
	before := cpu()
	benchProduce(b, l, b.N)
	report(b, b.N, cpu()-before)
}

// sink is a handler that counts.
type sink struct {
	total atomic.Int64
	want  int64
	done  chan struct{}
	once  sync.Once
}

func (s *sink) Assign(_ context.Context, ps []int32) (map[int32]int64, error) {
	starts := map[int32]int64{}
	for _, p := range ps {
		starts[p] = connector.Earliest
	}
	return starts, nil
}

func (s *sink) Deliver(_ context.Context, b *record.Batch) error {
	if s.total.Add(int64(len(b.Records))) >= s.want {
		s.once.Do(func() { close(s.done) })
	}
	return nil
}

func (s *sink) Revoke(context.Context, []int32, bool) {}

// BenchmarkConsume is the source, with the stand-in in this process and the
// events there already.
func BenchmarkConsume(b *testing.B) {
	n := max(b.N, 1000)
	l := prepared(b, configFor(start(b, options{}).Address()), testEnv(b), 4)
	benchProduce(b, l, n)
	src, err := l.Source(context.Background(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	s := &sink{want: int64(n), done: make(chan struct{})}
	b.ResetTimer()
	before := cpu()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, s) }()
	select {
	case <-s.done:
	case err := <-ended:
		b.Fatal(err)
	}
	b.StopTimer()
	report(b, n, cpu()-before)
	cancel()
	<-ended
}

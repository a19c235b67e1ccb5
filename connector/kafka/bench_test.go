package kafka_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/kafka"
	"millrace/connector/kafka/local"
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

func benchLog(b *testing.B, n int) (*local.Server, connector.Log, connector.Env) {
	b.Helper()
	s, err := local.Start(context.Background(), local.Options{DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	conf := kafka.NewConfig()
	conf.SetAddress(s.Address())
	env := testEnv(b)
	l := openLog(b, conf, env)
	b.Cleanup(func() { _ = l.Close() })
	if _, err := l.Prepare(context.Background()); err != nil {
		b.Fatal(err)
	}
	benchProduce(b, l, n)
	return s, l, env
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
	values := make([][]byte, 1000)
	keys := make([][]byte, 1000)
	for i := range values {
		values[i] = benchEvent(i)
		keys[i] = fmt.Appendf(nil, "contoso://device-id-%d", i)
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

// BenchmarkProduce is the producer alone, with the stand-in in this process.
func BenchmarkProduce(b *testing.B) {
	_, l, _ := benchLog(b, 0)
	b.ResetTimer()
	before := cpu()
	benchProduce(b, l, b.N)
	report(b, b.N, cpu()-before)
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report adds what does not depend on who else uses the machine.
func report(b *testing.B, n int, used time.Duration) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(used.Seconds()/float64(n)*1e6, "cpu-s/Mevents")
}

// relay is the shortest way from a source to a store: it decodes and writes.
type relay struct {
	st    connector.Store
	total atomic.Int64
	want  int64
	done  chan struct{}

	mu    sync.Mutex
	parts map[int32]*relayPart
}

type relayPart struct {
	in  chan *record.Batch
	end chan struct{}
}

func (r *relay) Assign(ctx context.Context, partitions []int32) (map[int32]int64, error) {
	at, err := r.st.Claim(ctx, "bench", partitions)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range partitions {
		rp := &relayPart{in: make(chan *record.Batch, 8), end: make(chan struct{})}
		r.parts[p] = rp
		go r.run(p, max(at[p], 0), rp)
	}
	return at, nil
}

func (r *relay) run(p int32, from int64, rp *relayPart) {
	defer close(rp.end)
	results := make([]record.Result, 0, 4000)
	for b := range rp.in {
		results = results[:0]
		to := from
		for b != nil {
			for i := range b.Records {
				results = append(results, record.Result{Partition: p, Offset: b.Records[i].Offset,
					EnqueuedAt: b.Records[i].Timestamp, ProcessedAt: b.Records[i].Timestamp})
				if err := results[len(results)-1].Decode(b.Records[i].Value); err != nil {
					panic(err)
				}
			}
			to = b.Next
			if len(results) >= 2000 {
				break
			}
			select {
			case b = <-rp.in:
			default:
				b = nil
			}
		}
		w := &connector.Write{Results: results, Advances: []connector.Advance{{Partition: p, From: from, To: to}}}
		if _, err := r.st.Write(context.Background(), w); err != nil {
			panic(err)
		}
		from = to
		if r.total.Add(int64(len(results))) >= r.want {
			close(r.done)
		}
	}
}

func (r *relay) Deliver(ctx context.Context, b *record.Batch) error {
	r.mu.Lock()
	rp := r.parts[b.Partition]
	r.mu.Unlock()
	if rp == nil {
		return nil
	}
	select {
	case rp.in <- b:
	case <-ctx.Done():
	}
	return nil
}

func (r *relay) Revoke(_ context.Context, partitions []int32, _ bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range partitions {
		close(r.parts[p].in)
		<-r.parts[p].end
		delete(r.parts, p)
	}
}

// BenchmarkRelay is topic to topic, exactly once, with the stand-in in this
// process.
func BenchmarkRelay(b *testing.B) {
	n := max(b.N, 20_000)
	s, l, env := benchLog(b, n)
	c := kafka.NewStoreConfig()
	c.SetAddress(s.Address())
	st, err := c.Open(context.Background(), env)
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := st.Prepare(ctx); err != nil {
		b.Fatal(err)
	}
	src, err := l.Source(ctx, "bench")
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	before := cpu()
	r := &relay{st: st, want: int64(n), done: make(chan struct{}), parts: map[int32]*relayPart{}}
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, r) }()
	select {
	case <-r.done:
	case err := <-ended:
		b.Fatal(err)
	}
	b.StopTimer()
	report(b, n, cpu()-before)
	cancel()
	<-ended
}

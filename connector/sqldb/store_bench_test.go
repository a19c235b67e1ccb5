package sqldb_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/sqldb"
	"millrace/internal/testservice"
	"millrace/record"
)

// The benchmarks load events of the usual size, one batch an operation:
//
//	go test -run '^$' -bench 'Store|Bare' -benchtime 10x ./connector/sqldb
//	go test -run '^$' -bench Paced -benchtime 240x ./connector/sqldb
//
// rows/s is what counts; Store against Bare is what the positions, fencing
// and checks cost.

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

// databases are the configurations to measure, each for an empty store. With
// the TDS test server it is the client that is measured, and the server's part
// in the same processors: not SQL Server.
var databases = map[string]func(b *testing.B) string{
	"duckdb":    func(*testing.B) string { return "" },
	"postgres":  func(b *testing.B) string { return testservice.Postgres(b) },
	"tdsserver": func(b *testing.B) string { return tdsServer(b).Address() },
}

func eachDatabase(b *testing.B, sizes []int, bench func(b *testing.B, c *sqldb.Config, e connector.Env, size int)) {
	for name, url := range databases {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				c := sqldb.NewConfig()
				c.URL, c.MaxRows = url(b), min(max(c.MaxRows, size), 200_000) // as many as the option takes
				bench(b, c, env(b.TempDir(), newRun()), size)
			})
		}
	}
}

func BenchmarkStore(b *testing.B) {
	eachDatabase(b, []int{50_000, 10_000}, func(b *testing.B, c *sqldb.Config, e connector.Env, size int) {
		s := preparedStore(b, c, e)
		in := newBulk(b, size)
		b.ResetTimer()
		for range b.N {
			w := in.batch(size)
			if r, err := s.Write(b.Context(), w); err != nil || r.Stored != size {
				b.Fatalf("%+v %v", r, err)
			}
		}
		b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "rows/s")
	})
}

func BenchmarkBare(b *testing.B) {
	eachDatabase(b, []int{50_000, 10_000}, func(b *testing.B, c *sqldb.Config, e connector.Env, size int) {
		s, err := sqldb.OpenBare(b.Context(), c, e)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := s.Drop(context.Background()); err != nil {
				b.Error(err)
			}
			s.Close()
		})
		in := newBulk(b, size)
		b.ResetTimer()
		for range b.N {
			w := in.batch(size)
			if n, err := s.Load(b.Context(), w.Results, time.Now().UnixMicro()); err != nil || n != size {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "rows/s")
	})
}

func preparedStore(b *testing.B, c *sqldb.Config, e connector.Env) connector.Store {
	s := open(b, c, e)
	if err := s.Prepare(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Claim(b.Context(), "bench", []int32{0}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Drop(context.Background()); err != nil {
			b.Error(err)
		}
		s.Close()
	})
	return s
}

// BenchmarkPaced writes 10,000 events a second in steps of 250 ms and reports
// how long a write takes.
func BenchmarkPaced(b *testing.B) {
	const step = 250 * time.Millisecond
	eachDatabase(b, []int{2500}, func(b *testing.B, c *sqldb.Config, e connector.Env, size int) {
		s := preparedStore(b, c, e)
		in := newBulk(b, size)
		var took []time.Duration
		begun := time.Now()
		b.ResetTimer()
		for i := range b.N {
			time.Sleep(time.Until(begun.Add(time.Duration(i) * step)))
			w := in.batch(size)
			start := time.Now()
			if _, err := s.Write(b.Context(), w); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		for _, q := range []int{50, 90, 99, 100} {
			at := took[min(len(took)*q/100, len(took)-1)]
			b.ReportMetric(float64(at.Microseconds())/1000, fmt.Sprintf("ms-p%d", q))
		}
	})
}

// BenchmarkScan reads back 500,000 rows.
func BenchmarkScan(b *testing.B) {
	eachDatabase(b, []int{500_000}, func(b *testing.B, c *sqldb.Config, e connector.Env, size int) {
		s := preparedStore(b, c, e)
		in := newBulk(b, 50_000)
		for range size / 50_000 {
			if _, err := s.Write(b.Context(), in.batch(50_000)); err != nil {
				b.Fatal(err)
			}
		}
		b.ResetTimer()
		for range b.N {
			n := 0
			if err := s.Scan(b.Context(), func(*record.Stored) error { n++; return nil }); err != nil || n != size {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "rows/s")
	})
}

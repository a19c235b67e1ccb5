package sqldb_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
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
				bench(b, c, connectortest.Env(b.TempDir(), connectortest.NewRun()), size)
			})
		}
	}
}

func BenchmarkStore(b *testing.B) {
	eachDatabase(b, []int{50_000, 10_000}, func(b *testing.B, c *sqldb.Config, e connector.Env, size int) {
		s := preparedStore(b, c, e)
		in := connectortest.NewBulk(b, size)
		b.ResetTimer()
		for range b.N {
			w := in.Next(size)
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
		in := connectortest.NewBulk(b, size)
		b.ResetTimer()
		for range b.N {
			w := in.Next(size)
			if n, err := s.Load(b.Context(), w.Results, time.Now().UnixMicro()); err != nil || n != size {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "rows/s")
	})
}

// preparedStore is a store that is deleted in the end.
func preparedStore(b *testing.B, c *sqldb.Config, e connector.Env) connector.Store {
	s := connectortest.Prepared(b, c, e, 0)
	b.Cleanup(func() {
		if err := s.Drop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return s
}

// BenchmarkPaced writes 10,000 events a second in steps of 250 ms and reports
// how long a write takes.
func BenchmarkPaced(b *testing.B) {
	const step = 250 * time.Millisecond
	eachDatabase(b, []int{2500}, func(b *testing.B, c *sqldb.Config, e connector.Env, size int) {
		s := preparedStore(b, c, e)
		in := connectortest.NewBulk(b, size)
		var took []time.Duration
		begun := time.Now()
		b.ResetTimer()
		for i := range b.N {
			time.Sleep(time.Until(begun.Add(time.Duration(i) * step)))
			w := in.Next(size)
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
		in := connectortest.NewBulk(b, 50_000)
		for range size / 50_000 {
			if _, err := s.Write(b.Context(), in.Next(50_000)); err != nil {
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

package files_test

import (
	"testing"

	"millrace/connector/connectortest"
)

// BenchmarkWrite writes 20,000 events in one file, into a folder.
func BenchmarkWrite(b *testing.B) {
	const rows = 20_000
	for _, f := range forms {
		b.Run(f.name, func(b *testing.B) {
			s := connectortest.Prepared(b, config(f.format, f.compression), connectortest.Env(b.TempDir(), ""))
			claimAt(b, s, 0, -1)
			w := unit(0, 0, rows, rows)
			at := int64(0)
			for b.Loop() {
				for i := range w.Results {
					w.Results[i].Offset = at + int64(i)
				}
				w.Advances[0].From, w.Advances[0].To = at, at+rows
				at += rows
				write(b, s, w)
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

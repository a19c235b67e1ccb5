package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"millrace/record"
)

// benchArchive is an archive of n events of about 1 KB.
func benchArchive(b *testing.B, n int, codec ocf.CodecName, schema string) *Store {
	a := newArchive(b)
	const files = 4
	for f := range files {
		var records []sent
		for i := range n / files {
			var more []byte
			for k := range 23 {
				more = fmt.Appendf(more, `"moreData%d":%d.%013d,`, k, 10+(i+k)%90, uint64(i*k+1)*0x9e3779b97f4a7c15%10_000_000_000_000)
			}
			body := fmt.Appendf(nil, `{"eventId":"%s","complexData":{%s},"value":54.25,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":"TEMP","createdAt":"%s"}`,
				id(f*n+i), more[:len(more)-1], i%1000, i/1000, record.AppendTime(nil, began.UnixMicro()+int64(i)*100))
			records = append(records, sent{sequence: int64(i), body: body})
		}
		a.put(name(f, began), encode(b, schema, codec, 2000, records...), began.Add(time.Minute))
	}
	return a.open()
}

const benchEvents = 200_000

func BenchmarkScan(b *testing.B) {
	for name, codec := range map[string]ocf.CodecName{"null": ocf.Null, "deflate": ocf.Deflate} {
		b.Run(name, func(b *testing.B) {
			s := benchArchive(b, benchEvents, codec, schemaWithNull)
			for b.Loop() {
				n := 0
				if err := s.Scan(context.Background(), func(*record.Stored) error { n++; return nil }); err != nil || n != benchEvents {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(benchEvents*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkScanRaw(b *testing.B) {
	for name, schema := range map[string]string{"capture": schemaWithNull, "foreign": schemaForeign} {
		b.Run(name, func(b *testing.B) {
			s := benchArchive(b, benchEvents, ocf.Null, schema)
			for b.Loop() {
				if err := s.ScanRaw(context.Background(), func(*record.Batch) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(benchEvents*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkQuery(b *testing.B) {
	s := benchArchive(b, benchEvents, ocf.Null, schemaWithNull)
	for _, q := range []struct{ name, text string }{
		{"count", "SELECT count(*) FROM events"},
		{"columns", "SELECT deviceId, avg(value) FROM events GROUP BY 1"},
		{"path", "SELECT sum((Body->>'$.complexData.moreData7')::double) FROM events"},
		{"unique", "SELECT count(*) FROM unique_events"},
		{"uniqueBody", "SELECT max(length(Body)) FROM unique_events"},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				rows, err := s.Query(context.Background(), q.text)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = rows.Next(context.Background())
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				if err := rows.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(benchEvents*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

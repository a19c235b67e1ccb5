package query

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/store"
)

// events is a Source of some items over and over, without the cost of a store.
type events struct {
	items [][]byte
	n     int
}

func (e *events) Open(context.Context, store.Access) (store.Iterator, error) {
	return &eventIterator{events: e, at: -1}, nil
}
func (e *events) Indexed(string) bool { return false }

type eventIterator struct {
	*events
	at int
}

func (i *eventIterator) Next() bool       { i.at++; return i.at < i.n }
func (i *eventIterator) Item() []byte     { return i.items[i.at%len(i.items)] }
func (i *eventIterator) Position() []byte { return []byte("position") }
func (i *eventIterator) Err() error       { return nil }
func (i *eventIterator) Close() error     { return nil }

// event is one as the solutions store it, about 1 KB.
func event(i int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"e%d","eventId":"e%d","complexData":{`, i, i)
	for j := range 23 {
		if j > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"moreData%d":%d.%014d`, j, 10+(i*7+j)%90, i*31+j)
	}
	kind := "TEMP"
	if i%2 == 0 {
		kind = "CO2"
	}
	fmt.Fprintf(&b, `},"value":%d.5,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":"%s","createdAt":"2026-01-01T00:00:%02d.123456Z",`,
		i%90, i%1000, i, kind, i%60)
	b.WriteString(`"_rid":"AAAAAAAAAAA=","_self":"dbs/a/colls/b/docs/c/","_etag":"\"0000\"","_attachments":"attachments/","_ts":1700000000}`)
	return []byte(b.String())
}

// BenchmarkScan is what a query over items of 1 KB costs; the ratio is to
// walking over the items and doing nothing.
func BenchmarkScan(b *testing.B) {
	source := &events{n: 10_000}
	for i := range 1000 {
		source.items = append(source.items, event(i))
	}
	const walks = 50
	begun := time.Now()
	for range walks {
		it, _ := source.Open(context.Background(), store.Access{})
		for n := 0; it.Next(); n += len(it.Item()) {
		}
	}
	bare := float64(time.Since(begun).Nanoseconds()) / float64(walks*source.n)
	for _, tt := range []struct{ name, text string }{
		{"none", "SELECT VALUE COUNT(1) FROM c"},
		{"filter", "SELECT * FROM c WHERE c.type = 'NONE'"},
		{"filter-early", "SELECT * FROM c WHERE c.id = 'x' OR c.eventId = 'y'"},
		{"range", "SELECT * FROM c WHERE c['value'] > 1000 AND c.createdAt > '2026'"},
		{"group", "SELECT c.type, COUNT(1) AS n, AVG(c['value']) AS mean FROM c GROUP BY c.type"},
		{"sort", "SELECT TOP 100 * FROM c ORDER BY c.createdAt DESC"},
		{"project", "SELECT c.id, c.deviceId, c['value'] FROM c"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			plan := compiled(b, tt.text, Options{MaxItems: 1 << 30, MaxBytes: 1 << 40})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plan.Run(context.Background(), source); err != nil {
					b.Fatal(err)
				}
			}
			perItem := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(source.n)
			b.ReportMetric(1e9/perItem, "items/s")
			b.ReportMetric(perItem/bare, "×bare")
		})
	}
}

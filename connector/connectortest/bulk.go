package connectortest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// Bulk makes batches of results of the usual size for benchmarks; every batch
// has new eventIds. It is for one goroutine.
type Bulk struct {
	rnd     *rand.Rand
	results []record.Result
	next    int64
}

// NewBulk makes batches of up to n results.
func NewBulk(t testing.TB, n int) *Bulk {
	rnd := rand.New(rand.NewPCG(1, 2))
	b := &Bulk{rnd: rnd, results: make([]record.Result, n)}
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
			t.Fatal(err)
		}
		events = append(events, e)
	}
	for i := range b.results {
		b.results[i].Event = events[rnd.IntN(len(events))]
	}
	return b
}

// Next returns a write of the next n results of partition 0. It holds until the
// next one is made.
func (b *Bulk) Next(n int) *connector.Write {
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

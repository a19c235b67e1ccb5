package local

import (
	"fmt"
	"testing"

	"millrace/connector/cosmosdb/local/store"
)

// event is like those of the samples: about 1 KB.
func event(device string, n int) string {
	doc := fmt.Sprintf(`{"id":"5d2b9b5e-7a3f-4b2c-9c1d-%012d","eventId":"5d2b9b5e-7a3f-4b2c-9c1d-%012d","complexData":{`, n, n)
	for i := range 23 {
		if i > 0 {
			doc += ","
		}
		doc += fmt.Sprintf(`"moreData%d":%d.%013d`, i, 10+i, n*7919+i)
	}
	return doc + fmt.Sprintf(`},"value":49.02278128887753,"deviceId":%q,"deviceSequenceNumber":%d,"type":"CO2","createdAt":"2026-11-22T20:00:00.%06dZ",`+
		`"enqueuedAt":"2026-11-22T20:00:00.100000Z","processedAt":"2026-11-22T20:00:00.200000Z","storedAt":"2026-11-22T20:00:00.300000Z"}`, device, n, n%1000000)
}

// benchmarkCall is a call for the container of a server that was just started,
// with the samples' indexing policy and unique key.
func benchmarkCall(b *testing.B) *call {
	b.Helper()
	s, err := Start(b.Context(), Options{DataDir: b.TempDir(), Throughput: unlimited})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	d, err := s.known.createDatabase(b.Context(), "db", throughput{})
	if err != nil {
		b.Fatal(err)
	}
	wanted, f := parseSettings([]byte(`{"id":"c","partitionKey":{"paths":["/deviceId"],"kind":"Hash","version":2},` +
		`"indexingPolicy":{"includedPaths":[{"path":"/type/?"},{"path":"/deviceId/?"},{"path":"/createdAt/?"}],"excludedPaths":[{"path":"/*"}]},` +
		`"uniqueKeyPolicy":{"uniqueKeys":[{"paths":["/eventId"]}]}}`))
	if f != nil {
		b.Fatal(f)
	}
	p, err := wanted.properties()
	if err != nil {
		b.Fatal(err)
	}
	coll, err := s.known.createContainer(b.Context(), d, p, throughput{})
	if err != nil {
		b.Fatal(err)
	}
	return &call{srv: s, ctx: b.Context(), now: s.opts.Now(), db: d, coll: coll, in: headers{hasPartitionKey: true, minimal: true}}
}

// What an upsert in a transactional batch costs behind the HTTP server: reading
// the batch, the store, the answer.
func BenchmarkTransactionalUpserts(b *testing.B) {
	const size = 50
	c := benchmarkCall(b)
	c.in.batchAtomic = true
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		b.StopTimer()
		device := fmt.Sprintf("contoso://device-id-%d", n/size%1000)
		c.in.partitionKey = `["` + device + `"]`
		c.body = append(c.body[:0], '[')
		for i := range size {
			if i > 0 {
				c.body = append(c.body, ',')
			}
			c.body = append(c.body, `{"operationType":"Upsert","resourceBody":`...)
			c.body = append(append(c.body, event(device, n)...), '}')
			n++
		}
		c.body = append(c.body, ']')
		c.out = reply{body: c.out.body[:0], session: c.out.session[:0]}
		b.StartTimer()
		if err := c.batch(); err != nil || c.out.status != 200 {
			b.Fatalf("%v %s", err, c.out.body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/upsert")
}

// What parsing the batch and checking its items takes of that.
func BenchmarkParseBatch(b *testing.B) {
	const size = 50
	c := benchmarkCall(b)
	device := "contoso://device-id-154"
	c.in.partitionKey = `["` + device + `"]`
	c.body = append(c.body, '[')
	for i := range size {
		if i > 0 {
			c.body = append(c.body, ',')
		}
		c.body = append(append(append(c.body, `{"operationType":"Upsert","resourceBody":`...), event(device, i)...), '}')
	}
	c.body = append(c.body, ']')
	key, err := c.wholeKey()
	if err != nil {
		b.Fatal(err)
	}
	var ops []batchOp
	b.ReportAllocs()
	b.SetBytes(int64(len(c.body)))
	for b.Loop() {
		if ops, err = parseBatch(ops[:0], c.body); err != nil {
			b.Fatal(err)
		}
		for i := range ops {
			var op store.Op
			if err := c.prepareBatched(&ops[i], &op, &key, true); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/op-in-batch")
}

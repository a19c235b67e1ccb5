package cosmosdb_test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/cosmosdb/local"
	"millrace/record"
)

// BenchmarkWrite measures upserts of the usual events of 1000 devices into the
// stand-in, client and server in one process and on the same processors, with
// so many events of each device at once; and reading them back.
//
//	go test -run '^$' -bench Write -benchtime 5x ./connector/cosmosdb
func BenchmarkWrite(b *testing.B) {
	for _, each := range []int{1, 4, 10} {
		b.Run(fmt.Sprintf("each=%d", each), func(b *testing.B) {
			c := standin(b, local.Options{Throughput: -1})
			s := open(b, &c, env(newRun()))
			defer s.Close()
			if err := s.Prepare(b.Context()); err != nil {
				b.Fatal(err)
			}
			const devices = 1000
			var writes [][2]*connector.Write
			for n := range b.N {
				var w [2]*connector.Write
				for i := range w {
					w[i] = &connector.Write{Results: events(b, devices/2*each, func(e int) (int, int) { return i*500 + e%(devices/2), n*each + e/(devices/2) })}
				}
				writes = append(writes, w)
			}
			b.ResetTimer()
			before := processorTime(b)
			for _, w := range writes {
				var wg sync.WaitGroup
				for _, u := range w {
					wg.Go(func() {
						if _, err := s.Write(b.Context(), u); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
			}
			b.StopTimer()
			total := devices * each * b.N
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(total), "us-cpu/event")
			b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/write")
			begun, n := time.Now(), 0
			if err := s.Scan(b.Context(), func(*record.Stored) error { n++; return nil }); err != nil || n != total {
				b.Errorf("read %d of %d: %v", n, total, err)
			}
			b.ReportMetric(float64(n)/time.Since(begun).Seconds(), "read/s")
		})
	}
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// events are n events of the usual size; of says the device and the sequence
// number of each.
func events(t testing.TB, n int, of func(i int) (device, sequence int)) []record.Result {
	var members []string
	for i := range 23 {
		members = append(members, fmt.Sprintf(`"moreData%d":%d.%013d`, i, 10+i, 1234567890123-i))
	}
	complexData := strings.Join(members, ",")
	out := make([]record.Result, n)
	for i := range out {
		device, sequence := of(i)
		text := fmt.Sprintf(`{"eventId":"%08x-0000-4000-8000-%012x","complexData":{%s},"value":%d.5,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":%q,"createdAt":"2026-01-02T03:04:05.%06dZ"}`,
			device, sequence, complexData, 10+(device+sequence)%90, device, sequence, []string{"TEMP", "CO2"}[(device+sequence)%2], sequence%1_000_000)
		if err := out[i].Decode([]byte(text)); err != nil {
			t.Fatal(err)
		}
		out[i].EnqueuedAt, out[i].ProcessedAt = 1_750_000_000_000_000, 1_750_000_000_001_000
		out[i].Partition, out[i].Offset = int32(device%4), int64(sequence*1000+device)
	}
	return out
}

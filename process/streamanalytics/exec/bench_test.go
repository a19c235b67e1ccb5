package exec

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"millrace/process/streamanalytics/value"
)

// telemetry makes events of about 1 KB, of devices in turn, so many a second.
func telemetry(n, devices int, perSecond int64) ([][]byte, []int64) {
	rng := rand.New(rand.NewPCG(1, 2))
	out, times := make([][]byte, n), make([]int64, n)
	step := second / perSecond
	for i := range out {
		at := base + int64(i)*step
		times[i] = at
		b := make([]byte, 0, 1100)
		b = append(b, `{"eventId":"7c1e1a52-6a3f-4a1e-9d2b-`...)
		b = fmt.Appendf(b, `%012d","complexData":{`, i)
		for j := range 23 {
			if j > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, `"moreData%d":`, j)
			b = strconv.AppendFloat(b, 10+rng.Float64()*90, 'f', -1, 64)
		}
		b = append(b, `},"value":`...)
		b = strconv.AppendFloat(b, 10+rng.Float64()*90, 'f', -1, 64)
		b = fmt.Appendf(b, `,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":"%s","createdAt":"`, i%devices, i/devices, [2]string{"TEMP", "CO2"}[i%2])
		b = value.AppendTime(b, at)
		b = append(b, `"}`...)
		out[i] = b
	}
	return out, times
}

// benchmark pushes events, again and again, with times that go on.
func benchmark(b *testing.B, query string, devices int, perSecond int64, o Options) {
	const n = 20000
	events, times := telemetry(n, devices, perSecond)
	job := compile(b, query)
	rows := int64(0)
	buf := make([]byte, 0, 4096)
	o.OnRow = func(r *Row) error {
		rows++
		buf = r.AppendJSON(buf[:0])
		return nil
	}
	task, err := New(job, o)
	if err != nil {
		b.Fatal(err)
	}
	span := times[n-1] - base + second/perSecond
	b.SetBytes(int64(len(events[0])))
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime()
	ev := Event{}
	for i := range b.N {
		k := i % n
		at := times[k] + span*int64(i/n)
		for input := range job.Inputs {
			ev = Event{Input: input, Offset: int64(i), Arrival: at, Enqueued: at, Raw: events[k]}
			if err := task.Push(&ev); err != nil {
				b.Fatal(err)
			}
		}
	}
	used := processorTime() - before
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	// On a busy machine this says more.
	b.ReportMetric(float64(b.N)/used.Seconds(), "events/cpu-s")
	b.ReportMetric(float64(rows)/float64(b.N), "rows/event")
	b.ReportMetric(float64(task.StateBytes()), "state-bytes")
}

// processorTime is the time that the process has computed for.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkQueries(b *testing.B) {
	for _, bb := range []struct{ name, query string }{
		{"relay", "SELECT * FROM input"},
		{"relay-and-time", "SELECT *, System.Timestamp() AS at FROM input"},
		{"filter", "SELECT eventId, deviceId, value * 1.8 + 32 AS fahrenheit FROM input WHERE type = 'TEMP'"},
		{"tumbling", "SELECT deviceId, COUNT(*) AS n FROM input GROUP BY deviceId, TumblingWindow(second, 10)"},
		{"tumbling-avg", "SELECT deviceId, AVG(value) AS a, MIN(value) AS l, MAX(value) AS h FROM input GROUP BY deviceId, TumblingWindow(second, 10)"},
		{"hopping", "SELECT deviceId, AVG(value) AS a FROM input GROUP BY deviceId, HoppingWindow(second, 60, 5)"},
		{"sliding", "SELECT deviceId, COUNT(*) AS n FROM input GROUP BY deviceId, SlidingWindow(second, 10)"},
		{"session", "SELECT deviceId, COUNT(*) AS n FROM input GROUP BY deviceId, SessionWindow(second, 5, 60) OVER (PARTITION BY deviceId)"},
		{"join", "SELECT a.eventId AS l, b.eventId AS r FROM input a JOIN input b ON a.deviceId = b.deviceId AND DATEDIFF(second, a, b) BETWEEN 1 AND 2"},
		{"top-one", "SELECT deviceId, TOPONE() OVER (ORDER BY value DESC) AS top FROM input GROUP BY deviceId, TumblingWindow(second, 10)"},
		{"lag", "SELECT deviceId, value - LAG(value) OVER (PARTITION BY deviceId LIMIT DURATION(minute, 1)) AS change FROM input"},
		{"spike-and-dip", "SELECT deviceId, AnomalyDetection_SpikeAndDip(value, 95, 120, 'spikesanddips') OVER (PARTITION BY deviceId LIMIT DURATION(minute, 2)) AS s FROM input"},
	} {
		b.Run(bb.name, func(b *testing.B) { benchmark(b, bb.query, 1000, 1000, Options{MaxStateBytes: -1}) })
	}
}

// BenchmarkKeys shows what a key costs: events and memory of counting by device
// in a window that stays open.
func BenchmarkKeys(b *testing.B) {
	for _, bb := range []struct{ name, calls string }{
		{"count", "COUNT(*) AS n"},
		{"sum", "SUM(deviceSequenceNumber) AS s"},
		{"average", "AVG(value) AS a"},
		{"all", "COUNT(*) AS n, AVG(value) AS a, MIN(value) AS l, MAX(value) AS h"},
	} {
		for _, keys := range []int{1000, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s-%d", bb.name, keys), func(b *testing.B) { benchmarkKeys(b, bb.calls, keys) })
		}
	}
}

func benchmarkKeys(b *testing.B, calls string, keys int) {
	job := compile(b, "SELECT deviceId, "+calls+" FROM input GROUP BY deviceId, TumblingWindow(day, 1)")
	var perKey, state float64
	raw := make([]byte, 0, 200)
	for range b.N {
		task, err := New(job, Options{MaxStateBytes: -1})
		if err != nil {
			b.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 2 * keys {
			raw = fmt.Appendf(raw[:0], `{"deviceId":"contoso://device-id-%d","value":%d.25,"deviceSequenceNumber":%d}`, i%keys, i%977, i)
			if err := task.Push(&Event{Offset: int64(i), Arrival: base, Enqueued: base, Raw: raw}); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		perKey = float64(after.HeapAlloc-before.HeapAlloc) / float64(keys)
		state = float64(task.StateBytes()) / float64(keys)
		runtime.KeepAlive(task)
	}
	b.ReportMetric(float64(2*keys*b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(perKey, "heap-bytes/key")
	b.ReportMetric(state, "state-bytes/key")
}

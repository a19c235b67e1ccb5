package report

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"millrace/internal/metrics"
	"millrace/record"
	"millrace/verify"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update to create it", err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; if that is wanted, run the test with -update\n%s", path, got)
	}
}

var began = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

// sampleRun is a minute at 10,000 events a second.
func sampleRun() (Run, *verify.Verdict) {
	run := Run{
		Solution: "hdinsightkafka-databricks-sqldw", Title: "Kafka on HDInsight, Databricks, SQL Data Warehouse",
		ID: "20260504-100000", Seed: 42, Scale: 10,
		Engine: "embedded (for databricks)", Ingest: "kafka 127.0.0.1:9092 topic telemetry",
		Serve: "duckdb /data/store.duckdb table events", Layout: "columnstore", Partitions: 16,
		Started: began.Add(-2 * time.Second), Wall: 67 * time.Second, Rate: 10000,
		Machine: Machine{CPUs: 2, Model: "Example CPU", MemoryBytes: 8 << 30, OS: "linux/amd64", Go: "go1.26.0", Commit: "0123456789ab"},
		Configuration: "# solution.yaml\ningest:\n  kind: kafka\n  topic: telemetry # default\n" +
			"  sasl:\n    password: '***' # KAFKA_PASSWORD\nserve:\n  kind: sqldb\n",
		Measured: verify.Measured{
			Wall: 67 * time.Second, PeakRSSBytes: 412 << 20, CPUSeconds: 48.3,
			Commit: verify.Percentiles{Count: 240, Mean: 31 * time.Millisecond, P50: 28 * time.Millisecond,
				P95: 61 * time.Millisecond, P99: 92 * time.Millisecond, P999: 120 * time.Millisecond, Max: 120 * time.Millisecond},
		},
	}
	v := &verify.Verdict{
		Events: verify.Events{
			Offered: 606600, Sent: 606600, Unique: 600000, InjectedDuplicates: 600, Malformed: 6000,
			Stored: 600000, DeadLettered: 6000,
		},
		Fates:       verify.Fates{ServedOnce: 600000},
		DeadLetters: verify.DeadLetters{Matched: 6000, ByReason: map[record.Reason]int64{record.NotJSON: 3000, record.MissingField: 3000}},
		Throughput: verify.Throughput{
			Rate: 10000, Interval: 5 * time.Second, Warmup: 5 * time.Second, FirstSent: record.Micros(began),
			LastSent: record.Micros(began.Add(time.Minute)), LastStored: record.Micros(began.Add(60200 * time.Millisecond)),
			SentPerSecond: 10110, StoredPerSecond: 9998.4, MinPerSecond: 9950.2,
		},
		Latency: verify.Latency{
			EndToEnd: percentiles(180), Ingest: percentiles(9), Process: percentiles(60), Serve: percentiles(110),
		},
	}
	for i := range 13 {
		out, wave := int64(50000), 10*math.Sin(float64(i))
		if i == 12 {
			out = 0
		}
		v.Throughput.Intervals = append(v.Throughput.Intervals, verify.Interval{
			At: record.Micros(began.Add(time.Duration(i) * 5 * time.Second)), In: out, Out: out, Warm: i > 0,
			P50: time.Duration((80 + wave) * float64(time.Millisecond)), P99: time.Duration((170 + 3*wave) * float64(time.Millisecond)),
		})
	}
	for i := range 64 {
		n := min(int64(i), 60) * 10110
		run.Samples = append(run.Samples, metrics.Sample{
			At: began.Add(time.Duration(i) * time.Second), Phase: metrics.Streaming, Rate: 10000,
			Offered: n, Sent: n, Acked: n, Unique: n, SentBytes: n * 931,
			Processed: max(0, n-700), Duplicates: n / 1011, Stored: max(0, n-1500) * 600 / 606, StoredBytes: n * 940,
			Backlog: 1500 + int64(900*math.Sin(float64(i)/3)), RSSBytes: 400 << 20,
		})
	}
	return run, v
}

func percentiles(p99 float64) verify.Percentiles {
	d := func(share float64) time.Duration { return time.Duration(share * p99 * float64(time.Millisecond)) }
	return verify.Percentiles{Count: 600000, Mean: d(.5), P50: d(.45), P95: d(.8), P99: d(1), P999: d(1.3), Max: d(1.7)}
}

var thresholds = []verify.Threshold{
	{Check: "throughput.stored >= 99% of rate", When: verify.Paced},
	{Check: "latency.endToEnd.p99 < 1s"},
	{Check: "unsent == 0"},
	{Check: "memory.peak < 700MB"},
	{Check: "deadLettered == malformed"},
}

func passing(t testing.TB) *Report {
	t.Helper()
	run, v := sampleRun()
	if err := v.Judge(thresholds, run.Measured); err != nil {
		t.Fatal(err)
	}
	return New(run, v)
}

// failing is the same run with something of everything wrong.
func failing(t testing.TB) *Report {
	t.Helper()
	run, v := sampleRun()
	e := &v.Events
	e.Unsent, e.Missing, e.Duplicates, e.Unexpected, e.Corrupted, e.OutOfSequence = 1200, 312, 41, 2, 7, 19
	e.Sent -= 1200
	e.Stored = 600000 - 312 + 41 + 2
	e.InDoubt, e.InDoubtServed = 5, 3
	v.Fates = verify.Fates{ServedOnce: 599650, ServedMany: 41, Lost: 312, NotArrived: 2}
	v.DeadLetters.Matched, v.DeadLetters.WrongReason, v.DeadLetters.Missing = 5998, 2, 1
	v.Latency.EndToEnd = percentiles(2400)
	v.Throughput.StoredPerSecond, v.Throughput.MinPerSecond = 9611.2, 3120
	for i := range v.Throughput.Intervals {
		if x := &v.Throughput.Intervals[i]; i >= 5 && i <= 7 {
			x.Out, x.P50, x.P99 = 15600, 900*time.Millisecond, time.Duration(1400+500*(i-5))*time.Millisecond
		}
	}
	run.Limits = &Limits{MessagesInPerSecond: 10000, BytesInPerSecond: 10 << 20, MessagesOutPerSecond: 40960, BytesOutPerSecond: 20 << 20}
	v.Examples = []verify.Example{
		{Kind: verify.KindMissing, EventID: "4b1f6f0e-6b0e-4b6c-9a51-0f0b8d1f2a33", Device: "contoso://device-id-154", Sequence: 412,
			Partition: -1, Offset: -1, Detail: "created 2026-05-04T10:00:27.120334Z, acknowledged by the log, in no row and no dead letter"},
		{Kind: verify.KindDuplicate, EventID: "0c9a1d52-51c5-4f3f-8a55-6f9c03c1a7d1", Device: "contoso://device-id-7", Sequence: 91,
			Partition: 3, Offset: 40211, Detail: "a second row of the event; another one came from partition 3, offset 39820"},
		{Kind: verify.KindCorrupted, EventID: "9e107d9d-372b-4c6f-8e4a-1f0c2d3b4a59", Device: "contoso://device-id-<b>12</b>", Sequence: 5,
			Partition: 0, Offset: 17, Detail: `deviceId is "contoso://device-id-<b>12</b>", sent was "contoso://device-id-12"`},
		{Kind: verify.KindLetterReason, Sequence: -1, Partition: 2, Offset: 771, Detail: "given up as wrong-type, was sent to be given up as not-json"},
	}
	if err := v.Judge(thresholds, run.Measured); err != nil {
		t.Fatal(err)
	}
	return New(run, v)
}

// broken is a run that failed before anything was verified.
func broken() *Report {
	run, _ := sampleRun()
	run.Failure = errors.New("cannot reach kafka://ingest:hunter2@10.0.0.4:9092: connection refused")
	run.Samples = run.Samples[:21]
	run.Limits = nil
	return New(run, nil)
}

// unverified is a run that ended in good order without being verified.
func unverified() *Report {
	run, _ := sampleRun()
	return New(run, nil)
}

// continued is a run that was interrupted for a while.
func continued(t testing.TB) *Report {
	t.Helper()
	run, v := sampleRun()
	v.Continued, v.Throughput.StoredPerSecond = true, 5000
	if err := v.Judge(thresholds, run.Measured); err != nil {
		t.Fatal(err)
	}
	return New(run, v)
}

// charged is a run into a store that charges for what it does, and was
// given a quarter of the request units that the rate takes.
func charged(t testing.TB) *Report {
	t.Helper()
	run, v := sampleRun()
	run.Solution, run.Title, run.ID = "eventhubs-databricks-cosmosdb", "Event Hubs, Databricks, Cosmos DB", "20260504-110000"
	run.Ingest, run.Serve, run.Layout = "event hub telemetry at 127.0.0.1:5672 (embedded)", "cosmosdb 127.0.0.1:8081 streaming/events", ""
	run.Partitions = 8
	run.StoreLimits = &Limits{Units: 20000, Unit: "request unit", Setting: "serve.throughput", Step: 100}
	run.Measured.Throttled, run.Measured.Retries = 41207, 12
	for i := range run.Samples {
		s := &run.Samples[i]
		s.Duplicates, s.StoreDuplicates = 0, s.Stored/1000
		s.Throttled, s.StoreThrottled = int64(i)*654, int64(i)*654
		s.Charge = 7.81 * float64(s.Stored)
	}
	v.Throughput.StoredPerSecond, v.Throughput.MinPerSecond = 2561, 2540
	v.Latency.EndToEnd, v.Latency.Serve = percentiles(176000), percentiles(175800)
	if err := v.Judge(thresholds, run.Measured); err != nil {
		t.Fatal(err)
	}
	return New(run, v)
}

// archive is a run into a raw archive, and one whose archive is not right.
func archive(t testing.TB, right bool) *Report {
	t.Helper()
	run, v := sampleRun()
	run.Serve, run.Layout = "capture archive of hub telemetry in folder /data/archive/capture", ""
	for i := range run.Samples {
		run.Samples[i].Duplicates = 0 // nothing is processed
	}
	v.Events.DeadLettered, v.DeadLetters = 0, verify.DeadLetters{}
	v.Raw = &verify.Raw{Rows: 606600, Expected: 606600, Matched: 606600, Malformed: 6000}
	v.Latency = verify.Latency{EndToEnd: percentiles(9800)}
	if !right {
		v.Raw = &verify.Raw{Rows: 606603, Expected: 606600, Matched: 606598, Missing: 2, InDoubt: 1, Retried: 1, Surplus: 3, Unknown: 2, Overlaps: 1, Malformed: 6000}
		v.Examples = []verify.Example{{Kind: verify.KindRawSurplus, Sequence: -1, Partition: 4, Offset: 7120, Detail: "a record that nobody sent: not-json: there is nothing"}}
	}
	if err := v.Judge(thresholds[:1], run.Measured); err != nil {
		t.Fatal(err)
	}
	return New(run, v)
}

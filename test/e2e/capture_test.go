package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/internal/testservice"
	"millrace/ui/report"
)

const capturing = "eventhubs-capture"

// unpacedCapture has windows that end soon, and no units that hold it back.
func unpacedCapture(events string, more ...string) []string {
	return append([]string{"run", capturing, "--json", "--events", events, "--rate", "0",
		"--set", "ingest.throughputUnits=0", "--set", "process.interval=3s"}, more...)
}

// captured runs the solution, and expects that the archive has every event.
func captured(t *testing.T, env []string, n int64, args ...string) *report.Report {
	t.Helper()
	r := judged(t, 0, env, args...)
	archiveExact(t, r, n)
	return r
}

// judged runs the program and returns its report.
func judged(t *testing.T, wantCode int, env []string, args ...string) *report.Report {
	t.Helper()
	out, errs, code := run(t, append([]string{"KAFKA_BROKERS=", "STORAGE_CONNECTION_STRING=", "EVENTHUBS_CONNECTION_STRING="}, env...), args...)
	if code != wantCode {
		t.Fatalf("exit code %d, want %d\n%s\n%s", code, wantCode, errs, out)
	}
	r := &report.Report{}
	if err := json.Unmarshal([]byte(out), r); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s", err, out)
	}
	return r
}

// archiveExact fails the test unless n events were sent, each is in the view
// once, and the archive holds every send and nothing else.
func archiveExact(t *testing.T, r *report.Report, n int64) {
	t.Helper()
	e, raw := r.Events, r.Raw
	if raw == nil {
		t.Fatalf("the raw archive was not judged: %s", r.Reason)
	}
	if e.Unique != n || e.Stored != n || e.Missing+e.Duplicates+e.Unexpected+e.Corrupted+e.OutOfSequence != 0 || e.InjectedDuplicates == 0 ||
		raw.Rows != e.Sent || raw.Matched != e.Sent || raw.Missing+raw.Surplus+raw.Retried+raw.Gaps+raw.Overlaps != 0 || raw.Malformed != e.Malformed {
		t.Errorf("%s: %+v %+v", r.Reason, e, *raw)
	}
}

// TestCaptureEmbedded: nothing installed, and the archive answers SQL.
func TestCaptureEmbedded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	r := captured(t, nil, 30_000, unpacedCapture("30000", "--malformed", "0.001", "--data-dir", dir)...)
	if r.Events.Malformed == 0 || !strings.Contains(r.Ingest, "embedded") {
		t.Errorf("%d malformed, ingest %q", r.Events.Malformed, r.Ingest)
	}
	for sql, want := range map[string]int64{
		"SELECT count(*) FROM events":                             r.Events.Sent,
		"SELECT count(*) FROM unique_events":                      30_000,
		"SELECT count(*) FROM archive('*/*/*/*/*/*')":             r.Events.Sent,
		"SELECT count(DISTINCT deviceId) FROM unique_events":      1000,
		"SELECT count(*) FROM events WHERE BodyError IS NOT NULL": -1,
	} {
		out, errs, code := run(t, nil, "query", capturing, sql, "--data-dir", dir, "--csv")
		lines := strings.Fields(out)
		if code != 0 || len(lines) < 2 {
			t.Errorf("%s: exit code %d\n%s%s", sql, code, out, errs)
			continue
		}
		got, err := strconv.ParseInt(lines[len(lines)-1], 10, 64)
		if err != nil || want >= 0 && got != want || want < 0 && got == 0 {
			t.Errorf("%s: %s, want %d", sql, out, want)
		}
	}
}

// TestCaptureOnStorage: onto a storage account.
func TestCaptureOnStorage(t *testing.T) {
	t.Parallel()
	r := captured(t, []string{"STORAGE_CONNECTION_STRING=" + testservice.Azurite(t)}, 20_000,
		unpacedCapture("20000", "--cleanup", "--set", "process.codec=deflate")...)
	if strings.Contains(r.Serve, "folder") {
		t.Errorf("serve %q", r.Serve)
	}
}

// TestCaptureOverKafka: the hubs' events are kept in Apache Kafka.
func TestCaptureOverKafka(t *testing.T) {
	t.Parallel()
	captured(t, []string{"KAFKA_BROKERS=" + testservice.Kafka(t).Brokers}, 20_000, unpacedCapture("20000", "--cleanup")...)
}

// TestThrottled: one throughput unit for twice as many events. The run is
// exact all the same, misses its rate, and says how many units it takes.
func TestThrottled(t *testing.T) {
	t.Parallel()
	r := judged(t, 99, nil, "run", capturing, "--json", "--rate", "2000", "--duration", "16s",
		"--set", "ingest.throughputUnits=1", "--set", "process.interval=2s")
	archiveExact(t, r, 32_000)
	var waiting int64
	for _, x := range r.Throughput.PerInterval {
		waiting = max(waiting, x.Waiting)
	}
	if r.Resources.Throttled == 0 || waiting < 2000 || r.Limits == nil || r.Limits.MessagesInPerSecond != 1000 ||
		!strings.Contains(strings.Join(r.Hints, "\n"), "ingest.throughputUnits=3") {
		t.Errorf("throttled %d, %d waiting, limits %+v, hints %v", r.Resources.Throttled, waiting, r.Limits, r.Hints)
	}
}

// TestEventHubsKilled: the service is killed and started again in the middle
// of a run. Its clients come back by themselves, Capture continues where it
// was, and nothing acknowledged is lost or there twice.
func TestEventHubsKilled(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	dir, config, archive := filepath.Join(tmp, "hubs"), filepath.Join(tmp, "Config.json"), filepath.Join(tmp, "archive")
	const hubs = `{"UserConfig": {"NamespaceConfig": [{"Type": "EventHub", "Name": "millrace", "Entities": [
		{"Name": "telemetry-killed", "PartitionCount": 2, "Capture": {"Enabled": true, "IntervalInSeconds": 2,
		 "Destination": {"Name": "EventHubArchive.AzureBlockBlob", "Properties": {"BlobContainer": "capture"}}}}]}]}}`
	if err := os.WriteFile(config, []byte(hubs), 0o600); err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(testservice.Port(t))
	first := serveHubs(t, nil, dir, "--config", config, "--storage", archive, "--port", port)
	b := begin(t, []string{"KAFKA_BROKERS=", "EVENTHUBS_CONNECTION_STRING=" + first.spaces[0].Connection, "STORAGE_CONNECTION_STRING=" + archive},
		"run", capturing, "--json", "--run", "killed", "--events", "60000", "--rate", "5000")
	b.until(t, "millrace_simulate_acknowledged_messages_total", 1)
	last := first
	for range 3 {
		time.Sleep(time.Duration(500+rand.IntN(2000)) * time.Millisecond)
		_ = last.cmd.Process.Kill()
		_ = last.cmd.Wait()
		last = serveHubs(t, nil, dir, "--config", config, "--storage", archive, "--port", port)
	}
	// The exit code is about rate and latency, which an outage misses.
	_ = b.Wait()
	r := &report.Report{}
	if err := json.Unmarshal(b.out.Bytes(), r); err != nil {
		t.Fatalf("%v\n%s\n%s", err, b.errs.String(), b.out.String())
	}
	archiveExact(t, r, 60_000)
	if r.Failure != "" {
		t.Error(r.Failure)
	}
	fmt.Fprintln(t.Output(), r.Reason)
}

// TestRelayFromEventHubs: any solution may read from Event Hubs.
func TestRelayFromEventHubs(t *testing.T) {
	t.Parallel()
	r := judged(t, 0, nil, "run", solution, "--json", "--events", "20000", "--rate", "0", "--set", "ingest.kind=eventhubs")
	exact(t, r, 20_000)
}

// TestRelayFromKafkaEndpoint: Kafka clients of Event Hubs are served from the
// same log.
func TestRelayFromKafkaEndpoint(t *testing.T) {
	t.Parallel()
	h := serveHubs(t, nil, filepath.Join(t.TempDir(), "hubs"))
	r := judged(t, 0, []string{"KAFKA_BROKERS=" + h.spaces[0].Kafka, "KAFKA_USERNAME=$ConnectionString", "KAFKA_PASSWORD=" + h.spaces[0].Connection},
		"run", solution, "--json", "--events", "30000", "--rate", "0")
	exact(t, r, 30_000)
}

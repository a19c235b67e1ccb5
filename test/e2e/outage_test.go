package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/internal/testservice"
	"millrace/ui/report"
)

// ownService starts a second server of a kind, for a test that stops it under
// the feet of a run, and returns its address and its switch.
func ownService(t *testing.T, name, key string) (address string, turn func(verb string)) {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("..", "services", name+".sh"))
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: a server's own user must be able to reach it.
	dir, err := os.MkdirTemp("/var/tmp", "millrace-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if name == "kafka" { // the jars that the first server has
		jars := strings.TrimSuffix(testservice.Kafka(t).Classpath, "/*")
		if err := os.MkdirAll(filepath.Join(dir, "kafka"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(jars, filepath.Join(dir, "kafka", "jars")); err != nil {
			t.Fatal(err)
		}
	}
	turn = func(verb string) {
		t.Helper()
		cmd := exec.Command(script, verb)
		cmd.Env = append(os.Environ(), "MILLRACE_SERVICES_DIR="+dir, "MILLRACE_POSTGRES_PORT=", "KAFKA_TEST_PORT=",
			"KAFKA_TEST_SASL_PORT=", "KAFKA_TEST_TLS_PORT=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s %s: %v\n%s", name, verb, err, out)
		}
	}
	turn("start")
	text, err := os.ReadFile(filepath.Join(dir, name+".env"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		turn("stop")
		os.RemoveAll(dir)
	})
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			return strings.Trim(value, `'"`), turn
		}
	}
	t.Fatalf("no %s in %s", key, text)
	return "", nil
}

// survive runs a solution, calls disturb in the middle, and expects that
// nothing came of it but time.
func survive(t *testing.T, env []string, events int64, disturb func(), args ...string) *report.Report {
	t.Helper()
	b := begin(t, env, append([]string{"run", solution, "--json"}, args...)...)
	b.until(t, "millrace_serve_stored_rows_total", 1)
	disturb()
	if err := b.Wait(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, b.errs.String(), b.out.String())
	}
	r := &report.Report{}
	if err := json.Unmarshal(b.out.Bytes(), r); err != nil {
		t.Fatal(err)
	}
	exact(t, r, events)
	return r
}

// unpaced leaves out the thresholds of rate and latency, which an outage
// misses by nature.
func unpaced(events string) []string {
	return []string{"--rate", "0", "--events", events, "--set", "simulate.devices=500"}
}

// TestPostgresGoesAway: the store is stopped, killed and started in the middle
// of a run, which waits for it and loses nothing.
func TestPostgresGoesAway(t *testing.T) {
	t.Parallel()
	url, turn := ownService(t, "postgres", "MILLRACE_TEST_POSTGRES")
	r := survive(t, []string{"SQL_URL=" + url}, 400_000, func() {
		turn("stop")
		time.Sleep(3 * time.Second)
		turn("start")
		time.Sleep(time.Second)
		turn("kill")
		turn("start")
	}, unpaced("400000")...)
	if r.Resources.Retries == 0 {
		t.Error("no write was tried again, so the outage was not noticed")
	}
}

// TestKafkaRestarts: the broker is killed and started again in the middle of a
// run, under the simulator and the worker.
func TestKafkaRestarts(t *testing.T) {
	t.Parallel()
	brokers, turn := ownService(t, "kafka", "MILLRACE_TEST_KAFKA")
	survive(t, []string{"KAFKA_BROKERS=" + brokers}, 400_000, func() {
		turn("kill")
		turn("start")
	}, unpaced("400000")...)
}

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hubs is a running `millrace local eventhubs`.
type hubs struct {
	cmd    *exec.Cmd
	errs   *bytes.Buffer
	spaces []struct {
		Namespace  string `json:"namespace"`
		Connection string `json:"connectionString"`
		Kafka      string `json:"kafkaBootstrapServers"`
		HTTP       string `json:"http"`
	}
}

// serveHubs starts the program and waits until it says where it is.
func serveHubs(t *testing.T, env []string, dir string, args ...string) *hubs {
	t.Helper()
	h := &hubs{errs: &bytes.Buffer{}}
	h.cmd = command(t, append([]string{"KAFKA_BROKERS=", "STORAGE_CONNECTION_STRING="}, env...), append([]string{"local", "eventhubs", "--json", "--data-dir", dir,
		"--port", "0", "--kafka-port", "0", "--http-port", "0"}, args...)...)
	h.cmd.Stderr = h.errs
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		_ = h.cmd.Wait()
		t.Fatalf("it did not start: %v\n%s", err, h.errs)
	}
	var said struct {
		Namespaces json.RawMessage `json:"namespaces"`
	}
	if err := json.Unmarshal(line, &said); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(said.Namespaces, &h.spaces); err != nil {
		t.Fatal(err)
	}
	return h
}

// client runs a command against the namespace.
func (h *hubs) client(t *testing.T, space int, wantCode int, args ...string) string {
	t.Helper()
	out, errs, code := run(t, []string{"EVENTHUBS_CONNECTION_STRING=" + h.spaces[space].Connection}, append([]string{"local", "eventhubs"}, args...)...)
	if code != wantCode {
		t.Fatalf("%v: exit %d, want %d\n%s%s\n%s", args, code, wantCode, out, errs, h.errs)
	}
	return out + errs
}

func (h *hubs) get(t *testing.T, path string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.spaces[0].HTTP+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, body)
	}
	return string(body)
}

// TestLocalEventHubs: what was sent is there after kill -9, seen by the same
// commands, with hubs and groups.
func TestLocalEventHubs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "hubs")
	h := serveHubs(t, nil, dir)
	h.client(t, 0, 0, "hubs", "create", "orders", "--partitions", "3")
	h.client(t, 0, 1, "hubs", "create", "orders")
	h.client(t, 0, 0, "groups", "create", "orders", "billing")
	h.client(t, 0, 0, "send", "orders", `{"id":1}`, `{"id":2}`, "--key", "customer-7", "--property", "source=test")
	for i := range 5 {
		h.client(t, 0, 0, "send", "orders", fmt.Sprintf(`{"id":%d}`, 3+i))
	}
	if got := h.get(t, "health"); !strings.Contains(got, `"healthy"`) {
		t.Errorf("health: %s", got)
	}
	if !strings.Contains(h.get(t, ""), "<title>Event Hubs") {
		t.Error("there is no explorer")
	}
	before := h.client(t, 0, 0, "peek", "orders", "--from", "earliest", "--count", "100", "--json")
	if n := strings.Count(before, "\n"); n != 7 {
		t.Fatalf("%d events:\n%s", n, before)
	}
	if !strings.Contains(before, `"partitionKey":"customer-7"`) || !strings.Contains(before, `"properties":{"source":"test"}`) {
		t.Errorf("key and properties: %s", before)
	}
	newest := h.client(t, 0, 0, "peek", "orders", "--count", "1")
	if !strings.Contains(newest, `{"id":7}`) || strings.Count(newest, "\n") != 1 {
		t.Errorf("the newest event: %s", newest)
	}
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.cmd.Wait()
	h.client(t, 0, 3, "hubs", "list")

	h = serveHubs(t, nil, dir)
	if after := h.client(t, 0, 0, "peek", "orders", "--from", "earliest", "--count", "100", "--json"); after != before {
		t.Errorf("after the restart:\n%s\nbefore:\n%s", after, before)
	}
	if list := h.client(t, 0, 0, "groups", "list", "orders"); !strings.Contains(list, "billing") {
		t.Errorf("groups after the restart: %s", list)
	}
	h.client(t, 0, 0, "hubs", "delete", "orders")
	h.client(t, 0, 1, "peek", "orders")
	if err := h.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Errorf("it did not end well: %v\n%s", err, h.errs)
	}
}

const hubsConfig = `{"UserConfig": {"NamespaceConfig": [
  {"Type": "EventHub", "Name": "emulatorNs1", "Entities": [
    {"Name": "eh1", "PartitionCount": "2", "ConsumerGroups": [{"Name": "cg1"}]},
    {"Name": "filed", "PartitionCount": 1, "Capture": {"IntervalInSeconds": 1, "SkipEmptyArchives": true,
      "Destination": {"Properties": {"BlobContainer": "archive"}}}}]},
  {"Type": "EventHub", "Name": "second", "ThroughputUnits": 1, "Entities": [{"Name": "eh1", "PartitionCount": 4}]}],
  "LoggingConfig": {"Type": "File"}}}`

// TestLocalEventHubsConfigured: the official emulator's configuration, with two
// namespaces, Capture and a key.
func TestLocalEventHubsConfigured(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	dir, config, key := filepath.Join(tmp, "hubs"), filepath.Join(tmp, "Config.json"), filepath.Join(tmp, "key")
	if err := errors.Join(os.WriteFile(config, []byte(hubsConfig), 0o600), os.WriteFile(key, []byte("hush-hush\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	h := serveHubs(t, nil, dir, "--config", config, "--key-file", key)
	if len(h.spaces) != 2 || !strings.Contains(h.spaces[0].Connection, "SharedAccessKey=***;") || h.spaces[0].Kafka == h.spaces[1].Kafka {
		t.Fatalf("%+v", h.spaces)
	}
	if got := h.client(t, 0, 1, "hubs", "list"); !strings.Contains(got, "refuses the key") {
		t.Errorf("with another key: %s", got)
	}
	for i := range h.spaces {
		h.spaces[i].Connection = strings.Replace(h.spaces[i].Connection, "***", "hush-hush", 1)
	}
	first, second := h.client(t, 0, 0, "hubs", "list"), h.client(t, 1, 0, "hubs", "list")
	if !strings.Contains(first, "filed") || strings.Contains(second, "filed") || !strings.Contains(second, "eh1") {
		t.Errorf("hubs: %s\nand %s", first, second)
	}
	if groups := h.client(t, 0, 0, "groups", "list", "eh1"); !strings.Contains(groups, "cg1") {
		t.Errorf("groups: %s", groups)
	}
	h.client(t, 0, 0, "send", "eh1", "first")
	h.client(t, 1, 0, "send", "eh1", "second")
	if got := h.client(t, 1, 0, "peek", "eh1"); !strings.HasSuffix(got, " second\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("the second namespace: %s", got)
	}
	h.client(t, 0, 0, "send", "filed", "to be kept")
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		found, err := filepath.Glob(filepath.Join(dir, "capture", "archive", "emulatorNs1", "filed", "0", "*", "*", "*", "*", "*", "*.avro"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing was captured\n%s", h.errs)
		}
	}
}

// TestLocalEventHubsMistakes: one clear sentence, and the right exit code.
func TestLocalEventHubsMistakes(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(tmp, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	h := serveHubs(t, nil, filepath.Join(tmp, "running"))
	taken := h.spaces[0].Kafka[strings.LastIndex(h.spaces[0].Kafka, ":")+1:]
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"port taken":    {[]string{"--port", taken}, 3, "port " + taken + " is taken"},
		"kafka's port":  {[]string{"--kafka-port", taken}, 3, "port " + taken + " is taken"},
		"http port":     {[]string{"--http-port", taken}, 3, "port " + taken + " is taken"},
		"folder in use": {[]string{"--data-dir", filepath.Join(tmp, "running")}, 3, "is serving this data directory"},
		"no such file":  {[]string{"--config", filepath.Join(tmp, "none")}, 2, "there is no file"},
		"not JSON":      {[]string{"--config", write("a.json", "{\n  \"UserConfig\": {,}\n}")}, 2, "a.json:2: this is not JSON"},
		"misspelt":      {[]string{"--config", write("b.json", strings.Replace(hubsConfig, `"PartitionCount": 1`, `"PartitonCount": 1`, 1))}, 2, "b.json:4: the entity has no field PartitonCount; did you mean PartitionCount?"},
		"a name":        {[]string{"--config", write("c.json", strings.Replace(hubsConfig, "eh1", "e h", 1))}, 2, "is not a name for a hub"},
		"not a key":     {[]string{"--key-file", write("d", "a\nb\n")}, 2, "does not hold a key"},
		"half of TLS":   {[]string{"--tls-cert", write("e", "x")}, 2, "belong together"},
		"not TLS":       {[]string{"--tls-cert", write("f", "x"), "--tls-key", write("g", "y")}, 2, "cannot use"},
		"secret shown":  {[]string{"--storage", "AccountName=a;AccountKey=b"}, 2, "--storage takes no connection string"},
	} {
		args := append([]string{"local", "eventhubs", "--data-dir", filepath.Join(tmp, strings.ReplaceAll(name, " ", "-")), "--port", "0", "--kafka-port", "0", "--http-port", "0"}, c.args...)
		out, errs, code := run(t, []string{"KAFKA_BROKERS=", "STORAGE_CONNECTION_STRING="}, args...)
		if code != c.code || !strings.Contains(errs, c.want) || !strings.HasPrefix(errs, "millrace: ") || strings.Count(errs, "\n") > 2 || out != "" {
			t.Errorf("%s: exit %d, want %d\n%s%s", name, code, c.code, out, errs)
		}
	}
}

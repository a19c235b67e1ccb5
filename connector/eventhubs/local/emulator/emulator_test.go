package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/eventhubs/local/hub"
	kafkalocal "millrace/connector/kafka/local"
)

// broker starts a log.
func broker(t *testing.T) string {
	t.Helper()
	log, err := kafkalocal.Start(t.Context(), kafkalocal.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log.Address()
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func hostOf(connection string) string {
	rest, _ := strings.CutPrefix(connection, "Endpoint=sb://")
	host, _, _ := strings.Cut(rest, ";")
	return host
}

func TestStart(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Brokers: []string{broker(t)}, DataDir: t.TempDir(), Key: "hush", Namespaces: []NamespaceConfig{
		{NamespaceSpec: hub.NamespaceSpec{Name: "first", Hubs: []hub.Spec{{Name: "a", Partitions: 2}}}},
		{NamespaceSpec: hub.NamespaceSpec{Name: "second", Hubs: []hub.Spec{{Name: "b", Partitions: 1}}}},
	}})
	first, second := s.Endpoints("first"), s.Endpoints("second")
	if first.AMQP != s.Address() || !strings.Contains(first.AMQP, "SharedAccessKey=hush;") || first.AMQP == second.AMQP || first.Kafka == "" || first.Kafka == second.Kafka || first.HTTP != s.HTTPAddress() {
		t.Errorf("%+v %+v", first, second)
	}
	// The same answers come from all ports, each for its own namespace.
	for url, namespace := range map[string]string{s.HTTPAddress(): "first", "http://" + hostOf(first.AMQP) + "/": "first", "http://" + hostOf(second.AMQP) + "/": "second"} {
		status, body := get(t, url+"api")
		var o struct {
			Namespace  string
			KeyNeeded  bool
			Namespaces []struct{ Endpoints map[string]string }
		}
		if err := json.Unmarshal([]byte(body), &o); status != 200 || err != nil || o.Namespace != namespace || !o.KeyNeeded || len(o.Namespaces) != 2 {
			t.Errorf("%s: %d %s", url, status, body)
		}
		if strings.Contains(body, "hush") || !strings.Contains(body, "SharedAccessKey=***") {
			t.Errorf("%s shows the key: %s", url, body)
		}
		if status, body := get(t, url+"health"); status != 200 || !strings.Contains(body, `"healthy"`) {
			t.Errorf("%s: %d %s", url, status, body)
		}
	}
}

// What is not said in the log survives in the data directory.
func TestStateSurvives(t *testing.T) {
	t.Parallel()
	o := Options{Brokers: []string{broker(t)}, DataDir: t.TempDir(), KafkaPort: NoPort, HTTPPort: NoPort}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s.HTTPAddress() != "" || s.Endpoints("millrace").Kafka != "" {
		t.Errorf("%+v", s.Endpoints("millrace"))
	}
	if _, err := s.Cluster().Default().CreateHub(t.Context(), hub.Spec{Name: "h", Partitions: 2, Groups: []string{"g"}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = start(t, o)
	h, err := s.Cluster().Default().Hub(t.Context(), "h")
	if err != nil {
		t.Fatal(err)
	}
	if i := h.Info(); i.Partitions != 2 || len(i.Groups) != 2 {
		t.Errorf("%+v", i)
	}
}

func TestStartThatFails(t *testing.T) {
	t.Parallel()
	brokers := []string{broker(t)}
	running := start(t, Options{Brokers: brokers})
	var taken int
	if _, err := fmt.Sscanf(running.HTTPAddress(), "http://127.0.0.1:%d/", &taken); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	captured := []NamespaceConfig{{NamespaceSpec: hub.NamespaceSpec{Name: "n", Hubs: []hub.Spec{{Name: "h", Capture: &hub.CaptureSpec{Enabled: true}}}}}}
	for name, c := range map[string]struct {
		o           Options
		unreachable bool
		want        string
	}{
		"AMQP port":  {Options{Brokers: brokers, Port: taken}, true, "is taken"},
		"Kafka port": {Options{Brokers: brokers, KafkaPort: taken}, true, "is taken"},
		"HTTP port":  {Options{Brokers: brokers, HTTPPort: taken}, true, "is taken"},
		"log":        {Options{Brokers: []string{"127.0.0.1:1"}}, true, "the log"},
		"data":       {Options{Brokers: brokers, DataDir: filepath.Join(file, "x")}, false, "cannot use the data directory"},
		"a name":     {Options{Brokers: brokers, Namespaces: []NamespaceConfig{{NamespaceSpec: hub.NamespaceSpec{Name: "a.b"}}}}, false, "not a name"},
		"storage":    {Options{Brokers: brokers, Namespaces: captured}, false, "there is no storage"},
	} {
		s, err := Start(t.Context(), c.o)
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: it started", name)
			continue
		}
		var away *connector.Unreachable
		if errors.As(err, &away) != c.unreachable || !strings.Contains(err.Error(), c.want) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckpointsInAFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	at := func(n int) string {
		return fmt.Sprintf(`{"etag":"x","metadata":{"sequencenumber":"%d","offset":"1"}}`, n)
	}
	write("127.0.0.1/orders/$Default/checkpoint/0", at(41))
	write("127.0.0.1/orders/$Default/checkpoint/1", at(7))
	write("localhost%3A5672/Orders/$default/checkpoint/1", at(9))
	write("other.servicebus.windows.net/orders/$Default/checkpoint/1", at(99))
	write("192.168.7.1/orders/billing/checkpoint/2", at(0))
	write("127.0.0.1/orders/billing/checkpoint/3", "{")
	write("127.0.0.1/orders/billing/checkpoint/x", at(1))
	write("127.0.0.1/orders/billing/ownership/2", at(5))
	write("127.0.0.1/others/billing/checkpoint/2", at(5))
	write("127.0.0.1/.lock", "")
	for _, place := range []string{root, "file://" + root} {
		got, err := Checkpoints(place, "", nil)(t.Context(), "millrace", "orders")
		if err != nil {
			t.Fatal(err)
		}
		groups := map[string]string{}
		for _, p := range got {
			groups[p.Group] = fmt.Sprint(p.Next)
		}
		if len(groups) != 2 || groups["$default"] != "map[0:42 1:10]" || groups["billing"] != "map[2:1]" {
			t.Errorf("%v", groups)
		}
	}
	if got, err := Checkpoints(filepath.Join(root, "none"), "", nil)(t.Context(), "millrace", "orders"); err != nil || len(got) > 0 {
		t.Errorf("no folder: %v, %v", got, err)
	}
}

// Capture archives what is configured, into the container that is named.
func TestCaptureIsPartOfIt(t *testing.T) {
	t.Parallel()
	archive := t.TempDir()
	s := start(t, Options{Brokers: []string{broker(t)}, DataDir: t.TempDir(), KafkaPort: NoPort,
		Storage: func(container string) (blob.Bucket, error) {
			return blob.Open(context.Background(), archive, container, nil)
		},
		Namespaces: []NamespaceConfig{{NamespaceSpec: hub.NamespaceSpec{Name: "ns", Hubs: []hub.Spec{{Name: "h", Partitions: 1,
			Capture: &hub.CaptureSpec{Enabled: true, Interval: time.Second, Container: "box"}}}}}}})
	if s.Capture() == nil {
		t.Fatal("there is no Capture")
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		// Without events a window is an empty file.
		if found, _ := filepath.Glob(filepath.Join(archive, "box", "ns", "h", "0", "*", "*", "*", "*", "*", "*.avro")); len(found) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was archived")
		}
	}
}

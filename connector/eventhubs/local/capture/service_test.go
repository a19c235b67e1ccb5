package capture_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/capture"
	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/kafka/local"
	"millrace/internal/testservice"

	"github.com/hamba/avro/v2/ocf"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func startLog(t testing.TB) (brokers string) {
	t.Helper()
	s, err := local.Start(testContext(t), local.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Address()
}

func openCluster(t testing.TB, brokers, stateFile string, namespaces ...hub.NamespaceSpec) *hub.Cluster {
	t.Helper()
	c, err := hub.Open(testContext(t), hub.Options{Brokers: []string{brokers}, StateFile: stateFile, Namespaces: namespaces})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// storages are the kinds of storage, each with a container of its own.
func storages(t *testing.T) map[string]func(t *testing.T) string {
	return map[string]func(t *testing.T) string{
		"folder":  func(t *testing.T) string { return t.TempDir() },
		"azurite": func(t *testing.T) string { return testservice.Azurite(t) },
	}
}

func containerName(t *testing.T, address string) string {
	t.Helper()
	name := fmt.Sprintf("capture-%016x", rand.Uint64())
	if !blob.IsFolder(address) {
		client, err := blob.ContainerClient(address, name, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Delete(context.Background(), nil) }) //nolint:errcheck // a test's remains
	}
	return name
}

func startCapture(t testing.TB, c *hub.Cluster, stateDir, address string) *capture.Service {
	t.Helper()
	s, err := capture.Start(testContext(t), capture.Options{Cluster: c, StateDir: stateDir, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Storage: func(container string) (blob.Bucket, error) { return blob.Open(t.Context(), address, container, nil) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func flush(t testing.TB, s *capture.Service) {
	t.Helper()
	if err := s.FlushNow(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

// send appends messages to a partition and waits.
func send(t testing.TB, h *hub.Hub, p int32, messages ...amqp.Message) {
	t.Helper()
	done := make(chan error, 1)
	if err := h.Append(testContext(t), p, messages, func(_ int64, err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func text(s string) amqp.Message { return amqp.Message{Body: amqp.AppendData(nil, s)} }

func texts(prefix string, n int) (out []amqp.Message) {
	for i := range n {
		out = append(out, text(fmt.Sprint(prefix, i)))
	}
	return out
}

// archived is an event of the archive.
type archived struct {
	File                         string
	SequenceNumber               int64
	Offset, EnqueuedTimeUtc      string
	SystemProperties, Properties map[string]any
	Body                         []byte
}

// readArchive reads all files whose names begin with prefix, in their order.
func readArchive(t testing.TB, address, container, prefix string) (rows []archived) {
	t.Helper()
	b, err := blob.Open(t.Context(), address, container, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	err = b.List(t.Context(), prefix, func(i blob.Info) error {
		data, err := blob.ReadAll(t.Context(), b, i.Name)
		if err != nil {
			return err
		}
		d, err := ocf.NewDecoder(bytes.NewReader(data))
		if err != nil {
			return err
		}
		for d.HasNext() {
			var r map[string]any
			if err := d.Decode(&r); err != nil {
				return err
			}
			a := archived{File: i.Name, SequenceNumber: r["SequenceNumber"].(int64), Offset: r["Offset"].(string), EnqueuedTimeUtc: r["EnqueuedTimeUtc"].(string),
				SystemProperties: unwrap(r["SystemProperties"]), Properties: unwrap(r["Properties"])}
			switch body := r["Body"].(type) {
			case []byte:
				a.Body = body
			case map[string]any:
				a.Body = body["bytes"].([]byte)
			}
			rows = append(rows, a)
		}
		return d.Error()
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func unwrap(m any) map[string]any {
	out := map[string]any{}
	for k, v := range m.(map[string]any) {
		if w, ok := v.(map[string]any); ok {
			for _, inner := range w {
				v = inner
			}
		}
		out[k] = v
	}
	return out
}

func bodies(rows []archived) (out []string) {
	for _, r := range rows {
		out = append(out, string(r.Body))
	}
	return out
}

func TestTwoHubs(t *testing.T) {
	t.Parallel()
	for name, storage := range storages(t) {
		for _, apache := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s apache=%v", name, apache), func(t *testing.T) {
				t.Parallel()
				address := storage(t)
				prefix, brokers := "", ""
				if apache {
					brokers, prefix = testservice.Kafka(t).Brokers, fmt.Sprintf("capture-%08x-", rand.Uint32())
				} else {
					brokers = startLog(t)
				}
				twoHubs(t, brokers, prefix, address, containerName(t, address))
			})
		}
	}
}

func twoHubs(t *testing.T, brokers, prefix, address, container string) {
	ctx := testContext(t)
	c := openCluster(t, brokers, "", hub.NamespaceSpec{Name: "one"}, hub.NamespaceSpec{Name: "two"})
	s := startCapture(t, c, t.TempDir(), address)
	var hubs []*hub.Hub
	for i, codec := range []string{"null", "deflate"} {
		ns := c.Namespaces()[i]
		h, err := ns.CreateHub(ctx, hub.Spec{Name: prefix + fmt.Sprint("hub", i), Partitions: 3,
			Capture: &hub.CaptureSpec{Enabled: true, Interval: time.Minute, SizeLimit: 1 << 20, Codec: codec, Container: container}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ns.DeleteHub(context.Background(), h.Name()) }) //nolint:errcheck // a test's remains
		hubs = append(hubs, h)
	}
	const perPartition, size = 4000, 700
	pad := strings.Repeat("x", size)
	for i := range perPartition / 100 {
		for k, h := range hubs {
			for p := range int32(3) {
				var batch []amqp.Message
				for j := range 100 {
					batch = append(batch, text(fmt.Sprintf("%d/%d/%d%s", k, p, i*100+j, pad)))
				}
				send(t, h, p, batch...)
			}
		}
	}
	flush(t, s)
	for k, h := range hubs {
		for p := range 3 {
			rows := readArchive(t, address, container, fmt.Sprintf("%s/%s/%d/", h.Namespace().Name(), h.Name(), p))
			if len(rows) != perPartition {
				t.Fatalf("hub %d partition %d has %d rows", k, p, len(rows))
			}
			inFiles := map[string]int{}
			for i, r := range rows {
				if want := fmt.Sprintf("%d/%d/%d%s", k, p, i, pad); r.SequenceNumber != int64(i) || r.Offset != fmt.Sprint(i) || string(r.Body) != want {
					t.Fatalf("hub %d partition %d row %d: %d %.20s", k, p, i, r.SequenceNumber, r.Body)
				}
				inFiles[r.File] += size
			}
			for name, n := range inFiles {
				if n > 1<<20 {
					t.Errorf("%s holds %d bytes", name, n)
				}
			}
			if len(inFiles) < 3 {
				t.Errorf("files %v", inFiles)
			}
		}
	}
	status := s.Status()
	if len(status) != 6 || status[0].Next != perPartition || status[0].Events != perPartition || status[0].Err != nil || status[5].Namespace != "two" || status[5].LastFile == "" {
		t.Errorf("status %+v", status)
	}
}

// What an event has ends up where readers of the service's files look for it.
// The files are read by Python's fastavro as well.
func TestFields(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	brokers, dir := startLog(t), t.TempDir()
	c := openCluster(t, brokers, "")
	s := startCapture(t, c, t.TempDir(), dir)
	h, err := c.Default().CreateHub(ctx, hub.Spec{Name: "fields", Partitions: 1, Capture: &hub.CaptureSpec{Enabled: true, Container: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	var full []byte
	full, start := amqp.OpenMap(nil, amqp.SectionMessageAnnotations)
	full = amqp.AppendValue(amqp.AppendValue(full, amqp.Symbol("x-opt-partition-key")), "key-1")
	full = amqp.AppendValue(amqp.AppendValue(full, amqp.Symbol("x-opt-other")), int32(7))
	full = amqp.CloseMap(full, start, 2)
	properties, start := amqp.OpenMap(nil, amqp.SectionApplicationProperties)
	for k, v := range map[string]any{"type": "TEMP", "n": uint16(9), "f": float32(0.5), "t": true, "b": []byte{1, 2}, "nothing": nil} {
		properties = amqp.AppendValue(amqp.AppendValue(properties, k), v)
	}
	properties = amqp.CloseMap(properties, start, 6)
	before := time.Now().Truncate(time.Second)
	send(t, h, 0,
		amqp.Message{MessageAnnotations: full, ApplicationProperties: properties, Body: amqp.AppendData(nil, "data"),
			Properties: amqp.AppendValue(nil, amqp.Described{Descriptor: uint64(0x73), Value: amqp.List{"id-1", nil, nil, "subject-1", nil, uint64(5), amqp.Symbol("application/json")}})},
		amqp.Message{Body: amqp.AppendValue(nil, amqp.Described{Descriptor: uint64(0x77), Value: amqp.Map{{Key: "a", Value: int32(1)}}})},
		amqp.Message{Body: amqp.AppendValue(nil, amqp.Described{Descriptor: uint64(0x76), Value: amqp.List{"x", int32(2)}})},
		amqp.Message{Properties: amqp.AppendValue(nil, amqp.Described{Descriptor: uint64(0x73), Value: amqp.List{"no body"}})},
		text(""))
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for _, r := range []*kgo.Record{
		{Topic: h.Topic(), Key: []byte("k"), Value: []byte("from kafka"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}},
		{Topic: h.Topic(), Value: nil},
	} {
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, s)
	rows := readArchive(t, dir, "c", "")
	if want := []string{"data", `{"a":1}`, `["x",2]`, "", "", "from kafka", ""}; !slices.Equal(bodies(rows), want) {
		t.Fatalf("bodies %q", bodies(rows))
	}
	for i, null := range []bool{false, false, false, true, false, false, true} {
		if (rows[i].Body == nil) != null {
			t.Errorf("body %d is null: %v", i, !null)
		}
	}
	if want := map[string]any{"x-opt-partition-key": "key-1", "x-opt-other": int64(7), "message-id": "id-1", "subject": "subject-1",
		"correlation-id": int64(5), "content-type": "application/json"}; !reflect.DeepEqual(rows[0].SystemProperties, want) {
		t.Errorf("system properties %v", rows[0].SystemProperties)
	}
	if want := map[string]any{"type": "TEMP", "n": int64(9), "f": 0.5, "t": "True", "b": []byte{1, 2}, "nothing": nil}; !reflect.DeepEqual(rows[0].Properties, want) {
		t.Errorf("properties %v", rows[0].Properties)
	}
	if want := map[string]any{"x-opt-kafka-key": []byte("k")}; !reflect.DeepEqual(rows[5].SystemProperties, want) {
		t.Errorf("of Kafka: %v", rows[5].SystemProperties)
	}
	if want := map[string]any{"h": []byte("v")}; !reflect.DeepEqual(rows[5].Properties, want) {
		t.Errorf("of Kafka: %v", rows[5].Properties)
	}
	at, err := time.Parse("1/2/2006 3:04:05 PM", rows[0].EnqueuedTimeUtc)
	if err != nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("enqueued %s: %v", rows[0].EnqueuedTimeUtc, err)
	}
	t.Run("fastavro", func(t *testing.T) { compareWithPython(t, filepath.Join(dir, "c"), rows) })
}

const pythonReader = `
import base64, glob, json, sys, fastavro
def plain(v):
    if isinstance(v, bytes): return {"base64": base64.b64encode(v).decode()}
    if isinstance(v, dict): return {k: plain(x) for k, x in v.items()}
    return v
out = []
for name in sorted(glob.glob(sys.argv[1] + "/**/*.avro", recursive=True)):
    with open(name, "rb") as f:
        r = fastavro.reader(f)
        assert r.writer_schema["name"] == "Microsoft.ServiceBus.Messaging.EventData", r.writer_schema
        assert [x["name"] for x in r.writer_schema["fields"]] == ["SequenceNumber", "Offset", "EnqueuedTimeUtc", "SystemProperties", "Properties", "Body"]
        out += [plain(e) for e in r]
print(json.dumps(out))
`

// compareWithPython reads all files of a folder with fastavro.
func compareWithPython(t *testing.T, dir string, want []archived) {
	t.Helper()
	python := testservice.Python(t)
	cmd := exec.CommandContext(testContext(t), python, "-c", pythonReader, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("fastavro reads %d events, want %d", len(got), len(want))
	}
	plain := func(m map[string]any) map[string]any {
		out := map[string]any{}
		for k, v := range m {
			switch x := v.(type) {
			case []byte:
				v = map[string]any{"base64": encode(x)}
			case int64, float64:
				v = json.Number(fmt.Sprint(x))
			}
			out[k] = v
		}
		return out
	}
	for i, w := range want {
		row := map[string]any{"SequenceNumber": json.Number(fmt.Sprint(w.SequenceNumber)), "Offset": w.Offset, "EnqueuedTimeUtc": w.EnqueuedTimeUtc,
			"SystemProperties": plain(w.SystemProperties), "Properties": plain(w.Properties), "Body": nil}
		if w.Body != nil {
			row["Body"] = map[string]any{"base64": encode(w.Body)}
		}
		if !reflect.DeepEqual(got[i], row) {
			t.Errorf("event %d: fastavro has %v, want %v", i, got[i], row)
		}
	}
}

func encode(b []byte) string {
	s, _ := json.Marshal(b)
	return strings.Trim(string(s), `"`)
}

// Both codecs and empty files, by fastavro.
func TestFilesWithPython(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"null", "deflate"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			testservice.Python(t)
			dir := t.TempDir()
			c := openCluster(t, startLog(t), "")
			s := startCapture(t, c, t.TempDir(), dir)
			h, err := c.Default().CreateHub(testContext(t), hub.Spec{Name: "h", Partitions: 1,
				Capture: &hub.CaptureSpec{Enabled: true, Interval: time.Second, SizeLimit: 2 << 20, Codec: codec, Container: "c"}})
			if err != nil {
				t.Fatal(err)
			}
			// Windows without events first.
			for {
				// The service looks at a new hub when it gets round to it.
				if st := s.Status(); len(st) == 1 && st[0].Files >= 2 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			for i := range 30 {
				send(t, h, 0, texts(fmt.Sprint(i, strings.Repeat("y", 2000)), 100)...)
			}
			flush(t, s)
			rows := readArchive(t, dir, "c", "")
			if len(rows) != 3000 {
				t.Fatalf("%d rows", len(rows))
			}
			compareWithPython(t, filepath.Join(dir, "c"), rows)
		})
	}
}

// Capture is switched on, off and on again, changed, and the hub is deleted and
// made again.
func TestFollowsDescriptions(t *testing.T) {
	t.Parallel()
	ctx, dir, stateDir := testContext(t), t.TempDir(), t.TempDir()
	c := openCluster(t, startLog(t), filepath.Join(t.TempDir(), "hubs.json"))
	ns := c.Default()
	s := startCapture(t, c, stateDir, dir)
	h, err := ns.CreateHub(ctx, hub.Spec{Name: "h", Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	update := func(spec *hub.CaptureSpec) {
		t.Helper()
		if _, err := ns.UpdateHub(ctx, hub.Spec{Name: "h", Capture: spec}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(prefix string, want ...string) {
		t.Helper()
		flush(t, s)
		if got := bodies(readArchive(t, dir, "c", prefix)); !slices.Equal(got, want) {
			t.Errorf("the archive holds %q, want %q", got, want)
		}
	}
	on := hub.CaptureSpec{Enabled: true, Interval: time.Minute, Container: "c"}
	send(t, h, 0, text("before"))
	time.Sleep(2 * time.Millisecond) // enqueued times are milliseconds
	update(&on)
	send(t, h, 0, text("a"))
	want("millrace/h/0/", "a")
	send(t, h, 0, text("b"))
	off := on
	off.Enabled = false
	update(&off)
	// b came in while it was on.
	for i := 0; len(s.Status()) > 0; i++ {
		time.Sleep(10 * time.Millisecond)
	}
	send(t, h, 0, text("between"))
	want("millrace/h/0/", "a", "b")
	time.Sleep(2 * time.Millisecond)
	update(&on)
	send(t, h, 0, text("c"))
	want("millrace/h/0/", "a", "b", "c")
	renamed := on
	renamed.NameFormat = "x/" + capture.DefaultNameFormat
	send(t, h, 0, text("d"))
	update(&renamed)
	send(t, h, 0, text("e"))
	want("", "a", "b", "c", "d", "e")
	// What cannot be is not done, and said.
	broken := on
	broken.NameFormat = "{Year}"
	update(&broken)
	want("", "a", "b", "c", "d", "e")
	update(&renamed)
	if err := ns.DeleteHub(ctx, "h"); err != nil {
		t.Fatal(err)
	}
	again := renamed
	h, err = ns.CreateHub(ctx, hub.Spec{Name: "h", Partitions: 1, Capture: &again})
	if err != nil {
		t.Fatal(err)
	}
	send(t, h, 0, text("new"))
	flush(t, s)
	// Where its file is among the others depends on the second of this moment.
	rows := readArchive(t, dir, "c", "")
	at := slices.IndexFunc(rows, func(r archived) bool { return string(r.Body) == "new" && r.SequenceNumber == 0 })
	if len(rows) != 6 || at < 0 {
		t.Errorf("after the hub was made again: %q", bodies(rows))
	}
}

// Nothing is flushed by Close, and nothing is lost or there twice after it; with
// the hubs' descriptions only in memory, too.
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprint("descriptions kept ", kept), func(t *testing.T) {
			t.Parallel()
			dir, stateDir, brokers, file := t.TempDir(), t.TempDir(), startLog(t), ""
			if kept {
				file = filepath.Join(t.TempDir(), "hubs.json")
			}
			spec := hub.Spec{Name: "h", Partitions: 1, Capture: &hub.CaptureSpec{Enabled: true, Container: "c"}}
			var want []string
			for i := range 4 {
				c, err := hub.Open(testContext(t), hub.Options{Brokers: []string{brokers}, StateFile: file})
				if err != nil {
					t.Fatal(err)
				}
				s := startCapture(t, c, stateDir, dir)
				h, err := c.Default().CreateHub(testContext(t), spec)
				if errors.Is(err, hub.ErrExists) {
					h, err = c.Default().UpdateHub(testContext(t), spec)
				}
				if err != nil {
					t.Fatal(err)
				}
				for j := range 10 {
					body := fmt.Sprint(i, "-", j)
					want = append(want, body)
					send(t, h, 0, text(body))
				}
				if i == 3 {
					flush(t, s)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				c.Close()
				if got := bodies(readArchive(t, dir, "c", "")); i < 3 && len(got) != 0 {
					t.Errorf("closing wrote %q", got)
				}
			}
			if got := bodies(readArchive(t, dir, "c", "")); !slices.Equal(got, want) {
				t.Errorf("the archive holds %q", got)
			}
		})
	}
}

// Events expire in the log while the service is off.
func TestRetentionShorterThanOutage(t *testing.T) {
	t.Parallel()
	ctx, dir, stateDir, brokers := testContext(t), t.TempDir(), t.TempDir(), startLog(t)
	c := openCluster(t, brokers, filepath.Join(t.TempDir(), "hubs.json"))
	h, err := c.Default().CreateHub(ctx, hub.Spec{Name: "h", Partitions: 1, Capture: &hub.CaptureSpec{Enabled: true, Container: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	s := startCapture(t, c, stateDir, dir)
	send(t, h, 0, texts("a", 5)...)
	flush(t, s)
	s.Close()
	send(t, h, 0, texts("b", 5)...)
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).DeleteRecords(ctx, kadm.Offsets{h.Topic(): {0: {Topic: h.Topic(), At: 8}}}); err != nil {
		t.Fatal(err)
	}
	s = startCapture(t, c, stateDir, dir)
	send(t, h, 0, texts("c", 2)...)
	flush(t, s)
	if got, want := bodies(readArchive(t, dir, "c", "")), []string{"a0", "a1", "a2", "a3", "a4", "b3", "b4", "c0", "c1"}; !slices.Equal(got, want) {
		t.Errorf("the archive holds %q", got)
	}
	if st := s.Status()[0]; st.Lost != 3 {
		t.Errorf("status %+v", st)
	}
}

// A topic that brokers leave out for a while, as they may after a restart, is the
// same hub afterwards: nothing is archived twice.
func TestHubOutOfSight(t *testing.T) {
	t.Parallel()
	ctx, dir, container := testContext(t), t.TempDir(), "c"
	log, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	c := openCluster(t, log.ListenAddrs()[0], "")
	h, err := c.Default().CreateHub(ctx, hub.Spec{Name: "h", Partitions: 1, Capture: &hub.CaptureSpec{Enabled: true, Container: container}})
	if err != nil {
		t.Fatal(err)
	}
	s := startCapture(t, c, t.TempDir(), dir)
	send(t, h, 0, text("a"), text("b"))
	flush(t, s)
	var hidden atomic.Bool
	log.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		log.KeepControl()
		if !hidden.Load() {
			return nil, nil, false
		}
		host, port, _ := net.SplitHostPort(log.ListenAddrs()[0])
		n, _ := strconv.Atoi(port)
		b := kmsg.NewMetadataResponseBroker()
		b.Host, b.Port = host, int32(n)
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		resp.Brokers = append(resp.Brokers, b)
		return resp, nil, true
	})
	sees := func(want int) {
		t.Helper()
		for {
			hubs, err := c.Default().Hubs(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(hubs) == want && len(s.Status()) == want {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	sees(1)
	hidden.Store(true)
	sees(0)
	hidden.Store(false)
	sees(1)
	if h, err = c.Default().Hub(ctx, "h"); err != nil {
		t.Fatal(err)
	}
	send(t, h, 0, text("c"))
	flush(t, s)
	if got := bodies(readArchive(t, dir, container, "")); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the archive holds %q", got)
	}
}

// Two services on one state would put the same events into two files.
func TestStateIsOnesOwn(t *testing.T) {
	t.Parallel()
	c, o := openCluster(t, startLog(t), ""), capture.Options{StateDir: filepath.Join(t.TempDir(), "capture")}
	o.Cluster, o.Storage = c, func(string) (blob.Bucket, error) { return nil, errors.New("not asked for") }
	s, err := capture.Start(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	var un *connector.Unreachable
	if _, err := capture.Start(testContext(t), o); !errors.As(err, &un) || un.What != o.StateDir {
		t.Errorf("a second service: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = capture.Start(testContext(t), o); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A storage that does not let us in: FlushNow says so at once, Status as well.
func TestWrongStorage(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	c := openCluster(t, startLog(t), "")
	h, err := c.Default().CreateHub(ctx, hub.Spec{Name: "h", Partitions: 1, Capture: &hub.CaptureSpec{Enabled: true, Container: "no container"}})
	if err != nil {
		t.Fatal(err)
	}
	s := startCapture(t, c, t.TempDir(), "UseDevelopmentStorage=true")
	send(t, h, 0, text("a"))
	var hint *connector.Hinted
	if err := s.FlushNow(ctx); !errors.As(err, &hint) || !strings.Contains(err.Error(), "no container") {
		t.Errorf("%v", err)
	}
	if st := s.Status(); len(st) != 1 || st[0].Err == nil {
		t.Errorf("status %+v", st)
	}
	if _, err := capture.Start(ctx, capture.Options{}); err == nil {
		t.Error("started without anything")
	}
}

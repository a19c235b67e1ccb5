package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"millrace/connector"
	"millrace/record"
)

// The schemas that Capture has written, and one of somebody else.
const (
	schemaWithNull = `{"type":"record","name":"EventData","namespace":"Microsoft.ServiceBus.Messaging","fields":[` +
		`{"name":"SequenceNumber","type":"long"},{"name":"Offset","type":"string"},{"name":"EnqueuedTimeUtc","type":"string"},` +
		`{"name":"SystemProperties","type":{"type":"map","values":["long","double","string","bytes"]}},` +
		`{"name":"Properties","type":{"type":"map","values":["long","double","string","bytes","null"]}},` +
		`{"name":"Body","type":["null","bytes"]}]}`
	schemaWithoutNull = `{"type":"record","name":"EventData","namespace":"Microsoft.ServiceBus.Messaging","fields":[` +
		`{"name":"SequenceNumber","type":"long"},{"name":"Offset","type":"string"},{"name":"EnqueuedTimeUtc","type":"string"},` +
		`{"name":"SystemProperties","type":{"type":"map","values":["long","double","string","bytes"]}},` +
		`{"name":"Properties","type":{"type":"map","values":["long","double","string","bytes"]}},` +
		`{"name":"Body","type":["null","bytes"]}]}`
	schemaForeign = `{"type":"record","name":"Row","fields":[{"name":"Body","type":["null","bytes"]},{"name":"Colour","type":"string"},` +
		`{"name":"EnqueuedTimeUtc","type":"string"},{"name":"Offset","type":"string"},` +
		`{"name":"Properties","type":{"type":"map","values":["null","string","bytes","double","long"]}},` +
		`{"name":"SystemProperties","type":{"type":"map","values":["long","double","string","bytes"]}},` +
		`{"name":"SequenceNumber","type":"long"}]}`
)

// sent is one record to be archived.
type sent struct {
	sequence           int64
	system, properties map[string]any
	// body nil: none.
	body []byte
	at   time.Time
}

// began is when the tests' archives begin.
var began = time.Date(2026, 11, 22, 10, 0, 7, 0, time.UTC)

// archive is a folder of capture files for a test.
type archive struct {
	t    testing.TB
	root string
	cfg  Config
	log  bytes.Buffer
}

func newArchive(t testing.TB) *archive {
	a := &archive{t: t, root: t.TempDir(), cfg: *NewConfig()}
	a.cfg.Storage, a.cfg.Namespace = a.root, "ns"
	return a
}

func (a *archive) open() *Store {
	a.t.Helper()
	env := connector.Env{DataDir: a.root, Getenv: func(string) string { return "" },
		Log: slog.New(slog.NewTextHandler(&a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	s, err := a.cfg.Open(context.Background(), env)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			a.t.Error(err)
		}
	})
	return s.(*Store)
}

// name is the default name of a file.
func name(partition int, window time.Time) string {
	return fmt.Sprintf("ns/telemetry/%d/%s", partition, timePath(window))
}

// put writes a file as it is.
func (a *archive) put(name string, content []byte, modified time.Time) {
	a.t.Helper()
	path := filepath.Join(a.root, "capture", filepath.FromSlash(name)+extension)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Chtimes(path, modified, modified); err != nil {
		a.t.Fatal(err)
	}
}

// write makes a capture file with a public Avro library and stores it.
func (a *archive) write(partition int, window time.Time, records ...sent) {
	a.t.Helper()
	a.put(name(partition, window), encode(a.t, schemaWithNull, ocf.Null, 100, records...), window.Add(10500*time.Millisecond))
}

func encode(t testing.TB, schema string, codec ocf.CodecName, blockLength int, records ...sent) []byte {
	t.Helper()
	var out bytes.Buffer
	e, err := ocf.NewEncoder(schema, &out, ocf.WithCodec(codec), ocf.WithBlockLength(blockLength))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		at := r.at
		if at.IsZero() {
			at = began.Add(time.Duration(r.sequence) * time.Millisecond)
		}
		fields := map[string]any{"SequenceNumber": r.sequence, "Offset": fmt.Sprint(r.sequence * 100),
			"EnqueuedTimeUtc":  at.UTC().Format(enqueuedForm),
			"SystemProperties": values(r.system), "Properties": values(r.properties), "Body": nil, "Colour": "red"}
		if r.body != nil {
			fields["Body"] = map[string]any{"bytes": r.body}
		}
		if err := e.Encode(fields); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func values(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		switch v := v.(type) {
		case int64:
			out[k] = map[string]any{"long": v}
		case float64:
			out[k] = map[string]any{"double": v}
		case string:
			out[k] = map[string]any{"string": v}
		case []byte:
			out[k] = map[string]any{"bytes": v}
		default:
			out[k] = nil
		}
	}
	return out
}

func id(n int) record.ID {
	var id record.ID
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// event is the body of the n-th event.
func event(n int) []byte {
	return fmt.Appendf(nil, `{"eventId":"%s","complexData":{"moreData0":%d.5},"value":%d.25,"deviceId":"contoso://device-id-%d",`+
		`"deviceSequenceNumber":%d,"type":"%s","createdAt":"%s"}`, id(n), n%90+10, n%50, n%7, n/7, []string{"TEMP", "CO2"}[n%2],
		began.Add(time.Duration(n)*time.Millisecond).Format("2006-01-02T15:04:05.000000Z"))
}

// events makes records of the events from..to-1, from a sequence number on.
func events(sequence int64, from, to int) []sent {
	var out []sent
	for n := from; n < to; n++ {
		out = append(out, sent{sequence: sequence + int64(n-from), body: event(n)})
	}
	return out
}

// ask runs a query and returns its rows as text.
func ask(t testing.TB, s *Store, query string) [][]any {
	t.Helper()
	rows, err := s.Query(context.Background(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return collect(t, rows)
}

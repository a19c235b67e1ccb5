package run

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/archive"
	"millrace/connector/eventhubs/local/emulator"
	"millrace/connector/eventhubs/local/hub"
	"millrace/ingest"
	"millrace/internal/solution"
	"millrace/record"
	"millrace/solutions"
	"millrace/ui/cli"
)

const captureSolution = "eventhubs-capture"

// request is a request for the solution with Capture.
func request(t *testing.T, env map[string]string, sets ...string) cli.Request {
	t.Helper()
	o := solution.Options{Getenv: func(name string) string { return env[name] }}
	for _, s := range sets {
		set, err := solution.ParseSet(s)
		if err != nil {
			t.Fatal(err)
		}
		o.Set = append(o.Set, set)
	}
	sol, err := solution.Loader{Builtin: solutions.FS, Registry: Registry()}.Load(captureSolution, o)
	if err != nil {
		t.Fatal(err)
	}
	return cli.Request{Solution: sol, Steps: "CIDPTMV", Instance: 1, Instances: 1, Getenv: o.Getenv,
		Log: slog.New(slog.DiscardHandler), Out: io.Discard, Progress: io.Discard}
}

const elsewhere = "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=Root;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true"

// TestCaptureMistakes: what cannot work is said in a sentence before anything
// is started or waited for.
func TestCaptureMistakes(t *testing.T) {
	t.Parallel()
	there := map[string]string{"EVENTHUBS_CONNECTION_STRING": elsewhere}
	all := func(ctx context.Context, q cli.Request) error { _, err := Run(ctx, q); return err }
	dir := t.TempDir()
	for name, c := range map[string]struct {
		do   func(context.Context, cli.Request) error
		env  map[string]string
		sets []string
		want string
	}{
		"another log":         {all, nil, []string{"ingest.kind=kafka"}, "needs Event Hubs, not kafka"},
		"another store":       {all, nil, []string{"serve.kind=sqldb"}, "not sqldb"},
		"another hub":         {all, nil, []string{"serve.hub=x"}, "another hub's"},
		"no archive":          {all, there, nil, "where the Capture of the configured eventhubs writes"},
		"a worker":            {Process, nil, nil, "Capture is the work of Event Hubs itself"},
		"a worker, elsewhere": {Process, there, nil, "Capture is the work of Event Hubs itself"},
		"metrics of nothing":  {Metrics, nil, nil, "needs a running eventhubs"},
		"metrics, no archive": {Metrics, there, nil, "where the Capture"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := request(t, c.env, c.sets...)
			q.DataDir = filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if strings.HasPrefix(name, "metrics") {
				q.DataDir = ""
			}
			err := c.do(t.Context(), q)
			var u *cli.UsageError
			if !errors.As(err, &u) || u.Hint == "" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("%v, want a usage error with a hint that says %q", err, c.want)
			}
		})
	}
}

// service starts Event Hubs as somebody else would run it.
func service(t *testing.T, storage string, hubs ...hub.Spec) string {
	t.Helper()
	s, err := startEventHubs(t.Context(), eventHubsOptions{DataDir: t.TempDir(), Storage: storage, KafkaPort: emulator.NoPort, HTTPPort: emulator.NoPort,
		Namespaces: []emulator.NamespaceConfig{{NamespaceSpec: hub.NamespaceSpec{Name: hub.DefaultNamespace, Hubs: hubs}}},
		Getenv:     func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.Address()
}

// TestCaptureOfANamedHub: a run whose connection string names the hub reads
// the archive of that very hub, and deletes nothing of it; metrics follow it.
func TestCaptureOfANamedHub(t *testing.T) {
	t.Parallel()
	storage := t.TempDir()
	address := service(t, storage, hub.Spec{Name: "theirs", Partitions: 2, Capture: &hub.CaptureSpec{Enabled: true, SkipEmpty: true,
		Interval: time.Second, SizeLimit: 100 << 20, NameFormat: archive.DefaultNameFormat, Codec: "null", Container: "capture"}})
	env := map[string]string{"EVENTHUBS_CONNECTION_STRING": address + ";EntityPath=theirs", "STORAGE_CONNECTION_STRING": storage}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	q := request(t, env, "simulate.events=2000", "simulate.rate=0")
	q.Cleanup, q.DataDir = true, t.TempDir()
	out, err := Run(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	var report strings.Builder
	if err := out.JSON(&report); err != nil || !out.Pass {
		t.Fatalf("pass %v, %v\n%s", out.Pass, err, report.String())
	}
	q = request(t, env)
	rows, err := Query(ctx, q, "SELECT count(*) FROM unique_events")
	if err != nil {
		t.Fatalf("asking for what the run left: %v", err)
	}
	defer rows.Close()
	if row, err := rows.Next(ctx); err != nil || len(row) != 1 || row[0] != int64(2000) {
		t.Errorf("the archive has %v, %v after --cleanup; the hub is not the run's to clean up", row, err)
	}
	watching, stop := context.WithCancel(ctx)
	lines := &firstLine{stop: stop}
	q = request(t, env)
	q.Out = lines
	if err := Metrics(watching, q); !errors.Is(err, context.Canceled) || ctx.Err() != nil {
		t.Errorf("metrics: %v", err)
	}
}

// firstLine stops whoever writes to it.
type firstLine struct {
	once sync.Once
	stop context.CancelFunc
}

func (f *firstLine) Write(p []byte) (int, error) {
	f.once.Do(f.stop)
	return len(p), nil
}

// TestCaptureMakesNoHubElsewhere: a hub made on the way would have no Capture.
func TestCaptureMakesNoHubElsewhere(t *testing.T) {
	t.Parallel()
	storage := t.TempDir()
	env := map[string]string{"EVENTHUBS_CONNECTION_STRING": service(t, storage), "STORAGE_CONNECTION_STRING": storage}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q := request(t, env, "simulate.events=10")
	q.DataDir = t.TempDir()
	_, err := Run(ctx, q)
	var u *cli.UsageError
	if !errors.As(err, &u) || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v, want that the hub does not exist", err)
	}
}

// unwritten is a log that has something, with an archive that has nothing.
type unwritten struct{}

func (unwritten) Describe() string                                         { return "an archive" }
func (unwritten) Positions(context.Context) (map[int32]int64, error)       { return nil, nil }
func (unwritten) ScanRaw(context.Context, func(*record.Batch) error) error { return nil }
func (unwritten) Ends(context.Context) ([]int64, error)                    { return []int64{1}, nil }

// TestCaptureThatDoesNotBegin: a run that waits for an archive which nobody
// writes says what it waits for.
func TestCaptureThatDoesNotBegin(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said := &hearing{heard: cancel}
	c := &capturing{archive: unwritten{}, backlog: ingest.NewBacklog(unwritten{}), log: slog.New(slog.NewTextHandler(said, nil)), patience: 0}
	if err := c.drained(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(said.text, "Capture enabled") {
		t.Errorf("%v; it said %q", err, said.text)
	}
}

// hearing keeps what is said first.
type hearing struct {
	text  string
	heard context.CancelFunc
}

func (h *hearing) Write(p []byte) (int, error) {
	h.text += string(p)
	h.heard()
	return len(p), nil
}

// TestEmbeddedHubIsThere: a run with Event Hubs of its own looks for a hub that
// exists; nobody is warned of one that does not.
func TestEmbeddedHubIsThere(t *testing.T) {
	t.Parallel()
	q := request(t, nil)
	sol, err := solution.Loader{Builtin: solutions.FS, Registry: Registry()}.Load("hdinsightkafka-databricks-sqldw",
		solution.Options{Set: []solution.Override{{Path: "ingest.kind", Value: "eventhubs", From: "--set"}}})
	if err != nil {
		t.Fatal(err)
	}
	said := &hearing{heard: func() {}}
	q.Solution, q.Log = sol, slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d, err := openDataDir(t.TempDir(), "r1", sol.Name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	s, err := open(t.Context(), &q, d)
	if err != nil {
		t.Fatal(err)
	}
	err = s.prepareLog(t.Context())
	if err2 := s.life.stop(); err != nil || err2 != nil || said.text != "" {
		t.Errorf("%v, %v; it said %q", err, err2, said.text)
	}
}

package hub_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Not parallel: it counts goroutines.
func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	srv := startLog(t, t.TempDir(), 0)
	c := open(t, hub.Options{Brokers: []string{srv.Address()}})
	h := newHub(t, c.Default(), "transient", 4)
	for p := range int32(4) {
		appendAll(t, h, p, "a", "b")
		r := newReader(t, h, p, 0)
		read(t, r, 2)
		defer r.Close()
		newReader(t, h, p, 2).Close()
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for p := range int32(4) {
		if _, err := h.Reader(testContext(t), p, 0); err == nil {
			t.Error("a reader of a closed cluster")
		}
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines more than before:\n%s", runtime.NumGoroutine()-before, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Whatever ends an append, done is called once.
func TestEveryAppendIsAnswered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what string
		end  func(t *testing.T, c *hub.Cluster, stopLog func())
		want []error
	}{
		{"the hub is deleted", func(t *testing.T, c *hub.Cluster, _ func()) {
			if err := c.Default().DeleteHub(testContext(t), "busy"); err != nil {
				t.Error(err)
			}
		}, []error{hub.ErrNotFound}},
		{"the cluster is closed", func(_ *testing.T, c *hub.Cluster, _ func()) { _ = c.Close() }, []error{hub.ErrClosed}},
		{"the cluster is closed while the log is away", func(_ *testing.T, c *hub.Cluster, stopLog func()) {
			stopLog()
			_ = c.Close()
		}, []error{hub.ErrClosed}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			srv := startLog(t, t.TempDir(), 0)
			c := open(t, hub.Options{Brokers: []string{srv.Address()}})
			h := newHub(t, c.Default(), "busy", 2)
			var taken, answered, stored atomic.Int64
			var writers sync.WaitGroup
			enough := make(chan struct{})
			for p := range int32(2) {
				writers.Go(func() {
					text := strings.Repeat("x", 20_000)
					for {
						err := h.Append(context.Background(), p, events(text), func(_ int64, err error) {
							answered.Add(1)
							if err == nil && stored.Add(1) == 300 {
								close(enough)
							}
							if err != nil && !slices.ContainsFunc(tt.want, func(w error) bool { return errors.Is(err, w) }) {
								t.Errorf("answer: %v", err)
							}
						})
						if err != nil {
							if !slices.ContainsFunc(tt.want, func(w error) bool { return errors.Is(err, w) }) {
								t.Errorf("append: %v", err)
							}
							return
						}
						taken.Add(1)
					}
				})
			}
			<-enough
			tt.end(t, c, func() { _ = srv.Close() })
			writers.Wait()
			for answered.Load() < taken.Load() {
				time.Sleep(time.Millisecond)
			}
			if answered.Load() != taken.Load() {
				t.Errorf("%d answers to %d appends", answered.Load(), taken.Load())
			}
		})
	}
}

// What a transaction wrote is seen when it is committed, what it gave up never.
func TestTransactions(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, brokers, prefix string) {
		ctx := testContext(t)
		c := open(t, hub.Options{Brokers: []string{brokers}})
		h := newHub(t, c.Default(), prefix+"transactions", 1)
		cl, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.TransactionalID(prefix+"tx"), kgo.DefaultProduceTopic(h.Topic()))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		transaction := func(text string, commit kgo.TransactionEndTry) {
			t.Helper()
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := cl.ProduceSync(ctx, kgo.StringRecord(text)).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := cl.EndTransaction(ctx, commit); err != nil {
				t.Fatal(err)
			}
		}
		r := newReader(t, h, 0, 0)
		appendAll(t, h, 0, "plain 1")
		transaction("given up", kgo.TryAbort)
		transaction("kept", kgo.TryCommit)
		transaction("given up too", kgo.TryAbort)
		// Kafka writes the marker of a transaction's end in its own time.
		plain := appendAll(t, h, 0, "plain 2")
		transaction("kept too", kgo.TryCommit)
		want := []string{"plain 1", "kept", "plain 2", "kept too"}
		if got, seqs := read(t, r, 4); !slices.Equal(got, want) || seqs[0] != 0 || seqs[2] != plain || !slices.IsSorted(seqs) {
			t.Errorf("read %q at %v", got, seqs)
		}
		if got, _ := read(t, newReader(t, h, 0, 2), 3); !slices.Equal(got, want[1:]) {
			t.Errorf("from the middle: %q", got)
		}
	})
}

// Who gives up does not wait for those whose turn it is, which takes long while the
// log is away.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	c := open(t, hub.Options{Brokers: []string{startLog(t, t.TempDir(), 0).Address()}})
	ns := c.Default()
	newHub(t, ns, "h", 1)
	defer c.Hold()()
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	_, create := ns.CreateHub(ctx, hub.Spec{Name: "another"})
	_, find := ns.Hub(ctx, "another")
	for what, err := range map[string]error{"create": create, "find": find, "group": ns.CreateGroup(ctx, "h", "g"), "delete": ns.DeleteHub(ctx, "h")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Two clusters on one state file would undo each other's changes.
func TestStateFileIsOnesOwn(t *testing.T) {
	t.Parallel()
	srv := startLog(t, t.TempDir(), 0)
	options := hub.Options{Brokers: []string{srv.Address()}, StateFile: filepath.Join(t.TempDir(), "sub", "hubs.json")}
	c := open(t, options)
	_, err := hub.Open(testContext(t), options)
	var un *connector.Unreachable
	if !errors.As(err, &un) || un.What != filepath.Dir(options.StateFile) || un.Hint == "" ||
		!strings.Contains(err.Error(), fmt.Sprintf("process %d is using this data directory", os.Getpid())) {
		t.Fatalf("a second cluster: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	// One that could not be opened keeps nobody out.
	wrong := options
	wrong.Namespaces = []hub.NamespaceSpec{{Name: "n", Hubs: []hub.Spec{{Name: "bad name"}}}}
	if _, err := hub.Open(testContext(t), wrong); !errors.Is(err, hub.ErrInvalid) {
		t.Fatalf("a bad name: %v", err)
	}
	open(t, options)
}

func TestStateFile(t *testing.T) {
	t.Parallel()
	srv := startLog(t, t.TempDir(), 0)
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "", "garbage": "{", "newer": `{"version": 2}`} {
		file := filepath.Join(dir, name)
		write(t, file, text)
		if _, err := hub.Open(testContext(t), hub.Options{Brokers: []string{srv.Address()}, StateFile: file}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := hub.Open(testContext(t), hub.Options{Brokers: []string{srv.Address()}, StateFile: filepath.Join(dir, "empty", "x")}); err == nil {
		t.Error("a file was taken for a folder")
	}
	// A hub that is described and has no topic does not exist, and can be
	// created again.
	file := filepath.Join(dir, "stale")
	write(t, file, `{"version": 1, "namespaces": {"millrace": {"gone": {"topic": "gone", "groups": ["old"]}, "null": null}}}`)
	c := open(t, hub.Options{Brokers: []string{srv.Address()}, StateFile: file})
	if _, err := c.Default().Hub(testContext(t), "gone"); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("a hub without topic: %v", err)
	}
	h := newHub(t, c.Default(), "gone", 1)
	if _, ok := h.HasGroup("old"); ok {
		t.Error("the new hub has an old group")
	}
}

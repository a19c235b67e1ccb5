package capture_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/blob"
	"millrace/connector/eventhubs/local/capture"
	"millrace/connector/eventhubs/local/hub"
)

// The test binary is also the process that is killed: with these set it captures
// until then.
const (
	envBrokers = "CAPTURE_TEST_BROKERS"
	envDir     = "CAPTURE_TEST_DIR"
	envStorage = "CAPTURE_TEST_STORAGE"
)

func TestMain(m *testing.M) {
	if os.Getenv(envBrokers) == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, captureUntilKilled())
	os.Exit(1)
}

// childsHubs is the file with the descriptions that the killed processes see.
const childsHubs = "child.json"

func captureUntilKilled() error {
	ctx, dir := context.Background(), os.Getenv(envDir)
	c, err := hub.Open(ctx, hub.Options{Brokers: []string{os.Getenv(envBrokers)}, StateFile: filepath.Join(dir, childsHubs)})
	if err != nil {
		return err
	}
	_, err = capture.Start(ctx, capture.Options{Cluster: c, StateDir: filepath.Join(dir, "capture"),
		Storage: func(container string) (blob.Bucket, error) {
			return blob.Open(ctx, os.Getenv(envStorage), container, nil)
		}})
	if err != nil {
		return err
	}
	time.Sleep(time.Minute)
	return fmt.Errorf("not killed within a minute")
}

// A process that captures is killed, again and again, while events come in.
func TestKill(t *testing.T) {
	t.Parallel()
	for name, storage := range storages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kill(t, storage(t))
		})
	}
}

func kill(t *testing.T, address string) {
	ctx, dir, brokers, container := testContext(t), t.TempDir(), startLog(t), containerName(t, address)
	c := openCluster(t, brokers, filepath.Join(dir, "hubs.json"))
	h, err := c.Default().CreateHub(ctx, hub.Spec{Name: "h", Partitions: 2,
		Capture: &hub.CaptureSpec{Enabled: true, Interval: time.Second, SizeLimit: 1 << 20, Container: container}})
	if err != nil {
		t.Fatal(err)
	}
	// Descriptions belong to one cluster: that of the killed ones has a copy.
	described, err := os.ReadFile(filepath.Join(dir, "hubs.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, childsHubs), described, 0o600); err != nil {
		t.Fatal(err)
	}
	rounds := 5
	if testing.Short() {
		rounds = 3
	}
	stop := make(chan struct{})
	sent := make([]int, 2)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for p := range sent {
				send(t, h, int32(p), texts(fmt.Sprint(sent[p], strings.Repeat("z", 1000), " "), 20)...)
				sent[p] += 20
			}
		}
	})
	for range rounds {
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), envBrokers+"="+brokers, envDir+"="+dir, envStorage+"="+address)
		var out strings.Builder
		cmd.Stderr = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(200+rand.IntN(1500)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil || out.Len() > 0 {
			t.Errorf("it ended by itself: %v %s", err, out.String())
		}
	}
	close(stop)
	wg.Wait()
	s := startCapture(t, c, filepath.Join(dir, "capture"), address)
	flush(t, s)
	for p, n := range sent {
		rows := readArchive(t, address, container, fmt.Sprintf("millrace/h/%d/", p))
		if len(rows) != n {
			t.Errorf("partition %d: %d events of %d", p, len(rows), n)
		}
		for i, r := range rows {
			if r.SequenceNumber != int64(i) {
				t.Fatalf("partition %d: event %d is number %d, in %s", p, i, r.SequenceNumber, r.File)
			}
		}
	}
	for _, st := range s.Status() {
		if st.Files < 2 || st.Lost != 0 {
			t.Errorf("status %+v", st)
		}
	}
}

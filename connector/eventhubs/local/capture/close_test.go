package capture_test

import (
	"slices"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kfake"
)

// A service that is closed before it has looked at a new hub remembers where that
// hub's archive begins, which nothing else does without a file of descriptions.
func TestCloseBeforeFirstLook(t *testing.T) {
	t.Parallel()
	dir, stateDir, brokers := t.TempDir(), t.TempDir(), startLog(t)
	c := openCluster(t, brokers, "")
	s := startCapture(t, c, stateDir, dir)
	look := s.HoldLooks()
	spec := hub.Spec{Name: "h", Partitions: 2, Capture: &hub.CaptureSpec{Enabled: true, Container: "c"}}
	h, err := c.Default().CreateHub(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	send(t, h, 0, text("a"))
	send(t, h, 1, text("b"))
	// Close is under way by then, or is not: it must not matter.
	time.AfterFunc(200*time.Millisecond, look)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	c.Close()

	c = openCluster(t, brokers, "")
	s = startCapture(t, c, stateDir, dir)
	time.Sleep(2 * time.Millisecond) // enqueued times are milliseconds
	if h, err = c.Default().UpdateHub(testContext(t), spec); err != nil {
		t.Fatal(err)
	}
	send(t, h, 0, text("c"))
	flush(t, s)
	if got, want := bodies(readArchive(t, dir, "c", "")), []string{"a", "c", "b"}; !slices.Equal(got, want) {
		t.Errorf("the archive holds %q, want %q", got, want)
	}
}

// Close does not wait for ever for a log that has gone away.
func TestCloseWhileNothingAnswers(t *testing.T) {
	t.Parallel()
	log, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	c := openCluster(t, log.ListenAddrs()[0], "")
	s := startCapture(t, c, t.TempDir(), t.TempDir())
	look := s.HoldLooks()
	defer look()
	if _, err := c.Default().CreateHub(testContext(t), hub.Spec{Name: "h", Partitions: 1,
		Capture: &hub.CaptureSpec{Enabled: true, Container: "c"}}); err != nil {
		t.Fatal(err)
	}
	log.Close()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	time.AfterFunc(100*time.Millisecond, look)
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-testContext(t).Done():
		t.Error("Close hangs")
	}
}

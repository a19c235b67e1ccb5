package local_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/kafka/local"
	"millrace/internal/testservice"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

const patience = 2 * time.Minute

// TestMain lets this binary be the process that a test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MILLRACE_TEST_STANDIN"); dir != "" {
		s, err := local.Start(context.Background(), local.Options{DataDir: dir, Port: port(os.Getenv("MILLRACE_TEST_STANDIN_PORT"))})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(s.Address())
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends, or kills us
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func port(addr string) int {
	n, _ := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:])
	return n
}

// child serves dir in a process of its own, at an address that another child had
// or, if addr is empty, at one that no other server gets while it is down.
func child(t *testing.T, dir, addr string) (*exec.Cmd, string) {
	t.Helper()
	if addr == "" {
		addr = ":" + strconv.Itoa(testservice.Port(t))
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MILLRACE_TEST_STANDIN="+dir, "MILLRACE_TEST_STANDIN_PORT="+addr)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatalf("the child does not serve: %s %v", line, err)
	}
	return cmd, strings.TrimSpace(line)
}

func start(t *testing.T, o local.Options) *local.Server {
	t.Helper()
	s, err := local.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.AlwaysRetryEOF(), // brokers are killed here, the configuration is right
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.UnknownTopicRetries(-1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

// What was acknowledged is there after SIGKILL, in order, for many kills in a
// row; the client carries on by itself.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, addr := child(t, dir, "")
	cl := client(t, addr, kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("kills"), kgo.ProducerLinger(0))
	ctx := testContext(t)

	var mu sync.Mutex
	acked := map[string]bool{}
	var total atomic.Int64
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			v := fmt.Sprintf("%08d", i)
			r := &kgo.Record{Key: fmt.Appendf(nil, "key-%d", i%10), Value: append([]byte(v), make([]byte, 500)...)}
			cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce: %v", err)
					return
				}
				mu.Lock()
				acked[v] = true
				mu.Unlock()
				total.Add(1)
			})
			if i%200 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	for range 5 {
		before := total.Load()
		for deadline := time.Now().Add(patience); total.Load() < before+3000; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing is acknowledged any more")
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		cmd, _ = child(t, dir, addr)
	}
	close(stop)
	<-done
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	s := start(t, local.Options{DataDir: dir})
	seen := readAll(t, s.Address(), "kills")
	mu.Lock()
	defer mu.Unlock()
	missing := 0
	for v := range acked {
		if !seen[v] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d acknowledged records are missing", missing, len(acked))
	}
}

// readAll reads a topic and checks that keys are in order, repetitions apart.
func readAll(t *testing.T, addr, topic string) map[string]bool {
	t.Helper()
	ctx := testContext(t)
	cl := client(t, addr, kgo.ConsumeTopics(topic))
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	seen := map[string]bool{}
	last := map[string]string{}
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		if errs := fetches.Errors(); len(errs) > 0 {
			t.Fatal(errs)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			left--
			v, k := string(r.Value[:8]), string(r.Key)
			if !seen[v] && v < last[k] {
				t.Errorf("key %s: %s came after %s", k, v, last[k])
			}
			seen[v], last[k] = true, max(v, last[k])
		})
	}
	return seen
}

func TestAppendTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, local.Options{DataDir: dir})
	ctx := testContext(t)
	adm := kadm.NewClient(client(t, s.Address()))
	for topic, config := range map[string]string{"append": "LogAppendTime", "create": "CreateTime"} {
		if _, err := adm.CreateTopic(ctx, 1, 1, map[string]*string{"message.timestamp.type": &config}, topic); err != nil {
			t.Fatal(err)
		}
	}
	old := time.UnixMilli(1_000_000_000_000)
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.Lz4Compression()} {
		for _, topic := range []string{"append", "create"} {
			cl := client(t, s.Address(), kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(50*time.Millisecond))
			var records []*kgo.Record
			for i := range 100 {
				records = append(records, &kgo.Record{Topic: topic, Value: []byte(strings.Repeat("x", 100)), Timestamp: old.Add(time.Duration(i) * time.Second)})
			}
			before := time.Now().Add(-2 * time.Minute) // 100 s is the spread of a compressed batch
			if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			reader := client(t, s.Address(), kgo.ConsumeTopics(topic))
			n := 0
			for n < 100 {
				reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
					n++
					switch {
					case topic == "create" && r.Timestamp.After(old.Add(time.Hour)):
						t.Errorf("%s: the sender's time became %v", topic, r.Timestamp)
					case topic == "append" && r.Timestamp.Before(before):
						t.Errorf("%s: the time is %v", topic, r.Timestamp)
					}
				})
			}
		}
	}
	// A changed setting takes effect, and so does one from an earlier start.
	set := "LogAppendTime"
	if _, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "message.timestamp.type", Value: &set}}, "create"); err != nil {
		t.Fatal(err)
	}
	check := func(addr string) {
		t.Helper()
		cl := client(t, addr)
		rec := &kgo.Record{Topic: "create", Value: []byte("v"), Timestamp: old}
		if err := cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
		reader := client(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"create": {0: kgo.NewOffset().At(rec.Offset)}}))
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if !r.Timestamp.After(old.Add(time.Hour)) {
				t.Errorf("the time is %v", r.Timestamp)
			}
		})
	}
	check(s.Address())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(start(t, local.Options{DataDir: dir}).Address())
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	s := start(t, local.Options{DataDir: t.TempDir()})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	busy := t.TempDir()
	child(t, busy, "")
	for name, c := range map[string]struct {
		o    local.Options
		want string
	}{
		"port in use":         {local.Options{DataDir: t.TempDir(), Port: port(s.Address())}, fmt.Sprintf("port %d is taken", port(s.Address()))},
		"no data directory":   {local.Options{}, "needs a data directory"},
		"a file":              {local.Options{DataDir: file}, "not a directory"},
		"used by a process":   {local.Options{DataDir: busy}, "is serving this data directory"},
		"no room":             {local.Options{DataDir: t.TempDir(), MinFree: 1 << 60}, "is full"},
		"all interfaces":      {local.Options{DataDir: t.TempDir(), Host: "0.0.0.0"}, "not an address"},
		"foreign address":     {local.Options{DataDir: t.TempDir(), Host: "192.0.2.1"}, "192.0.2.1"},
		"unknown mechanism":   {local.Options{DataDir: t.TempDir(), Username: "u", Password: "p", Mechanism: "X"}, "mechanism"},
		"nonsense for a port": {local.Options{DataDir: t.TempDir(), Port: 70000}, "not a port"},
	} {
		got, err := local.Start(ctx, c.o)
		if err == nil {
			got.Close()
			t.Errorf("%s: it started", name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, want something with %q", name, err, c.want)
		}
		var h *connector.Hinted
		var u *connector.Unreachable
		if hinted := errors.As(err, &h) || errors.As(err, &u); !hinted && name != "no data directory" && name != "nonsense for a port" && name != "unknown mechanism" {
			t.Errorf("%s: %v has no hint", name, err)
		}
	}
	// The directory of a server that was closed may be used again.
	dir := t.TempDir()
	for range 3 {
		s, err := local.Start(ctx, local.Options{DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("/proc", "self", "kafka") // nobody can write there
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("this system has no /proc")
	}
	_, err := local.Start(testContext(t), local.Options{DataDir: dir})
	var h *connector.Hinted
	if !errors.As(err, &h) || h.Hint == "" || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want a hinted error that names %s", err, dir)
	}
}

// With a full disk, appends are refused with an error that clients do not
// repeat, reading goes on, and so do appends once there is room.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := start(t, local.Options{DataDir: t.TempDir()})
	ctx := testContext(t)
	cl := client(t, s.Address(), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("full"))
	produce := func() error { return cl.ProduceSync(ctx, kgo.StringRecord("12345678")).FirstErr() }
	if err := produce(); err != nil {
		t.Fatal(err)
	}
	if err := s.Trouble(); err != nil {
		t.Errorf("Trouble: %v", err)
	}
	local.SetMinFree(s, 1<<60)
	if err := produce(); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("appending to a full disk: %v, want POLICY_VIOLATION", err)
	}
	if err := s.Trouble(); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("Trouble: %v, want that the disk is full", err)
	}
	local.SetMinFree(s, 1)
	if err := produce(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if seen := readAll(t, s.Address(), "full"); len(seen) != 1 {
		t.Errorf("read %v", seen)
	}
	// A write that failed in the broker stops appends as well.
	local.LogFailedWrite(s)
	if err := produce(); !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("after a failed write: %v, want POLICY_VIOLATION", err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := testContext(t)
	try := func(addr, user, password string) error {
		cl := client(t, addr, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
		return cl.Ping(ctx)
	}
	for _, password := range []string{"first", "second"} {
		s := start(t, local.Options{DataDir: dir, Username: "u", Password: password})
		if err := try(s.Address(), "u", password); err != nil {
			t.Errorf("the right password: %v", err)
		}
		for _, wrong := range [][2]string{{"u", "x"}, {"u", ""}, {"x", password}, {"x", "x"}, {"u", password + "\x00"}} {
			if wrong[1] == "" {
				continue // the client refuses to send it
			}
			if err := try(s.Address(), wrong[0], wrong[1]); !errors.Is(err, kerr.SaslAuthenticationFailed) {
				t.Errorf("user and password %q: %v", wrong, err)
			}
		}
		// An unknown user with an empty password.
		if err := rawPlain(t, s.Address(), "\x00nobody\x00"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("nobody without a password: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "sasl.json")); err == nil {
			t.Error("the password stays on disk")
		}
	}
	s := start(t, local.Options{DataDir: dir})
	if err := client(t, s.Address()).Ping(ctx); err != nil {
		t.Errorf("without users: %v", err)
	}
}

// rawPlain sends a PLAIN token of any form.
func rawPlain(t *testing.T, addr, token string) error {
	t.Helper()
	cl := client(t, addr)
	ctx := testContext(t)
	b := cl.SeedBrokers()[0]
	hand := kmsg.NewPtrSASLHandshakeRequest()
	hand.Mechanism = "PLAIN"
	if _, err := b.Request(ctx, hand); err != nil {
		return err
	}
	auth := kmsg.NewPtrSASLAuthenticateRequest()
	auth.SASLAuthBytes = []byte(token)
	resp, err := b.Request(ctx, auth)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.(*kmsg.SASLAuthenticateResponse).ErrorCode)
}

package kafkaface_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"
	kafkalocal "millrace/connector/kafka/local"
	"millrace/internal/testservice"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// patience is how long a test waits for what must happen. It is no
// measurement: a machine may be slow.
const patience = 2 * time.Minute

const testKey = "c2VjcmV0LWtleS1vZi10aGUtdGVzdHM="

var runs atomic.Int64

// unique is a name that no other test and no earlier run has.
func unique(prefix string) string {
	return fmt.Sprintf("%s-%d-%d", prefix, time.Now().UnixNano(), runs.Add(1))
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

// logs runs a test over the embedded log and over Apache Kafka.
func logs(t *testing.T, each func(t *testing.T, brokers string)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		each(t, embedded(t))
	})
	t.Run("apache", func(t *testing.T) {
		t.Parallel()
		each(t, testservice.Kafka(t).Brokers)
	})
}

func embedded(t testing.TB) string {
	t.Helper()
	s, err := kafkalocal.Start(context.Background(), kafkalocal.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stopping the log: %v", err)
		}
	})
	return s.Address()
}

// open makes namespaces over a log; the first is the default one. Hubs that are
// left when the test ends are deleted, since the log may not be the test's own.
func open(t testing.TB, brokers string, namespaces ...hub.NamespaceSpec) *hub.Cluster {
	t.Helper()
	c, err := hub.Open(testContext(t), hub.Options{Brokers: strings.Split(brokers, ","), Namespaces: namespaces})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, ns := range c.Namespaces()[1:] {
			hubs, err := ns.Hubs(context.Background())
			if err != nil {
				t.Errorf("cleaning up: %v", err)
			}
			for _, h := range hubs {
				if err := ns.DeleteHub(context.Background(), h.Name()); err != nil {
					t.Errorf("cleaning up: %v", err)
				}
			}
		}
		if err := c.Close(); err != nil {
			t.Errorf("closing the cluster: %v", err)
		}
	})
	return c
}

// namespace is a cluster with one namespace besides the default one.
func namespace(t testing.TB, brokers string, hubs ...hub.Spec) (*hub.Cluster, *hub.Namespace) {
	t.Helper()
	name := unique("ns")
	c := open(t, brokers, hub.NamespaceSpec{Name: "main"}, hub.NamespaceSpec{Name: name, Hubs: hubs})
	ns, _ := c.Namespace(name)
	return c, ns
}

// start serves the cluster; what is logged ends up in the returned text.
func start(t testing.TB, o kafkaface.Options) (*kafkaface.Server, *logged) {
	t.Helper()
	l := &logged{}
	o.Log = slog.New(slog.NewTextHandler(l, nil))
	s, err := kafkaface.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stopping the endpoint: %v", err)
		}
		if t.Failed() {
			t.Logf("the endpoint has logged\n%s", l)
		}
	})
	return s, l
}

type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits for a line with all of the parts.
func (l *logged) await(t testing.TB, parts ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("a log line with %q", parts), func() bool {
		for line := range strings.Lines(l.String()) {
			found := true
			for _, p := range parts {
				found = found && strings.Contains(line, p)
			}
			if found {
				return true
			}
		}
		return false
	})
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

// connectionString is what a client of a namespace is given.
func connectionString(addr string) string {
	return "Endpoint=sb://" + addr + ";SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=" + testKey + ";UseDevelopmentEmulator=true"
}

func signIn(cs string) kgo.Opt {
	return kgo.SASL(plain.Auth{User: "$ConnectionString", Pass: cs}.AsMechanism())
}

// client is a franz-go client of the endpoint.
func client(t testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), signIn(connectionString(addr)),
		kgo.BrokerMaxWriteBytes(kafkaface.MaxRequestBytes), kgo.ProducerBatchMaxBytes(1_000_000), kgo.ProducerBatchCompression(kgo.NoCompression())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// collect reads n records.
func collect(t testing.TB, cl *kgo.Client, n int) []*kgo.Record {
	t.Helper()
	ctx := testContext(t)
	var got []*kgo.Record
	for len(got) < n {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(got), n, err)
		}
		got = append(got, fs.Records()...)
	}
	return got
}

func admin(t testing.TB, addr string) *kadm.Client { return kadm.NewClient(client(t, addr)) }

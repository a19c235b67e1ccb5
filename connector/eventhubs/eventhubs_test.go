package eventhubs_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/eventhubs"
	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/web"
	kafka "millrace/connector/kafka/local"
	"millrace/internal/testservice"
)

var runs atomic.Int64

// logLevel is what tests show of the connector's log.
var logLevel = slog.LevelInfo

// testEnv is an environment with a run name and a data directory that no other
// test has.
func testEnv(t testing.TB) connector.Env {
	return connector.Env{
		Run:     fmt.Sprintf("%d-%d", time.Now().UnixNano(), runs.Add(1)),
		DataDir: t.TempDir(),
		Getenv:  func(string) string { return "" },
		Log:     slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: logLevel})),
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	fmt.Printf("    %s: %s", w.t.Name(), b)
	return len(b), nil
}

// options of a service for tests.
type options struct {
	key    string
	port   int
	units  int
	dir    string // of the broker's and the hubs' state; "": a new one
	hubs   []hub.Spec
	noWeb  bool
	change func(*local.Options)
}

// service is the stand-in over an embedded log.
type service struct {
	*local.Server
	cluster *hub.Cluster
	broker  *kafka.Server
}

func (s *service) stop() {
	_ = s.Server.Close()
	_ = s.cluster.Close()
	_ = s.broker.Close()
}

func start(t testing.TB, o options) *service {
	t.Helper()
	ctx := context.Background()
	if o.dir == "" {
		o.dir = t.TempDir()
	}
	broker, err := kafka.Start(ctx, kafka.Options{DataDir: o.dir})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := hub.Open(ctx, hub.Options{Brokers: []string{broker.Address()}, StateFile: filepath.Join(o.dir, "hubs.json"),
		Namespaces: []hub.NamespaceSpec{{Name: "millrace", ThroughputUnits: o.units, Hubs: o.hubs}}})
	if err != nil {
		t.Fatal(err)
	}
	lo := local.Options{Cluster: cluster, Key: o.key, Port: o.port}
	if !o.noWeb {
		h, err := web.New(web.Options{Cluster: cluster, Key: o.key})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		lo.HTTP = h
	}
	if o.change != nil {
		o.change(&lo)
	}
	server, err := local.Start(ctx, lo)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Server: server, cluster: cluster, broker: broker}
	t.Cleanup(s.stop)
	return s
}

// configFor reads and renews in quick steps, as far as a machine with other
// work to do allows.
func configFor(address string) *eventhubs.Config {
	c := eventhubs.NewConfig()
	c.SetAddress(address)
	c.UpdateInterval = connector.Duration(300 * time.Millisecond)
	c.Expiration = connector.Duration(5 * time.Second)
	return c
}

func openLog(t testing.TB, c *eventhubs.Config, env connector.Env) connector.Log {
	t.Helper()
	if errs := c.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
	l, err := c.Open(context.Background(), env)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func runLog(t *testing.T, conf func(testing.TB) *eventhubs.Config, features connectortest.LogFeatures) {
	connectortest.RunLog(t, func(t testing.TB, partitions int) connectortest.LogUnderTest {
		env := testEnv(t)
		with := func(t testing.TB, partitions int) connector.Log {
			c := conf(t)
			c.Partitions = partitions
			return openLog(t, c, env)
		}
		return connectortest.LogUnderTest{
			Open:     func(t testing.TB) connector.Log { return with(t, partitions) },
			OpenWith: with,
		}
	}, features)
}

func TestLog(t *testing.T) {
	s := start(t, options{key: "secret"})
	conf := func(testing.TB) *eventhubs.Config { return configFor(s.Address()) }
	runLog(t, conf, connectortest.LogFeatures{
		Unreachable: func(t testing.TB) connector.Log {
			return openLog(t, configFor(connectionString(closedPort(t), "secret")), testEnv(t))
		},
		WrongPassword: func(t testing.TB) connector.Log {
			return openLog(t, configFor(connectionString(hostOf(t, s), "not it")), testEnv(t))
		},
	})
}

func connectionString(host, key string) string {
	return "Endpoint=sb://" + host + ";SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=" + key + ";UseDevelopmentEmulator=true"
}

func hostOf(t testing.TB, s *service) string {
	t.Helper()
	var host string
	if _, err := fmt.Sscanf(s.Address(), "Endpoint=sb://%s", &host); err != nil {
		t.Fatal(err)
	}
	for i, r := range host {
		if r == ';' || r == '/' {
			return host[:i]
		}
	}
	return host
}

// closedPort is an address that nobody listens on, nor begins to by chance.
func closedPort(t testing.TB) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(testservice.Port(t)))
}

func TestDeadLetters(t *testing.T) {
	s := start(t, options{})
	connectortest.RunDeadLetters(t, func(t testing.TB) func(testing.TB) connector.DeadLetters {
		env := testEnv(t)
		return func(t testing.TB) connector.DeadLetters {
			d, err := configFor(s.Address()).OpenDeadLetters(context.Background(), env, "deadletter")
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	})
}

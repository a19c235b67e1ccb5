package kafka_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/kafka"
	"millrace/connector/kafka/local"
	"millrace/internal/testservice"
)

var runs atomic.Int64

// testEnv is an environment with a run name that no other test has.
func testEnv(t testing.TB) connector.Env {
	return connector.Env{
		Run:    fmt.Sprintf("%d-%d", time.Now().UnixNano(), runs.Add(1)),
		Getenv: func(string) string { return "" },
		Log:    slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	fmt.Printf("    %s: %s", w.t.Name(), b)
	return len(b), nil
}

// cluster is one way to reach one cluster.
type cluster struct {
	conf func(t testing.TB) *kafka.Config
	// password makes a configuration with a wrong one; nil without users.
	wrong func(t testing.TB) *kafka.Config
}

func startLocal(t testing.TB, o local.Options) *local.Server {
	t.Helper()
	if o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	s, err := local.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("stopping the stand-in: %v", err)
		}
	})
	return s
}

func configFor(addr string) *kafka.Config {
	c := kafka.NewConfig()
	c.SetAddress(addr)
	c.SegmentBytes = 1 << 20
	c.SessionTimeout = connector.Duration(6 * time.Second)
	return c
}

// clusters are the stand-in and, if it is there, Apache Kafka over every kind
// of listener.
func clusters(t *testing.T, each func(t *testing.T, c cluster)) {
	t.Run("local", func(t *testing.T) {
		s := startLocal(t, local.Options{})
		each(t, cluster{conf: func(testing.TB) *kafka.Config { return configFor(s.Address()) }})
	})
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run("local/"+mechanism, func(t *testing.T) {
			s := startLocal(t, local.Options{Username: "somebody", Password: "secret", Mechanism: mechanism})
			each(t, withUser(s.Address(), mechanism, "somebody", "secret"))
		})
	}
	t.Run("apache", func(t *testing.T) {
		k := testservice.Kafka(t)
		each(t, cluster{conf: func(testing.TB) *kafka.Config { return configFor(k.Brokers) }})
	})
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run("apache/"+mechanism, func(t *testing.T) {
			k := testservice.Kafka(t)
			if k.SASL == "" {
				testservice.Absent(t, "the cluster has no SASL listener")
			}
			each(t, withUser(k.SASL, mechanism, k.Username, k.Password))
		})
	}
	t.Run("apache/TLS", func(t *testing.T) {
		k := testservice.Kafka(t)
		if k.TLS == "" {
			testservice.Absent(t, "the cluster has no TLS listener")
		}
		each(t, cluster{conf: func(testing.TB) *kafka.Config {
			c := configFor(k.TLS)
			c.TLS.Enabled, c.TLS.CAFile = true, k.CAFile
			return c
		}})
	})
}

func withUser(addr, mechanism, user, password string) cluster {
	conf := func(password string) func(testing.TB) *kafka.Config {
		return func(testing.TB) *kafka.Config {
			c := configFor(addr)
			c.SASL = kafka.SASL{Mechanism: mechanism, Username: user, Password: password}
			return c
		}
	}
	return cluster{conf: conf(password), wrong: conf("not it")}
}

func openLog(t testing.TB, c *kafka.Config, env connector.Env) connector.Log {
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

func TestLog(t *testing.T) {
	clusters(t, func(t *testing.T, c cluster) {
		features := connectortest.LogFeatures{Unreachable: func(t testing.TB) connector.Log {
			return openLog(t, configFor(closedPort(t)), testEnv(t))
		}}
		if c.wrong != nil {
			features.WrongPassword = func(t testing.TB) connector.Log { return openLog(t, c.wrong(t), testEnv(t)) }
		}
		connectortest.RunLog(t, func(t testing.TB, partitions int) connectortest.LogUnderTest {
			env := testEnv(t)
			with := func(t testing.TB, partitions int) connector.Log {
				conf := c.conf(t)
				conf.Partitions = partitions
				return openLog(t, conf, env)
			}
			return connectortest.LogUnderTest{
				Open:     func(t testing.TB) connector.Log { return with(t, partitions) },
				OpenWith: with,
			}
		}, features)
	})
}

func closedPort(t testing.TB) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(testservice.Port(t)))
}

func TestDeadLetters(t *testing.T) {
	clusters(t, func(t *testing.T, c cluster) {
		connectortest.RunDeadLetters(t, func(t testing.TB) func(testing.TB) connector.DeadLetters {
			env := testEnv(t)
			return func(t testing.TB) connector.DeadLetters {
				d, err := c.conf(t).OpenDeadLetters(context.Background(), env, "deadletter")
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
		})
	})
}

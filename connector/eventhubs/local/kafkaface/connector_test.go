package kafkaface_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"
	"millrace/connector/kafka"
)

// The project's own Kafka connector keeps its contract over the endpoint.
func TestConnector(t *testing.T) {
	logs(t, func(t *testing.T, brokers string) {
		c := open(t, brokers, hub.NamespaceSpec{Name: "main"}, hub.NamespaceSpec{Name: unique("ns")})
		ns := c.Namespaces()[1]
		// The connector puts all that is ready for a broker into one request.
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name(), Key: testKey, MaxRequestBytes: 64 << 20})
		conf := func(addr, password string) *kafka.Config {
			conf := kafka.NewConfig()
			conf.SetAddress(addr)
			conf.SASL = kafka.SASL{Mechanism: "PLAIN", Username: "$ConnectionString", Password: password}
			conf.SessionTimeout = connector.Duration(6 * time.Second)
			return conf
		}
		openLog := func(t testing.TB, conf *kafka.Config, env connector.Env) connector.Log {
			t.Helper()
			if errs := conf.Validate(); len(errs) > 0 {
				t.Fatal(errs)
			}
			l, err := conf.Open(context.Background(), env)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		env := func() connector.Env {
			return connector.Env{Run: unique("run"), Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)}
		}
		connectortest.RunLog(t, func(_ testing.TB, partitions int) connectortest.LogUnderTest {
			e := env()
			with := func(t testing.TB, partitions int) connector.Log {
				conf := conf(s.Address(), connectionString(s.Address()))
				conf.Partitions = partitions
				return openLog(t, conf, e)
			}
			return connectortest.LogUnderTest{
				Open:     func(t testing.TB) connector.Log { return with(t, partitions) },
				OpenWith: with,
			}
		}, connectortest.LogFeatures{
			Unreachable: func(t testing.TB) connector.Log {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				return openLog(t, conf(l.Addr().String(), "x"), env())
			},
			WrongPassword: func(t testing.TB) connector.Log {
				return openLog(t, conf(s.Address(), "Endpoint=sb://x;SharedAccessKeyName=k;SharedAccessKey=wrong"), env())
			},
		})
	})
}

package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/kafka"
	"millrace/connector/kafka/local"
	"millrace/internal/testservice"
)

var (
	_ connector.LogConfig   = (*kafka.Config)(nil)
	_ connector.StoreConfig = (*kafka.StoreConfig)(nil)
	_ connector.Standin     = (*local.Server)(nil)
)

func TestValidate(t *testing.T) {
	t.Parallel()
	if errs := kafka.NewConfig().Validate(); len(errs) > 0 {
		t.Errorf("the defaults: %v", errs)
	}
	if errs := kafka.NewStoreConfig().Validate(); len(errs) > 0 {
		t.Errorf("the store's defaults: %v", errs)
	}
	for want, change := range map[string]func(*kafka.Config){
		`brokers[1]: "nowhere"`: func(c *kafka.Config) { c.Brokers = []string{"a:1", "nowhere"} },
		`brokers[0]: "a:0"`:     func(c *kafka.Config) { c.Brokers = []string{"a:0"} },
		"topic: ":               func(c *kafka.Config) { c.Topic = "a b" },
		"partitions: ":          func(c *kafka.Config) { c.Partitions = 0 },
		"replicationFactor: ":   func(c *kafka.Config) { c.ReplicationFactor = -1 },
		"retention: ":           func(c *kafka.Config) { c.Retention = -1 },
		"segmentBytes: ":        func(c *kafka.Config) { c.SegmentBytes = 1 },
		"maxMessageBytes: ":     func(c *kafka.Config) { c.MaxMessageBytes = 1 },
		"maxInFlight: ":         func(c *kafka.Config) { c.MaxInFlight = 0 },
		"maxInFlightBytes: ":    func(c *kafka.Config) { c.MaxInFlightBytes = 1 },
		"linger: ":              func(c *kafka.Config) { c.Linger = -1 },
		"recordTimeout: ":       func(c *kafka.Config) { c.RecordTimeout = 1 },
		"sessionTimeout: ":      func(c *kafka.Config) { c.SessionTimeout = 1 },
		"rebalanceTimeout: ":    func(c *kafka.Config) { c.RebalanceTimeout = 0 },
		"maxVersion: ":          func(c *kafka.Config) { c.MaxVersion = "newest" },
		"tls.certFile":          func(c *kafka.Config) { c.TLS.Enabled, c.TLS.CertFile = true, "x" },
		"tls.enabled: ":         func(c *kafka.Config) { c.TLS.CAFile = "x" },
		"sasl.mechanism: ":      func(c *kafka.Config) { c.SASL.Mechanism = "GSSAPI" },
		"sasl.username: ":       func(c *kafka.Config) { c.SASL.Mechanism = "PLAIN" },
		"sasl.password: ":       func(c *kafka.Config) { c.SASL.Username = "u" },
	} {
		c := kafka.NewConfig()
		change(c)
		errs := c.Validate()
		if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want) {
			t.Errorf("want one problem that begins with %q, got %v", want, errs)
		}
	}
	// All problems at once.
	c := kafka.NewConfig()
	c.Topic, c.Partitions, c.MaxInFlight = "", 0, 0
	if errs := c.Validate(); len(errs) != 3 {
		t.Errorf("%d problems, want 3: %v", len(errs), errs)
	}
	c.SetAddress(" a:1 ,b:2,")
	if got := c.Address(); got != "a:1,b:2" {
		t.Errorf("Address is %q", got)
	}
	if _, err := kafka.NewConfig().Open(context.Background(), testEnv(t)); err == nil {
		t.Error("Open without brokers succeeded")
	}
}

// Every way to fail at first contact is one sentence with a hint, says where,
// and says no secrets.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	k := testservice.Kafka(t)
	http := serve(t, func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	hangUp := serve(t, func(net.Conn) {})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	const secret = "never to be seen"
	tls := func(c *kafka.Config) { c.TLS.Enabled = true }
	user := func(c *kafka.Config) { c.SASL = kafka.SASL{Username: "u", Password: secret} }
	none := func(*kafka.Config) {}
	for _, c := range []struct {
		addr   string
		change func(*kafka.Config)
		want   string
	}{
		{closedPort(t), none, "connection refused"},
		{"no-such-host..invalid:9092", none, "no such host"},
		{silent.Addr().String(), none, "no answer in time"},
		{http, none, "is not Kafka"},
		{hangUp, none, "closed the connection"},
		{hangUp, user, "hung up"},
		{k.Brokers, tls, "does not speak TLS"},
		{k.TLS, none, "speaks TLS"},
		{k.TLS, tls, "not trusted"},
		{k.SASL, none, "closed the connection"},
		{k.SASL, user, "refuses the user name or password"},
		{k.Brokers, user, "does not want a user name"},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel()
			conf := configFor(c.addr)
			c.change(conf)
			l := openLog(t, conf, testEnv(t))
			defer l.Close()
			if strings.Contains(l.Describe(), secret) {
				t.Errorf("a secret in %q", l.Describe())
			}
			_, err := l.Prepare(testContext(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.addr) ||
				strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v, want something with %q and %s", err, c.want, c.addr)
			}
			var h *connector.Hinted
			var u *connector.Unreachable
			switch {
			case errors.As(err, &h) && h.Hint != "" && !strings.Contains(h.Hint, secret):
			case errors.As(err, &u) && u.Hint != "" && !strings.Contains(u.Hint, secret):
			default:
				t.Errorf("no hint with %v", err)
			}
		})
	}
}

// serve listens and does something with each connection, then closes it.
func serve(t *testing.T, do func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			do(c)
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestTLSFiles(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.pem")
	if err := os.WriteFile(bad, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{bad, bad + ".missing"} {
		for _, set := range []func(*kafka.TLS){
			func(c *kafka.TLS) { c.CAFile = file },
			func(c *kafka.TLS) { c.CertFile, c.KeyFile = file, file },
		} {
			conf := configFor("127.0.0.1:1")
			conf.TLS.Enabled = true
			set(&conf.TLS)
			_, err := conf.Open(context.Background(), testEnv(t))
			var h *connector.Hinted
			if !errors.As(err, &h) || !strings.Contains(h.Hint, "tls.") {
				t.Errorf("%v, want an error with a hint", err)
			}
		}
	}
}

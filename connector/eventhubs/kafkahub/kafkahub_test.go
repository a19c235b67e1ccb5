package kafkahub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/emulator"
	kafkalocal "millrace/connector/kafka/local"
	"millrace/record"
)

const azure = "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0"

// TestWhereTheEndpointIs: everything follows from the connection string, which
// is the password without what is not the service's.
func TestWhereTheEndpointIs(t *testing.T) {
	t.Parallel()
	emulated := "Endpoint=sb://localhost:5672;SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true"
	for name, tt := range map[string]struct {
		connection, broker, password string
		tls                          bool
	}{
		"Azure":             {azure, "contoso.servicebus.windows.net:9093", azure, true},
		"the emulator":      {emulated, "localhost:9092", emulated, false},
		"another port":      {AddressOf(emulated, "127.0.0.1:19092"), "127.0.0.1:19092", emulated, false},
		"in the middle":     {strings.Replace(azure, ";", "; kafkaendpoint = gate:9093 ;", 1), "gate:9093", azure, true},
		"nothing, nowhere":  {"", "", "", false},
		"semicolon at last": {AddressOf(azure+";", "[::1]:1"), "[::1]:1", azure, true},
	} {
		c := NewConfig()
		c.SetAddress(tt.connection)
		if problems := c.Validate(); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
			continue
		}
		k, err := c.kafka()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(k.Brokers, ","); got != tt.broker || k.SASL.Password != tt.password || k.TLS.Enabled != tt.tls {
			t.Errorf("%s: %q, TLS %v, password %q", name, got, k.TLS.Enabled, k.SASL.Password)
		}
		if tt.connection != "" && (k.SASL.Username != "$ConnectionString" || k.SASL.Mechanism != "PLAIN") {
			t.Errorf("%s: %+v", name, k.SASL)
		}
	}
}

// TestProblems: what is wrong is said in the names that the user has written,
// and no key is shown.
func TestProblems(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(c *Config)
		says   string
	}{
		"garbage":    {func(c *Config) { c.ConnectionString = "c2VjcmV0" }, "not a connection string of Event Hubs"},
		"one hub":    {func(c *Config) { c.ConnectionString = azure + ";EntityPath=x" }, "for one hub only"},
		"endpoint":   {func(c *Config) { c.ConnectionString = azure + ";KafkaEndpoint=nowhere" }, `"nowhere" is not host:port`},
		"port":       {func(c *Config) { c.ConnectionString = azure + ";KafkaEndpoint=h:70000" }, "connectionString: KafkaEndpoint"},
		"hub":        {func(c *Config) { c.Hub = "a b" }, "hub: "},
		"partitions": {func(c *Config) { c.Partitions = 0 }, "partitions: "},
		"session":    {func(c *Config) { c.SessionTimeout = connector.Duration(time.Second) }, "sessionTimeout: must be at least 6s"},
		"units":      {func(c *Config) { c.ThroughputUnits = 41 }, "throughputUnits: "},
	} {
		c := NewConfig()
		tt.change(c)
		problems := errors.Join(c.Validate()...)
		if problems == nil || !strings.Contains(problems.Error(), tt.says) || strings.Contains(problems.Error(), "c2VjcmV0") {
			t.Errorf("%s: %v, want %q", name, problems, tt.says)
		}
	}
}

// TestThroughTheEndpoint: what is sent into a hub is read from it, a wrong key
// is refused with a hint, and the units of the namespace are known.
func TestThroughTheEndpoint(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	broker, err := kafkalocal.Start(ctx, kafkalocal.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	s, err := emulator.Start(ctx, emulator.Options{Brokers: []string{broker.Address()}, Key: "a2V5", HTTPPort: emulator.NoPort})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	address := AddressOf(s.Address(), s.Endpoints(s.Namespaces()[0]).Kafka)
	env := connector.Env{Run: "r1", Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)}
	c := NewConfig()
	c.SetAddress(address)
	c.ThroughputUnits = 3
	if got := c.RateLimits(); got.MessagesIn != 3000 || got.Setting != "throughputUnits" {
		t.Errorf("limits %+v", got)
	}
	l, err := c.Open(ctx, env)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n, err := l.Prepare(ctx); n != c.Partitions || err != nil {
		t.Fatalf("Prepare: %d, %v", n, err)
	}
	if !strings.Contains(l.Describe(), "topic "+c.HubOf("r1")) || strings.Contains(l.Describe(), "a2V5") {
		t.Errorf("it is described as %q", l.Describe())
	}
	acked := make(chan error, 1)
	p, err := l.Producer(ctx, func(_ *connector.Message, err error) { acked <- err })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Produce(ctx, &connector.Message{Key: []byte("k"), Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Flush(ctx), <-acked); err != nil {
		t.Fatal(err)
	}
	var got []string
	ends, err := l.Ends(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, end := range ends {
		err := errors.Join(l.Replay(ctx, int32(i), 0, end, func(b *record.Batch) error {
			for _, r := range b.Records {
				got = append(got, fmt.Sprintf("%s=%s", r.Key, r.Value))
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(got) != "[k=v]" {
		t.Errorf("the hub has %v", got)
	}

	c.SetAddress(strings.Replace(address, "a2V5", "b3RoZXI=", 1))
	other, err := c.Open(ctx, env)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = other.Prepare(ctx)
	if c.Ping(ctx, env) == nil {
		t.Error("a wrong key opens the door")
	}
	if hinted, ok := errors.AsType[*connector.Hinted](err); !ok || strings.Contains(err.Error()+hinted.Hint, "b3RoZXI=") {
		t.Errorf("with a wrong key: %v", err)
	}
}

// TestNobodyThere: the hint names what the user has set, which is not the list
// of brokers.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	c := NewConfig()
	c.SetAddress(AddressOf(azure+";UseDevelopmentEmulator=true", "127.0.0.1:1"))
	env := connector.Env{Run: "r1", Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)}
	l, err := c.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = l.Prepare(t.Context())
	for what, err := range map[string]error{"Prepare": err, "Ping": c.Ping(t.Context(), env)} {
		away, ok := errors.AsType[*connector.Unreachable](err)
		if !ok || strings.Contains(away.Hint, "KAFKA_BROKERS") || !strings.Contains(away.Hint, "EVENTHUBS_CONNECTION_STRING leads to 127.0.0.1:1") {
			t.Errorf("%s: %v (%+v)", what, err, away)
		}
	}
}

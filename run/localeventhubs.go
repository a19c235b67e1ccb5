package run

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/eventhubs"
	"millrace/connector/eventhubs/local/emulator"
	"millrace/connector/eventhubs/local/hub"
	"millrace/internal/solution/settings"
	"millrace/ui/cli"
)

// localEventHubs is `millrace local eventhubs`.
var localEventHubs = cli.Local{
	Name: "eventhubs", Short: "Azure Event Hubs: AMQP, Kafka, Capture, management, explorer", Port: emulator.DefaultPort,
	Address: "EVENTHUBS_CONNECTION_STRING",
	Long: "Eventhubs serves Azure Event Hubs on this machine: AMQP with WebSockets, the\n" +
		"Kafka endpoint, the HTTP management API with a web page to look at hubs and\n" +
		"events, and Capture. What was acknowledged survives restarts and kill -9.\n\n" +
		"--config reads the official emulator's Config.json, in which a namespace may\n" +
		"also have ThroughputUnits, Port and KafkaPort, and a hub RetentionTimeInHours\n" +
		"and Capture (as in Azure's captureDescription).\n\n" +
		"Any key is accepted unless one is set, by --key-file or EVENTHUBS_KEY. Events\n" +
		"are kept in the data directory, or in the Kafka cluster that KAFKA_BROKERS\n" +
		"names.\n\n" +
		"The commands below use a running service: that of --address, else the one that\n" +
		"EVENTHUBS_CONNECTION_STRING names (Azure's too), else 127.0.0.1:5672.",
	Example: "  millrace local eventhubs\n" +
		"  millrace local eventhubs --config Config.json --data-dir ./hubs\n" +
		"  millrace local eventhubs hubs create orders --partitions 8\n" +
		"  millrace local eventhubs send orders '{\"id\":1}' --key customer-7\n" +
		"  millrace local eventhubs peek orders --follow",
	Flags: []cli.LocalFlag{
		{Name: "kafka-port", Doc: "`port` of the Kafka endpoint; 0 takes a free one", Default: strconv.Itoa(emulator.DefaultKafkaPort), Kind: cli.PortFlag},
		{Name: "http-port", Doc: "`port` of explorer, health and management; 0: a free one", Default: strconv.Itoa(emulator.DefaultHTTPPort), Kind: cli.PortFlag},
		{Name: "config", Doc: "`file` with namespaces, hubs and groups (Config.json)", Kind: cli.FileFlag},
		{Name: "key-file", Doc: "`file` with the shared access key that clients must know", Kind: cli.FileFlag},
		{Name: "tls-cert", Doc: "PEM `file` with a certificate, to offer TLS as well", Kind: cli.FileFlag},
		{Name: "tls-key", Doc: "PEM `file` with its key", Kind: cli.FileFlag},
		{Name: "storage", Doc: "`place` that Capture writes to: a folder or an account's https URL (default: STORAGE_CONNECTION_STRING, else a folder in the data directory)", Kind: cli.TextFlag},
		{Name: "checkpoints", Doc: "`place` where clients keep checkpoints, to show their lag: a folder, or a container of the storage account (default: checkpoints)", Kind: cli.TextFlag},
		{Name: "throughput-units", Doc: "`units` that limit each namespace; 0: no limit", Default: "0", Kind: cli.NumberFlag},
	},
	Start:   startLocalEventHubs,
	Explore: exploreEventHubs,
}

func startLocalEventHubs(ctx context.Context, o cli.LocalOptions) (connector.Standin, error) {
	h := eventHubsOptions{DataDir: o.DataDir, Port: o.Port, Getenv: o.Getenv, Log: o.Log,
		KafkaPort: atoi(o.Values["kafka-port"]), HTTPPort: atoi(o.Values["http-port"])}
	if brokers := o.Getenv("KAFKA_BROKERS"); brokers != "" {
		h.Brokers = strings.FieldsFunc(brokers, func(r rune) bool { return r == ',' || r == ' ' })
	}
	var err error
	if h.Namespaces, err = localNamespaces(o); err != nil {
		return nil, err
	}
	if h.Key, err = localKey(o, "EVENTHUBS_KEY"); err != nil {
		return nil, err
	}
	if h.TLS, err = localTLS(o.Values["tls-cert"], o.Values["tls-key"]); err != nil {
		return nil, err
	}
	h.Storage = o.Values["storage"]
	if h.Storage != "" && !blob.IsFolder(h.Storage) && !strings.HasPrefix(h.Storage, "http") {
		return nil, usage("set STORAGE_CONNECTION_STRING in the environment", "--storage takes no connection string: others on this machine could read its key")
	}
	if h.Storage == "" {
		h.Storage = o.Getenv(blob.EnvConnectionString)
	}
	h.Checkpoints = o.Values["checkpoints"]
	s, err := startEventHubs(ctx, h)
	if errors.Is(err, hub.ErrInvalid) {
		return nil, &cli.UsageError{Err: err}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// atoi reads a number that has been checked.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// localNamespaces reads the configuration file and applies the flags to it.
func localNamespaces(o cli.LocalOptions) ([]emulator.NamespaceConfig, error) {
	all := []emulator.NamespaceConfig{{NamespaceSpec: hub.NamespaceSpec{Name: hub.DefaultNamespace}}}
	if file := o.Values["config"]; file != "" {
		c, err := emulator.ReadConfig(file)
		if err != nil {
			return nil, configProblems(err)
		}
		for _, what := range c.Ignored {
			o.Log.Warn("a field of the configuration is not known and was skipped", "file", file, "field", what)
		}
		all = slices.Clone(c.Namespaces)
	}
	if units := atoi(o.Values["throughput-units"]); o.Given("throughput-units") {
		for i := range all {
			all[i].ThroughputUnits = units
		}
	}
	if o.Given("port") {
		all[0].Port = 0
	}
	if o.Given("kafka-port") {
		all[0].KafkaPort = 0
	}
	return all, nil
}

// configProblems makes the command line list what is wrong with a file.
func configProblems(err error) error {
	var c *emulator.ConfigError
	if !errors.As(err, &c) {
		return &cli.UsageError{Err: err}
	}
	var out settings.Problems
	for _, p := range c.Problems {
		out = append(out, &settings.Problem{Origin: settings.Origin{Text: c.File, Line: p.Line}, Text: p.Text, Hint: p.Hint})
	}
	return out
}

// maxKey bounds the file with the key: whatever is longer is another file.
const maxKey = 1 << 10

// localKey is the key that clients must know: that of --key-file, else that of
// an environment variable, else "".
func localKey(o cli.LocalOptions, env string) (string, error) {
	file := o.Values["key-file"]
	if file == "" {
		return o.Getenv(env), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", usage("check who may read it", "--key-file: cannot read %s", file)
	}
	key := strings.TrimSpace(string(data))
	if key == "" || len(key) > maxKey || strings.ContainsAny(key, "\r\n;") {
		return "", usage("one line without semicolons", "--key-file: %s does not hold a key", file)
	}
	return key, nil
}

func localTLS(cert, key string) (*tls.Config, error) {
	switch {
	case cert == "" && key == "":
		return nil, nil
	case cert == "" || key == "":
		return nil, usage("give both", "--tls-cert and --tls-key belong together")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, &cli.UsageError{Err: fmt.Errorf("--tls-cert: cannot use %s with %s: %w", cert, key, err), Hint: "both are PEM files, and the key is not encrypted"}
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// Endpoints implements cli.Endpoints.
func (s *eventHubs) Endpoints() []cli.Endpoint {
	var out []cli.Endpoint
	for _, name := range s.Namespaces() {
		e := s.Server.Endpoints(name)
		out = append(out, cli.Endpoint{Namespace: name, Connection: emulator.HideKey(e.AMQP), Kafka: e.Kafka, HTTP: e.HTTP})
	}
	return out
}

// exploreEventHubs makes a client for the commands of `millrace local eventhubs`.
func exploreEventHubs(o cli.ExploreOptions) (cli.Hubs, error) {
	c := eventhubs.NewConfig()
	c.ConnectionString = o.Getenv("EVENTHUBS_CONNECTION_STRING")
	if c.ConnectionString == "" {
		c.ConnectionString = o.Getenv("EVENTHUB_CONNECTION_STRING")
	}
	if address := o.Address; address != "" || c.ConnectionString == "" {
		if address == "" {
			address = "127.0.0.1:" + strconv.Itoa(emulator.DefaultPort)
		}
		key := o.Getenv("EVENTHUBS_KEY")
		if key == "" {
			key = emulator.AnyKey
		}
		c.ConnectionString = "Endpoint=sb://" + address + ";SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=" + key + ";UseDevelopmentEmulator=true"
	}
	level := slog.LevelWarn
	if o.Verbose {
		level = slog.LevelDebug
	}
	x, err := eventhubs.Explore(c, connector.Env{Getenv: o.Getenv, Log: slog.New(slog.NewTextHandler(o.Stderr, &slog.HandlerOptions{Level: level}))})
	if err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	return x, nil
}

package solution

import (
	"context"
	"errors"
	"testing/fstest"

	"millrace/connector"
)

// logConfig, storeConfig and the others stand for what connectors register.
type logConfig struct {
	Topic      string             `yaml:"topic" doc:"topic that devices send to"`
	Partitions int                `yaml:"partitions" min:"1" max:"1000" doc:"number of partitions"`
	Brokers    []string           `yaml:"brokers" env:"KAFKA_BROKERS" doc:"addresses"`
	Password   string             `yaml:"password" env:"KAFKA_PASSWORD" secret:"true" doc:"password"`
	Timeout    connector.Duration `yaml:"timeout" min:"10ms" doc:"how long to wait"`
	TLS        struct {
		On bool   `yaml:"on" doc:"use TLS"`
		CA string `yaml:"ca" doc:"file"`
	} `yaml:"tls" doc:"encryption"`
}

func (c *logConfig) Validate() []error {
	if c.Topic == "bad" {
		return []error{errors.New("topic: `bad` is not allowed"), errors.New("all of it is wrong")}
	}
	return nil
}
func (c *logConfig) Address() string {
	if len(c.Brokers) > 0 {
		return c.Brokers[0]
	}
	return ""
}
func (c *logConfig) SetAddress(a string) { c.Brokers = []string{a} }
func (c *logConfig) Open(context.Context, connector.Env) (connector.Log, error) {
	return nil, errors.New("not in tests")
}
func (c *logConfig) OpenDeadLetters(context.Context, connector.Env, string) (connector.DeadLetters, error) {
	return nil, nil
}

type storeConfig struct {
	URL    string          `yaml:"url" env:"SQL_URL,DATABASE_URL" doc:"address"`
	Layout string          `yaml:"layout" enum:"columnstore,rowstore" doc:"how rows are laid out"`
	Memory connector.Bytes `yaml:"memory" doc:"memory limit"`
}

func (c *storeConfig) Validate() []error   { return nil }
func (c *storeConfig) Address() string     { return c.URL }
func (c *storeConfig) SetAddress(a string) { c.URL = a }
func (c *storeConfig) Open(context.Context, connector.Env) (connector.Store, error) {
	return nil, errors.New("not in tests")
}

type otherStore struct {
	storeless
	Container string `yaml:"container" doc:"container"`
}
type storeless struct{}

func (storeless) Validate() []error { return nil }
func (storeless) Address() string   { return "" }
func (storeless) SetAddress(string) {}
func (storeless) Open(context.Context, connector.Env) (connector.Store, error) {
	return nil, errors.New("not in tests")
}

type relayConfig struct {
	Dedupe struct {
		Horizon connector.Duration `yaml:"horizon" doc:"horizon"`
	} `yaml:"dedupe" doc:"dedupe"`
}

type simConfig struct {
	Rate    float64           `yaml:"rate" min:"0" doc:"events a second"`
	Devices int               `yaml:"devices" doc:"number of devices"`
	Labels  map[string]string `yaml:"labels" doc:"labels"`
}

type threshold struct {
	Check string `yaml:"check" required:"true" doc:"what must hold"`
	When  string `yaml:"when" doc:"when it counts"`
}
type verifyConfig struct {
	Interval   connector.Duration `yaml:"interval" doc:"interval"`
	Thresholds []threshold        `yaml:"thresholds" doc:"thresholds"`
}
type deadLetterConfig struct {
	To string `yaml:"to" enum:"file,topic" doc:"where"`
}

func testRegistry() Registry {
	return Registry{
		Ingest: map[string]func() connector.LogConfig{"kafka": func() connector.LogConfig {
			return &logConfig{Topic: "telemetry", Partitions: 4, Timeout: connector.Duration(5e9)}
		}},
		Process: map[string]func() any{"relay": func() any { return &relayConfig{} }},
		Serve: map[string]func() connector.StoreConfig{
			"sqldb":    func() connector.StoreConfig { return &storeConfig{Layout: "columnstore", Memory: 256 << 20} },
			"cosmosdb": func() connector.StoreConfig { return &otherStore{Container: "events"} },
		},
		Simulate:    func() any { return &simConfig{Rate: 1000, Devices: 1000} },
		DeadLetters: func() any { return &deadLetterConfig{To: "file"} },
		Verify:      func() any { return &verifyConfig{Interval: connector.Duration(5e9)} },
	}
}

const good = `# a solution
solution: demo
title: Demo
summary: From here to there.
engine: databricks

simulate:
  devices: 500
ingest:
  kind: kafka
  partitions: 4
process:
  kind: relay
  dedupe: {horizon: 10m}
serve:
  kind: sqldb
  layout: columnstore
deadLetters: {to: topic}
verify:
  interval: 2s
  thresholds:
    - check: "missing == 0"
    - {check: "latency.endToEnd.p99 < 1s", when: paced}
scales:
  1: {rate: 1000, set: {ingest.partitions: 4}}
  10:
    rate: 10_000
    set:
      ingest.partitions: 16
      serve.memory: 1GB
`

func testLoader(yaml string) Loader {
	return Loader{Registry: testRegistry(), Builtin: fstest.MapFS{
		"demo/solution.yaml":              {Data: []byte(yaml)},
		"demo/README.md":                  {Data: []byte("# Demo\n")},
		"hdinsight-kafka/solution.yaml":   {Data: []byte("solution: hdinsight-kafka\nsummary: one\n")},
		"eventhubs-functions/nothing.txt": {Data: []byte("x")},
	}}
}

func environ(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

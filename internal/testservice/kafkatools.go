package testservice

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The names of Kafka's command-line tools.
const (
	TopicTool    = "TopicCommand"
	ProducerTool = "ConsoleProducer"
	ConsumerTool = "consumer.ConsoleConsumer"
	GroupTool    = "consumer.group.ConsumerGroupCommand"
	PerfTool     = "ProducerPerformance"
)

// KafkaCLI runs Kafka's own command-line tools against a broker. Each use of one
// takes seconds. Not safe for concurrent use.
type KafkaCLI struct {
	// Addr is the broker, host:port.
	Addr string

	t         testing.TB
	classpath string
	settings  string
}

// toolTime is how long a tool may take; a hang is a fault.
const toolTime = 2 * time.Minute

// NewKafkaCLI returns the tools for a broker. settings are lines of a client's
// properties file that every tool is to be given; "" is none.
func NewKafkaCLI(t testing.TB, addr, settings string) *KafkaCLI {
	t.Helper()
	k := &KafkaCLI{Addr: addr, t: t, classpath: require(t, "MILLRACE_TEST_KAFKA_CP")}
	if _, err := exec.LookPath("java"); err != nil {
		Absent(t, "java is missing: run `make services`")
	}
	if settings != "" {
		k.settings = filepath.Join(t.TempDir(), "client.properties")
		if err := os.WriteFile(k.settings, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// Try runs a tool with its input and returns what it printed.
func (k *KafkaCLI) Try(input, tool string, args ...string) (string, error) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), toolTime)
	defer cancel()
	call := []string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", k.classpath, "org.apache.kafka.tools." + tool, "--bootstrap-server", k.Addr}
	if k.settings != "" {
		option := "--command-config"
		switch tool {
		case ProducerTool, PerfTool:
			option = "--producer.config"
		case ConsumerTool:
			option = "--consumer.config"
		}
		call = append(call, option, k.settings)
	}
	cmd := exec.CommandContext(ctx, "java", append(call, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// Run is Try for a tool that must succeed.
func (k *KafkaCLI) Run(input, tool string, args ...string) string {
	k.t.Helper()
	out, err := k.Try(input, tool, args...)
	if err != nil {
		k.t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
	}
	return out
}

// Want fails the test unless all parts are in what a tool printed, whatever the
// spaces between its words.
func (k *KafkaCLI) Want(out string, parts ...string) {
	k.t.Helper()
	flat := strings.Join(strings.Fields(out), " ")
	for _, p := range parts {
		if !strings.Contains(flat, p) {
			k.t.Errorf("no %q in\n%s", p, out)
		}
	}
}

// KafkaLines are n lines of input for the producer, key-0:value-0 and so on with
// seven keys in turn.
func KafkaLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key-%d:value-%d\n", i%7, i)
	}
	return b.String()
}

package kafkaface_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"
	"millrace/internal/testservice"
)

// tools runs Kafka's own command-line tools with the settings that the
// service's documentation gives.
type tools struct {
	t        *testing.T
	cp       string
	addr     string
	settings string
}

func newTools(t *testing.T, addr, cs string) *tools {
	t.Helper()
	k := &tools{t: t, cp: testservice.KafkaTools(t), addr: addr, settings: filepath.Join(t.TempDir(), "client.properties")}
	if _, err := exec.LookPath("java"); err != nil {
		testservice.Absent(t, "java is missing: run `make services`")
	}
	text := "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nrequest.timeout.ms=60000\n" +
		"sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"$ConnectionString\" password=\"" + cs + "\";\n"
	if err := os.WriteFile(k.settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// try runs a tool with its input and returns what it printed.
func (k *tools) try(input, class string, args ...string) (string, error) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	option := "--command-config"
	switch class {
	case producerTool:
		option = "--producer.config"
	case consumerTool:
		option = "--consumer.config"
	}
	cmd := exec.CommandContext(ctx, "java", append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", k.cp, "org.apache.kafka.tools." + class,
		"--bootstrap-server", k.addr, option, k.settings}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (k *tools) run(input, class string, args ...string) string {
	k.t.Helper()
	out, err := k.try(input, class, args...)
	if err != nil {
		k.t.Fatalf("%s %v: %v\n%s", class, args, err, out)
	}
	return out
}

func (k *tools) want(out string, parts ...string) {
	k.t.Helper()
	flat := strings.Join(strings.Fields(out), " ")
	for _, p := range parts {
		if !strings.Contains(flat, p) {
			k.t.Errorf("no %q in\n%s", p, out)
		}
	}
}

const (
	topicTool    = "TopicCommand"
	producerTool = "ConsoleProducer"
	consumerTool = "consumer.ConsoleConsumer"
	groupTool    = "consumer.group.ConsumerGroupCommand"
)

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key-%d:value-%d\n", i%7, i)
	}
	return b.String()
}

// Kafka's own tools work with the endpoint. Each use of one takes seconds: over
// Apache Kafka it is only those that the log behind has a part in.
func TestKafkaTools(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		c, ns := namespace(t, brokers, hub.Spec{Name: "telemetry", Partitions: 3})
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name(), Key: testKey})
		k := newTools(t, s.Address(), connectionString(s.Address()))

		apache := strings.HasSuffix(t.Name(), "/apache")
		if !apache {
			toolsMake(k)
		}
		k.run(lines(50), producerTool, "--topic", "telemetry", "--property", "parse.key=true", "--property", "key.separator=:")
		out := k.run("", consumerTool, "--topic", "telemetry", "--from-beginning", "--max-messages", "50", "--timeout-ms", "60000",
			"--group", "readers", "--property", "print.key=true")
		k.want(out, "key-0 value-0", "key-0 value-49", "Processed a total of 50 messages")
		k.want(k.run("", groupTool, "--list"), "readers")
		out = k.run("", groupTool, "--describe", "--group", "readers")
		if strings.Count(out, "readers") < 3 || strings.Contains(out, "LAG 1") {
			t.Errorf("the group is described as\n%s", out)
		}
		k.run("", groupTool, "--group", "readers", "--topic", "telemetry", "--reset-offsets", "--to-earliest", "--execute")
		k.want(k.run("", consumerTool, "--topic", "telemetry", "--max-messages", "50", "--timeout-ms", "60000", "--group", "readers"),
			"Processed a total of 50 messages")
		if apache {
			return
		}
		toolsUse(k)
		bad := newTools(t, s.Address(), strings.Replace(connectionString(s.Address()), testKey, "wrong", 1))
		if out, err := bad.try("", topicTool, "--list"); err == nil || !strings.Contains(out, "Authentication failed") {
			t.Errorf("with a wrong key: %v\n%s", err, out)
		}
	})
}

// toolsMake makes a hub, besides the one called telemetry.
func toolsMake(k *tools) {
	k.want(k.run("", topicTool, "--create", "--topic", "made", "--partitions", "5", "--config", "retention.ms=7200000"), "Created topic made")
	k.want(k.run("", topicTool, "--describe", "--topic", "made"), "PartitionCount: 5", "retention.ms=7200000", "Leader: 0 Replicas: 0 Isr: 0")
	if out := strings.Fields(k.run("", topicTool, "--list")); fmt.Sprint(out) != "[made telemetry]" {
		k.t.Errorf("topics are %q", out)
	}
}

// toolsUse uses and deletes it.
func toolsUse(k *tools) {
	k.run(lines(20), producerTool, "--topic", "made", "--compression-codec", "gzip")
	k.want(k.run("", consumerTool, "--topic", "made", "--from-beginning", "--max-messages", "20", "--timeout-ms", "60000"),
		"Processed a total of 20 messages")
	k.run("", topicTool, "--delete", "--topic", "made")
	if out := k.run("", topicTool, "--list"); strings.Contains(out, "made") {
		k.t.Errorf("a deleted topic is listed:\n%s", out)
	}
}

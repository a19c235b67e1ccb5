package local_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"millrace/connector/kafka/local"
	"millrace/internal/testservice"
)

// tools runs Kafka's own command-line tools.
type tools struct {
	t    *testing.T
	cp   string
	addr string
}

// run runs a tool with its input and returns what it printed.
func (k *tools) run(input, class string, args ...string) string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", k.cp, "org.apache.kafka.tools." + class,
		"--bootstrap-server", k.addr}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		k.t.Fatalf("%s %v: %v\n%s", class, args, err, out.String())
	}
	return out.String()
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
	perfTool     = "ProducerPerformance"
)

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key-%d:value-%d\n", i%7, i)
	}
	return b.String()
}

// Kafka's own tools work with the stand-in.
func TestKafkaTools(t *testing.T) {
	t.Parallel()
	k := &tools{t: t, cp: testservice.KafkaTools(t)}
	if _, err := exec.LookPath("java"); err != nil {
		testservice.Absent(t, "java is missing: run `make services`")
	}
	dir := t.TempDir()
	s := start(t, local.Options{DataDir: dir, Partitions: 3})
	k.addr = s.Address()

	k.want(k.run("", topicTool, "--create", "--topic", "made", "--partitions", "5", "--config", "retention.ms=100000"), "Created topic made")
	k.want(k.run("", topicTool, "--describe", "--topic", "made"), "PartitionCount: 5", "retention.ms=100000")
	k.run(lines(50), producerTool, "--topic", "made", "--property", "parse.key=true", "--property", "key.separator=:")
	out := k.run("", consumerTool, "--topic", "made", "--from-beginning", "--max-messages", "50", "--timeout-ms", "30000",
		"--group", "readers", "--property", "print.key=true")
	k.want(out, "key-0 value-0", "key-0 value-49", "Processed a total of 50 messages")
	k.want(k.run("", groupTool, "--list"), "readers")
	out = k.run("", groupTool, "--describe", "--group", "readers")
	if strings.Count(out, "readers") < 3 || strings.Contains(out, "LAG 1") {
		t.Errorf("the group is described as\n%s", out)
	}
	k.run("", groupTool, "--group", "readers", "--topic", "made", "--reset-offsets", "--to-earliest", "--execute")
	k.want(k.run("", consumerTool, "--topic", "made", "--max-messages", "50", "--timeout-ms", "30000", "--group", "readers"),
		"Processed a total of 50 messages")

	// A topic that is made by producing to it.
	k.run(lines(20), producerTool, "--topic", "by-use")
	k.want(k.run("", topicTool, "--describe", "--topic", "by-use"), "PartitionCount: 3")
	k.want(k.run("", consumerTool, "--topic", "by-use", "--from-beginning", "--max-messages", "20", "--timeout-ms", "30000"),
		"Processed a total of 20 messages")

	k.want(k.run("", perfTool, "--topic", "made", "--num-records", "20000", "--record-size", "1000", "--throughput", "-1"),
		"20000 records sent")

	// All of it is there after a restart, and can be deleted.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	k.addr = start(t, local.Options{DataDir: dir}).Address()
	k.want(k.run("", topicTool, "--list"), "by-use", "made")
	k.want(k.run("", consumerTool, "--topic", "made", "--from-beginning", "--max-messages", "20050", "--timeout-ms", "30000"),
		"Processed a total of 20050 messages")
	k.run("", topicTool, "--delete", "--topic", "made")
	if out := k.run("", topicTool, "--list"); strings.Contains(out, "made") {
		t.Errorf("a deleted topic is listed:\n%s", out)
	}
}

func TestKafkaToolsWithUsers(t *testing.T) {
	t.Parallel()
	cp := testservice.KafkaTools(t)
	for mechanism, module := range map[string]string{
		"PLAIN":         "plain.PlainLoginModule",
		"SCRAM-SHA-256": "scram.ScramLoginModule",
	} {
		s := start(t, local.Options{DataDir: t.TempDir(), Username: "u", Password: "p", Mechanism: mechanism})
		config := filepath.Join(t.TempDir(), "client.properties")
		text := fmt.Sprintf("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=%s\n"+
			"sasl.jaas.config=org.apache.kafka.common.security.%s required username=\"u\" password=\"p\";\n", mechanism, module)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k := &tools{t: t, cp: cp, addr: s.Address()}
		k.want(k.run("", topicTool, "--create", "--topic", "x", "--command-config", config), "Created topic x")
	}
}

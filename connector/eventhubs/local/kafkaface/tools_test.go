package kafkaface_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"
	"millrace/internal/testservice"
)

// newTools returns Kafka's own tools with the settings that the service's
// documentation gives.
func newTools(t *testing.T, addr, cs string) *testservice.KafkaCLI {
	t.Helper()
	return testservice.NewKafkaCLI(t, addr, "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nrequest.timeout.ms=60000\n"+
		"sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"$ConnectionString\" password=\""+cs+"\";\n")
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
			toolsMake(t, k)
		}
		k.Run(testservice.KafkaLines(50), testservice.ProducerTool, "--topic", "telemetry", "--property", "parse.key=true", "--property", "key.separator=:")
		out := k.Run("", testservice.ConsumerTool, "--topic", "telemetry", "--from-beginning", "--max-messages", "50", "--timeout-ms", "60000",
			"--group", "readers", "--property", "print.key=true")
		k.Want(out, "key-0 value-0", "key-0 value-49", "Processed a total of 50 messages")
		k.Want(k.Run("", testservice.GroupTool, "--list"), "readers")
		out = k.Run("", testservice.GroupTool, "--describe", "--group", "readers")
		if strings.Count(out, "readers") < 3 || strings.Contains(out, "LAG 1") {
			t.Errorf("the group is described as\n%s", out)
		}
		k.Run("", testservice.GroupTool, "--group", "readers", "--topic", "telemetry", "--reset-offsets", "--to-earliest", "--execute")
		k.Want(k.Run("", testservice.ConsumerTool, "--topic", "telemetry", "--max-messages", "50", "--timeout-ms", "60000", "--group", "readers"),
			"Processed a total of 50 messages")
		if apache {
			return
		}
		toolsUse(t, k)
		bad := newTools(t, s.Address(), strings.Replace(connectionString(s.Address()), testKey, "wrong", 1))
		if out, err := bad.Try("", testservice.TopicTool, "--list"); err == nil || !strings.Contains(out, "Authentication failed") {
			t.Errorf("with a wrong key: %v\n%s", err, out)
		}
	})
}

// toolsMake makes a hub, besides the one called telemetry.
func toolsMake(t *testing.T, k *testservice.KafkaCLI) {
	t.Helper()
	k.Want(k.Run("", testservice.TopicTool, "--create", "--topic", "made", "--partitions", "5", "--config", "retention.ms=7200000"), "Created topic made")
	k.Want(k.Run("", testservice.TopicTool, "--describe", "--topic", "made"), "PartitionCount: 5", "retention.ms=7200000", "Leader: 0 Replicas: 0 Isr: 0")
	if out := strings.Fields(k.Run("", testservice.TopicTool, "--list")); fmt.Sprint(out) != "[made telemetry]" {
		t.Errorf("topics are %q", out)
	}
}

// toolsUse uses and deletes it.
func toolsUse(t *testing.T, k *testservice.KafkaCLI) {
	t.Helper()
	k.Run(testservice.KafkaLines(20), testservice.ProducerTool, "--topic", "made", "--compression-codec", "gzip")
	k.Want(k.Run("", testservice.ConsumerTool, "--topic", "made", "--from-beginning", "--max-messages", "20", "--timeout-ms", "60000"),
		"Processed a total of 20 messages")
	k.Run("", testservice.TopicTool, "--delete", "--topic", "made")
	if out := k.Run("", testservice.TopicTool, "--list"); strings.Contains(out, "made") {
		t.Errorf("a deleted topic is listed:\n%s", out)
	}
}

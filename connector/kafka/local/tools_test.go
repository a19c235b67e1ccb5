package local_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/connector/kafka/local"
	"millrace/internal/testservice"
)

// Kafka's own tools work with the stand-in.
func TestKafkaTools(t *testing.T) {
	t.Parallel()
	k := testservice.NewKafkaCLI(t, "", "")
	dir := t.TempDir()
	s := start(t, local.Options{DataDir: dir, Partitions: 3})
	k.Addr = s.Address()

	k.Want(k.Run("", testservice.TopicTool, "--create", "--topic", "made", "--partitions", "5", "--config", "retention.ms=100000"), "Created topic made")
	k.Want(k.Run("", testservice.TopicTool, "--describe", "--topic", "made"), "PartitionCount: 5", "retention.ms=100000")
	k.Run(testservice.KafkaLines(50), testservice.ProducerTool, "--topic", "made", "--property", "parse.key=true", "--property", "key.separator=:")
	out := k.Run("", testservice.ConsumerTool, "--topic", "made", "--from-beginning", "--max-messages", "50", "--timeout-ms", "30000",
		"--group", "readers", "--property", "print.key=true")
	k.Want(out, "key-0 value-0", "key-0 value-49", "Processed a total of 50 messages")
	k.Want(k.Run("", testservice.GroupTool, "--list"), "readers")
	out = k.Run("", testservice.GroupTool, "--describe", "--group", "readers")
	if strings.Count(out, "readers") < 3 || strings.Contains(out, "LAG 1") {
		t.Errorf("the group is described as\n%s", out)
	}
	k.Run("", testservice.GroupTool, "--group", "readers", "--topic", "made", "--reset-offsets", "--to-earliest", "--execute")
	k.Want(k.Run("", testservice.ConsumerTool, "--topic", "made", "--max-messages", "50", "--timeout-ms", "30000", "--group", "readers"),
		"Processed a total of 50 messages")

	// A topic that is made by producing to it.
	k.Run(testservice.KafkaLines(20), testservice.ProducerTool, "--topic", "by-use")
	k.Want(k.Run("", testservice.TopicTool, "--describe", "--topic", "by-use"), "PartitionCount: 3")
	k.Want(k.Run("", testservice.ConsumerTool, "--topic", "by-use", "--from-beginning", "--max-messages", "20", "--timeout-ms", "30000"),
		"Processed a total of 20 messages")

	k.Want(k.Run("", testservice.PerfTool, "--topic", "made", "--num-records", "20000", "--record-size", "1000", "--throughput", "-1"),
		"20000 records sent")

	// All of it is there after a restart, and can be deleted.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	k.Addr = start(t, local.Options{DataDir: dir}).Address()
	k.Want(k.Run("", testservice.TopicTool, "--list"), "by-use", "made")
	k.Want(k.Run("", testservice.ConsumerTool, "--topic", "made", "--from-beginning", "--max-messages", "20050", "--timeout-ms", "30000"),
		"Processed a total of 20050 messages")
	k.Run("", testservice.TopicTool, "--delete", "--topic", "made")
	if out := k.Run("", testservice.TopicTool, "--list"); strings.Contains(out, "made") {
		t.Errorf("a deleted topic is listed:\n%s", out)
	}
}

func TestKafkaToolsWithUsers(t *testing.T) {
	t.Parallel()
	for mechanism, module := range map[string]string{
		"PLAIN":         "plain.PlainLoginModule",
		"SCRAM-SHA-256": "scram.ScramLoginModule",
	} {
		s := start(t, local.Options{DataDir: t.TempDir(), Username: "u", Password: "p", Mechanism: mechanism})
		k := testservice.NewKafkaCLI(t, s.Address(), fmt.Sprintf("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=%s\n"+
			"sasl.jaas.config=org.apache.kafka.common.security.%s required username=\"u\" password=\"p\";\n", mechanism, module))
		k.Want(k.Run("", testservice.TopicTool, "--create", "--topic", "x"), "Created topic x")
	}
}

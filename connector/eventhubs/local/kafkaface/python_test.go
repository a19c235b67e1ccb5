package kafkaface_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"
	"millrace/internal/testservice"
)

// kafka-python, a client that shares no code with the others.
func TestKafkaPython(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		python := testservice.Python(t)
		c, ns := namespace(t, brokers, hub.Spec{Name: "telemetry", Partitions: 2})
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name(), Key: testKey})
		ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, python, "testdata/matrix.py", s.Address(), connectionString(s.Address())).CombinedOutput()
		if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "ok") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

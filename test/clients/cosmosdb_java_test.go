package clients_test

import (
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local"
	"millrace/internal/testservice"
)

// javaFlags keep a Java machine small and quick to start.
var javaFlags = []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
	"-Dorg.slf4j.simpleLogger.defaultLogLevel=error"}

// compiled compiles the checks in Java and returns where the classes are. The
// compiler is one of the packages, as machines that only run Java have none.
func compiled(t *testing.T, classpath string) (classes string) {
	t.Helper()
	classes = t.TempDir()
	compiler := append(append([]string{}, javaFlags...), "-cp", classpath, "org.eclipse.jdt.internal.compiler.batch.Main",
		"-17", "-proc:none", "-nowarn", "-encoding", "UTF-8", "-d", classes, "java")
	if out, err := exec.CommandContext(t.Context(), "java", compiler...).CombinedOutput(); err != nil {
		t.Fatalf("compiling the checks: %v\n%s", err, out)
	}
	return classes
}

// The client for Java is the one that Spark's connector consists of for the
// most part. It speaks TLS unless it is told not to.
func TestCosmosDBWithJava(t *testing.T) {
	if testing.Short() {
		t.Skip("the checks take a minute")
	}
	classpath := testservice.Java(t)
	said := &record{}
	log := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelInfo}))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the servers said at last:\n%s", said)
		}
	})
	certificate, ca := certificate(t)
	classpath = compiled(t, classpath) + ":" + classpath
	checks := func(part string, env ...string) {
		if run(t, env, "java", append(append([]string{}, javaFlags...), "-cp", classpath, "cosmosdb.Main", part)...) == 0 {
			t.Logf("no check of the part %s was chosen", part)
		}
	}
	secure := startCosmos(t, local.Options{DataDir: t.TempDir(), Key: accountKey, Log: log, TLS: certificate})
	checks("tls", "COSMOSDB_CONNECTION_STRING="+strings.ReplaceAll(secure.Address(), "127.0.0.1", "localhost"), "COSMOSDB_CA="+ca)
	plain := startCosmos(t, local.Options{DataDir: t.TempDir(), Key: accountKey, Log: log})
	checks("plain", "COSMOSDB_CONNECTION_STRING="+plain.Address())
}

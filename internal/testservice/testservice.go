// Package testservice finds the real services that tests may use: those that
// `make services` started, or any that the environment names.
//
// Every address is a KEY=value pair, taken from the environment or else from
// the files .services/*.env in the repository. Without one a test is skipped
// with a sentence that says what to run, or fails if CI=true is set: there a
// missing service is a fault, not a choice.
package testservice

import (
	"bufio"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// KafkaService is a running Apache Kafka cluster. Empty members mean that the
// cluster does not offer that listener.
type KafkaService struct {
	// Brokers is the plain listener, host:port.
	Brokers string
	// SASL is the listener that wants a user and a password (mechanisms
	// PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512).
	SASL               string
	Username, Password string
	// TLS is the encrypted listener, CAFile the certificate it is signed by.
	TLS    string
	CAFile string
	// Classpath holds the jars of Kafka's command-line tools.
	Classpath string
	// Script starts, stops and kills the cluster (test/services/kafka.sh).
	Script string
}

// Kafka returns the Kafka cluster to test against.
func Kafka(t testing.TB) KafkaService {
	t.Helper()
	return KafkaService{
		Brokers:   require(t, "MILLRACE_TEST_KAFKA"),
		SASL:      lookup("MILLRACE_TEST_KAFKA_SASL"),
		Username:  lookup("MILLRACE_TEST_KAFKA_USERNAME"),
		Password:  lookup("MILLRACE_TEST_KAFKA_PASSWORD"),
		TLS:       lookup("MILLRACE_TEST_KAFKA_TLS"),
		CAFile:    lookup("MILLRACE_TEST_KAFKA_CA"),
		Classpath: lookup("MILLRACE_TEST_KAFKA_CP"),
		Script:    script("kafka.sh"),
	}
}

// Postgres returns the URL (postgres://...) of a PostgreSQL server whose user
// may create databases and schemas.
func Postgres(t testing.TB) (url string) {
	t.Helper()
	return require(t, "MILLRACE_TEST_POSTGRES")
}

// PostgresScript is the script that starts, stops and kills the PostgreSQL
// server, or "" if the server is somebody else's.
func PostgresScript() string { return script("postgres.sh") }

func require(t testing.TB, key string) string {
	t.Helper()
	v := lookup(key)
	if v != "" {
		return v
	}
	Absent(t, "%s is not set and .services/ does not name it: run `make services`", key)
	return ""
}

// lookup finds key in the environment, else in the services' files.
func lookup(key string) string {
	if v := os.Getenv(key); v != "" {
		return v
	}
	root := root()
	if root == "" {
		return ""
	}
	files, err := filepath.Glob(filepath.Join(root, ".services", "*.env"))
	if err != nil {
		return ""
	}
	for _, name := range files {
		if v := lookupFile(name, key); v != "" {
			return v
		}
	}
	return ""
}

func lookupFile(name, key string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		k, v, ok := strings.Cut(strings.TrimSpace(sc.Text()), "=")
		if ok && k == key {
			return v
		}
	}
	return ""
}

// script returns the path of a script of test/services, "" if there is none.
func script(name string) string {
	root := root()
	if root == "" {
		return ""
	}
	p := filepath.Join(root, "test", "services", name)
	if _, err := os.Stat(p); err != nil {
		return ""
	}
	return p
}

// root is the repository's top folder: the nearest one upwards with a go.mod.
func root() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// Absent ends a test that cannot run because something is not there: in CI
// (CI=true) that is a failure, elsewhere the test is skipped.
func Absent(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Port returns a port of this machine that is free, for a server that a test
// starts again on the same one: nobody else gets it by chance while the server is
// down, as it would one of those that the system gives out.
func Port(t testing.TB) int {
	t.Helper()
	var err error
	for range 100 {
		// Those of the services begin at 20000, the system's at 32768.
		port := 10000 + rand.IntN(10000)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			err = l.Close()
		}
		if err == nil {
			return port
		}
	}
	t.Fatal(err)
	return 0
}

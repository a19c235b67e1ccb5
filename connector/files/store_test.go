package files_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/connectortest"
	"millrace/connector/files"
	"millrace/internal/testservice"
)

// env is an environment for a store, with a data folder of its own.
func env(dir, run string) connector.Env {
	return connector.Env{Run: run, DataDir: dir, Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, c *files.Config, e connector.Env) *files.Store {
	t.Helper()
	s, err := c.Open(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*files.Store)
}

// newRun returns a name that no other test uses.
func newRun() string { return fmt.Sprintf("t%012x", rand.Uint64()>>16) }

// forms are the kinds of files that there are.
var forms = []struct{ name, format, compression string }{
	{"Parquet", files.Parquet, "auto"},
	{"ParquetZstd", files.Parquet, "zstd"},
	{"Lines", files.JSONL, "auto"},
	{"LinesGzip", files.JSONL, "gzip"},
}

func config(format, compression string) *files.Config {
	c := files.NewConfig()
	c.Format, c.Compression = format, compression
	c.RollInterval = connector.Duration(20 * time.Millisecond)
	return c
}

// stores makes empty stores of a configuration.
func stores(c *files.Config, change func(t testing.TB, c *files.Config)) connectortest.StoreFactory {
	return func(t testing.TB) func(testing.TB) connector.Store {
		c := *c
		change(t, &c)
		e := env(t.TempDir(), newRun())
		return func(t testing.TB) connector.Store { return open(t, &c, e) }
	}
}

// features: files take what they are given, and the dedupe step before them
// finds events that are in the log twice; counting is SQL.
var features = connectortest.StoreFeatures{DecidesByPartition: true, Count: "SELECT count(*) FROM events"}

func TestFolder(t *testing.T) {
	t.Parallel()
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			connectortest.RunStore(t, features, stores(config(f.format, f.compression), func(testing.TB, *files.Config) {}))
		})
	}
}

func TestStorageAccount(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	for _, f := range forms[:3] {
		if f.compression != "auto" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			connectortest.RunStore(t, features, stores(config(f.format, f.compression), func(t testing.TB, c *files.Config) {
				c.Storage, c.Container, c.Writers = address, newRun(), 3
				t.Cleanup(func() {
					if client, err := blob.ContainerClient(address, c.Container, nil); err == nil {
						_, _ = client.Delete(context.Background(), nil)
					}
				})
			}))
		})
	}
}

func TestMain(m *testing.M) {
	os.Exit(m.Run())
}

package files_test

import (
	"context"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/files"
	"millrace/internal/testservice"
)

func open(t testing.TB, c *files.Config, e connector.Env) *files.Store {
	t.Helper()
	s, err := c.Open(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*files.Store)
}

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
		e := connectortest.Env(t.TempDir(), connectortest.NewRun())
		return func(t testing.TB) connector.Store { return open(t, &c, e) }
	}
}

// features: files take what they are given, and the dedupe step before them
// finds events that are in the log twice; counting is SQL.
var features = connectortest.StoreFeatures{DecidesByPartition: true, Count: "SELECT count(*) FROM events"}

func TestFolder(t *testing.T) {
	t.Parallel()
	for _, format := range []string{files.Parquet, files.JSONL} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			connectortest.RunStore(t, features, stores(config(format, "auto"), func(testing.TB, *files.Config) {}))
		})
	}
}

// inAccount puts files into a container of its own.
func inAccount(t testing.TB, address string, c *files.Config) {
	c.Storage, c.Container, c.Writers = address, connectortest.NewContainer(t, address), 3
}

func TestStorageAccount(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	connectortest.RunStore(t, features, stores(config(files.Parquet, "auto"),
		func(t testing.TB, c *files.Config) { inAccount(t, address, c) }))
}

// Lines differ in how they are written and where their end is found.
func TestLinesInStorageAccount(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	for _, compression := range []string{"none", "gzip"} {
		c := config(files.JSONL, compression)
		inAccount(t, address, c)
		e := connectortest.Env(t.TempDir(), "")
		s := connectortest.Prepared(t, c, e)
		claimAt(t, s, 3, connector.Unknown)
		write(t, s, unit(3, 0, 2000, 2010))
		write(t, s, unit(3, 2010, 2500, 2500))
		other := connectortest.Prepared(t, c, e)
		claimAt(t, other, 3, 2500)
		if _, err := s.Write(t.Context(), unit(3, 2500, 2600, 2600)); connector.ActionOf(err) != connector.Fenced || err == nil {
			t.Errorf("the former owner writes: %v", err)
		}
		connectortest.ExactSpans(t, other, map[int32][]connectortest.Span{3: {{From: 0, To: 2000}, {From: 2010, To: 2500}}})
		for range 2 { // the second one from copies
			if got := ask(t, other, "SELECT count(DISTINCT eventId) FROM events WHERE partitionId = 3"); got != "2490" {
				t.Errorf("%s events", got)
			}
		}
	}
}

package delta_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/delta"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	if problems := delta.NewConfig().Validate(); len(problems) > 0 {
		t.Errorf("the defaults: %v", errors.Join(problems...))
	}
	for want, change := range map[string]func(c *delta.Config){
		"container: must be set":                        func(c *delta.Config) { c.Container = "" },
		"path: \"\" cannot be":                          func(c *delta.Config) { c.Path = "" },
		"path: \"a b\" must be":                         func(c *delta.Config) { c.Path = "a b" },
		"path: \"../x\" cannot be":                      func(c *delta.Config) { c.Path = "../x" },
		"compression: \"gzip\" must be":                 func(c *delta.Config) { c.Compression = "gzip" },
		"maxRows: must be between":                      func(c *delta.Config) { c.MaxRows = 0 },
		"writers: must be between":                      func(c *delta.Config) { c.Writers = 17 },
		"threads: must be between":                      func(c *delta.Config) { c.Threads = 0 },
		"commitInterval: must be at least":              func(c *delta.Config) { c.CommitInterval = connector.Duration(time.Millisecond) },
		"targetFileSize: must be at least":              func(c *delta.Config) { c.TargetFileSize = 1 },
		"compactAfter: must be 0":                       func(c *delta.Config) { c.CompactAfter = 1 },
		"memoryLimit: must be at least":                 func(c *delta.Config) { c.MemoryLimit = 1 },
		"cacheSize: must be at least":                   func(c *delta.Config) { c.CacheSize = 1 },
		"checkpointInterval: \"0\" is no number":        func(c *delta.Config) { c.Properties = map[string]string{"delta.checkpointInterval": "0"} },
		"logRetentionDuration: \"week\" is no interval": func(c *delta.Config) { c.Properties = map[string]string{"delta.logRetentionDuration": "week"} },
		"a table forgets positions": func(c *delta.Config) {
			c.Properties = map[string]string{"delta.setTransactionRetentionDuration": "interval 1 day"}
		},
		"cannot be partitioned by \"deviceId\"":       func(c *delta.Config) { c.PartitionBy = []string{"deviceId"} },
		"the column \"humidity\" cannot be a decimal": func(c *delta.Config) { c.Columns = map[string]string{"humidity": "decimal"} },
		"cannot have the column \"EventID\"":          func(c *delta.Config) { c.Columns = map[string]string{"EventID": "string"} },
	} {
		c := delta.NewConfig()
		change(c)
		problems := c.Validate()
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), want) {
			t.Errorf("want %s, got %v", want, problems)
		}
		if _, err := c.Open(t.Context(), connectortest.Env(t.TempDir(), "")); err == nil {
			t.Errorf("%s: it is opened for all that", want)
		}
	}
}

func TestPathOf(t *testing.T) {
	t.Parallel()
	c := delta.NewConfig()
	if got := c.PathOf("r1"); got != "streaming_events_r1" {
		t.Error(got)
	}
	if got := c.PathOf(""); got != "streaming_events" {
		t.Error(got)
	}
	c.ExactPath = true
	if got := c.PathOf("r1"); got != "streaming_events" {
		t.Error(got)
	}
	if _, err := c.Open(t.Context(), connectortest.Env("", "r1")); err == nil || !strings.Contains(err.Error(), "not known where") {
		t.Errorf("without a place: %v", err)
	}
}

// A table that others use as well is not deleted with a run.
func TestDropLeavesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *delta.Config) { c.ExactPath = true })
	w.write(0, 10)
	if err := w.store.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	connectortest.Exact(t, w.store, w.at)
}

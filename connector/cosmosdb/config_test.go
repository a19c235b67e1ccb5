package cosmosdb_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"millrace/connector"
	"millrace/connector/cosmosdb"
	"millrace/connector/cosmosdb/local"
)

const someKey = "AccountKey=c2VjcmV0c2VjcmV0;"

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	if problems := cosmosdb.NewConfig().Validate(); problems != nil {
		t.Errorf("the defaults: %v", problems)
	}
	for _, good := range []string{"AccountEndpoint=https://h:443/;" + someKey, someKey + " accountendpoint=http://h:1;Database=x;"} {
		c := cosmosdb.NewConfig()
		c.SetAddress(good)
		if problems := c.Validate(); problems != nil || c.Address() != good {
			t.Errorf("%s: %v", good, problems)
		}
	}
	for want, change := range map[string]func(c *cosmosdb.Config){
		"connectionString: it has no AccountEndpoint":  func(c *cosmosdb.Config) { c.ConnectionString = someKey },
		"connectionString: it has no AccountKey":       func(c *cosmosdb.Config) { c.ConnectionString = "AccountEndpoint=https://secret/" },
		"connectionString: its AccountKey is not":      func(c *cosmosdb.Config) { c.ConnectionString = "AccountEndpoint=https://h/;AccountKey=secret!" },
		"connectionString: its AccountEndpoint is not": func(c *cosmosdb.Config) { c.ConnectionString = "AccountEndpoint=secret;" + someKey },
		"connectionString: it is not a connection":     func(c *cosmosdb.Config) { c.ConnectionString = "secret" },
		"endpoint: ":     func(c *cosmosdb.Config) { c.Endpoint = "http://name" },
		"database: ":     func(c *cosmosdb.Config) { c.Database = "a/b" },
		"container: ":    func(c *cosmosdb.Config) { c.Container = "" },
		"partitionKey: ": func(c *cosmosdb.Config) { c.PartitionKey = "deviceId" },
		"uniqueKey: ":    func(c *cosmosdb.Config) { c.UniqueKey = "/a/" },
		"throughput: must be 0 or a multiple of 100":   func(c *cosmosdb.Config) { c.Throughput = 450 },
		"throughput: must be a multiple of 1000":       func(c *cosmosdb.Config) { c.Throughput, c.Autoscale = 400, true },
		"autoscale: needs throughput":                  func(c *cosmosdb.Config) { c.Throughput, c.Autoscale = 0, true },
		"indexing.included: ":                          func(c *cosmosdb.Config) { c.Indexing.Included = []string{"/type"} },
		"indexing.excluded: ":                          func(c *cosmosdb.Config) { c.Indexing.Excluded = []string{"*"} },
		"indexing: must":                               func(c *cosmosdb.Config) { c.Indexing = cosmosdb.Indexing{} },
		"concurrency: ":                                func(c *cosmosdb.Config) { c.Concurrency = 0 },
		"maxBatch: must be between 1 and 100, is 101":  func(c *cosmosdb.Config) { c.MaxBatch = 101 },
		"maxRows: ":                                    func(c *cosmosdb.Config) { c.MaxRows = 0 },
		"linger: must be between 0s and 1m, is 1h0m0s": func(c *cosmosdb.Config) { c.Linger = connector.Duration(3600e9) },
	} {
		c := cosmosdb.NewConfig()
		change(c)
		problems := c.Validate()
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), want) || strings.Contains(problems[0].Error(), "secret") {
			t.Errorf("problems %v, want one: %s", problems, want)
		}
		if _, err := c.Open(t.Context(), env("")); err == nil {
			t.Errorf("%s: opened all the same", want)
		}
	}
}

func TestConfigRates(t *testing.T) {
	t.Parallel()
	c := cosmosdb.NewConfig()
	if l := c.RateLimits(); l.Units != 20_000 || l.Unit != "request unit" || l.Setting != "throughput" || l.Step != 100 {
		t.Errorf("limits %+v", l)
	}
	c.Throughput = 0
	if l := c.RateLimits(); l != (connector.RateLimits{}) {
		t.Errorf("limits %+v of a serverless account", l)
	}
}

// TestUnreachable checks what a user gets to read who has the address wrong.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	plain := standin(t, local.Options{Throughput: -1, Key: local.WellKnownKey})
	https := strings.Replace(plain.ConnectionString, "http://", "https://", 1)
	for name, c := range map[string]struct{ address, says string }{
		"nobody there": {"AccountEndpoint=http://127.0.0.1:1/;" + someKey, "connection refused"},
		"no TLS":       {https, "does not speak TLS"},
	} {
		cfg := cosmosdb.NewConfig()
		cfg.ConnectionString = c.address
		s := open(t, cfg, env(""))
		err := s.Prepare(t.Context())
		var unreachable *connector.Unreachable
		if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), c.says) || unreachable.Hint == "" || connector.ActionOf(err) != connector.Fail {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
	// A wrong key.
	endpoint, _, _ := strings.Cut(plain.ConnectionString, ";")
	cfg := cosmosdb.NewConfig()
	cfg.ConnectionString = endpoint + ";" + someKey
	s := open(t, cfg, env(""))
	defer s.Close()
	var hinted *connector.Hinted
	if err := s.Prepare(t.Context()); !errors.As(err, &hinted) || !strings.Contains(err.Error(), "refuses the key") || strings.Contains(err.Error(), "c2VjcmV0") {
		t.Errorf("a wrong key: %v", err)
	}
}

// TestPrepareExisting opens a container with other settings than it was made
// with.
func TestPrepareExisting(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1})
	c.Throughput = 400
	e := env(newRun())
	var log logged
	e.Log = slog.New(slog.NewTextHandler(&log, nil))
	prepare := func(change func(c *cosmosdb.Config)) error {
		other := c
		change(&other)
		s := open(t, &other, e)
		defer s.Close()
		log.Reset()
		return s.Prepare(t.Context())
	}
	if err := prepare(func(*cosmosdb.Config) {}); err != nil || log.Len() > 0 {
		t.Fatalf("%v, log %s", err, log.String())
	}
	for want, change := range map[string]func(c *cosmosdb.Config){
		"has the partition key /deviceId, not /type":  func(c *cosmosdb.Config) { c.PartitionKey = "/type" },
		"has the unique keys [/eventId], not []":      func(c *cosmosdb.Config) { c.UniqueKey = "" },
		"has the unique keys [/eventId], not [/type]": func(c *cosmosdb.Config) { c.UniqueKey = "/type" },
	} {
		var hinted *connector.Hinted
		if err := prepare(change); !errors.As(err, &hinted) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for want, change := range map[string]func(c *cosmosdb.Config){
		"throughput changed":      func(c *cosmosdb.Config) { c.Throughput = 900 },
		"it is of the other sort": func(c *cosmosdb.Config) { c.Throughput, c.Autoscale = 4000, true },
	} {
		if err := prepare(change); err != nil || !strings.Contains(log.String(), want) {
			t.Errorf("%v, log %s, want %s", err, log.String(), want)
		}
	}
	if err := prepare(func(c *cosmosdb.Config) { c.Throughput = 0 }); err != nil || log.Len() > 0 {
		t.Errorf("%v, log %s", err, log.String())
	}
	if err := prepare(func(c *cosmosdb.Config) { c.Container, c.Throughput, c.Autoscale = "scaling", 4000, true }); err != nil {
		t.Errorf("autoscale: %v", err)
	}
}

// logged is a log's text.
type logged struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// TestEntraID: without a connection string the endpoint counts, and nothing is
// asked of anybody before the store is used.
func TestEntraID(t *testing.T) {
	t.Parallel()
	c := cosmosdb.NewConfig()
	c.Endpoint = "https://name.documents.azure.com:443/"
	if problems := c.Validate(); problems != nil || c.Address() != c.Endpoint {
		t.Errorf("%v, address %s", problems, c.Address())
	}
	s := open(t, c, env("r1"))
	defer s.Close()
	if got := s.Describe(); got != "Cosmos DB name.documents.azure.com:443, container streaming/events-r1" {
		t.Errorf("described as %q", got)
	}
	var hinted *connector.Hinted
	c.Endpoint = ""
	if _, err := c.Open(t.Context(), env("")); !errors.As(err, &hinted) {
		t.Errorf("without any address: %v", err)
	}
}

// TestPing: an account that answers and lets us in is told from one that does
// not, and looking makes nothing.
func TestPing(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1, Key: local.WellKnownKey})
	for range 2 { // the second finds what the first would have made
		if err := c.Ping(t.Context(), env("")); err != nil {
			t.Errorf("an empty account: %v", err)
		}
		s := open(t, &c, env(""))
		defer s.Close()
		if _, err := s.Query(t.Context(), "SELECT * FROM c"); err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("looking has made something: %v", err)
		}
	}
	away, wrong := c, c
	away.ConnectionString = "AccountEndpoint=http://127.0.0.1:1/;" + someKey
	if _, ok := errors.AsType[*connector.Unreachable](away.Ping(t.Context(), env(""))); !ok {
		t.Errorf("nobody there: %v", away.Ping(t.Context(), env("")))
	}
	endpoint, _, _ := strings.Cut(c.ConnectionString, ";")
	wrong.ConnectionString = endpoint + ";" + someKey
	err := wrong.Ping(t.Context(), env(""))
	if hinted, ok := errors.AsType[*connector.Hinted](err); !ok || strings.Contains(err.Error()+hinted.Hint, "c2VjcmV0") {
		t.Errorf("a wrong key: %v", err)
	}
}

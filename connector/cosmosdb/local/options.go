package local

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// WellKnownKey is the account key of every Cosmos DB emulator. It protects
// nothing; it stands in connection strings because SDKs want one.
const WellKnownKey = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw=="

// Options says how to run the server.
type Options struct {
	// DataDir is the folder of the store's files, made if missing. Required.
	DataDir string
	// Host is the address to listen on, 127.0.0.1 if empty.
	Host string
	// Port is the port to listen on; 0 chooses a free one.
	Port int
	// Key is the account key, in base64: every request must be signed with
	// it. "" checks no signatures; requests without a token are then
	// answered, too, and Address holds WellKnownKey.
	Key string
	// TLS, if set, is spoken on the port, and nothing else.
	TLS *tls.Config
	// SyncWrites makes every acknowledged write survive a power loss; without
	// it they survive a kill of the process.
	SyncWrites bool
	// CacheBytes bounds the store's cache; 0 is the store's default.
	CacheBytes int64
	// Throughput, in request units per second, is what every container (or
	// database that shares its throughput) may use, whatever it asked for;
	// -1 throttles nothing; 0 leaves it to them. What they asked for is kept,
	// shown by offers, and decides how many physical ranges they get.
	Throughput int
	// Web makes what answers requests below /_explorer and those of a browser
	// for the root; it is called once, by Start, with the server that is about
	// to serve. Nil: nothing is there.
	Web func(*Server) http.Handler
	// MaxConnections bounds the open connections: those beyond are answered
	// 503 and closed. 2048 if 0.
	MaxConnections int
	// Timing changes the server's waiting times; zero values are replaced by
	// the defaults.
	Timing Timing
	// Now is the clock that budgets, time stamps and signatures go by;
	// time.Now if nil.
	Now func() time.Time
	// Log receives what an operator may need to know; nil: nobody does.
	Log *slog.Logger
}

// Timing are the waiting times of the server.
type Timing struct {
	// Request is how long a client may take to send a request: 60 s.
	Request time.Duration
	// Work is how long a query or the page of a feed may take: 60 s, which is
	// when clients give up. That they have left, a server does not see.
	Work time.Duration
	// Answer is how long it may take to read the answer: 60 s.
	Answer time.Duration
	// Idle is how long a connection may stay without requests: 5 min.
	Idle time.Duration
	// Close is how long Close waits for requests in progress: 10 s.
	Close time.Duration
}

func (t *Timing) defaults() {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&t.Request, time.Minute}, {&t.Work, time.Minute}, {&t.Answer, time.Minute}, {&t.Idle, 5 * time.Minute}, {&t.Close, 10 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.d
		}
	}
}

// defaults fills in what is left out, and returns the decoded key, nil if there
// is none.
func (o *Options) defaults() ([]byte, error) {
	if o.DataDir == "" {
		return nil, errors.New("the Cosmos DB server needs a folder for its data")
	}
	if o.Port < 0 || o.Port > 65535 {
		return nil, fmt.Errorf("%d is not a port", o.Port)
	}
	if o.Throughput < unlimited {
		return nil, fmt.Errorf("%d is not a throughput: give request units per second, 0 for what containers ask for, or -1 for no limit", o.Throughput)
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = 2048
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Timing.defaults()
	if o.Key == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(o.Key)
	if err != nil || len(key) == 0 {
		// The text of err could hold a part of the key.
		return nil, errors.New("the account key is not base64: take it as it stands in a connection string after AccountKey=")
	}
	return key, nil
}

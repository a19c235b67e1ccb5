package local

import (
	"crypto/tls"
	"log/slog"
	"time"
)

// Options says how to run the server.
type Options struct {
	// Host is the address to listen on, 127.0.0.1 if empty.
	Host string
	// Port is the port to listen on; 0 chooses a free one.
	Port int
	// User and Password are the one login; "sa" and "Millrace-local-1" where
	// they are empty.
	User, Password string
	// Token, if set, is an access token that is taken instead of a password,
	// as by a login through Entra ID.
	Token string
	// Databases are there from the start, beside master and tempdb. The first
	// one is that of logins which name none; "streaming" if empty.
	Databases []string
	// TLS, if set, is spoken with clients that want it. SelfSigned makes one.
	TLS *tls.Config
	// MaxConnections bounds the open connections: those beyond are closed at
	// once. 1024 if 0.
	MaxConnections int
	// Now is the clock of SYSUTCDATETIME() and its like; time.Now if nil.
	Now func() time.Time
	// Log receives what an operator may need to know; nil: nobody does.
	Log *slog.Logger
}

// wellKnownPassword protects nothing; drivers want one.
const wellKnownPassword = "Millrace-local-1"

func (o *Options) defaults() {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.User == "" {
		o.User = "sa"
	}
	if o.Password == "" {
		o.Password = wellKnownPassword
	}
	if len(o.Databases) == 0 {
		o.Databases = []string{"streaming"}
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = 1024
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

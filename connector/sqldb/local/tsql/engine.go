package tsql

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector/sqldb/local/value"
)

// Engine holds databases in memory. It is safe for concurrent use; each
// Session is for one goroutine at a time.
type Engine struct {
	now   func() time.Time
	locks *locks
	next  atomic.Uint64 // transaction descriptors, session numbers
	parse parseCache

	mu        sync.RWMutex
	databases map[string]*database
}

// New returns an engine with the databases of the given names; now is its
// clock, time.Now if nil.
func New(now func() time.Time, databases ...string) *Engine {
	if now == nil {
		now = time.Now
	}
	e := &Engine{now: now, locks: newLocks(), databases: make(map[string]*database)}
	for _, name := range append([]string{"master", "tempdb"}, databases...) {
		e.databases[strings.ToLower(name)] = newDatabase(name)
	}
	return e
}

func (e *Engine) database(name string) *database {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.databases[strings.ToLower(name)]
}

// Session begins a session in a database, for a user of the given name. The
// error is 4060 if there is no such database.
func (e *Engine) Session(database, user string) (*Session, *value.Error) {
	db := e.database(database)
	if db == nil {
		return nil, &value.Error{Number: 4060, State: 1, Class: 11,
			Message: "Cannot open database \"" + database + "\" requested by the login. The login failed."}
	}
	s := &Session{engine: e, home: db, user: user, id: 50 + int(e.next.Add(1)%30000)}
	s.defaults()
	return s, nil
}

// Rows counts the rows of a table, "name" or "schema.name", without regard to
// locks or transactions: for tests, when nobody writes.
func (e *Engine) Rows(database, of string) int {
	db := e.database(database)
	if db == nil {
		return 0
	}
	schema, name, ok := strings.Cut(of, ".")
	if !ok {
		schema, name = "dbo", of
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	if o, ok := db.find(schema, name).(*table); ok {
		return o.live
	}
	return 0
}

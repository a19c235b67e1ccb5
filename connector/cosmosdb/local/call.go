package local

import (
	"context"
	"time"

	"millrace/connector/cosmosdb/local/store"
)

// call is one request and its answer. It is used by one goroutine and is reused
// for other requests afterwards: handlers keep nothing of it.
type call struct {
	srv *Server
	ctx context.Context
	// now is when the request was read, by the server's clock.
	now  time.Time
	op   operation
	verb string
	path path
	// host is the scheme and authority that the client used: "http://127.0.0.1:8081".
	host string
	in   headers
	// body is the request's body, whole; the handler may change it, and it
	// is gone after the request.
	body []byte
	// db is the database of the path, and coll its container, if the path
	// goes that far: a request for one that is missing has been answered 404
	// before any handler is called.
	db   *store.Database
	coll *container
	out  reply
	// closing: the connection ends with this answer.
	closing bool
	// release gives back the memory of a large answer, if not nil.
	release func()
}

// reply is the answer to a request.
type reply struct {
	status    int
	substatus int
	// body is the answer's body. Handlers append to it; it starts empty and
	// keeps its memory from earlier requests.
	body []byte
	// etag is the value of the etag header, inner quotes included; "" none.
	etag string
	// charge is in request units; add to it with call.spend.
	charge float64
	// items is the value of x-ms-item-count; negative: none.
	items        int
	continuation string
	// retryAfter goes out as x-ms-retry-after-ms, rounded up.
	retryAfter time.Duration
	session    []byte // x-ms-session-token, see call.session
	// The range that was added to session last, and where in session.
	sessionRange, sessionStart int
	lsn                        int64
	// extra are further headers; names are lower case.
	extra []extraHeader
}

type extraHeader struct{ name, value string }

// header adds a header to the answer. name is in lower case.
func (c *call) header(name, value string) {
	c.out.extra = append(c.out.extra, extraHeader{name, value})
}

// admit asks whether a request may run on a physical range of c.coll now. It
// returns a *failure (429, substatus 3200, with the time to wait) when the
// range has no request units left; the refusal is counted.
func (c *call) admit(rangeID int) error {
	wait, ok := c.coll.budget.admit(c.now, rangeID)
	if ok {
		return nil
	}
	c.coll.stats.throttled.Add(1)
	return tooManyRequests(wait)
}

// spend charges ru request units to a physical range of c.coll, and adds them
// to the answer's charge. What has been admitted may spend more than is there:
// the range is then in debt and refuses until it has been refilled.
func (c *call) spend(rangeID int, ru float64) {
	c.out.charge += ru
	c.coll.budget.spend(c.now, rangeID, ru)
}

// session tells the client how far a physical range is, in the answer's session
// token; it may be called for several ranges. Called for the same one again and
// again, it tells the last position only: clients expect a range once.
func (c *call) session(rangeID int, lsn int64) {
	if o := &c.out; len(o.session) > 0 && o.sessionRange == rangeID {
		o.session = o.session[:o.sessionStart]
	} else {
		o.sessionRange, o.sessionStart = rangeID, len(o.session)
	}
	c.out.session = appendSession(c.out.session, rangeID, lsn)
	c.out.lsn = lsn
}

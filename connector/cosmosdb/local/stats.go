package local

import (
	"sync/atomic"
)

// Stats are what the server has counted of a container since it was started.
type Stats struct {
	Database  string `json:"database"`
	Container string `json:"container"`
	// Requests are those that were answered, whatever the answer.
	Requests int64 `json:"requests"`
	// Charge is the sum of their charges, in request units.
	Charge float64 `json:"charge"`
	// Throttled counts what was refused for its rate: requests, and single
	// operations of bulk requests.
	Throttled int64 `json:"throttled"`
	// Failed are the requests that were answered with another error.
	Failed int64 `json:"failed"`
}

// counters count the requests of a container.
type counters struct {
	requests, failed, throttled atomic.Int64
	// charge is in hundredths of a request unit.
	charge atomic.Int64
}

// count adds an answer.
func (n *counters) count(status int, charge float64) {
	n.requests.Add(1)
	if charge > 0 {
		n.charge.Add(int64(charge*100 + 0.5))
	}
	if status >= 400 && status != 429 {
		n.failed.Add(1)
	}
}

func (n *counters) stats(database, container string) Stats {
	return Stats{Database: database, Container: container, Requests: n.requests.Load(),
		Charge: float64(n.charge.Load()) / 100, Throttled: n.throttled.Load(), Failed: n.failed.Load()}
}

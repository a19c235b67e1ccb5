package connector

// RateLimits are what a service lets through per second with the units that
// it is configured with; 0 is no limit.
type RateLimits struct {
	MessagesIn, BytesIn   float64
	MessagesOut, BytesOut float64
	// Units is how many of them are configured, Unit what one is called
	// ("throughput unit"), Setting the path of the setting that says how
	// many ("throughputUnits", inside the section).
	Units         int
	Unit, Setting string
	// Step is what the setting must be a multiple of (100 request units a
	// second, or 1000 with autoscale); 0 is 1.
	Step int
}

// RateLimited is implemented by the configuration of a log or store whose
// service limits rates. The zero value says that nothing is known to limit.
type RateLimited interface{ RateLimits() RateLimits }

// Throttled is implemented by a log that counts the requests which its service
// has refused, or made wait, for their rate since it was opened. Safe for
// concurrent use.
type Throttled interface{ Throttled() int64 }

// Metered is implemented by a store whose service meters requests. Receipts tell
// of Writes that are done; this also tells of those that still try, or have
// failed. Safe for concurrent use.
type Metered interface{ Usage() Usage }

// Usage is what a store has asked of its service since it was opened.
type Usage struct {
	// Requests that wrote, answered or not; Throttled those of them that
	// were refused for their rate.
	Requests, Throttled int64
	// Written events, those counted that were there before.
	Written int64
	// Charge is the request units of all of them.
	Charge float64
}

// Resent is implemented by a log that cannot tell a resend from a new message
// (no idempotent sending): it counts the messages that it sent again because
// the first answer was lost, so that they may be in the log twice. Safe for
// concurrent use.
type Resent interface{ Resent() int64 }

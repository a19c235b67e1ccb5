package local

import (
	"encoding/json"
	"strconv"
)

// throughput is what a container or database may use, in request units per
// second. The zero value is none of its own.
type throughput struct {
	// manual is a fixed number; max the limit of autoscale. One of them is 0.
	manual, max int
}

const (
	defaultThroughput = 400
	minManual         = 400
	stepManual        = 100
	minAutoscale      = 1000
	stepAutoscale     = 1000
	maxThroughput     = 1_000_000
	// perRange is what one physical range of the service can do.
	perRange = 10_000
)

// limit is what may be used at most: the budget.
func (t throughput) limit() int { return max(t.manual, t.max) }

// floor is what autoscale offers at the least.
func (t throughput) floor() int { return t.max / 10 }

// rangesFor is how many physical ranges a container with this limit gets.
func rangesFor(limit int) int { return max(1, (limit+perRange-1)/perRange) }

// least is the lowest limit that something with so many ranges may be set to:
// one hundredth of the most that it ever had, one tenth for autoscale.
func least(ranges int, autoscale bool) int {
	if autoscale {
		return max(minAutoscale, ranges*perRange/10)
	}
	return max(minManual, ranges*perRange/100)
}

// check tells what is wrong with a throughput for something with so many
// ranges.
func (t throughput) check(ranges int) *failure {
	lowest, step, what := least(ranges, false), stepManual, "offer throughput"
	if t.max != 0 {
		lowest, step, what = least(ranges, true), stepAutoscale, "autoscale max throughput"
	}
	switch n := t.limit(); {
	case n < lowest:
		return badRequest("The %s %d is too low: at least %d RU/s.", what, n, lowest)
	case n > maxThroughput:
		return badRequest("The %s %d is too high: at most %d RU/s.", what, n, maxThroughput)
	case n%step != 0:
		return badRequest("The %s %d is not in steps of %d RU/s.", what, n, step)
	}
	return nil
}

// askedThroughput reads the headers of a request that creates something. The
// zero value: the request says nothing.
func askedThroughput(in *headers) (throughput, *failure) {
	var t throughput
	if in.offerThroughput != "" {
		n, err := strconv.Atoi(in.offerThroughput)
		if err != nil || n <= 0 {
			return t, badRequest("The value of the header x-ms-offer-throughput is not a number of request units per second.")
		}
		t.manual = n
	}
	if in.autopilot != "" {
		var settings autopilotSettings
		if err := json.Unmarshal([]byte(in.autopilot), &settings); err != nil || settings.MaxThroughput <= 0 {
			return t, badRequest(`The value of the header x-ms-cosmos-offer-autopilot-settings is not like {"maxThroughput":4000}.`)
		}
		t.max = settings.MaxThroughput
	}
	switch {
	case t == throughput{}:
		return t, nil
	case t.manual != 0 && t.max != 0:
		return t, badRequest("A request gives either x-ms-offer-throughput or x-ms-cosmos-offer-autopilot-settings.")
	}
	return t, t.check(1)
}

type autopilotSettings struct {
	MaxThroughput int `json:"maxThroughput"`
}

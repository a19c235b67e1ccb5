package simulate

import (
	"math"
	"time"
)

// share is the part of the devices and events that one instance has. The
// events of all instances together are numbered 0, 1, 2, ... in the order of
// their schedule, and the devices take turns: event g is of device
// g % devices. An instance numbers its own events in the same order.
type share struct {
	devices   int64 // of all instances
	instance  int64 // from 0
	instances int64
	own       int64 // devices of this instance
}

func (c *Config) share() share {
	s := share{devices: int64(c.Devices), instance: int64(c.Instance - 1), instances: int64(c.Instances)}
	s.own = (s.devices - s.instance + s.instances - 1) / s.instances
	return s
}

// place returns the device of this instance's event i, and the device's turn.
func (s *share) place(i int64) (device, turn int64) {
	return s.instance + i%s.own*s.instances, i / s.own
}

// global returns the number of this instance's event i among those of all.
func (s *share) global(i int64) int64 {
	device, turn := s.place(i)
	return turn*s.devices + device
}

// count returns how many of the first n events of all are this instance's.
func (s *share) count(n int64) int64 {
	rest := n % s.devices
	extra := int64(0)
	if rest > s.instance {
		extra = (rest - s.instance + s.instances - 1) / s.instances
	}
	return n/s.devices*s.own + extra
}

// turns returns how many of this instance's first n events are of the device
// of event i.
func (s *share) turns(i, n int64) int64 {
	j := i % s.own
	if n <= j {
		return 0
	}
	return (n - j + s.own - 1) / s.own
}

// schedule says when events are due.
type schedule struct {
	kind string
	rate float64
	// ramp
	from, over float64
	rampEvents float64
	// burst
	burstRate, every, length float64
	perBurst, perPeriod      float64
}

func (c *Config) schedule() schedule {
	s := schedule{kind: c.Schedule, rate: c.Rate, from: c.Ramp.From, over: c.Ramp.Over.D().Seconds(),
		burstRate: c.Burst.Rate, every: c.Burst.Every.D().Seconds(), length: c.Burst.For.D().Seconds()}
	s.rampEvents = (s.from + s.rate) / 2 * s.over
	s.perBurst = s.burstRate * s.length
	s.perPeriod = s.perBurst + s.rate*(s.every-s.length)
	return s
}

// at returns when event g (from 0, of all instances) is due, counted from the
// start. It never decreases with g. The rate must not be 0.
func (s *schedule) at(g int64) time.Duration {
	n := float64(g)
	var t float64
	switch {
	case g == 0:
	case s.kind == Ramp && n < s.rampEvents:
		// The rate changes evenly, so the count is a parabola; this form of
		// its inverse is exact for a flat one too.
		a := (s.rate - s.from) / s.over
		t = 2 * n / (s.from + math.Sqrt(max(0, s.from*s.from+2*a*n)))
	case s.kind == Ramp:
		t = s.over + (n-s.rampEvents)/s.rate
	case s.kind == Burst:
		period := math.Floor(n / s.perPeriod)
		n -= period * s.perPeriod
		t = period * s.every
		if n < s.perBurst {
			t += n / s.burstRate
		} else {
			t += s.length + (n-s.perBurst)/s.rate
		}
	default:
		t = n / s.rate
	}
	if t > 1e9 { // some thirty years; no run lives that long
		t = 1e9
	}
	return time.Duration(math.Round(t * 1e9))
}

// before returns how many events are due before d has passed.
func (s *schedule) before(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	// at is monotonic, so the number is found by bisection; this runs a few
	// times a second at most.
	low, high := int64(0), int64(1)
	for s.at(high) < d && high < maxEvents {
		low, high = high, high*2
	}
	for low < high {
		if mid := low + (high-low)/2; s.at(mid) < d {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

package verify

import (
	"fmt"

	"millrace/connector"
)

// When says in which runs a threshold counts.
const (
	Always    = "always"
	Paced     = "paced"
	OnWindows = "windowed"
)

// Threshold is one entry of verify.thresholds.
type Threshold struct {
	Check string `yaml:"check" required:"true" doc:"what must hold: a figure, a comparison, a value: latency.endToEnd.p99 < 1s"`
	When  string `yaml:"when" enum:"always,paced,windowed" doc:"paced: only in runs that have a rate to keep, were not interrupted, and whose rows are events; windowed: the same with rows that are windows (aggregate)"`
}

// Config is the verify section of a solution; see Defaults.
type Config struct {
	Interval   connector.Duration `yaml:"interval" doc:"length of the intervals that throughput is measured in; 0 chooses 1s, 5s or 10s by the length of the run"`
	Warmup     connector.Duration `yaml:"warmup" doc:"time after the first event that is left out of the rates; at most half of a run"`
	Tail       connector.Duration `yaml:"tail" doc:"how long after the last send the last row of a run that held its rate may be stored: the window of a store that writes in windows; 0: 1s"`
	Aggregate  Aggregate          `yaml:"aggregate" doc:"for queries whose rows are windows: what the rows must be"`
	Thresholds []Threshold        `yaml:"thresholds" doc:"what must hold besides that nothing is lost, served twice, altered or out of order"`
}

// Defaults is what a verify section says if it says nothing.
func Defaults() Config {
	return Config{Warmup: connector.Duration(defaultWarmup), Tail: connector.Duration(defaultTail), Aggregate: defaultAggregate()}
}

// Validate returns every problem of the section, each naming the option.
func (c *Config) Validate() []error {
	var errs []error
	if c.Interval < 0 {
		errs = append(errs, fmt.Errorf("interval: must not be negative"))
	}
	if c.Interval > 0 && c.Interval.D() < minInterval {
		errs = append(errs, fmt.Errorf("interval: must be at least %s", minInterval))
	}
	if c.Warmup < 0 {
		errs = append(errs, fmt.Errorf("warmup: must not be negative"))
	}
	if c.Tail < 0 {
		errs = append(errs, fmt.Errorf("tail: must not be negative"))
	}
	errs = append(errs, c.Aggregate.validate()...)
	for i, t := range c.Thresholds {
		check, err := ParseCondition(t.Check)
		if err != nil {
			errs = append(errs, fmt.Errorf("thresholds[%d].check: %w", i, err))
			continue
		}
		switch t.When {
		case "", Always:
			if check.NeedsRate() {
				errs = append(errs, fmt.Errorf("thresholds[%d].check: %q compares with the rate, which only a paced run has; add `when: paced`", i, t.Check))
			}
		case Paced, OnWindows:
		default:
			errs = append(errs, fmt.Errorf("thresholds[%d].when: %q is none of always, paced and windowed", i, t.When))
		}
	}
	return errs
}

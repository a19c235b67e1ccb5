// Package simulate is stage 1: devices that send events into a log on an
// absolute schedule, and the ledger of what they sent.
package simulate

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
	"unicode/utf8"

	"millrace/connector"
	"millrace/record"
)

// The schedules.
const (
	Constant = "constant"
	Ramp     = "ramp"
	Burst    = "burst"
)

// Config is the `simulate` section of a solution. All instances of a run have
// the same one, but for Instance.
type Config struct {
	Devices      int     `yaml:"devices" min:"1" max:"10000000" doc:"number of devices; they take turns"`
	DevicePrefix string  `yaml:"devicePrefix" doc:"beginning of a deviceId; the device's index follows"`
	Rate         float64 `yaml:"rate" min:"0" doc:"events a second; 0 is as fast as the log takes them"`
	Schedule     string  `yaml:"schedule" enum:"constant,ramp,burst" doc:"how the rate goes over time: constant, ramp (rises to it) or burst (goes beyond it now and then)"`

	Ramp  RampConfig  `yaml:"ramp" doc:"for the schedule ramp"`
	Burst BurstConfig `yaml:"burst" doc:"for the schedule burst"`

	Duration connector.Duration `yaml:"duration" min:"0s" doc:"how long to send, unless events says how many"`
	Events   int64              `yaml:"events" min:"0" doc:"how many unique events to send; 0 leaves it to duration"`
	Grace    connector.Duration `yaml:"grace" min:"1s" doc:"how long after the end of the schedule what is late may still be sent and acknowledged"`
	Seed     uint64             `yaml:"seed" doc:"what all content and every random choice follows from; 0 picks one (several instances take it from the name of the run)"`

	Duplicates     float64            `yaml:"duplicates" min:"0" max:"1" doc:"fraction of events that are sent a second time, unchanged"`
	DuplicateDelay connector.Duration `yaml:"duplicateDelay" min:"0s" doc:"half of the duplicates follow at once, the others at random within this time"`

	Late   float64            `yaml:"late" min:"0" max:"1" doc:"fraction of devices whose events all arrive late"`
	LateBy connector.Duration `yaml:"lateBy" min:"0s" doc:"how long before its sending an event of a late device was created"`

	OutOfOrder      float64 `yaml:"outOfOrder" min:"0" max:"1" doc:"fraction of devices that send their events in another order than they created them"`
	OutOfOrderDepth int     `yaml:"outOfOrderDepth" min:"2" max:"64" doc:"how many events in a row such a device shuffles"`

	Malformed      float64         `yaml:"malformed" min:"0" max:"1" doc:"payloads that are not events, as a fraction of the events and beside them"`
	OversizedBytes connector.Bytes `yaml:"oversizedBytes" doc:"0, or the size of a further kind of malformed payload: an event too large for the solution"`

	ComplexDataCount int    `yaml:"complexDataCount" min:"0" max:"10000" doc:"number of doubles in the standard event's complexData"`
	Template         string `yaml:"template" doc:"JSON with placeholders, in place of the standard event"`
	TemplateFile     string `yaml:"templateFile" file:"true" doc:"file with the template, relative to the solution's folder"`

	Instance  int `yaml:"instance" min:"1" doc:"which of the instances this is, from 1"`
	Instances int `yaml:"instances" min:"1" doc:"number of simulators that split the devices between them"`
}

// RampConfig is how the schedule ramp begins.
type RampConfig struct {
	From float64            `yaml:"from" min:"0" doc:"events a second at the start"`
	Over connector.Duration `yaml:"over" min:"0s" doc:"time until the rate is reached"`
}

// BurstConfig is how the schedule burst goes beyond the rate.
type BurstConfig struct {
	Rate  float64            `yaml:"rate" min:"0" doc:"events a second during a burst"`
	Every connector.Duration `yaml:"every" min:"0s" doc:"time from the beginning of one burst to that of the next; the first is at the start"`
	For   connector.Duration `yaml:"for" min:"0s" doc:"length of a burst"`
}

// Defaults returns the configuration that a solution starts from.
func Defaults() Config {
	return Config{
		Devices: 1000, DevicePrefix: "contoso://device-id-", Rate: 1000, Schedule: Constant,
		Ramp:     RampConfig{Over: connector.Duration(30 * time.Second)},
		Burst:    BurstConfig{Rate: 5000, Every: connector.Duration(30 * time.Second), For: connector.Duration(5 * time.Second)},
		Duration: connector.Duration(time.Minute), Grace: connector.Duration(time.Minute),
		Duplicates: 0.001, DuplicateDelay: connector.Duration(time.Minute),
		LateBy: connector.Duration(30 * time.Second), OutOfOrderDepth: 8,
		ComplexDataCount: 23, Instance: 1, Instances: 1,
	}
}

const (
	maxDevices = 10_000_000
	// maxEvents keeps sequences in the 40 bits that content is derived from.
	maxEvents = 1 << 39
	// maxRate keeps a schedule's times apart by more than rounding errors.
	maxRate = 1e8
)

// Validate returns every problem, each beginning with the option's path in the
// section. It renders a sample of the template and decodes it.
func (c *Config) Validate() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Devices < 1 || c.Devices > maxDevices {
		bad("devices: must be 1 to %d, not %d", maxDevices, c.Devices)
	}
	if !utf8.ValidString(c.DevicePrefix) {
		bad("devicePrefix: must be valid UTF-8")
	}
	rateOK := func(path string, v, least float64) {
		if !(v >= least && v <= maxRate) {
			bad("%s: must be %v to %v events a second, not %v", path, least, maxRate, v)
		}
	}
	rateOK("rate", c.Rate, 0)
	errs = append(errs, c.validateSchedule(rateOK)...)
	for _, f := range []struct {
		path string
		v    float64
	}{{"duplicates", c.Duplicates}, {"late", c.Late}, {"outOfOrder", c.OutOfOrder}, {"malformed", c.Malformed}} {
		if !(f.v >= 0 && f.v <= 1) {
			bad("%s: must be a fraction from 0 to 1, not %v", f.path, f.v)
		}
	}
	for _, d := range []struct {
		path string
		v    connector.Duration
	}{{"duration", c.Duration}, {"duplicateDelay", c.DuplicateDelay}, {"lateBy", c.LateBy}} {
		if d.v < 0 {
			bad("%s: must not be negative", d.path)
		}
	}
	if c.Grace.D() < time.Second {
		bad("grace: must be at least 1s: the last events need time to be acknowledged")
	}
	switch {
	case c.Events < 0 || c.Events > maxEvents:
		bad("events: must be 0 to %d, not %d", int64(maxEvents), c.Events)
	case c.Events == 0 && c.Duration == 0:
		bad("duration: must be above 0 (or set events)")
	}
	if c.OutOfOrderDepth < 2 || c.OutOfOrderDepth > maxDepth {
		bad("outOfOrderDepth: must be 2 to %d, not %d", maxDepth, c.OutOfOrderDepth)
	}
	if c.OversizedBytes < 0 || c.OversizedBytes > 1<<30 {
		bad("oversizedBytes: must be 0 to 1 GiB")
	}
	if c.Instances < 1 || c.Instance < 1 || c.Instance > c.Instances {
		bad("instance: there is no instance %d of %d", c.Instance, c.Instances)
	} else if c.Instance > c.Devices {
		bad("instance: with %d devices, instance %d of %d has none", c.Devices, c.Instance, c.Instances)
	}
	if len(errs) == 0 {
		if _, err := c.compile(1); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (c *Config) validateSchedule(rateOK func(string, float64, float64)) []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch c.Schedule {
	case Constant:
	case Ramp:
		rateOK("ramp.from", c.Ramp.From, 0)
		if c.Ramp.Over <= 0 {
			bad("ramp.over: must be above 0")
		}
	case Burst:
		rateOK("burst.rate", c.Burst.Rate, 1e-6)
		if c.Burst.For <= 0 || c.Burst.Every <= c.Burst.For {
			bad("burst.every: must be longer than burst.for, and both above 0")
		}
	default:
		bad("schedule: must be constant, ramp or burst, not %q", c.Schedule)
	}
	if c.Rate == 0 && c.Schedule != Constant {
		bad("rate: 0 (as fast as the log takes it) goes with the schedule constant only")
	}
	return errs
}

// templateText returns the template with the name of where it comes from.
func (c *Config) templateText() (text, path string, err error) {
	switch {
	case c.Template != "" && c.TemplateFile != "":
		return "", "", errors.New("template: set either template or templateFile, not both")
	case c.Template != "":
		return c.Template, "template", nil
	case c.TemplateFile != "":
		b, err := os.ReadFile(c.TemplateFile)
		if err != nil {
			return "", "", fmt.Errorf("templateFile: %w", err)
		}
		return string(b), "templateFile", nil
	}
	return standardTemplate(c.ComplexDataCount), "complexDataCount", nil
}

// header describes the run in the ledger. What is in it decides whether an
// interrupted run can be continued.
func (c *Config) header(run string, seed uint64, template string) record.LedgerHeader {
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	settings := map[string]string{
		"schedule":       c.Schedule,
		"events":         strconv.FormatInt(c.Events, 10),
		"duplicates":     number(c.Duplicates),
		"duplicateDelay": c.DuplicateDelay.String(),
		"late":           number(c.Late),
		"outOfOrder":     number(c.OutOfOrder),
		"malformed":      number(c.Malformed),
		"oversizedBytes": strconv.FormatInt(int64(c.OversizedBytes), 10),
		"template":       fmt.Sprintf("%016x", record.RawHash([]byte(template))),
	}
	if c.Events == 0 {
		settings["duration"] = c.Duration.String()
	}
	if c.Late > 0 {
		settings["lateBy"] = c.LateBy.String()
	}
	if c.OutOfOrder > 0 {
		settings["outOfOrderDepth"] = strconv.Itoa(c.OutOfOrderDepth)
	}
	switch c.Schedule {
	case Ramp:
		settings["ramp"] = fmt.Sprintf("from %s over %s", number(c.Ramp.From), c.Ramp.Over)
	case Burst:
		settings["burst"] = fmt.Sprintf("%s for %s every %s", number(c.Burst.Rate), c.Burst.For, c.Burst.Every)
	}
	return record.LedgerHeader{Run: run, Seed: seed, Instance: c.Instance - 1, Instances: c.Instances,
		DevicePrefix: c.DevicePrefix, Devices: c.Devices, Rate: c.Rate, Settings: settings}
}

package process

import (
	"fmt"
	"strings"
	"time"

	"millrace/connector"
)

// CaptureConfig is the `process` section of a solution in which no engine runs:
// the log's service itself writes what it holds into an archive of Avro files
// (Event Hubs Capture). The run sets the service up with it and watches.
type CaptureConfig struct {
	Interval   connector.Duration `yaml:"interval" doc:"length of a window: a file is closed when it is over, or when sizeLimit is reached; the service takes 1m to 15m"`
	SizeLimit  connector.Bytes    `yaml:"sizeLimit" doc:"size of the events in a file, before compression, at which it is closed early; the service takes 10MB to 500MB"`
	SkipEmpty  bool               `yaml:"skipEmpty" doc:"write no file for a window without events"`
	NameFormat string             `yaml:"nameFormat" doc:"names of the files, without the .avro that is added; each of the nine tokens must occur"`
	Codec      string             `yaml:"codec" enum:"none,deflate" doc:"compression of the blocks in a file"`
}

// CaptureNameFormat is the service's default for the names of files.
const CaptureNameFormat = "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}"

// NewCaptureConfig returns the service's defaults.
func NewCaptureConfig() *CaptureConfig {
	return &CaptureConfig{Interval: connector.Duration(5 * time.Minute), SizeLimit: 300 << 20,
		NameFormat: CaptureNameFormat, Codec: "none"}
}

// AvroCodec is Codec as Avro calls it: "null" or "deflate". (In YAML, null is
// no text.)
func (c *CaptureConfig) AvroCodec() string {
	if c.Codec == "deflate" {
		return "deflate"
	}
	return "null"
}

// captureTokens must all occur in a name: without one of them, two windows
// could get the same name.
var captureTokens = []string{"{Namespace}", "{EventHub}", "{PartitionId}", "{Year}", "{Month}", "{Day}", "{Hour}", "{Minute}", "{Second}"}

// Validate returns every problem. It takes shorter windows and smaller files
// than the service does, for demonstrations and tests.
func (c *CaptureConfig) Validate() []error {
	var errs []error
	if i := c.Interval.D(); i < time.Second || i > 15*time.Minute {
		errs = append(errs, fmt.Errorf("interval: must be between 1s and 15m"))
	}
	if c.SizeLimit < 1<<20 || c.SizeLimit > 500<<20 {
		errs = append(errs, fmt.Errorf("sizeLimit: must be between 1MB and 500MB"))
	}
	var missing []string
	for _, t := range captureTokens {
		if !strings.Contains(c.NameFormat, t) {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("nameFormat: %s is missing", strings.Join(missing, ", ")))
	}
	if c.Codec != "none" && c.Codec != "deflate" {
		errs = append(errs, fmt.Errorf("codec: %q must be none or deflate", c.Codec))
	}
	return errs
}

package hub

import (
	"fmt"
	"strings"
	"time"
)

const (
	// DefaultNamespace is the namespace's name if Options name none.
	DefaultNamespace = "millrace"
	// DefaultGroup is the consumer group that every hub has.
	DefaultGroup = "$Default"
	// MaxPartitions is how many a hub may have. The service allows 32 (1024
	// in its dedicated tiers); this is generous on purpose.
	MaxPartitions = 1024
	// MaxGroups is how many consumer groups a hub may have, $Default included.
	MaxGroups = 1000

	defaultPartitions = 4
	defaultRetention  = 7 * 24 * time.Hour
	// maxTopicName is Kafka's limit.
	maxTopicName = 249
	maxHubName   = 256
	maxGroupName = 50
)

// NamespaceSpec describes a namespace as it should be.
type NamespaceSpec struct {
	Name string
	// ThroughputUnits is the quota, see Quota; 0: none.
	ThroughputUnits int
	// Hubs are created by Open if they do not exist.
	Hubs []Spec
}

// Spec describes a hub as it should be.
type Spec struct {
	// Name is 1 to 256 letters, digits, '.', '-' and '_', beginning and
	// ending with a letter or digit.
	Name string
	// Partitions is 1 to MaxPartitions; 0: 4.
	Partitions int
	// Retention is how long events are kept at least; 0: 7 days.
	Retention time.Duration
	// Groups are the consumer groups besides $Default.
	Groups []string
	// Capture describes the archive of the hub, nil: none.
	Capture *CaptureSpec
}

// CaptureSpec describes how a hub is archived.
type CaptureSpec struct {
	// Enabled tells whether the hub is being archived.
	Enabled bool `json:"enabled"`
	// SkipEmpty leaves out files of windows without events.
	SkipEmpty bool `json:"skipEmpty,omitempty"`
	// Interval is the time window, 60 s to 15 min; 0: 5 min.
	Interval time.Duration `json:"interval,omitempty"`
	// SizeLimit is the size window in bytes, 10 MiB to 500 MiB; 0: 300 MiB.
	SizeLimit int64 `json:"sizeLimit,omitempty"`
	// NameFormat is the pattern of file names; "": the service's default.
	NameFormat string `json:"nameFormat,omitempty"`
	// Codec is "null" or "deflate"; "": "null".
	Codec string `json:"codec,omitempty"`
	// Container is where the files go.
	Container string `json:"container,omitempty"`
	// Since is when Enabled was last switched on: only events from then on
	// are archived. It is kept by the hub; what callers give is not used.
	Since time.Time `json:"since,omitzero"`
}

// since returns a copy of the description with Since filled in: it stays what
// it was (before may be nil) if the archive was switched on already.
func (c *CaptureSpec) since(before *CaptureSpec, now time.Time) *CaptureSpec {
	d := c.clone()
	switch {
	case d == nil:
	case !d.Enabled:
		d.Since = time.Time{}
	case before != nil && before.Enabled && !before.Since.IsZero():
		d.Since = before.Since
	default:
		d.Since = now
	}
	return d
}

func (c *CaptureSpec) clone() *CaptureSpec {
	if c == nil {
		return nil
	}
	d := *c
	return &d
}

// Info describes a hub as it is.
type Info struct {
	Name, Namespace string
	Partitions      int
	CreatedAt       time.Time
	// Groups are all consumer groups in alphabetical order, $Default first.
	Groups    []string
	Retention time.Duration
	Capture   *CaptureSpec
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// checkName checks a name by the rules that hubs and groups share.
func checkName(what, name string, limit int) error {
	hint := fmt.Sprintf("a %s's name has 1 to %d letters, digits, '.', '-' and '_', and begins and ends with a letter or digit", what, limit)
	if name == "" || len(name) > limit {
		return invalid(hint, "%q (%d characters) is not a name for a %s", clip(name), len(name), what)
	}
	for i := range len(name) {
		if c := name[i]; !alphanumeric(c) && (strings.IndexByte("._-", c) < 0 || i == 0 || i == len(name)-1) {
			return invalid(hint, "%q is not a name for a %s", clip(name), what)
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

// check fills in what was left out and refuses what cannot be.
func (s *Spec) check() error {
	if s.Partitions == 0 {
		s.Partitions = defaultPartitions
	}
	if s.Retention == 0 {
		s.Retention = defaultRetention
	}
	if err := checkName("hub", s.Name, maxHubName); err != nil {
		return err
	}
	if s.Partitions < 1 || s.Partitions > MaxPartitions {
		return invalid(fmt.Sprintf("choose 1 to 32 partitions, as the service allows (up to %d here)", MaxPartitions),
			"hub %s cannot have %d partitions", s.Name, s.Partitions)
	}
	if s.Retention < time.Minute {
		return invalid("events are kept by the minute or longer", "hub %s cannot keep its events for %s", s.Name, s.Retention)
	}
	for _, g := range s.Groups {
		if err := checkGroup(g); err != nil {
			return err
		}
	}
	return s.Capture.check(s.Name)
}

func checkGroup(name string) error {
	if strings.EqualFold(name, DefaultGroup) {
		return nil
	}
	return checkName("consumer group", name, maxGroupName)
}

func (c *CaptureSpec) check(hub string) error {
	if c == nil {
		return nil
	}
	switch c.Codec {
	case "", "null", "deflate":
	default:
		return invalid("choose \"null\" or \"deflate\"", "hub %s: Capture does not know the codec %q", hub, clip(c.Codec))
	}
	if c.Interval < 0 || c.SizeLimit < 0 {
		return invalid("leave them out for the defaults of 5 minutes and 300 MiB", "hub %s: Capture's windows cannot be negative", hub)
	}
	return nil
}

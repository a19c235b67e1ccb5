package capture

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/eventhubs/local/hub"
)

// DefaultNameFormat is the service's own pattern for the names of files.
const DefaultNameFormat = "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}"

// The service's defaults, and the least that is accepted here.
const (
	DefaultInterval  = 5 * time.Minute
	DefaultSizeLimit = 300 << 20
	MinInterval      = time.Second
	MinSizeLimit     = 1 << 20

	// DefaultContainer is used where a description names none.
	DefaultContainer = "capture"
)

// extension is added to every name.
const extension = ".avro"

// Codecs of the blocks in a file, as Avro names them.
const (
	codecNull    = "null"
	codecDeflate = "deflate"
)

var tokens = []string{"Namespace", "EventHub", "PartitionId", "Year", "Month", "Day", "Hour", "Minute", "Second"}

// Problems returns what is wrong with a description of Capture, a sentence
// each: none if it can be used. What is left out has a default.
func Problems(c *hub.CaptureSpec) []error {
	var errs []error
	if c.Interval != 0 && c.Interval < MinInterval {
		errs = append(errs, fmt.Errorf("interval: must be at least %s (the service takes 1m to 15m)", MinInterval))
	}
	if c.SizeLimit != 0 && c.SizeLimit < MinSizeLimit {
		errs = append(errs, fmt.Errorf("size limit: must be at least %d bytes (the service takes 10 MiB to 500 MiB)", MinSizeLimit))
	}
	if c.NameFormat != "" {
		if _, err := parseFormat(c.NameFormat); err != nil {
			errs = append(errs, err)
		}
	}
	switch c.Codec {
	case "", codecNull, codecDeflate:
	default:
		errs = append(errs, fmt.Errorf("codec: %q must be null or deflate", c.Codec))
	}
	return errs
}

// settings are a valid description with its defaults filled in. They are
// comparable: another value is another description.
type settings struct {
	interval  time.Duration
	sizeLimit int64
	skipEmpty bool
	format    string
	codec     string
	container string
}

func newSettings(c *hub.CaptureSpec) (settings, error) {
	if errs := Problems(c); len(errs) > 0 {
		return settings{}, errs[0]
	}
	s := settings{interval: c.Interval, sizeLimit: c.SizeLimit, skipEmpty: c.SkipEmpty,
		format: c.NameFormat, codec: c.Codec, container: c.Container}
	if s.interval == 0 {
		s.interval = DefaultInterval
	}
	if s.sizeLimit == 0 {
		s.sizeLimit = DefaultSizeLimit
	}
	if s.format == "" {
		s.format = DefaultNameFormat
	}
	if s.codec == "" {
		s.codec = codecNull
	}
	if s.container == "" {
		s.container = DefaultContainer
	}
	return s, nil
}

// format is a pattern for names, cut at its tokens.
type format []piece

type piece struct {
	literal string
	token   string // set instead of literal
}

func parseFormat(text string) (format, error) {
	var f format
	missing := map[string]bool{}
	for _, t := range tokens {
		missing[t] = true
	}
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, "{")
		if literal != "" {
			f = append(f, piece{literal: literal})
		}
		if !found {
			break
		}
		name, behind, closed := strings.Cut(after, "}")
		if _, known := missing[name]; !closed || !known {
			return nil, formatError("name format: {%s is none of its tokens", cutToken(after))
		}
		missing[name] = false
		f = append(f, piece{token: name})
		rest = behind
	}
	var absent []string
	for _, t := range tokens {
		if missing[t] {
			absent = append(absent, "{"+t+"}")
		}
	}
	if len(absent) > 0 {
		return nil, formatError("name format: %s is missing in %q", strings.Join(absent, ", "), text)
	}
	// A name must be one on every kind of storage, whatever the tokens
	// stand for: none of them is empty or holds a slash.
	name := f.name("n", "h", 0, time.Unix(0, 0))
	if err := blob.CheckName(name); err != nil || len(text) > 512 {
		return nil, formatError("name format: %q makes no relative path with slashes of up to 512 bytes", text)
	}
	return f, nil
}

func cutToken(s string) string {
	if i := strings.IndexByte(s, '}'); i >= 0 && i < 30 {
		return s[:i+1]
	}
	return s[:min(len(s), 30)]
}

func formatError(format string, args ...any) error {
	return &connector.Hinted{Err: fmt.Errorf(format, args...),
		Hint: "use each of {" + strings.Join(tokens, "}, {") + "}; .avro is added"}
}

// name makes the name of the file of a partition whose window began at t.
func (f format) name(namespace, hub string, partition int32, t time.Time) string {
	var b strings.Builder
	t = t.UTC()
	two := func(n int) {
		b.WriteByte(byte('0' + n/10))
		b.WriteByte(byte('0' + n%10))
	}
	for _, p := range f {
		switch p.token {
		case "":
			b.WriteString(p.literal)
		case "Namespace":
			b.WriteString(namespace)
		case "EventHub":
			b.WriteString(hub)
		case "PartitionId":
			b.WriteString(strconv.Itoa(int(partition)))
		case "Year":
			fmt.Fprintf(&b, "%04d", t.Year())
		case "Month":
			two(int(t.Month()))
		case "Day":
			two(t.Day())
		case "Hour":
			two(t.Hour())
		case "Minute":
			two(t.Minute())
		case "Second":
			two(t.Second())
		}
	}
	return b.String() + extension
}

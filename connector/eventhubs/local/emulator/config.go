package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/web"
)

// Config is what a configuration file describes: namespaces with their hubs and
// consumer groups. The file is that of the official emulator (Config.json):
//
//	{"UserConfig": {
//	  "NamespaceConfig": [{
//	    "Type": "EventHub", "Name": "emulatorNs1",
//	    "Entities": [{"Name": "eh1", "PartitionCount": "2",
//	                  "ConsumerGroups": [{"Name": "cg1"}]}]}],
//	  "LoggingConfig": {"Type": "File"}}}
//
// and may say more: a namespace has ThroughputUnits, Port and KafkaPort, an
// entity RetentionTimeInHours (or MessageRetentionInDays) and Capture, in the
// words of Azure's captureDescription. There may be several namespaces and any
// number of hubs. Names of fields have no case, as in the official emulator;
// fields that nobody knows are skipped unless they look like one misspelt.
type Config struct {
	Namespaces []NamespaceConfig
	// Ignored are the fields that were skipped, as "line 7: Foo".
	Ignored []string
}

// NamespaceConfig is one namespace of a Config.
type NamespaceConfig struct {
	hub.NamespaceSpec
	// Port and KafkaPort are its own ports, 0: chosen by its place.
	Port, KafkaPort int
}

// Problem is one thing that is wrong with a configuration file.
type Problem struct {
	// Line, from 1.
	Line int
	// Text is what is wrong, Hint what to try, which may be empty.
	Text, Hint string
}

// ConfigError is all that is wrong with a configuration file.
type ConfigError struct {
	File     string
	Problems []Problem
}

// Error lists the problems, one on each line.
func (e *ConfigError) Error() string {
	var lines []string
	for _, p := range e.Problems {
		lines = append(lines, fmt.Sprintf("%s:%d: %s", e.File, p.Line, p.Text))
	}
	return strings.Join(lines, "\n")
}

// ReadConfig reads a configuration file. What is wrong with its contents is a
// *ConfigError; a file that cannot be read is a *connector.Hinted.
func ReadConfig(file string) (*Config, error) {
	data, err := readFile(file)
	if err != nil {
		// The name is said once.
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, &connector.Hinted{Err: fmt.Errorf("cannot read the configuration %s: %w", file, err), Hint: "check its name and who may read it"}
	}
	return ParseConfig(file, data)
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("it is larger than %d bytes", maxConfig)
	}
	return data, err
}

// ParseConfig reads the contents of a configuration file; file is its name, for
// errors.
func ParseConfig(file string, data []byte) (*Config, error) {
	root, problem := parseTree(data)
	if problem != nil {
		return nil, &ConfigError{file, []Problem{*problem}}
	}
	c, p := &Config{}, &configParser{}
	found := false
	p.object(root, "the configuration", false, fields{
		"UserConfig": func(n *node) {
			p.object(n, "UserConfig", false, fields{
				"NamespaceConfig": func(n *node) {
					found = true
					p.each(n, "NamespaceConfig", func(n *node) { c.Namespaces = append(c.Namespaces, p.namespace(n)) })
				},
				"LoggingConfig": func(*node) {}, // the official emulator's own log
			})
		},
	})
	if len(p.problems) == 0 && !found {
		p.problem(root.line, "there is no UserConfig.NamespaceConfig", "a configuration of the official emulator has one; see its Config.json")
	} else if len(p.problems) == 0 && len(c.Namespaces) == 0 {
		p.problem(root.line, "NamespaceConfig is empty", "name at least one namespace")
	}
	p.unique(c)
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, &ConfigError{file, p.problems}
	}
	c.Ignored = p.ignored
	return c, nil
}

// configParser collects what is wrong.
type configParser struct {
	problems []Problem
	ignored  []string
	// named are the names that were seen, in lower case, with their lines.
	named []namedAt
}

type namedAt struct {
	what, name string
	line       int
}

// fields are the members that an object may have, and what to do with them.
type fields map[string]func(*node)

func (p *configParser) problem(line int, text, hint string) {
	p.problems = append(p.problems, Problem{line, text, hint})
}

// object reads the members of an object. In a strict one, of our own, every
// member must be known; else only those that look misspelt are a problem.
func (p *configParser) object(n *node, what string, strict bool, known fields) {
	if n.kind != "object" {
		p.problem(n.line, fmt.Sprintf("%s must be an object, not %s", what, n.kind), "")
		return
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	seen := map[string]int{}
	for _, m := range n.members {
		lower := strings.ToLower(m.name)
		if line, twice := seen[lower]; twice {
			p.problem(m.line, fmt.Sprintf("%s is there twice; the first is in line %d", m.name, line), "")
			continue
		}
		seen[lower] = m.line
		i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, m.name) })
		switch guess := nearest(m.name, names); {
		case i >= 0:
			known[names[i]](m.value)
		case guess != "":
			p.problem(m.line, fmt.Sprintf("%s has no field %s; did you mean %s?", what, m.name, guess), "")
		case strict:
			p.problem(m.line, fmt.Sprintf("%s has no field %s", what, m.name), "it has "+strings.Join(names, ", "))
		default:
			p.ignored = append(p.ignored, fmt.Sprintf("line %d: %s", m.line, m.name))
		}
	}
}

func (p *configParser) each(n *node, what string, fn func(*node)) {
	switch n.kind {
	case "array":
		for _, item := range n.items {
			fn(item)
		}
	case "null":
	default:
		p.problem(n.line, fmt.Sprintf("%s must be an array, not %s", what, n.kind), "")
	}
}

func (p *configParser) text(n *node, what string, into *string) {
	s, ok := n.value.(string)
	if !ok {
		p.problem(n.line, fmt.Sprintf("%s must be text, not %s", what, n.kind), "")
		return
	}
	*into = s
}

// whole reads a whole number, which the official emulator's own file writes as
// text.
func (p *configParser) whole(n *node, what string, least, most int64, into *int64) {
	text := ""
	switch v := n.value.(type) {
	case string:
		text = strings.TrimSpace(v)
	case json.Number:
		text = v.String()
	default:
		p.problem(n.line, fmt.Sprintf("%s must be a whole number, not %s", what, n.kind), "")
		return
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v < least || v > most {
		p.problem(n.line, fmt.Sprintf("%s must be a whole number between %d and %d, not %s", what, least, most, text), "")
		return
	}
	*into = v
}

func (p *configParser) yes(n *node, what string, into *bool) {
	switch v := n.value.(type) {
	case bool:
		*into = v
		return
	case string:
		if b, err := strconv.ParseBool(strings.ToLower(v)); err == nil {
			*into = b
			return
		}
	}
	p.problem(n.line, fmt.Sprintf("%s must be true or false", what), "")
}

func (p *configParser) namespace(n *node) NamespaceConfig {
	var ns NamespaceConfig
	var units, port, kafkaPort int64
	p.object(n, "the namespace", false, fields{
		"Type": func(n *node) {
			var kind string
			p.text(n, "Type", &kind)
			if kind != "" && !strings.EqualFold(kind, "EventHub") {
				p.problem(n.line, fmt.Sprintf("the namespace has the type %s", kind), "only EventHub is known")
			}
		},
		"Name": func(n *node) { p.text(n, "Name", &ns.Name); p.name("namespace", ns.Name, n.line) },
		"Entities": func(n *node) {
			p.each(n, "Entities", func(n *node) { ns.Hubs = append(ns.Hubs, p.entity(n)) })
		},
		"ThroughputUnits": func(n *node) { p.whole(n, "ThroughputUnits", 0, 1000, &units) },
		"Port":            func(n *node) { p.whole(n, "Port", 1, 65535, &port) },
		"KafkaPort":       func(n *node) { p.whole(n, "KafkaPort", 1, 65535, &kafkaPort) },
	})
	if n.kind == "object" && ns.Name == "" && len(p.problems) == 0 {
		p.problem(n.line, "the namespace has no Name", "the official emulator's is emulatorNs1")
	}
	ns.ThroughputUnits, ns.Port, ns.KafkaPort = int(units), int(port), int(kafkaPort)
	return ns
}

func (p *configParser) entity(n *node) hub.Spec {
	var s hub.Spec
	var partitions, days, hours int64
	p.object(n, "the entity", false, fields{
		"Name":           func(n *node) { p.text(n, "Name", &s.Name); p.name("hub", s.Name, n.line) },
		"PartitionCount": func(n *node) { p.whole(n, "PartitionCount", 1, hub.MaxPartitions, &partitions) },
		"ConsumerGroups": func(n *node) {
			p.each(n, "ConsumerGroups", func(n *node) {
				var group string
				p.object(n, "the consumer group", false, fields{"Name": func(n *node) { p.text(n, "Name", &group) }})
				if group != "" && !strings.EqualFold(group, hub.DefaultGroup) {
					s.Groups = append(s.Groups, group)
				} else if group == "" && n.kind == "object" && len(p.problems) == 0 {
					p.problem(n.line, "the consumer group has no Name", "")
				}
			})
		},
		"MessageRetentionInDays": func(n *node) { p.whole(n, "MessageRetentionInDays", 1, 90, &days) },
		"RetentionTimeInHours":   func(n *node) { p.whole(n, "RetentionTimeInHours", 1, 24*90, &hours) },
		"Capture":                func(n *node) { s.Capture = p.capture(n) },
		"CaptureDescription":     func(n *node) { s.Capture = p.capture(n) },
	})
	if n.kind == "object" && s.Name == "" && len(p.problems) == 0 {
		p.problem(n.line, "the entity has no Name", "")
	}
	s.Partitions = int(partitions)
	s.Retention = max(time.Duration(days)*24*time.Hour, time.Duration(hours)*time.Hour)
	return s
}

// capture reads a captureDescription.
func (p *configParser) capture(n *node) *hub.CaptureSpec {
	before := len(p.problems)
	d := web.CaptureDescription{Enabled: true}
	var seconds, limit int64
	p.object(n, "Capture", true, fields{
		"Enabled":           func(n *node) { p.yes(n, "Enabled", &d.Enabled) },
		"Encoding":          func(n *node) { p.text(n, "Encoding", &d.Encoding) },
		"IntervalInSeconds": func(n *node) { p.whole(n, "IntervalInSeconds", 1, 900, &seconds) },
		"SizeLimitInBytes":  func(n *node) { p.whole(n, "SizeLimitInBytes", 1, 524288000, &limit) },
		"SkipEmptyArchives": func(n *node) { p.yes(n, "SkipEmptyArchives", &d.SkipEmptyArchives) },
		"Destination": func(n *node) {
			d.Destination = &web.CaptureDestination{}
			at := &d.Destination.Properties
			p.object(n, "Destination", true, fields{
				"Name": func(n *node) { p.text(n, "Name", &d.Destination.Name) },
				"Properties": func(n *node) {
					p.object(n, "Properties", true, fields{
						"StorageAccountResourceId": func(n *node) { p.text(n, "StorageAccountResourceId", &at.StorageAccountResourceID) },
						"BlobContainer":            func(n *node) { p.text(n, "BlobContainer", &at.BlobContainer) },
						"ArchiveNameFormat":        func(n *node) { p.text(n, "ArchiveNameFormat", &at.ArchiveNameFormat) },
					})
				},
			})
		},
	})
	if len(p.problems) > before {
		return nil
	}
	d.IntervalInSeconds, d.SizeLimitInBytes = int(seconds), limit
	s, err := d.Spec()
	if err != nil {
		p.problem(n.line, "Capture: "+err.Error(), "")
	}
	return s
}

// name remembers where a name was given.
func (p *configParser) name(what, name string, line int) {
	p.named = append(p.named, namedAt{what, strings.ToLower(name), line})
}

// unique refuses namespaces, and hubs of one namespace, with the same name.
func (p *configParser) unique(c *Config) {
	lineOf := func(what, name string, nth int) int {
		for _, n := range p.named {
			if n.what == what && n.name == strings.ToLower(name) {
				if nth--; nth < 0 {
					return n.line
				}
			}
		}
		return 1
	}
	spaces := map[string]bool{}
	for _, ns := range c.Namespaces {
		if lower := strings.ToLower(ns.Name); spaces[lower] {
			p.problem(lineOf("namespace", ns.Name, 1), fmt.Sprintf("there are two namespaces called %s", ns.Name), "")
		} else {
			spaces[lower] = true
		}
		hubs := map[string]bool{}
		for _, h := range ns.Hubs {
			if lower := strings.ToLower(h.Name); hubs[lower] {
				p.problem(lineOf("hub", h.Name, 1), fmt.Sprintf("namespace %s has two entities called %s", ns.Name, h.Name), "")
			} else {
				hubs[lower] = true
			}
		}
	}
}

// nearest is the one of names that differs from name by no more than two
// letters, "" if there is none. Short names are told apart by every letter.
func nearest(name string, names []string) string {
	best, least := "", 3
	if len(name) < 5 {
		least = 2
	}
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace between a and
// b, or 9 if they are of very different lengths.
func distance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 9
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			corner, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, corner+cost)
		}
	}
	return row[len(b)]
}

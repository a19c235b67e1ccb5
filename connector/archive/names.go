package archive

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DefaultNameFormat is Capture's own default.
const DefaultNameFormat = "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}"

// extension is added to every name by the service.
const extension = ".avro"

// tokens are what a name format is made of, and what each stands for.
var tokens = []struct{ name, expr string }{
	{"Namespace", `[^/]+`},
	{"EventHub", `[^/]+`},
	{"PartitionId", `\d+`},
	{"Year", `\d{4}`},
	{"Month", `\d\d`},
	{"Day", `\d\d`},
	{"Hour", `\d\d`},
	{"Minute", `\d\d`},
	{"Second", `\d\d`},
}

// naming reads the names of an archive's files.
type naming struct {
	// prefix is what every name of the hub begins with.
	prefix string
	expr   *regexp.Regexp
	// groups are the submatches of the expression by token: a token may
	// occur more than once.
	groups [][]int
}

// newNaming reads a format. An empty namespace stands for any.
func newNaming(format, namespace, hub string) (*naming, error) {
	n := &naming{groups: make([][]int, len(tokens))}
	var expr strings.Builder
	expr.WriteString("^")
	groups, literal := 0, true
	for rest := format; rest != ""; {
		text, after, found := strings.Cut(rest, "{")
		expr.WriteString(regexp.QuoteMeta(text))
		if literal {
			n.prefix += text
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		token := -1
		for i, t := range tokens {
			if t.name == name {
				token = i
			}
		}
		if !closed || token < 0 {
			return nil, fmt.Errorf("{%s} is no token; there are {Namespace}, {EventHub}, {PartitionId}, {Year}, {Month}, {Day}, {Hour}, {Minute} and {Second}", name)
		}
		groups++
		n.groups[token] = append(n.groups[token], groups)
		known := map[int]string{0: namespace, 1: hub}[token]
		if known != "" {
			expr.WriteString("(" + regexp.QuoteMeta(known) + ")")
			if literal {
				n.prefix += known
			}
		} else {
			expr.WriteString("(" + tokens[token].expr + ")")
			literal = false
		}
		rest = after
	}
	for i, g := range n.groups {
		if len(g) == 0 {
			return nil, fmt.Errorf("{%s} is missing; all nine tokens must occur", tokens[i].name)
		}
	}
	expr.WriteString(regexp.QuoteMeta(extension) + "$")
	compiled, err := regexp.Compile(expr.String())
	if err != nil {
		return nil, fmt.Errorf("%q is not a format for names: %w", format, err)
	}
	n.expr = compiled
	return n, nil
}

// parsed is what the name of a file says.
type parsed struct {
	namespace string
	partition int32
	// window is when the file's window began, in UTC.
	window time.Time
}

// parse reads the name of an object; false if it is none of the hub's files.
func (n *naming) parse(name string) (parsed, bool) {
	m := n.expr.FindStringSubmatch(name)
	if m == nil {
		return parsed{}, false
	}
	var text [9]string
	for i, groups := range n.groups {
		text[i] = m[groups[0]]
		for _, g := range groups[1:] {
			if m[g] != text[i] {
				return parsed{}, false
			}
		}
	}
	partition, err := strconv.ParseInt(text[2], 10, 32)
	if err != nil || strconv.FormatInt(partition, 10) != text[2] {
		return parsed{}, false
	}
	window, err := time.Parse("20060102150405", strings.Join(text[3:], ""))
	if err != nil {
		return parsed{}, false
	}
	return parsed{namespace: text[0], partition: int32(partition), window: window}, true
}

// timePath is the form in which a window is matched, whatever the format.
func timePath(window time.Time) string { return window.Format("2006/01/02/15/04/05") }

// pattern chooses files by their names: parts between slashes, in which * stands
// for any characters, ? for one, and ** as a whole part for any number of parts.
// A pattern that ends early takes everything below.
type pattern struct{ parts []string }

func newPattern(text string) pattern {
	text = strings.TrimSuffix(strings.Trim(text, "/"), extension)
	if text == "" {
		return pattern{}
	}
	return pattern{strings.Split(text, "/")}
}

// takes tells whether the pattern fits the file's time path or its name.
func (p pattern) takes(f *file) bool {
	if len(p.parts) == 0 {
		return true
	}
	return matchParts(p.parts, strings.Split(timePath(f.window), "/")) ||
		matchParts(p.parts, strings.Split(strings.TrimSuffix(f.info.Name, extension), "/"))
}

func matchParts(pattern, parts []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := range len(parts) + 1 {
				if matchParts(pattern[1:], parts[i:]) {
					return true
				}
			}
			return false
		}
		if len(parts) == 0 || !matchPart(pattern[0], parts[0]) {
			return false
		}
		pattern, parts = pattern[1:], parts[1:]
	}
	return true
}

// matchPart matches * and ?, going back to the last * where it does not fit.
func matchPart(pattern, text string) bool {
	star, from := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

package refdata

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"millrace/process/streamanalytics/files"
	"millrace/process/streamanalytics/value"
)

// The formats of {date} and {time} where none are given, as the service has
// them.
const (
	DefaultDateFormat = "YYYY/MM/DD"
	DefaultTimeFormat = "HH-mm"
)

// pattern finds the time in the path of a snapshot.
type pattern struct {
	// prefix is what all matching names begin with.
	prefix string
	match  *regexp.Regexp
	// groups are the parts of a time that match's groups hold: one of the
	// letters of the formats.
	groups []byte
}

// IsPattern tells whether a path has {date} or {time} in it.
func IsPattern(p string) bool {
	return strings.Contains(p, "{date}") || strings.Contains(p, "{time}")
}

// newPattern reads a path pattern such as rates/{date}/{time}/rates.csv.
func newPattern(text, dateFormat, timeFormat string) (*pattern, error) {
	if dateFormat == "" {
		dateFormat = DefaultDateFormat
	}
	if timeFormat == "" {
		timeFormat = DefaultTimeFormat
	}
	if !strings.Contains(text, "{date}") {
		return nil, files.Misuse("for example: rates/{date}/{time}/rates.csv", "the path %s has a {time} but no {date}", text)
	}
	p := &pattern{}
	var re strings.Builder
	re.WriteByte('^')
	for i, part := range splitTokens(text) {
		format, allowed := "", ""
		switch part {
		case "{date}":
			format, allowed = dateFormat, "YMD"
		case "{time}":
			format, allowed = timeFormat, "Hms"
		default:
			if i == 0 {
				p.prefix = part
			}
			re.WriteString(regexp.QuoteMeta(part))
			continue
		}
		if err := p.addFormat(&re, format, allowed, part); err != nil {
			return nil, err
		}
	}
	re.WriteByte('$')
	var err error
	if p.match, err = regexp.Compile(re.String()); err != nil {
		return nil, fmt.Errorf("the path pattern %s: %w", text, err)
	}
	return p, nil
}

// splitTokens cuts a pattern into tokens and the texts around them.
func splitTokens(text string) []string {
	var out []string
	for text != "" {
		i := strings.Index(text, "{date}")
		if j := strings.Index(text, "{time}"); i < 0 || j >= 0 && j < i {
			i = j
		}
		switch {
		case i < 0:
			return append(out, text)
		case i > 0:
			out = append(out, text[:i])
			text = text[i:]
		default:
			out = append(out, text[:len("{date}")])
			text = text[len("{date}"):]
		}
	}
	return out
}

// addFormat adds the digits of one token.
func (p *pattern) addFormat(re *strings.Builder, format, allowed, token string) error {
	bad := func() error {
		return files.Misuse("for example YYYY/MM/DD, YYYY-MM-DD or MM-DD-YYYY, and HH, HH-mm or HH/mm", "`%s` is no format for %s", format, token)
	}
	if format == "" {
		return bad()
	}
	for i := 0; i < len(format); {
		c := format[i]
		if !strings.ContainsRune("YMDHms", rune(c)) {
			if !strings.ContainsRune("/-_.: ", rune(c)) {
				return bad()
			}
			re.WriteString(regexp.QuoteMeta(string(c)))
			i++
			continue
		}
		n := 1
		for i+n < len(format) && format[i+n] == c {
			n++
		}
		if !strings.Contains(allowed, string(c)) || c == 'Y' && n != 4 || c != 'Y' && n != 2 {
			return bad()
		}
		fmt.Fprintf(re, "([0-9]{%d})", n)
		p.groups = append(p.groups, c)
		i += n
	}
	return nil
}

// timeOf is the time in the path of a snapshot, in ticks. Names that do not
// match, or hold no real date, have none.
func (p *pattern) timeOf(name string) (int64, bool) {
	m := p.match.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	parts := map[byte]int{'M': 1, 'D': 1}
	for i, g := range p.groups {
		n := 0
		for _, c := range m[i+1] {
			n = 10*n + int(c-'0')
		}
		parts[g] = n
	}
	t := time.Date(parts['Y'], time.Month(parts['M']), parts['D'], parts['H'], parts['m'], parts['s'], 0, time.UTC)
	if t.Month() != time.Month(parts['M']) || t.Day() != parts['D'] || parts['H'] > 23 || parts['m'] > 59 || parts['s'] > 59 {
		return 0, false
	}
	return value.FromGoTime(t), true
}

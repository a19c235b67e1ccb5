package function

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"

	"millrace/process/streamanalytics/value"
)

// compileRegexMatch is REGEXMATCH(s, pattern): the place of the first match of
// a regular expression of ECMAScript, which ignores case; 0 if there is none
// and, as documented, if the pattern is no regular expression.
func compileRegexMatch(c Call) (Func, error) {
	cache := &patternCache[regex]{compile: newRegex}
	if v, ok := c.known(1); ok {
		s, err := text("REGEXMATCH", v)
		if err != nil {
			return nil, err
		}
		cache.get(s)
	}
	return strict(func(args []value.Value) (value.Value, error) {
		s, err := text("REGEXMATCH", args[0])
		if err != nil {
			return value.Value{}, err
		}
		pattern, err := text("REGEXMATCH", args[1])
		if err != nil {
			return value.Value{}, err
		}
		at, err := cache.get(pattern).find(s)
		if err != nil {
			return value.Value{}, fmt.Errorf("REGEXMATCH gives up on the pattern %s for %s, which takes %w; make the pattern simpler",
				describe(args[1]), describe(args[0]), err)
		}
		return value.Int(at), nil
	}), nil
}

// regex finds a pattern. Most patterns mean the same to the standard library,
// whose time grows with the text only; what it does not have (looking ahead,
// references to groups) is left to an engine that tries and goes back, with a
// limit of time. If both are nil the pattern is none.
type regex struct {
	linear   *regexp.Regexp
	tracking *regexp2.Regexp
}

// regexTime bounds the time of one match by trying and going back. The engine
// knows no other measure than the clock. It decides only whether the job stops,
// never what a row gives, so results stay repeatable. That a process was stopped
// for a while in the midst of a match must not stop the job: a match is given up
// when its time was over twice.
const (
	regexTime  = 2 * time.Second
	regexTries = 2
)

// What a match can take too much of.
var (
	errRegexTime  = fmt.Errorf("more than %s", regexTime)
	errRegexStack = errors.New("too much memory")
)

func newRegex(pattern string) regex {
	if linear, ok := linearPattern(pattern); ok {
		if re, err := regexp.Compile("(?i)" + linear); err == nil {
			return regex{linear: re}
		}
	}
	re, err := regexp2.Compile(pattern, regexp2.ECMAScript|regexp2.IgnoreCase)
	if err != nil {
		return regex{}
	}
	re.MatchTimeout = regexTime
	return regex{tracking: re}
}

// find returns the character at which the first match begins, counted from 1,
// and 0 if there is none.
func (r regex) find(s string) (int64, error) {
	if r.linear != nil {
		at := r.linear.FindStringIndex(s)
		if at == nil {
			return 0, nil
		}
		return place(s, at[0]).Int(), nil
	}
	if r.tracking == nil {
		return 0, nil
	}
	var m *regexp2.Match
	var err error
	for range regexTries {
		m, err = r.tracking.FindStringMatch(s)
		if err == nil || errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
			break
		}
	}
	switch {
	case errors.Is(err, regexp2.ErrBacktrackingStackLimit):
		return 0, errRegexStack
	case err != nil:
		// The engine has no other error; its text holds all of s.
		return 0, errRegexTime
	case m == nil:
		return 0, nil
	}
	return int64(m.RuneIndex) + 1, nil
}

// Classes of ECMAScript as the standard library writes them.
const (
	regexSpace = `\t\n\v\f\r \x{a0}\x{feff}\p{Zs}\x{2028}\x{2029}`
	regexAny   = `[^\n\r\x{2028}\x{2029}]`
)

// linearPattern translates a pattern of ECMAScript for the standard library,
// and says whether it could. It takes what both write alike and mean alike, as
// far as the place of the first match goes; what is wrong with a pattern is
// for the compilers to find.
func linearPattern(pattern string) (string, bool) {
	var b strings.Builder
	class := false
	for i := 0; i < len(pattern); i++ {
		c, next := pattern[i], byte(0)
		if i+1 < len(pattern) {
			next = pattern[i+1]
		}
		switch {
		case c == '\\':
			s, ok := linearEscape(next, class)
			if !ok {
				return "", false
			}
			b.WriteString(s)
			i++
		case class && c == '[':
			// The standard library has [[:alpha:]].
			b.WriteString(`\[`)
		case class:
			class = c != ']'
			b.WriteByte(c)
		case c == '[':
			class = true
			b.WriteByte(c)
			if next == '^' {
				b.WriteByte('^')
				i++
			}
			if strings.HasPrefix(pattern[i+1:], "]") {
				return "", false
			}
		case c == '.':
			b.WriteString(regexAny)
		case c == '(' && next == '?' && !strings.HasPrefix(pattern[i:], "(?:"), c == '{' && next == ',':
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), !class
}

// linearEscape translates \c.
func linearEscape(c byte, class bool) (string, bool) {
	switch c {
	case 's':
		if class {
			return regexSpace, true
		}
		return "[" + regexSpace + "]", true
	case 'S':
		return "[^" + regexSpace + "]", !class
	case 'b':
		// In a class it is a backspace.
		return `\b`, !class
	case 'd', 'D', 'w', 'W', 't', 'n', 'r', 'f', 'v':
		return `\` + string(c), true
	case 'B':
		return `\B`, !class
	}
	punctuation := c > ' ' && c < 0x7f && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z')
	return `\` + string(c), punctuation
}

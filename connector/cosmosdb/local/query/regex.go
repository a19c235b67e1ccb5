package query

import (
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"millrace/connector/cosmosdb/local/value"
)

const (
	// regexTime bounds one match: patterns can be written that take forever.
	regexTime = time.Second
	// maxRegexes is how many compiled patterns a run keeps.
	maxRegexes = 64
)

type regexKey struct{ pattern, modifiers string }

// regexMatch is REGEXMATCH(text, pattern[, modifiers]); the modifiers are m
// (lines), s (dot takes line ends), i (ignore case) and x (ignore white space).
// A pattern that cannot be read, or that takes too long, ends the query.
func regexMatch(f *frame, args []value.Value) value.Value {
	s, ok := args[0].AsString()
	pattern, ok2 := args[1].AsString()
	modifiers, ok3 := optional(args, 2, value.String("")).AsString()
	if !ok || !ok2 || !ok3 {
		return value.Undefined()
	}
	re, ok := f.regexes[regexKey{pattern, modifiers}]
	if !ok {
		var err error
		if re, err = compileRegex(pattern, modifiers); err != nil {
			f.fail(err)
			return value.Undefined()
		}
		if f.regexes == nil || len(f.regexes) >= maxRegexes {
			f.regexes = map[regexKey]*regexp2.Regexp{}
		}
		f.regexes[regexKey{strings.Clone(pattern), strings.Clone(modifiers)}] = re
	}
	matched, err := re.MatchString(s)
	if err != nil {
		f.fail(badRequest("REGEXMATCH took longer than %v for one value; a simpler pattern is needed.", regexTime))
		return value.Undefined()
	}
	return value.Bool(matched)
}

func compileRegex(pattern, modifiers string) (*regexp2.Regexp, error) {
	var options regexp2.RegexOptions
	for _, m := range modifiers {
		switch m {
		case 'm':
			options |= regexp2.Multiline
		case 's':
			options |= regexp2.Singleline
		case 'i':
			options |= regexp2.IgnoreCase
		case 'x':
			options |= regexp2.IgnorePatternWhitespace
		default:
			return nil, badRequest("The modifier '%c' of REGEXMATCH is none of m, s, i and x.", m)
		}
	}
	re, err := regexp2.Compile(pattern, options)
	if err != nil {
		return nil, badRequest("The pattern of REGEXMATCH cannot be read: %v.", err)
	}
	re.MatchTimeout = regexTime
	return re, nil
}

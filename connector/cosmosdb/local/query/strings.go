package query

import (
	"strings"
	"unicode/utf8"

	"millrace/connector/cosmosdb/local/value"
)

// Positions and lengths count characters (code points), from 0.
var stringFunctions = map[string]function{
	"CONCAT":       variadic(2, -1, concat),
	"CONTAINS":     match(strings.Contains),
	"STARTSWITH":   match(strings.HasPrefix),
	"ENDSWITH":     match(strings.HasSuffix),
	"STRINGEQUALS": match(func(a, b string) bool { return a == b }),
	"INDEX_OF":     variadic(2, 3, indexOf),
	"LEFT":         pair(left),
	"RIGHT":        pair(right),
	"LENGTH":       text(func(s string) value.Value { return value.Number(float64(utf8.RuneCountInString(s))) }),
	"LOWER":        text(func(s string) value.Value { return value.String(strings.ToLower(s)) }),
	"UPPER":        text(func(s string) value.Value { return value.String(strings.ToUpper(s)) }),
	"LTRIM":        trimmed(strings.TrimLeft),
	"RTRIM":        trimmed(strings.TrimRight),
	"TRIM":         trimmed(strings.Trim),
	"REGEXMATCH":   variadic(2, 3, regexMatch),
	"REPLACE":      variadic(3, 3, replace),
	"REPLICATE":    pair(replicate),
	"REVERSE":      text(reverse),
	"STRINGJOIN":   pair(stringJoin),
	"STRINGSPLIT":  pair(stringSplit),
	"SUBSTRING":    variadic(3, 3, substring),
}

// maxText bounds the texts that functions make, so that a short query cannot
// ask for all memory: 2 MB, as large as an item can be.
const maxText = 2 << 20

// text is a function of one string; of anything else it is undefined.
func text(fn func(string) value.Value) function {
	return single(func(a value.Value) value.Value {
		s, ok := a.AsString()
		if !ok {
			return value.Undefined()
		}
		return fn(s)
	})
}

// match is a test of two strings; a third argument of true ignores case.
func match(fn func(a, b string) bool) function {
	test := func(x, y value.Value, fold bool) value.Value {
		a, ok := x.AsString()
		b, ok2 := y.AsString()
		if !ok || !ok2 {
			return value.Undefined()
		}
		if fold {
			a, b = strings.ToLower(a), strings.ToLower(b)
		}
		return value.Bool(fn(a, b))
	}
	return function{
		min: 2, max: 3,
		two: func(a, b value.Value) value.Value { return test(a, b, false) },
		many: func(_ *frame, args []value.Value) value.Value {
			fold, ok := args[2].AsBool()
			if !ok {
				return value.Undefined()
			}
			return test(args[0], args[1], fold)
		},
	}
}

func concat(_ *frame, args []value.Value) value.Value {
	n := 0
	for _, a := range args {
		s, ok := a.AsString()
		if !ok {
			return value.Undefined()
		}
		n += len(s)
	}
	if n > maxText {
		return value.Undefined()
	}
	var b strings.Builder
	b.Grow(n)
	for _, a := range args {
		s, _ := a.AsString()
		b.WriteString(s)
	}
	return value.String(b.String())
}

// after is the number of bytes that the first n characters of s take.
func after(s string, n int) int {
	for i := range s {
		if n <= 0 {
			return i
		}
		n--
	}
	return len(s)
}

func indexOf(_ *frame, args []value.Value) value.Value {
	s, ok := args[0].AsString()
	find, ok2 := args[1].AsString()
	start, ok3 := integer(optional(args, 2, value.Number(0)))
	if !ok || !ok2 || !ok3 {
		return value.Undefined()
	}
	skip := after(s, max(start, 0))
	at := strings.Index(s[skip:], find)
	if at < 0 {
		return value.Number(-1)
	}
	return value.Number(float64(utf8.RuneCountInString(s[:skip+at])))
}

func left(a, b value.Value) value.Value {
	s, ok := a.AsString()
	n, ok2 := integer(b)
	if !ok || !ok2 {
		return value.Undefined()
	}
	return value.String(s[:after(s, n)])
}

func right(a, b value.Value) value.Value {
	s, ok := a.AsString()
	n, ok2 := integer(b)
	if !ok || !ok2 {
		return value.Undefined()
	}
	i := len(s)
	for ; n > 0 && i > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(s[:i])
		i -= size
	}
	return value.String(s[i:])
}

// trimmed removes white space, or the characters of the second argument.
func trimmed(fn func(s, cutset string) string) function {
	return variadic(1, 2, func(_ *frame, args []value.Value) value.Value {
		s, ok := args[0].AsString()
		cutset, ok2 := optional(args, 1, value.String(" \t\r\n\f\v\u0085\u00A0")).AsString()
		if !ok || !ok2 {
			return value.Undefined()
		}
		return value.String(fn(s, cutset))
	})
}

func replace(_ *frame, args []value.Value) value.Value {
	s, ok := args[0].AsString()
	find, ok2 := args[1].AsString()
	with, ok3 := args[2].AsString()
	if !ok || !ok2 || !ok3 {
		return value.Undefined()
	}
	if find == "" {
		return value.String(s)
	}
	if more := len(with) - len(find); more > 0 && len(s)+strings.Count(s, find)*more > maxText {
		return value.Undefined()
	}
	return value.String(strings.ReplaceAll(s, find, with))
}

// maxReplicated is how long a text REPLICATE makes, in characters.
const maxReplicated = 10_000

func replicate(a, b value.Value) value.Value {
	s, ok := a.AsString()
	n, ok2 := integer(b)
	switch {
	case !ok || !ok2:
		return value.Undefined()
	case n <= 0 || s == "":
		return value.String("")
	case n > maxReplicated/utf8.RuneCountInString(s):
		return value.Undefined()
	}
	return value.String(strings.Repeat(s, n))
}

func reverse(s string) value.Value {
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		_, size := utf8.DecodeLastRuneInString(s)
		b.WriteString(s[len(s)-size:])
		s = s[:len(s)-size]
	}
	return value.String(b.String())
}

func stringJoin(a, b value.Value) value.Value {
	separator, ok := b.AsString()
	if !ok || a.Kind() != value.KindArray {
		return value.Undefined()
	}
	var joined strings.Builder
	n := 0
	a.EachElement(func(e value.Value) bool {
		var s string
		if s, ok = e.AsString(); !ok {
			return false
		}
		if n++; n > 1 {
			joined.WriteString(separator)
		}
		joined.WriteString(s)
		ok = joined.Len() <= maxText
		return ok
	})
	if !ok {
		return value.Undefined()
	}
	return value.String(joined.String())
}

func stringSplit(a, b value.Value) value.Value {
	s, ok := a.AsString()
	separator, ok2 := b.AsString()
	if !ok || !ok2 {
		return value.Undefined()
	}
	var parts value.ArrayBuilder
	if separator == "" {
		parts.Append(value.String(s))
		return parts.Value()
	}
	for part := range strings.SplitSeq(s, separator) {
		parts.Append(value.String(part))
	}
	return parts.Value()
}

func substring(_ *frame, args []value.Value) value.Value {
	s, ok := args[0].AsString()
	start, ok2 := integer(args[1])
	length, ok3 := integer(args[2])
	if !ok || !ok2 || !ok3 {
		return value.Undefined()
	}
	s = s[after(s, max(start, 0)):]
	return value.String(s[:after(s, length)])
}

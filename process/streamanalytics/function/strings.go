package function

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"millrace/process/streamanalytics/value"
)

// maxText bounds, in bytes, what REPLICATE, SPACE, REPLACE and the like may
// make of one row: as much as T-SQL lets nvarchar(max) hold would take the
// machine down.
const maxText = 64 << 20

func stringFunctions() []*Scalar {
	t, n := value.String, value.BigInt
	return []*Scalar{
		textFunc("CHARINDEX", 2, 3, []value.Kind{t, t, n}, n, charIndex),
		{Name: "CONCAT", MinArgs: 2, MaxArgs: -1, Params: []value.Kind{t}, Result: t, compile: always(concat)},
		{Name: "CONCAT_WS", MinArgs: 3, MaxArgs: -1, Params: []value.Kind{t}, Result: t, compile: always(concatWS)},
		textFunc("LEFT", 2, 2, []value.Kind{t, n}, t, left),
		textFunc("LEN", 1, 1, []value.Kind{t}, n, length),
		textFunc("LOWER", 1, 1, []value.Kind{t}, t, mapText("LOWER", strings.ToLower)),
		textFunc("LTRIM", 1, 1, []value.Kind{t}, t, mapText("LTRIM", trimLeft)),
		textFunc("NCHAR", 1, 1, []value.Kind{n}, t, nchar),
		{Name: "PATINDEX", MinArgs: 2, MaxArgs: 2, Params: []value.Kind{t}, Result: n, compile: compilePatIndex},
		{Name: "REGEXMATCH", MinArgs: 2, MaxArgs: 2, Params: []value.Kind{t}, Result: n, compile: compileRegexMatch},
		textFunc("REPLACE", 3, 3, []value.Kind{t}, t, replace),
		textFunc("REPLICATE", 2, 2, []value.Kind{t, n}, t, replicate),
		textFunc("REVERSE", 1, 1, []value.Kind{t}, t, mapText("REVERSE", reverse)),
		textFunc("RIGHT", 2, 2, []value.Kind{t, n}, t, right),
		textFunc("RTRIM", 1, 1, []value.Kind{t}, t, mapText("RTRIM", trimRight)),
		textFunc("SPACE", 1, 1, []value.Kind{n}, t, space),
		textFunc("STUFF", 4, 4, []value.Kind{t, n, n, t}, t, stuff),
		textFunc("SUBSTRING", 3, 3, []value.Kind{t, n, n}, t, substring),
		textFunc("TRANSLATE", 3, 3, []value.Kind{t}, t, translate),
		textFunc("TRIM", 1, 1, []value.Kind{t}, t, mapText("TRIM", strings.TrimSpace)),
		textFunc("UNICODE", 1, 1, []value.Kind{t}, n, unicodeOf),
		textFunc("UPPER", 1, 1, []value.Kind{t}, t, mapText("UPPER", strings.ToUpper)),
	}
}

func textFunc(name string, low, high int, params []value.Kind, result value.Kind, f Func) *Scalar {
	return &Scalar{Name: name, MinArgs: low, MaxArgs: high, Params: params, Result: result, compile: always(strict(f))}
}

// mapText is a function of one text.
func mapText(name string, f func(string) string) Func {
	return func(args []value.Value) (value.Value, error) {
		s, err := text(name, args[0])
		if err != nil {
			return value.Value{}, err
		}
		return value.Text(f(s)), nil
	}
}

// charIndex is CHARINDEX(find, in [, start]): the place of the first
// occurrence from start on, 0 if there is none. An empty text is nowhere, as
// in T-SQL.
func charIndex(args []value.Value) (value.Value, error) {
	find, err := text("CHARINDEX", args[0])
	if err != nil {
		return value.Value{}, err
	}
	in, err := text("CHARINDEX", args[1])
	if err != nil {
		return value.Value{}, err
	}
	from := 0
	if len(args) > 2 {
		start, err := whole("CHARINDEX", "a bigint to start from", args[2])
		if err != nil {
			return value.Value{}, err
		}
		from = runeOffset(in, max(start, 1)-1)
	}
	if find == "" {
		return value.Int(0), nil
	}
	at := strings.Index(in[from:], find)
	if at < 0 {
		return value.Int(0), nil
	}
	return place(in, from+at), nil
}

// place is the character at byte offset i of s, counted from 1.
func place(s string, i int) value.Value {
	return value.Int(int64(utf8.RuneCountInString(s[:i])) + 1)
}

func concat(args []value.Value) (value.Value, error) { return join("CONCAT", "", args) }

// concatWS is CONCAT_WS(separator, ...). NULL arguments do not count, and a
// separator that is NULL is an empty one, as in T-SQL.
func concatWS(args []value.Value) (value.Value, error) {
	separator := ""
	if !args[0].IsNull() {
		var err error
		if separator, err = text("CONCAT_WS", args[0]); err != nil {
			return value.Value{}, err
		}
	}
	return join("CONCAT_WS", separator, args[1:])
}

func join(name, separator string, args []value.Value) (value.Value, error) {
	size := 0
	for i := range args {
		size += len(separator) + len(args[i].Str())
	}
	b := make([]byte, 0, size)
	first := true
	for i := range args {
		if args[i].IsNull() {
			continue
		}
		s, err := text(name, args[i])
		if err != nil {
			return value.Value{}, err
		}
		if !first {
			b = append(b, separator...)
		}
		first = false
		b = append(b, s...)
	}
	return value.TextBytes(b), nil
}

// textAndCount reads the arguments of LEFT and RIGHT.
func textAndCount(name string, args []value.Value) (string, int64, error) {
	s, err := text(name, args[0])
	if err != nil {
		return "", 0, err
	}
	n, err := lengthArg(name, args[1])
	return s, n, err
}

// lengthArg reads a length, which must not be negative.
func lengthArg(name string, v value.Value) (int64, error) {
	n, err := whole(name, "a bigint as length", v)
	if err == nil && n < 0 {
		err = fmt.Errorf("%s takes a length of 0 or more, not %d", name, n)
	}
	return n, err
}

func left(args []value.Value) (value.Value, error) {
	s, n, err := textAndCount("LEFT", args)
	if err != nil {
		return value.Value{}, err
	}
	return value.Text(s[:runeOffset(s, n)]), nil
}

func right(args []value.Value) (value.Value, error) {
	s, n, err := textAndCount("RIGHT", args)
	if err != nil {
		return value.Value{}, err
	}
	if n >= int64(len(s)) {
		return value.Text(s), nil
	}
	i := len(s)
	for ; n > 0 && i > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(s[:i])
		i -= size
	}
	return value.Text(s[i:]), nil
}

// length is LEN: characters without the blanks at the end. Only U+0020 is a
// blank.
func length(args []value.Value) (value.Value, error) {
	s, err := text("LEN", args[0])
	if err != nil {
		return value.Value{}, err
	}
	return value.Int(int64(utf8.RuneCountInString(strings.TrimRight(s, " ")))), nil
}

// White space is what Unicode takes as such (the documentation lists it), not
// only the blank as in T-SQL.
func trimLeft(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }

func trimRight(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }

func nchar(args []value.Value) (value.Value, error) {
	n, err := whole("NCHAR", "a bigint", args[0])
	if err != nil || n < 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return value.Value{}, err
	}
	return value.Text(string(rune(n))), nil
}

// unicodeOf is UNICODE: the code of the first character, NULL for none.
func unicodeOf(args []value.Value) (value.Value, error) {
	s, err := text("UNICODE", args[0])
	if err != nil || s == "" {
		return value.Value{}, err
	}
	r, _ := utf8.DecodeRuneInString(s)
	return value.Int(int64(r)), nil
}

func replace(args []value.Value) (value.Value, error) {
	var s [3]string
	for i := range s {
		var err error
		if s[i], err = text("REPLACE", args[i]); err != nil {
			return value.Value{}, err
		}
	}
	if s[1] == "" || !strings.Contains(s[0], s[1]) {
		return value.Text(s[0]), nil
	}
	if grown := len(s[2]) - len(s[1]); grown > 0 && strings.Count(s[0], s[1]) > (maxText-len(s[0]))/grown {
		return value.Value{}, tooLong("REPLACE")
	}
	return value.Text(strings.ReplaceAll(s[0], s[1], s[2])), nil
}

func tooLong(name string) error {
	return fmt.Errorf("%s would make a text of more than %d MB", name, maxText>>20)
}

func replicate(args []value.Value) (value.Value, error) {
	s, err := text("REPLICATE", args[0])
	if err != nil {
		return value.Value{}, err
	}
	n, err := whole("REPLICATE", "a bigint as count", args[1])
	if err != nil {
		return value.Value{}, err
	}
	return repeat("REPLICATE", s, n)
}

// repeat is NULL for a negative count.
func repeat(name, s string, n int64) (value.Value, error) {
	switch {
	case n < 0:
		return value.Value{}, nil
	case s == "":
		return value.Text(""), nil
	case n > int64(maxText/len(s)):
		return value.Value{}, tooLong(name)
	}
	return value.Text(strings.Repeat(s, int(n))), nil
}

func space(args []value.Value) (value.Value, error) {
	n, err := whole("SPACE", "a bigint as count", args[0])
	if err != nil {
		return value.Value{}, err
	}
	return repeat("SPACE", " ", n)
}

// reverse turns the order of characters around; bytes that are no UTF-8 stay
// single bytes.
func reverse(s string) string {
	b := make([]byte, 0, len(s))
	for i := len(s); i > 0; {
		_, size := utf8.DecodeLastRuneInString(s[:i])
		b = append(b, s[i-size:i]...)
		i -= size
	}
	return string(b)
}

// stuff is STUFF(s, start, length, insert). Before the first character it
// works like at the first one, behind the last one the result is empty.
func stuff(args []value.Value) (value.Value, error) {
	s, err := text("STUFF", args[0])
	if err != nil {
		return value.Value{}, err
	}
	start, err := whole("STUFF", "a bigint as start", args[1])
	if err != nil {
		return value.Value{}, err
	}
	n, err := lengthArg("STUFF", args[2])
	if err != nil {
		return value.Value{}, err
	}
	insert, err := text("STUFF", args[3])
	if err != nil {
		return value.Value{}, err
	}
	from := runeOffset(s, max(start, 1)-1)
	if from >= len(s) {
		return value.Text(""), nil
	}
	to := from + runeOffset(s[from:], n)
	return value.Text(s[:from] + insert + s[to:]), nil
}

// substring is SUBSTRING(s, start, length). What lies before the first
// character counts for the length.
func substring(args []value.Value) (value.Value, error) {
	s, err := text("SUBSTRING", args[0])
	if err != nil {
		return value.Value{}, err
	}
	start, err := whole("SUBSTRING", "a bigint as start", args[1])
	if err != nil {
		return value.Value{}, err
	}
	n, err := lengthArg("SUBSTRING", args[2])
	if err != nil {
		return value.Value{}, err
	}
	if start < 1 {
		// The least bigint has no predecessor.
		n = max(n+(max(start, -1<<63+1)-1), 0)
		start = 1
	}
	s = s[runeOffset(s, start-1):]
	return value.Text(s[:runeOffset(s, n)]), nil
}

// translate is TRANSLATE(s, characters, translations): every character is
// replaced once at most. Where a character is listed twice, the first counts.
func translate(args []value.Value) (value.Value, error) {
	s, err := text("TRANSLATE", args[0])
	if err != nil {
		return value.Value{}, err
	}
	from, err := text("TRANSLATE", args[1])
	if err != nil {
		return value.Value{}, err
	}
	to, err := text("TRANSLATE", args[2])
	if err != nil {
		return value.Value{}, err
	}
	a, b := []rune(from), []rune(to)
	if len(a) != len(b) {
		return value.Value{}, fmt.Errorf("TRANSLATE takes as many translations as characters, not %d for %d (%s for %s)",
			len(b), len(a), describe(args[2]), describe(args[1]))
	}
	translation := make(map[rune]rune, len(a))
	for i, r := range a {
		if _, listed := translation[r]; !listed {
			translation[r] = b[i]
		}
	}
	return value.Text(strings.Map(func(r rune) rune {
		if t, listed := translation[r]; listed {
			return t
		}
		return r
	}, s)), nil
}

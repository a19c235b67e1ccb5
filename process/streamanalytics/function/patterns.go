package function

import (
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"millrace/process/streamanalytics/value"
)

// patternCache makes what a pattern stands for, and keeps the last one: where
// patterns come from rows, they mostly are the same as in the row before. It is
// safe for concurrent use.
type patternCache[T any] struct {
	compile func(pattern string) T
	last    atomic.Pointer[cached[T]]
}

type cached[T any] struct {
	pattern string
	made    T
}

func (c *patternCache[T]) get(pattern string) T {
	if l := c.last.Load(); l != nil && l.pattern == pattern {
		return l.made
	}
	// The pattern may be a view of an event that is gone with the next row.
	l := &cached[T]{pattern: strings.Clone(pattern)}
	l.made = c.compile(l.pattern)
	c.last.Store(l)
	return l.made
}

// compilePatIndex is PATINDEX(pattern, s): the place where the pattern of LIKE,
// less a % at its start, first matches; 0 if it does not. Without % at the
// start it must match from the first character, without % at the end to the
// last one.
func compilePatIndex(c Call) (Func, error) {
	cache := &patternCache[*placePattern]{compile: newPlacePattern}
	if v, ok := c.known(0); ok {
		s, err := text("PATINDEX", v)
		if err != nil {
			return nil, err
		}
		cache.get(s)
	}
	return strict(func(args []value.Value) (value.Value, error) {
		pattern, err := text("PATINDEX", args[0])
		if err != nil {
			return value.Value{}, err
		}
		s, err := text("PATINDEX", args[1])
		if err != nil {
			return value.Value{}, err
		}
		at := cache.get(pattern).find(s)
		if at < 0 {
			return value.Int(0), nil
		}
		return place(s, at), nil
	}), nil
}

// placePattern finds where a pattern of LIKE matches. All parts between two %
// have a fixed number of characters, so the first place of the first part
// decides: if the rest does not match behind it, it does not behind a later
// place either. That keeps the search from becoming quadratic. Case is ignored
// as LIKE ignores it.
type placePattern struct {
	// anchored: no % at the start.
	anchored bool
	// anything: nothing but %.
	anything bool
	// head is the part up to the next %, with it; rest is all.
	head, rest *value.LikePattern
	// ended: no % in rest, so it must match at the end; size is its number of
	// characters.
	ended bool
	size  int
}

func newPlacePattern(pattern string) *placePattern {
	p := &placePattern{anchored: !strings.HasPrefix(pattern, "%")}
	rest := strings.TrimLeft(pattern, "%")
	p.anything = rest == "" && !p.anchored
	p.rest = value.CompileLike(rest)
	end, size := firstPart(rest)
	p.ended, p.size = end == len(rest), size
	p.head = value.CompileLike(rest[:end] + "%")
	return p
}

// firstPart returns the length in bytes of what is before the first % outside
// of brackets, and the number of characters that it matches.
func firstPart(pattern string) (end, size int) {
	for i := 0; i < len(pattern); size++ {
		switch pattern[i] {
		case '%':
			return i, size
		case '[':
			if closing := bracketEnd(pattern, i); closing > 0 {
				i = closing + 1
				continue
			}
		}
		_, width := utf8.DecodeRuneInString(pattern[i:])
		i += width
	}
	return len(pattern), size
}

// bracketEnd returns the index of the bracket that closes the one at i, -1 if
// none does. A ] closes a set wherever it stands.
func bracketEnd(pattern string, i int) int {
	from := i + 1
	if from < len(pattern) && pattern[from] == '^' {
		from++
	}
	if n := strings.IndexByte(pattern[from:], ']'); n >= 0 {
		return from + n
	}
	return -1
}

// find returns the byte offset of the first match, -1 if there is none.
func (p *placePattern) find(s string) int {
	switch {
	case p.anything:
		return 0
	case p.anchored:
		if p.rest.Match(s) {
			return 0
		}
		return -1
	case p.ended:
		from := utf8.RuneCountInString(s) - p.size
		if from < 0 {
			return -1
		}
		if at := runeOffset(s, int64(from)); p.rest.Match(s[at:]) {
			return at
		}
		return -1
	}
	for at := 0; at < len(s); {
		if p.head.Match(s[at:]) {
			if p.rest.Match(s[at:]) {
				return at
			}
			return -1
		}
		_, width := utf8.DecodeRuneInString(s[at:])
		at += width
	}
	return -1
}

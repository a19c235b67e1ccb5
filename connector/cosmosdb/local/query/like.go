package query

import (
	"strings"
	"unicode/utf8"
)

// likePattern is the pattern of LIKE: % is any text, _ any character, [a-f] and
// [^a-f] a character of a set or of none of it; a character behind the escape
// character stands for itself.
type likePattern struct {
	elements []likeElement
}

type likeElement struct {
	kind    likeKind
	char    rune
	set     []likeRange
	negated bool
}

type likeKind uint8

const (
	likeChar likeKind = iota
	likeOne
	likeAny
	likeSet
)

type likeRange struct{ low, high rune }

// compileLike reads a pattern. escape is 0 for none.
func compileLike(pattern string, escape rune) likePattern {
	var p likePattern
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case r == escape && escape != 0 && i+1 < len(runes):
			i++
			p.elements = append(p.elements, likeElement{char: runes[i]})
		case r == '%':
			if n := len(p.elements); n == 0 || p.elements[n-1].kind != likeAny {
				p.elements = append(p.elements, likeElement{kind: likeAny})
			}
		case r == '_':
			p.elements = append(p.elements, likeElement{kind: likeOne})
		case r == '[':
			if e, end := likeSetAt(runes, i, escape); end > 0 {
				p.elements = append(p.elements, e)
				i = end
				continue
			}
			p.elements = append(p.elements, likeElement{char: r})
		default:
			p.elements = append(p.elements, likeElement{char: r})
		}
	}
	return p
}

// likeSetAt reads the set that begins at i; end is where its bracket closes, 0
// if it never does.
func likeSetAt(runes []rune, i int, escape rune) (e likeElement, end int) {
	e.kind = likeSet
	j := i + 1
	if j < len(runes) && runes[j] == '^' {
		e.negated = true
		j++
	}
	for first := j; j < len(runes); j++ {
		if runes[j] == ']' && j > first {
			return e, j
		}
		if runes[j] == escape && escape != 0 && j+1 < len(runes) {
			j++
		}
		r := likeRange{runes[j], runes[j]}
		if j+2 < len(runes) && runes[j+1] == '-' && runes[j+2] != ']' {
			r.high = runes[j+2]
			j += 2
		}
		e.set = append(e.set, r)
	}
	return likeElement{}, 0
}

func (e likeElement) matches(r rune) bool {
	switch e.kind {
	case likeChar:
		return e.char == r
	case likeSet:
		for _, s := range e.set {
			if s.low <= r && r <= s.high {
				return !e.negated
			}
		}
		return e.negated
	}
	return e.kind == likeOne
}

// match takes time in proportion to the lengths of text and pattern multiplied,
// at worst: at a mismatch only the last % has to take one character more.
func (p likePattern) match(s string) bool {
	i, j := 0, 0 // in s, in elements
	star, resume := -1, 0
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case j < len(p.elements) && p.elements[j].kind == likeAny:
			star, resume = j, i
			j++
		case j < len(p.elements) && p.elements[j].matches(r):
			i += size
			j++
		case star >= 0:
			_, size := utf8.DecodeRuneInString(s[resume:])
			resume += size
			i, j = resume, star+1
		default:
			return false
		}
	}
	for j < len(p.elements) && p.elements[j].kind == likeAny {
		j++
	}
	return j == len(p.elements)
}

// prefix is the text that everything that matches begins with, and whether the
// pattern is no more than that text and a final %.
func (p likePattern) prefix() (prefix string, exact bool) {
	var b strings.Builder
	for i, e := range p.elements {
		if e.kind != likeChar {
			return b.String(), e.kind == likeAny && i == len(p.elements)-1
		}
		b.WriteRune(e.char)
	}
	return b.String(), false
}

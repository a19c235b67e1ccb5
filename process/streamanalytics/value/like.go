package value

import (
	"unicode"
	"unicode/utf8"
)

// LikePattern is a compiled pattern of LIKE. It is immutable and safe for
// concurrent use.
type LikePattern struct {
	parts []likePart
}

// likePart matches one character, or any run of them.
type likePart struct {
	op likeOp
	r  rune
	// set is what is between the brackets: pairs of first and last.
	set []rune
}

type likeOp uint8

const (
	likeRune likeOp = iota
	likeOne
	likeAny
	likeIn
	likeNotIn
)

// CompileLike reads a pattern: % is any text, _ any one character, [a-f] one
// of a set, [^a-f] one not of it; [%] is the character itself. A bracket that
// is not closed is an ordinary character. Case is
// ignored as = ignores it. Every text is a pattern.
func CompileLike(pattern string) *LikePattern {
	p := &LikePattern{}
	rs := []rune(pattern)
	for i := 0; i < len(rs); i++ {
		switch rs[i] {
		case '%':
			if n := len(p.parts); n == 0 || p.parts[n-1].op != likeAny {
				p.parts = append(p.parts, likePart{op: likeAny})
			}
		case '_':
			p.parts = append(p.parts, likePart{op: likeOne})
		case '[':
			part, end := likeSet(rs, i)
			p.parts = append(p.parts, part)
			i = end
		default:
			p.parts = append(p.parts, likePart{r: fold(rs[i])})
		}
	}
	return p
}

// likeSet reads the set whose bracket is at i, and returns the index of its
// closing bracket.
func likeSet(rs []rune, i int) (likePart, int) {
	end := i + 1
	op := likeIn
	if end < len(rs) && rs[end] == '^' {
		op = likeNotIn
		end++
	}
	start := end
	for end < len(rs) && rs[end] != ']' {
		end++
	}
	if end >= len(rs) {
		return likePart{r: '['}, i
	}
	part := likePart{op: op}
	for k := start; k < end; k++ {
		if k+2 < end && rs[k+1] == '-' {
			part.set = append(part.set, rs[k], rs[k+2])
			k += 2
			continue
		}
		part.set = append(part.set, rs[k], rs[k])
	}
	return part, end
}

func (p *likePart) matches(r rune) bool {
	switch p.op {
	case likeRune:
		return p.r == r || p.r == fold(r)
	case likeOne:
		return true
	}
	in := p.contains(r)
	for f := unicode.SimpleFold(r); ignoreCase && !in && f != r; f = unicode.SimpleFold(f) {
		in = p.contains(f)
	}
	return in == (p.op == likeIn)
}

// contains reports whether r is in the set as it is written.
func (p *likePart) contains(r rune) bool {
	for k := 0; k < len(p.set); k += 2 {
		if p.set[k] <= r && r <= p.set[k+1] {
			return true
		}
	}
	return false
}

// Match reports whether the whole of s matches. It takes time in proportion to
// the length of s times that of the pattern at most, and does not allocate.
func (p *LikePattern) Match(s string) bool {
	// retry is the part behind the last %, tried again from mark on: an
	// earlier % never needs another try.
	part, retry, mark := 0, -1, 0
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case part < len(p.parts) && p.parts[part].op == likeAny:
			part++
			retry, mark = part, i
		case part < len(p.parts) && p.parts[part].matches(r):
			part++
			i += size
		case retry >= 0:
			_, size = utf8.DecodeRuneInString(s[mark:])
			mark += size
			part, i = retry, mark
		default:
			return false
		}
	}
	for part < len(p.parts) && p.parts[part].op == likeAny {
		part++
	}
	return part == len(p.parts)
}

package value

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, pattern string
		want          bool
	}{
		// The documentation's examples.
		{"AAA-999", "A%9", true},
		{"ABC-369", "A%9", true},
		{"ABC-123", "A%9", false},
		{"JAC 1234", "%AC%", true},
		{"xA", "A%", false},

		{"", "", true},
		{"a", "", false},
		{"", "%", true},
		{"", "_", false},
		{"日", "_", true},
		{"ab", "a_", true},
		{"abc", "a_", false},
		{"abc", "%%c", true},
		{"Honda", "honda", true},
		{"Éa", "é_", true},
		{"\u212a", "k", true},
		{"100%", "100[%]", true},
		{"1000", "100[%]", false},
		{"a_b", "a[_]b", true},
		{"axb", "a[_]b", false},
		{"bat", "[a-c]at", true},
		{"BAT", "[a-c]at", true},
		{"rat", "[a-c]at", false},
		{"rat", "[^a-c]at", true},
		{"bat", "[^a-c]at", false},
		{"Bat", "[^a-c]at", false},
		{"a-b", "a[-]b", true},
		{"a[b", "a[b", true},
		{"a[b", "a[[]b", true},
		{"^", "[\\^]", true},
		{"]", "[]", false},
		{"]", "]", true},
		{"x", "[^]", true},
		{"aaaaaaaaab", "%a%a%a%b", true},
		{"mississippi", "m%iss%ip%i", true},
		{"mississippi", "m%iss%ix%", false},
		{"a\nb", "a%b", true},
		{"a\nb", "a_b", true},
	} {
		if got := CompileLike(c.pattern).Match(c.text); got != c.want {
			t.Errorf("%q LIKE %q = %v, want %v", c.text, c.pattern, got, c.want)
		}
	}
}

// likeRegexp is the pattern as a regular expression, made in another way.
func likeRegexp(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?is)\A`)
	for rest := pattern; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		part := rest[:n]
		rest = rest[n:]
		switch r {
		case '%':
			b.WriteString(".*")
		case '_':
			b.WriteString(".")
		case '[':
			set, behind, closed := strings.Cut(rest, "]")
			if body, not := strings.CutPrefix(rest, "^"); not {
				if set, behind, closed = strings.Cut(body, "]"); closed {
					set = "^" + set
				}
			}
			if !closed {
				b.WriteString(`\[`)
				continue
			}
			b.WriteString(likeClass(set))
			rest = behind
		default:
			b.WriteString(regexp.QuoteMeta(part))
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

func likeClass(set string) string {
	set, not := strings.CutPrefix(set, "^")
	rs := []rune(set)
	var b strings.Builder
	for i := 0; i < len(rs); i++ {
		first, last := rs[i], rs[i]
		if i+2 < len(rs) && rs[i+1] == '-' {
			last = rs[i+2]
			i += 2
		}
		if first > last {
			continue // an empty range
		}
		b.WriteString(quoteRune(first) + "-" + quoteRune(last))
	}
	switch {
	case b.Len() > 0 && not:
		return "[^" + b.String() + "]"
	case b.Len() > 0:
		return "[" + b.String() + "]"
	case not:
		return "."
	}
	return `[^\x{0}-\x{10FFFF}]`
}

func quoteRune(r rune) string {
	if strings.ContainsRune(`\]^-[`, r) {
		return `\` + string(r)
	}
	return string(r)
}

func FuzzLike(f *testing.F) {
	f.Add("mississippi", "m%iss%ip_i")
	f.Add("bat", "[^a-c]%t")
	f.Add("a]b", "a[]]b")
	f.Add("Kk\u212a", "[k]_%")
	f.Fuzz(func(t *testing.T, text, pattern string) {
		if !utf8.ValidString(text) || !utf8.ValidString(pattern) || len(pattern) > 200 {
			CompileLike(pattern).Match(text)
			return
		}
		if got, want := CompileLike(pattern).Match(text), likeRegexp(pattern).MatchString(text); got != want {
			t.Fatalf("%q LIKE %q = %v, want %v", text, pattern, got, want)
		}
	})
}

func TestLikeAgainstRegexp(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for range 3000 {
		pattern := randomText(r)
		p, re := CompileLike(pattern), likeRegexp(pattern)
		for range 10 {
			text := randomText(r)
			if r.IntN(2) == 0 {
				text = strings.NewReplacer("%", randomText(r), "_", "x", "[", "").Replace(pattern)
			}
			if got, want := p.Match(text), re.MatchString(text); got != want {
				t.Fatalf("%q LIKE %q = %v, want %v", text, pattern, got, want)
			}
		}
	}
}

// A pattern of many % must not take time that grows as a power of its length.
func TestLikeOfManyPercents(t *testing.T) {
	t.Parallel()
	if CompileLike(strings.Repeat("%a", 200) + "b").Match(strings.Repeat("a", 5000)) {
		t.Error("matches")
	}
}

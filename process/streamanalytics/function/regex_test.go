package function

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// Patterns that both engines take have their first match at the same place.
// (Word boundaries are left out: the tracking engine takes é for a letter
// there, which ECMAScript does not. So are classes of all but a few: they take
// it long to read.)
func TestLinearRegexAgainstTracking(t *testing.T) {
	t.Parallel()
	pieces := strings.Fields(`a b A 1 _ - \. \d \w \s [ab] [a-c1] [\d_] [\s] [[] ^ $ * + ? *? {2} {1,} {0,1} ( ) (?: | \t \/ é [à-ÿ] (b|1) (a*)*`)
	r := newRand(12)
	compared := 0
	for range 600 {
		pattern := random(r, pieces, 1+r.IntN(6))
		re, err := regexp2.Compile(pattern, regexp2.ECMAScript|regexp2.IgnoreCase)
		made := newRegex(pattern)
		if made.linear == nil {
			continue
		}
		if err != nil {
			t.Fatalf("%q is a pattern for the standard library only: %v", pattern, err)
		}
		// What takes long is not compared.
		re.MatchTimeout = 20 * time.Millisecond
		for range 5 {
			s := random(r, strings.Split(`a|b|B|1|_|-| |x|é|È|a1b`+"|\n|\u00a0|.|/", "|"), r.IntN(8))
			want, err := regex{tracking: re}.find(s)
			if err != nil {
				continue
			}
			if got, err := made.find(s); err != nil || got != want {
				t.Fatalf("%q in %q at %d, %v; want %d", pattern, s, got, err, want)
			}
			compared++
		}
	}
	if compared < 600 {
		t.Errorf("only %d texts compared", compared)
	}
}

func random(r *rand.Rand, pieces []string, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

func TestRegexClasses(t *testing.T) {
	t.Parallel()
	runCases(t, 0, []scalarCase{
		{"REGEXMATCH", args("a\n\r\u2028.", "."), 1},
		{"REGEXMATCH", args("\n\r\u2028x", "."), 4},
		{"REGEXMATCH", args("1\u00a0x", `\s`), 2},
		{"REGEXMATCH", args("\u3000\v x", `\S`), 4},
		{"REGEXMATCH", args("a\u2003", `[\sx]`), 2},
		{"REGEXMATCH", args("a1é", `\W`), 3},
		{"REGEXMATCH", args("12x", `\D`), 3},
		{"REGEXMATCH", args("é", `\b`), 0},
		{"REGEXMATCH", args("é a", `\ba`), 3},
		{"REGEXMATCH", args("x[", "[[]"), 2},
		{"REGEXMATCH", args("x:", "[[:]"), 2},
		{"REGEXMATCH", args("ab\n", "b$"), 0},
		{"REGEXMATCH", args("a\nb", "^b"), 0},
		{"REGEXMATCH", args("x{,2}", "x{,2}"), 1},
		{"REGEXMATCH", args("xA", `\x61`), 2},
		{"REGEXMATCH", args("foobar", "(?<=foo)bar"), 4},
		{"REGEXMATCH", args("foobar foobaz", "foo(?!bar)"), 8},
		{"REGEXMATCH", args("abab", `(?:ab)+$`), 1},
		{"REGEXMATCH", args("a-b", `[\w-]+b`), 1},
		{"REGEXMATCH", args("abc", "[]"), 0},
		{"REGEXMATCH", args("\nabc", "[^]b"), 2},
		{"REGEXMATCH", args("abc", "a**"), 0},
		{"REGEXMATCH", args("abc", "[z-a]"), 0},
		{"REGEXMATCH", args("abc", ""), 1},
	})
}

// A pattern that would take forever by trying takes no time, and one that only
// can be tried ends with an error that does not hold the whole text.
func TestRegexEnds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 5000) + "b"
	if v, err := call(t, "REGEXMATCH", 0, args(long, "^(a+)+$")); err != nil || v.Int() != 0 {
		t.Errorf("%v, %v", v, err)
	}
	f, _ := Lookup("REGEXMATCH")
	compiled, err := f.Compile(Call{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = compiled(args(long, `^(?=a)(a+)+$`))
	if err == nil || !strings.Contains(err.Error(), "make the pattern simpler") || len(err.Error()) > 400 {
		t.Errorf("%v", err)
	}
}

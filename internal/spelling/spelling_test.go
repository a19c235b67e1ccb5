package spelling

import (
	"math/rand/v2"
	"testing"
)

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b        string
		limit, want int
	}{
		{"", "", 5, 0},
		{"word", "word", 5, 0},
		{"word", "wrod", 5, 1},
		{"word", "wor", 5, 1},
		{"word", "sword", 5, 1},
		{"word", "ward", 5, 1},
		{"word", "", 9, 4},
		{"kitten", "sitting", 9, 3},
		{"kitten", "sitting", 2, 2},
		{"ab", "ba", 1, 1},
		{"word", "something else", 3, 3},
		{"abc", "abd", 9, 1},
		{"kafka", "kafak", 9, 1},
		{"abcd", "acbd", 9, 1},
		{"", "ab", 9, 2},
		{"word", "word", 0, 0},
	} {
		if got := Distance(tt.a, tt.b, tt.limit); got != tt.want {
			t.Errorf("%q to %q within %d: %d, want %d", tt.a, tt.b, tt.limit, got, tt.want)
		}
	}
}

// The distance agrees with the recursive definition.
func TestDistanceAgreesWithItsDefinition(t *testing.T) {
	t.Parallel()
	var slow func(a, b string) int
	slow = func(a, b string) int {
		if a == "" || b == "" {
			return len(a) + len(b)
		}
		cost := 1
		if a[0] == b[0] {
			cost = 0
		}
		best := min(slow(a[1:], b)+1, slow(a, b[1:])+1, slow(a[1:], b[1:])+cost)
		if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
			best = min(best, slow(a[2:], b[2:])+1)
		}
		return best
	}
	r := rand.New(rand.NewPCG(1, 1))
	word := func() string {
		w := make([]byte, r.IntN(7))
		for i := range w {
			w[i] = "abc"[r.IntN(3)]
		}
		return string(w)
	}
	for range 2000 {
		a, b, limit := word(), word(), r.IntN(6)
		if got, want := Distance(a, b, limit), min(slow(a, b), limit); got != want {
			t.Errorf("from %q to %q with limit %d: %d, not %d", a, b, limit, got, want)
		}
	}
}

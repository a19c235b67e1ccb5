package settings

import "strings"

// Nearest returns the candidate that name was most likely meant to be, or ""
// if none comes close. A name that differs in case only, or that is the
// beginning of exactly one candidate, counts as close.
func Nearest(name string, candidates []string) string {
	if name == "" || len(name) > 200 {
		return ""
	}
	best, bestDistance := "", len(name)/3+2
	if len(name) <= 3 {
		bestDistance = 2
	}
	prefixed := ""
	prefixes := 0
	lower := strings.ToLower(name)
	for _, c := range candidates {
		lc := strings.ToLower(c)
		if strings.HasPrefix(lc, lower) {
			prefixed, prefixes = c, prefixes+1
		}
		if d := distance(lower, lc); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" && prefixes == 1 {
		return prefixed
	}
	return best
}

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	if len(a) > 200 || len(b) > 200 {
		return 400
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

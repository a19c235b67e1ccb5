package settings

import (
	"strings"

	"millrace/internal/spelling"
)

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
		if d := spelling.Distance(lower, lc, bestDistance); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" && prefixes == 1 {
		return prefixed
	}
	return best
}

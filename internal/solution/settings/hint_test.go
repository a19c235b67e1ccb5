package settings

import "testing"

// TestHintNamesEveryVariable: which of several variables somebody knows is not
// ours to guess.
func TestHintNamesEveryVariable(t *testing.T) {
	t.Parallel()
	for want, env := range map[string][]string{
		"set the environment variable A":         {"A"},
		"set the environment variable A or B":    {"A", "B"},
		"set the environment variable A, B or C": {"A", "B", "C"},
	} {
		if got := (&field{env: env}).envHint(); got != want {
			t.Errorf("%v: %q, want %q", env, got, want)
		}
	}
}

package offline

import (
	"os"
	"testing"
)

// The conformance suite: each case runs, and gives the rows, or the error, that
// it says.
func TestCases(t *testing.T) {
	t.Parallel()
	cases, err := FindCases(os.DirFS("../testdata/cases"))
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("there are no cases")
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r, err := c.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !r.Pass {
				t.Errorf("%s\n%s", c.About, r)
			}
		})
	}
}

package run

import (
	"errors"
	"testing"

	"millrace/internal/solution"
	"millrace/solutions"
	"millrace/ui/report"
	"millrace/verify"
)

// TestOutcome: a run that was not verified is no pass in its report, and no
// failure for who started it.
func TestOutcome(t *testing.T) {
	t.Parallel()
	getenv := func(string) string { return "" }
	for name, c := range map[string]struct {
		run     report.Run
		verdict *verify.Verdict
		want    bool
	}{
		"not verified":            {report.Run{}, nil, true},
		"not verified and failed": {report.Run{Failure: errors.New("x")}, nil, false},
		"passed":                  {report.Run{}, &verify.Verdict{Pass: true}, true},
		"passed and failed":       {report.Run{Failure: errors.New("x")}, &verify.Verdict{Pass: true}, false},
		"missed a threshold":      {report.Run{}, &verify.Verdict{}, false},
	} {
		if got := outcome(getenv, report.New(c.run, c.verdict), false).Pass; got != c.want {
			t.Errorf("%s: pass %v, want %v", name, got, c.want)
		}
	}
}

// TestUnsentAlwaysCounts: what a built-in solution's log never acknowledged
// fails a run without a rate, too.
func TestUnsentAlwaysCounts(t *testing.T) {
	t.Parallel()
	sol, err := solution.Loader{Builtin: solutions.FS, Registry: Registry()}.Load("hdinsightkafka-databricks-sqldw", solution.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for unsent, want := range []bool{true, false} {
		v := &verify.Verdict{}
		v.Events.Unsent = int64(unsent)
		if err := v.Judge(sol.Verify.(*verify.Config).Thresholds, verify.Measured{}); err != nil {
			t.Fatal(err)
		}
		if v.Pass != want {
			t.Errorf("%d unsent: pass %v", unsent, v.Pass)
		}
	}
}

package check_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/process/streamanalytics/check"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
)

// many joins n texts that f makes of their number.
func many(n int, separator string, f func(i int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = f(i)
	}
	return strings.Join(parts, separator)
}

// Queries as large as the parser takes them are checked or refused in a time
// and memory that do not explode: each of these would, if some step were
// exponential in the text, or took a wrong turn at lists of many thousands.
func TestLargeQueries(t *testing.T) {
	t.Parallel()
	name := func(i int) string { return fmt.Sprintf("c%d", i) }
	deep := func(n int, before, inner, after string) string {
		return strings.Repeat(before, n) + inner + strings.Repeat(after, n)
	}
	steps := func(n int, f string) string {
		return "WITH s0 AS (SELECT * FROM i), " + many(n, ", ", func(i int) string {
			return fmt.Sprintf("s%d AS (%s)", i+1, strings.ReplaceAll(f, "$", fmt.Sprintf("s%d", i)))
		}) + fmt.Sprintf(" SELECT a, b FROM s%d", n)
	}
	for what, query := range map[string]string{
		"a long sum":                   "SELECT " + many(9000, " + ", name) + " FROM i",
		"a long condition":             "SELECT a FROM i WHERE " + many(5000, " AND ", func(i int) string { return name(i) + " = 1" }),
		"a long sum of groups":         "SELECT " + many(9000, " + ", func(int) string { return "g" }) + ", COUNT(*) FROM i GROUP BY g, TumblingWindow(s, 1)",
		"CASE in the operand of CASE":  "SELECT " + deep(150, "CASE ", "x", " WHEN 1 THEN 2 WHEN 3 THEN 4 END") + " FROM i",
		"BETWEEN inside of BETWEEN":    "SELECT a FROM i WHERE " + deep(90, "CASE WHEN ", "x", " BETWEEN 1 AND 2 THEN 1 END") + " = 1",
		"calls inside of calls":        "SELECT " + deep(150, "ABS(", "x", ")") + " FROM i",
		"look-backs inside of others":  "SELECT " + deep(90, "LAG(", "x", ") OVER (LIMIT DURATION(s, 1))") + " FROM i",
		"a long path":                  "SELECT " + many(60000, ".", func(int) string { return "a" }) + ", COUNT(*) FROM i GROUP BY b, TumblingWindow(s, 1)",
		"a long path of records":       "SELECT " + many(60000, ".", func(int) string { return "a" }) + " FROM i",
		"a long name of a call":        "SELECT " + many(60000, ".", func(int) string { return "a" }) + "() FROM i",
		"branches":                     "SELECT CASE " + many(9000, " ", func(i int) string { return fmt.Sprintf("WHEN %d THEN 1", i) }) + " END AS a, COUNT(*) FROM i GROUP BY k, TumblingWindow(s, 1)",
		"columns":                      "SELECT " + many(4000, ", ", name) + " FROM i",
		"too many columns":             "SELECT " + many(20000, ", ", name) + " FROM i",
		"counts without names":         "SELECT " + many(4000, ", ", func(int) string { return "COUNT(*)" }) + " FROM i GROUP BY TumblingWindow(s, 1)",
		"stars":                        "SELECT " + many(4000, ", ", func(int) string { return "*" }) + " FROM i",
		"keys":                         "SELECT COUNT(*) FROM i GROUP BY TumblingWindow(s, 1), " + many(20000, ", ", name),
		"keys of partitions":           "SELECT a FROM i PARTITION BY " + many(20000, ", ", name),
		"keys of a look-back":          "SELECT LAG(x) OVER (PARTITION BY " + many(20000, ", ", name) + " LIMIT DURATION(s, 1)) FROM i",
		"look-backs":                   "SELECT " + many(4000, ", ", func(i int) string { return "LAG(" + name(i) + ") OVER (LIMIT DURATION(s, 1))" }) + " FROM i",
		"declared columns":             "CREATE TABLE i (" + many(4000, ", ", func(i int) string { return name(i) + " float" }) + ") SELECT " + many(4000, ", ", name) + ", * FROM i",
		"joins":                        "SELECT a.x FROM a " + many(250, " ", func(i int) string { return fmt.Sprintf("JOIN b%d ON DATEDIFF(s, a, b%d) BETWEEN 0 AND 1", i, i) }),
		"too many joins":               "SELECT a.x FROM a " + many(4000, " ", func(i int) string { return fmt.Sprintf("JOIN b%d ON DATEDIFF(s, a, b%d) BETWEEN 0 AND 1", i, i) }),
		"symbols":                      "SELECT x FROM i MATCH_RECOGNIZE (LIMIT DURATION(s, 1) MEASURES c1.x AS x PATTERN (" + many(20000, " ", name) + ") DEFINE c1 AS c1.x > 1) AS m",
		"windows":                      "SELECT COUNT(*) FROM i GROUP BY Windows(" + many(4000, ", ", func(i int) string { return fmt.Sprintf("Window('%d', TumblingWindow(s, %d))", i, i+1) }) + ")",
		"steps above steps":            steps(2000, "SELECT * FROM $"),
		"steps that double":            steps(1000, "SELECT * FROM $ UNION SELECT * FROM $"),
		"inputs that double":           steps(1000, "SELECT * FROM $ AS x UNION $ AS y"),
		"steps that double their rows": steps(300, "SELECT x.*, y.z AS z FROM $ AS x JOIN $ AS y ON DATEDIFF(s, x, y) BETWEEN 0 AND 1"),
		"records above records":        steps(500, "SELECT udf.f($) AS a, * FROM $"),
		"names that are not there":     "WITH s AS (SELECT " + many(4000, ", ", name) + " FROM i) SELECT " + many(4000, ", ", func(i int) string { return "x" + name(i) }) + " FROM s",
		"statements":                   many(3000, "; ", func(i int) string { return fmt.Sprintf("SELECT * INTO o%d FROM i TIMESTAMP BY t%d", i, i) }),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			script, _ := syntax.Parse(query)
			job, diagnostics := check.Check(script, check.Options{AnyInput: true, Inputs: map[string]check.Input{"r": {Kind: plan.Reference}}})
			if (job == nil) != (len(diagnostics) > 0) {
				t.Fatalf("a job %v with %d diagnostics", job != nil, len(diagnostics))
			}
			if len(diagnostics) > 100 {
				t.Errorf("%d diagnostics", len(diagnostics))
			}
			checkPlaces(t, query, diagnostics)
			if job != nil {
				checkJob(t, job)
			}
		})
	}
}

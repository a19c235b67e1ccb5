package oracle

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the oracle

	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

const rows = 500

// row is what both sides compute with.
type row struct {
	s, find, with string
	i, n          int64
	f             float64
	t, u          int64
}

func randomRows(r *rand.Rand) []row {
	letters := []rune("aab bcABx1%_.é日😀")
	text := func(n int) string {
		var b strings.Builder
		for range r.IntN(n + 1) {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	var all []row
	for range rows {
		all = append(all, row{
			s: text(12), find: text(2), with: text(3),
			i: r.Int64N(200) - 100, n: r.Int64N(14),
			f: math.Round((r.Float64()-0.5)*2e6) / 64,
			// Microseconds, which DuckDB has.
			t: r.Int64N(4e9)*value.TicksPerSecond/2 + r.Int64N(1e6)*10, u: r.Int64N(4e9)*value.TicksPerSecond/2 + r.Int64N(1e6)*10,
		})
	}
	return all
}

// load puts the rows into a table of a database in memory.
func load(t *testing.T, all []row) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "?autoinstall_known_extensions=false&autoload_known_extensions=false")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	exec := func(q string, args ...any) {
		if _, err := db.ExecContext(context.Background(), q, args...); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	exec("CREATE TABLE r (id INTEGER, s VARCHAR, find VARCHAR, rep VARCHAR, i BIGINT, n BIGINT, f DOUBLE, t TIMESTAMP, u TIMESTAMP)")
	for from := 0; from < len(all); from += 500 {
		part := all[from:min(from+500, len(all))]
		var args []any
		for k, x := range part {
			args = append(args, from+k, x.s, x.find, x.with, x.i, x.n, x.f, value.ToGoTime(x.t), value.ToGoTime(x.u))
		}
		exec("INSERT INTO r VALUES "+strings.TrimSuffix(strings.Repeat("(?,?,?,?,?,?,?,?,?),", len(part)), ","), args...)
	}
	return db
}

// fromSQL makes a value of what the driver returns.
func fromSQL(t *testing.T, x any) value.Value {
	t.Helper()
	switch x := x.(type) {
	case nil:
		return value.Value{}
	case string:
		return value.Text(x)
	case int64:
		return value.Int(x)
	case int32:
		return value.Int(int64(x))
	case float64:
		return value.Double(x)
	case time.Time:
		return value.TimeOf(x)
	}
	t.Fatalf("the oracle returns a %T", x)
	return value.Value{}
}

// same allows floats to differ in their last digits.
func same(a, b value.Value) bool {
	if a.Kind() == value.Float || b.Kind() == value.Float {
		x, y := a.Double(), b.Double()
		return a.IsNull() == b.IsNull() && math.Abs(x-y) <= 1e-12*math.Max(math.Abs(x), math.Abs(y))
	}
	return a.Kind() == b.Kind() && value.Order(a, b) == 0 && a.Str() == b.Str()
}

func TestScalarFunctions(t *testing.T) {
	t.Parallel()
	all := randomRows(rand.New(rand.NewPCG(1, 2)))
	db := load(t, all)
	s := func(r row) value.Value { return value.Text(r.s) }
	find := func(r row) value.Value { return value.Text(r.find) }
	with := func(r row) value.Value { return value.Text(r.with) }
	i := func(r row) value.Value { return value.Int(r.i) }
	n := func(r row) value.Value { return value.Int(r.n) }
	f := func(r row) value.Value { return value.Double(r.f) }
	at := func(r row) value.Value { return value.Time(r.t) }
	until := func(r row) value.Value { return value.Time(r.u) }
	two := func(row) value.Value { return value.Int(2) }
	type argument = func(row) value.Value
	for _, c := range []struct {
		name  string
		unit  syntax.TimeUnit
		args  []argument
		query string
	}{
		{"LEFT", 0, []argument{s, n}, "left(s, n)"},
		{"RIGHT", 0, []argument{s, n}, "right(s, n)"},
		{"SUBSTRING", 0, []argument{s, n, two}, "CASE WHEN n < 1 THEN left(s, 1) ELSE substring(s, n, 2) END"},
		{"REVERSE", 0, []argument{s}, "reverse(s)"},
		{"UPPER", 0, []argument{s}, "upper(s)"},
		{"LOWER", 0, []argument{s}, "lower(s)"},
		{"LEN", 0, []argument{s}, "length(rtrim(s))"},
		{"TRIM", 0, []argument{s}, "trim(s)"},
		{"LTRIM", 0, []argument{s}, "ltrim(s)"},
		{"RTRIM", 0, []argument{s}, "rtrim(s)"},
		{"REPLACE", 0, []argument{s, find, with}, "replace(s, find, rep)"},
		{"REPLICATE", 0, []argument{s, n}, "repeat(s, n)"},
		{"CHARINDEX", 0, []argument{find, s}, "CASE WHEN find = '' THEN 0 ELSE strpos(s, find) END"},
		{"CONCAT", 0, []argument{s, find, i}, "concat(s, find, i)"},
		{"CONCAT_WS", 0, []argument{find, s, with}, "concat_ws(find, s, rep)"},
		{"TRANSLATE", 0, []argument{s, func(row) value.Value { return value.Text("ab1") }, func(row) value.Value { return value.Text("bx日") }}, "translate(s, 'ab1', 'bx日')"},
		{"UNICODE", 0, []argument{s}, "CASE WHEN s = '' THEN NULL ELSE unicode(s) END"},
		{"ABS", 0, []argument{i}, "abs(i)"},
		{"ABS", 0, []argument{f}, "abs(f)"},
		{"CEILING", 0, []argument{f}, "ceil(f)"},
		{"FLOOR", 0, []argument{f}, "floor(f)"},
		{"SIGN", 0, []argument{i}, "sign(i)::BIGINT"},
		{"ROUND", 0, []argument{f, two}, "round(f, 2)"},
		{"ROUND", 0, []argument{i, func(row) value.Value { return value.Int(-1) }}, "round(i, -1)"},
		{"EXP", 0, []argument{func(r row) value.Value { return value.Double(r.f / 1e5) }}, "exp(f / 1e5)"},
		{"SQRT", 0, []argument{func(r row) value.Value { return value.Double(math.Abs(r.f)) }}, "sqrt(abs(f))"},
		{"SQUARE", 0, []argument{f}, "f * f"},
		{"POWER", 0, []argument{func(r row) value.Value { return value.Double(math.Abs(r.f)) }, two}, "pow(abs(f), 2)"},
		{"NULLIF", 0, []argument{n, two}, "nullif(n, 2)"},
		{"DATEDIFF", syntax.Year, []argument{at, until}, "date_diff('year', t, u)"},
		{"DATEDIFF", syntax.Quarter, []argument{at, until}, "date_diff('quarter', t, u)"},
		{"DATEDIFF", syntax.Month, []argument{at, until}, "date_diff('month', t, u)"},
		{"DATEDIFF", syntax.Week, []argument{at, until}, "(date_trunc('week', u + INTERVAL 1 DAY)::DATE - date_trunc('week', t + INTERVAL 1 DAY)::DATE) // 7"},
		{"DATEDIFF", syntax.Day, []argument{at, until}, "date_diff('day', t, u)"},
		{"DATEDIFF", syntax.Hour, []argument{at, until}, "date_diff('hour', t, u)"},
		{"DATEDIFF", syntax.Minute, []argument{at, until}, "date_diff('minute', t, u)"},
		{"DATEDIFF", syntax.Second, []argument{at, until}, "date_diff('second', t, u)"},
		{"DATEDIFF", syntax.Millisecond, []argument{at, until}, "date_diff('millisecond', t, u)"},
		{"DATEADD", syntax.Year, []argument{i, at}, "t + INTERVAL (i) YEAR"},
		{"DATEADD", syntax.Month, []argument{i, at}, "t + INTERVAL (i) MONTH"},
		{"DATEADD", syntax.Day, []argument{i, at}, "t + INTERVAL (i) DAY"},
		{"DATEADD", syntax.Second, []argument{i, at}, "t + INTERVAL (i) SECOND"},
		{"DATEPART", syntax.Year, []argument{at}, "year(t)"},
		{"DATEPART", syntax.Quarter, []argument{at}, "quarter(t)"},
		{"DATEPART", syntax.DayOfYear, []argument{at}, "dayofyear(t)"},
		{"DATEPART", syntax.Weekday, []argument{at}, "dayofweek(t) + 1"},
		{"DATEPART", syntax.Week, []argument{at}, "strftime(t, '%U')::BIGINT + CASE WHEN dayofweek(date_trunc('year', t)) = 0 THEN 0 ELSE 1 END"},
		{"DATEPART", syntax.Microsecond, []argument{at}, "microsecond(t) % 1000000"},
		{"DATENAME", syntax.Month, []argument{at}, "monthname(t)"},
		{"DATENAME", syntax.Weekday, []argument{at}, "dayname(t)"},
		{"DAY", 0, []argument{at}, "day(t)"},
		{"MONTH", 0, []argument{at}, "month(t)"},
	} {
		d, ok := function.Lookup(c.name)
		if !ok {
			t.Fatalf("no function %s", c.name)
		}
		compiled, err := d.Compile(function.Call{Unit: c.unit})
		if err != nil {
			t.Fatal(err)
		}
		differ := 0
		for k, want := range column(t, db, c.query) {
			args := make([]value.Value, len(c.args))
			for j, a := range c.args {
				args[j] = a(all[k])
			}
			if got, err := compiled(args); err != nil || !same(got, want) {
				if differ++; differ <= 3 {
					t.Errorf("%s %s %v = %v, %v; the oracle has %v", c.name, c.unit, args, got, err, want)
				}
			}
		}
	}
}

// column computes an expression over all rows, in order.
func column(t *testing.T, db *sql.DB, expression string) []value.Value {
	t.Helper()
	found, err := db.QueryContext(context.Background(), fmt.Sprintf("SELECT %s FROM r ORDER BY id", expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	defer func() { _ = found.Close() }()
	var all []value.Value
	for found.Next() {
		var x any
		if err := found.Scan(&x); err != nil {
			t.Fatal(err)
		}
		all = append(all, fromSQL(t, x))
	}
	if err := found.Err(); err != nil || len(all) != rows {
		t.Fatalf("%s: %d rows, %v", expression, len(all), err)
	}
	return all
}

func TestAggregates(t *testing.T) {
	t.Parallel()
	all := randomRows(rand.New(rand.NewPCG(3, 4)))
	db := load(t, all)
	i := func(r row) value.Value { return value.Int(r.i) }
	f := func(r row) value.Value { return value.Double(r.f) }
	positive := func(r row) value.Value {
		if r.i < 0 {
			return value.Value{}
		}
		return value.Int(r.i)
	}
	for _, c := range []struct {
		name  string
		o     function.AggOptions
		arg   func(row) value.Value
		query string
	}{
		{"COUNT", function.AggOptions{}, positive, "count(CASE WHEN i >= 0 THEN i END)"},
		{"COUNT", function.AggOptions{Distinct: true}, positive, "count(DISTINCT CASE WHEN i >= 0 THEN i END)"},
		{"SUM", function.AggOptions{}, i, "sum(i)::BIGINT"},
		{"SUM", function.AggOptions{}, f, "fsum(f)"},
		{"AVG", function.AggOptions{}, i, "avg(i)"},
		{"AVG", function.AggOptions{}, f, "avg(f)"},
		{"MIN", function.AggOptions{}, f, "min(f)"},
		{"MAX", function.AggOptions{}, i, "max(i)"},
		{"VAR", function.AggOptions{}, f, "var_samp(f)"},
		{"VARP", function.AggOptions{}, f, "var_pop(f)"},
		{"STDEV", function.AggOptions{}, i, "stddev_samp(i)"},
		{"STDEVP", function.AggOptions{}, f, "stddev_pop(f)"},
		{"PERCENTILE_CONT", function.AggOptions{Fraction: 0.37}, f, "quantile_cont(f, 0.37)"},
		{"PERCENTILE_DISC", function.AggOptions{Fraction: 0.37}, i, "quantile_disc(i, 0.37)"},
		{"PERCENTILE_CONT", function.AggOptions{Fraction: 0.9, OrderDesc: []bool{true}}, f, "percentile_cont(0.9) WITHIN GROUP (ORDER BY f DESC)"},
	} {
		a, ok := function.LookupAggregate(c.name)
		if !ok {
			t.Fatalf("no aggregate %s", c.name)
		}
		groups := map[int64]function.State{}
		for _, r := range all {
			s := groups[r.n]
			if s == nil {
				s = a.New(c.o)
				groups[r.n] = s
			}
			if err := s.Add([]value.Value{c.arg(r)}, r.t); err != nil {
				t.Fatal(err)
			}
		}
		found, err := db.QueryContext(context.Background(), fmt.Sprintf("SELECT n, %s FROM r GROUP BY n", c.query))
		if err != nil {
			t.Fatalf("%s: %v", c.query, err)
		}
		for found.Next() {
			var n int64
			var x any
			if err := found.Scan(&n, &x); err != nil {
				t.Fatal(err)
			}
			got, err := groups[n].Result()
			if want := fromSQL(t, x); err != nil || !same(got, want) {
				t.Errorf("%s of group %d: %v, %v; the oracle has %v", c.name, n, got, err, want)
			}
			delete(groups, n)
		}
		if err := found.Err(); err != nil || len(groups) != 0 {
			t.Errorf("%s: %d groups are missing, %v", c.name, len(groups), err)
		}
		_ = found.Close()
	}
}

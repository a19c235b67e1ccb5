package function

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

func TestDatePart(t *testing.T) {
	t.Parallel()
	v := at("2007-10-30T12:15:32.1234567Z")
	for unit, want := range map[syntax.TimeUnit]int{
		syntax.Year: 2007, syntax.Quarter: 4, syntax.Month: 10, syntax.DayOfYear: 303, syntax.Day: 30, syntax.Week: 44,
		syntax.Weekday: 3, syntax.Hour: 12, syntax.Minute: 15, syntax.Second: 32, syntax.Millisecond: 123,
		syntax.Microsecond: 123456, syntax.Nanosecond: 123456700,
	} {
		runCases(t, unit, []scalarCase{{"DATEPART", args(v), want}, {"DATEPART", args("2007-10-30 12:15:32.1234567"), want}})
		name := any(fmt.Sprint(want))
		switch unit {
		case syntax.Month:
			name = "October"
		case syntax.Weekday:
			name = "Tuesday"
		}
		runCases(t, unit, []scalarCase{{"DATENAME", args(v), name}})
	}
	runCases(t, syntax.Week, []scalarCase{
		{"DATEPART", args("2023-01-01"), 1}, {"DATEPART", args("2023-01-07"), 1}, {"DATEPART", args("2023-01-08"), 2},
		{"DATEPART", args("2022-01-01"), 1}, {"DATEPART", args("2022-01-02"), 2}, {"DATEPART", args("2022-12-31"), 53},
		{"DATEPART", args("no date"), wantError{"no date", "ISO 8601"}}, {"DATEPART", args(5), wantError{"5"}},
		{"DATEPART", args(nil), nil},
	})
	runCases(t, syntax.NoUnit, []scalarCase{
		{"DAY", args(v), 30}, {"MONTH", args(v), 10}, {"YEAR", args(v), 2007}, {"YEAR", args("0001-01-01"), 1},
		{"YEAR", args("x"), wantError{`"x"`}},
	})
}

// The boundaries that T-SQL's documentation shows: they all are crossed between
// these two ticks of its example, microseconds apart.
func TestDateDiff(t *testing.T) {
	t.Parallel()
	a, b := "2005-12-31 23:59:59.9999999", "2006-01-01 00:00:00.0000000"
	for unit := syntax.Year; unit <= syntax.Microsecond; unit++ {
		want := 1
		runCases(t, unit, []scalarCase{{"DATEDIFF", args(a, b), want}, {"DATEDIFF", args(b, a), -want}, {"DATEDIFF", args(a, a), 0}})
	}
	runCases(t, syntax.Nanosecond, []scalarCase{
		{"DATEDIFF", args(a, b), 100},
		{"DATEDIFF", args("0001-01-01", "9999-12-31"), wantError{"nanoseconds", "overflow"}},
	})
	runCases(t, syntax.Week, []scalarCase{
		{"DATEDIFF", args("2023-01-07", "2023-01-08"), 1}, {"DATEDIFF", args("2023-01-08", "2023-01-14"), 0},
		{"DATEDIFF", args("1969-12-27", "1969-12-28"), 1}, {"DATEDIFF", args("1969-12-28", "1970-01-03"), 0},
	})
	runCases(t, syntax.Minute, []scalarCase{
		{"DATEDIFF", args("2014-09-10T10:00:59", "2014-09-10T12:00:00"), 120},
		{"DATEDIFF", args(nil, "2014-09-10"), nil},
		{"DATEDIFF", args("2014-09-10", 7), wantError{"the bigint 7"}},
	})
	runCases(t, syntax.Year, []scalarCase{{"DATEDIFF", args("2036-03-01", "2036-02-28"), 0}, {"DATEDIFF", args("2010-12-31", "2036-01-01"), 26}})
	runCases(t, syntax.Quarter, []scalarCase{{"DATEDIFF", args("2022-12-01", "2023-04-01"), 2}})
}

func TestDateAdd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit syntax.TimeUnit
		n    any
		from string
		want string
	}{
		{syntax.Month, 1, "2006-08-30", "2006-09-30"},
		{syntax.Month, 1, "2006-08-31", "2006-09-30"},
		{syntax.Month, 1, "2024-01-31T01:02:03.4567891Z", "2024-02-29T01:02:03.4567891Z"},
		{syntax.Month, -1, "2024-03-31", "2024-02-29"},
		{syntax.Month, -13, "2024-01-15", "2022-12-15"},
		{syntax.Year, 1, "2024-02-29", "2025-02-28"},
		{syntax.Quarter, 2, "2024-08-31", "2025-02-28"},
		{syntax.Day, 365, "2007-01-01 13:10:10.1111111", "2008-01-01 13:10:10.1111111"},
		{syntax.DayOfYear, 1, "2007-01-01", "2007-01-02"},
		{syntax.Weekday, 1, "2007-01-01", "2007-01-02"},
		{syntax.Week, 5, "2007-01-01", "2007-02-05"},
		{syntax.Hour, 2, "2014-09-10T23:00:00Z", "2014-09-11T01:00:00Z"},
		{syntax.Minute, -1.9, "2014-09-10T00:00:00Z", "2014-09-09T23:59:00Z"},
		{syntax.Second, 1, "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00.5Z"},
		{syntax.Millisecond, 1, "2014-09-10", "2014-09-10T00:00:00.001Z"},
		{syntax.Microsecond, 1, "2014-09-10", "2014-09-10T00:00:00.000001Z"},
		{syntax.Nanosecond, 150, "2014-09-10", "2014-09-10T00:00:00.0000002Z"},
		{syntax.Nanosecond, 149, "2014-09-10", "2014-09-10T00:00:00.0000001Z"},
	} {
		runCases(t, c.unit, []scalarCase{{"DATEADD", args(c.n, c.from), at(c.want)}})
	}
	for _, unit := range []syntax.TimeUnit{syntax.Year, syntax.Month, syntax.Week, syntax.Day, syntax.Hour, syntax.Microsecond} {
		for _, n := range []int64{1<<63 - 1, -1 << 63} {
			runCases(t, unit, []scalarCase{{"DATEADD", args(n, "2014-09-10"), wantError{"years 1 to 9999"}}})
		}
	}
	runCases(t, syntax.Day, []scalarCase{
		{"DATEADD", args(1, "9999-12-31"), wantError{"years 1 to 9999"}}, {"DATEADD", args(nil, "9999-12-31"), nil},
		{"DATEADD", args("a", "2014-09-10"), wantError{`"a"`}},
	})
}

// What DATEADD adds, DATEDIFF finds again, and time.Time agrees.
func TestDateAddAgainstDateDiff(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		unit := syntax.TimeUnit(1 + r.IntN(int(syntax.Microsecond)))
		from := r.Int64N(value.MaxTicks)/2 + value.MinTicks/8
		n := r.Int64N(2000) - 1000
		to, ok := addUnits(from, unit, n)
		if !ok {
			t.Fatalf("%d %s to %v", n, unit, value.Time(from))
		}
		if got := boundary(to, unit) - boundary(from, unit); got != n {
			t.Fatalf("%v + %d %s = %v, DATEDIFF %d", value.Time(from), n, unit, value.Time(to), got)
		}
		g := value.ToGoTime(from)
		if unit == syntax.Month && g.Day() <= 28 {
			if want := value.FromGoTime(g.AddDate(0, int(n), 0)); to != want {
				t.Fatalf("%v + %d months = %v, want %v", g, n, value.Time(to), value.Time(want))
			}
		}
	}
}

func TestDateTimeFromParts(t *testing.T) {
	t.Parallel()
	runCases(t, syntax.NoUnit, []scalarCase{
		{"DATETIMEFROMPARTS", args(2014, 9, 10, 12, 25, 7, 123), at("2014-09-10T12:25:07.123Z")},
		{"DATETIMEFROMPARTS", args(2024, 2, 29, 0, 0, 0, 0), at("2024-02-29")},
		{"DATETIMEFROMPARTS", args(2023, 2, 29, 0, 0, 0, 0), wantError{"day from 1 to 28, not 29"}},
		{"DATETIMEFROMPARTS", args(2014, 13, 1, 0, 0, 0, 0), wantError{"month", "13"}},
		{"DATETIMEFROMPARTS", args(2014, 9, 10, 12, 61, 0, 0), wantError{"minute", "61"}},
		{"DATETIMEFROMPARTS", args(2014, 9, 10, 12, nil, 0, 0), nil},
	})
}

package function

import (
	"fmt"
	"strconv"
	"time"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
	"millrace/record"
)

func dateFunctions() []*Scalar {
	d, n := value.DateTime, value.BigInt
	return []*Scalar{
		{Name: "DATEADD", Unit: true, MinArgs: 2, MaxArgs: 2, Params: []value.Kind{n, d}, Result: d, compile: compileDateAdd},
		{Name: "DATEDIFF", Unit: true, MinArgs: 2, MaxArgs: 2, Params: []value.Kind{d}, Result: n, compile: compileDateDiff},
		{Name: "DATENAME", Unit: true, MinArgs: 1, MaxArgs: 1, Params: []value.Kind{d}, Result: value.String, compile: compileDateName},
		{Name: "DATEPART", Unit: true, MinArgs: 1, MaxArgs: 1, Params: []value.Kind{d}, Result: n, compile: compileDatePart},
		{Name: "DATETIMEFROMPARTS", MinArgs: 7, MaxArgs: 7, Params: []value.Kind{n}, Result: d, compile: always(strict(dateTimeFromParts))},
		partFunc("DAY", syntax.Day),
		partFunc("MONTH", syntax.Month),
		partFunc("YEAR", syntax.Year),
	}
}

// partFunc is DAY, MONTH or YEAR.
func partFunc(name string, unit syntax.TimeUnit) *Scalar {
	return &Scalar{Name: name, MinArgs: 1, MaxArgs: 1, Params: []value.Kind{value.DateTime}, Result: value.BigInt,
		compile: always(datePart(name, unit))}
}

// ticksOf is the length of the units that always have the same, 0 of others
// and of nanoseconds, which are shorter than a tick.
func ticksOf(unit syntax.TimeUnit) int64 {
	switch unit {
	case syntax.Week:
		return 7 * value.TicksPerDay
	case syntax.Day, syntax.DayOfYear, syntax.Weekday:
		return value.TicksPerDay
	case syntax.Hour:
		return value.TicksPerHour
	case syntax.Minute:
		return value.TicksPerMinute
	case syntax.Second:
		return value.TicksPerSecond
	case syntax.Millisecond:
		return value.TicksPerMillisecond
	case syntax.Microsecond:
		return value.TicksPerMicrosecond
	}
	return 0
}

// compileDateAdd is DATEADD(unit, n, date). A day that the month does not have
// becomes the month's last one.
func compileDateAdd(c Call) (Func, error) {
	unit := c.Unit
	return strict(func(args []value.Value) (value.Value, error) {
		n, err := whole("DATEADD", "a bigint as number", args[0])
		if err != nil {
			return value.Value{}, err
		}
		t, err := moment("DATEADD", args[1])
		if err != nil {
			return value.Value{}, err
		}
		r, ok := addUnits(t, unit, n)
		if !ok {
			return value.Value{}, fmt.Errorf("DATEADD of %d %s to %s is outside of the years 1 to 9999: %w",
				n, unit, describe(args[1]), value.ErrOverflow)
		}
		return value.Time(r), nil
	}), nil
}

func addUnits(t int64, unit syntax.TimeUnit, n int64) (int64, bool) {
	switch unit {
	case syntax.Year:
		return addMonths(t, n, 12)
	case syntax.Quarter:
		return addMonths(t, n, 3)
	case syntax.Month:
		return addMonths(t, n, 1)
	case syntax.Nanosecond:
		return inRange(t, roundHalf(n, 100))
	}
	d, ok := mulInt(n, ticksOf(unit))
	if !ok {
		return 0, false
	}
	return inRange(t, d)
}

// roundHalf divides and rounds to the nearest, as DATEADD does with
// nanoseconds.
func roundHalf(n, by int64) int64 {
	q, r := value.FloorDiv(n, by)
	if 2*r >= by {
		q++
	}
	return q
}

func inRange(t, d int64) (int64, bool) {
	r := t + d
	return r, (r > t) == (d > 0) && r >= value.MinTicks && r <= value.MaxTicks
}

func addMonths(t, n, each int64) (int64, bool) {
	// No two datetimes are farther apart than 9998 years.
	if n > 12*9999 || n < -12*9999 {
		return 0, false
	}
	g := value.ToGoTime(t)
	year, month, day := g.Date()
	months := int64(year)*12 + int64(month) - 1 + n*each
	y, m := value.FloorDiv(months, 12)
	if y < 1 || y > 9999 {
		return 0, false
	}
	day = min(day, record.DaysIn(int(y), int(m)+1))
	days := time.Date(int(y), time.Month(m+1), day, 0, 0, 0, 0, time.UTC).Unix() * value.TicksPerSecond
	_, clock := value.FloorDiv(t, value.TicksPerDay)
	return days + clock, true
}

// compileDateDiff is DATEDIFF(unit, start, end): how many boundaries of the
// unit lie between the two. Weeks begin on Sundays.
func compileDateDiff(c Call) (Func, error) {
	unit := c.Unit
	return strict(func(args []value.Value) (value.Value, error) {
		a, err := moment("DATEDIFF", args[0])
		if err != nil {
			return value.Value{}, err
		}
		b, err := moment("DATEDIFF", args[1])
		if err != nil {
			return value.Value{}, err
		}
		if unit == syntax.Nanosecond {
			n, ok := mulInt(b-a, 100)
			if !ok {
				return value.Value{}, fmt.Errorf("DATEDIFF in nanoseconds from %s to %s does not fit a bigint: %w",
					describe(args[0]), describe(args[1]), value.ErrOverflow)
			}
			return value.Int(n), nil
		}
		return value.Int(boundary(b, unit) - boundary(a, unit)), nil
	}), nil
}

// boundary numbers the unit that t is in.
func boundary(t int64, unit syntax.TimeUnit) int64 {
	switch unit {
	case syntax.Year, syntax.Quarter, syntax.Month:
		year, month, _ := value.ToGoTime(t).Date()
		switch unit {
		case syntax.Year:
			return int64(year)
		case syntax.Quarter:
			return int64(year)*4 + int64(month-1)/3
		}
		return int64(year)*12 + int64(month)
	case syntax.Week:
		// The epoch was a Thursday, four days into its week.
		days, _ := value.FloorDiv(t, value.TicksPerDay)
		week, _ := value.FloorDiv(days+4, 7)
		return week
	}
	q, _ := value.FloorDiv(t, ticksOf(unit))
	return q
}

// compileDatePart is DATEPART(unit, date).
func compileDatePart(c Call) (Func, error) { return datePart("DATEPART", c.Unit), nil }

func datePart(name string, unit syntax.TimeUnit) Func {
	return strict(func(args []value.Value) (value.Value, error) {
		t, err := moment(name, args[0])
		if err != nil {
			return value.Value{}, err
		}
		return value.Int(part(t, unit)), nil
	})
}

// part is the value of a part of t. Sunday is the first weekday, and the first
// week of a year the one with January 1, as in T-SQL with the settings of the
// USA.
func part(t int64, unit syntax.TimeUnit) int64 {
	switch unit {
	case syntax.Hour, syntax.Minute, syntax.Second, syntax.Millisecond, syntax.Microsecond, syntax.Nanosecond:
		return clockPart(t, unit)
	}
	g := value.ToGoTime(t)
	switch unit {
	case syntax.Year:
		return int64(g.Year())
	case syntax.Quarter:
		return int64(g.Month()-1)/3 + 1
	case syntax.Month:
		return int64(g.Month())
	case syntax.DayOfYear:
		return int64(g.YearDay())
	case syntax.Week:
		yday := g.YearDay() - 1
		// The weekday of January 1, from 0 for Sunday.
		first := (int(g.Weekday()) - yday%7 + 7) % 7
		return int64((yday+first)/7) + 1
	case syntax.Weekday:
		return int64(g.Weekday()) + 1
	}
	return int64(g.Day())
}

func clockPart(t int64, unit syntax.TimeUnit) int64 {
	_, clock := value.FloorDiv(t, value.TicksPerDay)
	fraction := clock % value.TicksPerSecond
	switch unit {
	case syntax.Hour:
		return clock / value.TicksPerHour
	case syntax.Minute:
		return clock / value.TicksPerMinute % 60
	case syntax.Second:
		return clock / value.TicksPerSecond % 60
	case syntax.Millisecond:
		return fraction / value.TicksPerMillisecond
	case syntax.Microsecond:
		return fraction / value.TicksPerMicrosecond
	}
	return fraction * 100
}

// compileDateName is DATENAME(unit, date): English names of months and
// weekdays, the number for other parts.
func compileDateName(c Call) (Func, error) {
	unit := c.Unit
	return strict(func(args []value.Value) (value.Value, error) {
		t, err := moment("DATENAME", args[0])
		if err != nil {
			return value.Value{}, err
		}
		switch unit {
		case syntax.Month:
			return value.Text(value.ToGoTime(t).Month().String()), nil
		case syntax.Weekday:
			return value.Text(value.ToGoTime(t).Weekday().String()), nil
		}
		return value.Text(strconv.FormatInt(part(t, unit), 10)), nil
	}), nil
}

// dateTimeFromParts is DATETIMEFROMPARTS(year, month, day, hour, minute,
// seconds, milliseconds).
func dateTimeFromParts(args []value.Value) (value.Value, error) {
	limits := [...]struct {
		name      string
		low, high int64
	}{{"year", 1, 9999}, {"month", 1, 12}, {"day", 1, 31}, {"hour", 0, 23}, {"minute", 0, 59}, {"second", 0, 59}, {"millisecond", 0, 999}}
	var p [len(limits)]int64
	for i, l := range limits {
		n, err := whole("DATETIMEFROMPARTS", "bigints", args[i])
		if err != nil {
			return value.Value{}, err
		}
		if i == 2 {
			l.high = int64(record.DaysIn(int(p[0]), int(p[1])))
		}
		if n < l.low || n > l.high {
			return value.Value{}, fmt.Errorf("DATETIMEFROMPARTS takes a %s from %d to %d, not %d", l.name, l.low, l.high, n)
		}
		p[i] = n
	}
	day := time.Date(int(p[0]), time.Month(p[1]), int(p[2]), 0, 0, 0, 0, time.UTC).Unix() * value.TicksPerSecond
	return value.Time(day + p[3]*value.TicksPerHour + p[4]*value.TicksPerMinute + p[5]*value.TicksPerSecond + p[6]*value.TicksPerMillisecond), nil
}

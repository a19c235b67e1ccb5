package tsql

import (
	"strings"
	"time"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// clockFunctions tell the time: that at which the statement began, always UTC.
func clockFunctions() map[string]builtin {
	now := func(t value.Type) builtin {
		return builtin{result: t, f: func(v *env, _ []value.Value, _ []value.Type) (value.Value, error) {
			ticks := value.TicksOf(v.x.now())
			if t.ID == value.DateTimeOffset {
				return value.FromOffset(ticks, 0), nil
			}
			return value.FromTicks(value.RoundTicks(ticks, t)), nil
		}}
	}
	number := func(f func(time.Time) int) builtin {
		return one([]value.Type{utcTime}, intType, func(a value.Value) value.Value { return value.FromInt(int64(f(value.TimeOf(a.Ticks())))) })
	}
	return map[string]builtin{
		"SYSUTCDATETIME": now(utcTime), "SYSDATETIME": now(utcTime), "SYSDATETIMEOFFSET": now(zonedTime),
		"GETDATE": now(oldTime), "GETUTCDATE": now(oldTime), "CURRENT_TIMESTAMP": now(oldTime), "CURRENTTIMESTAMP": now(oldTime),
		"YEAR": number(time.Time.Year), "MONTH": number(func(t time.Time) int { return int(t.Month()) }), "DAY": number(time.Time.Day),
	}
}

// dateParts are the words for parts of a date.
var dateParts = map[string]string{
	"YEAR": "year", "YY": "year", "YYYY": "year", "QUARTER": "quarter", "QQ": "quarter", "Q": "quarter", "MONTH": "month", "MM": "month", "M": "month",
	"DAYOFYEAR": "dayofyear", "DY": "dayofyear", "Y": "dayofyear", "DAY": "day", "DD": "day", "D": "day", "WEEKDAY": "weekday", "DW": "weekday",
	"HOUR": "hour", "HH": "hour", "MINUTE": "minute", "MI": "minute", "N": "minute", "SECOND": "second", "SS": "second", "S": "second",
	"MILLISECOND": "millisecond", "MS": "millisecond", "MICROSECOND": "microsecond", "MCS": "microsecond", "NANOSECOND": "nanosecond", "NS": "nanosecond",
}

// ticksOf are the parts of one length, in 100 ns.
var ticksOf = map[string]int64{"day": ticksPerDay, "hour": ticksPerDay / 24, "minute": 600_000_000, "second": 10_000_000, "millisecond": 10_000, "microsecond": 10}

func (c *compiler) dateFunction(name string, params []ast.ScalarExpression) (*expression, error) {
	want := map[string]int{"DATEPART": 2, "DATENAME": 2, "DATETRUNC": 2}[name]
	if want == 0 {
		want = 3
	}
	if len(params) != want {
		return nil, value.Errorf(174, "The %s function requires %d argument(s).", strings.ToLower(name), want)
	}
	ref, ok := params[0].(*ast.ColumnReferenceExpression)
	if !ok || ref.MultiPartIdentifier == nil || len(ref.MultiPartIdentifier.Identifiers) != 1 {
		return nil, value.Errorf(1023, "Invalid parameter 1 specified for %s.", strings.ToLower(name))
	}
	word := ref.MultiPartIdentifier.Identifiers[0].Value
	part, ok := dateParts[strings.ToUpper(word)]
	if !ok {
		return nil, value.Errorf(155, "'%s' is not a recognized %s option.", word, strings.ToLower(name))
	}
	x, err := c.scalar(params[1])
	if err != nil {
		return nil, err
	}
	if name == "DATEPART" || name == "DATENAME" || name == "DATETRUNC" {
		return c.datePart(name, part, x), nil
	}
	y, err := c.scalar(params[2])
	if err != nil {
		return nil, err
	}
	if name == "DATEADD" {
		return c.dateAdd(part, c.convert(x, intType), y), nil
	}
	return c.dateDiff(name, part, c.convert(x, utcTime), c.convert(y, utcTime)), nil
}

func (c *compiler) datePart(name, part string, x *expression) *expression {
	x = c.convert(x, utcTime)
	t := intType
	switch name {
	case "DATENAME":
		t = nameType
	case "DATETRUNC":
		t = utcTime
	}
	return &expression{typ: t, nullable: true, eval: func(v *env) (value.Value, error) {
		a, err := x.eval(v)
		if err != nil || a.IsNull() {
			return value.Value{}, err
		}
		at := value.TimeOf(a.Ticks())
		switch name {
		case "DATETRUNC":
			return truncated(part, at, a.Ticks())
		case "DATENAME":
			switch part {
			case "month":
				return value.FromString(at.Month().String()), nil
			case "weekday":
				return value.FromString(at.Weekday().String()), nil
			}
			return value.FromString(value.Format(value.FromInt(partOf(part, at)), intType, 0)), nil
		}
		return value.FromInt(partOf(part, at)), nil
	}}
}

func truncated(part string, at time.Time, ticks int64) (value.Value, error) {
	switch part {
	case "year":
		return value.FromTime(time.Date(at.Year(), 1, 1, 0, 0, 0, 0, time.UTC)), nil
	case "month":
		return value.FromTime(time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)), nil
	}
	unit, ok := ticksOf[part]
	if !ok {
		return value.Value{}, unsupported("DATETRUNC(%s, ...)", part)
	}
	return value.FromTicks(ticks / unit * unit), nil
}

func partOf(part string, at time.Time) int64 {
	switch part {
	case "year":
		return int64(at.Year())
	case "quarter":
		return int64(at.Month()-1)/3 + 1
	case "month":
		return int64(at.Month())
	case "dayofyear":
		return int64(at.YearDay())
	case "day":
		return int64(at.Day())
	case "weekday":
		return int64(at.Weekday()) + 1
	case "hour":
		return int64(at.Hour())
	case "minute":
		return int64(at.Minute())
	case "second":
		return int64(at.Second())
	case "millisecond":
		return int64(at.Nanosecond() / 1e6)
	case "microsecond":
		return int64(at.Nanosecond() / 1e3)
	}
	return int64(at.Nanosecond())
}

func (c *compiler) dateAdd(part string, n, x *expression) *expression {
	t := x.typ
	if !t.ID.Temporal() {
		t = oldTime
		x = c.convert(x, t)
	}
	return &expression{typ: t, nullable: true, eval: func(v *env) (value.Value, error) {
		count, err := n.eval(v)
		if err != nil || count.IsNull() {
			return value.Value{}, err
		}
		a, err := x.eval(v)
		if err != nil || a.IsNull() {
			return value.Value{}, err
		}
		moved, failed := value.Convert(a, t, utcTime, 0, false)
		if failed != nil {
			return value.Value{}, failed
		}
		at := value.TimeOf(moved.Ticks())
		months := map[string]int{"year": 12, "quarter": 3, "month": 1}[part]
		if part == "dayofyear" || part == "weekday" {
			part = "day"
		}
		ticks := moved.Ticks()
		switch unit, ok := ticksOf[part]; {
		case months > 0:
			ticks = value.TicksOf(addMonths(at, months*int(count.Int())))
		case ok:
			ticks += unit * count.Int()
		default:
			ticks += count.Int() / 100 // nanoseconds
		}
		if ticks < 0 || ticks >= 3652059*ticksPerDay {
			return value.Value{}, value.Errorf(517, "Adding a value to a '%s' column caused an overflow.", t.Name())
		}
		out, failed := value.Convert(value.FromTicks(ticks), utcTime, t, 0, false)
		return out, sqlError(failed)
	}}
}

// addMonths stays within the month that it reaches.
func addMonths(at time.Time, n int) time.Time {
	first := time.Date(at.Year(), at.Month()+time.Month(n), 1, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(at.Day(), last)-1)
}

func (c *compiler) dateDiff(name, part string, x, y *expression) *expression {
	t := intType
	if name == "DATEDIFF_BIG" {
		t = bigType
	}
	return &expression{typ: t, nullable: true, eval: func(v *env) (value.Value, error) {
		a, err := x.eval(v)
		if err != nil || a.IsNull() {
			return value.Value{}, err
		}
		b, err := y.eval(v)
		if err != nil || b.IsNull() {
			return value.Value{}, err
		}
		p, q := value.TimeOf(a.Ticks()), value.TimeOf(b.Ticks())
		months := int64(q.Year()*12+int(q.Month())) - int64(p.Year()*12+int(p.Month()))
		if part == "dayofyear" || part == "weekday" {
			part = "day"
		}
		var n int64
		switch unit, ok := ticksOf[part]; {
		case part == "year":
			n = int64(q.Year() - p.Year())
		case part == "quarter":
			n = int64(q.Year()*4+int(q.Month()-1)/3) - int64(p.Year()*4+int(p.Month()-1)/3)
		case part == "month":
			n = months
		case ok:
			n = b.Ticks()/unit - a.Ticks()/unit
		default:
			n = (b.Ticks() - a.Ticks()) * 100
		}
		out, failed := value.Convert(value.FromInt(n), bigType, t, 0, false)
		if failed != nil {
			return value.Value{}, value.Errorf(535, "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.")
		}
		return out, nil
	}}
}

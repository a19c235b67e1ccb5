package query

import (
	"math"
	"time"

	"millrace/connector/cosmosdb/local/value"
)

// Times are texts such as 2026-01-02T03:04:05.1234567Z. The functions also take
// fewer or up to nine digits, a date alone, and a text without Z; all is UTC.
var dateFunctions = map[string]function{
	"DATETIMEADD":         variadic(3, 3, dateTimeAdd),
	"DATETIMEBIN":         variadic(2, 4, dateTimeBin),
	"DATETIMEDIFF":        variadic(3, 3, dateTimeDiff),
	"DATETIMEFROMPARTS":   variadic(3, 7, dateTimeFromParts),
	"DATETIMEPART":        pair(dateTimePart),
	"DATETIMETOTICKS":     single(func(a value.Value) value.Value { return sinceEpoch(a, ticksOf) }),
	"DATETIMETOTIMESTAMP": single(func(a value.Value) value.Value { return sinceEpoch(a, time.Time.UnixMilli) }),
	"TICKSTODATETIME":     single(func(a value.Value) value.Value { return fromEpoch(a, tick) }),
	"TIMESTAMPTODATETIME": single(func(a value.Value) value.Value { return fromEpoch(a, time.Millisecond) }),

	"GETCURRENTDATETIME":        now(func(t time.Time) value.Value { return dateValue(t) }),
	"GETCURRENTDATETIMESTATIC":  now(func(t time.Time) value.Value { return dateValue(t) }),
	"GETCURRENTTICKS":           now(func(t time.Time) value.Value { return value.Number(float64(ticksOf(t))) }),
	"GETCURRENTTICKSSTATIC":     now(func(t time.Time) value.Value { return value.Number(float64(ticksOf(t))) }),
	"GETCURRENTTIMESTAMP":       now(func(t time.Time) value.Value { return value.Number(float64(t.UnixMilli())) }),
	"GETCURRENTTIMESTAMPSTATIC": now(func(t time.Time) value.Value { return value.Number(float64(t.UnixMilli())) }),
}

// tick is the resolution of times in the query language.
const tick = 100 * time.Nanosecond

func ticksOf(t time.Time) int64 { return t.Unix()*1e7 + int64(t.Nanosecond()/100) }

// now is a function of the time of the request, which is the same for all items:
// so an index can be used for what is compared with it.
func now(fn func(time.Time) value.Value) function {
	return function{many: func(f *frame, _ []value.Value) value.Value { return fn(f.now) }}
}

func dateValue(t time.Time) value.Value {
	if year := t.Year(); year < 1 || year > 9999 {
		return value.Undefined()
	}
	return value.String(t.UTC().Format("2006-01-02T15:04:05.0000000Z"))
}

func dateOf(v value.Value) (time.Time, bool) {
	s, ok := v.AsString()
	if !ok {
		return time.Time{}, false
	}
	for _, layout := range []string{"2006-01-02T15:04:05Z", "2006-01-02T15:04:05", "2006-01-02", "2006-01-02T15:04Z", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, t.Year() > 0
		}
	}
	return time.Time{}, false
}

func sinceEpoch(v value.Value, count func(time.Time) int64) value.Value {
	t, ok := dateOf(v)
	if !ok {
		return value.Undefined()
	}
	return value.Number(float64(count(t)))
}

func fromEpoch(v value.Value, unit time.Duration) value.Value {
	n, ok := v.AsNumber()
	perSecond := float64(time.Second / unit)
	if !ok || n != math.Trunc(n) || math.Abs(n)/perSecond > 1e12 {
		return value.Undefined()
	}
	seconds := math.Floor(n / perSecond)
	rest := int64(n) - int64(seconds)*int64(perSecond)
	return dateValue(time.Unix(int64(seconds), rest*int64(unit)))
}

// datePart is a part of a time that functions are asked for.
type datePart struct {
	months int           // how many months the part takes, or
	length time.Duration // how long it takes
	of     func(t time.Time) int
}

var dateParts = map[string]datePart{
	"year":        {months: 12, of: time.Time.Year},
	"month":       {months: 1, of: func(t time.Time) int { return int(t.Month()) }},
	"day":         {length: 24 * time.Hour, of: time.Time.Day},
	"hour":        {length: time.Hour, of: time.Time.Hour},
	"minute":      {length: time.Minute, of: time.Time.Minute},
	"second":      {length: time.Second, of: time.Time.Second},
	"millisecond": {length: time.Millisecond, of: func(t time.Time) int { return t.Nanosecond() / 1e6 }},
	"microsecond": {length: time.Microsecond, of: func(t time.Time) int { return t.Nanosecond() / 1e3 }},
	"nanosecond":  {length: time.Nanosecond, of: func(t time.Time) int { return t.Nanosecond() }},
}

var datePartNames = map[string]string{
	"yyyy": "year", "yy": "year", "mm": "month", "m": "month", "dd": "day", "d": "day", "hh": "hour",
	"mi": "minute", "n": "minute", "ss": "second", "s": "second", "ms": "millisecond", "mcs": "microsecond", "ns": "nanosecond",
}

func datePartOf(v value.Value) (datePart, bool) {
	name, ok := v.AsString()
	if !ok {
		return datePart{}, false
	}
	name = lower(name)
	if long, ok := datePartNames[name]; ok {
		name = long
	}
	part, ok := dateParts[name]
	return part, ok
}

// lower is for short ASCII names: it does not allocate if nothing changes.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func dateTimePart(a, b value.Value) value.Value {
	part, ok := datePartOf(a)
	t, ok2 := dateOf(b)
	if !ok || !ok2 {
		return value.Undefined()
	}
	return value.Number(float64(part.of(t)))
}

func dateTimeAdd(_ *frame, args []value.Value) value.Value {
	part, ok := datePartOf(args[0])
	n, ok2 := integer(args[1])
	t, ok3 := dateOf(args[2])
	if !ok || !ok2 || !ok3 {
		return value.Undefined()
	}
	if part.months > 0 {
		if n < -120_000 || n > 120_000 {
			return value.Undefined()
		}
		return dateValue(addMonths(t, n*part.months))
	}
	// In seconds and the rest: durations reach 292 years only.
	whole, rest := int64(part.length/time.Second), part.length%time.Second
	if whole > 0 {
		if n > 1e12/int(whole) || n < -1e12/int(whole) {
			return value.Undefined()
		}
		return dateValue(time.Unix(t.Unix()+int64(n)*whole, int64(t.Nanosecond())))
	}
	perSecond := int(time.Second / rest)
	return dateValue(time.Unix(t.Unix()+int64(n/perSecond), int64(t.Nanosecond())+int64(n%perSecond)*int64(rest)))
}

// addMonths stays in the month it comes to: a month after 31 January is the
// last of February.
func addMonths(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

func monthsOf(t time.Time) int { return t.Year()*12 + int(t.Month()) - 1 }

// steps is how many whole lengths lie between 1970 and t, rounded down.
func (p datePart) steps(t time.Time) int64 {
	if p.months > 0 {
		return floorDiv(int64(monthsOf(t)), int64(p.months))
	}
	if p.length >= time.Second {
		return floorDiv(t.Unix(), int64(p.length/time.Second))
	}
	return t.Unix()*int64(time.Second/p.length) + int64(t.Nanosecond())/int64(p.length)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// dateTimeDiff counts the boundaries of the part that lie between both times.
func dateTimeDiff(_ *frame, args []value.Value) value.Value {
	part, ok := datePartOf(args[0])
	from, ok2 := dateOf(args[1])
	to, ok3 := dateOf(args[2])
	if !ok || !ok2 || !ok3 {
		return value.Undefined()
	}
	if part.length == time.Nanosecond { // beyond 64 bits over 292 years
		seconds := float64(to.Unix()-from.Unix()) * 1e9
		return value.Number(seconds + float64(to.Nanosecond()-from.Nanosecond()))
	}
	return value.Number(float64(part.steps(to) - part.steps(from)))
}

// dateTimeBin is DATETIMEBIN(time, part[, size[, origin]]): the beginning of the
// bin that the time lies in.
func dateTimeBin(_ *frame, args []value.Value) value.Value {
	t, ok := dateOf(args[0])
	part, ok2 := datePartOf(args[1])
	size, ok3 := integer(optional(args, 2, value.Number(1)))
	origin, ok4 := dateOf(optional(args, 3, value.String("1970-01-01T00:00:00Z")))
	if !ok || !ok2 || !ok3 || !ok4 || size <= 0 {
		return value.Undefined()
	}
	if part.months > 0 {
		if size > 120_000 {
			return value.Undefined()
		}
		step := size * part.months
		n := int(floorDiv(int64(monthsOf(t)-monthsOf(origin)), int64(step)))
		start := addMonths(origin, n*step)
		if start.After(t) {
			start = addMonths(origin, (n-1)*step)
		}
		return dateValue(start)
	}
	if part.length >= time.Second {
		seconds := int64(part.length / time.Second)
		if int64(size) > 1e12/seconds {
			return value.Undefined()
		}
		step := int64(size) * seconds
		elapsed := t.Unix() - origin.Unix()
		if t.Nanosecond() < origin.Nanosecond() {
			elapsed--
		}
		return dateValue(time.Unix(origin.Unix()+floorDiv(elapsed, step)*step, int64(origin.Nanosecond())))
	}
	elapsed := t.Sub(origin)
	if elapsed == math.MaxInt64 || elapsed == math.MinInt64 || int64(size) > int64(1<<62)/int64(part.length) {
		return value.Undefined()
	}
	step := int64(size) * int64(part.length)
	return dateValue(origin.Add(time.Duration(floorDiv(int64(elapsed), step) * step)))
}

// dateTimeFromParts is DATETIMEFROMPARTS(year, month, day[, hour[, minute[,
// second[, fraction]]]]); the fraction counts ticks.
func dateTimeFromParts(_ *frame, args []value.Value) value.Value {
	parts := [7]int{}
	for i, a := range args {
		n, ok := int64Of(a)
		if !ok || n < 0 || n > 9_999_999 {
			return value.Undefined()
		}
		parts[i] = int(n)
	}
	year, month, day := parts[0], time.Month(parts[1]), parts[2]
	t := time.Date(year, month, day, parts[3], parts[4], parts[5], parts[6]*100, time.UTC)
	if t.Year() != year || t.Month() != month || t.Day() != day || parts[3] > 23 || parts[4] > 59 || parts[5] > 59 {
		return value.Undefined()
	}
	return dateValue(t)
}

package value

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	ticksPerSecond = 10_000_000
	ticksPerMinute = 60 * ticksPerSecond
	ticksPerDay    = 24 * 60 * ticksPerMinute
	// days1900 is 1900-01-01, where datetime counts from.
	days1900 = 693595
	maxDays  = 3652058 // 9999-12-31
)

// year1 is where dates count from.
var year1 = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)

// FromTime makes a datetime2 of t's wall clock in UTC.
func FromTime(t time.Time) Value { return FromTicks(TicksOf(t)) }

// TicksOf returns 100 ns since 0001-01-01, in UTC.
func TicksOf(t time.Time) int64 {
	return (t.Unix()-year1.Unix())*ticksPerSecond + int64(t.Nanosecond()/100)
}

// TimeOf is the inverse of TicksOf.
func TimeOf(ticks int64) time.Time {
	return time.Unix(year1.Unix()+ticks/ticksPerSecond, ticks%ticksPerSecond*100).UTC()
}

// RoundTicks brings ticks to the precision of t.
func RoundTicks(ticks int64, t Type) int64 {
	unit := int64(1)
	switch t.ID {
	case Time, DateTime2, DateTimeOffset:
		for s := t.Scale; s < 7; s++ {
			unit *= 10
		}
	case DateTime: // in 1/300 s
		day, rest := ticks/ticksPerDay, ticks%ticksPerDay
		n := (rest*300 + ticksPerSecond/2) / ticksPerSecond
		return day*ticksPerDay + n*ticksPerSecond/300
	case SmallDateTime:
		unit = ticksPerMinute
	}
	return (ticks + unit/2) / unit * unit
}

func toTemporal(v Value, from, to Type) (Value, *Error) {
	var ticks int64 // wall clock since the year 1
	var offset int16
	switch {
	case from.ID.Text():
		var ok bool
		if ticks, offset, ok = parseTemporal(v.s); !ok {
			return Value{}, conversion(v.s, from, to)
		}
	case from.ID == Date:
		if to.ID == Time {
			return Value{}, incompatible(from, to)
		}
		ticks = v.n * ticksPerDay
	case from.ID == Time:
		if to.ID == Date {
			return Value{}, incompatible(from, to)
		}
		ticks = days1900*ticksPerDay + v.n
	case from.ID == DateTimeOffset:
		offset = v.extra
		ticks = v.n + int64(offset)*ticksPerMinute
	case from.ID.Temporal():
		ticks = v.n
	case from.ID.Integer() && (to.ID == DateTime || to.ID == SmallDateTime):
		if v.n < -days1900 || v.n > maxDays-days1900 {
			return Value{}, overflow(to)
		}
		ticks = (v.n + days1900) * ticksPerDay
	default:
		return Value{}, incompatible(from, to)
	}
	switch to.ID {
	case Date:
		return FromDays(ticks / ticksPerDay), nil
	case Time:
		return FromTicks(RoundTicks(ticks%ticksPerDay, to) % ticksPerDay), nil
	case DateTimeOffset:
		return inRange(FromOffset(RoundTicks(ticks-int64(offset)*ticksPerMinute, to), offset), to)
	}
	return inRange(FromTicks(RoundTicks(ticks, to)), to)
}

func inRange(v Value, t Type) (Value, *Error) {
	low, high := int64(0), int64(maxDays+1)*ticksPerDay
	switch t.ID {
	case DateTime:
		low = 639905 * ticksPerDay // 1753-01-01
	case SmallDateTime:
		low, high = days1900*ticksPerDay, (days1900+65536)*ticksPerDay
	}
	if v.n < low || v.n >= high {
		return Value{}, Errorf(242, "The conversion to a %s data type resulted in an out-of-range value.", t.Name())
	}
	return v, nil
}

// parseTemporal reads the forms of ISO 8601 and those of ODBC; a missing date
// is 1900-01-01.
func parseTemporal(s string) (ticks int64, offset int16, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return days1900 * ticksPerDay, 0, true
	}
	day := int64(days1900)
	if len(s) >= 10 && s[4] == '-' && s[7] == '-' {
		if day, ok = daysOf(s[:4], s[5:7], s[8:10]); !ok {
			return 0, 0, false
		}
		s = s[10:]
	} else if len(s) >= 8 && digits(s[:8]) {
		if day, ok = daysOf(s[:4], s[4:6], s[6:8]); !ok {
			return 0, 0, false
		}
		s = s[8:]
	}
	s = strings.TrimLeft(strings.TrimPrefix(s, "T"), " ")
	if s == "" {
		return day * ticksPerDay, 0, true
	}
	if zone := strings.LastIndexAny(s, "Z+-"); zone >= 0 {
		if offset, ok = parseOffset(s[zone:]); !ok {
			return 0, 0, false
		}
		s = strings.TrimRight(s[:zone], " ")
	}
	clock, ok := parseClock(s)
	return day*ticksPerDay + clock, offset, ok
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func daysOf(year, month, day string) (int64, bool) {
	if !digits(year) || !digits(month) || !digits(day) {
		return 0, false
	}
	y, _ := strconv.Atoi(year)
	m, _ := strconv.Atoi(month)
	d, _ := strconv.Atoi(day)
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if y < 1 || t.Year() != y || int(t.Month()) != m || t.Day() != d {
		return 0, false
	}
	return (t.Unix() - year1.Unix()) / 86400, true
}

func parseOffset(s string) (int16, bool) {
	if s == "Z" {
		return 0, true
	}
	if len(s) != 6 || s[3] != ':' || !digits(s[1:3]) || !digits(s[4:]) {
		return 0, false
	}
	h, _ := strconv.Atoi(s[1:3])
	m, _ := strconv.Atoi(s[4:])
	n := h*60 + m
	if n > 14*60 || m > 59 {
		return 0, false
	}
	if s[0] == '-' {
		n = -n
	}
	return int16(n), true
}

// parseClock reads hh:mm[:ss[.fffffff]].
func parseClock(s string) (int64, bool) {
	main, fraction, _ := strings.Cut(s, ".")
	parts := strings.Split(main, ":")
	if len(parts) < 2 || len(parts) > 3 || len(fraction) > 7 || fraction != "" && !digits(fraction) {
		return 0, false
	}
	var n [3]int64
	for i, p := range parts {
		if !digits(p) || len(p) > 2 {
			return 0, false
		}
		n[i], _ = strconv.ParseInt(p, 10, 64)
	}
	if n[0] > 23 || n[1] > 59 || n[2] > 59 {
		return 0, false
	}
	ticks := ((n[0]*60+n[1])*60 + n[2]) * ticksPerSecond
	if fraction != "" {
		f, _ := strconv.ParseInt(fraction+strings.Repeat("0", 7-len(fraction)), 10, 64)
		ticks += f
	}
	return ticks, true
}

func formatTemporal(v Value, t Type, style int) string {
	ticks := v.n
	switch t.ID {
	case Date:
		ticks *= ticksPerDay
	case DateTimeOffset:
		ticks += int64(v.extra) * ticksPerMinute
	}
	at := TimeOf(ticks)
	clock := at.Format("15:04:05") + fractionOf(ticks, t)
	day := at.Format("2006-01-02")
	zone := ""
	if t.ID == DateTimeOffset {
		sign, m := '+', int(v.extra)
		if m < 0 {
			sign, m = '-', -m
		}
		zone = fmt.Sprintf("%c%02d:%02d", sign, m/60, m%60)
	}
	switch {
	case t.ID == Date && style == 112:
		return at.Format("20060102")
	case t.ID == Date:
		return day
	case t.ID == Time:
		return clock
	case style == 126:
		return day + "T" + clock + zone
	case style == 127:
		return TimeOf(v.n).Format("2006-01-02T15:04:05") + fractionOf(v.n, t) + "Z"
	case style == 23:
		return day
	case style == 112:
		return at.Format("20060102")
	case style == 120:
		return at.Format("2006-01-02 15:04:05")
	case t.ID == DateTime && style == 121:
		return day + " " + clock
	case t.ID == DateTime || t.ID == SmallDateTime:
		return at.Format("Jan _2 2006  3:04PM")
	case zone != "":
		return day + " " + clock + " " + zone
	}
	return day + " " + clock
}

// fractionOf writes the second's fraction with as many digits as t has.
func fractionOf(ticks int64, t Type) string {
	places := 0
	switch t.ID {
	case Time, DateTime2, DateTimeOffset:
		places = int(t.Scale)
	case DateTime:
		places = 3
		ticks += 5000 // 1/300 s is shown rounded
	}
	if places == 0 {
		return ""
	}
	return "." + fmt.Sprintf("%07d", ticks%ticksPerSecond)[:places]
}

package value

import (
	"strings"
	"time"

	"millrace/record"
)

// Times are ticks: 100 ns since the Unix epoch in UTC, as an int64. Intervals
// are ticks as well.
const (
	TicksPerMicrosecond int64 = 10
	TicksPerMillisecond       = 1000 * TicksPerMicrosecond
	TicksPerSecond            = 1000 * TicksPerMillisecond
	TicksPerMinute            = 60 * TicksPerSecond
	TicksPerHour              = 60 * TicksPerMinute
	TicksPerDay               = 24 * TicksPerHour

	// MinTicks and MaxTicks are the first and last time a datetime can
	// be: years 0001 to 9999.
	MinTicks = -62135596800 * TicksPerSecond
	MaxTicks = 253402300800*TicksPerSecond - 1
)

// FromGoTime returns t in ticks, cut to 100 ns. Files may hold times that ticks
// can not count; they are the nearest second that can be.
func FromGoTime(t time.Time) int64 {
	const most = int64(1<<63-1)/TicksPerSecond - 1
	return min(max(t.Unix(), -most), most)*TicksPerSecond + int64(t.Nanosecond()/100)
}

// ToGoTime returns ticks as a time in UTC.
func ToGoTime(ticks int64) time.Time {
	sec, rest := FloorDiv(ticks, TicksPerSecond)
	return time.Unix(sec, rest*100).UTC()
}

// ToGoDuration returns ticks as a duration; beyond 292 years it is the longest
// duration.
func ToGoDuration(ticks int64) time.Duration {
	const most = int64(1<<63-1) / 100
	return time.Duration(min(max(ticks, -most), most) * 100)
}

// FloorDiv divides a by b > 0, with a remainder that is never negative.
func FloorDiv(a, b int64) (q, r int64) {
	q, r = a/b, a%b
	if r < 0 {
		q, r = q-1, r+b
	}
	return q, r
}

// timeTextLen is the length of what AppendTime appends.
const timeTextLen = len("2026-01-02T15:04:05.1234567Z")

// AppendTime appends ticks as the service writes a datetime: ISO 8601 in UTC
// with seven decimals, 2026-01-02T15:04:05.1234567Z. Times before MinTicks or
// behind MaxTicks have no such form and are written as the nearest that has.
func AppendTime(dst []byte, ticks int64) []byte {
	ticks = min(max(ticks, MinTicks), MaxTicks)
	days, rest := FloorDiv(ticks, TicksPerDay)
	year, month, day := record.Civil(days)
	sec, frac := int(rest/TicksPerSecond), int(rest%TicksPerSecond)
	t := [timeTextLen]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':', 19: '.', 27: 'Z'}
	put2(t[0:2], year/100)
	put2(t[2:4], year%100)
	put2(t[5:7], month)
	put2(t[8:10], day)
	put2(t[11:13], sec/3600)
	put2(t[14:16], sec/60%60)
	put2(t[17:19], sec%60)
	t[20] = byte('0' + frac/1000000)
	put2(t[21:23], frac/10000%100)
	put2(t[23:25], frac/100%100)
	put2(t[25:27], frac%100)
	return append(dst, t[:]...)
}

func put2(dst []byte, v int) {
	_ = dst[1]
	dst[0], dst[1] = byte('0'+v/10), byte('0'+v%10)
}

// ParseTime reads the text of a datetime and returns its ticks. It takes ISO
// 8601 with a date of four, two and two digits, and any beginning of the rest:
//
//	2026-01-02
//	2026-01-02T15:04
//	2026-01-02 15:04:05.1234567
//	2026-01-02T15:04:05.123Z
//	2026-01-02T15:04:05+02:00
//	20260102T150405Z
//
// T may be t or blanks; the offset is Z, ±hh:mm, ±hhmm or ±hh, with or without
// a blank before it, and without one the time is UTC. Slashes may stand for
// the hyphens of the date, month and day may then have one digit. Colons may
// be left out. Decimals beyond the seventh are cut off; a decimal comma is one
// too. White space around the text is ignored. The
// time must lie between MinTicks and MaxTicks.
func ParseTime(text string) (ticks int64, ok bool) {
	s := text
	if len(s) > 0 && (s[0] <= ' ' || s[len(s)-1] <= ' ') {
		s = strings.Trim(s, " \t\r\n")
	}
	days, i, ok := parseDate(s)
	if !ok {
		return 0, false
	}
	if i == len(s) {
		return days * TicksPerDay, true
	}
	if s[i]|0x20 == 't' {
		i++
	} else {
		if s[i] != ' ' {
			return 0, false
		}
		for i < len(s) && s[i] == ' ' {
			i++
		}
	}
	clock, i, ok := parseClock(s, i)
	if !ok {
		return 0, false
	}
	offset, ok := parseOffset(s, i)
	if !ok {
		return 0, false
	}
	ticks = days*TicksPerDay + clock - int64(offset)*TicksPerMinute
	return ticks, ticks >= MinTicks && ticks <= MaxTicks
}

// parseDate reads the date at the start of s, in days, and returns the index
// behind it.
func parseDate(s string) (days int64, i int, ok bool) {
	if len(s) < len("2026/1/2") {
		return 0, 0, false
	}
	y1, y2 := two(s, 0), two(s, 2)
	if y1|y2 < 0 {
		return 0, 0, false
	}
	year, month, day := y1*100+y2, 0, 0
	switch {
	case s[4] == '-' && len(s) >= 10 && s[7] == '-':
		month, day, i = two(s, 5), two(s, 8), 10
	case isDigit(s[4]):
		month, day, i = two(s, 4), two(s, 6), 8
	case s[4] == '/':
		if month, i = oneOrTwo(s, 5); i >= len(s) || s[i] != '/' {
			return 0, 0, false
		}
		day, i = oneOrTwo(s, i+1)
	}
	if year < 1 || month < 1 || month > 12 || day < 1 || day > record.DaysIn(year, month) {
		return 0, 0, false
	}
	return record.DaysOf(year, month, day), i, true
}

// parseClock reads hh:mm, hh:mm:ss or hh:mm:ss.f… at i, in ticks, with or
// without the colons.
func parseClock(s string, i int) (ticks int64, next int, ok bool) {
	if len(s) < i+4 {
		return 0, 0, false
	}
	// colon is how many bytes are between the parts.
	colon := 0
	if s[i+2] == ':' {
		colon = 1
		if len(s) < i+5 {
			return 0, 0, false
		}
	}
	h, m, sec := two(s, i), two(s, i+2+colon), 0
	i += 4 + colon
	var frac int64
	if i+colon+2 <= len(s) && (colon == 0 && isDigit(s[i]) || colon == 1 && s[i] == ':') {
		sec = two(s, i+colon)
		i += colon + 2
		if i+1 < len(s) && (s[i] == '.' || s[i] == ',') && isDigit(s[i+1]) {
			scale := TicksPerSecond
			for i++; i < len(s) && isDigit(s[i]); i++ {
				scale /= 10
				frac += int64(s[i]-'0') * scale
			}
		}
	}
	if h|m|sec < 0 || h > 23 || m > 59 || sec > 59 {
		return 0, 0, false
	}
	return int64(h*3600+m*60+sec)*TicksPerSecond + frac, i, true
}

// parseOffset reads the zone that ends s, in minutes.
func parseOffset(s string, i int) (minutes int, ok bool) {
	if i < len(s) && s[i] == ' ' {
		i++
	}
	switch rest := s[i:]; {
	case rest == "" || rest == "Z" || rest == "z":
		return 0, true
	case rest[0] != '+' && rest[0] != '-':
		return 0, false
	case len(rest) == 6 && rest[3] == ':':
		minutes = sexagesimal(two(rest, 1), two(rest, 4))
	case len(rest) == 5:
		minutes = sexagesimal(two(rest, 1), two(rest, 3))
	case len(rest) == 3:
		minutes = sexagesimal(two(rest, 1), 0)
	default:
		return 0, false
	}
	if minutes < 0 {
		return 0, false
	}
	if s[i] == '-' {
		minutes = -minutes
	}
	return minutes, true
}

// sexagesimal returns the minutes of an offset, -1 if it is none. Offsets of
// up to 14 hours exist.
func sexagesimal(h, m int) int {
	if h < 0 || m < 0 || m > 59 || h*60+m > 14*60 {
		return -1
	}
	return h*60 + m
}

// two reads two decimal digits, or returns -1.
func two(s string, i int) int {
	a, b := s[i]-'0', s[i+1]-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return int(a)*10 + int(b)
}

// oneOrTwo reads one or two decimal digits.
func oneOrTwo(s string, i int) (n, next int) {
	for next = i; next < len(s) && next < i+2 && isDigit(s[next]); next++ {
		n = n*10 + int(s[next]-'0')
	}
	return n, next
}

// ingressTime tells whether a string of an event is a datetime by itself, as
// Level10 takes it: a date and a time with a T between.
func ingressTime(s string) (ticks int64, ok bool) {
	if len(s) < len("2026-01-02T15:04:05") || s[4] != '-' || s[10] != 'T' || s[16] != ':' {
		return 0, false
	}
	return ParseTime(s)
}

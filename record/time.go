package record

import "fmt"

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 24 * 60 * 60 * microsPerSecond
	// timeTextLen is the length of what AppendTime writes.
	timeTextLen = len("2026-01-02T15:04:05.123456Z")
	// The times that RFC 3339 can write in UTC: years 0000 to 9999.
	minTime = -62167219200 * microsPerSecond
	maxTime = 253402300800*microsPerSecond - 1
)

// AppendTime appends micros (microseconds since the Unix epoch) as RFC 3339 in
// UTC with six decimals, "2026-01-02T15:04:05.123456Z": the form in which
// Millrace writes every time. Times outside the years 0000 to 9999 have no
// such form and are written as the nearest one that has.
func AppendTime(dst []byte, micros int64) []byte {
	micros = min(max(micros, minTime), maxTime)
	days := micros / microsPerDay
	rest := micros % microsPerDay
	if rest < 0 {
		days--
		rest += microsPerDay
	}
	year, month, day := Civil(days)
	sec := int(rest / microsPerSecond)
	frac := int(rest % microsPerSecond)
	t := [timeTextLen]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':', 19: '.', 26: 'Z'}
	put2(t[0:2], year/100)
	put2(t[2:4], year%100)
	put2(t[5:7], month)
	put2(t[8:10], day)
	put2(t[11:13], sec/3600)
	put2(t[14:16], sec/60%60)
	put2(t[17:19], sec%60)
	put2(t[20:22], frac/10000)
	put2(t[22:24], frac/100%100)
	put2(t[24:26], frac%100)
	return append(dst, t[:]...)
}

func put2(dst []byte, v int) {
	_ = dst[1]
	dst[0], dst[1] = byte('0'+v/10), byte('0'+v%10)
}

// ParseTime reads an RFC 3339 time ("2026-01-02T15:04:05.123456Z", any offset,
// any number of decimals) as microseconds since the Unix epoch. Decimals
// beyond the sixth are cut off. A leap second (23:59:60 UTC) is read as the
// second after it, as Unix time does. The time must lie in the years 0000 to
// 9999 in UTC.
func ParseTime[T ~string | ~[]byte](text T) (int64, error) {
	micros, _, ok := parseTime(text)
	if !ok {
		return 0, fmt.Errorf("%.60q is not an RFC 3339 time such as 2026-01-02T15:04:05.123456Z", string(text))
	}
	return micros, nil
}

// parseTime also tells whether text is exactly what AppendTime writes.
func parseTime[T ~string | ~[]byte](s T) (micros int64, canonical, ok bool) {
	// Shortest form: 2026-01-02T15:04:05Z.
	if len(s) < 20 || s[4] != '-' || s[7] != '-' || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return 0, false, false
	}
	y1, y2, mo, d := two(s, 0), two(s, 2), two(s, 5), two(s, 8)
	h, mi, sec := two(s, 11), two(s, 14), two(s, 17)
	if y1|y2|mo|d|h|mi|sec < 0 {
		return 0, false, false
	}
	year := y1*100 + y2
	if mo < 1 || mo > 12 || d < 1 || d > DaysIn(year, mo) || h > 23 || mi > 59 || sec > 60 {
		return 0, false, false
	}
	i, frac := 19, int64(0)
	if s[19] == '.' {
		scale := int64(microsPerSecond)
		for i = 20; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			scale /= 10
			frac += int64(s[i]-'0') * scale
		}
		if i == 20 {
			return 0, false, false
		}
	}
	offset, ok := parseOffset(s, i)
	if !ok {
		return 0, false, false
	}
	micros = DaysOf(year, mo, d)*microsPerDay + int64(h*3600+mi*60+sec)*microsPerSecond + frac -
		int64(offset)*60*microsPerSecond
	// A leap second is the last of a UTC day, so what follows it is
	// midnight.
	if sec == 60 && (micros-frac)%microsPerDay != 0 {
		return 0, false, false
	}
	if micros < minTime || micros > maxTime {
		return 0, false, false
	}
	canonical = len(s) == timeTextLen && s[10] == 'T' && s[26] == 'Z' && sec < 60
	return micros, canonical, true
}

// parseOffset reads the zone at the end of an RFC 3339 time, in minutes.
func parseOffset[T ~string | ~[]byte](s T, i int) (minutes int, ok bool) {
	if i+1 == len(s) && s[i]|0x20 == 'z' {
		return 0, true
	}
	if i+6 != len(s) || (s[i] != '+' && s[i] != '-') || s[i+3] != ':' {
		return 0, false
	}
	h, m := two(s, i+1), two(s, i+4)
	if h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false
	}
	minutes = h*60 + m
	if s[i] == '-' {
		minutes = -minutes
	}
	return minutes, true
}

// two reads two decimal digits, or returns -1.
func two[T ~string | ~[]byte](s T, i int) int {
	a, b := s[i]-'0', s[i+1]-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return int(a)*10 + int(b)
}

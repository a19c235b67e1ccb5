package record

import (
	"strings"
	"testing"
	"time"
)

func TestID(t *testing.T) {
	const text = "0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11"
	id, err := ParseID(strings.ToUpper(text))
	if err != nil || id.String() != text {
		t.Fatalf("%v, %v", id, err)
	}
	var again ID
	if err := again.UnmarshalText([]byte(text)); err != nil || again != id {
		t.Fatalf("%v, %v", again, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", "{" + text[1:], strings.ReplaceAll(text, "-", ""),
		strings.Replace(text, "0b", "0g", 1), strings.Replace(text, "-", "0", 1), strings.Replace(text, "11", "1é", 1)} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestTimeAgainstStandardLibrary(t *testing.T) {
	r := newRand(t)
	check := func(micros int64) {
		t.Helper()
		got := string(AppendTime(nil, micros))
		if want := time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000Z"); got != want {
			t.Fatalf("%d is written %s, want %s", micros, got, want)
		}
		back, canonical, ok := parseTime(got)
		if !ok || !canonical || back != micros {
			t.Fatalf("%s is read %d (%v, %v), want %d", got, back, canonical, ok, micros)
		}
		zone := time.FixedZone("", (r.IntN(2*24*60-1)-24*60+1)*60)
		text := time.UnixMicro(micros).In(zone).Format(time.RFC3339Nano)
		if len(text) > 35 || text[0] == '-' || !strings.HasPrefix(text[4:], "-") {
			return // the zone pushed the year out of four digits
		}
		if back, err := ParseTime(text); err != nil || back != micros {
			t.Fatalf("%s is read %d (%v), want %d", text, back, err, micros)
		}
	}
	for _, micros := range []int64{0, -1, 1, minTime, maxTime, 951782400000000, 951868800000000 - 1, 4107542400000000} {
		check(micros)
	}
	for range 20000 {
		check(minTime + r.Int64N(maxTime-minTime))
	}
	if got := string(AppendTime(nil, NoTime)); got != "0000-01-01T00:00:00.000000Z" {
		t.Errorf("NoTime is written %s", got)
	}
}

func TestParseTime(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"2026-01-02t15:04:05z", "2026-01-02T15:04:05.000000Z"},
		{"2026-01-02T15:04:05.1234569Z", "2026-01-02T15:04:05.123456Z"},
		{"2026-01-02T15:04:05.1-23:59", "2026-01-03T15:03:05.100000Z"},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"},
		{"2017-01-01T05:29:60.5+05:30", "2017-01-01T00:00:00.500000Z"},
		{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z"},
	} {
		got, canonical, ok := parseTime(c.in)
		if !ok || canonical || string(AppendTime(nil, got)) != c.want {
			t.Errorf("%s is read %s (%v, canonical %v), want %s", c.in, AppendTime(nil, got), ok, canonical, c.want)
		}
	}
	for _, bad := range []string{"", "2026-01-02", "2026-01-02 15:04:05Z", "2026-01-02T15:04:05", "2026-01-02T15:04:05.Z",
		"2026-01-02T15:04:05,1Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z",
		"2026-01-02T24:00:00Z", "2026-01-02T15:60:05Z", "2026-01-02T15:04:60Z", "2026-01-02T15:04:05+24:00", "2026-01-02T15:04:05+0100",
		"2026-01-02T15:04:05Zx", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2026-01-02T15:04:05.", "２026-01-02T15:04:05Z",
		"2026-01-02T15:04:05.123456789", "20a6-01-02T15:04:05Z"} {
		if _, err := ParseTime(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

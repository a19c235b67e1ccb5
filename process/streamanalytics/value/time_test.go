package value

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"2014-09-10T12:11:00.0000000Z", "2014-09-10T12:11:00.0000000Z"},
		{"2014-09-10 12:00:00", "2014-09-10T12:00:00.0000000Z"},
		{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.0000000Z"},
		{"2014-01-01T06:01:00", "2014-01-01T06:01:00.0000000Z"},
		{"2026-05-16T17:16:40.000003Z", "2026-05-16T17:16:40.0000030Z"},
		{"2026-01-02", "2026-01-02T00:00:00.0000000Z"},
		{"2026-01-02T15:04", "2026-01-02T15:04:00.0000000Z"},
		{"2026-01-02T15:04Z", "2026-01-02T15:04:00.0000000Z"},
		{"2026-01-02t15:04:05z", "2026-01-02T15:04:05.0000000Z"},
		{"2026-01-02  15:04:05 +01:00", "2026-01-02T14:04:05.0000000Z"},
		{"2026-01-02T15:04:05.1", "2026-01-02T15:04:05.1000000Z"},
		{"2026-01-02T15:04:05,25Z", "2026-01-02T15:04:05.2500000Z"},
		{"2026-01-02T15:04:05.12345678999Z", "2026-01-02T15:04:05.1234567Z"},
		{"2026-01-02T15:04:05-02:30", "2026-01-02T17:34:05.0000000Z"},
		{"2026-01-02T15:04:05+0100", "2026-01-02T14:04:05.0000000Z"},
		{"2026-01-02T15:04:05+01", "2026-01-02T14:04:05.0000000Z"},
		{"2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.0000000Z"},
		{"20260102", "2026-01-02T00:00:00.0000000Z"},
		{"20260102T1504Z", "2026-01-02T15:04:00.0000000Z"},
		{"20260102T150405.5+0100", "2026-01-02T14:04:05.5000000Z"},
		{"2026/1/2", "2026-01-02T00:00:00.0000000Z"},
		{"2026/01/02 15:04:05", "2026-01-02T15:04:05.0000000Z"},
		{" 2026-01-02 ", "2026-01-02T00:00:00.0000000Z"},
		{"0001-01-01", "0001-01-01T00:00:00.0000000Z"},
		{"9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"},
		{"2024-02-29", "2024-02-29T00:00:00.0000000Z"},
		{"1600-02-29", "1600-02-29T00:00:00.0000000Z"},
	} {
		ticks, ok := ParseTime(c.text)
		if got := string(AppendTime(nil, ticks)); !ok || got != c.want {
			t.Errorf("ParseTime(%q) = %s, %v, want %s", c.text, got, ok, c.want)
		}
	}
	for _, s := range []string{"", "soon", "2026", "2026-01", "2026-1-2", "2026-13-01", "2026-00-01", "2026-02-29", "1900-02-29", "2026-01-32", "2026-01-00",
		"0000-01-01", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2026-01-02T", "2026-01-02Z", "2026-01-02T1", "2026-01-02T15", "2026-01-02T24:00",
		"2026-01-02T15:60", "2026-01-02T15:04:60", "2026-01-02T15:04:5", "2026-01-02T15:04:05.", "2026-01-02T15:04:05.Z", "2026-01-02T15:04:05+1", "2026-01-02T15:04:05+15:00",
		"2026-01-02T15:04:05+01:60", "2026-01-02T15:04:05+01:0x", "2026-01-02T15:04:05 UTC", "2026-01-02X15:04:05", "2026-01-02 15:04:05Zx", "2026-01-02T15:0405", "2026-01-02T1504:05",
		"2026/1/", "2026/1", "2026/1/2x", "2026-01/02", "２026-01-02", "01/02/2026", "1767323045", "20260102T15", "202601021504"} {
		if ticks, ok := ParseTime(s); ok {
			t.Errorf("ParseTime(%q) = %s, want none", s, AppendTime(nil, ticks))
		}
	}
}

// Every time is written as time.Time writes it, and reads back.
func TestTimeRoundTrip(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for i := range 20_000 {
		ticks := MinTicks + r.Int64N(MaxTicks-MinTicks+1)
		if i < len(someTimes) {
			ticks = someTimes[i]
		}
		text := string(AppendTime(nil, ticks))
		if want := ToGoTime(ticks).Format("2006-01-02T15:04:05.0000000Z"); text != want {
			t.Fatalf("%d is written %s, want %s", ticks, text, want)
		}
		if back, ok := ParseTime(text); !ok || back != ticks {
			t.Fatalf("%s reads back as %d, want %d", text, back, ticks)
		}
		if back := FromGoTime(ToGoTime(ticks)); back != ticks {
			t.Fatalf("%d through time.Time is %d", ticks, back)
		}
	}
	if TimeOf(time.Unix(1, 99)).Ticks() != TicksPerSecond {
		t.Error("nanoseconds are not cut off")
	}
	for _, far := range []int64{1 << 60, 1 << 62} {
		if a, b := FromGoTime(time.Unix(far, 0)), FromGoTime(time.Unix(-far, 0)); a < MaxTicks || b > MinTicks {
			t.Errorf("%d seconds from the epoch are %d and %d ticks", far, a, b)
		}
	}
	if FromGoTime(time.Unix(0, -1)) != -1 {
		t.Error("a time before 1970 is not cut downwards")
	}
	if ToGoDuration(TicksPerDay) != 24*time.Hour {
		t.Error("durations are wrong")
	}
	if d := ToGoDuration(MaxTicks); d < 290*365*24*time.Hour {
		t.Errorf("the longest duration is %v", d)
	}
	for _, c := range []struct {
		ticks int64
		want  string
	}{{MinTicks - 1, "0001-01-01T00:00:00.0000000Z"}, {MaxTicks + 1, "9999-12-31T23:59:59.9999999Z"}, {-1 << 63, "0001-01-01T00:00:00.0000000Z"}} {
		if got := string(AppendTime(nil, c.ticks)); got != c.want {
			t.Errorf("%d is written %s, want %s", c.ticks, got, c.want)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-01-02T15:04:05.1234567Z", "2026-01-02 15:04 +0100", "2026/1/2", "20260102T150405,5-02", "0001-01-01", "9999-12-31T23:59:59.99999999Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ticks, ok := ParseTime(s)
		ingress, isTime := ingressTime(s)
		if isTime && (!ok || ingress != ticks) {
			t.Fatalf("%q is %d at ingress, %d, %v else", s, ingress, ticks, ok)
		}
		want, err := time.Parse(time.RFC3339Nano, s)
		// time.Parse also takes hours of one digit.
		known := err == nil && s[13] == ':' && want.Year() >= 1 && want.UTC().Year() >= 1 && want.UTC().Year() <= 9999
		if _, offset := want.Zone(); known && offset >= -14*3600 && offset <= 14*3600 {
			if !ok || ticks != FromGoTime(want) {
				t.Fatalf("ParseTime(%q) = %d, %v, want %v", s, ticks, ok, want)
			}
		}
		if !ok {
			return
		}
		if ticks < MinTicks || ticks > MaxTicks {
			t.Fatalf("%q is out of range: %d", s, ticks)
		}
		if back, ok := ParseTime(string(AppendTime(nil, ticks))); !ok || back != ticks {
			t.Fatalf("%q does not round trip", s)
		}
	})
}

package capture

import (
	"strings"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/hub"
)

func TestNames(t *testing.T) {
	t.Parallel()
	at := time.Date(2020, 12, 7, 21, 49, 2, 556e6, time.FixedZone("", 0))
	for text, want := range map[string]string{
		DefaultNameFormat: "ns/hub/15/2020/12/07/21/49/02.avro",
		"capture/{Namespace}/{EventHub}/{Year}_{Month}_{Day}_{Hour}_{Minute}_{Second}_{PartitionId}":                  "capture/ns/hub/2020_12_07_21_49_02_15.avro",
		"{Second}{Minute}{Hour}{Day}{Month}{Year}{PartitionId}{EventHub}{Namespace}":                                  "02492107122020" + "15hubns.avro",
		"date={Year}-{Month}-{Day}/t={Hour}:{Minute}:{Second}/{Namespace}.{EventHub}-{PartitionId}-{PartitionId}.end": "date=2020-12-07/t=21:49:02/ns.hub-15-15.end.avro",
	} {
		f, err := parseFormat(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.name("ns", "hub", 15, at); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if got := f.name("ns", "hub", 0, at.In(time.FixedZone("", 7*3600))); got != strings.ReplaceAll(want, "15", "0") {
			t.Errorf("%s: in another zone %s", text, got)
		}
	}
}

func TestNameErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "{Namespace}, {EventHub}, {PartitionId}, {Year}, {Month}, {Day}, {Hour}, {Minute}, {Second} is missing",
		strings.Replace(DefaultNameFormat, "/{Second}", "", 1):             "{Second} is missing",
		strings.Replace(DefaultNameFormat, "{PartitionId}", "p", 1):        "{PartitionId} is missing",
		strings.Replace(DefaultNameFormat, "{PartitionId}", "{second}", 1): "{second} is none",
		DefaultNameFormat + "{Millisecond}":                                "{Millisecond} is none",
		DefaultNameFormat + "/{Year":                                       "{Year is none",
		"/" + DefaultNameFormat:                                            "relative path",
		"a//" + DefaultNameFormat:                                          "relative path",
		"../" + DefaultNameFormat:                                          "relative path",
		`a\` + DefaultNameFormat:                                           "relative path",
		strings.Repeat("a/", 300) + DefaultNameFormat:                      "relative path",
		strings.Repeat("a", 300) + DefaultNameFormat:                       "relative path",
	} {
		_, err := parseFormat(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s, err := newSettings(&hub.CaptureSpec{})
	if want := (settings{interval: 5 * time.Minute, sizeLimit: 314572800, format: DefaultNameFormat, codec: "null", container: "capture"}); err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	full := hub.CaptureSpec{Interval: time.Second, SizeLimit: 1 << 20, SkipEmpty: true, NameFormat: "x/" + DefaultNameFormat, Codec: "deflate", Container: "c"}
	s, err = newSettings(&full)
	if want := (settings{time.Second, 1 << 20, true, "x/" + DefaultNameFormat, "deflate", "c"}); err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	problems := Problems(&hub.CaptureSpec{Interval: 999 * time.Millisecond, SizeLimit: 1<<20 - 1, NameFormat: "x", Codec: "snappy"})
	if len(problems) != 4 {
		t.Errorf("%v", problems)
	}
	if _, err := newSettings(&hub.CaptureSpec{Codec: "zip"}); err == nil {
		t.Error("an unknown codec")
	}
}

// A format either makes names that any storage takes, or is refused.
func FuzzFormat(f *testing.F) {
	f.Add(DefaultNameFormat)
	f.Add("{Second}{Minute}{Hour}{Day}{Month}{Year}{PartitionId}{EventHub}{Namespace}")
	f.Add("a/{" + DefaultNameFormat)
	f.Add("./" + DefaultNameFormat + "/..")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFormat(text)
		if err != nil {
			return
		}
		name := parsed.name("ns", "hub", 31, time.Unix(1700000000, 0))
		if !strings.HasSuffix(name, ".avro") || strings.HasPrefix(name, "/") || strings.Contains("/"+name, "/../") || strings.Contains(name, "//") {
			t.Errorf("%q makes %q", text, name)
		}
	})
}

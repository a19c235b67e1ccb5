package report

import (
	"strings"
	"testing"

	"millrace/internal/metrics"
	"millrace/verify"
)

func TestHintNamesTheUnitsItTakes(t *testing.T) {
	one := Limits{MessagesInPerSecond: 1000, BytesInPerSecond: 1 << 20, Units: 1, Unit: "throughput unit", Setting: "ingest.throughputUnits"}
	for name, c := range map[string]struct {
		rate      float64
		throttled int64
		size      int64 // bytes per event
		limits    *Limits
		want      string // "" for no hint
	}{
		"by messages":   {2000, 12, 300, &one, "ingest.throughputUnits=3"}, // duplicates are the third unit's
		"by bytes":      {900, 12, 4096, &one, "ingest.throughputUnits=4"},
		"not throttled": {2000, 0, 300, &one, ""},
		"enough units":  {900, 12, 300, &one, ""},
		"unpaced":       {0, 12, 300, &one, ""},
		"no limits":     {2000, 12, 300, nil, ""},
	} {
		r := &Report{Limits: c.limits} // the log's
		r.Throughput.RatePerSecond, r.Resources.Throttled = c.rate, c.throttled
		samples := []metrics.Sample{{Unique: 1000, Sent: 1001, SentBytes: 1001 * c.size}}
		got := strings.Join(hints(r, samples), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestHintNamesTheRequestUnitsItTakes(t *testing.T) {
	units := func(n, step int) *Limits {
		return &Limits{Units: n, Unit: "request unit", Setting: "serve.throughput", Step: step}
	}
	for name, c := range map[string]struct {
		rate   float64
		store  int64 // refused by the store
		log    int64 // refused by the log
		charge float64
		limits *Limits
		want   string // "" for no hint
	}{
		"too few": {1000, 12, 0, 7.8, units(2000, 100), "12 requests were refused: 2,000 request units a second let 256 events/s in; " +
			"1,000/s at 7.8 RU each need about 7,800 RU/s: --set serve.throughput=8000"},
		"autoscale goes by thousands": {1000, 12, 0, 8.1, units(2000, 1000), "--set serve.throughput=9000"},
		"no step":                     {100, 12, 0, 7.8, units(400, 0), "--set serve.throughput=796"},
		"enough":                      {1000, 12, 0, 7.8, units(8000, 100), ""},
		"the log refused":             {1000, 0, 12, 7.8, units(2000, 100), ""},
		"unpaced":                     {0, 12, 0, 7.8, units(2000, 100), ""},
		"no charge":                   {1000, 12, 0, 0, units(2000, 100), ""},
		"no limit":                    {1000, 12, 0, 7.8, nil, ""},
	} {
		r := &Report{StoreLimits: c.limits}
		r.Throughput.RatePerSecond, r.Throughput.StoredPerSecond = c.rate, 256
		last := metrics.Sample{Stored: 1000, Charge: 1000 * c.charge, StoreThrottled: c.store, Throttled: c.store + c.log}
		r.resources(Run{Samples: []metrics.Sample{last}, Measured: verify.Measured{Throttled: last.Throttled}})
		if got := strings.Join(hints(r, []metrics.Sample{last}), "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A store with units of messages and bytes, such as a hub, is asked the same
// way as a log; each service is told of what it refused itself.
func TestHintsOfBothEnds(t *testing.T) {
	unit := func(setting string) *Limits {
		return &Limits{MessagesInPerSecond: 1000, BytesInPerSecond: 1 << 20, Units: 1, Unit: "throughput unit", Setting: setting}
	}
	r := &Report{Limits: unit("ingest.throughputUnits"), StoreLimits: unit("serve.throughputUnits")}
	r.Throughput.RatePerSecond, r.Resources.Throttled, r.Resources.ThrottledByStore = 1500, 30, 20
	got := hints(r, []metrics.Sample{{Unique: 1000, Sent: 1000, SentBytes: 3e5, Stored: 1000, StoredBytes: 3e6}})
	if len(got) != 2 || !strings.HasPrefix(got[0], "10 requests") || !strings.HasSuffix(got[0], "ingest.throughputUnits=2") ||
		!strings.HasPrefix(got[1], "20 requests") || !strings.HasSuffix(got[1], "serve.throughputUnits=5") {
		t.Errorf("%q", got)
	}
}

package report

import (
	"strings"
	"testing"

	"millrace/internal/metrics"
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
		r := &Report{Limits: c.limits}
		r.Throughput.RatePerSecond, r.Resources.Throttled = c.rate, c.throttled
		samples := []metrics.Sample{{Unique: 1000, Sent: 1001, SentBytes: 1001 * c.size}}
		got := strings.Join(hints(r, samples), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

package report

import (
	"fmt"
	"math"

	"millrace/internal/metrics"
)

// hints say what to change so that the run would do better, where the figures
// tell. So far that is one thing: the units of a service that throttled.
func hints(r *Report, samples []metrics.Sample) []string {
	if h := moreUnits(r, samples); h != "" {
		return []string{h}
	}
	return nil
}

// moreUnits says how many of the service's units the offered rate takes. The
// rate counts new events; duplicates and malformed ones come on top.
func moreUnits(r *Report, samples []metrics.Sample) string {
	l := r.Limits
	if l == nil || l.Units == 0 || r.Resources.Throttled == 0 || r.Throughput.RatePerSecond == 0 || len(samples) == 0 {
		return ""
	}
	last := samples[len(samples)-1]
	if last.Unique == 0 || last.Sent == 0 {
		return ""
	}
	messages := r.Throughput.RatePerSecond * float64(last.Sent) / float64(last.Unique)
	bytes := messages * float64(last.SentBytes) / float64(last.Sent)
	units := float64(l.Units)
	need := 0.0
	if l.MessagesInPerSecond > 0 {
		need = math.Ceil(messages * units / l.MessagesInPerSecond)
	}
	if l.BytesInPerSecond > 0 {
		need = math.Max(need, math.Ceil(bytes*units/l.BytesInPerSecond))
	}
	if need <= units {
		return ""
	}
	return fmt.Sprintf("%s were refused: %s and %s/s were offered, and %s let %s or %s/s in; %.0f would do: --set %s=%.0f",
		plural(r.Resources.Throttled, "request", "requests"), perSecond(messages), size(bytes),
		plural(int64(l.Units), l.Unit, l.Unit+"s"), perSecond(l.MessagesInPerSecond), size(l.BytesInPerSecond), need, l.Setting, need)
}

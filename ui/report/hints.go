package report

import (
	"fmt"
	"math"
	"strconv"

	"millrace/internal/metrics"
)

// hints say what to change so that the run would do better, where the figures
// tell. So far that is one thing: the units of the services that throttled.
func hints(r *Report, samples []metrics.Sample) []string {
	if len(samples) == 0 || r.Throughput.RatePerSecond == 0 {
		return nil
	}
	last := &samples[len(samples)-1]
	var out []string
	for _, h := range []string{logUnits(r, last), storeUnits(r, last)} {
		if h != "" {
			out = append(out, h)
		}
	}
	return out
}

// logUnits says how many of the log's units the offered rate takes. The rate
// counts new events; duplicates and malformed ones come on top.
func logUnits(r *Report, last *metrics.Sample) string {
	if last.Unique == 0 || last.Sent == 0 {
		return ""
	}
	messages := r.Throughput.RatePerSecond * float64(last.Sent) / float64(last.Unique)
	bytes := messages * float64(last.SentBytes) / float64(last.Sent)
	return moreUnits(r.Limits, r.Resources.Throttled-r.Resources.ThrottledByStore, messages, bytes)
}

// storeUnits says the same of the store's units: of a store that charges for
// what it does from the charge, of others from rows and bytes.
func storeUnits(r *Report, last *metrics.Sample) string {
	if last.Stored == 0 {
		return ""
	}
	p := &r.Resources
	if p.RequestUnits > 0 {
		return moreRequestUnits(r)
	}
	rows := r.Throughput.RatePerSecond * float64(last.Stored+last.StoreDuplicates) / float64(last.Stored)
	bytes := r.Throughput.RatePerSecond * float64(last.StoredBytes) / float64(last.Stored)
	return moreUnits(r.StoreLimits, p.ThrottledByStore, rows, bytes)
}

// moreUnits says how many of a service's units let a rate in; "" if those that
// it has do, or if it did not refuse anything.
func moreUnits(l *Limits, refused int64, messages, bytes float64) string {
	if l == nil || l.Units == 0 || refused <= 0 {
		return ""
	}
	units := float64(l.Units)
	need := 0.0
	if l.MessagesInPerSecond > 0 {
		need = math.Ceil(messages * units / l.MessagesInPerSecond)
	}
	if l.BytesInPerSecond > 0 {
		need = math.Max(need, math.Ceil(bytes*units/l.BytesInPerSecond))
	}
	need = l.stepped(need)
	if need <= units {
		return ""
	}
	return fmt.Sprintf("%s were refused: %s and %s/s were offered, and %s let %s or %s/s in; %.0f would do: --set %s=%.0f",
		plural(refused, "request", "requests"), perSecond(messages), size(bytes),
		plural(int64(l.Units), l.Unit, l.Unit+"s"), perSecond(l.MessagesInPerSecond), size(l.BytesInPerSecond), need, l.Setting, need)
}

// unevenness is how much more than the average a store should let in: no rate
// is the same in every second and in every part of the store.
const unevenness = 1.02

// moreRequestUnits is moreUnits for a store that charges for what it does: how
// much it lets in follows from the charge per event, which is measured.
func moreRequestUnits(r *Report) string {
	l, p := r.StoreLimits, &r.Resources
	if l == nil || l.Units == 0 || p.ThrottledByStore <= 0 {
		return ""
	}
	need := l.stepped(p.RequestUnitsPerSecond * unevenness)
	if need <= float64(l.Units) {
		return ""
	}
	return fmt.Sprintf("%s were refused: %s a second let %s events/s in; %s/s at %s RU each need about %s RU/s: --set %s=%.0f",
		plural(p.ThrottledByStore, "request", "requests"), plural(int64(l.Units), l.Unit, l.Unit+"s"),
		number(int64(math.Round(float64(l.Units)/p.RequestUnitsPerEvent))), number(int64(math.Round(r.Throughput.RatePerSecond))),
		requestUnits(p.RequestUnitsPerEvent), requestUnits(p.RequestUnitsPerSecond), l.Setting, need)
}

// stepped is the least number of units that the setting takes and that is not
// less than need.
func (l *Limits) stepped(need float64) float64 {
	step := float64(max(1, l.Step))
	return math.Ceil(need/step) * step
}

// requestUnits writes an amount of request units, with a decimal where that
// says something: 7.8, 7,808.
func requestUnits(v float64) string {
	if v < 99.95 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return number(int64(math.Round(v)))
}

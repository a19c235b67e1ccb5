package files

import (
	"math"
	"testing"

	"millrace/process/streamanalytics/value"
)

// Times beyond the years 1 to 9999 must not come around on the other side.
func TestTimesOutOfRange(t *testing.T) {
	t.Parallel()
	for _, ticks := range []int64{1, value.TicksPerMicrosecond, value.TicksPerMillisecond, value.TicksPerDay} {
		last, first := timeOf(math.MaxInt64, ticks).String(), timeOf(math.MinInt64, ticks).String()
		if last[:5] != `"9999` || first[:5] != `"0001` {
			t.Errorf("units of %d ticks: %s and %s", ticks, first, last)
		}
	}
	if got := timeOf(1, value.TicksPerDay).String(); got != `"1970-01-02T00:00:00.0000000Z"` {
		t.Errorf("got %s", got)
	}
}

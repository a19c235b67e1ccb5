package timing_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/process/streamanalytics/timing"
)

const (
	sec = timing.TicksPerSecond
	mnt = timing.TicksPerMinute
)

// at reads "mm:ss" as minutes and seconds.
func at(t *testing.T, s string) int64 {
	t.Helper()
	var m, sc int64
	if _, err := fmt.Sscanf(s, "%d:%d", &m, &sc); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return m*mnt + sc*sec
}

type row struct {
	event, arrival, key string
	// want is the row's time, "" if it is dropped.
	want    string
	outcome timing.Outcome
}

// The worked examples of the service's pages about event ordering and time
// handling. Minutes of the hour and seconds, whatever the hour is.
var examples = []struct {
	name       string
	policy     timing.Policy
	substreams bool
	rows       []row
	counters   timing.Counters
}{
	{
		name:   "event ordering, late 15 s, out of order 5 s",
		policy: timing.Policy{Applies: true, Late: 15 * sec, OutOfOrder: 5 * sec},
		rows: []row{
			{event: "10:00", arrival: "10:40", want: "10:25", outcome: timing.Adjusted},
			{event: "10:30", arrival: "10:41", want: "10:30"},
			{event: "10:42", arrival: "10:42", want: "10:42"},
			{event: "10:38", arrival: "10:43", want: "10:38"},
			{event: "10:35", arrival: "10:45", want: "10:37", outcome: timing.Adjusted},
		},
		counters: timing.Counters{InputEvents: 5, LateInputEvents: 1, OutOfOrderEvents: 1, Adjusted: 2},
	},
	{
		name:   "event ordering, drop",
		policy: timing.Policy{Applies: true, Late: 15 * sec, OutOfOrder: 5 * sec, Mode: timing.Drop},
		rows: []row{
			{event: "10:00", arrival: "10:40", outcome: timing.DroppedLate},
			{event: "10:30", arrival: "10:41", want: "10:30"},
			{event: "10:42", arrival: "10:42", want: "10:42"},
			{event: "10:38", arrival: "10:43", want: "10:38"},
			{event: "10:35", arrival: "10:45", outcome: timing.DroppedOutOfOrder},
		},
		counters: timing.Counters{InputEvents: 5, LateInputEvents: 1, OutOfOrderEvents: 1, Dropped: 2},
	},
	{
		name:   "order considerations, late 10 min, out of order 3 min",
		policy: timing.Policy{Applies: true, Late: 10 * mnt, OutOfOrder: 3 * mnt},
		rows: []row{
			{event: "00:00", arrival: "10:01", want: "00:01", outcome: timing.Adjusted},
			{event: "00:01", arrival: "10:01", want: "00:01"},
			{event: "10:00", arrival: "10:02", want: "10:00"},
			{event: "09:00", arrival: "10:03", want: "09:00"},
			{event: "06:00", arrival: "10:04", want: "07:00", outcome: timing.Adjusted},
		},
		counters: timing.Counters{InputEvents: 5, LateInputEvents: 1, OutOfOrderEvents: 1, Adjusted: 2},
	},
	{
		name:     "illustration of watermarks, late 5 min, out of order 2 min",
		policy:   timing.Policy{Applies: true, Late: 5 * mnt, OutOfOrder: 2 * mnt},
		rows:     illustration("17:00", "18:00", "22:00"),
		counters: timing.Counters{InputEvents: 12, EarlyInputEvents: 1, LateInputEvents: 1, OutOfOrderEvents: 2, Dropped: 1, Adjusted: 3},
	},
	{
		name:       "illustration of watermarks, a timeline per device",
		policy:     timing.Policy{Applies: true, Late: 5 * mnt, OutOfOrder: 2 * mnt},
		substreams: true,
		rows:       illustration("", "", "22:00"),
		counters:   timing.Counters{InputEvents: 12, EarlyInputEvents: 1, LateInputEvents: 1, Dropped: 1, Adjusted: 1},
	},
	{
		name:   "a drop of late events is not counted as out of order, and does not move time",
		policy: timing.Policy{Applies: true, Late: 5 * sec, Mode: timing.Drop},
		rows: []row{
			{event: "00:10", arrival: "00:10", want: "00:10"},
			{event: "00:11", arrival: "00:20", outcome: timing.DroppedLate},
			{event: "00:15", arrival: "00:20", want: "00:15"},
			{event: "00:14", arrival: "00:19", outcome: timing.DroppedOutOfOrder},
		},
		counters: timing.Counters{InputEvents: 4, LateInputEvents: 1, OutOfOrderEvents: 1, Dropped: 2},
	},
	{
		name:   "exactly at a tolerance is within it",
		policy: timing.Policy{Applies: true, Late: 60 * mnt, OutOfOrder: 5 * sec, Mode: timing.Drop},
		rows: []row{
			{event: "15:00", arrival: "10:00", want: "15:00"},
			{event: "15:01", arrival: "10:00", outcome: timing.DroppedEarly},
			{event: "14:55", arrival: "10:00", want: "14:55"},
			{event: "14:54", arrival: "10:00", outcome: timing.DroppedOutOfOrder},
		},
		counters: timing.Counters{InputEvents: 4, EarlyInputEvents: 1, OutOfOrderEvents: 1, Dropped: 2},
	},
	{
		name:   "arrival time: no policy",
		policy: timing.Policy{Late: 5 * sec, OutOfOrder: 5 * sec, Mode: timing.Drop},
		rows: []row{
			{event: "00:00", arrival: "10:00", want: "10:00"},
			{event: "50:00", arrival: "10:01", want: "10:01"},
			{event: "10:01", arrival: "10:01", want: "10:01"},
			// A broker's clock does not go back; if it does, order comes first.
			{event: "10:01", arrival: "10:00", want: "10:01", outcome: timing.Adjusted},
		},
		counters: timing.Counters{InputEvents: 4, Adjusted: 1},
	},
	{
		name:   "replay: events of any age",
		policy: timing.Policy{Applies: true, Replay: true, Late: 5 * sec, OutOfOrder: 2 * sec},
		rows: []row{
			{event: "00:10", arrival: "50:00", want: "00:10"},
			{event: "00:08", arrival: "50:01", want: "00:08"},
			{event: "00:20", arrival: "50:02", want: "00:20"},
			{event: "00:17", arrival: "50:03", want: "00:18", outcome: timing.Adjusted},
			{event: "55:04", arrival: "50:03", outcome: timing.DroppedEarly},
		},
		counters: timing.Counters{InputEvents: 5, OutOfOrderEvents: 1, EarlyInputEvents: 1, Adjusted: 1, Dropped: 1},
	},
	{
		name:   "no arrival times: nothing is late, however far out of order",
		policy: timing.Policy{Applies: true, NoArrival: true, Late: 5 * sec, OutOfOrder: 20 * sec, Mode: timing.Drop},
		rows: []row{
			{event: "00:40", arrival: "00:40", want: "00:40"},
			{event: "00:20", arrival: "00:20", want: "00:20"},
			{event: "00:19", arrival: "00:19", outcome: timing.DroppedOutOfOrder},
			{event: "59:00", arrival: "59:00", want: "59:00"},
		},
		counters: timing.Counters{InputEvents: 4, OutOfOrderEvents: 1, Dropped: 1},
	},
}

// illustration is the table of the page about time handling. Its third event is
// dropped as early; the times of the sixth, the ninth and the twelfth are given,
// empty for unchanged.
func illustration(sixth, ninth, twelfth string) []row {
	rows := []row{
		{event: "07:00", arrival: "07:00", key: "device1"},
		{event: "08:00", arrival: "08:00", key: "device2"},
		{event: "17:00", arrival: "11:00", key: "device1", outcome: timing.DroppedEarly},
		{event: "08:00", arrival: "13:00", key: "device3"},
		{event: "19:00", arrival: "16:00", key: "device1"},
		{event: "12:00", arrival: "17:00", key: "device3", want: sixth},
		{event: "17:00", arrival: "18:00", key: "device2"},
		{event: "20:00", arrival: "19:00", key: "device2"},
		{event: "16:00", arrival: "21:00", key: "device3", want: ninth},
		{event: "23:00", arrival: "22:00", key: "device2"},
		{event: "22:00", arrival: "24:00", key: "device2"},
		{event: "21:00", arrival: "27:00", key: "device3", want: twelfth},
	}
	for i := range rows {
		switch r := &rows[i]; {
		case r.outcome.Dropped():
		case r.want == "":
			r.want = r.event
		default:
			r.outcome = timing.Adjusted
		}
	}
	return rows
}

func TestExamplesOfThePolicies(t *testing.T) {
	t.Parallel()
	for _, ex := range examples {
		t.Run(ex.name, func(t *testing.T) {
			t.Parallel()
			got := map[int]int64{}
			s, err := timing.NewStream(timing.Options[int]{Policy: ex.policy, Substreams: ex.substreams,
				Emit: func(time int64, i int) { got[i] = time }})
			if err != nil {
				t.Fatal(err)
			}
			want := map[int]int64{}
			for i, r := range ex.rows {
				outcome, err := s.Push(0, []byte(r.key), at(t, r.event), at(t, r.arrival), i, 8)
				if err != nil {
					t.Fatal(err)
				}
				if outcome != r.outcome {
					t.Errorf("event %d: %s, not %s", i+1, outcome, r.outcome)
				}
				if r.want != "" {
					want[i] = at(t, r.want)
				}
			}
			s.Finish()
			if len(got) != len(want) {
				t.Errorf("%d events were emitted, not %d", len(got), len(want))
			}
			for i, w := range want {
				if got[i] != w {
					t.Errorf("event %d has the time %ds, not %ds", i+1, got[i]/sec, w/sec)
				}
			}
			if c := s.Counters(); c != ex.counters {
				t.Errorf("counted %+v, not %+v", c, ex.counters)
			}
		})
	}
}

// Watermarks of the illustration, after every event.
func TestExampleOfWatermarks(t *testing.T) {
	t.Parallel()
	s, err := timing.NewStream(timing.Options[int]{Policy: timing.Policy{Applies: true, Late: 5 * mnt, OutOfOrder: 2 * mnt}, Emit: func(int64, int) {}})
	if err != nil {
		t.Fatal(err)
	}
	want := []int64{5, 6, 6, 8, 17, 17, 17, 18, 18, 21, 21, 22}
	for i, r := range illustration("", "", "") {
		if _, err := s.Push(0, nil, at(t, r.event), at(t, r.arrival), i, 8); err != nil {
			t.Fatal(err)
		}
		if got := s.Watermark(); got != want[i]*mnt {
			t.Errorf("after event %d the watermark is %v min, not %d", i+1, float64(got)/float64(mnt), want[i])
		}
	}
}

func TestPoliciesThatAreNotValid(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    timing.Options[int]
		want string
	}{
		{timing.Options[int]{Policy: timing.Policy{Late: -1}}, "negative"},
		{timing.Options[int]{Policy: timing.Policy{OutOfOrder: -1}}, "negative"},
		{timing.Options[int]{Policy: timing.Policy{Late: timing.MaxLate + 1}}, "longer than the allowed 503h59m59s"},
		{timing.Options[int]{Policy: timing.Policy{Late: timing.Always}}, "tolerance of 2562047h"},
		{timing.Options[int]{Policy: timing.Policy{Mode: 7}}, "neither"},
		{timing.Options[int]{}, "emit"},
		{timing.Options[int]{Substreams: true, Emit: func(int64, int) {}}, "TIMESTAMP BY"},
	} {
		if _, err := timing.NewStream(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v does not say %q", tt.o.Policy, err, tt.want)
		}
	}
	if _, err := timing.ParseMode("ignore"); err == nil {
		t.Error("a mode that does not exist was read")
	}
	for _, m := range []timing.Mode{timing.Adjust, timing.Drop} {
		if got, err := timing.ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%s was read as %s, %v", m, got, err)
		}
	}
}

func TestWatermarkDelay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ now, watermark, want int64 }{
		{100, timing.Never, 0}, {100, timing.Always, 0}, {100, 60, 40}, {100, 100, 0}, {100, 130, 0},
	} {
		if got := timing.WatermarkDelay(tt.now, tt.watermark); got != tt.want {
			t.Errorf("delay at %d of %d: %d, not %d", tt.now, tt.watermark, got, tt.want)
		}
	}
}

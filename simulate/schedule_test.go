package simulate

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"millrace/connector"
	"millrace/record"
)

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }

func seconds(n float64) connector.Duration { return connector.Duration(n * float64(time.Second)) }

func TestSchedules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg Config
		// want are times in seconds and the events due before them.
		want map[float64]int64
	}{
		"constant": {Config{Rate: 1000}, map[float64]int64{0.001: 1, 0.0011: 2, 1: 1000, 60: 60000}},
		"ramp": {Config{Schedule: Ramp, Rate: 100, Ramp: RampConfig{Over: seconds(10)}},
			map[float64]int64{5: 125, 10: 500, 20: 1500}},
		"ramp down": {Config{Schedule: Ramp, Rate: 10, Ramp: RampConfig{From: 100, Over: seconds(10)}},
			map[float64]int64{5: 388, 10: 550, 20: 650}},
		"flat ramp": {Config{Schedule: Ramp, Rate: 10, Ramp: RampConfig{From: 10, Over: seconds(10)}}, map[float64]int64{5: 50, 20: 200}},
		"burst": {Config{Schedule: Burst, Rate: 10, Burst: BurstConfig{Rate: 100, Every: seconds(10), For: seconds(1)}},
			map[float64]int64{1: 100, 10: 190, 10.5: 240, 11: 290, 20: 380}},
	} {
		s := c.cfg.schedule()
		for at, want := range c.want {
			if got := s.before(time.Duration(at * 1e9)); math.Abs(float64(got-want)) > 1 {
				t.Errorf("%s: %d events before %v s, want %d", name, got, at, want)
			}
		}
		last := time.Duration(-1)
		for g := range int64(3000) {
			at := s.at(g)
			if at < last {
				t.Fatalf("%s: event %d is due at %v, the one before at %v", name, g, at, last)
			}
			last = at
			if n := s.before(at + 1); n < g+1 {
				t.Fatalf("%s: %d events before %v, but event %d is due then", name, n, at+1, g)
			}
		}
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	for devices := 1; devices <= 12; devices++ {
		for instances := 1; instances <= devices; instances++ {
			for _, n := range []int64{0, 1, 5, 12, 13, 100} {
				seen := map[int64]bool{}
				for k := 1; k <= instances; k++ {
					c := Config{Devices: devices, Instance: k, Instances: instances}
					s := c.share()
					last := int64(-1)
					for i := range s.count(n) {
						g := s.global(i)
						device, turn := s.place(i)
						if g <= last || g >= n || seen[g] || device%int64(instances) != int64(k-1) || g != turn*int64(devices)+device {
							t.Fatalf("%d devices, instance %d/%d: event %d is %d", devices, k, instances, i, g)
						}
						if turn >= s.turns(i, s.count(n)) {
							t.Fatalf("event %d has turn %d of %d", i, turn, s.turns(i, s.count(n)))
						}
						seen[g], last = true, g
					}
				}
				if int64(len(seen)) != n {
					t.Fatalf("%d devices, %d instances: %d of %d events", devices, instances, len(seen), n)
				}
			}
		}
	}
}

// paced runs a configuration on a fake clock.
func paced(t *testing.T, c Config, dir string, log *fakeLog) (Summary, time.Time) {
	t.Helper()
	start := time.Now()
	return simulateAll(t, c, dir, log), start
}

func TestPacedRunFollowsTheSchedule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.Rate, c.Events, c.Duration, c.Duplicates = 500, 0, seconds(10), 0.1
		c.DuplicateDelay = seconds(5)
		log := newFakeLog()
		sum, start := paced(t, c, dir, log)
		if sum.Unique != 5000 || sum.Offered != 5000 || sum.Ledger.Unsent != 0 || sum.Behind != 0 || sum.Duplicates < 300 {
			t.Errorf("%+v", sum)
		}
		if sum.Elapsed < 9900*time.Millisecond || sum.Elapsed > 10500*time.Millisecond {
			t.Errorf("took %v", sum.Elapsed)
		}
		a := reconcile(t, dir, log.sent)
		first := map[record.ID]int{}
		n, atOnce := int64(0), 0
		for i, e := range a.entries {
			if e.Kind == record.Duplicate {
				if a.entries[first[e.ID]].Fingerprint != e.Fingerprint || a.entries[first[e.ID]].ID != e.ID {
					t.Fatalf("a duplicate before its event, or another: %+v", e)
				}
				if i == first[e.ID]+1 {
					atOnce++
				}
				continue
			}
			first[e.ID] = i
			due := start.Add(time.Duration(n) * 2 * time.Millisecond)
			if e.CreatedAt != due.UnixMicro() {
				t.Fatalf("event %d was created at %v, want %v", n, time.UnixMicro(e.CreatedAt), due)
			}
			if late := log.sent[i].at.Sub(due); late < 0 || late > 2*tick {
				t.Fatalf("event %d was sent %v after it was due", n, late)
			}
			n++
		}
		if atOnce == 0 || int64(atOnce) >= sum.Duplicates {
			t.Errorf("%d of %d duplicates followed at once", atOnce, sum.Duplicates)
		}
	})
}

func TestPacedRunIsNotHeldUpByAnOutage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.Rate, c.Events, c.Duplicates = 100, 1000, 0
		log := newFakeLog()
		log.bound, log.stalled = 50, true
		s := mustNew(t, c, dir)
		go func() {
			time.Sleep(5 * time.Second)
			if st := s.Stats(); st.Offered < 495 || st.Offered > 501 || st.Behind < 4*time.Second || st.Behind > 5*time.Second || st.Sent > 110 {
				t.Errorf("in the outage: %+v", st)
			}
			log.mu.Lock()
			log.stalled = false
			log.mu.Unlock()
		}()
		start := time.Now()
		sum, err := s.Run(t.Context(), log.producer)
		if err != nil || sum.Unique != 1000 || sum.Ledger.Unsent != 0 {
			t.Fatalf("%v, %+v", err, sum)
		}
		for i, e := range reconcile(t, dir, log.sent).entries {
			if want := start.Add(time.Duration(i) * 10 * time.Millisecond).UnixMicro(); e.CreatedAt != want {
				t.Fatalf("event %d was created at %d, want %d: the outage hides its latency", i, e.CreatedAt, want)
			}
		}
	})
}

func TestWhatCannotBeSentIsCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.Rate, c.Events, c.Grace = 100, 1000, seconds(3)
		log := newFakeLog()
		log.bound, log.stalled = 50, true
		sum := simulateAll(t, c, dir, log)
		l := sum.Ledger
		if l.Acked != 0 || sum.Offered != 1000 || l.Offered < 1000 || l.Unsent != l.Offered || l.InDoubt != l.Sent || !l.Finished ||
			sum.Elapsed < 12*time.Second || sum.Elapsed > 17*time.Second {
			t.Errorf("%+v", sum)
		}
		if _, err := New(c, dir, "r1"); err == nil {
			t.Error("a run that gave up its rest starts again")
		}
	})
}

func TestPacedRunGoesOnAfterAnInterruption(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.Rate, c.Events, c.Duration, c.Duplicates = 100, 0, seconds(10), 0
		log := newFakeLog()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		sum, err := mustNew(t, c, dir).Run(ctx, log.producer)
		if err != nil || !sum.Interrupted || sum.Unique < 399 || sum.Unique > 401 {
			t.Fatalf("%v, %+v", err, sum)
		}
		time.Sleep(time.Hour)
		sum, again := paced(t, c, dir, log)
		if sum.Unique != 1000 || sum.Elapsed > 6500*time.Millisecond || !sum.Resumed {
			t.Fatalf("%+v", sum)
		}
		// The interruption is not made up for: nothing is an hour late.
		for i, e := range reconcile(t, dir, log.sent).entries {
			if i > 401 && e.CreatedAt < again.UnixMicro() {
				t.Fatalf("event %d is from before the interruption", i)
			}
		}
	})
}

func TestOutOfOrderDevices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.Rate, c.Events, c.OutOfOrder, c.OutOfOrderDepth, c.Duplicates = 100, 1003, 0.5, 4, 0
		log := newFakeLog()
		simulateAll(t, c, dir, log)
		a := reconcile(t, dir, log.sent)
		noGaps(t, a)
		last := map[uint32]record.Entry{}
		times := map[uint32]map[int64]int64{}
		disordered := map[uint32]bool{}
		for i, e := range a.entries {
			if l, ok := last[e.Device]; ok && e.Sequence < l.Sequence {
				disordered[e.Device] = true
				if d := l.Sequence - e.Sequence; d >= 4 {
					t.Fatalf("device %d goes %d back", e.Device, d)
				}
			}
			last[e.Device] = e
			if times[e.Device] == nil {
				times[e.Device] = map[int64]int64{}
			}
			times[e.Device][e.Sequence] = e.CreatedAt
			if e.CreatedAt > log.sent[i].at.UnixMicro() {
				t.Fatal("an event was sent before it was created")
			}
		}
		if len(disordered) == 0 || len(disordered) == 10 {
			t.Errorf("%d of 10 devices are out of order", len(disordered))
		}
		for d, m := range times {
			for n := int64(1); n < int64(len(m)); n++ {
				if m[n] <= m[n-1] {
					t.Fatalf("device %d created %d no later than %d", d, n, n-1)
				}
			}
		}
	})
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	const head = `{"eventId":"{{eventId}}","deviceId":"{{deviceId}}","deviceSequenceNumber":{{deviceSequenceNumber}},"createdAt":"{{createdAt}}"`
	compile := func(text string) (*template, error) {
		c := testConfig()
		c.Template, c.DevicePrefix = text, `d"\é-`
		return c.compile(5)
	}
	tpl, err := compile(head + `, "a":{{double -1 1 2}},"b":{{int -3 3}},"c":"{{choice x y}}","d":{{bool}},"e":"{{hex 20}}","f":{{counter 5 -2}},"g":{{deviceIndex}},"h":{{double 0 0.5}}}`)
	if err != nil {
		t.Fatal(err)
	}
	e := newEvent(5, 3, 10, 0)
	first := tpl.render(nil, &e)
	for _, want := range []string{`"deviceId":"d\"\\é-3"`, `"f":-15,"g":3`} {
		if !strings.Contains(string(first), want) {
			t.Errorf("no %s in %s", want, first)
		}
	}
	if again := tpl.render([]byte("x"), &e); !bytes.Equal(again[1:], first) {
		t.Error("an event cannot be made again")
	}
	for text, want := range map[string]string{
		head:                             "not JSON",
		head + `,"x":{{nothing}}}`:       "no such placeholder",
		head + `,"x":{{double 5}}}`:      "MIN MAX",
		head + `,"x":{{double 5 4}}}`:    "MIN below MAX",
		head + `,"x":{{double 0 1 99}}}`: "DECIMALS",
		head + `,"x":{{int 1 x}}}`:       "integers",
		head + `,"x":{{choice}}}`:        "choice A B",
		head + `,"x":{{}}}`:              "empty",
		head + `,"x":{{bool`:             "not closed",
		head + `,"value":"{{bool}}"}`:    "wrong-type",
		`{"deviceId":"{{deviceId}}"}`:    "eventId is missing",
		`{"e":` + head + `}}`:            "eventId is missing",
		strings.Replace(head, "{{eventId}}", "0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11", 1) + "}": "{{eventId}}",
		strings.Replace(head, "{{deviceId}}", "d", 1) + "}":                                   "{{deviceId}}",
		strings.Replace(head, "{{deviceSequenceNumber}}", "{{counter 0 2}}", 1) + "}":         "{{deviceSequenceNumber}}",
		strings.Replace(head, "{{createdAt}}", "2026-01-01T00:00:00Z", 1) + "}":               "{{createdAt}}",
	} {
		if _, err := compile(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestOwnTemplateEndToEnd(t *testing.T) {
	t.Parallel()
	c, dir := testConfig(), t.TempDir()
	c.TemplateFile = dir + "/mine.json"
	c.Malformed, c.Events = 0.2, 500
	if err := writeFile(c.TemplateFile, "{\n \"n\": {\"x\": [{{double 0 1}}]},\n \"createdAt\": \"{{createdAt}}\", \"eventId\": \"{{eventId}}\",\n"+
		" \"deviceId\": \"{{deviceId}}\", \"deviceSequenceNumber\": {{deviceSequenceNumber}}\n}\n"); err != nil {
		t.Fatal(err)
	}
	log := newFakeLog()
	simulateAll(t, c, dir, log)
	reconcile(t, dir, log.sent)
}

func TestStandardEvent(t *testing.T) {
	t.Parallel()
	c := Defaults()
	tpl, err := c.compile(9)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[record.ID]bool{}
	types := map[string]int{}
	for n := range int64(2000) {
		e := newEvent(9, uint32(n%7), n/7, 1767322800123456+n)
		raw := tpl.render(nil, &e)
		if len(raw) < 850 || len(raw) > 1000 {
			t.Fatalf("%d bytes: %s", len(raw), raw)
		}
		var d record.Event
		if err := d.Decode(raw); err != nil {
			t.Fatal(err)
		}
		if d.Extra != nil || d.Value < 10 || d.Value >= 100 || !d.HasValue || bytes.Count(d.ComplexData, []byte(`"moreData`)) != 23 {
			t.Fatalf("%s", raw)
		}
		ids[d.ID] = true
		types[string(d.Type)]++
	}
	if len(ids) != 2000 || len(types) != 2 || types["TEMP"] < 800 || types["CO2"] < 800 {
		t.Errorf("%d IDs, types %v", len(ids), types)
	}
}

func TestAppendFixed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v        int64
		decimals int
		want     string
	}{{0, 0, "0"}, {0, 2, "0.00"}, {5, 1, "0.5"}, {-5, 2, "-0.05"}, {123456, 3, "123.456"}, {-120, 0, "-120"}, {100, 2, "1.00"},
		{math.MinInt64, 0, "-9223372036854775808"}, {math.MinInt64, 15, "-9223.372036854775808"}, {999999999999999, 14, "9.99999999999999"}} {
		if got := string(appendFixed(nil, c.v, c.decimals)); got != c.want {
			t.Errorf("%d with %d decimals is %s, want %s", c.v, c.decimals, got, c.want)
		}
	}
	for n := int64(1); n < math.MaxInt64/31; n = n*31/7 + 3 {
		for decimals := range maxDigits + 1 {
			got := string(appendFixed(nil, -n, decimals))
			if want := string(append([]byte("-"), appendWide(nil, uint64(n), decimals)...)); got != want {
				t.Errorf("-%d with %d decimals is %s, want %s", n, decimals, got, want)
			}
		}
	}
	for v := range uint64(100_000_000) {
		if v%9973 != 0 && v%10000 > 1 && v%10000 < 9999 {
			continue
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], eightDigits(v))
		if want := fmt.Sprintf("%08d", v); string(b[:]) != want {
			t.Fatalf("%s, want %s", b, want)
		}
	}
}

func TestValidateListsEveryProblem(t *testing.T) {
	t.Parallel()
	d := Defaults()
	if errs := d.Validate(); len(errs) != 0 {
		t.Fatal(errs)
	}
	c := Config{Devices: 0, DevicePrefix: "\xff", Rate: -1, Schedule: "odd", Duplicates: 2, Late: -1, OutOfOrder: math.NaN(), Malformed: 7,
		DuplicateDelay: -1, LateBy: -1, OutOfOrderDepth: 65, OversizedBytes: -1, Instance: 3, Instances: 2}
	var text []string
	for _, err := range c.Validate() {
		text = append(text, err.Error())
	}
	all := "\n" + strings.Join(text, "\n")
	for _, path := range []string{"devices", "devicePrefix", "rate", "schedule", "duplicates", "late", "outOfOrder", "malformed", "duplicateDelay",
		"lateBy", "outOfOrderDepth", "oversizedBytes", "instance", "duration", "grace"} {
		if !strings.Contains(all, "\n"+path+": ") {
			t.Errorf("nothing about %s in %s", path, all)
		}
	}
	for want, change := range map[string]func(*Config){
		"ramp.over":          func(c *Config) { c.Schedule, c.Ramp.Over = Ramp, 0 },
		"ramp.from":          func(c *Config) { c.Schedule, c.Ramp.From = Ramp, -1 },
		"burst.rate":         func(c *Config) { c.Schedule, c.Burst.Rate = Burst, 0 },
		"burst.every":        func(c *Config) { c.Schedule, c.Burst.Every = Burst, 1 },
		"rate: 0":            func(c *Config) { c.Schedule, c.Rate = Ramp, 0 },
		"instance: with 2":   func(c *Config) { c.Devices, c.Instance, c.Instances = 2, 3, 3 },
		"template: set":      func(c *Config) { c.Template, c.TemplateFile = "a", "b" },
		"templateFile: open": func(c *Config) { c.TemplateFile = "/does/not/exist" },
	} {
		c := Defaults()
		change(&c)
		errs := c.Validate()
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%s: %v", want, errs)
		}
	}
}

package simulate

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

func TestRunAsFastAsPossible(t *testing.T) {
	t.Parallel()
	c := testConfig()
	c.Events, c.Duplicates, c.Malformed, c.OversizedBytes = 5000, 0.05, 0.05, 3000
	c.Late, c.LateBy = 0.3, connector.Duration(time.Hour)
	log, dir := newFakeLog(), t.TempDir()
	began := time.Now()
	sum := simulateAll(t, c, dir, log)
	a := reconcile(t, dir, log.sent)
	noGaps(t, a)
	got := a.info.Totals
	if got.Unique != 5000 || got.Duplicates < 150 || got.Duplicates > 350 || got.Malformed < 150 || got.Malformed > 350 ||
		got.InDoubt != 0 || got.Unsent != 0 || got.Acked != int64(len(log.sent)) || !got.Finished || got != sum.Ledger {
		t.Errorf("totals %+v, summary %+v", got, sum)
	}
	if s := sum.Stats; s.Unique != got.Unique || s.Duplicates != got.Duplicates || s.Malformed != got.Malformed ||
		s.Sent != got.Sent || s.Acked != got.Acked || s.Offered != 5000 || s.Errors != 0 || s.Bytes < 4_000_000 {
		t.Errorf("stats %+v", s)
	}
	reasons, late := map[record.Reason]int{}, 0
	for _, e := range a.entries {
		reasons[e.Reason]++
		if e.Kind == record.Unique && e.CreatedAt < began.Add(-time.Minute).UnixMicro() {
			late++
		}
	}
	if len(reasons) != 5 || late == 0 || late == 5000 {
		t.Errorf("reasons %v, %d late", reasons, late)
	}
	if _, err := New(c, dir, "r1"); !errors.Is(err, ErrLedgerFinished) {
		t.Errorf("a finished run starts again: %v", err)
	}
}

func TestRunIsDeterministic(t *testing.T) {
	t.Parallel()
	c := testConfig()
	c.Duplicates, c.Malformed, c.OutOfOrder = 0.05, 0.05, 0.5
	content := func(seed uint64) (out []string) {
		c.Seed = seed
		log := newFakeLog()
		simulateAll(t, c, t.TempDir(), log)
		for _, m := range log.sent {
			// At rate 0 only the times differ.
			m.value, _, _ = strings.Cut(m.value, `"createdAt"`)
			if !strings.HasPrefix(m.value, "temp=") {
				m.value = m.value[:min(300, len(m.value))]
			}
			out = append(out, m.key+" "+m.value)
		}
		return out
	}
	a, b, other := content(11), content(11), content(12)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed gives different events")
	}
	if reflect.DeepEqual(a, other) {
		t.Error("another seed gives the same events")
	}
}

func TestInstancesSplitTheDevices(t *testing.T) {
	t.Parallel()
	c := testConfig()
	c.Devices, c.Events, c.Instances, c.Seed, c.OutOfOrder = 11, 1003, 3, 0, 0.5
	dir := t.TempDir()
	var all []sentMessage
	keys := map[string]int{}
	for i := range 3 {
		c.Instance = i + 1
		log := newFakeLog()
		simulateAll(t, c, dir, log)
		mine := map[string]bool{}
		for _, m := range log.sent {
			mine[m.key] = true
		}
		for k := range mine {
			keys[k]++
		}
		all = append(all, log.sent...)
	}
	a := reconcile(t, dir, all)
	per := noGaps(t, a)
	if len(keys) != 11 || len(per) != 11 || a.info.Totals.Unique != 1003 || len(a.info.Files) != 3 || !a.info.Totals.Finished {
		t.Errorf("devices %v, totals %+v", keys, a.info.Totals)
	}
	for d, n := range per {
		want := int64(1003 / 11)
		if int(d) < 1003%11 {
			want++
		}
		if n != want {
			t.Errorf("device %d sent %d events, want %d", d, n, want)
		}
	}
	for k, n := range keys {
		if n != 1 {
			t.Errorf("device %s has %d instances", k, n)
		}
	}
}

func TestInterruptedRunGoesOn(t *testing.T) {
	t.Parallel()
	c := testConfig()
	c.Events, c.Duplicates, c.Malformed, c.OutOfOrder = 20000, 0.02, 0.02, 0.3
	log, dir := newFakeLog(), t.TempDir()
	log.bound = 100
	sessions := 0
	for ; ; sessions++ {
		s := mustNew(t, c, dir)
		// Ever more time, so that a slow machine gets there.
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(150+5*sessions)*time.Millisecond)
		if s.Resumed() != (sessions > 0) || s.Seed() != 7 || s.Target() != 20000 {
			t.Fatalf("session %d: resumed %v, seed %d, target %d", sessions, s.Resumed(), s.Seed(), s.Target())
		}
		sum, err := s.Run(ctx, log.producer)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if !sum.Interrupted {
			if sum.Unique != 20000 {
				t.Fatalf("stats %+v", sum.Stats)
			}
			break
		}
		if sum.Ledger.Finished || !sum.Ledger.Complete {
			t.Fatalf("interrupted: %+v", sum.Ledger)
		}
		if sessions > 500 {
			t.Fatal("it never ends")
		}
	}
	a := reconcile(t, dir, log.sent)
	noGaps(t, a)
	got := a.info.Totals
	once := simulateAll(t, c, t.TempDir(), newFakeLog()).Ledger
	if got.Unique != 20000 || !got.Finished || got.Malformed+countInDoubt(a, record.Malformed) != once.Malformed ||
		got.Duplicates+countInDoubt(a, record.Duplicate) != once.Duplicates {
		t.Errorf("after %d interruptions %+v, without any %+v", sessions, got, once)
	}
	if sessions == 0 {
		t.Skip("this machine is too fast to be interrupted")
	}
}

func countInDoubt(a account, k record.EntryKind) (n int64) {
	for _, e := range a.entries {
		if e.Kind == k && !e.Acked {
			n++
		}
	}
	return n
}

func TestOtherRunsAreRefused(t *testing.T) {
	t.Parallel()
	c, dir := testConfig(), t.TempDir()
	if err := mustNew(t, c, dir).Close(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"seed":             func(c *Config) { c.Seed = 8 },
		"rate":             func(c *Config) { c.Rate = 5 },
		"events":           func(c *Config) { c.Events = 5 },
		"devices":          func(c *Config) { c.Devices = 5 },
		"devicePrefix":     func(c *Config) { c.DevicePrefix = "x" },
		"complexDataCount": func(c *Config) { c.ComplexDataCount = 1 },
		"instances":        func(c *Config) { c.Instances = 2 },
		"malformed":        func(c *Config) { c.Malformed = 0.1 },
		"ramp":             func(c *Config) { c.Schedule, c.Rate = Ramp, 3 },
	} {
		other := c
		change(&other)
		_, err := New(other, dir, "r1")
		var d *LedgerDiffers
		if !errors.Is(err, ErrLedgerDiffers) || !errors.As(err, &d) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(c, dir, "r2"); !errors.Is(err, ErrLedgerDiffers) || !strings.Contains(err.Error(), "run: the ledger has r1, now it is r2") {
		t.Errorf("another run: %v", err)
	}
	c.Seed = 0 // none given: the ledger's is taken
	s := mustNew(t, c, dir)
	if s.Seed() != 7 {
		t.Errorf("seed %d", s.Seed())
	}
	if _, err := New(c, dir, "r1"); !errors.Is(err, record.ErrLedgerInUse) {
		t.Errorf("two simulators on one ledger: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), newFakeLog().producer); err == nil {
		t.Error("a closed simulator runs")
	}
}

func TestRefusedMessages(t *testing.T) {
	t.Parallel()
	gone := errors.New("topic authorization failed")
	t.Run("for good", func(t *testing.T) {
		t.Parallel()
		log, dir := newFakeLog(), t.TempDir()
		log.refuse = func(n int) error {
			if n >= 500 {
				return gone
			}
			return nil
		}
		c := testConfig()
		c.Events = 1_000_000
		sum, err := mustNew(t, c, dir).Run(t.Context(), log.producer)
		if !errors.Is(err, gone) || !strings.Contains(err.Error(), "refused") || sum.Errors == 0 {
			t.Fatalf("%v, %+v", err, sum)
		}
		a := reconcile(t, dir, log.sent)
		if a.info.Totals.Finished || a.info.Totals.Unique > 500 || a.info.Totals.InDoubt == 0 {
			t.Errorf("totals %+v", a.info.Totals)
		}
	})
	t.Run("some", func(t *testing.T) {
		t.Parallel()
		log, dir := newFakeLog(), t.TempDir()
		log.refuse = func(n int) error {
			if n%100 == 0 {
				return connector.Retryable(errors.New("timed out"), 0)
			}
			return nil
		}
		sum := simulateAll(t, testConfig(), dir, log)
		if sum.Errors != int64(len(log.sent)+99)/100 || sum.Ledger.InDoubt != sum.Errors || sum.Ledger.Unsent != sum.Errors {
			t.Errorf("%+v", sum)
		}
	})
	t.Run("open", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		_, err := mustNew(t, testConfig(), dir).Run(t.Context(), func(context.Context, func(*connector.Message, error)) (connector.Producer, error) {
			return nil, &connector.Unreachable{What: "kafka", Err: gone}
		})
		var u *connector.Unreachable
		if !errors.As(err, &u) {
			t.Fatal(err)
		}
		simulateAll(t, testConfig(), dir, newFakeLog()) // the folder is as good as new
	})
}

func TestLedgerThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	log, dir := newFakeLog(), t.TempDir()
	c := testConfig()
	c.Events = 1_000_000
	s := mustNew(t, c, dir)
	log.refuse = func(n int) error {
		if n == 1000 {
			_ = s.ledger.Close(0, false) // pulls the file away
		}
		return nil
	}
	_, err := s.Run(t.Context(), log.producer)
	if err == nil || !strings.Contains(err.Error(), "ledger") {
		t.Fatal(err)
	}
	reconcile(t, dir, log.sent) // nothing was sent that it does not know
}

func TestDeathBeforeTheHeader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := writeFile(LedgerPath(dir, 1, 1), "MRLEDGER"); err != nil {
		t.Fatal(err)
	}
	simulateAll(t, testConfig(), dir, newFakeLog())
}

func TestRunWithoutScheduleForSomeTime(t *testing.T) {
	t.Parallel()
	c := testConfig()
	c.Events, c.Duration, c.OutOfOrder = 0, connector.Duration(100*time.Millisecond), 1
	log, dir := newFakeLog(), t.TempDir()
	s := mustNew(t, c, dir)
	if s.Target() != 0 {
		t.Errorf("target %d", s.Target())
	}
	sum, err := s.Run(t.Context(), log.producer)
	if err != nil {
		t.Fatal(err)
	}
	per := noGaps(t, reconcile(t, dir, log.sent))
	if len(per) != 10 || sum.Unique == 0 || s.Target() != sum.Unique || !sum.Ledger.Finished {
		t.Errorf("%d devices, %+v", len(per), sum)
	}
}

func BenchmarkSimulator(b *testing.B) {
	c := testConfig()
	c.Devices, c.Events, c.Duplicates, c.DuplicateDelay = 1000, int64(b.N), 0.001, connector.Duration(time.Minute)
	s := mustNew(b, c, b.TempDir())
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := s.Run(b.Context(), func(_ context.Context, ack func(*connector.Message, error)) (connector.Producer, error) {
		return nullProducer{ack}, nil
	}); err != nil {
		b.Fatal(err)
	}
}

// nullProducer acknowledges at once.
type nullProducer struct {
	ack func(*connector.Message, error)
}

func (p nullProducer) Produce(_ context.Context, m *connector.Message) error {
	p.ack(m, nil)
	return nil
}
func (nullProducer) Flush(context.Context) error { return nil }
func (nullProducer) Close() error                { return nil }

func BenchmarkRender(b *testing.B) {
	c := Defaults()
	t, err := c.compile(1)
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		e := newEvent(1, 7, n, n)
		out = t.render(out[:0], &e)
		n++
	}
	b.ReportMetric(float64(len(out)), "B/event")
}

func ExampleLedgerDiffers() {
	fmt.Println(&LedgerDiffers{Path: "d/simulate-1-of-1.ledger", Differences: []string{"rate: the ledger has 1000, now it is 5000"}})
	// Output: the run that d/simulate-1-of-1.ledger began cannot go on with another configuration: rate: the ledger has 1000, now it is 5000
}

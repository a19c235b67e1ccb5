package eventhubs_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs"
	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/hub"
	"millrace/internal/testservice"
	"millrace/record"
)

const patience = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	return ctx
}

// prepared opens and prepares a log of n partitions.
func prepared(t testing.TB, c *eventhubs.Config, env connector.Env, n int) connector.Log {
	t.Helper()
	c.Partitions = n
	l := openLog(t, c, env)
	t.Cleanup(func() { _ = l.Close() })
	if got, err := l.Prepare(testContext(t)); err != nil || got != n {
		t.Fatalf("Prepare: %d, %v", got, err)
	}
	return l
}

// acks collects what became of messages.
type acks struct {
	mu   sync.Mutex
	errs map[uint64]error
}

func newAcks() *acks { return &acks{errs: map[uint64]error{}} }

func (a *acks) acked(m *connector.Message, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.errs[m.Token] = err
}

func (a *acks) of(token uint64) (error, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	err, ok := a.errs[token]
	return err, ok
}

func (a *acks) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.errs)
}

// read returns everything a partition has.
func read(t testing.TB, l connector.Log, p int32) []record.Record {
	t.Helper()
	ends, err := l.Ends(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	var all []record.Record
	err = l.Replay(testContext(t), p, 0, ends[p], func(b *record.Batch) error {
		all = append(all, b.Records...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An event that is too large is refused alone, with a sentence; its neighbours
// arrive, in order. The largest that fits does.
func TestOversizedEventIsRefusedAlone(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	l := prepared(t, configFor(s.Address()), testEnv(t), 1)
	ctx, a := testContext(t), newAcks()
	p, err := l.Producer(ctx, a.acked)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	sizes := []int{10, 1 << 20, 20, 1<<20 - 200, 2 << 20, 700 << 10, 700 << 10, 0}
	for i, size := range sizes {
		m := &connector.Message{Key: []byte("k"), Value: bytes.Repeat([]byte{byte(i)}, size), Token: uint64(i)}
		if err := p.Produce(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	got := read(t, l, 0)
	for i, size := range sizes {
		err, ok := a.of(uint64(i))
		var h *connector.Hinted
		switch refused := size >= 1<<20; {
		case !ok:
			t.Errorf("the event of %d bytes was not acknowledged", size)
		case refused && (!errors.As(err, &h) || !strings.Contains(err.Error(), "larger than the hub takes")):
			t.Errorf("the event of %d bytes: %v, want that it is too large", size, err)
		case !refused && err != nil:
			t.Errorf("the event of %d bytes: %v", size, err)
		case !refused:
			if len(got) == 0 || len(got[0].Value) != size || size > 0 && got[0].Value[0] != byte(i) {
				t.Fatalf("event %d of %d bytes is not next; %d are left", i, size, len(got))
			}
			got = got[1:]
		}
	}
	if len(got) != 0 {
		t.Errorf("%d events too many", len(got))
	}
}

// Clear words for what users get wrong.
func TestMistakes(t *testing.T) {
	t.Parallel()
	s := start(t, options{key: "secret", hubs: []hub.Spec{{Name: "there", Partitions: 2}}})
	host := hostOf(t, s)
	for name, c := range map[string]struct {
		address string
		want    string
	}{
		"unknown hub":  {connectionString(host, "secret") + ";EntityPath=nowhere", "does not exist"},
		"wrong key":    {connectionString(host, "guess"), "refuses the key of RootManageSharedAccessKey"},
		"wrong policy": {strings.Replace(connectionString(host, "secret"), "RootManage", "Nobody", 1), "refuses the key of Nobody"},
		"nobody there": {connectionString(closedPort(t), "secret"), "connection refused"},
		"no such host": {connectionString("no-such-host..invalid", "secret"), "no such host"},
		"plain":        {strings.Replace(connectionString(host, "secret"), ";UseDevelopmentEmulator=true", "", 1), "closed the connection at once"},
		"partitions":   {connectionString(host, "secret") + ";EntityPath=there", "has 2 partitions, not the configured 4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := testEnv(t)
			l := openLog(t, configFor(c.address), env)
			defer l.Close()
			_, err := l.Prepare(testContext(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "guess") {
				t.Fatalf("Prepare: %v, want it to say %q", err, c.want)
			}
			var h *connector.Hinted
			var u *connector.Unreachable
			if !errors.As(err, &h) && !errors.As(err, &u) {
				t.Errorf("%v has no hint", err)
			}
			// Asking whether the service can be used finds the same.
			ping := configFor(c.address).Ping(testContext(t), env)
			if name == "partitions" {
				c.want = "" // they are the run's business
			}
			if (ping == nil) != (c.want == "") || ping != nil && !strings.Contains(ping.Error(), c.want) {
				t.Errorf("Ping: %v, want it to say %q", ping, c.want)
			}
			if strings.Contains(l.Describe(), "secret") {
				t.Errorf("Describe shows the key: %s", l.Describe())
			}
		})
	}
}

// A service that can be used is one whose hub may still have to be made, and
// asking makes nothing.
func TestPing(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	c, env := configFor(s.Address()), testEnv(t)
	if err := c.Ping(testContext(t), env); err != nil {
		t.Error(err)
	}
	hubs, err := s.cluster.Namespaces()[0].Hubs(testContext(t))
	if err != nil || len(hubs) != 0 {
		t.Errorf("asking made %d hubs, %v", len(hubs), err)
	}
}

// A hub that the connection string names is used as it is: no name is added,
// nothing is made or deleted.
func TestEntityPathFixesTheHub(t *testing.T) {
	t.Parallel()
	s := start(t, options{hubs: []hub.Spec{{Name: "theirs", Partitions: 2, Groups: []string{"known"}}}})
	ctx, env := testContext(t), testEnv(t)
	conf := configFor(s.Address() + ";EntityPath=theirs")
	l := prepared(t, conf, env, 2)
	if !strings.HasSuffix(l.Describe(), " hub theirs") {
		t.Errorf("it is called %s", l.Describe())
	}
	if d, err := conf.OpenDeadLetters(ctx, env, "dead"); d != nil || err != nil {
		t.Errorf("dead letters beside a single hub: %v, %v", d, err)
	}
	for _, group := range []string{"known", "unknown"} {
		src, err := l.Source(ctx, group)
		if err != nil {
			t.Fatalf("Source of group %s: %v", group, err)
		}
		_ = src.Close()
		if of, err := l.Committed(ctx, group); err != nil || len(of) != 0 {
			t.Errorf("Committed of group %s: %v, %v", group, of, err)
		}
	}
	if err := l.Drop(ctx); err != nil {
		t.Errorf("Drop: %v", err)
	}
	if n, err := l.Prepare(ctx); n != 2 || err != nil {
		t.Errorf("after Drop: %d, %v", n, err)
	}
}

// Without the management API an existing hub works, with $Default where the
// group is missing, and a missing hub is a clear error.
func TestWithoutManagement(t *testing.T) {
	t.Parallel()
	s := start(t, options{noWeb: true, hubs: []hub.Spec{{Name: "telemetry", Partitions: 2}}})
	env := testEnv(t)
	env.Run = ""
	l := prepared(t, configFor(s.Address()), env, 2)
	send(t, l, 100, 0)
	// The workers have to share $Default with those who replay.
	w := newWorld(2)
	m := w.join(t, l, "a-group-of-its-own")
	m.replay = l
	w.await(t, 100)
	m.leave(t)
	w.check(t, l)

	env.Run = "x"
	missing := openLog(t, configFor(s.Address()), env)
	defer missing.Close()
	_, err := missing.Prepare(testContext(t))
	var h *connector.Hinted
	if !errors.As(err, &h) || !strings.Contains(h.Hint, "make it by hand") {
		t.Errorf("Prepare of a missing hub: %v, want what to do", err)
	}
}

// A service that throttles is waited for and counted; nothing is lost and the
// order stays.
func TestThrottlingIsCounted(t *testing.T) {
	t.Parallel()
	s := start(t, options{units: 1})
	l := prepared(t, configFor(s.Address()), testEnv(t), 2)
	// One unit takes 1000 events a second, or a megabyte: large events are sent
	// faster than that by any machine.
	const size, n = 8 << 10, 500
	ctx, a := testContext(t), newAcks()
	p, err := l.Producer(ctx, a.acked)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := range n {
		m := event(i)
		m.Value = append(m.Value, make([]byte, size)...)
		if err := p.Produce(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if n := l.(connector.Throttled).Throttled(); n == 0 {
		t.Error("four seconds' worth of events at once were not throttled")
	}
	total := 0
	for p := range int32(2) {
		last := map[string]uint64{}
		for _, r := range read(t, l, p) {
			n := numberOf(&r)
			if before, ok := last[string(r.Key)]; ok && n <= before {
				t.Fatalf("key %s: %d after %d", r.Key, n, before)
			}
			last[string(r.Key)] = n
			total++
		}
	}
	if total != n {
		t.Errorf("%d events arrived, want %d", total, n)
	}
}

// The service is stopped and started, on its port and data, while a producer
// and sources are at work: all carry on, nothing acknowledged is lost, what
// comes twice is what was sent twice, order is kept.
func TestServiceRestarts(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), testservice.Port(t)
	s := start(t, options{dir: dir, port: port})
	env := testEnv(t)
	l := prepared(t, configFor(s.Address()), env, 4)
	w := newWorld(4)
	m := w.join(t, l, "g")
	ctx, a := testContext(t), newAcks()
	p, err := l.Producer(ctx, a.acked)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const n = 12_000
	for i := range n {
		if i%3000 == 2999 {
			s.stop()
			s = start(t, options{dir: dir, port: port})
		}
		if err := p.Produce(ctx, event(i)); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			time.Sleep(5 * time.Millisecond) // so that there is something under way
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err, ok := a.of(uint64(i)); !ok || err != nil {
			t.Fatalf("event %d: acknowledged %v, %v", i, ok, err)
		}
	}
	w.until(t, "every event", func() bool { return len(w.seen) == n })
	m.leave(t)
	w.check(t, l)
}

// An answer that is lost on its way is no reason to send twice: the batch is
// found in the hub.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	env := testEnv(t)
	l := prepared(t, configFor(s.Address()), env, 1)
	proxy := newProxy(t, hostOf(t, s))
	conf := configFor(connectionString(proxy.address, "any"))
	conf.Partitions = 1
	far := openLog(t, conf, env)
	defer far.Close()
	ctx, a := testContext(t), newAcks()
	p, err := far.Producer(ctx, a.acked)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const rounds, each = 5, 50
	produce := func(from int) {
		t.Helper()
		for i := from; i < from+each/2; i++ {
			if err := p.Produce(ctx, event(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	flush := func() {
		t.Helper()
		if err := p.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for r := range rounds {
		produce(r * each)
		flush() // over a connection that works
		proxy.swallow(true)
		produce(r*each + each/2)
		for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			if ends, err := l.Ends(ctx); err != nil || time.Now().After(deadline) {
				t.Fatalf("the events do not arrive: %v, %v", ends, err)
			} else if ends[0] >= int64((r+1)*each) {
				break
			}
		}
		proxy.swallow(false) // which ends the connections
		flush()
	}
	got := read(t, l, 0)
	if len(got) != rounds*each {
		t.Errorf("%d events in the hub, want %d", len(got), rounds*each)
	}
	for i, r := range got {
		if numberOf(&r) != uint64(i) {
			t.Fatalf("event %d is %d", i, numberOf(&r))
		}
	}
	if a.count() != rounds*each {
		t.Errorf("%d acknowledgements", a.count())
	}
}

// A producer that is closed while the service is away gives everything back.
func TestProducerClosedDuringOutage(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	l := prepared(t, configFor(s.Address()), testEnv(t), 2)
	ctx, a := testContext(t), newAcks()
	p, err := l.Producer(ctx, a.acked)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Produce(ctx, event(0)); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	s.stop()
	for i := 1; i < 500; i++ {
		if err := p.Produce(ctx, event(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if a.count() != 500 {
		t.Errorf("%d acknowledgements, want 500", a.count())
	}
	if _, err := l.Ends(ctx); connector.ActionOf(err) != connector.Retry {
		t.Errorf("Ends while the service is away: %v, want that it is worth retrying", err)
	}
}

// TLS with an authority of one's own, and AMQP over WebSockets, plain and
// encrypted.
func TestTransports(t *testing.T) {
	t.Parallel()
	cert, caFile := certificate(t)
	s := start(t, options{key: "secret", change: func(o *local.Options) { o.TLS = cert }})
	host := hostOf(t, s)
	plain := connectionString(host, "secret")
	encrypted := strings.Replace(plain, ";UseDevelopmentEmulator=true", "", 1)
	for name, c := range map[string]struct {
		address    string
		webSockets bool
		ca         string
		insecure   bool
		fails      bool
	}{
		"tls":            {address: encrypted, ca: caFile},
		"tls unchecked":  {address: encrypted, insecure: true},
		"tls untrusted":  {address: encrypted, fails: true},
		"websocket":      {address: plain, webSockets: true},
		"websocket, tls": {address: encrypted, webSockets: true, ca: caFile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := configFor(c.address)
			conf.WebSockets, conf.TLS.CAFile, conf.TLS.InsecureSkipVerify = c.webSockets, c.ca, c.insecure
			if c.fails {
				l := openLog(t, conf, testEnv(t))
				defer l.Close()
				_, err := l.Prepare(testContext(t))
				if err == nil || !strings.Contains(err.Error(), "certificate is not trusted") {
					t.Errorf("Prepare: %v", err)
				}
				return
			}
			l := prepared(t, conf, testEnv(t), 2)
			send(t, l, 500, 0)
			w := newWorld(2)
			m := w.join(t, l, "g")
			w.await(t, 500)
			m.leave(t)
			w.check(t, l)
		})
	}
}

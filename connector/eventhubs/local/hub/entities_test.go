package hub_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	srv := startLog(t, t.TempDir(), 0)
	file := filepath.Join(t.TempDir(), "hubs.json")
	options := hub.Options{Brokers: []string{srv.Address()}, StateFile: file, Namespaces: []hub.NamespaceSpec{
		{Name: "one", ThroughputUnits: 3, Hubs: []hub.Spec{{Name: "configured", Partitions: 3, Groups: []string{"g1"}}}}, {Name: "two"},
	}}
	c := open(t, options)
	two, _ := c.Namespace("TWO")
	ctx := testContext(t)
	capture := &hub.CaptureSpec{Enabled: true, Interval: time.Minute, Codec: "deflate", Container: "archive"}
	h, err := two.CreateHub(ctx, hub.Spec{Name: "Orders", Partitions: 2, Retention: time.Hour, Groups: []string{"b", "a", "B"}, Capture: capture})
	if err != nil {
		t.Fatal(err)
	}
	changed := c.Changed()
	if err := two.CreateGroup(ctx, "orders", "later"); err != nil {
		t.Fatal(err)
	}
	<-changed
	for _, tt := range []struct {
		what string
		err  error
		want error
	}{
		{"same hub", second(two.CreateHub(ctx, hub.Spec{Name: "Orders", Partitions: 2})), hub.ErrExists},
		{"same hub in another case", second(two.CreateHub(ctx, hub.Spec{Name: "orders"})), hub.ErrExists},
		{"same group", two.CreateGroup(ctx, "Orders", "LATER"), hub.ErrExists},
		{"default group", two.CreateGroup(ctx, "Orders", "$default"), hub.ErrExists},
		{"no such hub", two.CreateGroup(ctx, "none", "g"), hub.ErrNotFound},
		{"no such hub to delete", two.DeleteHub(ctx, "none"), hub.ErrNotFound},
		{"no such group", two.DeleteGroup(ctx, "Orders", "none"), hub.ErrNotFound},
		{"deleting the default group", two.DeleteGroup(ctx, "Orders", "$Default"), hub.ErrInvalid},
		{"other partitions", second(two.UpdateHub(ctx, hub.Spec{Name: "Orders", Partitions: 9})), hub.ErrInvalid},
		{"bad name", second(two.CreateHub(ctx, hub.Spec{Name: "a b"})), hub.ErrInvalid},
		{"bad end", second(two.CreateHub(ctx, hub.Spec{Name: "ab-"})), hub.ErrInvalid},
		{"long name", second(two.CreateHub(ctx, hub.Spec{Name: strings.Repeat("x", 257)})), hub.ErrInvalid},
		{"no name", second(two.CreateHub(ctx, hub.Spec{})), hub.ErrInvalid},
		{"long group", two.CreateGroup(ctx, "Orders", strings.Repeat("x", 51)), hub.ErrInvalid},
		{"many partitions", second(two.CreateHub(ctx, hub.Spec{Name: "x", Partitions: 1025})), hub.ErrInvalid},
		{"negative partitions", second(two.CreateHub(ctx, hub.Spec{Name: "x", Partitions: -1})), hub.ErrInvalid},
		{"another namespace's", second(c.Default().CreateHub(ctx, hub.Spec{Name: "two.x"})), hub.ErrInvalid},
		{"unknown codec", second(two.CreateHub(ctx, hub.Spec{Name: "x", Capture: &hub.CaptureSpec{Codec: "zip"}})), hub.ErrInvalid},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, tt.err, tt.want)
		}
	}
	want := h.Info()
	if want.Retention != time.Hour || !slices.Equal(want.Groups, []string{"$Default", "a", "b", "later"}) || !sameCapture(want.Capture, capture) {
		t.Errorf("info: %+v", want)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	options.Namespaces[0].Hubs[0].Groups = []string{"g2"}
	c = open(t, options)
	two, _ = c.Namespace("two")
	h, err = two.Hub(ctx, "ORDERS")
	if err != nil {
		t.Fatal(err)
	}
	got := h.Info()
	if got.Name != "Orders" || got.Namespace != "two" || !got.CreatedAt.Equal(want.CreatedAt) || got.Retention != want.Retention ||
		!slices.Equal(got.Groups, want.Groups) || !sameCapture(got.Capture, capture) || !got.Capture.Since.Equal(want.Capture.Since) {
		t.Errorf("info: %+v, want %+v", got, want)
	}
	if g, ok := h.HasGroup("LATER"); !ok || g != "later" {
		t.Errorf("group: %q, %v", g, ok)
	}
	if _, err := two.UpdateHub(ctx, hub.Spec{Name: "Orders", Retention: 2 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got := h.Info(); got.Capture != nil || got.Retention != 2*time.Hour {
		t.Errorf("after an update: %+v", got)
	}
	configured, err := c.Default().Hub(ctx, "configured")
	if err != nil {
		t.Fatal(err)
	}
	if got := configured.Info(); got.Partitions != 3 || !slices.Equal(got.Groups, []string{"$Default", "g1", "g2"}) {
		t.Errorf("configured hub: %+v", got)
	}
	if c.Default().Quota().Units() != 3 || two.Quota().Units() != 0 {
		t.Error("wrong throughput units")
	}
	if files, _ := os.ReadDir(filepath.Dir(file)); len(files) != 2 { // the other one is the lock
		t.Errorf("files left behind: %v", files)
	}
	if err := two.DeleteGroup(ctx, "Orders", "A"); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.HasGroup("a"); ok {
		t.Error("the group is still there")
	}
}

func sameCapture(got, want *hub.CaptureSpec) bool {
	if got == nil || got.Since.IsZero() {
		return false
	}
	g, w := *got, *want
	g.Since, w.Since = time.Time{}, time.Time{}
	return g == w
}

func second[T any](_ T, err error) error { return err }

func TestTopicsAreHubs(t *testing.T) {
	t.Parallel()
	srv := startLog(t, t.TempDir(), 0)
	ctx := testContext(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(srv.Address()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 5, 1, nil, "foreign"); err != nil {
		t.Fatal(err)
	}
	c := open(t, hub.Options{Brokers: []string{srv.Address()}, Namespaces: []hub.NamespaceSpec{{Name: "first"}, {Name: "second"}}})
	first, other := c.Default(), c.Namespaces()[1]
	h, err := first.Hub(ctx, "foreign")
	if err != nil {
		t.Fatal(err)
	}
	if info := h.Info(); info.Partitions != 5 || !slices.Equal(info.Groups, []string{"$Default"}) || info.CreatedAt.IsZero() {
		t.Errorf("info: %+v", info)
	}
	appendAll(t, h, 4, "x")
	// One that is created later is found as well, and gets groups.
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 1, nil, "second.late"); err != nil {
		t.Fatal(err)
	}
	late, err := other.Hub(ctx, "late")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.CreateGroup(ctx, "late", "g"); err != nil {
		t.Fatal(err)
	}
	if _, ok := late.HasGroup("G"); !ok {
		t.Error("the group is missing")
	}
	for _, tt := range []struct {
		ns         *hub.Namespace
		topic, hub string
		ok         bool
	}{
		{first, "foreign", "foreign", true}, {other, "foreign", "", false}, {other, "second.late", "late", true},
		{first, "second.late", "", false}, {first, "__consumer_offsets", "", false}, {other, "second.none", "none", true},
		{first, "none.of.them", "none.of.them", true},
	} {
		if got, ok := tt.ns.HubOfTopic(tt.topic); ok != tt.ok || ok && got != tt.hub {
			t.Errorf("hub of topic %s in %s: %q, %v", tt.topic, tt.ns.Name(), got, ok)
		}
	}
	if first.Topic("foreign") != "foreign" || other.Topic("late") != "second.late" || other.Topic("none") != "second.none" {
		t.Error("wrong topics")
	}
	for _, tt := range []struct {
		ns          *hub.Namespace
		group, name string
		ok          bool
	}{
		{first, "g", "g", true}, {other, "g", "", false}, {other, "second.g", "g", true}, {first, "second.g", "", false},
	} {
		if got, ok := tt.ns.OfKafkaGroup(tt.group); ok != tt.ok || ok && got != tt.name {
			t.Errorf("group %s in %s: %q, %v", tt.group, tt.ns.Name(), got, ok)
		}
	}
	hubs, err := first.Hubs(ctx)
	if err != nil || len(hubs) != 1 || hubs[0] != h {
		t.Errorf("hubs: %v, %v", hubs, err)
	}
}

func TestConcurrentCreate(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, brokers, prefix string) {
		c := open(t, hub.Options{Brokers: []string{brokers}})
		ctx := testContext(t)
		name := prefix + "contested"
		var created atomic.Int32
		var waits sync.WaitGroup
		for range 8 {
			waits.Go(func() {
				h, err := c.Default().CreateHub(ctx, hub.Spec{Name: name, Partitions: 2})
				switch {
				case err == nil:
					created.Add(1)
					if h.Partitions() != 2 {
						t.Errorf("%d partitions", h.Partitions())
					}
				case !errors.Is(err, hub.ErrExists):
					t.Error(err)
				}
			})
		}
		waits.Wait()
		if created.Load() != 1 {
			t.Errorf("created %d times", created.Load())
		}
		if err := c.Default().DeleteHub(ctx, name); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Default().Hub(ctx, name); !errors.Is(err, hub.ErrNotFound) {
			t.Errorf("after deletion: %v", err)
		}
	})
}

package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]address{
		"hub":                               {kind: nodeHub, hub: "hub"},
		"/hub/":                             {kind: nodeHub, hub: "hub"},
		"amqps://ns.example.net:5671/hub":   {kind: nodeHub, hub: "hub"},
		"sb://localhost/hub/Partitions/12":  {kind: nodePartition, hub: "hub", partition: "12"},
		"hub/publishers/dev":                {kind: nodePublisher, hub: "hub", publisher: "dev"},
		"hub/CONSUMERGROUPS/g/partitions/0": {kind: nodeReceiver, hub: "hub", group: "g", partition: "0"},
		"$cbs":                              {kind: nodeCBS},
		"amqp://host/$CBS":                  {kind: nodeCBS},
		"$management":                       {kind: nodeManagement},
		"hub/$management":                   {kind: nodeManagement, hub: "hub"},
		"":                                  {},
		"amqp://host":                       {},
		"$other":                            {hub: "$other"},
		"hub/ConsumerGroups/g":              {hub: "hub"},
		"hub/a/b/c/d/e":                     {hub: "hub"},
	} {
		got := parseAddress(text)
		want.path = addressPath(text)
		if got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		granted, wanted string
		want            bool
	}{
		{"hub", "hub", true}, {"hub", "HUB/Partitions/1", true}, {"Hub/Partitions/1", "hub/partitions/1", true}, {"", "anything", true},
		{"hub", "hub2", false}, {"hub/partitions/1", "hub", false}, {"hub/partitions/1", "hub/partitions/11", false},
	} {
		if got := covers(tt.granted, tt.wanted); got != tt.want {
			t.Errorf("%q covers %q: %v", tt.granted, tt.wanted, got)
		}
	}
	c := claims{}
	now := time.Now()
	c.add("Hub", now.Add(time.Minute))
	if !c.cover("hub/partitions/1", now) || c.cover("hub/partitions/1", now.Add(time.Hour)) || c.cover("other", now) {
		t.Error("a claim is for its path and its time")
	}
}

func TestFirstLabel(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"ns.servicebus.example.net": "ns", "localhost:5672": "localhost", "": "", "amqp://a.b/c": "a"} {
		if got := firstLabel(host); got != want {
			t.Errorf("%q: %q", host, got)
		}
	}
}

func TestParseSelector(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]start{
		"amqp.annotation.x-opt-offset > '123'":               {kind: startOffset, value: 123, text: "123"},
		"amqp.annotation.x-opt-offset >= '123'":              {kind: startOffset, value: 123, text: "123", inclusive: true},
		"amqp.annotation.x-opt-offset > '-1'":                {kind: startEarliest, value: -1, text: "-1"},
		"amqp.annotation.x-opt-offset > '@latest'":           {kind: startLatest, text: "@latest"},
		"amqp.annotation.x-opt-offset >= '@LATEST'":          {kind: startLatest, text: "@LATEST", inclusive: true},
		"amqp.annotation.x-opt-sequence-number > '42'":       {kind: startSequence, value: 42, text: "42"},
		" amqp.annotation.x-opt-sequence-number>=42 ":        {kind: startSequence, value: 42, text: "42", inclusive: true},
		"amqp.annotation.x-opt-enqueued-time > '1650000000'": {kind: startTime, value: 1650000000, text: "1650000000"},
	} {
		if got, err := parseSelector(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "amqp.annotation.x-opt-offset", "amqp.annotation.x-opt-offset < '1'", "amqp.annotation.colour > '1'",
		"amqp.annotation.x-opt-offset > ''", "amqp.annotation.x-opt-offset > '1' AND x", "amqp.annotation.x-opt-enqueued-time > '@latest'", strings.Repeat("x", 1000)} {
		if got, err := parseSelector(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestStartOf(t *testing.T) {
	t.Parallel()
	selector := func(descriptor, value any) amqp.Map {
		return amqp.Map{{Key: amqp.Symbol("other"), Value: amqp.Described{Descriptor: uint64(1), Value: "ignored"}},
			{Key: amqp.Symbol(selectorName), Value: amqp.Described{Descriptor: descriptor, Value: value}}}
	}
	const text = "amqp.annotation.x-opt-offset > '5'"
	for _, filters := range []amqp.Map{
		selector(selectorCode, text), selector(amqp.Symbol(selectorName), text), selector(amqp.Symbol(selectorName), []byte(text)),
		selector(selectorName, amqp.Symbol(text)), {{Key: amqp.Symbol(selectorName), Value: text}},
	} {
		if got, err := startOf(filters); err != nil || got.kind != startOffset || got.value != 5 {
			t.Errorf("%v: %+v, %v", filters, got, err)
		}
	}
	for _, filters := range []amqp.Map{nil, {}, selector(selectorCode, nil), selector(uint64(5), text)} {
		if got, err := startOf(filters); err != nil || got.kind != startEarliest {
			t.Errorf("%v: %+v, %v", filters, got, err)
		}
	}
	if _, err := startOf(selector(selectorCode, int64(5))); err == nil {
		t.Error("a number is no expression")
	}
}

func TestErrorsOfTheLogInTheServicesWords(t *testing.T) {
	t.Parallel()
	c := &conn{hostname: "localhost:5672"}
	for _, tt := range []struct {
		err  error
		want amqp.Symbol
	}{
		{fmt.Errorf("hub x: %w", hub.ErrNotFound), amqp.ErrorNotFound},
		{fmt.Errorf("append: %w", hub.ErrTooLarge), amqp.ErrorLinkMessageSize},
		{fmt.Errorf("append: %w", hub.ErrClosed), amqp.ErrorConnectionForced},
		{fmt.Errorf("asking: %w", context.DeadlineExceeded), condTimeout},
		{connector.Retryable(errors.New("away"), 0), condServerBusy},
		{errors.New("something else"), amqp.ErrorInternal},
		{&amqp.Error{Condition: condArgumentError}, condArgumentError},
	} {
		if got := fromLog(c, "x", tt.err); got.Condition != tt.want {
			t.Errorf("%v: %v, want %s", tt.err, got, tt.want)
		}
		want := map[amqp.Symbol]int32{amqp.ErrorNotFound: 404, condServerBusy: 503, condTimeout: 503}[tt.want]
		if want == 0 {
			want = 500
		}
		if got := c.refusal("x", tt.err); got.status != want {
			t.Errorf("%v: status %d, want %d", tt.err, got.status, want)
		}
	}
}

// What failed may be sent again with its number.
func TestNumbersOfFailedAppends(t *testing.T) {
	t.Parallel()
	all := newNumberedProducers()
	n := all.of(numberedKey{id: 7})
	n.accept(1, 10)
	n.accept(11, 5)
	if n.underWay(16, 5) || !n.underWay(5, 1) || !n.underWay(15, 3) || n.underWay(0, 1) {
		t.Error("what is under way is mistaken")
	}
	n.answered(1, true)
	n.answered(11, false)
	if n.underWay(1, 100) {
		t.Error("something is still under way")
	}
	if n.last != 10 {
		t.Errorf("last number %d", n.last)
	}
	var none *numbering
	none.accept(1, 1)
	none.answered(1, false)
	// Those in use are kept, the others make room.
	n.owner = &producer{}
	for i := range 2 * maxNumbered {
		all.of(numberedKey{id: int64(100 + i)})
	}
	if len(all.m) > maxNumbered || all.of(numberedKey{id: 7}) != n {
		t.Errorf("%d producers are remembered", len(all.m))
	}
}

func TestNumbersBeginAgain(t *testing.T) {
	t.Parallel()
	if after(5, 1) != 6 || after(1<<31-1, 1) != 0 || after(1<<31-1, 3) != 2 {
		t.Error("numbers do not begin again at 0")
	}
}

func FuzzParseSelector(f *testing.F) {
	f.Add("amqp.annotation.x-opt-offset > '123'")
	f.Add("amqp.annotation.x-opt-sequence-number >= '@latest'")
	f.Add("amqp.annotation.x-opt-enqueued-time>''")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSelector(text)
		if err == nil && (s.kind == startOffset || s.kind == startSequence) && s.value < 0 {
			t.Errorf("%q: %+v", text, s)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	f.Add("hub/ConsumerGroups/g/Partitions/0")
	f.Add("amqp://host:1/hub/$management")
	f.Fuzz(func(t *testing.T, text string) {
		a := parseAddress(text)
		if a.kind >= nodeHub && a.kind <= nodeReceiver && (a.hub == "" || !strings.HasPrefix(a.path, a.hub)) {
			t.Errorf("%q: %+v", text, a)
		}
	})
}

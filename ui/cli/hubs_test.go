package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"millrace/connector"
	"millrace/connector/eventhubs"
)

// fakeHubs is a namespace that notes what it is asked.
type fakeHubs struct {
	remote     bool
	defaultHub string
	asked      []string
	bodies     []string
	err        error
	empty      bool
}

func (f *fakeHubs) ask(format string, args ...any) error {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
	return f.err
}
func (f *fakeHubs) Host() string       { return "127.0.0.1:5672" }
func (f *fakeHubs) Local() bool        { return !f.remote }
func (f *fakeHubs) DefaultHub() string { return f.defaultHub }
func (f *fakeHubs) Close() error       { return nil }
func (f *fakeHubs) Hubs(context.Context) ([]eventhubs.HubInfo, error) {
	n, rate := int64(12345), 10.5
	if f.empty {
		return nil, f.ask("hubs")
	}
	return []eventhubs.HubInfo{
		{Name: "orders", PartitionCount: 4, RetentionInHours: 168, Events: &n, EventsPerSecond: &rate, LastEnqueuedTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		{Name: "old", PartitionCount: 2, RetentionInHours: 24},
	}, f.ask("hubs")
}
func (f *fakeHubs) CreateHub(_ context.Context, name string, partitions int, retention time.Duration) error {
	return f.ask("create %s %d %s", name, partitions, retention)
}
func (f *fakeHubs) DeleteHub(_ context.Context, name string) error { return f.ask("delete %s", name) }
func (f *fakeHubs) Groups(_ context.Context, hub string) ([]eventhubs.GroupInfo, error) {
	n := int64(7)
	return []eventhubs.GroupInfo{{Name: "$Default", Protocol: "amqp"}, {Name: "sink", Protocol: "kafka", State: "Stable", Lag: &n}}, f.ask("groups %s", hub)
}
func (f *fakeHubs) CreateGroup(_ context.Context, hub, group string) error {
	return f.ask("create %s/%s", hub, group)
}
func (f *fakeHubs) DeleteGroup(_ context.Context, hub, group string) error {
	return f.ask("delete %s/%s", hub, group)
}
func (f *fakeHubs) Peek(_ context.Context, p eventhubs.Peek, fn func(eventhubs.PeekedEvent) error) error {
	from := "latest"
	switch {
	case p.From.Earliest:
		from = "earliest"
	case p.From.Sequence != nil:
		from = fmt.Sprint(*p.From.Sequence)
	case p.From.At != nil:
		from = p.From.At.Format(time.RFC3339)
	}
	if err := f.ask("peek %s %q %s %d %v", p.Hub, p.Partition, from, p.Count, p.Follow); err != nil || f.empty {
		return err
	}
	at, key, kind := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), "k\x1b[2J", "application/json"
	events := []*azeventhubs.ReceivedEventData{
		{EventData: azeventhubs.EventData{Body: []byte("{\"a\":1}\n"), ContentType: &kind, Properties: map[string]any{"z": int64(1), "b": []byte("raw")}},
			EnqueuedTime: &at, PartitionKey: &key, Offset: "41", SequenceNumber: 41},
		{EventData: azeventhubs.EventData{Body: []byte{0xff, 0}}, EnqueuedTime: &at, Offset: "42", SequenceNumber: 42},
	}
	for _, e := range events {
		if err := fn(eventhubs.PeekedEvent{Partition: "3", ReceivedEventData: e}); err != nil {
			return err
		}
	}
	return nil
}
func (f *fakeHubs) Send(ctx context.Context, s eventhubs.Send, bodies <-chan []byte) (int, error) {
	if err := f.ask("send %s %q %q %v", s.Hub, s.Key, s.Partition, s.Properties); err != nil {
		return 3, err
	}
	for b := range bodies {
		f.bodies = append(f.bodies, string(b))
	}
	return len(f.bodies), ctx.Err()
}

// hubsEnv is an Env whose stand-in has a client.
func hubsEnv(f *fakeHubs, args ...string) (e Env, out, errs *bytes.Buffer, given *ExploreOptions) {
	e, out, errs = testEnv(append([]string{"local", "eventhubs"}, args...)...)
	given = &ExploreOptions{}
	e.Stages.Locals = []Local{{Name: "eventhubs", Short: "Event Hubs", Port: 5672, Address: "EVENTHUBS_CONNECTION_STRING",
		Explore: func(o ExploreOptions) (Hubs, error) { *given = o; return f, nil }}}
	return e, out, errs, given
}

func TestHubCommands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args  []string
		asked string
		out   string
	}{
		"list": {[]string{"hubs", "list"}, "hubs", `hub     partitions  events  events/s  kept    newest event
------  ----------  ------  --------  ------  --------------------
orders           4  12345   10.5      7 days  2026-01-02 03:04:05Z
old              2  -       -         24 h    -
(2 rows)
`},
		"create":        {[]string{"hubs", "create", "orders"}, "create orders 4 0s", "created hub orders with 4 partitions at 127.0.0.1:5672\n"},
		"create, one":   {[]string{"hubs", "create", "orders", "--partitions", "1", "--retention", "72h"}, "create orders 1 72h0m0s", "created hub orders with 1 partition at 127.0.0.1:5672\n"},
		"delete":        {[]string{"hubs", "delete", "orders"}, "delete orders", "deleted hub orders at 127.0.0.1:5672\n"},
		"groups":        {[]string{"groups", "list", "orders"}, "groups orders", "group     protocol      lag\n--------  ------------  ---\n$Default  amqp          -\nsink      kafka Stable  7\n(2 rows)\n"},
		"create group":  {[]string{"groups", "create", "orders", "billing"}, "create orders/billing", "created consumer group billing of hub orders\n"},
		"delete group":  {[]string{"groups", "delete", "orders", "billing"}, "delete orders/billing", "deleted consumer group billing of hub orders\n"},
		"peek":          {[]string{"peek", "orders"}, `peek orders "" latest 10 false`, "2026-01-02T03:04:05.006Z p3 #41 key=k·[2J b=raw z=1 {\"a\":1}·\n2026-01-02T03:04:05.006Z p3 #42 (2 bytes, not text)\n"},
		"peek, where":   {[]string{"peek", "orders", "--partition", "3", "--from", "40", "--count", "2", "--follow"}, `peek orders "3" 40 2 true`, ""},
		"peek earliest": {[]string{"peek", "orders", "--from", "Earliest"}, `peek orders "" earliest 10 false`, ""},
		"peek, a time":  {[]string{"peek", "orders", "--from", "2026-01-31T12:00:00Z"}, `peek orders "" 2026-01-31T12:00:00Z 10 false`, ""},
		"send":          {[]string{"send", "orders", "one", "two", "--key", "k", "--property", "a=b=c"}, `send orders "k" "" map[a:b=c]`, "sent 2 events to orders\n"},
		"help of hubs":  {[]string{"hubs"}, "", ""},
	} {
		f := &fakeHubs{}
		e, out, errs, _ := hubsEnv(f, c.args...)
		if code := Run(context.Background(), e); code != 0 || errs.Len() > 0 {
			t.Errorf("%s: exit %d: %s", name, code, errs)
		}
		if got := strings.Join(f.asked, ","); got != c.asked {
			t.Errorf("%s: asked %q, want %q", name, got, c.asked)
		}
		if c.out != "" && out.String() != c.out {
			t.Errorf("%s:\n%s\nwant\n%s", name, out, c.out)
		}
	}
}

func TestHubCommandsAsJSON(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"hubs", "list", "--json"}, {"groups", "list", "orders", "--json"}} {
		e, out, _, _ := hubsEnv(&fakeHubs{}, args...)
		var list []map[string]any
		if code := Run(context.Background(), e); code != 0 || json.Unmarshal(out.Bytes(), &list) != nil || len(list) != 2 {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
	e, out, _, _ := hubsEnv(&fakeHubs{}, "peek", "orders", "--json")
	if code := Run(context.Background(), e); code != 0 {
		t.Fatalf("exit %d", code)
	}
	want := `{"partition":"3","sequenceNumber":41,"offset":"41","enqueuedTime":"2026-01-02T03:04:05.006Z","partitionKey":"k\u001b[2J","contentType":"application/json","properties":{"b":"raw","z":1},"body":"{\"a\":1}\n"}
{"partition":"3","sequenceNumber":42,"offset":"42","enqueuedTime":"2026-01-02T03:04:05.006Z","bodyBase64":"/wA="}
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
	e, out, _, _ = hubsEnv(&fakeHubs{empty: true}, "hubs", "list", "--json")
	if Run(context.Background(), e); out.String() != "[]\n" {
		t.Errorf("no hubs: %q", out)
	}
}

func TestSendReadsLines(t *testing.T) {
	t.Parallel()
	f := &fakeHubs{}
	e, out, errs, _ := hubsEnv(f, "send", "orders")
	e.Stdin = strings.NewReader("one\n\ntwo\r\nthree")
	if code := Run(context.Background(), e); code != 0 || strings.Join(f.bodies, "|") != "one|two|three" || out.String() != "sent 3 events to orders\n" {
		t.Errorf("exit %d, %q, %q: %s", code, f.bodies, out, errs)
	}
	f = &fakeHubs{}
	e, _, errs, _ = hubsEnv(f, "send", "orders", "--whole")
	e.Stdin = strings.NewReader("one\ntwo\n")
	if code := Run(context.Background(), e); code != 0 || strings.Join(f.bodies, "|") != "one\ntwo\n" {
		t.Errorf("exit %d, %q: %s", code, f.bodies, errs)
	}
	e, _, errs, _ = hubsEnv(&fakeHubs{}, "send", "orders")
	e.Stdin = strings.NewReader(strings.Repeat("x", maxLine+1))
	if code := Run(context.Background(), e); code != 2 || !strings.Contains(errs.String(), "1 MB at most") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestHubMistakes(t *testing.T) {
	t.Parallel()
	away := &connector.Unreachable{What: "Event Hubs at h:1", Err: errors.New("connection refused"), Hint: "x"}
	for name, c := range map[string]struct {
		args []string
		hubs *fakeHubs
		code int
		want []string
	}{
		"no such command":    {[]string{"hbus"}, nil, 2, []string{"millrace local eventhubs has no command `hbus`; did you mean `hubs`?"}},
		"no such subcommand": {[]string{"hubs", "lst"}, nil, 2, []string{"did you mean `list`?", "there are: create, delete, list"}},
		"no hub":             {[]string{"peek"}, nil, 2, []string{"needs the name of a hub"}},
		"two hubs":           {[]string{"peek", "a", "b"}, nil, 2, []string{"takes one hub; `b` is too much"}},
		"no group":           {[]string{"groups", "create", "a"}, nil, 2, []string{"needs the name of a hub and the name of a group"}},
		"too much":           {[]string{"hubs", "create", "a", "b"}, nil, 2, []string{"`b` is too much"}},
		"place":              {[]string{"peek", "a", "--from", "yesterday"}, nil, 2, []string{"--from does not know `yesterday`"}},
		"count":              {[]string{"peek", "a", "--count", "0"}, nil, 2, []string{"--count must be at least 1"}},
		"partitions":         {[]string{"hubs", "create", "a", "--partitions", "0"}, nil, 2, []string{"at least 1"}},
		"retention":          {[]string{"hubs", "create", "a", "--retention", "90m"}, nil, 2, []string{"whole hours"}},
		"address":            {[]string{"hubs", "list", "--address", "localhost"}, nil, 2, []string{"--address must be host:port"}},
		"property":           {[]string{"send", "a", "b", "--property", "x"}, nil, 2, []string{"`x` is not name=value"}},
		"key and partition":  {[]string{"send", "a", "b", "--key", "k", "--partition", "1"}, nil, 2, []string{"cannot be given together"}},
		"send nothing":       {[]string{"send"}, nil, 2, []string{"needs the name of a hub"}},
		"delete in Azure":    {[]string{"hubs", "delete", "a"}, &fakeHubs{remote: true}, 2, []string{"is not a local service", "--yes"}},
		"delete a group":     {[]string{"groups", "delete", "a", "b"}, &fakeHubs{remote: true}, 2, []string{"is not a local service", "--yes"}},
		"unreachable":        {[]string{"hubs", "list"}, &fakeHubs{err: away}, 3, []string{"connection refused", "start it with `millrace local eventhubs`"}},
		"half sent":          {[]string{"send", "a", "b"}, &fakeHubs{err: errors.New("throttled")}, 1, []string{"after 3 events: throttled"}},
	} {
		f := c.hubs
		if f == nil {
			f = &fakeHubs{}
		}
		e, out, errs, _ := hubsEnv(f, c.args...)
		if code := Run(context.Background(), e); code != c.code || out.Len() > 0 {
			t.Errorf("%s: exit %d, out %q: %s", name, code, out, errs)
		}
		for _, want := range c.want {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q is not in %q", name, want, errs)
			}
		}
		if f.remote && len(f.asked) > 0 {
			t.Errorf("%s: asked for %v", name, f.asked)
		}
	}
}

func TestHubAddresses(t *testing.T) {
	t.Parallel()
	e, _, _, given := hubsEnv(&fakeHubs{}, "hubs", "list", "--address", "127.0.0.1:15672")
	if code := Run(context.Background(), e); code != 0 || given.Address != "127.0.0.1:15672" {
		t.Errorf("exit %d, %+v", code, given)
	}
	f := &fakeHubs{defaultHub: "named"}
	e, _, _, _ = hubsEnv(f, "peek")
	if code := Run(context.Background(), e); code != 0 || !strings.HasPrefix(f.asked[0], "peek named ") {
		t.Errorf("exit %d, %q", code, f.asked)
	}
	f = &fakeHubs{empty: true}
	e, out, errs, _ := hubsEnv(f, "peek", "quiet")
	if code := Run(context.Background(), e); code != 0 || out.Len() > 0 || errs.String() != "no events in quiet\n" {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
}

func TestHubCompletion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"local eventhubs peek ":          "orders\t4 partitions\nold\t2 partitions\n:4\n",
		"local eventhubs groups delete ": "orders\t4 partitions\nold\t2 partitions\n:4\n",
		"local eventhubs hubs create ":   ":4\n",
		"local eventhubs send orders ":   ":4\n",
		"local eventhubs groups ":        "create\tCreate a consumer group of a hub\ndelete\tDelete a consumer group of a hub\nlist\tList the consumer groups of a hub\n:4\n",
	} {
		e, out, _, _ := hubsEnv(&fakeHubs{})
		e.Args = append([]string{"__complete"}, strings.Split(line, " ")...)
		if code := Run(context.Background(), e); code != 0 || out.String() != want {
			t.Errorf("%s: %d %q", line, code, out)
		}
	}
	e, out, _, _ := hubsEnv(&fakeHubs{err: errors.New("away")})
	e.Args = []string{"__complete", "local", "eventhubs", "peek", ""}
	if Run(context.Background(), e); out.String() != ":4\n" {
		t.Errorf("without a service: %q", out)
	}
}

// severalStandin has two namespaces.
type severalStandin struct{ fakeStandin }

func (s *severalStandin) Endpoints() []Endpoint {
	const long = "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=***;UseDevelopmentEmulator=true"
	return []Endpoint{
		{Namespace: "first", Connection: long, Kafka: "127.0.0.1:9092", HTTP: "http://127.0.0.1:5300/"},
		{Namespace: "second-one", Connection: strings.Replace(long, "5672", "5673", 1), Kafka: "127.0.0.1:9093", HTTP: "http://127.0.0.1:5300/"},
	}
}

func TestLocalWithSeveralAddresses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(args ...string) (code int, out, errs string, got LocalOptions) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		e, o, x := testEnv(append([]string{"local", "eventhubs"}, args...)...)
		e.Stages.Locals = []Local{{Name: "eventhubs", Short: "Event Hubs", Port: 5672, Address: "EVENTHUBS_CONNECTION_STRING",
			Flags: []LocalFlag{{Name: "kafka-port", Doc: "`port`", Default: "9092"}, {Name: "units", Doc: "`n`", Default: "0", Kind: NumberFlag},
				{Name: "config", Doc: "`file`", Kind: FileFlag}, {Name: "storage", Doc: "`place`", Kind: TextFlag}},
			Start: func(_ context.Context, o LocalOptions) (connector.Standin, error) {
				got = o
				time.AfterFunc(10*time.Millisecond, cancel)
				return &severalStandin{}, nil
			}}}
		code = Run(ctx, e)
		return code, o.String(), x.String(), got
	}
	code, out, errs, got := start("--kafka-port", "0", "--config", file)
	if code != 0 || got.Values["kafka-port"] != "0" || got.Values["config"] != file || got.Values["units"] != "0" || !got.Given("kafka-port") || got.Given("port") {
		t.Errorf("exit %d, %+v: %s", code, got, errs)
	}
	for _, want := range []string{"Namespace first\n", "  AMQP       127.0.0.1:5673\n", "  Kafka      127.0.0.1:9092\n", "  Explorer   http://127.0.0.1:5300/\n", "http://127.0.0.1:5300/health\n",
		"export EVENTHUBS_CONNECTION_STRING='Endpoint=sb://127.0.0.1:5672;", "export EVENTHUBS_CONNECTION_STRING_SECOND_ONE='Endpoint=", "(with the key in place of ***)",
		"\n(for solutions with Kafka clients add ;KafkaEndpoint=127.0.0.1:9093)\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "KafkaEndpoint=127.0.0.1:9092") {
		t.Errorf("the usual port is named:\n%s", out)
	}
	for line := range strings.Lines(out) {
		if len(line) > 81 && !strings.HasPrefix(line, "export ") {
			t.Errorf("%q is too wide", line)
		}
	}
	code, out, _, _ = start("--json")
	var v struct{ Namespaces []map[string]string }
	if code != 0 || json.Unmarshal([]byte(out), &v) != nil || len(v.Namespaces) != 2 || v.Namespaces[1]["kafkaBootstrapServers"] != "127.0.0.1:9093" || strings.Count(out, "\n") != 1 {
		t.Errorf("exit %d: %s", code, out)
	}
	for _, args := range [][]string{{"--kafka-port", "70000"}, {"--units", "-1"}, {"--config", file + "x"}, {"--config", filepath.Dir(file)}, {"--kafka-port", "x"}, {"--storage"}} {
		if code, _, errs, _ := start(args...); code != 2 || strings.Count(errs, "millrace: ") != 1 {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}

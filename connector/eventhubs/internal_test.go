package eventhubs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
)

// The vectors come from the JavaScript SDK's mapping of keys to partitions.
func TestPartitionFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key  string
		hash int16
		want [4]int32 // of 2, 4, 8 and 32
	}{
		{"", 0, [4]int32{0, 0, 0, 0}},
		{"a", -16220, [4]int32{0, 0, 4, 28}},
		{"A", 9517, [4]int32{1, 1, 5, 13}},
		{"abc", -14161, [4]int32{1, 1, 1, 17}},
		{"abcd", 23398, [4]int32{0, 2, 6, 6}},
		{"alphabet", -23478, [4]int32{0, 2, 6, 22}},
		{"TwelveBytes!", -25497, [4]int32{1, 1, 1, 25}},
		{"ThirteenBytes", 4339, [4]int32{1, 3, 3, 19}},
		{"device-1", 26788, [4]int32{0, 0, 4, 4}},
		{"é", -24812, [4]int32{0, 0, 4, 12}},
	} {
		if got := keyHash([]byte(c.key)); got != c.hash {
			t.Errorf("hash of %q = %d, want %d", c.key, got, c.hash)
		}
		for i, n := range []int{2, 4, 8, 32} {
			if got := partitionFor([]byte(c.key), n); got != c.want[i] {
				t.Errorf("partition of %q of %d = %d, want %d", c.key, n, got, c.want[i])
			}
		}
	}
}

func FuzzPartitionFor(f *testing.F) {
	f.Add([]byte("contoso://device-id-154"), 12)
	f.Add([]byte{}, 1)
	f.Add(bytes.Repeat([]byte{0xff}, 13), 32)
	f.Fuzz(func(t *testing.T, key []byte, n int) {
		if n < 1 || n > maxPartitions {
			return
		}
		if p := partitionFor(key, n); p < 0 || int(p) >= n {
			t.Fatalf("%q is in partition %d of %d", key, p, n)
		}
	})
}

func TestGroupName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long-", 20)
	for name, want := range map[string]string{
		"simple":                "simple",
		strings.Repeat("x", 50): strings.Repeat("x", 50),
		long:                    groupName(long),
		"with space":            groupName("with space"),
	} {
		got := groupName(name)
		if got != want || len(got) > maxGroupName || !namePattern.MatchString(got) {
			t.Errorf("group %q is called %q", name, got)
		}
	}
	if groupName(long) == groupName(long+"x") || groupName("a b") == groupName("a-b") {
		t.Error("two groups have the same name")
	}
}

func received(first, n int64, offset func(int64) string) []*azeventhubs.ReceivedEventData {
	var list []*azeventhubs.ReceivedEventData
	for i := first; i < first+n; i++ {
		list = append(list, &azeventhubs.ReceivedEventData{SequenceNumber: i, Offset: offset(i)})
	}
	return list
}

// Where the service's offsets are other numbers, a checkpoint has the one of
// the event before the position, or of an earlier event, never of a later one.
func TestOffsets(t *testing.T) {
	t.Parallel()
	same := func(i int64) string { return fmt.Sprint(i) }
	bytes := func(i int64) string { return fmt.Sprint(i * 1000) }

	var o offsets
	if _, _, ok := o.before(5); ok {
		t.Error("an offset is known before there was an event")
	}
	o.note(received(0, 10, same))
	if s, off, ok := o.before(100); !ok || s != 99 || off != "99" {
		t.Errorf("before 100: %d, %q, %v", s, off, ok)
	}
	if _, _, ok := o.before(0); ok {
		t.Error("there is something before position 0")
	}

	o = offsets{}
	o.note(received(100, 50, bytes))
	if _, _, ok := o.before(100); ok {
		t.Error("an event is known that never came")
	}
	for _, c := range [][2]int64{{101, 100}, {120, 119}, {120, 119}, {150, 149}, {170, 149}} {
		if s, off, ok := o.before(c[0]); !ok || s != c[1] || off != bytes(c[1]) {
			t.Errorf("before %d: %d, %q, %v", c[0], s, off, ok)
		}
	}
	// A position with no event of its own: the end of the partition says
	// what the offset before it is, or that offsets are numbers.
	for _, c := range []struct {
		at   int64
		x    extent
		want string
	}{
		{100, extent{end: 100, lastOffset: "99000"}, "99000"},
		{50, extent{end: 100, lastOffset: "99000"}, ""},
		{50, extent{end: 100, lastOffset: "99"}, "49"},
		{0, extent{lastOffset: "-1"}, ""},
	} {
		o = offsets{}
		o.begin(c.at, c.x)
		if s, off, ok := o.before(c.at); ok != (c.want != "") || off != c.want || ok && s != c.at-1 {
			t.Errorf("%+v: %d, %q, %v", c, s, off, ok)
		}
	}
	o = offsets{}
	const many = 4 * maxOffsets
	for i := int64(0); i < many; i += 1000 {
		o.note(received(i, 1000, bytes))
	}
	if len(o.list) > maxOffsets+1000 {
		t.Errorf("%d offsets are remembered", len(o.list))
	}
	for _, at := range []int64{1000, many / 2, many} {
		if s, off, ok := o.before(at); !ok || s >= at || off != bytes(s) || at == many && s != at-1 {
			t.Errorf("before %d: %d, %q, %v", at, s, off, ok)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	cond := func(c string) error {
		return fmt.Errorf("sending: %w", &amqp.Error{Condition: amqp.ErrCond(c), Description: "why"})
	}
	for _, c := range []struct {
		err     error
		want    fault
		lasting bool
	}{
		{cond("com.microsoft:server-busy"), busy, false},
		{cond("com.microsoft:timeout"), passing, false},
		{cond("amqp:link:stolen"), stolen, false},
		{cond("amqp:link:message-size-exceeded"), oversized, false},
		{cond("amqp:resource-limit-exceeded"), crowded, false},
		{cond("amqp:not-found"), missing, true},
		{cond("com.microsoft:argument-out-of-range"), missing, true},
		{cond("amqp:unauthorized-access"), unauthorized, true},
		{cond("com.microsoft:entity-disabled"), refused, true},
		{cond("something:new"), passing, false},
		{&azeventhubs.Error{Code: azeventhubs.ErrorCodeOwnershipLost}, stolen, false},
		{&azeventhubs.Error{Code: azeventhubs.ErrorCodeConnectionLost}, passing, false},
		{&azeventhubs.Error{Code: azeventhubs.ErrorCodeUnauthorizedAccess}, unauthorized, true},
		{errors.New("anything"), passing, false},
	} {
		if got := faultOf(c.err); got != c.want || got.lasting() != c.lasting {
			t.Errorf("%v is %d (lasting %v)", c.err, got, got.lasting())
		}
	}
	for text, want := range map[string]time.Duration{
		"Error code : 50002. Please wait 4 seconds and try again.": 4 * time.Second,
		"please wait 1 second":   time.Second,
		"throttled":              defaultBusyWait,
		"wait 123456789 seconds": defaultBusyWait,
	} {
		if got := busyWait(errors.New(text)); got != want {
			t.Errorf("%q is a wait of %s, want %s", text, got, want)
		}
	}
}

func TestWithoutEntityPath(t *testing.T) {
	t.Parallel()
	const want = "Endpoint=sb://h;SharedAccessKeyName=n;SharedAccessKey=k=="
	for _, s := range []string{want, want + ";EntityPath=hub", "Endpoint=sb://h;entitypath=hub;SharedAccessKeyName=n;SharedAccessKey=k==;"} {
		if got := withoutEntityPath(s); got != want {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// Large letters go in parts, and come back whole; unfinished ones do not.
func TestLetterParts(t *testing.T) {
	t.Parallel()
	in := &record.DeadLetter{Partition: 3, Offset: 1 << 40, Reason: record.Oversized, Detail: "detail", At: -5, Key: []byte{0, 0xff},
		Raw: bytes.Repeat([]byte("0123456789"), 100_003)}
	receive := func(events []*azeventhubs.EventData) (whole []*record.DeadLetter) {
		var p pieces = map[string]*record.DeadLetter{}
		for _, e := range events {
			l, err := p.take(&azeventhubs.ReceivedEventData{EventData: *e})
			if err != nil {
				t.Fatal(err)
			}
			if l != nil {
				whole = append(whole, l)
			}
		}
		return whole
	}
	parts, again := letterParts(in), letterParts(in)
	if len(parts) != 5 {
		t.Errorf("%d parts", len(parts))
	}
	// An attempt that was given up, one in two interleaved writes, a single
	// part sent twice.
	events := append(parts[:3:3], again[0])
	other := letterParts(in)
	for i := range other {
		events = append(events, other[i])
		if i > 0 {
			events = append(events, again[i], again[i])
		}
	}
	got := receive(events)
	if len(got) != 2 {
		t.Fatalf("%d letters came back, want 2", len(got))
	}
	for _, l := range got {
		same := bytes.Equal(l.Raw, in.Raw)
		l.Raw = in.Raw
		if !same || !reflect.DeepEqual(l, in) {
			t.Error("a letter came back altered")
		}
	}
	var l record.DeadLetter
	if err := readLetter(&azeventhubs.ReceivedEventData{EventData: azeventhubs.EventData{Body: []byte("x")}}, &l); err == nil {
		t.Error("an event without properties was taken for a letter")
	}
}

func FuzzPieces(f *testing.F) {
	f.Add("a", int64(0), int64(2), []byte("x"), "a", int64(1), int64(2), []byte("y"))
	f.Add("", int64(-1), int64(1<<40), []byte{}, "", int64(1<<62), int64(-5), []byte("y"))
	f.Fuzz(func(t *testing.T, id1 string, part1, parts1 int64, raw1 []byte, id2 string, part2, parts2 int64, raw2 []byte) {
		var p pieces = map[string]*record.DeadLetter{}
		for _, c := range []struct {
			id          string
			part, parts int64
			raw         []byte
		}{{id1, part1, parts1, raw1}, {id2, part2, parts2, raw2}} {
			e := letterEvent(&record.DeadLetter{Raw: c.raw})
			e.Properties[propLetter], e.Properties[propPart], e.Properties[propParts] = c.id, c.part, c.parts
			_, _ = p.take(&azeventhubs.ReceivedEventData{EventData: *e})
		}
	})
}

// What other clients and protocols put into an event comes out as bytes.
func TestToRecord(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_123)
	raw := func(b azeventhubs.AMQPAnnotatedMessageBody) *azeventhubs.AMQPAnnotatedMessage {
		return &azeventhubs.AMQPAnnotatedMessage{Body: b}
	}
	for _, c := range []struct {
		e          azeventhubs.ReceivedEventData
		key, value string
	}{
		{azeventhubs.ReceivedEventData{EventData: azeventhubs.EventData{Body: []byte("b")}, PartitionKey: ptr("k")}, "k", "b"},
		{azeventhubs.ReceivedEventData{RawAMQPMessage: raw(azeventhubs.AMQPAnnotatedMessageBody{Value: "text"}),
			SystemProperties: map[string]any{kafkaKey: []byte{1}}}, "\x01", "text"},
		{azeventhubs.ReceivedEventData{RawAMQPMessage: raw(azeventhubs.AMQPAnnotatedMessageBody{Value: []byte("bin")}),
			SystemProperties: map[string]any{kafkaKey: "s"}}, "s", "bin"},
		{azeventhubs.ReceivedEventData{RawAMQPMessage: raw(azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{[]byte("a"), []byte("b")}})}, "", "ab"},
		{azeventhubs.ReceivedEventData{RawAMQPMessage: raw(azeventhubs.AMQPAnnotatedMessageBody{Value: int64(7)})}, "", ""},
		{azeventhubs.ReceivedEventData{}, "", ""},
	} {
		var r record.Record
		c.e.SequenceNumber, c.e.EnqueuedTime = 9, &at
		toRecord(&c.e, &r)
		if string(r.Key) != c.key || string(r.Value) != c.value || r.Offset != 9 || r.Timestamp != at.UnixMicro() {
			t.Errorf("%+v became %+v", c.e, r)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	events := received(5, 2500, func(int64) string { return "" })
	events[100].Body = make([]byte, batchBytes)
	next := int64(5)
	for _, b := range split(3, events, 10) {
		size := 0
		for i := range b.Records {
			if b.Records[i].Offset != next {
				t.Fatalf("offset %d, want %d", b.Records[i].Offset, next)
			}
			next++
			size += len(b.Records[i].Value)
		}
		if b.Partition != 3 || b.Next != next || b.End < b.Next || len(b.Records) > batchRecords || size > batchBytes {
			t.Errorf("batch of %d records and %d bytes, next %d, end %d", len(b.Records), size, b.Next, b.End)
		}
	}
	if next != 2505 {
		t.Errorf("ended at %d", next)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if errs := NewConfig().Validate(); len(errs) > 0 {
		t.Errorf("the defaults are refused: %v", errs)
	}
	const key = "c2VjcmV0"
	good := "Endpoint=sb://h.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=" + key
	for want, change := range map[string]func(*Config){
		"":                                   func(c *Config) { c.ConnectionString = good + ";EntityPath=x" },
		"namespace: ":                        func(c *Config) { c.Namespace = "sb://h/" },
		"connectionString: it is not":        func(c *Config) { c.ConnectionString = "SharedAccessKey=" + key },
		"hub: ":                              func(c *Config) { c.Hub = "a/b" },
		"partitions: must be between 1":      func(c *Config) { c.Partitions = 0 },
		"retention: ":                        func(c *Config) { c.Retention = -1 },
		"group: ":                            func(c *Config) { c.Group = strings.Repeat("x", 51) },
		"replayGroup: ":                      func(c *Config) { c.ReplayGroup = "" },
		"throughputUnits: must be between 0": func(c *Config) { c.ThroughputUnits = 41 },
		"balancing: ":                        func(c *Config) { c.Balancing = "fair" },
		"updateInterval: ":                   func(c *Config) { c.UpdateInterval = 1 },
		"expiration: must be at least three times": func(c *Config) { c.Expiration = c.UpdateInterval },
		"checkpoints.container: ":                  func(c *Config) { c.Checkpoints = Checkpoints{"UseDevelopmentStorage=true", "A"} },
		"maxInFlight: ":                            func(c *Config) { c.MaxInFlight = 0 },
		"maxInFlightBytes: ":                       func(c *Config) { c.MaxInFlightBytes = 5 },
		"linger: ":                                 func(c *Config) { c.Linger = connector.Duration(time.Hour) },
	} {
		c := NewConfig()
		change(c)
		errs := c.Validate()
		if want == "" && len(errs) > 0 || want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want)) {
			t.Errorf("%q: %v", want, errs)
		}
		if strings.Contains(fmt.Sprint(errs), key) {
			t.Errorf("%q shows the key: %v", want, errs)
		}
	}
	c := NewConfig()
	c.ThroughputUnits = 2
	if l := c.RateLimits(); l.MessagesIn != 2000 || l.BytesIn != 2<<20 || l.MessagesOut != 8192 || l.BytesOut != 4<<20 || l.Units != 2 {
		t.Errorf("limits of two units: %+v", l)
	}
}

// Whoever looked an ownership up before the partition was lost writes no
// checkpoint after it: the next owner may have written a later one.
func TestLostPartitionsAreNotCheckpointed(t *testing.T) {
	t.Parallel()
	folder, err := newFolderStore(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	s := &source{log: &hubLog{e: &endpoint{address: address{host: "h"}}, hub: "hub"}, group: "g", stores: &stores{CheckpointStore: folder}}
	s.runCtx, s.end = context.WithCancelCause(t.Context())
	s.handler = revoked(func() {})
	for _, lost := range []bool{false, true} {
		partition := int32(0)
		if lost {
			partition = 1
		}
		s.owned = map[int32]*ownership{}
		o := newOwnership(s, partition, 0)
		o.offsets.begin(5, extent{end: 5, lastOffset: "4"})
		o.leaving = true
		s.owned[partition] = o
		// The handler's writer is about to commit when the partition goes.
		late := o
		s.revoke([]*ownership{o}, lost)
		if err := late.checkpoint(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
	}
	of, err := s.stores.positions(t.Context(), "h", "hub", "g")
	if want := map[int32]int64{0: 5}; err != nil || !reflect.DeepEqual(of, want) {
		t.Errorf("checkpoints %v, %v, want %v", of, err, want)
	}
}

// revoked is a handler that owns nothing.
type revoked func()

func (revoked) Assign(context.Context, []int32) (map[int32]int64, error) { return nil, nil }
func (revoked) Deliver(context.Context, *record.Batch) error             { return nil }
func (r revoked) Revoke(context.Context, []int32, bool)                  { r() }

// What the service says is not hidden behind the SDK's words for a code.
func TestDetail(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"rpc: failed, status code 404 and description: There is no hub.": "There is no hub.",
		"anything  else\n": "anything else",
	} {
		if got := detail(errors.New(text)); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// What may be under way follows the size of events at once when they grow.
func TestCreditFollowsSize(t *testing.T) {
	t.Parallel()
	of := func(n, size int) []*azeventhubs.ReceivedEventData {
		var events []*azeventhubs.ReceivedEventData
		for range n {
			events = append(events, &azeventhubs.ReceivedEventData{EventData: azeventhubs.EventData{Body: make([]byte, size)}})
		}
		return events
	}
	r := &receiver{budget: 8 << 20, average: 1 << 10}
	r.weigh(of(100, 100))
	if c := r.credit(); c < 500 || c > maxCredit {
		t.Errorf("%d small events may be under way", c)
	}
	r.weigh(of(5, 1<<20))
	if c := r.credit(); c != minCredit {
		t.Errorf("%d events of 1 MB may be under way", c)
	}
	for range 100 {
		r.weigh(of(10, 100))
	}
	if c := r.credit(); c != maxCredit {
		t.Errorf("%d small events may be under way after the large ones", c)
	}
}

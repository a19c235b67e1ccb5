package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

func TestPropertiesOfHubAndPartition(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ctx := patient(t)
	p := w.producer(t, "telemetry")
	props, err := p.GetEventHubProperties(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if props.Name != "telemetry" || fmt.Sprint(props.PartitionIDs) != "[0 1 2 3]" || time.Since(props.CreatedOn) > time.Minute {
		t.Errorf("hub properties %+v", props)
	}
	part, err := p.GetPartitionProperties(ctx, "2", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !part.IsEmpty || part.LastEnqueuedSequenceNumber != -1 || part.LastEnqueuedOffset != "-1" || part.BeginningSequenceNumber != 0 {
		t.Errorf("properties of an empty partition %+v", part)
	}
	send(t, p, toPartition("2"), "e", 10)
	if part, err = p.GetPartitionProperties(ctx, "2", nil); err != nil {
		t.Fatal(err)
	}
	if part.IsEmpty || part.LastEnqueuedSequenceNumber != 9 || part.LastEnqueuedOffset != "9" || part.PartitionID != "2" ||
		part.EventHubName != "telemetry" || time.Since(part.LastEnqueuedOn).Abs() > time.Minute {
		t.Errorf("properties of a partition %+v", part)
	}
	_, err = producerAt(t, w.Address(), "telemetry", &azeventhubs.ProducerClientOptions{RetryOptions: once}).GetPartitionProperties(ctx, "4", nil)
	mention(t, err, "between 0 and 3")
	_, err = w.producer(t, "nowhere").GetEventHubProperties(ctx, nil)
	mention(t, err, "404", "could not be found")
}

// What goes in comes out: body, properties, types, annotations, order.
func TestEventsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ctx := patient(t)
	p := w.producer(t, "telemetry")
	b, err := p.NewEventDataBatch(ctx, toPartition("1"))
	if err != nil {
		t.Fatal(err)
	}
	want := &azeventhubs.EventData{Body: []byte(`{"a":1}`), ContentType: ptr("application/json"), CorrelationID: "c1", MessageID: ptr("m1"),
		Properties: map[string]any{"s": "text", "i": int32(5), "l": int64(7), "f": 1.5, "b": true, "t": time.UnixMilli(1700000000123).UTC()}}
	if err := b.AddEventData(want, nil); err != nil {
		t.Fatal(err)
	}
	for _, body := range []azeventhubs.AMQPAnnotatedMessageBody{{Value: "a value"}, {Sequence: [][]any{{int64(1), "two"}}}, {Data: [][]byte{[]byte("one "), []byte("two")}}} {
		if err := b.AddAMQPAnnotatedMessage(&azeventhubs.AMQPAnnotatedMessage{Body: body, Footer: map[any]any{"end": "yes"},
			Header: &azeventhubs.AMQPAnnotatedMessageHeader{Durable: true}, MessageAnnotations: map[any]any{"x-own": "mine"}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-time.Second)
	if err := p.SendEventDataBatch(ctx, b, nil); err != nil {
		t.Fatal(err)
	}
	got := receive(t, open(t, w.consumer(t, "telemetry", "$default"), "1", nil), 4)
	e := got[0]
	if string(e.Body) != string(want.Body) || *e.ContentType != *want.ContentType || e.CorrelationID != "c1" || *e.MessageID != "m1" {
		t.Errorf("event %+v", e)
	}
	if fmt.Sprint(e.Properties) != fmt.Sprint(want.Properties) {
		t.Errorf("properties %v, want %v", e.Properties, want.Properties)
	}
	if e.PartitionKey != nil || e.EnqueuedTime == nil || e.EnqueuedTime.Before(before) {
		t.Errorf("annotations of %+v", e)
	}
	for i, e := range got {
		if e.SequenceNumber != int64(i) || e.Offset != strconv.Itoa(i) {
			t.Errorf("event %d has sequence number %d and offset %s", i, e.SequenceNumber, e.Offset)
		}
	}
	raw := got[1].RawAMQPMessage
	if raw.Body.Value != "a value" || raw.Footer["end"] != "yes" || !raw.Header.Durable || raw.MessageAnnotations["x-own"] != "mine" {
		t.Errorf("message with a value: %+v", raw)
	}
	if fmt.Sprint(got[2].RawAMQPMessage.Body.Sequence) != "[[1 two]]" {
		t.Errorf("message with a sequence: %+v", got[2].RawAMQPMessage.Body)
	}
	if d := got[3].RawAMQPMessage.Body.Data; len(d) != 2 || string(bytes.Join(d, nil)) != "one two" {
		t.Errorf("message with two data sections: %q", d)
	}
}

func TestBatchesStayTogether(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	p := w.producer(t, "telemetry")
	key := "device-1" // whose hash is known: partition 0 of 4
	send(t, p, &azeventhubs.EventDataBatchOptions{PartitionKey: &key}, "k", 1000)
	send(t, p, toPartition("3"), "p", 1000)
	c := w.consumer(t, "telemetry", "reports")
	for _, tt := range []struct{ partition, prefix string }{{"0", "k"}, {"3", "p"}} {
		for i, e := range receive(t, open(t, c, tt.partition, nil), 1000) {
			if want := fmt.Sprint(tt.prefix, i); string(e.Body) != want || e.SequenceNumber != int64(i) {
				t.Fatalf("partition %s: event %d is %q with sequence number %d", tt.partition, i, e.Body, e.SequenceNumber)
			}
			if (tt.prefix == "k") != (e.PartitionKey != nil) || e.PartitionKey != nil && *e.PartitionKey != key {
				t.Fatalf("partition key %v", e.PartitionKey)
			}
		}
	}
	// Without a key or a partition, batches go round.
	for range 8 {
		send(t, p, nil, "r", 1)
	}
	for _, tt := range []struct {
		partition string
		skip      int
	}{{"0", 1000}, {"1", 0}, {"2", 0}, {"3", 1000}} {
		pc := open(t, c, tt.partition, &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{SequenceNumber: ptr(int64(tt.skip)), Inclusive: true}})
		receive(t, pc, 2)
	}
}

func TestLargeEvents(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ctx := patient(t)
	p := w.producer(t, "single")
	body := bytes.Repeat([]byte("0123456789abcdef"), (1<<20-200)/16)
	b, err := p.NewEventDataBatch(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AddEventData(&azeventhubs.EventData{Body: body}, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.SendEventDataBatch(ctx, b, nil); err != nil {
		t.Fatal(err)
	}
	send(t, p, nil, "small", 1)
	got := receive(t, open(t, w.consumer(t, "single", "$Default"), "0", nil), 2)
	if !bytes.Equal(got[0].Body, body) || string(got[1].Body) != "small0" {
		t.Errorf("%d bytes, then %q", len(got[0].Body), got[1].Body)
	}
	b, err = p.NewEventDataBatch(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AddEventData(&azeventhubs.EventData{Body: make([]byte, 2<<20)}, nil); !errors.Is(err, azeventhubs.ErrEventDataTooLarge) {
		t.Errorf("an event of 2 MB: %v", err)
	}
}

func TestReadingManyEvents(t *testing.T) {
	t.Parallel()
	const n = 100_000
	w := start(t, nil)
	put(t, hubOf(t, w, "single"), "event number ", n)
	many := azeventhubs.PartitionClientOptions{StartPosition: earliest(), Prefetch: 3000} // fewer waits for credit
	pc := open(t, w.consumer(t, "single", "$Default"), "0", &many)
	for i, e := range receive(t, pc, n) {
		if string(e.Body) != "event number "+strconv.Itoa(i) || e.SequenceNumber != int64(i) {
			t.Fatalf("event %d is %q with sequence number %d", i, e.Body, e.SequenceNumber)
		}
	}
	// Credit by hand instead of prefetching.
	pc = open(t, w.consumer(t, "single", "$Default"), "0", &azeventhubs.PartitionClientOptions{StartPosition: earliest(), Prefetch: -1})
	if got := receive(t, pc, 2500); string(got[2499].Body) != "event number 2499" {
		t.Errorf("with credit by hand, the last event is %q", got[2499].Body)
	}
}

// put appends events as send does, but straight to the log.
func put(t testing.TB, h *hub.Hub, prefix string, n int) {
	t.Helper()
	done := make(chan error, 1+n/1000)
	for i := 0; i < n; i += 1000 {
		events := make([]amqp.Message, min(1000, n-i))
		for j := range events {
			events[j].Body = amqp.AppendData(nil, prefix+strconv.Itoa(i+j))
		}
		if err := h.Append(patient(t), 0, events, func(_ int64, err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < n; i += 1000 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestStartPositions(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	p := w.producer(t, "single")
	send(t, p, nil, "a", 5)
	first := receive(t, open(t, w.consumer(t, "single", "$Default"), "0", nil), 5)
	time.Sleep(5 * time.Millisecond) // the next event has a later time
	send(t, p, nil, "b", 5)
	all := receive(t, open(t, w.consumer(t, "single", "$Default"), "0", nil), 10)
	between := first[4].EnqueuedTime.Add(time.Millisecond)
	for _, tt := range []struct {
		name string
		at   azeventhubs.StartPosition
		want string
	}{
		{"earliest", earliest(), "a0"},
		{"offset", azeventhubs.StartPosition{Offset: ptr(all[3].Offset)}, "a4"},
		{"offset inclusive", azeventhubs.StartPosition{Offset: ptr(all[3].Offset), Inclusive: true}, "a3"},
		{"sequence number", azeventhubs.StartPosition{SequenceNumber: ptr(int64(6))}, "b2"},
		{"sequence number inclusive", azeventhubs.StartPosition{SequenceNumber: ptr(int64(6)), Inclusive: true}, "b1"},
		{"before the first", azeventhubs.StartPosition{SequenceNumber: ptr(int64(-1))}, "a0"},
		{"time", azeventhubs.StartPosition{EnqueuedTime: &between}, "b0"},
		{"time exclusive", azeventhubs.StartPosition{EnqueuedTime: first[4].EnqueuedTime}, "b0"},
		{"time inclusive", azeventhubs.StartPosition{EnqueuedTime: first[0].EnqueuedTime, Inclusive: true}, "a0"},
		{"last event", azeventhubs.StartPosition{SequenceNumber: ptr(int64(9))}, "c0"},
		{"latest", azeventhubs.StartPosition{Latest: ptr(true)}, "c0"},
		{"default", azeventhubs.StartPosition{}, "c0"},
		{"time to come", azeventhubs.StartPosition{EnqueuedTime: ptr(time.Now().Add(time.Hour))}, "c0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pc := open(t, w.consumer(t, "single", "$Default"), "0", &azeventhubs.PartitionClientOptions{StartPosition: tt.at})
			if tt.want != "c0" {
				if got := receive(t, pc, 1); string(got[0].Body) != tt.want {
					t.Errorf("starts at %q, want %q", got[0].Body, tt.want)
				}
				return
			}
			// It is attached, and the position fixed, by the first call.
			attached := func() int { return strings.Count(w.log.String(), "a consumer was attached") }
			before, end := attached(), int64(0)
			if info, err := hubOf(t, w, "single").Partition(patient(t), 0); err != nil {
				t.Fatal(err)
			} else {
				end = info.End
			}
			var got []*azeventhubs.ReceivedEventData
			var err error
			done := make(chan struct{})
			go func() {
				defer close(done)
				got, err = tryReceive(pc, 1, 2*patience)
			}()
			for deadline := time.Now().Add(patience); attached() == before; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("no consumer was attached")
				}
			}
			send(t, w.producer(t, "single"), nil, "c", 1)
			if <-done; err != nil {
				t.Fatal(err)
			}
			if string(got[0].Body) != "c0" || got[0].SequenceNumber != end {
				t.Errorf("starts at %q, number %d, want what was sent then, number %d", got[0].Body, got[0].SequenceNumber, end)
			}
		})
	}
}

func TestStartBehindTheEnd(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	send(t, w.producer(t, "single"), nil, "a", 3)
	for _, at := range []azeventhubs.StartPosition{{Offset: ptr("3")}, {SequenceNumber: ptr(int64(77)), Inclusive: true}, {Offset: ptr("not a number")}} {
		c := consumerAt(t, w.Address(), "single", "$Default", &azeventhubs.ConsumerClientOptions{RetryOptions: once})
		_, err := tryReceive(open(t, c, "0", &azeventhubs.PartitionClientOptions{StartPosition: at}), 1, patience)
		mention(t, err, "com.microsoft:argument-error")
		if at.SequenceNumber != nil {
			mention(t, err, "The supplied sequence number '77' is invalid. The last sequence number in the system is '2'")
		}
	}
}

func TestMistakesAreAnswered(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ctx := patient(t)
	consume := func(hubName, group, partition string) error {
		c := consumerAt(t, w.Address(), hubName, group, &azeventhubs.ConsumerClientOptions{RetryOptions: once})
		_, err := tryReceive(open(t, c, partition, nil), 1, patience)
		return err
	}
	mention(t, consume("nowhere", "$Default", "0"), "amqp:not-found", "could not be found")
	mention(t, consume("telemetry", "nobody", "0"), "amqp:not-found")
	mention(t, consume("telemetry", "$Default", "4"), "com.microsoft:argument-out-of-range", "between 0 and 3")
	_, err := producerAt(t, w.Address(), "nowhere", &azeventhubs.ProducerClientOptions{RetryOptions: once}).NewEventDataBatch(ctx, nil)
	mention(t, err, "amqp:not-found")
	_, err = producerAt(t, w.Address(), "telemetry", &azeventhubs.ProducerClientOptions{RetryOptions: once}).NewEventDataBatch(ctx, toPartition("x"))
	mention(t, err, "com.microsoft:argument-out-of-range")
	if text := w.log.String(); !bytes.Contains([]byte(text), []byte("a link was refused")) {
		t.Error("the log says nothing about refused links")
	}
	// And the others are not disturbed.
	send(t, w.producer(t, "telemetry"), toPartition("0"), "fine", 1)
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *local.Options, ho *hub.Options) { ho.Namespaces[0].ThroughputUnits = 1 })
	ctx := patient(t)
	p := producerAt(t, w.Address(), "single", &azeventhubs.ProducerClientOptions{RetryOptions: once})
	batch := func() error {
		b, err := p.NewEventDataBatch(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 900 {
			if err := b.AddEventData(&azeventhubs.EventData{Body: []byte("x")}, nil); err != nil {
				t.Fatal(err)
			}
		}
		return p.SendEventDataBatch(ctx, b, nil)
	}
	var refused error
	for i := 0; i < 20 && refused == nil; i++ {
		refused = batch()
	}
	mention(t, refused, "com.microsoft:server-busy", "Error code : 50002. Please wait 4 seconds")
	counts := w.cluster.Default().Quota().Counts()
	if counts.ThrottledRequests == 0 {
		t.Errorf("counts %+v", counts)
	}
}

package local_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/amqp"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// The log goes away and comes back while clients are connected. They go on by
// themselves: every event that was acknowledged is read, once and in order, by a
// consumer from before and by those that come while the log is away.
func TestTheLogGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	p := w.producer(t, "single")
	consumers := []*azeventhubs.PartitionClient{open(t, w.consumer(t, "single", "$Default"), "0", nil)}
	var sent atomic.Int64
	stop := make(chan struct{})
	var producing, consuming sync.WaitGroup
	producing.Go(func() { sendUntil(t, p, stop, &sent) })
	receiving := func(pc *azeventhubs.PartitionClient) {
		consuming.Go(func() { receiveInOrder(t, pc, stop, &sent) })
	}
	receiving(consumers[0])
	more := func() {
		t.Helper()
		for from, end := sent.Load(), time.Now().Add(patience); sent.Load() < from+100; time.Sleep(time.Millisecond) {
			if t.Failed() || time.Now().After(end) {
				t.Fatalf("%d events were sent", sent.Load())
			}
		}
	}
	patientlyAgain := azeventhubs.ConsumerClientOptions{RetryOptions: azeventhubs.RetryOptions{
		MaxRetries: 1000, RetryDelay: 100 * time.Millisecond, MaxRetryDelay: 500 * time.Millisecond}}
	for range 3 {
		more()
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		w.stopLog(t)
		receiving(open(t, consumerAt(t, w.Address(), "single", "$Default", &patientlyAgain), "0", nil))
		time.Sleep(time.Duration(500+rand.IntN(500)) * time.Millisecond)
		w.startLog(t)
	}
	more()
	close(stop)
	producing.Wait()
	consuming.Wait()
	info, err := hubOf(t, w, "single").Partition(patient(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	if info.End != sent.Load() {
		t.Errorf("%d events were acknowledged, the log ends at %d", sent.Load(), info.End)
	}
}

// sendUntil sends events with their numbers as their bodies, in small batches.
func sendUntil(t *testing.T, p *azeventhubs.ProducerClient, stop chan struct{}, sent *atomic.Int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for {
		select {
		case <-stop:
			return
		default:
		}
		b, err := p.NewEventDataBatch(ctx, toPartition("0"))
		n := 1 + rand.IntN(20)
		for i := 0; i < n && err == nil; i++ {
			err = b.AddEventData(&azeventhubs.EventData{Body: fmt.Append(nil, sent.Load()+int64(i))}, nil)
		}
		if err == nil {
			err = p.SendEventDataBatch(ctx, b, nil)
		}
		if err != nil {
			t.Errorf("after %d events: %v", sent.Load(), err)
			return
		}
		sent.Add(int64(n))
	}
}

// receiveInOrder reads everything, until all that was sent when stop was closed
// has come.
func receiveInOrder(t *testing.T, pc *azeventhubs.PartitionClient, stop chan struct{}, sent *atomic.Int64) {
	next := int64(0)
	for end := time.Now().Add(2 * patience); ; {
		select {
		case <-stop:
			if next >= sent.Load() {
				return
			}
		default:
		}
		events, err := tryReceive(pc, 100, time.Second)
		if err != nil && (!errors.Is(err, context.DeadlineExceeded) || time.Now().After(end)) {
			t.Errorf("after %d events: %v", next, err)
			return
		}
		for _, e := range events {
			if string(e.Body) != fmt.Sprint(next) || e.SequenceNumber != next {
				t.Errorf("event %d is %q with sequence number %d", next, e.Body, e.SequenceNumber)
				return
			}
			next++
		}
	}
}

// A connection whose events the log does not take is kept alive, and ends when its
// client goes or the server is closed.
func TestConnectionsBlockedByTheLog(t *testing.T) {
	t.Parallel()
	w := start(t, timing(local.Timing{Heartbeat: 100 * time.Millisecond, Close: 200 * time.Millisecond}))
	var blocked []*raw
	for range 3 {
		c := dialRaw(t, w)
		c.open(nil)
		c.begin(0, 5000)
		c.sender(0, 0, "single")
		blocked = append(blocked, c)
	}
	w.stopLog(t)
	m := message(strings.Repeat("x", 50_000), nil)
	for _, c := range blocked { // the log takes 8 MB in all, and sockets hold some
		for id := range uint32(400) {
			tr := &amqp.Transfer{DeliveryID: &id, DeliveryTag: []byte{1}}
			_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			if _, err := c.Write(amqp.AppendFrame(nil, &amqp.Frame{Body: tr, Payload: m})); err != nil {
				break
			}
		}
	}
	for range 3 {
		_ = blocked[1].SetReadDeadline(time.Now().Add(patience))
		if f, err := blocked[1].r.ReadFrame(); err != nil || f.Body != nil {
			t.Fatalf("got %T, %v, want a heartbeat", f.Body, err)
		}
	}
	_ = blocked[0].Conn.Close()
	for end := time.Now().Add(patience); w.Connections() > 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the connection stays although its client has gone")
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	w.startLog(t)
}

// Events that are sent again while it is not known yet whether the log has them
// are not acknowledged for that: they might be lost.
func TestNumberedEventsThatAreUnderWay(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	a := senderAttach(0, "single/Partitions/0")
	a.DesiredCapabilities = []amqp.Symbol{"com.microsoft:idempotent-producer"}
	c.put(0, a)
	get[amqp.Attach](c)
	get[amqp.Flow](c)
	event := message("once", amqp.Map{{Key: amqp.Symbol("com.microsoft:producer-sequence-number"), Value: int32(1)}})
	w.stopLog(t)
	c.transfer(0, 0, 0, 0, event, 1000)
	c.transfer(0, 0, 1, 0, event, 1000)
	if err := c.rejected(); err.Condition != "com.microsoft:server-busy" {
		t.Error(err)
	}
	w.startLog(t)
	c.accepted(0)
	c.transfer(0, 0, 2, 0, event, 1000)
	c.accepted(2)
	info, err := hubOf(t, w, "single").Partition(patient(t), 0)
	if err != nil || info.End != 1 {
		t.Errorf("the log ends at %d, %v", info.End, err)
	}
}

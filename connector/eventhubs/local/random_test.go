package local_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

// TestRandomClients lets many clients send random sequences of frames, valid and
// not, cut at random places, corrupted, ended abruptly. A client that behaves
// must not notice: what it sends comes back once and in order. Nothing may crash,
// and nothing may be left (see TestMain). The seed is printed; set it to repeat.
func TestRandomClients(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := start(t, func(o *local.Options, ho *hub.Options) {
		ho.Namespaces[0].Hubs = append([]hub.Spec{{Name: "good", Partitions: 2}}, standardHubs...)
		o.Timing = local.Timing{Write: time.Second}
		o.Log, ho.Log = nil, nil // they make very many mistakes
	})
	clients := 300
	if testing.Short() {
		clients = 30
	}
	var wg sync.WaitGroup
	work := make(chan uint64)
	for range 8 {
		wg.Go(func() {
			for s := range work {
				randomClient(w.HostPort(), rand.New(rand.NewPCG(seed, s)))
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range clients {
			work <- uint64(i)
		}
		close(work)
		wg.Wait()
	}()
	p, pc := w.producer(t, "good"), open(t, w.consumer(t, "good", "$Default"), "0", nil)
	total := 0
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		default:
		}
		send(t, p, toPartition("0"), fmt.Sprintf("%d-", total), 100)
		for i, e := range receive(t, pc, 100) {
			if string(e.Body) != fmt.Sprintf("%d-%d", total, i) || e.SequenceNumber != int64(total+i) {
				t.Fatalf("event %d is %q with sequence number %d", total+i, e.Body, e.SequenceNumber)
			}
		}
		total += 100
	}
	_ = p.Close(patient(t))
	_ = pc.Close(patient(t))
	for end := time.Now().Add(patience); w.Connections() > 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are left", w.Connections())
		}
	}
}

// randomClient is one connection of random frames.
func randomClient(address string, r *rand.Rand) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer c.Close()
	if r.IntN(5) > 0 {
		go func() { _, _ = io.Copy(io.Discard, c) }() // most of them read
	}
	_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
	var b []byte
	if r.IntN(3) == 0 {
		b = amqp.AppendProtocolHeader(b, amqp.ProtocolSASL)
		b = amqp.AppendFrame(b, &amqp.Frame{Type: amqp.FrameSASL, Body: &amqp.SASLInit{Mechanism: pick[amqp.Symbol](r, "ANONYMOUS", "PLAIN", "MSSBCBS", "NTLM")}})
	}
	b = amqp.AppendProtocolHeader(b, amqp.ProtocolAMQP)
	o := &amqp.Open{ContainerID: "random", Hostname: pick(r, "", "localhost", "other.x"), MaxFrameSize: ptr(pick(r, uint32(512), 4096, 65536))}
	if r.IntN(2) == 0 {
		o.IdleTimeout = ptr(r.Uint32N(1000))
	}
	b = amqp.AppendFrame(b, &amqp.Frame{Body: o})
	b = amqp.AppendFrame(b, &amqp.Frame{Body: &amqp.Begin{NextOutgoingID: r.Uint32(), IncomingWindow: pick(r, uint32(0), 1, 100, 1<<31), OutgoingWindow: 100}})
	careless := r.IntN(2) == 0
	for h := range uint32(4) {
		b = amqp.AppendFrame(b, &amqp.Frame{Body: randomAttach(r, h, careless)})
	}
	for range r.IntN(300) {
		b = appendRandomFrame(b, r, careless)
		if r.IntN(20) == 0 {
			time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
		}
		if r.IntN(3) > 0 && len(b) < 100_000 {
			continue
		}
		if careless && r.IntN(40) == 0 {
			b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
		}
		for len(b) > 0 {
			n := min(len(b), 1+r.IntN(5000))
			if _, err := c.Write(b[:n]); err != nil {
				return
			}
			b = b[n:]
		}
	}
	if r.IntN(2) == 0 {
		_, _ = c.Write(amqp.AppendFrame(b, &amqp.Frame{Body: &amqp.Close{}}))
		time.Sleep(time.Duration(r.IntN(5)) * time.Millisecond)
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// appendRandomFrame appends frames that could make sense. Careful clients have
// senders at handles 0 and 1 and receivers at 2 and 3, once they are attached;
// careless ones use handles and channels of nothing.
func appendRandomFrame(b []byte, r *rand.Rand, careless bool) []byte {
	channel, sender, receiver, either := uint16(0), r.Uint32N(2), 2+r.Uint32N(2), r.Uint32N(4)
	if careless && r.IntN(10) == 0 {
		channel, sender, receiver, either = uint16(r.IntN(3)), r.Uint32N(8), r.Uint32N(8), r.Uint32N(300)
	}
	frame := func(body any, payload []byte) []byte {
		return amqp.AppendFrame(b, &amqp.Frame{Channel: channel, Body: body, Payload: payload})
	}
	switch r.IntN(12) {
	case 0:
		b = frame(&amqp.Detach{Handle: either, Closed: r.IntN(2) == 0}, nil)
		return frame(randomAttach(r, either, careless), nil)
	case 1, 2, 3, 4, 5:
		return frame(randomTransfer(r, sender, careless))
	case 6, 7, 8:
		f := &amqp.Flow{NextIncomingID: ptr(1 + r.Uint32N(3)), IncomingWindow: pick(r, uint32(0), 3, 5000), NextOutgoingID: r.Uint32N(5), OutgoingWindow: 100}
		if r.IntN(4) > 0 {
			f.Handle, f.DeliveryCount, f.LinkCredit = &receiver, ptr(r.Uint32N(3)), ptr(pick(r, uint32(0), 1, 10, 1000))
			f.Drain, f.Echo = r.IntN(4) == 0, r.IntN(4) == 0
		}
		return frame(f, nil)
	case 9:
		return frame(&amqp.Disposition{Role: amqp.RoleReceiver, First: r.Uint32N(5), Last: ptr(r.Uint32()), Settled: true, State: amqp.Accepted{}}, nil)
	case 10:
		if careless && r.IntN(10) == 0 {
			return frame(&amqp.Begin{IncomingWindow: 5, OutgoingWindow: 5}, nil)
		}
		if r.IntN(5) == 0 {
			b = frame(&amqp.End{}, nil)
			b = frame(&amqp.Begin{IncomingWindow: pick(r, uint32(0), 1, 100, 1<<31), OutgoingWindow: 5}, nil)
			for h := range uint32(4) {
				b = frame(randomAttach(r, h, careless), nil)
			}
			return b
		}
	}
	return amqp.AppendHeartbeat(b)
}

func randomAttach(r *rand.Rand, handle uint32, careless bool) *amqp.Attach {
	address := pick(r, "single", "telemetry/Partitions/3", "$cbs")
	if handle >= 2 {
		address = pick(r, singleReceiver, "telemetry/ConsumerGroups/reports/Partitions/3", "$cbs")
	}
	if careless && r.IntN(3) == 0 {
		address = randomAddress(r)
	}
	a := &amqp.Attach{Name: fmt.Sprint("l", handle), Handle: handle, Role: amqp.Role(handle >= 2)}
	if careless && r.IntN(20) == 0 {
		a.Role = !a.Role
	}
	a.Source, a.Target = &amqp.Source{Address: address}, &amqp.Target{Address: address}
	switch r.IntN(6) {
	case 0:
		a.Source.Filter = amqp.Map{{Key: amqp.Symbol("f"), Value: amqp.Described{Descriptor: amqp.Symbol("apache.org:selector-filter:string"),
			Value: pick(r, "amqp.annotation.x-opt-offset > '@latest'", "amqp.annotation.x-opt-offset >= '1'", "amqp.annotation.x-opt-enqueued-time > '5'", "nonsense", "'")}}}
	case 1:
		a.Properties = amqp.Map{{Key: amqp.Symbol("com.microsoft:epoch"), Value: int64(r.IntN(5) - 1)}}
	case 2:
		a.DesiredCapabilities = []amqp.Symbol{"com.microsoft:enable-receiver-runtime-metric", "com.microsoft:idempotent-producer"}
	case 3:
		a.SenderSettleMode = ptr(uint8(r.IntN(4)))
	}
	return a
}

func randomTransfer(r *rand.Rand, handle uint32, careless bool) (*amqp.Transfer, []byte) {
	tr := &amqp.Transfer{Handle: handle, DeliveryID: ptr(r.Uint32()), DeliveryTag: []byte{1}, More: r.IntN(5) == 0, Aborted: r.IntN(20) == 0}
	if r.IntN(3) == 0 {
		tr.Settled = ptr(true)
	}
	payload := message(strings.Repeat("x", r.IntN(3000)), amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: pick[any](r, "k", int32(5), nil)}})
	switch r.IntN(6) {
	case 0:
		tr.MessageFormat = ptr(amqp.BatchFormat)
		payload = batch(payload, payload)
	case 1:
		payload = payload[:r.IntN(len(payload))]
	case 2:
		payload = amqp.AppendBody(amqp.AppendApplicationProperties(amqp.AppendProperties(nil, &amqp.Properties{MessageID: "m", ReplyTo: "x"}),
			pick(r, tokenRequest("x"), amqp.Map{{Key: "operation", Value: "READ"}, {Key: "name", Value: "single"}, {Key: "type", Value: "com.microsoft:eventhub"}})), "t")
	case 3:
		if careless && r.IntN(10) == 0 {
			tr.DeliveryID = nil
		}
	}
	return tr, payload
}

func randomAddress(r *rand.Rand) string {
	return pick(r, "telemetry", "telemetry/Partitions/1", "telemetry/Partitions/9", "telemetry/Publishers/p", "nowhere", "$management",
		"telemetry/ConsumerGroups/reports/Partitions/2", "telemetry/ConsumerGroups/none/Partitions/2", "")
}

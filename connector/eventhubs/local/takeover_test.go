package local_test

import (
	"sync"
	"testing"

	"millrace/connector/eventhubs/local/amqp"
)

// Receivers of one epoch take a partition from each other all the time, also from
// those that are not attached yet. Each of them gets what is there or is told that
// it has to go, after it was told that it is there.
func TestReceiversThatTakeOverAllTheTime(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	fill(t, w, 1, 10)
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range rounds {
				if t.Failed() {
					return
				}
				takeOver(t, w)
			}
		})
	}
	wg.Wait()
	// Nobody is left behind: one without an epoch may read.
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 100)
	for {
		c.put(0, receiverAttach(0, singleReceiver))
		if a := get[amqp.Attach](c); a.Source != nil {
			break
		}
		get[amqp.Detach](c) // the last of them may be on its way out
		c.put(0, &amqp.Detach{Handle: 0, Closed: true})
	}
	c.credit(0, 0, 0, 1, nil)
	c.delivery()
}

func takeOver(t *testing.T, w *world) {
	c := dialRaw(t, w)
	defer c.Close()
	a := receiverAttach(0, singleReceiver)
	a.Properties = amqp.Map{{Key: amqp.Symbol("com.microsoft:epoch"), Value: int64(0)}}
	b := amqp.AppendProtocolHeader(nil, amqp.ProtocolAMQP)
	for _, body := range []any{&amqp.Open{ContainerID: "x"}, &amqp.Begin{IncomingWindow: 100, OutgoingWindow: 100}, a,
		&amqp.Flow{IncomingWindow: 100, Handle: ptr(uint32(0)), DeliveryCount: ptr(uint32(0)), LinkCredit: ptr(uint32(10))}} {
		b = amqp.AppendFrame(b, &amqp.Frame{Body: body})
	}
	if _, err := c.Write(b); err != nil {
		t.Error(err)
		return
	}
	if _, err := c.r.ReadProtocolHeader(); err != nil {
		t.Error(err)
		return
	}
	attached := false
	for {
		f, err := c.frame()
		if err != nil {
			t.Errorf("attached: %v; %v", attached, err)
			return
		}
		switch body := f.Body.(type) {
		case *amqp.Attach:
			attached = body.Source != nil
		case *amqp.Detach:
			if !attached || body.Error == nil || body.Error.Condition != amqp.ErrorLinkStolen {
				t.Errorf("attached: %v; detach %+v", attached, body)
			}
			return
		case *amqp.Transfer:
			if !attached {
				t.Error("an event came before the attach")
			}
			return
		}
	}
}

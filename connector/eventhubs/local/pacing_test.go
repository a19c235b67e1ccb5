package local_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// Egress beyond the quota is no error: events come later.
func TestEgressIsPaced(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *local.Options, ho *hub.Options) {
		ho.Namespaces[0].ThroughputUnits = 1
		ho.Namespaces = append(ho.Namespaces[:1], hub.NamespaceSpec{Name: "other"})
	})
	p := w.producer(t, "single")
	const n = 900 // within a second's ingress
	send(t, p, nil, strings.Repeat("x", 900), n)
	c := w.consumer(t, "single", "$Default")
	quota := w.cluster.Default().Quota()
	// More than 2 MB in a second is possible on any machine, sooner or later.
	for end := time.Now().Add(2 * patience); quota.Counts().PacedRequests == 0; {
		if time.Now().After(end) {
			t.Fatalf("counts %+v", quota.Counts())
		}
		var wg sync.WaitGroup
		for range 4 {
			pc := open(t, c, "0", nil)
			wg.Go(func() {
				for got := 0; got < n; {
					events, err := tryReceive(pc, n-got, patience)
					if err != nil {
						t.Error(err)
						return
					}
					got += len(events)
				}
				_ = pc.Close(context.Background())
			})
		}
		if wg.Wait(); t.Failed() {
			return
		}
	}
}

// A link whose hub is deleted is told so.
func TestDeletedHub(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	p := producerAt(t, w.Address(), "single", nil)
	send(t, p, nil, "x", 1)
	c := w.consumer(t, "single", "$Default")
	pc := open(t, c, "0", nil)
	receive(t, pc, 1)
	if err := w.cluster.Default().DeleteHub(patient(t), "single"); err != nil {
		t.Fatal(err)
	}
	_, err := tryReceive(pc, 1, patience)
	mention(t, err, "amqp:not-found")
	o := azeventhubs.ProducerClientOptions{RetryOptions: once}
	_, err = producerAt(t, w.Address(), "single", &o).NewEventDataBatch(patient(t), nil)
	mention(t, err, "amqp:not-found")
	b, err := p.NewEventDataBatch(patient(t), nil) // on the link that it has, if that is still there
	if err == nil {
		if err = b.AddEventData(&azeventhubs.EventData{Body: []byte("x")}, nil); err == nil {
			err = p.SendEventDataBatch(patient(t), b, nil)
		}
	}
	mention(t, err, "amqp:not-found")
}

// A token that ends takes its links with it, if it is not renewed.
func TestTokensEnd(t *testing.T) {
	t.Parallel()
	w := start(t, withKey("k"))
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	c.put(0, senderAttach(0, "$cbs"), receiverAttach(1, "$cbs"))
	for range 3 {
		if _, err := c.frame(); err != nil {
			t.Fatal(err)
		}
	}
	c.credit(0, 1, 0, 10, nil)
	m := append([]byte(nil), tokenMessage("telemetry", signed(w, "telemetry", "k", 5*time.Second))...)
	c.transfer(0, 0, 0, 0, m, 60_000)
	c.accepted(0)
	c.delivery()
	c.sender(0, 2, "telemetry")
	for {
		f, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := detachOf(f.Body); ok {
			if d.Handle != 2 || d.Error == nil || d.Error.Condition != "amqp:unauthorized-access" {
				t.Errorf("detach %+v", d)
			}
			return
		}
	}
}

func tokenMessage(audience, token string) []byte {
	m := amqp.AppendProperties(nil, &amqp.Properties{MessageID: "1"})
	return amqp.AppendBody(amqp.AppendApplicationProperties(m, tokenRequest("sb://localhost/"+audience)), token)
}

func detachOf(body any) (*amqp.Detach, bool) {
	d, ok := body.(*amqp.Detach)
	return d, ok
}

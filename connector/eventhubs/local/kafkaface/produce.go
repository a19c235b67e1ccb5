package kafkaface

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// minTimeout is what shorter timeouts of clients are treated as.
	minTimeout = 20 * time.Second
	maxTimeout = 5 * time.Minute

	noTransactions = "transactions are not available"
)

// place is a partition of a topic of the log.
type place struct {
	topic     string
	partition int32
}

// timeout is how long a request may take that names milliseconds.
func timeout(millis int32) time.Duration {
	return min(max(time.Duration(millis)*time.Millisecond, minTimeout), maxTimeout)
}

// produce appends what the client sends once the quota has room for it.
func (c *conn) produce(req *kmsg.ProduceRequest) (kmsg.Response, error) {
	resp, err := c.append(req)
	if req.Acks != 0 || err != nil {
		return resp, err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				// As Kafka does: it is the only way to tell this client.
				return nil, &garbage{"events sent with acks=0 were refused: " + kerr.TypedErrorForCode(p.ErrorCode).Error()}
			}
		}
	}
	return nil, nil
}

func (c *conn) append(req *kmsg.ProduceRequest) (*kmsg.ProduceResponse, error) {
	switch {
	case req.TransactionID != nil:
		return produceError(req, kerr.TransactionalIDAuthorizationFailed.Code, noTransactions), nil
	case req.Acks < -1 || req.Acks > 1:
		return produceError(req, kerr.InvalidRequiredAcks.Code, "acks must be all, 1 or 0"), nil
	}
	a := appending{c: c, req: req, resp: produceError(req, kerr.UnknownServerError.Code, "")}
	events, bytes := a.check()
	if events == 0 {
		return a.resp, nil
	}
	limit := timeout(req.TimeoutMillis)
	waited, ok := c.ingress(events, bytes, limit)
	a.resp.ThrottleMillis = paid(waited)
	if !ok {
		for _, to := range a.taken {
			to.refuse(kerr.PolicyViolation.Code, "the namespace's throughput units do not allow for more")
		}
		return a.resp, nil
	}
	requests, err := a.split(limit)
	if err != nil {
		for _, to := range a.taken {
			to.refuse(kerr.NotLeaderForPartition.Code, "the log does not answer")
		}
		return a.resp, nil
	}
	c.each(requests, a.answered)
	return a.resp, nil
}

// paid is the throttle time of an answer that has been held back. Clients wait
// after the answer for as long as it says (KIP-219): were it the time that they
// have waited for it, they would get half of what the units allow.
func paid(waited time.Duration) int32 {
	if waited > 0 {
		return 1
	}
	return 0
}

// ingress waits until the quota lets events in, at most for limit.
func (c *conn) ingress(events int, bytes int64, limit time.Duration) (waited time.Duration, ok bool) {
	began := time.Now()
	for {
		wait, ok := c.scope.ns.Quota().TryIngress(events, bytes)
		waited = time.Since(began).Truncate(time.Millisecond)
		if ok {
			return waited, true
		}
		if waited+wait > limit || !c.sleep(wait) {
			return max(waited, time.Millisecond), false
		}
	}
}

// produceError answers every partition of a request with an error.
func produceError(req *kmsg.ProduceRequest, code int16, text string) *kmsg.ProduceResponse {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for i := range req.Topics {
		t := kmsg.NewProduceResponseTopic()
		t.Topic = req.Topics[i].Topic
		t.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(req.Topics[i].Partitions))
		for j := range t.Partitions {
			p := &t.Partitions[j]
			p.Default()
			p.Partition = req.Topics[i].Partitions[j].Partition
			p.ErrorCode, p.BaseOffset, p.LogAppendTime, p.LogStartOffset = code, -1, -1, -1
			if text != "" {
				p.ErrorMessage = &text
			}
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// appending is a Produce request on its way.
type appending struct {
	c     *conn
	req   *kmsg.ProduceRequest
	resp  *kmsg.ProduceResponse // in the request's order
	taken []taken
	at    int // where find goes on
}

// taken is one batch that has passed the checks, and where its answer goes.
type taken struct {
	place
	broker  int32
	records []byte
	out     *kmsg.ProduceResponseTopicPartition
}

func (t *taken) refuse(code int16, text string) {
	t.out.ErrorCode, t.out.ErrorMessage = code, &text
}

// check sorts out what cannot be appended.
func (a *appending) check() (events int, bytes int64) {
	for i := range a.req.Topics {
		t := &a.req.Topics[i]
		topic, code := a.c.scope.topic(t.Topic)
		for j := range t.Partitions {
			out := &a.resp.Topics[i].Partitions[j]
			if code != 0 {
				out.ErrorCode = code
				continue
			}
			n, no := checkBatch(t.Partitions[j].Records)
			if no != nil {
				out.ErrorCode, out.ErrorMessage = no.code, &no.text
				a.c.complain(t.Topic, no.text)
				continue
			}
			events += n
			bytes += int64(len(t.Partitions[j].Records))
			a.taken = append(a.taken, taken{place{topic, t.Partitions[j].Partition}, noLeader, t.Partitions[j].Records, out})
		}
	}
	return events, bytes
}

// complain logs the first refusal of a connection; the others are likely of the
// same kind.
func (c *conn) complain(name, why string) {
	if !c.complained {
		c.complained = true
		c.log.Warn("the Kafka endpoint refuses events", "hub", name, "reason", why)
	}
}

// split makes the request for each broker. The log acknowledges for all its
// replicas, whatever the client asked for.
func (a *appending) split(limit time.Duration) (map[int32]kmsg.Request, error) {
	topics := make([]string, 0, len(a.req.Topics))
	for i := range a.taken {
		if n := len(topics); n == 0 || topics[n-1] != a.taken[i].topic {
			topics = append(topics, a.taken[i].topic)
		}
	}
	if err := a.c.know(topics); err != nil {
		return nil, err
	}
	requests := map[int32]kmsg.Request{}
	for i := range a.taken {
		t := &a.taken[i]
		broker, code := a.c.backend.leader(t.topic, t.partition)
		if code != 0 {
			t.out.ErrorCode = code
			continue
		}
		t.broker = broker
		req, _ := requests[broker].(*kmsg.ProduceRequest)
		if req == nil {
			req = kmsg.NewPtrProduceRequest()
			req.Acks, req.TimeoutMillis = -1, int32(limit.Milliseconds())
			requests[broker] = req
		}
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = t.partition, t.records
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != t.topic {
			rt := kmsg.NewProduceRequestTopic()
			rt.Topic = t.topic
			req.Topics = append(req.Topics, rt)
		}
		rt := &req.Topics[len(req.Topics)-1]
		rt.Partitions = append(rt.Partitions, p)
	}
	return requests, nil
}

// answered puts one broker's answer into the client's.
func (a *appending) answered(broker int32, kresp kmsg.Response, err error) {
	if err != nil {
		a.failed(broker, err)
		return
	}
	resp := kresp.(*kmsg.ProduceResponse)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			to := a.find(place{t.Topic, p.Partition})
			if to == nil {
				continue
			}
			p.ErrorCode = a.c.backend.moved(t.Topic, p.ErrorCode)
			*to.out = *p
			to.out.CurrentLeader.Default() // brokers of the log are not the client's business
		}
	}
}

// failed answers for a broker that did not. Unless it was not reached at all it
// may have appended the events: the client has to repeat them, and an
// idempotent one does so without duplicates.
func (a *appending) failed(broker int32, err error) {
	code := kerr.RequestTimedOut.Code
	if unsent(err) {
		code = kerr.NotLeaderForPartition.Code
	}
	for i := range a.taken {
		if t := &a.taken[i]; t.broker == broker {
			t.refuse(code, "the log does not answer")
			delete(a.c.backend.leaders, t.topic)
		}
	}
}

// find looks for a partition. Answers are mostly in the order of the request.
func (a *appending) find(at place) *taken {
	for range a.taken {
		t := &a.taken[a.at%len(a.taken)]
		if a.at++; t.place == at {
			return t
		}
	}
	return nil
}

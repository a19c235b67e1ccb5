package kafkaface

import (
	"time"

	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxFetch bounds an answer, minFetch is what is allowed however many
	// connections there are; together they may hold fetchBudget. A single
	// batch is answered whole even if it is larger.
	maxFetch    = 8 << 20
	minFetch    = 1 << 20
	fetchBudget = 512 << 20

	// maxWait bounds how long a fetch waits for events.
	maxWait = 60 * time.Second
	// maxPause is how long the quota delays an answer: clients give up after
	// 30 s by default. What is left of a pause delays the next ones.
	maxPause = 20 * time.Second
	// turn is how long the brokers of a log of many are waited for together.
	turn = 50 * time.Millisecond
)

// fetch reads from the log. Its answers never open a fetch session, so that
// every request of a client names all that it wants.
func (c *conn) fetch(req *kmsg.FetchRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	if req.SessionEpoch > 0 {
		resp.ErrorCode = kerr.FetchSessionIDNotFound.Code
		return resp, nil
	}
	f := fetching{c: c, req: req, resp: resp, limit: c.fetchLimit()}
	f.outline()
	var paused time.Duration
	if wait := time.Until(c.pause); wait > 0 {
		// Earlier answers are to be paid for first.
		paused = min(wait, maxPause)
		if !c.sleep(paused) {
			return nil, c.ctx.Err()
		}
		if wait > maxPause {
			resp.ThrottleMillis = paid(paused)
			return resp, nil
		}
	}
	f.read()
	events, bytes := f.strip()
	if wait := c.scope.ns.Quota().Egress(events, bytes); wait > 0 && events > 0 {
		c.pause = time.Now().Add(wait)
		wait = min(wait, maxPause-paused)
		if !c.sleep(wait) {
			return nil, c.ctx.Err()
		}
		paused += wait
	}
	resp.ThrottleMillis = paid(paused)
	return resp, nil
}

// fetchLimit is the largest answer that this connection gets now. A quota's
// second is not exceeded by a single answer.
func (c *conn) fetchLimit() int32 {
	limit := int64(max(minFetch, min(maxFetch, fetchBudget/max(1, c.srv.open()))))
	if allowed := c.scope.ns.Quota().Limits().EgressBytes; allowed > 0 {
		limit = min(limit, allowed)
	}
	return int32(limit)
}

// fetching is a Fetch request on its way.
type fetching struct {
	c     *conn
	req   *kmsg.FetchRequest
	resp  *kmsg.FetchResponse // in the request's order
	limit int32
	wants []wanted
	at    int // where find goes on
}

// wanted is one partition that is to be read, and where its events go.
type wanted struct {
	place
	broker int32
	in     *kmsg.FetchRequestTopicPartition
	out    *kmsg.FetchResponseTopicPartition
}

// outline makes the answer without events.
func (f *fetching) outline() {
	for i := range f.req.Topics {
		t := &f.req.Topics[i]
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic = t.Topic
		rt.Partitions = make([]kmsg.FetchResponseTopicPartition, len(t.Partitions))
		topic, code := f.c.scope.topic(t.Topic)
		for j := range t.Partitions {
			out := &rt.Partitions[j]
			out.Default()
			out.Partition, out.ErrorCode = t.Partitions[j].Partition, code
			out.HighWatermark, out.LastStableOffset, out.LogStartOffset, out.PreferredReadReplica = -1, -1, -1, -1
			if code == 0 {
				f.wants = append(f.wants, wanted{place{topic, out.Partition}, noLeader, &t.Partitions[j], out})
			}
		}
		f.resp.Topics = append(f.resp.Topics, rt)
	}
}

// read asks the log until there is enough, or something to tell, or the wait
// is over.
func (f *fetching) read() {
	wait := min(time.Duration(max(0, f.req.MaxWaitMillis))*time.Millisecond, maxWait)
	until := time.Now().Add(wait)
	if len(f.wants) == 0 {
		// Kafka waits as well, and a client would otherwise ask again at once.
		if len(f.req.Topics) == 0 {
			f.c.sleep(wait)
		}
		return
	}
	requests := f.split()
	if f.failed() || f.req.MinBytes <= 0 {
		until = time.Now()
	}
	for {
		left := max(0, time.Until(until))
		if len(requests) > 1 {
			// Whoever has events answers at once, but all are waited for.
			left = min(left, turn)
		}
		for _, r := range requests {
			r.(*kmsg.FetchRequest).MaxWaitMillis = int32(left.Milliseconds())
		}
		f.c.each(requests, f.answered)
		if f.failed() || f.size() >= int64(f.req.MinBytes) || !time.Now().Before(until) || f.c.ctx.Err() != nil {
			return
		}
	}
}

// split makes the request for each broker.
func (f *fetching) split() map[int32]kmsg.Request {
	requests := map[int32]kmsg.Request{}
	topics := make([]string, 0, len(f.req.Topics))
	for i := range f.wants {
		if n := len(topics); n == 0 || topics[n-1] != f.wants[i].topic {
			topics = append(topics, f.wants[i].topic)
		}
	}
	if err := f.c.know(topics); err != nil {
		for i := range f.wants {
			f.wants[i].out.ErrorCode = kerr.NotLeaderForPartition.Code
		}
		return requests
	}
	for i := range f.wants {
		w := &f.wants[i]
		broker, code := f.c.backend.leader(w.topic, w.partition)
		if code != 0 {
			w.out.ErrorCode = code
			continue
		}
		w.broker = broker
		req, _ := requests[broker].(*kmsg.FetchRequest)
		if req == nil {
			req = kmsg.NewPtrFetchRequest()
			req.IsolationLevel = f.req.IsolationLevel
			req.SessionEpoch = -1
			requests[broker] = req
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset = w.partition, w.in.FetchOffset
		p.PartitionMaxBytes = min(w.in.PartitionMaxBytes, f.limit)
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != w.topic {
			t := kmsg.NewFetchRequestTopic()
			t.Topic = w.topic
			req.Topics = append(req.Topics, t)
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	for _, r := range requests {
		req := r.(*kmsg.FetchRequest)
		req.MaxBytes = min(f.req.MaxBytes, f.limit) / int32(len(requests))
		if req.MinBytes = f.req.MinBytes; len(requests) > 1 {
			req.MinBytes = min(req.MinBytes, 1)
		}
	}
	return requests
}

// answered puts one broker's answer into the client's.
func (f *fetching) answered(broker int32, kresp kmsg.Response, err error) {
	if err == nil {
		err = kerr.ErrorForCode(kresp.(*kmsg.FetchResponse).ErrorCode)
	}
	if err != nil {
		for i := range f.wants {
			if w := &f.wants[i]; w.broker == broker {
				w.out.ErrorCode = kerr.NotLeaderForPartition.Code
				delete(f.c.backend.leaders, w.topic)
			}
		}
		return
	}
	resp := kresp.(*kmsg.FetchResponse)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if w := f.find(place{t.Topic, p.Partition}); w != nil {
				p.ErrorCode = f.c.backend.moved(t.Topic, p.ErrorCode)
				p.PreferredReadReplica = -1
				*w.out = *p
			}
		}
	}
}

// find looks for a partition. Answers are mostly in the order of the request.
func (f *fetching) find(at place) *wanted {
	for range f.wants {
		w := &f.wants[f.at%len(f.wants)]
		if f.at++; w.place == at {
			return w
		}
	}
	return nil
}

// failed tells whether any partition has an error to tell.
func (f *fetching) failed() bool {
	for i := range f.resp.Topics {
		for j := range f.resp.Topics[i].Partitions {
			if f.resp.Topics[i].Partitions[j].ErrorCode != 0 {
				return true
			}
		}
	}
	return false
}

func (f *fetching) size() (n int64) {
	for i := range f.wants {
		n += int64(len(f.wants[i].out.RecordBatches))
	}
	return n
}

// fetchSize is about how long the answer is on the wire.
func fetchSize(r *kmsg.FetchResponse) int {
	n := 64
	for i := range r.Topics {
		n += 64 + len(r.Topics[i].Topic)
		for j := range r.Topics[i].Partitions {
			n += 64 + len(r.Topics[i].Partitions[j].RecordBatches)
		}
	}
	return n
}

// strip takes out what only this server put into events that came by AMQP, and
// counts what is left.
func (f *fetching) strip() (events int, bytes int64) {
	for i := range f.wants {
		out := f.wants[i].out
		out.RecordBatches = hub.StripMarker(out.RecordBatches)
		events += countEvents(out.RecordBatches)
		bytes += int64(len(out.RecordBatches))
	}
	return events, bytes
}

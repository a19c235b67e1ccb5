package eventhubs

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

const (
	// keyAnnotation is where an event carries its partition key.
	keyAnnotation = "x-opt-partition-key"
	// fullBatch is how many bytes are enough to send without waiting for
	// more; the service's limit is 1 MB, with the overhead of each event.
	fullBatch = 900 << 10
	// maxKeys bounds the keys that a sender remembers, and sizeOverhead is
	// about what an event takes in a batch beside its key and value.
	maxKeys      = 1 << 14
	sizeOverhead = 100
	// leastBatch and mostBatch bound sender.most; the latter is more than
	// fit into 1 MB.
	leastBatch = 50
	mostBatch  = 1 << 20
)

// sender sends the events of one partition, one batch after another: that is
// what keeps their order over retries. While a batch is under way the next one
// fills.
type sender struct {
	p         *producer
	partition int32
	id        string
	work      chan struct{} // has a signal when there may be something to do

	mu     sync.Mutex
	queue  []*connector.Message
	bytes  int
	since  time.Time // when the oldest in queue came
	flushs bool      // send what is there without waiting
	closed bool

	// Below: of run alone.
	spare []*connector.Message
	most  int // events of the next batch, see slower
	event azeventhubs.AMQPAnnotatedMessage
	data  [1][]byte
	keys  map[string]any
	mark  mark
}

func newSender(p *producer, partition int32) *sender {
	s := &sender{p: p, partition: partition, id: partitionID(partition), work: make(chan struct{}, 1), keys: map[string]any{}, most: mostBatch}
	s.event.Body.Data = s.data[:]
	s.event.Properties = &azeventhubs.AMQPAnnotatedMessageProperties{}
	s.event.MessageAnnotations = map[any]any{}
	return s
}

// add queues a message; false if the sender has ended.
func (s *sender) add(m *connector.Message) bool {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	if len(s.queue) == 0 {
		s.since = time.Now()
	}
	before := s.bytes
	s.queue = append(s.queue, m)
	s.bytes += len(m.Key) + len(m.Value) + sizeOverhead
	wake := before == 0 || before < fullBatch && s.bytes >= fullBatch
	s.mu.Unlock()
	if wake {
		signal(s.work)
	}
	return true
}

func (s *sender) flush() {
	s.mu.Lock()
	s.flushs = true
	s.mu.Unlock()
	signal(s.work)
}

// take waits until a batch is due and returns everything queued; nil when the
// producer is closed.
func (s *sender) take() []*connector.Message {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	linger := s.p.log.cfg.Linger.D()
	for s.p.ctx.Err() == nil {
		wait := time.Hour
		s.mu.Lock()
		if n := len(s.queue); n > 0 {
			wait = linger - time.Since(s.since)
			if s.flushs || s.bytes >= fullBatch || wait <= 0 {
				ms := s.queue
				s.queue, s.bytes, s.flushs = s.spare[:0], 0, false
				s.spare = nil
				s.mu.Unlock()
				return ms
			}
		} else {
			s.flushs = false
		}
		s.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-s.work:
		case <-timer.C:
		case <-s.p.ctx.Done():
		}
	}
	return nil
}

// run sends until the producer is closed, and then gives up what is left.
func (s *sender) run() {
	for {
		ms := s.take()
		if ms == nil {
			break
		}
		s.sendAll(ms)
		clear(ms)
		s.spare = ms
	}
	s.mu.Lock()
	s.closed = true
	rest := s.queue
	s.queue = nil
	s.mu.Unlock()
	s.settle(rest, s.p.errClosed())
}

func (s *sender) settle(ms []*connector.Message, err error) {
	for _, m := range ms {
		s.p.settle(m, err, true)
	}
}

// sendAll sends messages in as few batches as they fit into.
func (s *sender) sendAll(ms []*connector.Message) {
	limit := uint64(0) // the link's
	for len(ms) > 0 {
		s.remark()
		b, err := s.newBatch(limit)
		if err != nil {
			s.settle(ms, err)
			return
		}
		n, first, err := s.fill(b, ms[:min(len(ms), s.most)])
		if n == 0 {
			// The first one alone does not fit, or cannot be encoded.
			s.settle(ms[:1], s.rejected(ms[0], err))
			ms = ms[1:]
			continue
		}
		err = s.send(b, first)
		switch {
		case err == nil:
			s.most = min(s.most+s.most/4, mostBatch)
		case faultOf(err) == busy && s.p.ctx.Err() == nil:
			s.slower(n, err)
			continue
		case faultOf(err) == oversized && n > 1:
			// The link promised more than the service takes.
			limit = b.NumBytes() / 2
			continue
		case faultOf(err) == oversized:
			err = s.rejected(ms[0], err)
		}
		s.settle(ms[:n], err)
		ms = ms[n:]
	}
}

// slower follows an answer that the service is being throttled: the next
// batches are smaller, so that what is left of a second's allowance is used, and
// the senders come back at different times. The service counts by the second;
// the four seconds that it asks for are for clients that do not slow down.
func (s *sender) slower(n int, err error) {
	s.most = max(leastBatch, n/2)
	wait := busyWait(err)
	sleep(s.p.ctx, wait/8+rand.N(wait/4))
}

// fill adds messages to a batch until it is full, and returns how many and the
// identity of the first.
func (s *sender) fill(b *azeventhubs.EventDataBatch, ms []*connector.Message) (n int, first uint64, err error) {
	for i, m := range ms {
		// The SDK encodes the event at once, so that one serves for all.
		s.data[0] = m.Value
		if m.Value == nil {
			s.data[0] = []byte{}
		}
		// With no identity the SDK makes up a random one, which costs more
		// than encoding the rest.
		id := s.p.ids.Add(1)
		if i == 0 {
			first = id
		}
		s.event.Properties.MessageID = id
		if len(m.Key) > 0 {
			s.event.MessageAnnotations[keyAnnotation] = s.key(m.Key)
		} else {
			clear(s.event.MessageAnnotations)
		}
		if err := b.AddAMQPAnnotatedMessage(&s.event, nil); err != nil {
			return i, first, err
		}
	}
	return len(ms), first, nil
}

// key is a key as the SDK wants it, without making it anew for every event.
func (s *sender) key(k []byte) any {
	if v, ok := s.keys[string(k)]; ok {
		return v
	}
	if len(s.keys) >= maxKeys {
		clear(s.keys)
	}
	text := string(k)
	var v any = text
	s.keys[text] = v
	return v
}

// newBatch makes an empty batch of at most limit bytes, 0 for what the link
// takes, which it opens if need be.
func (s *sender) newBatch(limit uint64) (b *azeventhubs.EventDataBatch, err error) {
	o := &azeventhubs.EventDataBatchOptions{PartitionID: &s.id, MaxBytes: limit}
	err = s.persist("opening a link to", func() error {
		b, err = s.p.client.NewEventDataBatch(s.p.ctx, o)
		return err
	})
	return b, err
}

// send sends a batch. When the answer was lost, it looks in the hub for the
// batch before it sends it again. That the service throttles is for the caller.
func (s *sender) send(b *azeventhubs.EventDataBatch, first uint64) error {
	unsure, looked := false, 0
	var throttled error
	err := s.persist("sending to", func() error {
		if unsure {
			looked++
			if there, err := s.landed(first, int(b.NumEvents()), looked >= readBackTries); there || err != nil {
				return err
			}
		}
		err := s.p.client.SendEventDataBatch(s.p.ctx, b, nil)
		if err != nil && faultOf(err) == busy {
			throttled = s.p.log.counted(err)
			return nil
		}
		unsure = unsure || err != nil && faultOf(err) == passing
		return err
	})
	return cmp.Or(err, throttled)
}

// persist repeats a step until it succeeds, cannot succeed, or the producer is
// closed.
func (s *sender) persist(doing string, step func() error) error {
	l := s.p.log
	for n := 1; ; n++ {
		err := step()
		if err == nil {
			l.e.reached.Store(true)
			return nil
		}
		if s.p.ctx.Err() != nil {
			return s.p.errClosed()
		}
		f := faultOf(l.counted(err))
		switch {
		case f == oversized:
			return err
		case f.lasting():
			return l.e.explain(err, fmt.Sprintf("%s hub %s partition %d", doing, l.hub, s.partition))
		case f == busy:
			sleep(s.p.ctx, busyWait(err))
		case n == 10:
			l.log.Warn("events cannot be sent for now; it is tried again", "hub", l.hub, "partition", s.partition, "error", err)
			sleep(s.p.ctx, backoff(n))
		default:
			l.log.Debug("sending failed and is repeated", "hub", l.hub, "partition", s.partition, "error", err)
			sleep(s.p.ctx, backoff(n))
		}
	}
}

// rejected says why a single event was not sent.
func (s *sender) rejected(m *connector.Message, err error) error {
	doing := fmt.Sprintf("sending to hub %s partition %d", s.p.log.hub, s.partition)
	if errors.Is(err, azeventhubs.ErrEventDataTooLarge) || faultOf(err) == oversized {
		return &connector.Hinted{Hint: "the service takes events of up to 1 MB (256 KB in the Basic tier), all overhead included",
			Err: fmt.Errorf("%s: the event of %d bytes is larger than the hub takes: %w", doing, len(m.Value), err)}
	}
	return fmt.Errorf("%s: the event cannot be encoded: %w", doing, err)
}

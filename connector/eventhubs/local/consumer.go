package local

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

const (
	// maxEvents is how many events are taken from the log at once.
	maxEvents = 512
	// drainWait is how long a client that drains its link waits for events
	// that are in the log but have not been fetched yet.
	drainWait = time.Second

	capRuntimeMetric amqp.Symbol = "com.microsoft:enable-receiver-runtime-metric"
)

// Properties of a receiver's link.
const (
	receiverName  = "com.microsoft:receiver-name"
	receiverEpoch = "com.microsoft:epoch"
)

// consumer is a link by which a client receives the events of a partition.
type consumer struct {
	linkEnd
	outgoing
	hub       *hub.Hub
	group     string // in its canonical form
	partition int32
	receiver  string // its name
	epoch     int64  // noEpoch if it has none
	from      int64  // the first sequence number to send
	metrics   bool   // it wants to know the end of the partition with every event

	ctx    context.Context
	cancel context.CancelFunc
	woken  chan struct{} // has one place

	// Under c.mu.
	idle bool // there is nothing to send: events are being waited for
	next int64
	late *time.Timer  // ends a drain for which the log has nothing
	end  func() int64 // the newest sequence number known of; nil: not read yet
}

func (l *consumer) key() receiversKey {
	return receiversKey{topic: l.hub.Topic(), group: strings.ToLower(l.group), partition: l.partition}
}

// common settles which of the embedded ends is meant: they are the same.
func (l *consumer) common() *linkEnd { return &l.linkEnd }

// attachConsumer attaches a link from a partition.
func (s *session) attachConsumer(end linkEnd, a *amqp.Attach, at address) *amqp.Error {
	c := s.c
	if !c.allowed(at.path) {
		return c.unauthorized("Listen", at.path)
	}
	ctx, cancel := c.lookup()
	defer cancel()
	h, err := c.namespace.Hub(ctx, at.hub)
	if err != nil {
		return fromLog(c, at.path, err)
	}
	l := &consumer{linkEnd: end, hub: h, epoch: noEpoch, receiver: end.name, woken: make(chan struct{}, 1)}
	l.outgoing.linkEnd = &l.linkEnd
	var ok bool
	if l.group, ok = h.HasGroup(at.group); !ok {
		return entityNotFound(c, at.path)
	}
	n, err := strconv.ParseInt(at.partition, 10, 32)
	if err != nil || n < 0 || int(n) >= h.Partitions() {
		return partitionOutOfRange(h.Partitions())
	}
	l.partition = int32(n)
	if refusal := l.properties(a); refusal != nil {
		return refusal
	}
	if refusal := l.position(ctx, a.Source.Filter); refusal != nil {
		return refusal
	}
	return l.open(a)
}

// properties reads the receiver's name, its epoch and its wishes.
func (l *consumer) properties(a *amqp.Attach) *amqp.Error {
	if v, ok := a.Properties.Get(receiverName); ok {
		if name, ok := v.(string); ok && name != "" {
			l.receiver = clip(name, 100)
		}
	}
	if v, ok := a.Properties.Get(receiverEpoch); ok && v != nil {
		if l.epoch, ok = integer(a.Properties, receiverEpoch); !ok || l.epoch < 0 {
			return amqpError(condArgumentError, "The epoch of a receiver is to be a whole number from 0 on.")
		}
	}
	l.metrics = slices.Contains(a.DesiredCapabilities, capRuntimeMetric)
	return nil
}

// position resolves where to start; the answer holds for this link, so that
// "latest" means: what comes in from now on.
func (l *consumer) position(ctx context.Context, filters amqp.Map) *amqp.Error {
	st, err := startOf(filters)
	if err != nil {
		return amqpError(condArgumentError, "%v", err)
	}
	if st.kind == startTime {
		at := time.UnixMilli(st.value)
		if !st.inclusive {
			at = at.Add(time.Millisecond)
		}
		if l.from, err = l.hub.SequenceAt(ctx, l.partition, at); err != nil {
			return fromLog(l.s.c, l.path, err)
		}
		return nil
	}
	info, err := l.hub.Partition(ctx, l.partition)
	if err != nil {
		return fromLog(l.s.c, l.path, err)
	}
	switch st.kind {
	case startLatest:
		l.from = info.End
		if st.inclusive && info.End > info.Begin {
			l.from-- // the last event that is there
		}
	case startOffset, startSequence:
		what := "offset"
		if st.kind == startSequence {
			what = "sequence number"
		}
		if st.value >= info.End {
			return amqpError(condArgumentError, "The supplied %s '%d' is invalid. The last %s in the system is '%d'", what, st.value, what, info.End-1)
		}
		l.from = max(info.Begin, st.value)
		if !st.inclusive {
			l.from = max(info.Begin, st.value+1)
		}
	default:
		l.from = info.Begin
	}
	return nil
}

// open lets the link take its place among the partition's receivers.
func (l *consumer) open(a *amqp.Attach) *amqp.Error {
	c := l.s.c
	l.ctx, l.cancel = context.WithCancel(c.ctx)
	l.next = l.from
	evicted, refusal := c.srv.receivers.join(l)
	if refusal != nil {
		l.cancel()
		return refusal
	}
	for _, e := range evicted {
		forceDetach(e, stolen(l, e))
	}
	reply := l.reply(a)
	// The service settles what it sends, whatever is asked for, but for
	// clients that insist. Go would stop after 300 events otherwise.
	l.settled = a.SenderSettleMode == nil || *a.SenderSettleMode != settleUnsettled
	if l.settled {
		reply.SenderSettleMode = ptr(settleSettled)
	}
	if l.metrics {
		reply.OfferedCapabilities = []amqp.Symbol{capRuntimeMetric}
	}
	if !l.s.attached(l, reply) {
		l.drop()
		return nil
	}
	c.links.Go(l.run)
	c.log.Debug("a consumer was attached", "receiver", l.receiver, "hub", l.hub.Name(), "group", l.group,
		"partition", l.partition, "epoch", l.epoch, "from", l.from)
	return nil
}

func (l *consumer) onTransfer(*amqp.Transfer, []byte) *amqp.Error {
	return amqpError(amqp.ErrorNotAllowed, "a transfer came on the link of a receiver")
}

// onFlow takes credit; c.mu is held.
func (l *consumer) onFlow(f *amqp.Flow) {
	l.takeFlow(f)
	if f.Drain && (l.credit == 0 && !l.parked || l.idle && l.caughtUp()) {
		l.drained()
	} else if f.Drain {
		l.drainSoon()
	}
	if f.Echo {
		l.tell()
	}
	l.signal()
}

// caughtUp tells whether everything known to be in the partition has been sent.
func (l *consumer) caughtUp() bool { return l.end != nil && l.next > l.end() }

// drainSoon sets the time for drainLate. c.mu is held.
func (l *consumer) drainSoon() {
	if l.late == nil {
		l.late = time.AfterFunc(drainWait, l.drainLate)
	} else {
		l.late.Reset(drainWait)
	}
}

// drainLate ends a drain for which the log had nothing after all.
func (l *consumer) drainLate() {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.idle {
		l.drained()
	}
}

func (l *consumer) resume() { l.signal() }

// signal lets the link's goroutine look again.
func (l *consumer) signal() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

func (l *consumer) drop() {
	l.cancel()
	l.s.c.srv.receivers.leave(l)
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	if l.late != nil {
		l.late.Stop()
	}
}

// run sends events until the link ends. It reads nothing before there is credit.
func (l *consumer) run() {
	defer l.cancel()
	if !l.wait(func() bool { return l.credit > 0 }) {
		return
	}
	r, err := l.hub.Reader(l.ctx, l.partition, l.from)
	if err == nil {
		err = l.stream(r)
		r.Close()
	}
	if err != nil && l.ctx.Err() == nil {
		forceDetach(l, fromLog(l.s.c, l.path, err))
	}
}

// wait waits for something to hold, which is looked at with c.mu held; false:
// the link has ended.
func (l *consumer) wait(holds func() bool) bool {
	c := l.s.c
	for {
		c.mu.Lock()
		ended := l.detached || l.s.gone || c.closing || c.failed
		ok := holds()
		c.mu.Unlock()
		if ended || l.ctx.Err() != nil {
			return false
		}
		if ok {
			return true
		}
		select {
		case <-l.woken:
		case <-l.ctx.Done():
			return false
		}
	}
}

// stream sends what the reader has, as far as the client has given credit.
func (l *consumer) stream(r *hub.Reader) error {
	c := l.s.c
	quota := l.hub.Namespace().Quota()
	c.mu.Lock()
	l.end = func() int64 { seq, _ := r.Last(); return seq }
	c.mu.Unlock()
	var annotations []byte
	for {
		l.setIdle(true)
		events, err := r.Next(l.ctx, maxEvents)
		l.setIdle(false)
		if err != nil {
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
		if l.metrics {
			annotations = l.runtimeMetrics(annotations[:0], r)
		}
		for len(events) > 0 {
			if !l.wait(l.maySend) {
				return nil
			}
			n, bytes := l.send(events, annotations)
			events = events[n:]
			if pause := quota.Egress(n, int64(bytes)); pause > 0 && !l.pause(pause) {
				return nil
			}
		}
		if !l.wait(l.whole) { // the rest of a large event
			return nil
		}
	}
}

// setIdle notes whether there is nothing to send at the moment, which is when a
// drain is done.
func (l *consumer) setIdle(idle bool) {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	l.idle = idle
	l.large = nil // large events are rare
	switch {
	case !idle || !l.drain:
	case l.credit == 0 || l.caughtUp():
		l.drained()
	default:
		l.drainSoon() // the log may end with what is no event
	}
}

// whole sends what is left of a large event, as far as the client and the writing
// goroutine can take it, and tells whether that was all. c.mu is held.
func (l *consumer) whole() bool {
	c := l.s.c
	if l.parked {
		l.appendRest()
	}
	if l.drain && l.credit == 0 && !l.parked {
		l.drained()
	}
	if !c.hasRoom() {
		c.waitForRoom(l)
	}
	return !l.parked
}

// maySend tells whether the next event can be sent. c.mu is held.
func (l *consumer) maySend() bool {
	return l.whole() && l.ready() && l.s.c.hasRoom()
}

// send sends as many events as it may in one go.
func (l *consumer) send(events []hub.Event, annotations []byte) (n, bytes int) {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.failed {
		return 0, 0
	}
	start := len(c.out)
	var e *hub.Event
	encode := func(dst []byte) []byte { return e.AppendMessage(dst, annotations) }
	for n < len(events) && l.ready() && c.hasRoom() {
		e = &events[n]
		l.appendTransfer(e.Size(), encode)
		n++
	}
	if n > 0 {
		l.next = events[n-1].Sequence + 1
		l.used = time.Now()
		c.wakeWriter()
	}
	return n, len(c.out) - start + len(l.rest)
}

// pause keeps to the namespace's quota.
func (l *consumer) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// runtimeMetrics are what a client sees of the partition's end that wants to
// know it with every event.
func (l *consumer) runtimeMetrics(dst []byte, r *hub.Reader) []byte {
	seq, enqueued := r.Last()
	return amqp.AppendDeliveryAnnotations(dst, amqp.Map{
		{Key: amqp.Symbol("last_enqueued_sequence_number"), Value: seq},
		{Key: amqp.Symbol("last_enqueued_offset"), Value: strconv.FormatInt(seq, 10)},
		{Key: amqp.Symbol("last_enqueued_time_utc"), Value: amqp.Timestamp(enqueued.UnixMilli())},
		{Key: amqp.Symbol("runtime_info_retrieval_time_utc"), Value: amqp.Timestamp(time.Now().UnixMilli())},
	})
}

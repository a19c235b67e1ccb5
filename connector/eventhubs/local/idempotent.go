package local

import (
	"math"
	"slices"
	"sync"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

// Producers may number their events per partition, so that what they send again
// is not stored again: the link has a capability, an id, an epoch and the last
// number, and every event is annotated with all three.
const (
	capIdempotent amqp.Symbol = "com.microsoft:idempotent-producer"

	producerEpoch    = "com.microsoft:producer-epoch"
	producerID       = "com.microsoft:producer-id"
	producerSequence = "com.microsoft:producer-sequence-number"
)

// maxNumbered bounds the producers whose last number is remembered.
const maxNumbered = 10_000

// numberedProducers remembers the last number of every producer that numbers its
// events, for as long as the server runs.
type numberedProducers struct {
	mu     sync.Mutex
	nextID int64
	m      map[numberedKey]*numbering
}

type numberedKey struct {
	topic     string
	partition int32
	id        int64
}

// numbering is the state of one producer on one partition. A nil one belongs to
// links that do not number their events. Its fields are under all.mu.
type numbering struct {
	all   *numberedProducers
	id    int64
	epoch int16
	last  int32
	// seen: last is of an event that came in here, not what a client said.
	seen  bool
	owner *producer
	// pending are the first numbers of the appends, and how many events they
	// have, of which the log has not said yet what became of them.
	pending map[int32]int
}

func newNumberedProducers() *numberedProducers {
	// Ids of an earlier start are not given out again.
	return &numberedProducers{m: map[numberedKey]*numbering{}, nextID: time.Now().UnixMilli()}
}

// attachNumbered reads what an attach says about numbers and answers it.
func (p *producer) attachNumbered(a, reply *amqp.Attach) *amqp.Error {
	if !slices.Contains(a.DesiredCapabilities, capIdempotent) {
		return nil
	}
	if p.partition < 0 {
		return amqpError(condArgumentError, "Idempotent publishing needs a link to one partition.")
	}
	id, hasID := integer(a.Properties, producerID)
	epoch, hasEpoch := integer(a.Properties, producerEpoch)
	seq, hasSeq := integer(a.Properties, producerSequence)
	if epoch < 0 || epoch > math.MaxInt16 || seq < 0 || seq > math.MaxInt32 {
		return amqpError(condArgumentError, "The producer's epoch or sequence number is out of range.")
	}
	all := p.s.c.srv.producers
	all.mu.Lock()
	if !hasID {
		all.nextID++
		id = all.nextID
	}
	n := all.of(numberedKey{p.hub.Topic(), p.partition, id})
	if !hasEpoch {
		if epoch = int64(n.epoch); n.owner != nil {
			epoch = min(epoch+1, math.MaxInt16)
		}
	}
	if hasEpoch && epoch < int64(n.epoch) {
		all.mu.Unlock()
		return amqpError(condProducerEpochStolen, "A producer with the higher epoch '%d' exists; epoch '%d' is refused.", n.epoch, epoch)
	}
	if hasSeq && (!n.seen || epoch > int64(n.epoch)) {
		n.last, n.seen = int32(seq), false
	}
	n.epoch = int16(epoch)
	former := n.owner
	n.owner, p.numbered = p, n
	reply.OfferedCapabilities = append(reply.OfferedCapabilities, capIdempotent)
	reply.Properties = amqp.Map{{Key: amqp.Symbol(producerEpoch), Value: n.epoch},
		{Key: amqp.Symbol(producerID), Value: n.id}, {Key: amqp.Symbol(producerSequence), Value: n.last}}
	all.mu.Unlock()
	if former != nil {
		forceDetach(former, amqpError(condProducerEpochStolen, "A producer with epoch '%d' took over.", epoch))
	}
	return nil
}

// of returns the state of a producer, a new one if it is not known. all.mu is
// held.
func (all *numberedProducers) of(k numberedKey) *numbering {
	n := all.m[k]
	if n == nil {
		for old, o := range all.m { // any that is not in use
			if len(all.m) < maxNumbered {
				break
			}
			if o.owner == nil && len(o.pending) == 0 {
				delete(all.m, old)
			}
		}
		n = &numbering{all: all, id: k.id, pending: map[int32]int{}}
		all.m[k] = n
	}
	return n
}

func (p *producer) dropNumbered() {
	n := p.numbered
	if n == nil {
		return
	}
	n.all.mu.Lock()
	if n.owner == p {
		n.owner = nil
	}
	n.all.mu.Unlock()
}

// number looks at the numbers of the events at hand: their first one, whether
// all of them have come before, or what is wrong with them.
func (p *producer) number() (first int32, duplicate bool, failed *amqp.Error) {
	n := p.numbered
	if n == nil {
		return 0, false, nil
	}
	annotations := make(amqp.Map, 0, 1)
	if v := amqp.FindEntry(p.events[0].MessageAnnotations, producerSequence); v != nil {
		value, _, _ := amqp.ReadValue(v) // checked when the message was parsed
		annotations = append(annotations, amqp.Pair{Key: producerSequence, Value: value})
	}
	seq, ok := integer(annotations, producerSequence)
	if !ok || seq < 0 || seq > math.MaxInt32 {
		return 0, false, amqpError(condArgumentError, "An event of an idempotent producer has no sequence number.")
	}
	first = int32(seq)
	n.all.mu.Lock()
	defer n.all.mu.Unlock()
	switch {
	case n.owner != p:
		return 0, false, amqpError(condProducerEpochStolen, "Another producer took over.")
	case n.underWay(first, len(p.events)):
		// If the log does not take them, they must be sent again.
		return 0, false, amqpError(condServerBusy, "The events from the sequence number '%d' on are being stored. Please wait 4 seconds and try again.", first)
	case !n.seen || first == after(n.last, 1):
		return first, false, nil
	case int64(first)+int64(len(p.events))-1 <= int64(n.last):
		return first, true, nil
	}
	return 0, false, amqpError(condOutOfOrderSequence, "The sequence number '%d' is out of order. The last one is '%d'.", first, n.last)
}

// after is the n-th number after a number; they begin again at 0.
func after(number int32, n int) int32 {
	return int32((int64(number) + int64(n)) & math.MaxInt32)
}

// underWay tells whether any of the events from first on were given to the log,
// which has not answered yet. all.mu is held.
func (n *numbering) underWay(first int32, events int) bool {
	for f, m := range n.pending {
		if int64(f) < int64(first)+int64(events) && int64(first) < int64(f)+int64(m) {
			return true
		}
	}
	return false
}

// accept notes that n events from first on were given to the log.
func (n *numbering) accept(first int32, events int) {
	if n == nil {
		return
	}
	n.all.mu.Lock()
	n.last, n.seen = after(first, events-1), true
	n.pending[first] = events
	n.all.mu.Unlock()
}

// answered notes whether the events from first on are in the log.
func (n *numbering) answered(first int32, stored bool) {
	if n == nil {
		return
	}
	n.all.mu.Lock()
	delete(n.pending, first)
	if !stored && n.last >= first {
		n.last = first - 1
	}
	n.all.mu.Unlock()
}

// integer returns a whole number of a map, whatever its AMQP type.
func integer(m amqp.Map, key string) (int64, bool) {
	v, _ := m.Get(key)
	switch v := v.(type) {
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	case uint8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v), true
		}
	}
	return 0, false
}

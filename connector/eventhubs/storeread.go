package eventhubs

import (
	"context"
	"errors"
	"slices"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// The application properties of a result. A consumer that wants each result
// once remembers, by source partition, the highest (epoch, position, index) it
// has seen, and passes over events that are not higher; events without a body
// only move that mark.
const (
	propSource = "source-partition"
	propFrom   = "source-offset"
	// propIndex numbers the results of one position; absent: 0.
	propIndex = "source-index"
	propEpoch = "epoch"
	// propNext is the position to go on from, on the last event of a write.
	propNext = "next-offset"
	// propClaim marks the event with which a worker takes a source partition
	// over. Its value is the worker's own.
	propClaim = "claim"
)

// progress is what an output partition says about a source partition.
type progress struct {
	// epoch is the sequence number of the newest claim, -1 before the first.
	epoch int64
	// position is the one to go on from, connector.Unknown if none is known.
	position int64
	// offset and index are of the newest result; those at or before it are
	// in the hub. Offset is -1 before the first.
	offset, index int64
}

func newProgress() progress { return progress{epoch: -1, position: connector.Unknown, offset: -1} }

// holds tells whether a result is in the hub already.
func (s *progress) holds(offset, index int64) bool {
	return offset < s.offset || offset == s.offset && index <= s.index
}

// origin is where a result comes from.
type origin struct {
	partition     int32
	offset, index int64
}

// reading follows the events of one output partition in their order.
type reading struct{ sources map[int32]*progress }

func newReading() *reading { return &reading{sources: map[int32]*progress{}} }

func (r *reading) of(p int32) *progress {
	s := r.sources[p]
	if s == nil {
		fresh := newProgress()
		s = &fresh
		r.sources[p] = s
	}
	return s
}

var errForeign = errors.New("an event of another program is in the hub: it has no source (use a hub of its own)")

// take looks at the next event, and tells whether it is a result that counts.
func (r *reading) take(e *azeventhubs.ReceivedEventData) (id origin, result bool, err error) {
	p, ok := number(e.Properties[propSource])
	if !ok || int64(int32(p)) != p {
		return id, false, errForeign
	}
	s := r.of(int32(p))
	if _, claim := e.Properties[propClaim]; claim {
		s.epoch = e.SequenceNumber // the newest so far: sequence numbers rise
		return id, false, nil
	}
	epoch, ok := number(e.Properties[propEpoch])
	if !ok {
		return id, false, errForeign
	}
	if epoch < s.epoch {
		return id, false, nil // from an owner that had lost the partition
	}
	s.epoch = epoch
	if offset, ok := number(e.Properties[propFrom]); ok {
		index, _ := number(e.Properties[propIndex])
		if result = !s.holds(offset, index); result {
			s.offset, s.index = offset, index
			id = origin{partition: int32(p), offset: offset, index: index}
		}
	}
	if next, ok := number(e.Properties[propNext]); ok && next > s.position {
		s.position = next
	}
	return id, result, nil
}

// catchUp reads what others have written to an output partition since this
// worker looked last, and tells its claims.
func (s *store) catchUp(ctx context.Context, out *output) error {
	if out.unsure {
		sleep(ctx, landing) // what is still on its way may land
	}
	x, err := s.log.extent(ctx, out.id)
	if err != nil {
		return err
	}
	if x.end < out.end+out.sent {
		return s.log.notThere(out.id, out.end+out.sent, x)
	}
	// Between what was sent and acknowledged there may be others' events, so
	// that unless the sum is right all of it is read.
	if x.end > out.end+out.sent {
		r := newReading()
		claims := s.claimsOf(out)
		for _, c := range claims {
			*r.of(c.partition) = c.state
		}
		err := s.read(ctx, out.id, max(out.end, x.first), x, func(e *azeventhubs.ReceivedEventData) error {
			_, _, err := r.take(e)
			return err
		})
		if err != nil {
			return err
		}
		for _, c := range claims {
			c.state = *r.of(c.partition)
		}
	}
	out.end, out.sent, out.unsure = x.end, 0, false
	return nil
}

func (s *store) claimsOf(out *output) []*claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	var of []*claim
	for _, c := range s.claims {
		if c.out == out {
			of = append(of, c)
		}
	}
	return of
}

// tail is the end of an output partition, read back.
type tail struct {
	end    int64
	events []*azeventhubs.ReceivedEventData // without bodies
	// claims are the sequence numbers of claims by their tokens.
	claims map[string]int64
}

// tail reads the end of an output partition: as far back as an owner that has
// lost it can have written since, and a write more; and further, if that says
// nothing about the source partition.
func (s *store) tail(ctx context.Context, out *output, p int32) (*tail, error) {
	for back := int64(2*s.cfg.MaxRows + tailEvents); ; back *= 8 {
		x, err := s.log.extent(ctx, out.id)
		if err != nil {
			return nil, err
		}
		t := &tail{end: x.end, claims: map[string]int64{}}
		from := max(x.first, x.end-back)
		err = s.read(ctx, out.id, from, x, func(e *azeventhubs.ReceivedEventData) error {
			if token, ok := e.Properties[propClaim].(string); ok {
				t.claims[token] = e.SequenceNumber
			}
			if source, ok := number(e.Properties[propSource]); ok && source == int64(p) {
				t.events = append(t.events, &azeventhubs.ReceivedEventData{SequenceNumber: e.SequenceNumber,
					EventData: azeventhubs.EventData{Properties: e.Properties}})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if from == x.first || t.progress(p).position != connector.Unknown {
			return t, nil
		}
	}
}

// progress is what the tail says about a source partition. An epoch is the
// sequence number of its claim, so an event also tells of a claim that lies
// before the tail: what comes after that with an earlier epoch does not count.
func (t *tail) progress(p int32) progress {
	var epochs []int64
	for _, e := range t.events {
		if epoch, ok := number(e.Properties[propEpoch]); ok {
			epochs = append(epochs, epoch)
		}
	}
	slices.Sort(epochs)
	epochs = slices.Compact(epochs)
	r := newReading()
	for _, e := range t.events {
		if n, _ := slices.BinarySearch(epochs, e.SequenceNumber); n > 0 {
			r.of(p).epoch = max(r.of(p).epoch, epochs[n-1])
		}
		// What is no event of ours has been left out.
		_, _, _ = r.take(e)
	}
	return *r.of(p)
}

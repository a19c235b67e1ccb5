package eventhubs

import (
	"sort"
	"strconv"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// maxOffsets is how many offsets are remembered for events that no checkpoint
// has passed yet.
const maxOffsets = 1 << 16

// offsets remembers the service's offset of events that were delivered: a
// checkpoint names an event by its sequence number and by its offset, and other
// SDKs go by the offset, which only the service can compute. Where both are the
// same number, as over a Kafka log, there is nothing to remember. Safe for
// concurrent use.
type offsets struct {
	mu      sync.Mutex
	seen    bool // something is known
	differs bool // the offset is not the sequence number
	list    []placed
}

// placed is where an event is.
type placed struct {
	sequence int64
	offset   string
}

// begin notes what a partition's extent tells about offsets when reading begins
// at a position: a worker that takes a partition over when all of it has been
// read has a position to keep, but no event.
func (o *offsets) begin(at int64, x extent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if x.end == 0 {
		return
	}
	switch {
	case x.lastOffset == strconv.FormatInt(x.end-1, 10):
		o.seen = true
	case at == x.end:
		o.seen, o.differs = true, true
		o.list = []placed{{at - 1, x.lastOffset}}
	}
}

func (o *offsets) note(events []*azeventhubs.ReceivedEventData) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = true
	if !o.differs {
		for _, e := range events {
			if n, err := strconv.ParseInt(e.Offset, 10, 64); err != nil || n != e.SequenceNumber {
				o.differs = true
				break
			}
		}
	}
	if !o.differs {
		return
	}
	for _, e := range events {
		o.list = append(o.list, placed{e.SequenceNumber, e.Offset})
	}
	if over := len(o.list) - maxOffsets; over > 0 {
		// Every second one of the older half is enough: a checkpoint may
		// be a little early.
		kept := o.list[:0]
		for i, p := range o.list {
			if i >= len(o.list)/2 || i%2 == 0 {
				kept = append(kept, p)
			}
		}
		o.list = kept
	}
}

// before returns the last event before a position, or the last one that is
// known, and forgets those before it. ok is false if there is none.
func (o *offsets) before(position int64) (sequence int64, offset string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if position <= 0 || !o.seen {
		return 0, "", false
	}
	if !o.differs {
		return position - 1, strconv.FormatInt(position-1, 10), true
	}
	i := sort.Search(len(o.list), func(i int) bool { return o.list[i].sequence >= position })
	if i == 0 {
		return 0, "", false
	}
	last := o.list[i-1]
	o.list = append(o.list[:0], o.list[i-1:]...)
	return last.sequence, last.offset, true
}

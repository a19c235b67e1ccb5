package eventhubs

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// checkpointEvery is the least time between two checkpoints of a partition.
const checkpointEvery = time.Second

// partitionOf is the number of a partition that the Processor brings.
func partitionOf(c *azeventhubs.ProcessorPartitionClient) int32 {
	n, err := strconv.ParseInt(c.PartitionID(), 10, 32)
	if err != nil {
		return -1
	}
	return int32(n)
}

// ownership is one partition from Assign to Revoke.
type ownership struct {
	src       *source
	partition int32
	start     int64 // the handler's answer

	// reading ends with close, delivering with finish: a Deliver that is
	// blocked is for Revoke to free.
	reading    context.Context
	stop       context.CancelFunc
	delivering context.Context
	cancel     context.CancelFunc
	queue      chan *record.Batch // closed when reading has ended
	done       sync.WaitGroup

	budget atomic.Int64 // bytes under way
	end    atomic.Int64 // of the log, when last looked up
	closed atomic.Bool
	// forfeited: the partition is somebody else's, whose checkpoints must
	// not be overwritten with older ones.
	forfeited atomic.Bool

	leaving bool // under source.mu: somebody revokes it

	offsets offsets

	cp struct {
		sync.Mutex
		pending, written int64
		at               time.Time // of the last write
	}
}

func newOwnership(s *source, p int32, start int64) *ownership {
	o := &ownership{src: s, partition: p, start: start, queue: make(chan *record.Batch, 2)}
	o.budget.Store(queueMin)
	o.cp.pending, o.cp.written = -1, -1
	o.reading, o.stop = context.WithCancel(s.runCtx)
	o.delivering, o.cancel = context.WithCancel(s.runCtx)
	return o
}

func (o *ownership) begin() {
	o.done.Go(o.read)
	o.done.Go(o.deliver)
}

// close ends reading: no further Deliver begins, except one whose batch was
// taken just before, which the handler drops.
func (o *ownership) close() {
	o.closed.Store(true)
	o.stop()
}

// finish ends delivering and, unless the partition belongs to somebody else,
// writes the last checkpoint.
func (o *ownership) finish(ctx context.Context, lost bool) {
	o.cancel()
	o.done.Wait()
	if lost {
		return
	}
	if err := o.flush(ctx, true); err != nil {
		o.src.log.log.Warn("the last checkpoint could not be written; the next owner repeats some events",
			"partition", o.partition, "error", err)
	}
}

// deliver hands batches to the handler until the ownership ends.
func (o *ownership) deliver() {
	for b := range o.queue {
		if o.closed.Load() {
			continue // let read see that the queue has room
		}
		if err := o.src.handler.Deliver(o.delivering, b); err != nil {
			if o.delivering.Err() == nil {
				o.src.end(err)
			}
			o.close()
		}
	}
}

// read brings events until the ownership ends.
func (o *ownership) read() {
	defer close(o.queue)
	l := o.src.log
	at, x, err := o.resolve()
	if err != nil {
		if o.reading.Err() == nil {
			o.src.end(err)
		}
		return
	}
	o.end.Store(x.end)
	o.offsets.begin(at, x)
	first := o.start == connector.Earliest // the first event may be any
	r, err := newReceiver(o.src.client, o.partition, startAt(at, x.first), &epoch, int(o.budget.Load()))
	if err != nil {
		o.src.end(fmt.Errorf("reading hub %s partition %d: %w", l.hub, o.partition, err))
		return
	}
	defer r.close()
	for fails, linked := 0, false; o.reading.Err() == nil; {
		// A link, when it opens, pushes out whoever has the partition.
		if !linked && !o.awaitLease(fails) {
			return
		}
		r.budget = int(o.budget.Load())
		events, err := r.next(o.reading)
		if linked = err == nil; !linked {
			fails++
			if !o.failed(err, at, fails) {
				return
			}
			continue
		}
		fails = 0
		if !first && events[0].SequenceNumber != at {
			if err := o.gap(at, events[0].SequenceNumber); err != nil {
				o.src.end(err)
				return
			}
		}
		first = false
		at = events[len(events)-1].SequenceNumber + 1
		o.offsets.note(events)
		for _, b := range split(o.partition, events, o.end.Load()) {
			select {
			case o.queue <- b:
			case <-o.reading.Done():
				return
			}
		}
	}
}

// awaitLease waits until the checkpoint store confirms that the partition is
// ours, and reports false if it is not.
func (o *ownership) awaitLease(fails int) bool {
	if fails > 0 {
		sleep(o.reading, backoff(fails))
	}
	s := o.src
	if o.reading.Err() != nil {
		return false
	}
	if s.leases.confirm(o.reading, s.log.e.host, s.log.hub, s.group, o.partition) {
		return true
	}
	if o.reading.Err() == nil {
		s.lose([]int32{o.partition}, "the checkpoint store names another owner")
	}
	return false
}

// failed decides what to do about a fault of the link: it reports whether to
// go on.
func (o *ownership) failed(err error, at int64, fails int) bool {
	s := o.src
	if o.reading.Err() != nil {
		return false
	}
	doing := fmt.Sprintf("reading hub %s partition %d", s.log.hub, o.partition)
	f := faultOf(s.log.counted(err))
	switch {
	case f == stolen:
		s.lose([]int32{o.partition}, "its link was taken over")
		return false
	case f.lasting():
		s.end(s.log.e.explain(err, doing))
		return false
	case f == busy:
		sleep(o.reading, busyWait(err))
	case beyondEnd(err):
		if x, xerr := s.log.extent(o.reading, o.partition); xerr == nil && at > x.end {
			s.end(s.log.notThere(o.partition, at, x))
			return false
		}
	case fails == 10:
		s.log.log.Warn("a partition cannot be read for now; it is tried again", "hub", s.log.hub, "partition", o.partition, "error", err)
	default:
		s.log.log.Debug("reading failed and is repeated", "hub", s.log.hub, "partition", o.partition, "error", err)
	}
	return true
}

// resolve turns the handler's answer into a position that the hub has.
func (o *ownership) resolve() (int64, extent, error) {
	s := o.src
	x, err := s.log.extent(o.reading, o.partition)
	if err != nil {
		return 0, x, err
	}
	at := o.start
	if at == connector.Unknown {
		of, err := s.stores.positions(o.reading, s.log.e.host, s.log.hub, s.group)
		if err != nil {
			return 0, x, err
		}
		committed, ok := of[o.partition]
		if at = committed; !ok {
			at, o.start = connector.Earliest, connector.Earliest
		}
	}
	if at == connector.Earliest {
		return x.first, x, nil
	}
	if at < x.first || at > x.end {
		return at, x, s.log.notThere(o.partition, at, x)
	}
	return at, x, nil
}

// gap looks into sequence numbers that were skipped. The service numbers
// events without gaps, but a log that it is laid over may have some; what
// retention has deleted is a loss, and not to be passed over.
func (o *ownership) gap(want, got int64) error {
	l := o.src.log
	if got < want {
		return fmt.Errorf("hub %s partition %d: position %d came where %d was next", l.hub, o.partition, got, want)
	}
	x, err := l.extent(o.reading, o.partition)
	if err != nil || x.first <= want {
		if err != nil && o.reading.Err() == nil {
			return err
		}
		return nil
	}
	return l.notThere(o.partition, want, x)
}

// checkpoint notes a position and writes it, unless the last write was a
// moment ago.
func (o *ownership) checkpoint(ctx context.Context, at int64) error {
	o.cp.Lock()
	o.cp.pending = at
	wait := time.Since(o.cp.at) < checkpointEvery
	o.cp.Unlock()
	if wait {
		return nil
	}
	return o.flush(ctx, true)
}

// flush writes the noted position if it is not written yet and, unless now is
// set, a second has passed since the last write.
func (o *ownership) flush(ctx context.Context, now bool) error {
	o.cp.Lock()
	defer o.cp.Unlock()
	at := o.cp.pending
	if o.forfeited.Load() || at < 0 || at == o.cp.written || !now && time.Since(o.cp.at) < checkpointEvery {
		return nil
	}
	last, offset, ok := o.offsets.before(at)
	if !ok {
		return nil // nothing was delivered before it: there is nothing new to say
	}
	s := o.src
	err := s.stores.SetCheckpoint(ctx, azeventhubs.Checkpoint{
		FullyQualifiedNamespace: s.log.e.host, EventHubName: s.log.hub, ConsumerGroup: s.group,
		PartitionID: partitionID(o.partition), SequenceNumber: &last, Offset: &offset,
	}, nil)
	if err != nil {
		return s.stores.failed(ctx, err, fmt.Sprintf("writing the checkpoint of partition %d", o.partition))
	}
	o.cp.written, o.cp.at = at, time.Now()
	return nil
}

package eventhubs

import (
	"context"
	"fmt"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

const (
	// replayBudget is how many bytes a replay has under way.
	replayBudget = 8 << 20
	// crowdedPatience is how long a reader waits for one of the five places
	// that readers without an epoch have.
	crowdedPatience = time.Minute
	// silence is how long a reader waits for events that there must be
	// before it looks whether there are any.
	silence = 10 * time.Second
	// tailEvents is how far from its end a partition is looked through for
	// its last event, to begin with.
	tailEvents = 64
)

// readLevel says how to read partition p outside any ownership: with the
// consumer group set aside for it, and without an epoch, which takes nothing
// from anybody. The service refuses that while somebody owns the partition in
// the same group, so where workers have to use that very group, too, the owner
// of a partition reads it with an epoch of its own: it pushes out the link that
// stands for its ownership, which has nothing to lose.
func (l *hubLog) readLevel(p int32) (group string, level *int64) {
	group = l.cfg.ReplayGroup
	if l.holds(group, p) {
		return group, &epoch
	}
	return group, nil
}

// Replay implements connector.Log.
func (l *hubLog) Replay(ctx context.Context, p int32, from, to int64, fn func(*record.Batch) error) error {
	x, err := l.extent(ctx, p)
	if err != nil {
		return err
	}
	// A position that retention has passed is the first one still there.
	at := max(from, x.first)
	if at >= to {
		return nil
	}
	if at > x.end {
		return l.notThere(p, at, x)
	}
	return l.read(ctx, p, startAt(at, x.first), x, func(events []*azeventhubs.ReceivedEventData) (done bool, err error) {
		if len(events) == 0 {
			return to <= x.end, nil // the last positions hold no events
		}
		n := 0
		for n < len(events) && events[n].SequenceNumber < to {
			n++
		}
		done = n < len(events) || n > 0 && events[n-1].SequenceNumber+1 >= to
		for _, b := range split(p, events[:n], x.end) {
			if err := fn(b); err != nil {
				return true, err
			}
		}
		return done, nil
	})
}

// read calls fn with the events of a partition from a start position on, until
// fn has enough; with none if there are none left before the partition's end (as
// x has it). Faults that pass are waited out.
//
// The service itself numbers events without gaps. A log that it is laid over may
// use up numbers, though: a Kafka topic ends with a marker if its last events
// were written by a transaction.
func (l *hubLog) read(ctx context.Context, p int32, start azeventhubs.StartPosition, x extent,
	fn func([]*azeventhubs.ReceivedEventData) (done bool, err error)) error {
	doing := fmt.Sprintf("reading hub %s partition %d", l.hub, p)
	group, level := l.readLevel(p)
	c, err := l.admin.client(group)
	if err != nil {
		return err
	}
	r, err := newReceiver(c, p, start, level, replayBudget)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer func() { r.close() }()
	began, fails := time.Now(), 0
	reached := int64(-1) // the position behind what was read
	for {
		events, quiet, err := r.within(ctx, silence)
		if err == nil {
			began, fails = time.Now(), 0
			reached = events[len(events)-1].SequenceNumber + 1
			if done, err := fn(events); done || err != nil {
				return err
			}
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if quiet {
			// One reader at a time: an owner's second would push out its
			// first.
			r.close()
			none, err := l.nothingLeft(ctx, c, p, start, level, x, reached)
			if err == nil && none {
				if done, err := fn(nil); done || err != nil {
					return err
				}
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			// A fault of the second reader shows in the next one, too.
			if reached >= 0 {
				start = startAt(reached, x.first)
			}
			if r, err = newReceiver(c, p, start, level, replayBudget); err != nil {
				return fmt.Errorf("%s: %w", doing, err)
			}
			continue
		}
		fails++
		f := faultOf(l.counted(err))
		switch {
		case f == stolen:
			return &connector.Hinted{Err: fmt.Errorf("%s: somebody owns the partition in consumer group %s: %w", doing, group, err),
				Hint: "set replayGroup to a consumer group that no worker uses"}
		case f.lasting(), beyondEnd(err), f == crowded && time.Since(began) > crowdedPatience, f != crowded && fails > 20:
			return l.e.explain(err, doing)
		case f == busy:
			sleep(ctx, busyWait(err))
		default:
			sleep(ctx, backoff(fails))
		}
	}
}

// nothingLeft tells whether a reader that has been silent has nothing left to
// read before the end of x. Silence alone may be the service's, so a second
// reader goes over the last events: what it brings, and that nothing follows,
// is the answer.
func (l *hubLog) nothingLeft(ctx context.Context, c *azeventhubs.ConsumerClient, p int32, start azeventhubs.StartPosition,
	level *int64, x extent, reached int64) (bool, error) {
	for back := int64(tailEvents); ; back *= 64 {
		from := max(x.end-back, x.first)
		tail, err := newReceiver(c, p, startAt(from, x.first), level, replayBudget)
		if err != nil {
			return false, err
		}
		last, err := lastOf(ctx, tail, x.end)
		tail.close()
		switch {
		case err != nil:
			return false, err
		case last != nil:
			l.log.Debug("the last positions of a partition hold no events", "hub", l.hub, "partition", p, "last", last.SequenceNumber, "end", x.end)
			return !follows(last, start, reached), nil
		case from == x.first:
			return true, nil
		}
	}
}

// lastOf reads until nothing comes any more, or the end is reached, and returns
// the last event; nil if there was none.
func lastOf(ctx context.Context, r *receiver, end int64) (last *azeventhubs.ReceivedEventData, err error) {
	for last == nil || last.SequenceNumber+1 < end {
		events, quiet, err := r.within(ctx, silence)
		switch {
		case quiet:
			return last, nil
		case err != nil:
			return nil, err
		}
		last = events[len(events)-1]
	}
	return last, nil
}

// follows tells whether an event is one that a reader from start on, which has
// reached a position, has still to bring.
func follows(e *azeventhubs.ReceivedEventData, start azeventhubs.StartPosition, reached int64) bool {
	switch {
	case e.SequenceNumber < reached:
		return false
	case start.SequenceNumber != nil:
		return e.SequenceNumber > *start.SequenceNumber
	case start.EnqueuedTime != nil:
		return e.EnqueuedTime != nil && !e.EnqueuedTime.Before(*start.EnqueuedTime)
	}
	return true
}

// OffsetAt implements connector.Log. The service keeps milliseconds.
func (l *hubLog) OffsetAt(ctx context.Context, p int32, micros int64) (int64, error) {
	x, err := l.extent(ctx, p)
	if err != nil {
		return 0, err
	}
	// The entry at micros or after has at least the next whole millisecond,
	// unless micros is whole itself.
	millis := micros / 1000
	if micros%1000 > 0 {
		millis++
	}
	switch {
	case x.first == x.end, millis > x.lastEnqueued.UnixMilli():
		return x.end, nil
	case millis <= 0:
		return x.first, nil
	}
	at := x.end
	err = l.read(ctx, p, since(time.UnixMilli(millis)), x, func(events []*azeventhubs.ReceivedEventData) (bool, error) {
		if len(events) > 0 {
			at = events[0].SequenceNumber
		}
		return true, nil
	})
	return at, err
}

// notThere says what the hub has where a position was asked for that it has
// not.
func (l *hubLog) notThere(p int32, at int64, x extent) error {
	return &connector.Hinted{
		Err: fmt.Errorf("hub %s partition %d: position %d is wanted, but the hub has %d to %d: events between were deleted or the hub was created anew",
			l.hub, p, at, x.first, x.end),
		Hint: "raise the hub's retention; to go on without the missing events, use a new consumer group and an empty store",
	}
}

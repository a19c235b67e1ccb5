package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"golang.org/x/sync/errgroup"

	"millrace/connector"
)

// Peek says which events to look at.
type Peek struct {
	Hub string
	// Group is the consumer group to read with, "": $Default. Looking moves
	// nobody's position.
	Group string
	// Partition is the only one to look at, "": all.
	Partition string
	// From is where to begin; the zero value looks at the newest Count events.
	From PeekFrom
	// Count is how many events to show at most before following.
	Count int
	// Follow goes on with events as they come, until ctx ends.
	Follow bool
}

// PeekFrom is a place in a hub. At most one of its fields is set.
type PeekFrom struct {
	Earliest bool
	// Sequence is a sequence number, At a time; nil: not given.
	Sequence *int64
	At       *time.Time
}

func (f PeekFrom) newest() bool { return !f.Earliest && f.Sequence == nil && f.At == nil }

// PeekedEvent is an event with its partition.
type PeekedEvent struct {
	Partition string
	*azeventhubs.ReceivedEventData
}

const (
	// peekPatience is how long to wait for events that ought to be there:
	// positions of the log behind may be taken by entries that are no events.
	peekPatience = 5 * time.Second
	// peekBatch is how many events are asked for at once.
	peekBatch = 100
)

// Peek calls fn for events: first up to Count of those that are there now, in
// the order of their enqueued time, then, to follow, each as it comes. It
// returns nil when there is no more, or when ctx ends while following. An error
// of fn ends it.
func (x *Explorer) Peek(ctx context.Context, p Peek, fn func(PeekedEvent) error) error {
	if p.Group == "" {
		p.Group = defaultGroup
	}
	client, err := x.e.consumer(p.Hub, p.Group, "")
	if err != nil {
		return err
	}
	defer closeClient(client)
	doing := "looking into hub " + p.Hub
	var props azeventhubs.EventHubProperties
	if err := x.e.repeat(ctx, doing, func(ctx context.Context) (err error) {
		props, err = bounded(ctx, func() (azeventhubs.EventHubProperties, error) { return client.GetEventHubProperties(ctx, nil) })
		return err
	}); err != nil {
		return err
	}
	partitions := props.PartitionIDs
	if p.Partition != "" {
		if !slices.Contains(partitions, p.Partition) {
			return &connector.Hinted{Hint: fmt.Sprintf("they are 0 to %d", len(partitions)-1),
				Err: fmt.Errorf("hub %s has no partition %q", p.Hub, p.Partition)}
		}
		partitions = []string{p.Partition}
	}
	readers := make([]*partitionPeek, len(partitions))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, id := range partitions {
		readers[i] = &partitionPeek{x: x, client: client, id: id, doing: doing + ", partition " + id}
		g.Go(func() error { return readers[i].present(gctx, p) })
	}
	err = g.Wait()
	defer func() {
		for _, r := range readers {
			r.close()
		}
	}()
	if err != nil {
		return err
	}
	if err := show(readers, p, fn); err != nil || !p.Follow {
		return err
	}
	err = follow(ctx, readers, fn)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// show gives out the events that are there already.
func show(readers []*partitionPeek, p Peek, fn func(PeekedEvent) error) error {
	var all []PeekedEvent
	for _, r := range readers {
		all = append(all, r.events...)
		r.events = nil
	}
	slices.SortStableFunc(all, func(a, b PeekedEvent) int {
		at, bt := time.Time{}, time.Time{}
		if a.EnqueuedTime != nil && b.EnqueuedTime != nil {
			at, bt = *a.EnqueuedTime, *b.EnqueuedTime
		}
		an, _ := strconv.Atoi(a.Partition)
		bn, _ := strconv.Atoi(b.Partition)
		return cmp.Or(at.Compare(bt), cmp.Compare(an, bn), cmp.Compare(a.SequenceNumber, b.SequenceNumber))
	})
	if n := len(all); n > p.Count {
		if p.From.newest() {
			all = all[n-p.Count:]
		} else if !p.Follow {
			all = all[:p.Count]
		}
	}
	for _, e := range all {
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// partitionPeek reads one partition.
type partitionPeek struct {
	x      *Explorer
	client *azeventhubs.ConsumerClient
	id     string
	doing  string
	reader *azeventhubs.PartitionClient
	events []PeekedEvent
}

// present reads up to Count of the events that are in the partition now.
func (r *partitionPeek) present(ctx context.Context, p Peek) error {
	var props azeventhubs.PartitionProperties
	if err := r.x.e.repeat(ctx, r.doing, func(ctx context.Context) (err error) {
		props, err = bounded(ctx, func() (azeventhubs.PartitionProperties, error) {
			return r.client.GetPartitionProperties(ctx, r.id, nil)
		})
		return err
	}); err != nil {
		return err
	}
	last := props.LastEnqueuedSequenceNumber
	first := max(props.BeginningSequenceNumber, 0)
	start := azeventhubs.StartPosition{SequenceNumber: &first, Inclusive: true}
	switch {
	case p.From.newest():
		first = max(first, last+1-int64(p.Count))
	case p.From.Sequence != nil:
		first = max(first, *p.From.Sequence)
	case p.From.At != nil:
		start = azeventhubs.StartPosition{EnqueuedTime: p.From.At, Inclusive: true}
	}
	there := !props.IsEmpty && first <= last && (p.From.At == nil || !p.From.At.After(props.LastEnqueuedOn))
	if !there && !p.Follow {
		return nil
	}
	if !there {
		// Nothing is there yet: what comes from now on is shown.
		if first > last+1 {
			return &connector.Hinted{Hint: fmt.Sprintf("its newest event has %d", last),
				Err: fmt.Errorf("partition %s of the hub has no sequence number %d yet", r.id, first)}
		}
		before := last
		start = azeventhubs.StartPosition{SequenceNumber: &before}
		if last < 0 {
			earliest := true
			start = azeventhubs.StartPosition{Earliest: &earliest}
		}
	}
	var err error
	if r.reader, err = r.client.NewPartitionClient(r.id, &azeventhubs.PartitionClientOptions{StartPosition: start}); err != nil {
		return r.x.e.explain(err, r.doing)
	}
	// The SDK waits until there are as many as were asked for.
	left := last - first + 1
	if p.From.At != nil {
		left = 1 // where that is, the first event says
	}
	for there && len(r.events) < p.Count {
		wait, cancel := context.WithTimeout(ctx, peekPatience)
		events, err := r.reader.ReceiveEvents(wait, int(min(peekBatch, left, int64(p.Count-len(r.events)))), nil)
		late := wait.Err() != nil && ctx.Err() == nil
		cancel()
		for _, e := range events {
			r.events = append(r.events, PeekedEvent{r.id, e})
		}
		if n := len(r.events); n > 0 {
			left = last - r.events[n-1].SequenceNumber
		}
		if left <= 0 || late {
			break
		}
		if err != nil {
			return r.x.e.explain(err, r.doing)
		}
	}
	return nil
}

func (r *partitionPeek) close() {
	if r == nil || r.reader == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = r.reader.Close(ctx) // it has only read
}

// follow gives out events of all partitions as they come. fn is called by one
// goroutine at a time.
func follow(ctx context.Context, readers []*partitionPeek, fn func(PeekedEvent) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	for _, r := range readers {
		g.Go(func() error {
			for {
				// The SDK returns what there is when this time is over.
				wait, cancel := context.WithTimeout(ctx, time.Second)
				events, err := r.reader.ReceiveEvents(wait, 1, nil)
				cancel()
				mu.Lock()
				for _, e := range events {
					if ferr := fn(PeekedEvent{r.id, e}); ferr != nil {
						mu.Unlock()
						return ferr
					}
				}
				mu.Unlock()
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					// A service that restarts is waited for.
					said := r.x.e.explain(err, r.doing)
					if connector.ActionOf(said) != connector.Retry {
						return said
					}
					sleep(ctx, 500*time.Millisecond)
				}
			}
		})
	}
	return g.Wait()
}

package eventhubs

import (
	"context"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

const (
	// markEvery is how old a sender's mark may be, and so how much of a
	// partition has to be read back after a lost answer.
	markEvery = 5 * time.Second
	// landing is how long a batch whose answer was lost gets to appear.
	landing = 250 * time.Millisecond
	// readBackPatience bounds one attempt at reading back.
	readBackPatience = 10 * time.Second
	// readBackTries is how often reading back may take longer than that: the
	// partition may end in positions that hold no events (of a log below).
	readBackTries = 3
)

// mark is a position that the partition had reached before a batch was sent.
type mark struct {
	position int64
	at       time.Time
	known    bool
}

// remark notes where the partition ends, every now and then. A question that
// fails leaves the older mark, which is as good.
func (s *sender) remark() {
	if s.mark.known && time.Since(s.mark.at) < markEvery || time.Since(s.mark.at) < landing {
		return
	}
	s.mark.at = time.Now()
	ctx, cancel := context.WithTimeout(s.p.ctx, markEvery)
	defer cancel()
	if x, err := s.p.log.admin.extent(ctx, s.partition); err == nil {
		s.mark.position, s.mark.known = x.end, true
	}
}

// landed looks for a batch of n events whose answer was lost: whether the event with the
// identity of its first one has come since the mark. Batches are appended whole
// and a partition's batches go one at a time, so that one event tells. It
// reports false, too, where it may not read; the batch is then sent again, and
// counted (Resent). So it does at the last try, if what is there cannot be read
// to its end.
func (s *sender) landed(first uint64, n int, last bool) (bool, error) {
	l := s.p.log
	if !s.mark.known {
		l.resent.Add(int64(n))
		return false, nil
	}
	ctx, cancel := context.WithTimeout(s.p.ctx, readBackPatience)
	defer cancel()
	sleep(ctx, landing)
	x, err := l.admin.extent(ctx, s.partition)
	if err != nil {
		return false, err
	}
	if x.end <= s.mark.position {
		return false, nil
	}
	found := false
	err = s.eachSince(ctx, x, func(e *azeventhubs.ReceivedEventData) bool {
		if m := e.RawAMQPMessage; m != nil && m.Properties != nil {
			id, ok := m.Properties.MessageID.(uint64)
			found = found || ok && id == first
		}
		return found || e.SequenceNumber+1 >= x.end
	})
	if err != nil {
		if f := faultOf(err); f == stolen || f == crowded || f.lasting() || last && ctx.Err() != nil && s.p.ctx.Err() == nil {
			l.log.Debug("an answer was lost, and the partition cannot be read back; a batch may be in the hub twice",
				"hub", l.hub, "partition", s.partition, "error", err)
			l.resent.Add(int64(n))
			return false, nil
		}
		return false, err
	}
	return found, nil
}

// eachSince reads from the mark on until fn has enough.
func (s *sender) eachSince(ctx context.Context, x extent, fn func(*azeventhubs.ReceivedEventData) bool) error {
	c, err := s.p.log.admin.client(s.p.log.cfg.ReplayGroup)
	if err != nil {
		return err
	}
	r, err := newReceiver(c, s.partition, startAt(s.mark.position, x.first), nil, replayBudget)
	if err != nil {
		return err
	}
	defer r.close()
	for {
		events, err := r.next(ctx)
		if err != nil {
			return err
		}
		for _, e := range events {
			if fn(e) {
				return nil
			}
		}
	}
}

package simulate

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"millrace/connector"
	"millrace/record"
)

// sender is the loop of one session.
type sender struct {
	*Simulator
	producer connector.Producer
	// origin is when the schedule began; for a session that continues a
	// run, when it would have begun if there had been no interruption.
	origin time.Time
	// soft ends a run without a schedule, hard ends all sending.
	soft, hard time.Time
	batch      []*connector.Message
}

// send sends everything that is to be sent. It returns errOver if there was no
// time for all of it.
func (s *Simulator) send(ctx context.Context, p connector.Producer, began time.Time) error {
	d := &sender{Simulator: s, producer: p, origin: began.Add(-s.plan.due(s.next))}
	switch {
	case s.plan.paced() && s.plan.total > 0:
		d.hard = d.origin.Add(s.plan.due(s.plan.total - 1)).Add(s.cfg.Grace.D())
	case s.cfg.Events == 0:
		d.soft = began.Add(s.cfg.Duration.D() - s.active)
		d.hard = d.soft.Add(s.cfg.Grace.D())
	}
	if s.plan.total != unknownTotal {
		s.counts.total.Store(s.plan.total)
	}
	s.counts.started.Store(d.origin.UnixNano())
	if !d.hard.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, d.hard, errOver)
		defer cancel()
	}
	err := d.resend(ctx)
	for err == nil && !d.done() {
		err = d.turn(ctx)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (d *sender) done() bool {
	return d.next >= d.plan.total && len(d.again) == 0 && d.broken >= d.brokenDue
}

// resend sends what earlier sessions left in doubt, under the old entries.
func (d *sender) resend(ctx context.Context) error {
	for _, r := range d.retries {
		m := d.message(&r.entry)
		if f, err := record.Fingerprint(m.Value); err != nil || f != r.entry.Fingerprint {
			return &LedgerDiffers{Path: d.path, Differences: []string{fmt.Sprintf("event %s has another content now", r.entry.ID)}}
		}
		m.Token = token(r.index, r.entry.Kind)
		if err := d.produce(ctx, m, false); err != nil {
			return err
		}
	}
	d.retries = nil
	return nil
}

// turn sends one batch of what is due, and waits if that is not much.
func (d *sender) turn(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := time.Now()
	if !d.soft.IsZero() && now.After(d.soft) && d.plan.total == unknownTotal {
		d.plan.settle(d.next)
		d.counts.total.Store(d.plan.total)
	}
	if err := d.gather(now); err != nil {
		return err
	}
	if err := d.ledger.Flush(); err != nil {
		return hinted(err)
	}
	for _, m := range d.batch {
		if err := d.produce(ctx, m, true); err != nil {
			return err
		}
	}
	full := len(d.batch) >= batchSize
	d.batch = d.batch[:0]
	if full || !d.plan.paced() {
		return nil
	}
	return d.wait(ctx, now)
}

// wait sleeps until something is due, at least a tick after the last batch.
func (d *sender) wait(ctx context.Context, last time.Time) error {
	if d.done() {
		return nil
	}
	wake := last.Add(time.Second)
	if d.next < d.plan.total {
		wake = d.origin.Add(d.plan.due(d.next))
	}
	if len(d.again) > 0 && d.again[0].at.Before(wake) {
		wake = d.again[0].at
	}
	if least := last.Add(tick); wake.Before(least) {
		wake = least
	}
	t := time.NewTimer(time.Until(wake))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// produce hands one message to the log.
func (d *sender) produce(ctx context.Context, m *connector.Message, first bool) error {
	size := int64(len(m.Value))
	// Counted before, so that never more is acknowledged than sent.
	if first {
		d.counts.sent.Add(1)
	}
	d.counts.bytes.Add(size)
	if err := d.producer.Produce(ctx, m); err != nil {
		d.counts.bytes.Add(-size)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("send an event: %w", err)
	}
	return nil
}

// gather fills the batch with what is due, and gives the ledger the intents.
func (d *sender) gather(now time.Time) error {
	for len(d.batch) < batchSize {
		if d.broken < d.brokenDue {
			if err := d.addMalformed(now); err != nil {
				return err
			}
			continue
		}
		if e, ok := d.again.take(now, d.next >= d.plan.total); ok {
			e.Kind = record.Duplicate
			if err := d.add(&e, d.message(&e)); err != nil {
				return err
			}
			continue
		}
		if d.next >= d.plan.total {
			return nil
		}
		scheduled := now
		if d.plan.paced() {
			if scheduled = d.origin.Add(d.plan.due(d.next)); scheduled.After(now) {
				return nil
			}
		}
		if err := d.addEvent(now, scheduled.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// addEvent adds the next event of the plan.
func (d *sender) addEvent(now time.Time, scheduled int64) error {
	made := d.plan.event(d.next, scheduled)
	m := d.blank(made.device)
	m.Value = d.template.render(m.Value, &made)
	fingerprint, err := record.Fingerprint(m.Value)
	if err != nil {
		return fmt.Errorf("the template rendered no JSON for device %d: %w", made.device, err)
	}
	e := record.Entry{Kind: record.Unique, ID: made.id, Fingerprint: fingerprint, Device: made.device,
		Sequence: made.sequence, CreatedAt: made.createdAt}
	if err := d.add(&e, m); err != nil {
		return err
	}
	d.next++
	d.counts.made.Store(d.next)
	if dup, after := d.plan.duplicate(&made); dup {
		d.again.add(e, now.Add(after))
	}
	if d.plan.malformed(&made) {
		d.brokenDue++
	}
	d.last = made
	return nil
}

// addMalformed adds the next malformed payload.
func (d *sender) addMalformed(now time.Time) error {
	from := d.last
	if from.id == (record.ID{}) { // a session that begins with what the one before left
		device, _ := d.plan.share.place(d.broken)
		from = newEvent(d.plan.seed, uint32(device), 0, now.UnixMicro())
	}
	m := d.blank(from.device)
	value, reason, err := d.template.malformed(m.Value, d.cfg.Instance, d.broken, &from, int(d.cfg.OversizedBytes))
	if err != nil {
		return err
	}
	m.Value = value
	d.broken++
	return d.add(&record.Entry{Kind: record.Malformed, Fingerprint: record.RawHash(value), Device: from.device,
		Sequence: -1, CreatedAt: from.createdAt, Reason: reason}, m)
}

func (d *sender) add(e *record.Entry, m *connector.Message) error {
	index, err := d.ledger.Append(e)
	if err != nil {
		return hinted(err)
	}
	m.Token = token(index, e.Kind)
	d.batch = append(d.batch, m)
	return nil
}

// blank returns an unused message with a device's key.
func (s *Simulator) blank(device uint32) *connector.Message {
	m := s.messages.Get().(*connector.Message)
	m.Key = append(m.Key[:0], s.cfg.DevicePrefix...)
	m.Key = strconv.AppendUint(m.Key, uint64(device), 10)
	m.Value = m.Value[:0]
	return m
}

// message makes the message of an event that was made before.
func (s *Simulator) message(e *record.Entry) *connector.Message {
	m := s.blank(e.Device)
	made := newEvent(s.plan.seed, e.Device, e.Sequence, e.CreatedAt)
	m.Value = s.template.render(m.Value, &made)
	return m
}

// hinted says what to do about a ledger that cannot be written.
func hinted(err error) error {
	return &connector.Hinted{Hint: "Nothing is sent that the ledger does not know. Make room or give another data directory, then run again: the run goes on.", Err: err}
}

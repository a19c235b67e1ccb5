package verify

import (
	"context"
	"fmt"

	"millrace/record"
)

// malformedKey is what a malformed input is known by: its bytes, by their
// hash, and the reason that it must be given up for.
type malformedKey struct {
	hash   uint64
	reason record.Reason
}

// malformedCount counts the copies of one malformed input.
type malformedCount struct {
	acked, inDoubt int64 // sent
	found          int64 // in the dead letters, with the right reason
	wrong          int64 // in the dead letters, with another reason
}

// malformed is every malformed input that was sent.
type malformed struct {
	counts map[malformedKey]*malformedCount
	// reasons are those that each hash was sent with, nearly always one.
	reasons map[uint64][]record.Reason
}

func (m *malformed) add(hash uint64, reason record.Reason, acked bool) {
	k := malformedKey{hash, reason}
	c := m.counts[k]
	if c == nil {
		if m.counts == nil {
			m.counts, m.reasons = make(map[malformedKey]*malformedCount), make(map[uint64][]record.Reason)
		}
		c = new(malformedCount)
		m.counts[k] = c
		m.reasons[hash] = append(m.reasons[hash], reason)
	}
	if acked {
		c.acked++
	} else {
		c.inDoubt++
	}
}

// place is the identity of a dead letter.
type place struct {
	partition int32
	offset    int64
}

// readDeadLetters compares the dead letters with the malformed inputs that
// were sent: each of them must be there, with its reason, and nothing else. A
// letter that was written twice (same partition and offset) counts once.
func (j *judge) readDeadLetters(ctx context.Context) error {
	seen := make(map[place]struct{})
	dropped := int64(0)
	j.verdict.DeadLetters.ByReason = make(map[record.Reason]int64)
	if j.in.DeadLetters != nil {
		err := j.in.DeadLetters(ctx, func(l *record.DeadLetter) error {
			at := place{l.Partition, l.Offset}
			if _, again := seen[at]; again {
				return nil
			}
			if len(seen)%progressEvery == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				j.progress("reading the dead letters", int64(len(seen)), 0)
			}
			seen[at] = struct{}{}
			if l.Reason == record.DroppedByPolicy && j.droppedBy(l) {
				dropped++
				return nil
			}
			j.verdict.DeadLetters.ByReason[l.Reason]++
			j.letter(l)
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading the dead letters: %w", err)
		}
	}
	j.verdict.Events.DeadLettered = int64(len(seen)) - dropped
	j.absentLetters()
	return nil
}

// droppedBy notes an event that a stated rule left out, with the letter to say
// so: that is its fate, and the letter no dead one. It is false for what nobody
// sent.
func (j *judge) droppedBy(l *record.DeadLetter) bool {
	var e record.Event
	if e.Decode(l.Raw) != nil {
		return false
	}
	i, known := j.events.find(e.ID)
	if known {
		k, slot := j.events.at(i)
		k.state[slot] |= stDropped
	}
	return known
}

// letter judges one distinct dead letter.
func (j *judge) letter(l *record.DeadLetter) {
	d := &j.verdict.DeadLetters
	hash := record.RawHash(l.Raw)
	if c := j.malformed.counts[malformedKey{hash, l.Reason}]; c != nil {
		if c.found+c.wrong >= c.acked+c.inDoubt {
			d.Repeated++
			j.exampleLetter(KindLetterAgain, l, "a malformed input that is here more often than it was sent")
			return
		}
		c.found++
		d.Matched++
		return
	}
	if reasons := j.malformed.reasons[hash]; len(reasons) > 0 {
		c := j.malformed.counts[malformedKey{hash, reasons[0]}]
		if c.found+c.wrong >= c.acked+c.inDoubt {
			d.Repeated++
			j.exampleLetter(KindLetterAgain, l, "a malformed input that is here more often than it was sent")
			return
		}
		c.wrong++
		d.WrongReason++
		j.exampleLetter(KindLetterReason, l, fmt.Sprintf("given up as %s, was sent to be given up as %s", l.Reason, reasons[0]))
		return
	}
	var e record.Event
	if err := e.Decode(l.Raw); err == nil {
		if i, known := j.events.find(e.ID); known {
			k, slot := j.events.at(i)
			k.state[slot] |= stLettered
			d.WellFormed++
			if j.examples.wants(KindLetterGood) {
				x := exampleOfLetter(KindLetterGood, l, fmt.Sprintf("a well-formed event given up as %s: %s", l.Reason, l.Detail))
				x.EventID, x.Device, x.Sequence = e.ID.String(), string(e.DeviceID), e.Sequence
				j.examples.add(x)
			}
			return
		}
	}
	d.Unknown++
	j.exampleLetter(KindLetterAlien, l, "nobody sent these bytes")
}

// absentLetters counts the malformed inputs that were acknowledged and are not
// in the dead letters.
func (j *judge) absentLetters() {
	if j.raw != nil {
		return // the archive is where they belong
	}
	v, d := &j.verdict.Events, &j.verdict.DeadLetters
	for k, c := range j.malformed.counts {
		there := c.found + c.wrong
		// Those in doubt that are here did reach the log after all.
		v.Malformed += max(c.acked, there)
		if absent := c.acked - there; absent > 0 {
			d.Missing += absent
			if j.examples.wants(KindLetterAbsent) {
				j.examples.add(Example{Kind: KindLetterAbsent, Sequence: -1, Partition: -1, Offset: -1,
					Detail: fmt.Sprintf("a malformed input (%s, hash %016x) was acknowledged %d times and is in the dead letters %d times",
						k.reason, k.hash, c.acked, there)})
			}
		}
	}
}

func (j *judge) exampleLetter(kind Kind, l *record.DeadLetter, detail string) {
	if j.examples.wants(kind) {
		j.examples.add(exampleOfLetter(kind, l, detail))
	}
}

func exampleOfLetter(kind Kind, l *record.DeadLetter, detail string) Example {
	return Example{Kind: kind, Sequence: -1, Partition: l.Partition, Offset: l.Offset, Detail: detail}
}

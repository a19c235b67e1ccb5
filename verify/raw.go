package verify

import (
	"context"
	"fmt"

	"millrace/record"
)

// Raw compares a raw archive, which keeps what the log has, with everything
// that was sent: each acknowledged send must be in it, resends and malformed
// inputs included, and nothing else.
//
//	Rows     = Matched + InDoubt + Retried + Surplus
//	Expected = Matched + Missing
type Raw struct {
	// Rows is the number of records in the archive.
	Rows int64
	// Expected is the number of acknowledged sends, Matched how many of
	// them are there, Missing how many are not.
	Expected, Matched, Missing int64
	// InDoubt records stand for sends that were never acknowledged, and
	// arrived all the same.
	InDoubt int64
	// Retried records are further copies that tries after an unknown
	// outcome explain: of a continued simulator (Events.Retried) or of a
	// producer (Input.Resends).
	Retried int64
	// Surplus records are explained by nothing: copies beyond those sent,
	// Altered ones and Unknown ones.
	Surplus int64
	// Altered records have the eventId of an event and other content;
	// Unknown ones were sent by nobody.
	Altered, Unknown int64
	// Malformed is how many records are malformed inputs that were sent.
	Malformed int64
	// Gaps and Overlaps count the places where the records of a partition
	// do not follow each other: some are missing in between, or are there
	// again.
	Gaps, Overlaps int64
}

// sends counts the copies of an event, or of a malformed input, that were sent.
type sends struct{ acked, inDoubt int64 }

// rawCounts is what is known of the archive's records while they are read.
// Nil unless there is an archive.
type rawCounts struct {
	// sends are those of events that were sent more than once.
	sends map[uint32]sends
	// malformed counts the records of each malformed input, by its hash.
	malformed map[uint64]int64
	// next is the sequence number that must follow in each partition.
	next map[int32]int64
}

// resent notes a copy of event i that was sent again. It must be told before
// the copy changes the event's state.
func (r *rawCounts) resent(i uint32, state uint8, acked bool) {
	if r == nil {
		return
	}
	n, known := r.sends[i]
	if !known {
		n = once(state)
	}
	if acked {
		n.acked++
	} else {
		n.inDoubt++
	}
	r.sends[i] = n
}

// of is what was sent of event i.
func (r *rawCounts) of(i uint32, state uint8) sends {
	if n, many := r.sends[i]; many {
		return n
	}
	return once(state)
}

// once is what was sent of an event without resends.
func once(state uint8) sends {
	if state&stAcked != 0 {
		return sends{acked: 1}
	}
	return sends{inDoubt: 1}
}

// readRaw reads the archive's records and counts the copies of each event.
func (j *judge) readRaw(ctx context.Context) error {
	if j.in.RawScan == nil {
		return nil
	}
	v := &Raw{Expected: j.verdict.Events.Sent}
	j.verdict.Raw = v
	var event record.Event
	told := int64(0)
	err := j.in.RawScan(ctx, func(b *record.Batch) error {
		if v.Rows >= told {
			if err := ctx.Err(); err != nil {
				return err
			}
			j.progress("reading the raw archive", v.Rows, v.Expected)
			told = v.Rows + progressEvery
		}
		for i := range b.Records {
			r := &b.Records[i]
			j.follow(b.Partition, r.Offset)
			v.Rows++
			j.rawRecord(b.Partition, r, &event)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the raw archive: %w", err)
	}
	j.progress("reading the raw archive", v.Rows, v.Expected)
	j.judgeRaw()
	return nil
}

// follow checks that the records of a partition follow each other.
func (j *judge) follow(partition int32, offset int64) {
	v := j.verdict.Raw
	next, known := j.raw.next[partition]
	j.raw.next[partition] = max(offset+1, next)
	switch {
	case !known || offset == next:
		return
	case offset > next:
		v.Gaps++
		if j.examples.wants(KindRawGap) {
			j.examples.add(Example{Kind: KindRawGap, Sequence: -1, Partition: partition, Offset: next,
				Detail: fmt.Sprintf("the sequence numbers from here to %d are not in the archive", offset-1)})
		}
	default:
		v.Overlaps++
		if j.examples.wants(KindRawGap) {
			j.examples.add(Example{Kind: KindRawGap, Sequence: -1, Partition: partition, Offset: offset,
				Detail: fmt.Sprintf("this sequence number comes again, after %d", next-1)})
		}
	}
}

// rawRecord counts one record as a copy of what it is.
func (j *judge) rawRecord(partition int32, r *record.Record, e *record.Event) {
	if len(j.malformed.reasons) > 0 {
		if hash := record.RawHash(r.Value); j.malformed.reasons[hash] != nil {
			j.raw.malformed[hash]++
			return
		}
	}
	surplus := func(detail string) {
		if j.examples.wants(KindRawSurplus) {
			x := Example{Kind: KindRawSurplus, Sequence: -1, Partition: partition, Offset: r.Offset, Detail: detail}
			if e.DeviceID != nil {
				x.EventID, x.Device, x.Sequence = e.ID.String(), string(e.DeviceID), e.Sequence
			}
			j.examples.add(x)
		}
	}
	v := j.verdict.Raw
	if err := e.Decode(r.Value); err != nil {
		v.Unknown++
		surplus("a record that nobody sent: " + err.Error())
		return
	}
	i, known := j.events.find(e.ID)
	if !known {
		v.Unknown++
		surplus("a record with an eventId that nobody sent")
		return
	}
	k, slot := j.events.at(i)
	if f, err := record.Fingerprint(r.Value); err != nil || f != k.fingerprint[slot] {
		v.Altered++
		surplus(fmt.Sprintf("its content is not what was sent (fingerprint %016x, sent was %016x)", f, k.fingerprint[slot]))
		return
	}
	j.events.addRaw(i)
}

// judgeRaw compares the copies found with those sent.
func (j *judge) judgeRaw() {
	v := j.verdict.Raw
	var beyond int64
	for i := range j.events.n {
		k, s := j.events.at(i)
		n := j.raw.of(i, k.state[s])
		found := j.events.rawAt(i)
		missing, more := v.copies(found, n)
		beyond += more
		if missing > 0 && j.examples.wants(KindRawMissing) {
			x := j.exampleOf(KindRawMissing, i)
			x.Detail = fmt.Sprintf("sent and acknowledged %s, in the archive %s", times(n.acked), times(found))
			j.examples.add(x)
		}
	}
	for hash, reasons := range j.malformed.reasons {
		var n sends
		for _, r := range reasons {
			c := j.malformed.counts[malformedKey{hash, r}]
			n.acked += c.acked
			n.inDoubt += c.inDoubt
		}
		found := j.raw.malformed[hash]
		missing, more := v.copies(found, n)
		beyond += more
		v.Malformed += found
		// Those in doubt that are here did reach the log after all.
		j.verdict.Events.Malformed += max(n.acked, min(found, n.acked+n.inDoubt))
		if missing > 0 && j.examples.wants(KindRawMissing) {
			j.examples.add(Example{Kind: KindRawMissing, Sequence: -1, Partition: -1, Offset: -1,
				Detail: fmt.Sprintf("a malformed input (hash %016x) was sent and acknowledged %s, in the archive it is %s", hash, times(n.acked), times(found))})
		}
	}
	v.Retried = min(beyond, j.verdict.Events.Retried+j.in.Resends)
	v.Surplus = beyond - v.Retried + v.Altered + v.Unknown
	if beyond > v.Retried {
		j.exampleCopies()
	}
	j.equal("records in the archive", v.Rows, "matched, in doubt, retried and surplus ones", v.Matched+v.InDoubt+v.Retried+v.Surplus)
	j.equal("acknowledged sends", v.Expected, "matched and missing ones", v.Matched+v.Missing)
}

// exampleCopies makes examples of events that are in the archive more often
// than they were sent.
func (j *judge) exampleCopies() {
	for i := uint32(0); i < j.events.n && j.examples.wants(KindRawSurplus); i++ {
		k, s := j.events.at(i)
		n, found := j.raw.of(i, k.state[s]), j.events.rawAt(i)
		if found > n.acked+n.inDoubt {
			x := j.exampleOf(KindRawSurplus, i)
			x.Detail = fmt.Sprintf("sent %s, in the archive %s", times(n.acked+n.inDoubt), times(found))
			j.examples.add(x)
		}
	}
}

// copies compares the copies found with those sent, and returns how many are
// missing, and how many there are beyond those sent.
func (v *Raw) copies(found int64, n sends) (missing, beyond int64) {
	v.Matched += min(found, n.acked)
	missing = max(0, n.acked-found)
	v.Missing += missing
	more := max(0, found-n.acked)
	v.InDoubt += min(more, n.inDoubt)
	return missing, max(0, more-n.inDoubt)
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

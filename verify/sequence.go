package verify

import "fmt"

// lane is what is known of one device while its events are walked through in
// the order in which they were sent.
type lane struct {
	storedAt int64  // the latest storing time of an event sent before
	position uint64 // the greatest log position of one, noPosition if none
	// open are events that were sent twice on purpose and served from an
	// unknown one of their copies.
	open []uint32
}

// outOfSequence counts the events that were stored, or appended to the log,
// before an event of the same device that was sent earlier. The reference is
// the order in which the ledger says they were sent, not their sequence
// numbers, so that a device which sends out of order on purpose is judged by
// what it did. Equal storing times are in order: a store stamps a whole batch.
//
// An event that was sent twice may have been served from its later copy (the
// last write wins in a store that upserts). It then lies behind events that
// were sent after its first copy, which are not to blame. So such an event is
// judged like any other, but the events after it are judged against it only
// once the log's positions show that its first copy was the one served.
func (j *judge) outOfSequence() {
	lanes := make([]lane, len(j.events.devices))
	for i := range lanes {
		lanes[i] = lane{storedAt: -1 << 63, position: noPosition}
	}
	for i := range j.events.n {
		k, s := j.events.at(i)
		if k.state[s]&stServed == 0 {
			continue
		}
		l := &lanes[k.device[s]]
		at, pos := k.storedAt[s], k.position[s]
		resent := k.state[s]&stResent != 0
		if !resent && len(l.open) > 0 {
			for _, o := range l.open {
				if ko, so := j.events.at(o); follows(ko.position[so], pos) {
					l.raise(ko.storedAt[so], ko.position[so])
				}
			}
			l.open = l.open[:0]
		}
		early := at != noTime && at < l.storedAt
		swapped := follows(pos, l.position)
		if early || swapped {
			j.verdict.Events.OutOfSequence++
			j.exampleSequence(i, early, l)
		}
		if resent {
			l.open = append(l.open, i)
		} else {
			l.raise(at, pos)
		}
	}
}

// raise makes an event the one to be judged against, where it is the latest.
func (l *lane) raise(at int64, pos uint64) {
	if at != noTime {
		l.storedAt = max(l.storedAt, at)
	}
	switch {
	case pos == noPosition:
	case l.position == noPosition || pos>>48 != l.position>>48:
		// A device that moves to another partition starts over there:
		// positions of different partitions cannot be compared.
		l.position = pos
	default:
		l.position = max(l.position, pos)
	}
}

// follows says that b lies behind a in the same partition.
func follows(a, b uint64) bool {
	return a != noPosition && b != noPosition && a>>48 == b>>48 && a < b
}

func (j *judge) exampleSequence(i uint32, early bool, l *lane) {
	if !j.examples.wants(KindSequence) {
		return
	}
	k, s := j.events.at(i)
	x := j.exampleOf(KindSequence, i)
	if early {
		x.Detail = fmt.Sprintf("stored %s before an event that the device had sent earlier",
			micros(l.storedAt-k.storedAt[s]))
	} else {
		_, before := unpackPosition(l.position)
		x.Detail = fmt.Sprintf("lies before offset %d in the log, where an event is that the device had sent earlier", before)
	}
	j.examples.add(x)
}

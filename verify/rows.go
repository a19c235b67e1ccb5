package verify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"millrace/record"
)

// noTime marks an event whose row has no plausible times.
const noTime = record.NoTime

// readRows reads the store back, once, and notes for every event what was
// found of it.
func (j *judge) readRows(ctx context.Context) error {
	j.series = newSeries(j.firstSent, j.in.Interval)
	// What lies outside is a store that lost or invented the times, not a
	// slow run.
	j.earliest = j.firstSent - int64(24*time.Hour/time.Microsecond)
	j.latest = record.Micros(time.Now().Add(24 * time.Hour))
	total := int64(j.events.n)
	err := j.in.Scan(ctx, func(s *record.Stored) error {
		if n := j.verdict.Events.Stored; n%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			j.progress("reading the store back", n, total)
		}
		j.row(s)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the store back: %w", err)
	}
	j.progress("reading the store back", j.verdict.Events.Stored, total)
	j.verdict.Latency = j.stages.latency()
	return nil
}

// row judges one row.
func (j *judge) row(s *record.Stored) {
	v := &j.verdict.Events
	v.Stored++
	timed := j.timed(s)
	if !timed {
		v.Untimed++
		if j.examples.wants(KindUntimed) {
			j.examples.add(exampleOfRow(KindUntimed, s, "enqueuedAt, processedAt or storedAt is absent or days off"))
		}
	} else {
		j.lastStored = max(j.lastStored, s.StoredAt)
		if s.EnqueuedAt != record.NoTime {
			j.series.cell(s.EnqueuedAt).in++
			j.lastEnqueued = max(j.lastEnqueued, s.EnqueuedAt)
		}
	}
	i, known := j.events.find(s.ID)
	if !known {
		v.Unexpected++
		if j.examples.wants(KindUnexpected) {
			j.examples.add(exampleOfRow(KindUnexpected, s, "a row with an eventId that nobody sent"))
		}
		if timed {
			j.series.cell(s.StoredAt).out++
		}
		return
	}
	k, slot := j.events.at(i)
	altered := j.altered(i, s)
	if altered != "" {
		v.Corrupted++
		k.state[slot] |= stCorrupt
		if j.examples.wants(KindCorrupted) {
			j.examples.add(exampleOfRow(KindCorrupted, s, altered))
		}
	}
	switch {
	case timed && j.in.LastWins && k.state[slot]&stResent != 0:
		j.series.cell(s.StoredAt).out++
	case timed:
		due := j.events.dueAt(i)
		j.series.stored(s.StoredAt, s.StoredAt-due)
		j.stages.record(s, due, j.raw == nil)
	}
	at := s.StoredAt
	if !timed {
		at = noTime
	}
	position := packPosition(s.Partition, s.Offset)
	if k.state[slot]&stServed != 0 {
		j.surplus(i, s)
		// The earliest row stands for the event, whatever order the store
		// hands them out in.
		if at < k.storedAt[slot] || at == k.storedAt[slot] && position < k.position[slot] {
			k.storedAt[slot], k.position[slot] = at, position
		}
		return
	}
	k.state[slot] |= stServed
	k.storedAt[slot], k.position[slot] = at, position
}

// surplus notes a row beyond the first of an event.
func (j *judge) surplus(i uint32, s *record.Stored) {
	k, slot := j.events.at(i)
	j.verdict.Events.Duplicates++
	k.state[slot] |= stMany
	if !j.examples.wants(KindDuplicate) {
		return
	}
	detail := "a second row of the same event"
	if p, o := unpackPosition(k.position[slot]); p >= 0 {
		detail = fmt.Sprintf("a second row of the event; another one came from partition %d, offset %d", p, o)
	}
	j.examples.add(exampleOfRow(KindDuplicate, s, detail))
}

// altered says how a row differs from the event that was sent, or "" if it
// does not.
func (j *judge) altered(i uint32, s *record.Stored) string {
	k, slot := j.events.at(i)
	var wrong []string
	if device := j.events.devices[k.device[slot]]; string(s.DeviceID) != device {
		wrong = append(wrong, fmt.Sprintf("deviceId is %q, sent was %q", s.DeviceID, device))
	}
	if sent := j.events.sequenceAt(i); s.Sequence != sent {
		wrong = append(wrong, fmt.Sprintf("deviceSequenceNumber is %d, sent was %d", s.Sequence, sent))
	}
	if sent := k.createdAt[slot]; s.CreatedAt != sent {
		wrong = append(wrong, fmt.Sprintf("createdAt is %s, sent was %s", clock(s.CreatedAt), clock(sent)))
	}
	switch {
	case s.Fingerprint == k.fingerprint[slot] || k.state[slot]&stUnsure != 0:
	case j.windows != nil:
		wrong = append(wrong, "it is not "+j.expected(i))
	default:
		wrong = append(wrong, fmt.Sprintf("its content is not what was sent (fingerprint %016x, sent was %016x)",
			s.Fingerprint, k.fingerprint[slot]))
	}
	return strings.Join(wrong, "; ")
}

// timed says whether all times of a row are plausible. An archive has storedAt
// alone for certain.
func (j *judge) timed(s *record.Stored) bool {
	for i, t := range [...]int64{s.StoredAt, s.EnqueuedAt, s.ProcessedAt} {
		if i > 0 && j.raw != nil && t == record.NoTime {
			continue
		}
		if t < j.earliest || t > j.latest {
			return false
		}
	}
	return true
}

func clock(us int64) string {
	if us == record.NoTime {
		return "absent"
	}
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.000000Z")
}

func exampleOfRow(kind Kind, s *record.Stored, detail string) Example {
	return Example{
		Kind: kind, EventID: s.ID.String(), Device: string(s.DeviceID), Sequence: s.Sequence,
		Partition: s.Partition, Offset: s.Offset, Detail: detail,
	}
}

// exampleOf makes an example of a ledger event; the position is that of its
// row, if it has one.
func (j *judge) exampleOf(kind Kind, i uint32) Example {
	k, slot := j.events.at(i)
	x := Example{
		Kind: kind, EventID: k.id[slot].String(), Device: j.events.devices[k.device[slot]],
		Sequence: j.events.sequenceAt(i), Partition: -1, Offset: -1,
	}
	if k.state[slot]&stServed != 0 {
		x.Partition, x.Offset = unpackPosition(k.position[slot])
	}
	return x
}

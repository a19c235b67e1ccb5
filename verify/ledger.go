package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"millrace/connector"
	"millrace/record"
)

// heldBack is by how much an event must be older than the newest one sent
// before it to count as held back on purpose. Senders with several goroutines
// swap neighbours by less.
const heldBack = 5000 // microseconds

// reader takes in one ledger.
type reader struct {
	j *judge
	// devices maps the ledger's device numbers to the judge's.
	devices map[uint32]uint32
	first   uint32 // number of the ledger's first event
}

// resent is a copy sent again on purpose. They are matched with their events
// when all of those are known.
type resent struct {
	id          record.ID
	fingerprint uint64
	acked       bool
}

// readLedger takes in one ledger and adds up its totals.
func (j *judge) readLedger(ctx context.Context, source LedgerSource) error {
	r := &reader{j: j, devices: make(map[uint32]uint32), first: j.events.n}
	var read int64
	info, err := source(func(e *record.Entry) error {
		if read%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			j.progress("reading the ledger", read, 0)
		}
		read++
		return r.entry(e)
	})
	if err != nil {
		return err
	}
	if err := r.nameDevices(info); err != nil {
		return err
	}
	r.findHeldBack(info)
	v, t := &j.verdict.Events, &info.Totals
	v.Offered += t.Offered
	v.Unsent += t.Unsent
	v.Sent += t.Acked
	v.Retried += t.Retried
	j.equal("entries", read, "messages that its totals count", t.Sent)
	if t.FirstAt != record.NoTime && (j.firstSent == 0 || t.FirstAt < j.firstSent) {
		j.firstSent = t.FirstAt
	}
	j.lastSent = max(j.lastSent, t.LastAt)
	j.files = append(j.files, info.Files...)
	return nil
}

// nameDevices gives the ledger's devices their names, which its headers hold.
func (r *reader) nameDevices(info *record.LedgerInfo) error {
	if len(info.Files) == 0 {
		if len(r.devices) > 0 {
			return errors.New("the ledger has entries but no header")
		}
		return nil
	}
	head := &info.Files[0].Header
	for _, f := range info.Files[1:] {
		if h := &f.Header; h.DevicePrefix != head.DevicePrefix || h.Instances != head.Instances || h.Run != head.Run {
			return fmt.Errorf("%s and %s are not of the same run", info.Files[0].Path, f.Path)
		}
	}
	for device, n := range r.devices {
		r.j.events.devices[n] = record.DeviceName(head, device)
	}
	return nil
}

// findHeldBack finds the events that were held back on purpose. A simulator
// follows its schedule, so that an event is due no earlier than the newest one
// that the same simulator sent before it. What is older is late by design (a
// late or out-of-order device), and the time by which it is must not count as
// the system's latency.
func (r *reader) findHeldBack(info *record.LedgerInfo) {
	if len(info.Files) == 0 {
		return
	}
	c := &r.j.events
	// The number of instances is read from a file and bounds nothing, so
	// those that have devices are numbered anew.
	instances := uint32(max(info.Files[0].Header.Instances, 1))
	numbers := make(map[uint32]int)
	instance := make([]int, len(c.devices)) // of each of the judge's devices
	for device, n := range r.devices {
		k, known := numbers[device%instances]
		if !known {
			k = len(numbers)
			numbers[device%instances] = k
		}
		instance[n] = k
	}
	const none = -1 << 62
	newest := slices.Repeat([]int64{none}, len(numbers))
	for i := r.first; i < c.n; i++ {
		k, s := c.at(i)
		at := &newest[instance[k.device[s]]]
		if late := *at - k.createdAt[s]; *at != none && late > heldBack {
			c.setLate(i, late/1000)
			r.j.verdict.Events.LateSent++
		}
		*at = max(*at, k.createdAt[s])
	}
}

// pace is the rate that a run has to hold, by what its simulators wrote down
// of it; ramps and bursts have none.
func pace(h *record.LedgerHeader) float64 {
	if s := h.Settings["schedule"]; s != "" && s != "constant" {
		return 0
	}
	return h.Rate
}

// allInstances checks that the ledgers of all simulators are there: without
// one, what it sent would look as if it came from nowhere. It takes from them what
// the run was asked to do.
func (j *judge) allInstances() error {
	if len(j.files) == 0 {
		return nil
	}
	head := &j.files[0].Header
	j.verdict.Throughput.Rate = pace(head)
	there := make(map[int]bool)
	for _, f := range j.files {
		if f.Header.Run != head.Run || f.Header.Instances != head.Instances || pace(&f.Header) != pace(head) {
			return fmt.Errorf("%s and %s are not of the same run", j.files[0].Path, f.Path)
		}
		there[f.Header.Instance] = true
		j.verdict.Continued = j.verdict.Continued || f.Continued > 0
	}
	for i := range head.Instances {
		if !there[i] {
			return &connector.Hinted{
				Hint: "copy the ledgers of all instances into one folder",
				Err:  fmt.Errorf("the ledger of instance %d of %d is not there", i+1, head.Instances),
			}
		}
	}
	return nil
}

// entry takes in one entry.
func (r *reader) entry(e *record.Entry) error {
	if e.Acked {
		r.j.ackedEntries++
	}
	switch e.Kind {
	case record.Unique:
		r.unique(e)
	case record.Duplicate:
		r.j.resent = append(r.j.resent, resent{e.ID, e.Fingerprint, e.Acked})
		if e.Acked {
			r.j.verdict.Events.InjectedDuplicates++
		}
	case record.Malformed:
		r.j.malformed.add(e.Fingerprint, e.Reason, e.Acked)
	default:
		return fmt.Errorf("the ledger has an entry of an unknown kind (%d)", e.Kind)
	}
	return nil
}

func (r *reader) unique(e *record.Entry) {
	c := &r.j.events
	device, known := r.devices[e.Device]
	if !known {
		device = uint32(len(c.devices))
		c.devices = append(c.devices, "")
		r.devices[e.Device] = device
	}
	c.add(e.ID, e.Fingerprint, device, e.Sequence, e.CreatedAt, e.Acked)
}

// matchResent gives the copies sent again to their events: one acknowledged
// copy is enough for an event to have to be served.
func (j *judge) matchResent() error {
	for _, c := range j.resent {
		i, known := j.events.find(c.id)
		if !known {
			return fmt.Errorf("the ledger says that event %s was sent again, but not that it was sent", c.id)
		}
		k, s := j.events.at(i)
		if k.fingerprint[s] != c.fingerprint {
			return fmt.Errorf("the ledger says that event %s was sent again with other content", c.id)
		}
		j.raw.resent(i, k.state[s], c.acked)
		k.state[s] |= stResent
		if c.acked {
			k.state[s] |= stAcked
		}
	}
	j.resent = nil
	v := &j.verdict.Events
	for i := range j.events.n {
		if k, s := j.events.at(i); k.state[s]&stAcked != 0 {
			v.Unique++
		} else {
			v.InDoubt++
		}
	}
	return nil
}

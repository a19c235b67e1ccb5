package verify

import "fmt"

// fates gives each event of the ledger exactly one fate.
func (j *judge) fates() {
	f, v := &j.verdict.Fates, &j.verdict.Events
	var absent int64  // acknowledged, no row, no dead letter
	var dropped int64 // by policy, each known
	for i := range j.events.n {
		k, s := j.events.at(i)
		state := k.state[s]
		if state&stAcked == 0 && state&stServed != 0 {
			v.InDoubtServed++
		}
		switch {
		case state&stMany != 0:
			f.ServedMany++
		case state&stServed != 0:
			f.ServedOnce++
		case state&stLettered != 0:
			f.DeadLettered++
		case state&stDropped != 0:
			dropped++
		case state&stAcked != 0:
			absent++
			if absent > j.in.DroppedByPolicy && j.examples.wants(KindMissing) {
				x := j.exampleOf(KindMissing, i)
				x.Detail = fmt.Sprintf("created %s, acknowledged by the log, in no row and no dead letter", clock(k.createdAt[s]))
				if j.windows != nil {
					x.Detail = "there is no row " + j.expected(i)
				}
				j.examples.add(x)
			}
		default:
			f.NotArrived++
		}
	}
	// A policy says how many events it dropped, not which. They are looked
	// for among the acknowledged ones first, then among those in doubt.
	v.DroppedByPolicy = j.in.DroppedByPolicy + dropped
	explained := min(absent, j.in.DroppedByPolicy)
	doubtful := min(f.NotArrived, j.in.DroppedByPolicy-explained)
	f.NotArrived -= doubtful
	f.DroppedByPolicy = explained + doubtful + dropped
	f.Lost = absent - explained
	v.Missing = f.Lost
	if v.DroppedByPolicy > f.DroppedByPolicy {
		j.imbalance("%d events are said to have been dropped by policy, but only %d are absent",
			v.DroppedByPolicy, f.DroppedByPolicy)
	}
}

// balance checks that the sums add up; what was counted in one way must equal
// what was counted in another.
func (j *judge) balance() {
	v, f, d := &j.verdict.Events, &j.verdict.Fates, &j.verdict.DeadLetters
	j.equal("events with a fate", f.Sum(), "distinct events in the ledger", int64(j.events.n))
	if w := j.verdict.Windowed; w != nil {
		j.equal("windows of acknowledged and in-doubt events", w.Rows+w.InDoubt, "windows", int64(j.events.n))
	} else {
		j.equal("unique and in-doubt events", v.Unique+v.InDoubt, "distinct events in the ledger", int64(j.events.n))
	}
	j.equal("rows", v.Stored, "first, surplus and unexpected rows",
		f.ServedOnce+f.ServedMany+v.Duplicates+v.Unexpected)
	j.equal("acknowledged sends", v.Sent, "acknowledged unique, resent and malformed entries", j.ackedEntries)
	j.equal("distinct dead letters", v.DeadLettered, "judged dead letters", d.Distinct())
	var reasons int64
	for _, n := range d.ByReason {
		reasons += n
	}
	j.equal("distinct dead letters", v.DeadLettered, "dead letters by reason", reasons)
}

func (j *judge) equal(what string, a int64, other string, b int64) {
	if a != b {
		j.imbalance("%d %s, but %d %s", a, what, b, other)
	}
}

func (j *judge) imbalance(format string, args ...any) {
	j.verdict.Imbalances = append(j.verdict.Imbalances, fmt.Sprintf(format, args...))
}

package process

import (
	"millrace/connector"
	"millrace/record"
)

// part makes the next Write of a unit: at most limit of the results that are
// not stored yet, up to the index end. A partition's position moves to the end
// of its span with the part that has the last of its results. Until then it
// moves up to what is stored for certain: a store that is timed may have a part
// of the results of the position that it is at, since it knows them again when
// they are repeated; for others a Write ends where the results of an input do,
// if need be beyond the limit.
func (u *unit) part(limit int, timed bool) (w connector.Write, end int) {
	all := u.out.Results
	end = min(u.stored+limit, len(all))
	if !timed {
		end = whole(all, u.stored, end)
	}
	w.Results = all[u.stored:end]
	for i := range u.spans {
		s := &u.spans[i]
		if s.done {
			continue
		}
		a := connector.Advance{Partition: s.o.partition, From: s.from, To: s.to}
		if u.more(s.o.partition, end) {
			last := lastOf(w.Results, s.o.partition)
			if last == nil {
				continue // its turn comes
			}
			a.To = last.Offset
			if !timed {
				a.To++
			}
			a.To = max(a.To, a.From)
		}
		w.Advances = append(w.Advances, a)
	}
	return w, end
}

// whole moves the end of a part of results so that it is not between results of
// one input: back if that leaves anything, else forward.
func whole(all []record.Result, start, end int) int {
	same := func(i int) bool { // as the one before
		return all[i].Partition == all[i-1].Partition && all[i].Offset == all[i-1].Offset
	}
	at := end
	for at > start && at < len(all) && same(at) {
		at--
	}
	if at > start {
		return at
	}
	for at = end; at < len(all) && at > 0 && same(at); {
		at++
	}
	return at
}

// more tells whether results of a partition are at or behind an index.
func (u *unit) more(partition int32, from int) bool {
	return lastOf(u.out.Results[from:], partition) != nil
}

func lastOf(results []record.Result, partition int32) *record.Result {
	for i := len(results) - 1; i >= 0; i-- {
		if results[i].Partition == partition {
			return &results[i]
		}
	}
	return nil
}

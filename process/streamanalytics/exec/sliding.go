package exec

import (
	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// sliding keeps sliding windows. Their content changes when a row enters, at its
// time, and when it has left, one size later. At each such time the groups that
// changed give a row, once, unless they are empty.
type sliding struct {
	a     *aggregate
	spec  timing.Window
	id    value.Value
	calls []*aggregateCall
	table *keyTable
	// groups are by the table's numbers, nil where there is none.
	groups []*slidingGroup
	// order has the groups of the rows in the order of their times. The first
	// inside have entered, the others not yet.
	order  deque[slidingRow]
	inside int
	// changed are the groups that the present time has changed.
	changed []uint32
}

type slidingRow struct {
	at    int64
	group uint32
}

type slidingGroup struct {
	states []removing
	// rows are those inside, waiting those that have not entered.
	rows, waiting deque[entered]
	size          int64
	// touched is set while the group is in changed.
	touched bool
}

const slidingGroupSize = 160

func newSliding(a *aggregate, spec timing.Window, id value.Value, calls []*aggregateCall) *sliding {
	return &sliding{a: a, spec: spec, id: id, calls: calls, table: newKeyTable(len(a.keys))}
}

func (s *sliding) add(r *row) error {
	g, err := s.group(s.a.key, s.a.values)
	if err != nil {
		return err
	}
	s.enqueue(g, enter(r.time, s.a.args))
	return nil
}

// group returns the number of a key's group.
func (s *sliding) group(key []byte, values []value.Value) (uint32, error) {
	g, grown := s.table.group(key, values)
	for int(g) >= len(s.groups) {
		s.groups = append(s.groups, nil)
	}
	if grown > 0 || s.groups[g] == nil {
		group := &slidingGroup{}
		for _, c := range s.calls {
			m, err := c.removing()
			if err != nil {
				return 0, err
			}
			group.states = append(group.states, m)
			group.size += m.size()
		}
		s.groups[g] = group
		s.a.grow(grown + slidingGroupSize + group.size)
	}
	return g, nil
}

func (s *sliding) enqueue(g uint32, e entered) {
	s.table.use(g)
	s.a.grow(e.size + 16)
	s.groups[g].waiting.push(e)
	s.order.push(slidingRow{at: e.at, group: g})
	s.a.expect(s.next())
}

// next is the next time at which something changes.
func (s *sliding) next() int64 {
	next := endOfTime
	if s.inside < s.order.len() {
		next = s.order.at(s.inside).at
	}
	if s.inside > 0 {
		_, leave := s.spec.Changes(s.order.front().at)
		next = min(next, leave)
	}
	return next
}

// close gives out the windows that end at a time.
func (s *sliding) close(end int64) error {
	for s.inside > 0 {
		first := s.order.front()
		if _, leave := s.spec.Changes(first.at); leave > end {
			break
		}
		s.inside--
		if err := s.leave(s.order.pop().group); err != nil {
			return err
		}
	}
	for s.inside < s.order.len() && s.order.at(s.inside).at <= end {
		if err := s.come(s.order.at(s.inside).group); err != nil {
			return err
		}
		s.inside++
	}
	for _, g := range s.changed {
		group := s.groups[g]
		group.touched = false
		if group.rows.len() > 0 {
			if err := s.give(g, end); err != nil {
				return err
			}
		}
		s.resize(group)
		if group.rows.len() == 0 && group.waiting.len() == 0 {
			s.a.grow(-group.size - slidingGroupSize)
			s.groups[g] = nil
		}
	}
	s.changed = s.changed[:0]
	s.a.grow(-s.table.sweep())
	return nil
}

func (s *sliding) touch(g uint32) *slidingGroup {
	group := s.groups[g]
	if !group.touched {
		group.touched = true
		s.changed = append(s.changed, g)
	}
	return group
}

func (s *sliding) leave(g uint32) error {
	group := s.touch(g)
	e := group.rows.pop()
	for i := range group.states {
		if err := group.states[i].remove(&e, &group.rows); err != nil {
			return err
		}
	}
	s.a.grow(-e.size - 16)
	s.table.release(g)
	return nil
}

func (s *sliding) come(g uint32) error {
	group := s.touch(g)
	e := group.waiting.pop()
	for i := range group.states {
		m := &group.states[i]
		if err := m.add(m.call.mine(e.args), e.at); err != nil {
			return err
		}
	}
	group.rows.push(e)
	return nil
}

func (s *sliding) resize(group *slidingGroup) {
	size := int64(0)
	for i := range group.states {
		size += group.states[i].size()
	}
	s.a.grow(size - group.size)
	group.size = size
}

func (s *sliding) give(g uint32, end int64) error {
	slots := s.a.row.slots
	s.table.values(g, slots[:len(s.a.keys)])
	for k := range s.groups[g].states {
		v, err := s.groups[g].states[k].result()
		if err != nil {
			return err
		}
		slots[len(s.a.keys)+k] = v
	}
	return s.a.give(end, s.id, false, false)
}

// early: a sliding window is given out as soon as it is there.
func (s *sliding) early() error { return nil }
func (s *sliding) seal(int64)   {}

func (s *sliding) count() (keys, windows int) { return s.table.live, s.order.len() }

func (s *sliding) appendState(dst []byte) ([]byte, error) {
	numbers := make([]uint64, len(s.groups))
	var live []uint32
	for g, group := range s.groups {
		if group != nil {
			numbers[g] = uint64(len(live))
			live = append(live, uint32(g))
		}
	}
	dst = s.table.appendState(dst, live)
	dst = codec.AppendUint(dst, uint64(s.inside))
	dst = codec.AppendUint(dst, uint64(s.order.len()))
	// The rows of a group are in the order of all rows, so each is found by
	// counting.
	next := make([]int, len(s.groups))
	for i := range s.order.len() {
		o := s.order.at(i)
		group := s.groups[o.group]
		n := next[o.group]
		next[o.group]++
		e := (*entered)(nil)
		if n < group.rows.len() {
			e = group.rows.at(n)
		} else {
			e = group.waiting.at(n - group.rows.len())
		}
		dst = codec.AppendUint(dst, numbers[o.group])
		dst = codec.AppendInt(dst, e.at)
		dst = appendValues(dst, e.args)
	}
	// States are computed anew from the rows, but for those of users, which
	// may remember more.
	for _, g := range live {
		for i := range s.groups[g].states {
			m := &s.groups[g].states[i]
			if m.user == nil {
				continue
			}
			var err error
			if dst, err = m.user.AppendState(dst); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

func (s *sliding) readState(d *decoder) {
	known, size := s.table.readState(d)
	s.a.grow(size)
	for g := range known {
		key := append([]byte(nil), s.table.key(uint32(g))...)
		s.table.values(uint32(g), s.table.spare)
		if _, err := s.group(key, s.table.spare); err != nil {
			d.FailWith(err)
			return
		}
	}
	inside := d.Uint()
	n := d.Count(3)
	if inside > uint64(n) {
		d.Fail("more rows are inside than there are")
	}
	last := NoTime
	for i := range n {
		g := uint32(d.Index(known))
		at := d.Int()
		args, size := d.row(len(s.a.args))
		if d.Err() == nil && at < last {
			d.Fail("rows are out of order")
		}
		if d.Err() != nil {
			return
		}
		last = at
		s.enqueue(g, entered{at: at, args: args, size: size + enteredSize})
		if uint64(i) < inside {
			s.inside++
			if err := s.comeAgain(g); err != nil {
				d.FailWith(err)
				return
			}
		}
	}
	s.readUsers(d, known)
}

// comeAgain lets a row of a saved state enter.
func (s *sliding) comeAgain(g uint32) error {
	group := s.groups[g]
	e := group.waiting.pop()
	for i := range group.states {
		m := &group.states[i]
		if m.user != nil {
			continue
		}
		if err := m.add(m.call.mine(e.args), e.at); err != nil {
			return err
		}
	}
	group.rows.push(e)
	s.resize(group)
	return nil
}

func (s *sliding) readUsers(d *decoder, known int) {
	for g := range known {
		group := s.groups[g]
		for i := range group.states {
			m := &group.states[i]
			if m.user != nil {
				d.Part(m.user.ReadState)
			}
		}
		s.resize(group)
	}
}

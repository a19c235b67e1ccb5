package exec

import (
	"cmp"
	"slices"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// sessions keeps session windows. Rows come in the order of time, so a key has
// one session at a time: when a row does not belong to it any more, the
// watermark, which is at the row's time, has closed it.
type sessions struct {
	a    *aggregate
	spec timing.Window
	id   value.Value
	// partition keeps sessions apart; empty for sessions of all rows.
	partition []evalFunc
	key       []byte
	// owners has the partitions, all is by their numbers.
	owners *keyTable
	all    []session
	// groups has the groups of the sessions, by partition and key. What follows
	// is by their numbers: the next group of the session, the states, the bytes.
	groups *keyTable
	chain  []uint32
	cols   []column
	bytes  []int64
	heap   []sessionDue
	seq    uint64
	open   int
	// told has the digests of provisional rows, by group.
	told map[uint32]uint64
}

type session struct {
	window timing.OpenSession
	// seq numbers sessions as they open.
	seq uint64
	// first and last are the groups in the order in which they appeared,
	// counted from 1.
	first, last uint32
	state       sessionState
}

type sessionState uint8

const (
	noSession sessionState = iota
	// openSession has rows that were not given out.
	openSession
	// cutSession was given out, but the next session of the key may begin
	// where it was cut.
	cutSession
)

// sessionDue says when to look at a session. Its end may be later by then.
type sessionDue struct {
	at    int64
	seq   uint64
	owner uint32
}

const (
	sessionSize      = 56 + 24
	sessionGroupSize = 12
)

func newSessions(a *aggregate, w *plan.Window, id value.Value) (*sessions, error) {
	s := &sessions{
		a: a, spec: w.Spec, id: id, owners: newKeyTable(0), groups: newKeyTable(len(a.keys)), told: map[uint32]uint64{},
	}
	for _, c := range a.calls {
		s.cols = append(s.cols, c.column())
	}
	var err error
	s.partition, err = a.env.comp.exprs(w.PartitionBy)
	return s, err
}

func (s *sessions) add(r *row) error {
	s.key = s.key[:0]
	for _, f := range s.partition {
		v, err := f(r)
		if err != nil {
			return err
		}
		s.key = v.AppendKey(s.key)
	}
	owner := s.owner(s.key)
	o := &s.all[owner]
	if o.state != noSession {
		next, same := s.spec.Next(o.window, r.time)
		if !same && o.state == openSession {
			if err := s.finish(owner, s.spec.SessionEnd(o.window)); err != nil {
				return err
			}
		}
		o.window = next
		if o.state != openSession {
			s.start(owner, openSession)
		}
	} else {
		o.window = s.spec.Open(r.time)
		s.owners.use(owner)
		s.start(owner, openSession)
	}
	s.key = append(s.key, s.a.key...)
	g, err := s.group(owner, s.key, s.a.values)
	if err != nil {
		return err
	}
	for k, c := range s.a.calls {
		n, err := s.cols[k].add(int(g), c.mine(s.a.args), r.time)
		if err != nil {
			return err
		}
		if n != 0 {
			s.bytes[g] += n
			s.a.grow(n)
		}
	}
	return nil
}

// owner returns the number of a partition.
func (s *sessions) owner(key []byte) uint32 {
	owner, grown := s.owners.group(key, nil)
	s.a.grow(grown)
	for int(owner) >= len(s.all) {
		s.all = append(s.all, session{})
	}
	return owner
}

// start opens a session that has its window.
func (s *sessions) start(owner uint32, state sessionState) {
	o := &s.all[owner]
	if o.state == noSession {
		s.a.grow(sessionSize)
	}
	s.seq++
	o.seq, o.state, o.first, o.last = s.seq, state, 0, 0
	s.open++
	s.schedule(sessionDue{at: s.spec.SessionEnd(o.window), seq: o.seq, owner: owner})
}

// group returns the number of a group of a session, which is made if it is new.
func (s *sessions) group(owner uint32, key []byte, values []value.Value) (uint32, error) {
	g, grown := s.groups.group(key, values)
	s.a.grow(grown)
	if int(g) < len(s.chain) && s.groups.refs[g] > 0 {
		return g, nil
	}
	for int(g) >= len(s.chain) {
		s.chain = append(s.chain, 0)
		s.bytes = append(s.bytes, 0)
		for _, c := range s.cols {
			c.leave()
		}
	}
	s.groups.use(g)
	size := int64(sessionGroupSize)
	for _, c := range s.cols {
		n, err := c.renew(int(g))
		if err != nil {
			return 0, err
		}
		size += n
	}
	s.bytes[g], s.chain[g] = size, 0
	s.a.grow(size)
	if o := &s.all[owner]; o.first == 0 {
		o.first, o.last = g+1, g+1
	} else {
		s.chain[o.last-1] = g + 1
		o.last = g + 1
	}
	return g, nil
}

func (d *sessionDue) before(o *sessionDue) bool {
	return d.at < o.at || d.at == o.at && d.seq < o.seq
}

// schedule adds to the heap.
func (s *sessions) schedule(d sessionDue) {
	s.heap = append(s.heap, d)
	h, i := s.heap, len(s.heap)-1
	for i > 0 {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	s.a.expect(s.heap[0].at)
}

// settle moves the heap's first entry to its place.
func (s *sessions) settle() {
	h := s.heap
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1].before(&h[down]) {
			down++
		}
		if !h[down].before(&h[i]) {
			break
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
}

func (s *sessions) pop() {
	n := len(s.heap) - 1
	s.heap[0] = s.heap[n]
	s.heap = s.heap[:n]
	s.settle()
}

// next brings the heap's first entry up to date and returns its time.
func (s *sessions) next() int64 {
	for len(s.heap) > 0 {
		top := &s.heap[0]
		o := &s.all[top.owner]
		if o.seq != top.seq || o.state == noSession {
			s.pop()
			continue
		}
		at := s.spec.SessionEnd(o.window)
		if o.state == cutSession {
			at = s.spec.SessionOver(o.window)
		}
		if at == top.at {
			return at
		}
		top.at = at
		s.settle()
	}
	return endOfTime
}

func (s *sessions) close(end int64) error {
	for s.next() == end && len(s.heap) > 0 {
		owner := s.heap[0].owner
		if s.all[owner].state == cutSession {
			s.pop()
			s.forget(owner)
			continue
		}
		s.pop()
		if err := s.finish(owner, end); err != nil {
			return err
		}
		o := &s.all[owner]
		if over := s.spec.SessionOver(o.window); over > end {
			s.schedule(sessionDue{at: over, seq: o.seq, owner: owner})
		} else {
			s.forget(owner)
		}
	}
	s.a.grow(-s.owners.sweep() - s.groups.sweep())
	return nil
}

func (s *sessions) forget(owner uint32) {
	s.all[owner] = session{}
	s.owners.release(owner)
	s.a.grow(-sessionSize)
}

// finish gives a session out.
func (s *sessions) finish(owner uint32, end int64) error {
	o := &s.all[owner]
	for at := o.first; at != 0; {
		g := at - 1
		at = s.chain[g]
		if err := s.fill(g); err != nil {
			return err
		}
		digest, told := s.told[g]
		correction := false
		if told {
			correction = digest != s.a.digest()+uint64(end)
			delete(s.told, g)
			s.a.grow(-toldSize)
		}
		if err := s.a.give(end, s.id, false, correction); err != nil {
			return err
		}
		s.a.grow(-s.bytes[g])
		for _, c := range s.cols {
			c.drop(int(g))
		}
		s.groups.release(g)
	}
	o.first, o.last, o.state = 0, 0, cutSession
	s.open--
	return nil
}

func (s *sessions) fill(g uint32) error {
	slots := s.a.row.slots
	s.groups.values(g, slots[:len(s.a.keys)])
	for k, c := range s.cols {
		v, err := c.result(int(g))
		if err != nil {
			return err
		}
		slots[len(s.a.keys)+k] = v
	}
	return nil
}

// inOrder are the owners of sessions as they are given out: by their ends, then
// as they were opened.
func (s *sessions) inOrder() []uint32 {
	var out []uint32
	for i := range s.all {
		if s.all[i].state != noSession {
			out = append(out, uint32(i))
		}
	}
	slices.SortFunc(out, func(i, j uint32) int {
		a, b := &s.all[i], &s.all[j]
		return cmp.Or(cmp.Compare(s.spec.SessionEnd(a.window), s.spec.SessionEnd(b.window)), cmp.Compare(a.seq, b.seq))
	})
	return out
}

// early gives out what the sessions would be if no more rows came.
func (s *sessions) early() error {
	for _, owner := range s.inOrder() {
		o := &s.all[owner]
		if o.state != openSession {
			continue
		}
		end := s.spec.SessionEnd(o.window)
		for at := o.first; at != 0; at = s.chain[at-1] {
			if err := s.fill(at - 1); err != nil {
				return err
			}
			digest := s.a.digest() + uint64(end)
			before, ok := s.told[at-1]
			if ok && before == digest {
				continue
			}
			if !ok {
				s.a.grow(toldSize)
			}
			s.told[at-1] = digest
			if err := s.a.give(end, s.id, true, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sessions) seal(int64) {}

func (s *sessions) count() (keys, windows int) { return s.groups.live, s.open }

func (s *sessions) appendState(dst []byte) ([]byte, error) {
	owners := s.inOrder()
	dst = codec.AppendUint(dst, s.seq)
	dst = s.owners.appendState(dst, owners)
	numbers := map[uint32]uint64{}
	var groups []uint32
	for _, owner := range owners {
		for at := s.all[owner].first; at != 0; at = s.chain[at-1] {
			numbers[at-1] = uint64(len(groups))
			groups = append(groups, at-1)
		}
	}
	dst = s.groups.appendState(dst, groups)
	for _, owner := range owners {
		o := &s.all[owner]
		dst = append(dst, byte(o.state))
		dst = codec.AppendInt(dst, o.window.Start)
		dst = codec.AppendInt(dst, o.window.Last)
		dst = codec.AppendInt(dst, o.window.Limit)
		dst = codec.AppendUint(dst, o.seq)
		n := 0
		for at := o.first; at != 0; at = s.chain[at-1] {
			n++
		}
		dst = codec.AppendUint(dst, uint64(n))
		for at := o.first; at != 0; at = s.chain[at-1] {
			for _, c := range s.cols {
				var err error
				if dst, err = c.appendState(dst, int(at-1)); err != nil {
					return dst, err
				}
			}
		}
	}
	return appendTold(dst, s.told, numbers), nil
}

func (s *sessions) readState(d *decoder) {
	seq := d.Uint()
	known, size := s.owners.readState(d)
	s.a.grow(size)
	groups, size := s.groups.readState(d)
	s.a.grow(size)
	next := 0
	for owner := range known {
		s.all = append(s.all, session{})
		next = s.readSession(d, uint32(owner), next, groups)
		if d.Err() != nil {
			return
		}
	}
	if next != groups {
		d.Fail("a group belongs to no session")
	}
	s.seq = seq
	for range d.Count(9) {
		s.told[uint32(d.Index(groups))] = d.Fixed()
		s.a.grow(toldSize)
	}
}

// readSession reads a session, whose groups are those from next on.
func (s *sessions) readSession(d *decoder, owner uint32, next, groups int) int {
	state := sessionState(d.Byte())
	w := timing.OpenSession{Start: d.Int(), Last: d.Int(), Limit: d.Int()}
	seq := d.Uint()
	n := d.Index(groups - next + 1)
	if d.Err() == nil && (state != openSession && state != cutSession || (n > 0) != (state == openSession)) {
		d.Fail("a session is not whole")
	}
	if d.Err() != nil {
		return next
	}
	s.all[owner].window = w
	s.owners.use(owner)
	s.seq = seq - 1
	s.start(owner, state)
	if state == cutSession {
		s.open--
	}
	for range n {
		key := append([]byte(nil), s.groups.key(uint32(next))...)
		g, err := s.group(owner, key, s.a.values)
		if err != nil {
			d.FailWith(err)
		}
		for _, c := range s.cols {
			grown := c.readState(int(g), d)
			s.bytes[g] += grown
			s.a.grow(grown)
		}
		if d.Err() != nil {
			return next
		}
		next++
	}
	return next
}

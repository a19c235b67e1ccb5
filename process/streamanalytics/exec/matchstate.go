package exec

import "millrace/process/streamanalytics/codec"

// The state of a match: the attempts in the order of their beginnings, each with
// its key; the rows of a key come with its first attempt. Chains share their
// beginnings, so the bindings of an attempt are numbered, each behind the one
// before it.

func (m *match) appendState(dst []byte) ([]byte, error) {
	var live []uint32
	numbers := make([]uint64, len(m.runs))
	for g, run := range m.runs {
		if run != nil {
			numbers[g] = uint64(len(live))
			live = append(live, uint32(g))
		}
	}
	dst = m.table.appendState(dst, live)
	for _, g := range live {
		run := m.runs[g]
		dst = codec.AppendUint(dst, uint64(run.rows.len()))
		for i := range run.rows.len() {
			r := *run.rows.at(i)
			dst = codec.AppendInt(dst, r.time)
			dst = appendValues(dst, r.slots)
		}
	}
	var attempts []matchDue
	for i := range m.order.len() {
		if d := m.order.at(i); m.active(d) != nil {
			attempts = append(attempts, *d)
		}
	}
	dst = codec.AppendUint(dst, uint64(len(attempts)))
	for i := range attempts {
		d := &attempts[i]
		dst = codec.AppendUint(dst, numbers[d.run])
		dst = appendAttempt(dst, m.runs[d.run], m.active(d))
	}
	return dst, nil
}

func appendAttempt(dst []byte, run *matchRun, a *attempt) []byte {
	base := (*run.rows.front()).n
	dst = codec.AppendInt(dst, a.start)
	dst = codec.AppendUint(dst, a.first-base)
	// Bindings are numbered from 1, an earlier one before a later one.
	numbers := map[*binding]uint64{}
	var list []*binding
	number := func(b *binding) {
		var chain []*binding
		for ; b != nil && numbers[b] == 0; b = b.prev {
			chain = append(chain, b)
		}
		for i := len(chain) - 1; i >= 0; i-- {
			list = append(list, chain[i])
			numbers[chain[i]] = uint64(len(list))
		}
	}
	for _, t := range a.threads {
		number(t.chain)
	}
	number(a.best)
	dst = codec.AppendUint(dst, uint64(len(list)))
	for _, b := range list {
		dst = codec.AppendUint(dst, b.row.n-base)
		dst = codec.AppendUint(dst, uint64(b.symbol))
		dst = codec.AppendUint(dst, numbers[b.prev])
	}
	dst = codec.AppendUint(dst, uint64(len(a.threads)))
	for _, t := range a.threads {
		dst = codec.AppendUint(dst, uint64(t.step))
		dst = codec.AppendUint(dst, numbers[t.chain])
	}
	return codec.AppendUint(dst, numbers[a.best])
}

func (m *match) readState(d *decoder) {
	known, size := m.table.readState(d)
	m.grow(size)
	for g := range known {
		run := &matchRun{}
		for range d.Count(2) {
			r := &matchRow{n: run.n, time: d.Int()}
			var size int64
			if r.slots, size = d.row(m.width); d.Err() != nil {
				return
			}
			run.n++
			run.rows.push(r)
			m.grow(size + matchRowSize)
		}
		m.runs = append(m.runs, run)
		m.table.use(uint32(g))
		m.grow(runSize)
	}
	last := NoTime
	for range d.Count(6) {
		g := uint32(d.Index(known))
		if d.Err() != nil {
			return
		}
		a := m.readAttempt(d, m.runs[g])
		if d.Err() == nil && a.start < last {
			d.Fail("attempts are out of order")
		}
		if d.Err() != nil {
			return
		}
		last = a.start
		m.enlist(g, a)
		m.grow(a.bindings * bindingSize)
	}
	for _, run := range m.runs {
		if len(run.attempts) == 0 {
			d.Fail("a key has no attempt")
		}
	}
}

func (m *match) readAttempt(d *decoder, run *matchRun) *attempt {
	a := &attempt{start: d.Int()}
	rows := run.rows.len()
	a.first = uint64(d.Index(rows))
	if n := len(run.attempts); d.Err() == nil && n > 0 && a.first < run.attempts[n-1].first {
		d.Fail("attempts are out of order")
	}
	list := []*binding{nil}
	for range d.Count(3) {
		i := d.Index(rows)
		b := &binding{symbol: d.Index(len(m.conds)), prev: list[d.Index(len(list))]}
		if d.Err() != nil {
			return a
		}
		b.row = *run.rows.at(i)
		list = append(list, b)
	}
	a.bindings = int64(len(list) - 1)
	for range d.Count(2) {
		t := thread{step: d.Index(len(m.steps)), chain: list[d.Index(len(list))]}
		if d.Err() == nil && (m.steps[t.step].kind != wantRow || t.chain == nil) {
			d.Fail("a pattern stands where it cannot")
		}
		if d.Err() != nil {
			return a
		}
		a.threads = append(a.threads, t)
	}
	a.best = list[d.Index(len(list))]
	if d.Err() == nil && len(a.threads) == 0 {
		d.Fail("an attempt is over")
	}
	return a
}

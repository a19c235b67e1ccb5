package exec

import (
	"cmp"
	"maps"
	"slices"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// panes keeps tumbling, hopping and snapshot windows. An event updates the one
// pane that holds it; a window that is closed merges its panes. JavaScript
// aggregates cannot be merged: with one of them each window is its own pane.
type panes struct {
	a    *aggregate
	spec timing.Window
	id   value.Value
	// single: a window is one pane. direct: and panes overlap.
	single, direct bool

	table *keyTable
	// open are the panes by their ends.
	open  []*pane
	spare []*pane
	// slots are arrays for panes, all zero.
	slots [][]uint32
	// current is the pane of the last event, with the times that it holds.
	current  *pane
	from, to int64
	// closed is the end of the last window that was closed.
	closed int64
	merged *pane
	// told has the digests of provisional rows, by window and group.
	told map[int64]map[uint32]uint64
}

// pane holds the groups of one pane.
type pane struct {
	end int64
	// groups are in the order in which they appeared.
	groups []uint32
	// slot has for each group of the table its place in groups, plus 1. It is
	// nil when no event can come any more.
	slot  []uint32
	cols  []column
	bytes int64
}

const (
	// paneGroupSize is what a group takes in groups and slot.
	paneGroupSize = 8
	// toldSize is what a digest takes in its map.
	toldSize = 32
)

func newPanes(a *aggregate, spec timing.Window, id value.Value) *panes {
	p := &panes{a: a, spec: spec, id: id, table: newKeyTable(len(a.keys)), closed: NoTime, from: 1, told: map[int64]map[uint32]uint64{}}
	switch spec.Kind {
	case timing.Hopping:
		p.single = spec.Hop == spec.Size
		for _, c := range a.calls {
			if c.user != nil && !p.single {
				p.single, p.direct = true, true
			}
		}
	default:
		p.single = true
	}
	if !p.single {
		p.merged = p.newPane()
	}
	return p
}

func (p *panes) newPane() *pane {
	if n := len(p.spare); n > 0 {
		out := p.spare[n-1]
		p.spare = p.spare[:n-1]
		return out
	}
	out := &pane{}
	for _, c := range p.a.calls {
		out.cols = append(out.cols, c.column())
	}
	return out
}

func (p *panes) add(r *row) error {
	if !p.direct {
		pane := p.current
		if r.time < p.from || r.time > p.to {
			if pane = p.find(r.time); pane == nil {
				return nil
			}
		}
		return p.put(pane, r.time)
	}
	first, last, step := p.spec.Ends(r.time)
	for end := first; end <= last; end += step {
		if err := p.put(p.pane(end, end), r.time); err != nil {
			return err
		}
	}
	return nil
}

// find returns the pane for a time, nil if no window holds it.
func (p *panes) find(t int64) *pane {
	end, first := t, t
	if p.spec.Kind != timing.Snapshot {
		end = p.spec.Pane(t)
		var last int64
		if first, last, _ = p.spec.Ends(t); first > last {
			return nil
		}
	}
	p.current = p.pane(end, first)
	// Times up to the end are in the pane; where it starts is not asked for,
	// as time goes on and not back.
	p.from, p.to = t, end
	return p.current
}

// pane returns the pane with that end, and makes sure that the first window that
// it belongs to is closed.
func (p *panes) pane(end, window int64) *pane {
	i := len(p.open)
	for i > 0 && p.open[i-1].end > end {
		i--
	}
	if i > 0 && p.open[i-1].end == end {
		return p.open[i-1]
	}
	out := p.newPane()
	out.end = end
	if n := len(p.slots); n > 0 {
		out.slot = p.slots[n-1]
		p.slots = p.slots[:n-1]
	} else {
		out.slot = make([]uint32, 0, 16)
	}
	p.open = slices.Insert(p.open, i, out)
	p.a.expect(window)
	return out
}

// put takes the aggregate's present row into a pane.
func (p *panes) put(to *pane, at int64) error {
	group, grown := p.table.group(p.a.key, p.a.values)
	if grown > 0 {
		p.a.grow(grown)
	}
	i, err := p.place(to, group)
	if err != nil {
		return err
	}
	grown = 0
	for k, c := range p.a.calls {
		n, err := to.cols[k].add(i, c.mine(p.a.args), at)
		if err != nil {
			return err
		}
		grown += n
	}
	if grown != 0 {
		to.bytes += grown
		p.a.grow(grown)
	}
	return nil
}

// place returns a group's place in a pane.
func (p *panes) place(to *pane, group uint32) (int, error) {
	if int(group) < len(to.slot) {
		if i := to.slot[group]; i != 0 {
			return int(i) - 1, nil
		}
	} else {
		to.slot = slices.Grow(to.slot, int(group)+1-len(to.slot))
		n := len(to.slot)
		to.slot = to.slot[:group+1]
		clear(to.slot[n:])
	}
	to.groups = append(to.groups, group)
	to.slot[group] = uint32(len(to.groups))
	p.table.use(group)
	grown := int64(paneGroupSize)
	for _, c := range to.cols {
		c.leave()
		n, err := c.renew(len(to.groups) - 1)
		if err != nil {
			return 0, err
		}
		grown += n
	}
	to.bytes += grown
	p.a.grow(grown)
	return len(to.groups) - 1, nil
}

// next: the first window of the oldest pane that is not closed yet.
func (p *panes) next() int64 {
	if len(p.open) == 0 {
		return endOfTime
	}
	end := p.open[0].end
	if p.single {
		return end
	}
	first, _, step := p.spec.Ends(end)
	if first <= p.closed {
		first = p.closed + step
	}
	return first
}

// content returns the groups of the window with that end.
func (p *panes) content(end int64) (*pane, error) {
	if p.single {
		for _, o := range p.open {
			if o.end == end {
				return o, nil
			}
		}
		return nil, nil
	}
	all := p.merged
	for _, o := range p.open {
		if o.end > end {
			break
		}
		if !p.spec.Holds(end, o.end) {
			continue
		}
		for j, group := range o.groups {
			i, err := p.place(all, group)
			if err != nil {
				return nil, err
			}
			for k, c := range all.cols {
				n, err := c.merge(i, o.cols[k], j)
				if err != nil {
					return nil, err
				}
				all.bytes += n
				p.a.grow(n)
			}
		}
	}
	return all, nil
}

// forget empties a pane and gives back its memory.
func (p *panes) forget(o *pane) {
	for _, g := range o.groups {
		p.table.release(g)
	}
	for _, c := range o.cols {
		c.reset()
	}
	p.clearSlot(o)
	o.groups = o.groups[:0]
	p.a.grow(-o.bytes)
	o.bytes = 0
}

func (p *panes) clearSlot(o *pane) {
	if o.slot == nil {
		return
	}
	for _, g := range o.groups {
		o.slot[g] = 0
	}
	if o != p.merged {
		p.slots = append(p.slots, o.slot[:0])
		o.slot = nil
	}
}

// fill makes the row of a pane's group.
func (p *panes) fill(o *pane, i int) error {
	slots := p.a.row.slots
	p.table.values(o.groups[i], slots[:len(p.a.keys)])
	for k, c := range o.cols {
		v, err := c.result(i)
		if err != nil {
			return err
		}
		slots[len(p.a.keys)+k] = v
	}
	return nil
}

func (p *panes) close(end int64) error {
	content, err := p.content(end)
	if err != nil || content == nil {
		return err
	}
	told := p.told[end]
	for i := range content.groups {
		if err := p.fill(content, i); err != nil {
			return err
		}
		correction := false
		if told != nil {
			digest, ok := told[content.groups[i]]
			correction = ok && digest != p.a.digest()
		}
		if err := p.a.give(end, p.id, false, correction); err != nil {
			return err
		}
	}
	if told != nil {
		delete(p.told, end)
		p.a.grow(-toldSize * int64(len(told)))
	}
	p.closed = end
	if content == p.merged {
		p.forget(content)
	}
	p.drop(end)
	return nil
}

// drop forgets the panes that no later window holds.
func (p *panes) drop(end int64) {
	n := 0
	for n < len(p.open) && (p.single && p.open[n].end <= end || !p.single && p.spec.LastUse(p.open[n].end) <= end) {
		o := p.open[n]
		p.forget(o)
		p.spare = append(p.spare, o)
		if o == p.current {
			p.current, p.from, p.to = nil, 1, 0
		}
		n++
	}
	if n == 0 {
		return
	}
	p.open = slices.Delete(p.open, 0, n)
	if len(p.spare) > 4 {
		clear(p.spare[4:])
		p.spare = p.spare[:4]
	}
	p.a.grow(-p.table.sweep())
}

func (p *panes) early() error {
	if len(p.open) == 0 {
		return nil
	}
	if p.single {
		for _, o := range p.open {
			if err := p.tell(o, o.end); err != nil {
				return err
			}
		}
		return nil
	}
	_, last, step := p.spec.Ends(p.open[len(p.open)-1].end)
	for end := p.next(); end <= last; end += step {
		content, err := p.content(end)
		if err != nil {
			return err
		}
		if err := p.tell(content, end); err != nil {
			return err
		}
		p.forget(content)
	}
	return nil
}

// tell gives out the provisional rows that were not given out before.
func (p *panes) tell(content *pane, end int64) error {
	told := p.told[end]
	if told == nil {
		told = map[uint32]uint64{}
		p.told[end] = told
	}
	for i, g := range content.groups {
		if err := p.fill(content, i); err != nil {
			return err
		}
		digest := p.a.digest()
		before, ok := told[g]
		if ok && before == digest {
			continue
		}
		if !ok {
			p.a.grow(toldSize)
		}
		told[g] = digest
		if err := p.a.give(end, p.id, true, false); err != nil {
			return err
		}
	}
	return nil
}

func (p *panes) seal(t int64) {
	for i := len(p.open) - 1; i >= 0; i-- {
		o := p.open[i]
		if o.end >= t {
			continue
		}
		if o.slot == nil {
			break
		}
		p.clearSlot(o)
		if o == p.current {
			p.current, p.from, p.to = nil, 1, 0
		}
	}
}

func (p *panes) count() (keys, windows int) { return p.table.live, len(p.open) }

func (p *panes) appendState(dst []byte) ([]byte, error) {
	// Only groups that a pane uses are saved, under new numbers.
	numbers := map[uint32]uint64{}
	var groups []uint32
	for _, o := range p.open {
		for _, g := range o.groups {
			if _, ok := numbers[g]; !ok {
				numbers[g] = uint64(len(groups))
				groups = append(groups, g)
			}
		}
	}
	dst = codec.AppendInt(dst, p.closed)
	dst = p.table.appendState(dst, groups)
	dst = codec.AppendUint(dst, uint64(len(p.open)))
	for _, o := range p.open {
		dst = codec.AppendInt(dst, o.end)
		dst = codec.AppendUint(dst, uint64(len(o.groups)))
		for i, g := range o.groups {
			dst = codec.AppendUint(dst, numbers[g])
			for _, c := range o.cols {
				var err error
				if dst, err = c.appendState(dst, i); err != nil {
					return dst, err
				}
			}
		}
	}
	dst = codec.AppendUint(dst, uint64(len(p.told)))
	for _, end := range slices.Sorted(maps.Keys(p.told)) {
		dst = codec.AppendInt(dst, end)
		dst = appendTold(dst, p.told[end], numbers)
	}
	return dst, nil
}

// appendTold writes the digests of groups by their numbers in the saved state.
func appendTold(dst []byte, told map[uint32]uint64, numbers map[uint32]uint64) []byte {
	dst = codec.AppendUint(dst, uint64(len(told)))
	byNumber := func(a, b uint32) int { return cmp.Compare(numbers[a], numbers[b]) }
	for _, g := range slices.SortedFunc(maps.Keys(told), byNumber) {
		dst = codec.AppendUint(dst, numbers[g])
		dst = codec.AppendFixed(dst, told[g])
	}
	return dst
}

func (p *panes) readState(d *decoder) {
	p.closed = d.Int()
	known, size := p.table.readState(d)
	p.a.grow(size)
	last := NoTime
	for range d.Count(2) {
		end := d.Int()
		if end <= last || end <= p.closed && p.single {
			d.Fail("windows are out of order")
		}
		if last = end; d.Err() != nil {
			return
		}
		p.readPane(d, p.pane(end, end), known)
	}
	for range d.Count(2) {
		end := d.Int()
		told := map[uint32]uint64{}
		for range d.Count(9) {
			told[uint32(d.Index(known))] = d.Fixed()
		}
		p.told[end] = told
		p.a.grow(toldSize * int64(len(told)))
	}
}

func (p *panes) readPane(d *decoder, o *pane, known int) {
	for n := range d.Count(1) {
		group := uint32(d.Index(known))
		if d.Err() != nil {
			return
		}
		i, err := p.place(o, group)
		if err != nil || i != n {
			d.Fail("a group is in a window twice")
			return
		}
		for _, c := range o.cols {
			grown := c.readState(i, d)
			o.bytes += grown
			p.a.grow(grown)
		}
	}
}

package exec

import (
	"sort"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// The ports of a join.
const (
	left  = 0
	right = 1
)

// join joins two streams. Each side keeps its rows until the other side's
// watermark says that no partner can come any more; a left row without a
// partner is given out then, if the join is a LEFT JOIN.
type join struct {
	outlet
	account
	outer     bool
	low, high int64
	// wait is how much later than a left row it is given out without a partner.
	wait   int64
	keys   [2][]evalFunc
	widths [2]int
	on     condFunc

	table   *keyTable
	buckets []bucket
	// order has the rows of a side in the order of their times.
	order [2]deque[slidingRow]
	wm    [2]int64
	key   []byte
	row   row
}

// bucket has the rows of a key, of each side in the order of their times.
type bucket [2]deque[joined]

type joined struct {
	at      int64
	slots   []value.Value
	matched bool
	size    int64
}

const joinedSize = 64

func newJoin(e *env, n *plan.Join) (*join, error) {
	l, r := n.Inputs[left].Head().Width, n.Inputs[right].Head().Width
	j := &join{
		outlet: newOutlet(), account: account{env: e, head: &n.Common, name: "JOIN"},
		outer: n.Kind == syntax.LeftJoin, low: n.Low, high: n.High, wait: max(0, n.Wait), widths: [2]int{l, r},
		table: newKeyTable(0), wm: [2]int64{NoTime, NoTime}, row: row{slots: make([]value.Value, l+r+2)},
	}
	var err error
	if j.keys[left], err = e.comp.exprs(n.LeftKeys); err != nil {
		return nil, err
	}
	if j.keys[right], err = e.comp.exprs(n.RightKeys); err != nil {
		return nil, err
	}
	j.on, err = e.comp.cond(n.On)
	return j, err
}

func (j *join) push(side int, r *row) error {
	if r.early {
		return nil
	}
	j.key = j.key[:0]
	for _, f := range j.keys[side] {
		v, err := f(r)
		if err != nil {
			return err
		}
		j.key = v.AppendKey(j.key)
	}
	g, known := j.table.find(j.key)
	matched := false
	if known {
		var err error
		if matched, err = j.probe(side, r, &j.buckets[g]); err != nil {
			return err
		}
	}
	if j.over(side, r.time) {
		if side == left && j.outer && !matched {
			return j.alone(r.time, r.slots)
		}
		return nil
	}
	slots, size := cloneSlots(r.slots)
	j.keep(side, j.key, joined{at: r.time, slots: slots, matched: matched, size: size + joinedSize})
	return nil
}

// over tells whether no partner of a row can come any more.
func (j *join) over(side int, at int64) bool {
	if side == left {
		return plus(at, j.high) < j.wm[right]
	}
	return minus(at, j.low) < j.wm[left]
}

func (j *join) keep(side int, key []byte, row joined) {
	g, grown := j.table.group(key, nil)
	for int(g) >= len(j.buckets) {
		j.buckets = append(j.buckets, bucket{})
	}
	j.table.use(g)
	j.buckets[g][side].push(row)
	j.order[side].push(slidingRow{at: row.at, group: g})
	j.grow(grown + row.size)
}

// probe gives out a row with all its partners so far.
func (j *join) probe(side int, r *row, b *bucket) (matched bool, err error) {
	from, to := plus(r.time, j.low), plus(r.time, j.high)
	if side == right {
		from, to = minus(r.time, j.high), minus(r.time, j.low)
	}
	others := &b[1-side]
	n := others.len()
	i := sort.Search(n, func(i int) bool { return others.at(i).at >= from })
	if i == n {
		return false, nil
	}
	slots := j.row.slots
	own, other := slots[:j.widths[left]], slots[j.widths[left]:j.widths[left]+j.widths[right]]
	if side == right {
		own, other = other, own
	}
	copy(own, r.slots)
	times := slots[len(slots)-2:]
	times[side] = value.Time(r.time)
	for ; i < n; i++ {
		o := others.at(i)
		if o.at > to {
			break
		}
		copy(other, o.slots)
		times[1-side] = value.Time(o.at)
		j.row.time = max(r.time, o.at)
		t, err := j.on(&j.row)
		if err != nil {
			return matched, err
		}
		if t != value.True {
			continue
		}
		matched, o.matched = true, true
		if err := j.emit(&j.row); err != nil {
			return matched, err
		}
	}
	return matched, nil
}

// alone gives out a left row without a partner, at the time by which none has
// come.
func (j *join) alone(at int64, l []value.Value) error {
	slots := j.row.slots
	n := copy(slots, l)
	clear(slots[n:])
	slots[len(slots)-2] = value.Time(at)
	j.row.time = plus(at, j.wait)
	return j.emit(&j.row)
}

func (j *join) advance(port int, t int64) error {
	j.wm[port] = t
	side := 1 - port
	gone := false
	for order := &j.order[side]; order.len() > 0 && j.over(side, order.front().at); {
		first := order.pop()
		row := j.buckets[first.group][side].pop()
		j.grow(-row.size)
		j.table.release(first.group)
		gone = true
		if side == left && j.outer && !row.matched {
			if err := j.alone(row.at, row.slots); err != nil {
				return err
			}
		}
	}
	if gone {
		j.grow(-j.table.sweep())
	}
	w := min(j.wm[left], j.wm[right])
	if j.outer {
		// Rows that may turn out to be alone are not older than that.
		w = min(w, minus(j.wm[right], max(j.high-j.wait, 0)))
	}
	return j.promise(w)
}

func (j *join) appendState(dst []byte) ([]byte, error) {
	dst = codec.AppendInt(dst, j.wm[left])
	dst = codec.AppendInt(dst, j.wm[right])
	for side := range 2 {
		next := make([]int, len(j.buckets))
		dst = codec.AppendUint(dst, uint64(j.order[side].len()))
		for i := range j.order[side].len() {
			g := j.order[side].at(i).group
			row := j.buckets[g][side].at(next[g])
			next[g]++
			dst = codec.AppendBytes(dst, j.table.key(g))
			dst = codec.AppendInt(dst, row.at)
			dst = codec.AppendBool(dst, row.matched)
			dst = appendValues(dst, row.slots)
		}
	}
	return dst, nil
}

func (j *join) readState(d *decoder) {
	j.wm[left], j.wm[right] = d.Int(), d.Int()
	for side := range 2 {
		last := NoTime
		for range d.Count(4) {
			key := d.Bytes()
			row := joined{at: d.Int(), matched: d.Bool()}
			row.slots, row.size = d.row(j.widths[side])
			row.size += joinedSize
			if d.Err() == nil && row.at < last {
				d.Fail("rows are out of order")
			}
			if d.Err() != nil {
				return
			}
			last = row.at
			j.keep(side, key, row)
		}
	}
}

func (j *join) describe() OperatorState {
	return j.info(j.order[left].len()+j.order[right].len(), j.table.live)
}

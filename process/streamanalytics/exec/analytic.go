package exec

import (
	"fmt"
	"reflect"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// analytic adds the results of functions that look at earlier rows.
type analytic struct {
	outlet
	account
	width  int
	groups []*analyticGroup
	row    row
}

// analyticGroup are the calls with the same PARTITION BY. They share the look-up
// of a row's key.
type analyticGroup struct {
	a     *analytic
	keys  []evalFunc
	key   []byte
	calls []analyticCall
	// slots are where the calls' results go.
	slots []int
	// horizon is how long a key's states matter after its last row, 0 for ever.
	horizon int64

	table *keyTable
	// By the table's numbers: a list of the keys in the order of their last
	// rows, from first to last, counted from 1; the times of these rows; and
	// what the states take.
	before, after []uint32
	seen          []int64
	bytes         []int64
	first, last   uint32
}

// analyticCall is a call and its states by the numbers of keys.
type analyticCall interface {
	// leave adds a place for a state at the end.
	leave()
	// renew puts an empty state into a place and returns the bytes it takes.
	renew(i int) (int64, error)
	drop(i int)
	// take takes a row in and returns the call's result for it, and by how much
	// the state grew.
	take(i int, r *row) (v value.Value, grown int64, err error)
	appendState(dst []byte, i int) ([]byte, error)
	// readState replaces a state and returns by how much it grew.
	readState(i int, d *decoder) int64
}

// analyticKeySize is what a key takes beside its entry in the table.
const analyticKeySize = 24

func newAnalytic(e *env, n *plan.Analytic) (*analytic, error) {
	a := &analytic{
		outlet: newOutlet(), account: account{env: e, head: &n.Common, name: "OVER"},
		width: n.Inputs[0].Head().Width,
	}
	a.row.slots = make([]value.Value, a.width+len(n.Calls))
	var partitions [][]plan.Expr
	for i, p := range n.Calls {
		call, horizon, err := e.comp.analytic(p)
		if err != nil {
			return nil, err
		}
		var g *analyticGroup
		for j, by := range partitions {
			if reflect.DeepEqual(by, p.PartitionBy) {
				g = a.groups[j]
			}
		}
		if g == nil {
			g = &analyticGroup{a: a, table: newKeyTable(0), horizon: horizon}
			if g.keys, err = e.comp.exprs(p.PartitionBy); err != nil {
				return nil, err
			}
			a.groups = append(a.groups, g)
			partitions = append(partitions, p.PartitionBy)
		}
		g.calls, g.slots = append(g.calls, call), append(g.slots, a.width+i)
		if horizon == 0 || g.horizon == 0 {
			g.horizon = 0
		} else {
			g.horizon = max(g.horizon, horizon)
		}
	}
	return a, nil
}

// analytic compiles a call. The horizon is how far back it looks, 0 without a
// limit.
func (c *compiler) analytic(p *plan.AnalyticCall) (call analyticCall, horizon int64, err error) {
	when, err := c.optional(p.When)
	if err != nil {
		return nil, 0, err
	}
	switch p.Kind {
	case plan.Lag, plan.Last:
		call, err = c.lag(p, when)
	case plan.IsFirst:
		if p.Every <= 0 {
			return nil, 0, placed(p.Pos, fmt.Errorf("ISFIRST needs a length of time"))
		}
		return &isFirst{every: p.Every, when: when}, p.Every, nil
	case plan.Running:
		call, err = c.running(p, when)
	case plan.SpikeAndDip, plan.ChangePoint:
		call, err = c.anomaly(p, when)
	default:
		return nil, 0, placed(p.Pos, fmt.Errorf("the plan has an unknown analytic function %d", p.Kind))
	}
	return call, p.Limit, err
}

func (a *analytic) push(_ int, r *row) error {
	if r.early {
		return nil
	}
	a.row.time, a.row.correction = r.time, r.correction
	copy(a.row.slots[:a.width], r.slots)
	for _, g := range a.groups {
		if err := g.take(r); err != nil {
			return err
		}
	}
	return a.emit(&a.row)
}

func (a *analytic) advance(_ int, t int64) error {
	for _, g := range a.groups {
		if g.horizon > 0 && g.first != 0 && plus(g.seen[g.first-1], g.horizon) <= t {
			g.expire(t)
		}
	}
	return a.promise(t)
}

func (g *analyticGroup) take(r *row) error {
	g.key = g.key[:0]
	for _, f := range g.keys {
		v, err := f(r)
		if err != nil {
			return err
		}
		g.key = v.AppendKey(g.key)
	}
	i, err := g.place(g.key)
	if err != nil {
		return err
	}
	g.touch(i, r.time)
	for k, c := range g.calls {
		v, grown, err := c.take(int(i), r)
		if err != nil {
			return err
		}
		g.a.row.slots[g.slots[k]] = v
		if grown != 0 {
			g.bytes[i] += grown
			g.a.grow(grown)
		}
	}
	return nil
}

// place returns the number of a key, which gets states if it is new.
func (g *analyticGroup) place(key []byte) (uint32, error) {
	i, grown := g.table.group(key, nil)
	if grown == 0 && g.table.refs[i] > 0 {
		return i, nil
	}
	for int(i) >= len(g.seen) {
		g.before, g.after = append(g.before, 0), append(g.after, 0)
		g.seen, g.bytes = append(g.seen, 0), append(g.bytes, 0)
		for _, c := range g.calls {
			c.leave()
		}
	}
	g.table.use(i)
	size := int64(analyticKeySize)
	for _, c := range g.calls {
		n, err := c.renew(int(i))
		if err != nil {
			return 0, err
		}
		size += n
	}
	g.bytes[i] = size
	g.a.grow(grown + size)
	g.link(i)
	return i, nil
}

// link puts a key at the end of the list.
func (g *analyticGroup) link(i uint32) {
	g.before[i], g.after[i] = g.last, 0
	if g.last != 0 {
		g.after[g.last-1] = i + 1
	} else {
		g.first = i + 1
	}
	g.last = i + 1
}

func (g *analyticGroup) unlink(i uint32) {
	b, a := g.before[i], g.after[i]
	if b != 0 {
		g.after[b-1] = a
	} else {
		g.first = a
	}
	if a != 0 {
		g.before[a-1] = b
	} else {
		g.last = b
	}
}

func (g *analyticGroup) touch(i uint32, at int64) {
	g.seen[i] = at
	if g.last != i+1 {
		g.unlink(i)
		g.link(i)
	}
}

// expire forgets the keys whose last row is too far back to matter.
func (g *analyticGroup) expire(t int64) {
	for g.first != 0 && plus(g.seen[g.first-1], g.horizon) <= t {
		i := g.first - 1
		g.unlink(i)
		for _, c := range g.calls {
			c.drop(int(i))
		}
		g.a.grow(-g.bytes[i])
		g.bytes[i] = 0
		g.table.release(i)
	}
	g.a.grow(-g.table.sweep())
}

func (a *analytic) appendState(dst []byte) ([]byte, error) {
	for _, g := range a.groups {
		var err error
		if dst, err = appendBlock(dst, g.appendState); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (a *analytic) readState(d *decoder) {
	for _, g := range a.groups {
		in := d.block()
		g.readState(in)
		if err := in.end(); err != nil && d.Err() == nil {
			d.FailWith(err)
		}
		if d.Err() != nil {
			return
		}
	}
}

func (g *analyticGroup) appendState(dst []byte) ([]byte, error) {
	var keys []uint32
	for at := g.first; at != 0; at = g.after[at-1] {
		keys = append(keys, at-1)
	}
	dst = g.table.appendState(dst, keys)
	for _, i := range keys {
		dst = codec.AppendInt(dst, g.seen[i])
		for _, c := range g.calls {
			var err error
			if dst, err = c.appendState(dst, int(i)); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

func (g *analyticGroup) readState(d *decoder) {
	n, size := g.table.readState(d)
	g.a.grow(size)
	for k := range n {
		key := append([]byte(nil), g.table.key(uint32(k))...)
		i, err := g.place(key)
		if err != nil {
			d.FailWith(err)
			return
		}
		g.seen[i] = d.Int()
		for _, c := range g.calls {
			grown := c.readState(int(i), d)
			g.bytes[i] += grown
			g.a.grow(grown)
		}
		if d.Err() != nil {
			return
		}
	}
}

func (a *analytic) describe() OperatorState {
	keys := 0
	for _, g := range a.groups {
		keys += g.table.live
	}
	return a.info(keys, 0)
}

package exec

import (
	"fmt"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// running is an aggregate without a window: over the rows of the last limit up
// to and with the present one, or over all rows so far.
type running struct {
	call  *aggregateCall
	when  condFunc
	limit int64
	args  []value.Value
	// With a limit: states that rows leave again, and the rows.
	sums []runningState
	// Without one.
	col column
}

type runningState struct {
	sum  removing
	rows deque[entered]
	size int64
}

func (c *compiler) running(p *plan.AnalyticCall, when condFunc) (analyticCall, error) {
	if p.Aggregate == nil {
		return nil, placed(p.Pos, fmt.Errorf("the plan lacks the aggregate of an OVER clause"))
	}
	call, err := c.aggregate(p.Aggregate, p.Limit > 0)
	if err != nil {
		return nil, err
	}
	call.last = len(call.args)
	g := &running{call: call, when: when, limit: p.Limit, args: make([]value.Value, len(call.args))}
	if p.Limit == 0 {
		g.col = call.column()
	}
	return g, nil
}

func (g *running) leave() {
	if g.col != nil {
		g.col.leave()
		return
	}
	g.sums = append(g.sums, runningState{})
}

func (g *running) drop(i int) {
	if g.col != nil {
		g.col.drop(i)
		return
	}
	g.sums[i] = runningState{}
}

func (g *running) renew(i int) (int64, error) {
	if g.col != nil {
		return g.col.renew(i)
	}
	m, err := g.call.removing()
	if err != nil {
		return 0, err
	}
	s := &g.sums[i]
	*s = runningState{sum: m, size: m.size()}
	return s.size + 64, nil
}

func (g *running) take(i int, r *row) (v value.Value, grown int64, err error) {
	counts := true
	if g.when != nil {
		t, err := g.when(r)
		if err != nil {
			return v, 0, err
		}
		counts = t == value.True
	}
	if counts {
		for k, f := range g.call.args {
			if g.args[k], err = f(r); err != nil {
				return v, 0, err
			}
		}
	}
	if g.col != nil {
		if counts {
			if grown, err = g.col.add(i, g.args, r.time); err != nil {
				return v, 0, err
			}
		}
		v, err = g.col.result(i)
		return v, grown, err
	}
	s := &g.sums[i]
	for s.rows.len() > 0 && r.time-s.rows.front().at >= g.limit {
		e := s.rows.pop()
		grown -= e.size
		if err := s.sum.remove(&e, &s.rows); err != nil {
			return v, 0, err
		}
	}
	if counts {
		e := enter(r.time, g.args)
		if err := s.sum.add(e.args, e.at); err != nil {
			return v, 0, err
		}
		s.rows.push(e)
		grown += e.size
	}
	size := s.sum.size()
	grown += size - s.size
	s.size = size
	v, err = s.sum.result()
	return v, grown, err
}

func (g *running) appendState(dst []byte, i int) ([]byte, error) {
	if g.col != nil {
		return g.col.appendState(dst, i)
	}
	s := &g.sums[i]
	dst = codec.AppendUint(dst, uint64(s.rows.len()))
	for k := range s.rows.len() {
		e := s.rows.at(k)
		dst = codec.AppendInt(dst, e.at)
		dst = appendValues(dst, e.args)
	}
	if s.sum.user != nil {
		return s.sum.user.AppendState(dst)
	}
	return dst, nil
}

func (g *running) readState(i int, d *decoder) (grown int64) {
	if g.col != nil {
		return g.col.readState(i, d)
	}
	s := &g.sums[i]
	for range d.Count(2) {
		at := d.Int()
		args, size := d.row(len(g.args))
		if d.Err() != nil {
			return grown
		}
		e := entered{at: at, args: args, size: size + enteredSize}
		if s.sum.user == nil {
			if err := s.sum.add(e.args, e.at); err != nil {
				d.Fail(err.Error())
				return grown
			}
		}
		s.rows.push(e)
		grown += e.size
	}
	if s.sum.user != nil {
		d.Part(s.sum.user.ReadState)
	}
	size := s.sum.size()
	grown += size - s.size
	s.size = size
	return grown
}

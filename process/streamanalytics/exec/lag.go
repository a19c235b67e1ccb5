package exec

import (
	"fmt"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// past is a value with its row's time.
type past struct {
	at int64
	v  value.Value
}

const (
	pastSize = 32
	lagSize  = 32
)

// lag is LAG and LAST. LAST is LAG with an offset of 0: the present row counts.
type lag struct {
	value    evalFunc
	fallback evalFunc
	when     condFunc
	offset   int
	limit    int64
	rings    []ring
}

// ring has the last values of a key, as many as the offset; the oldest one is at
// next once it is full.
type ring struct {
	items []past
	next  int
}

func (c *compiler) lag(p *plan.AnalyticCall, when condFunc) (analyticCall, error) {
	if len(p.Args) != 1 || p.Kind == plan.Lag && p.Offset < 0 {
		return nil, placed(p.Pos, fmt.Errorf("LAG and LAST take one value, and LAG an offset of 0 or more"))
	}
	l := &lag{when: when, offset: p.Offset, limit: p.Limit}
	if p.Kind == plan.Last {
		l.offset = 0
	}
	var err error
	if l.value, err = c.expr(p.Args[0]); err != nil {
		return nil, err
	}
	l.fallback = func(*row) (value.Value, error) { return value.Value{}, nil }
	if p.Default != nil {
		l.fallback, err = c.expr(p.Default)
	}
	return l, err
}

func (l *lag) leave()                   { l.rings = append(l.rings, ring{}) }
func (l *lag) renew(int) (int64, error) { return lagSize, nil }
func (l *lag) drop(i int)               { l.rings[i] = ring{} }

func (l *lag) take(i int, r *row) (v value.Value, grown int64, err error) {
	counts := true
	if l.when != nil {
		t, err := l.when(r)
		if err != nil {
			return v, 0, err
		}
		counts = t == value.True
	}
	if l.offset == 0 && counts {
		if v, err = l.value(r); err != nil || l.when == nil {
			return v, 0, err
		}
		return v, l.keep(&l.rings[i], r.time, v, 1), nil
	}
	if p := l.rings[i].oldest(max(l.offset, 1)); p != nil && (l.limit == 0 || r.time-p.at < l.limit) {
		v = p.v
	} else if v, err = l.fallback(r); err != nil {
		return v, 0, err
	}
	if counts {
		now, err := l.value(r)
		if err != nil {
			return v, 0, err
		}
		grown = l.keep(&l.rings[i], r.time, now, l.offset)
	}
	return v, grown, nil
}

// oldest is the value size rows ago, nil if there are fewer.
func (g *ring) oldest(size int) *past {
	if len(g.items) < size {
		return nil
	}
	return &g.items[g.next]
}

func (l *lag) keep(g *ring, at int64, v value.Value, size int) int64 {
	p := past{at: at, v: v.Clone()}
	if len(g.items) < size {
		g.items = append(g.items, p)
		return pastSize + int64(p.v.MemSize())
	}
	old := g.items[g.next].v.MemSize()
	g.items[g.next] = p
	if g.next++; g.next == size {
		g.next = 0
	}
	return int64(p.v.MemSize() - old)
}

func (l *lag) appendState(dst []byte, i int) ([]byte, error) {
	g := &l.rings[i]
	dst = codec.AppendUint(dst, uint64(len(g.items)))
	for k := range g.items {
		p := &g.items[(g.next+k)%len(g.items)]
		dst = codec.AppendInt(dst, p.at)
		dst = p.v.AppendState(dst)
	}
	return dst, nil
}

func (l *lag) readState(i int, d *decoder) (grown int64) {
	size := max(l.offset, 1)
	for range d.Index(size + 1) {
		at, v := d.Int(), d.Value()
		if d.Err() != nil {
			return grown
		}
		grown += l.keep(&l.rings[i], at, v, size)
	}
	return grown
}

// isFirst is ISFIRST: 1 for the first row of each interval. Intervals lie like
// tumbling windows.
type isFirst struct {
	every int64
	when  condFunc
	// ends are the ends of the intervals that have had a row.
	ends []int64
}

func (f *isFirst) leave()     { f.ends = append(f.ends, NoTime) }
func (f *isFirst) drop(i int) { f.ends[i] = NoTime }

func (f *isFirst) renew(i int) (int64, error) {
	f.ends[i] = NoTime
	return 8, nil
}

func (f *isFirst) take(i int, r *row) (value.Value, int64, error) {
	if f.when != nil {
		if t, err := f.when(r); err != nil || t != value.True {
			return value.Int(0), 0, err
		}
	}
	end := timing.Window{Kind: timing.Tumbling, Size: f.every}.Pane(r.time)
	if f.ends[i] == end {
		return value.Int(0), 0, nil
	}
	f.ends[i] = end
	return value.Int(1), 0, nil
}

func (f *isFirst) appendState(dst []byte, i int) ([]byte, error) {
	return codec.AppendInt(dst, f.ends[i]), nil
}

func (f *isFirst) readState(i int, d *decoder) int64 {
	f.ends[i] = d.Int()
	return 0
}

package exec

import (
	"hash/fnv"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// aggregate groups rows by windows and keys.
type aggregate struct {
	outlet
	account
	keys    []evalFunc
	calls   []*aggregateCall
	windows []windower

	values []value.Value
	args   []value.Value
	key    []byte
	row    row
	// due is the watermark from which on there is something to do.
	due int64
	// tick is the time of the next provisional rows.
	tick    int64
	scratch []byte
}

// windower keeps the groups of one of an aggregate's windows.
type windower interface {
	// add takes a row whose keys and arguments the aggregate has evaluated.
	add(r *row) error
	// next is the end of the next window to be closed, endOfTime if none is
	// open.
	next() int64
	// close gives out the windows with that end.
	close(end int64) error
	// early gives out what open windows hold.
	early() error
	// seal says that no row with a time before t comes any more.
	seal(t int64)
	appendState(dst []byte) ([]byte, error)
	readState(d *decoder)
	count() (keys, windows int)
}

func newAggregate(e *env, n *plan.Aggregate) (*aggregate, error) {
	a := &aggregate{
		outlet: newOutlet(), account: account{env: e, head: &n.Common, name: "GROUP BY"},
		values: make([]value.Value, len(n.Keys)),
		row:    row{slots: make([]value.Value, len(n.Keys)+len(n.Calls)+1)},
		due:    endOfTime, tick: endOfTime,
	}
	var err error
	if a.keys, err = e.comp.exprs(n.Keys); err != nil {
		return nil, err
	}
	sliding := false
	for _, w := range n.Windows {
		sliding = sliding || w.Spec.Kind == timing.Sliding
	}
	var args int
	if a.calls, args, err = e.comp.aggregates(n.Calls, false); err != nil {
		return nil, err
	}
	a.args = make([]value.Value, args)
	var removing []*aggregateCall
	if sliding {
		if removing, _, err = e.comp.aggregates(n.Calls, true); err != nil {
			return nil, err
		}
	}
	for i := range n.Windows {
		w := &n.Windows[i]
		id := value.Value{}
		if w.ID != nil {
			id = value.Text(*w.ID)
		}
		windower, err := a.windower(w, id, removing)
		if err != nil {
			return nil, err
		}
		a.windows = append(a.windows, windower)
	}
	return a, nil
}

func (a *aggregate) windower(w *plan.Window, id value.Value, removing []*aggregateCall) (windower, error) {
	if err := w.Spec.Validate(); err != nil {
		return nil, placed(a.head.Pos, err)
	}
	switch w.Spec.Kind {
	case timing.Sliding:
		return newSliding(a, w.Spec, id, removing), nil
	case timing.Session:
		return newSessions(a, w, id)
	}
	return newPanes(a, w.Spec, id), nil
}

// commutes are the aggregates that depend on the set of rows alone. COLLECT and
// those that keep the first of equal rows depend on the order as well.
func commutes(call *plan.AggregateCall) bool {
	switch call.Function {
	case "COUNT", "SUM", "AVG", "MIN", "MAX", "VAR", "VARP", "STDEV", "STDEVP", "PERCENTILE_CONT", "PERCENTILE_DISC":
		return true
	}
	return false
}

// aggregateWantsOrder tells whether rows must come in the order of time.
func aggregateWantsOrder(n *plan.Aggregate) bool {
	for _, w := range n.Windows {
		if w.Spec.Kind == timing.Sliding || w.Spec.Kind == timing.Session {
			return true
		}
	}
	for _, c := range n.Calls {
		if !commutes(c) {
			return true
		}
	}
	return false
}

func (a *aggregate) push(_ int, r *row) error {
	if r.early {
		return nil
	}
	a.key = a.key[:0]
	for i, f := range a.keys {
		v, err := f(r)
		if err != nil {
			return err
		}
		a.values[i] = v
		a.key = v.AppendKey(a.key)
	}
	if err := evaluate(a.calls, r, a.args); err != nil {
		return err
	}
	for _, w := range a.windows {
		if err := w.add(r); err != nil {
			return err
		}
	}
	return nil
}

// expect makes sure that a window is closed when the watermark passes its end.
func (a *aggregate) expect(end int64) {
	if end < a.due {
		a.due = end
	}
}

func (a *aggregate) advance(_ int, t int64) error {
	if a.env.options.EmitEarly > 0 {
		return a.advanceEarly(t)
	}
	if t > a.due {
		if err := a.closeBefore(t); err != nil {
			return err
		}
	}
	return a.promise(t)
}

// closeBefore closes all windows with an end before t, in the order of their
// ends; those with the same end in the order in which the query names them.
func (a *aggregate) closeBefore(t int64) error {
	for {
		end, first := endOfTime, -1
		for i, w := range a.windows {
			if e := w.next(); e < end {
				end, first = e, i
			}
		}
		a.due = end
		if first < 0 || end >= t {
			break
		}
		if err := a.promise(end); err != nil {
			return err
		}
		if err := a.windows[first].close(end); err != nil {
			return err
		}
	}
	for _, w := range a.windows {
		w.seal(t)
	}
	return nil
}

// advanceEarly is advance with provisional rows: those of windows that are open
// each time a period of event time has passed.
func (a *aggregate) advanceEarly(t int64) error {
	if err := a.closeBefore(t); err != nil {
		return err
	}
	period := a.env.options.EmitEarly
	if a.tick == endOfTime {
		a.tick = plus(t-floorMod(t, period), period)
	}
	if t >= a.tick && t != endOfTime {
		for _, w := range a.windows {
			if err := w.early(); err != nil {
				return err
			}
		}
		a.tick = plus(t-floorMod(t, period), period)
	}
	return a.promise(t)
}

func floorMod(a, b int64) int64 {
	if a %= b; a < 0 {
		a += b
	}
	return a
}

// give hands on the row that is in a.row.
func (a *aggregate) give(end int64, id value.Value, early, correction bool) error {
	r := &a.row
	r.slots[len(r.slots)-1] = id
	r.time, r.early, r.correction = end, early, correction
	return a.emit(r)
}

// digest tells apart what groups were said to be from what they turn out to be.
func (a *aggregate) digest() uint64 {
	a.scratch = a.scratch[:0]
	for _, v := range a.row.slots[:len(a.row.slots)-1] {
		a.scratch = v.AppendState(a.scratch)
	}
	h := fnv.New64a()
	h.Write(a.scratch)
	return h.Sum64()
}

func (a *aggregate) appendState(dst []byte) ([]byte, error) {
	dst = codec.AppendInt(dst, a.tick)
	for _, w := range a.windows {
		var err error
		if dst, err = appendBlock(dst, w.appendState); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (a *aggregate) readState(d *decoder) {
	a.tick = d.Int()
	for _, w := range a.windows {
		in := d.block()
		w.readState(in)
		if err := in.end(); err != nil && d.Err() == nil {
			d.FailWith(err)
		}
		if d.Err() != nil {
			return
		}
		a.expect(w.next())
	}
}

func (a *aggregate) describe() OperatorState {
	keys, windows := 0, 0
	for _, w := range a.windows {
		k, n := w.count()
		keys += k
		windows += n
	}
	return a.info(keys, windows)
}

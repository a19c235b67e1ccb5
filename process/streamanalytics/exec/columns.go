package exec

import (
	"fmt"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/udf"
	"millrace/process/streamanalytics/value"
)

// column holds the states of one aggregate for many groups, by their places in
// a pane. Keeping them side by side and by kind saves memory and pointers.
type column interface {
	// leave adds a place at the end, without a state.
	leave()
	// renew puts an empty state into a place and returns the bytes that it
	// takes.
	renew(i int) (int64, error)
	// drop forgets the state in a place.
	drop(i int)
	// add takes a row into a state.
	add(i int, args []value.Value, at int64) (grown int64, err error)
	// merge adds state j of another column of the same call.
	merge(i int, from column, j int) (grown int64, err error)
	result(i int) (value.Value, error)
	// reset forgets all states but not the memory for them.
	reset()
	appendState(dst []byte, i int) ([]byte, error)
	// readState replaces state i.
	readState(i int, d *decoder) (grown int64)
}

// aggregateCall is a compiled plan.AggregateCall.
type aggregateCall struct {
	plan plan.AggregateCall
	args []evalFunc
	// first and last bound the call's arguments among those of all calls.
	first, last int

	function *function.Aggregate
	options  function.AggOptions
	user     *udf.Aggregate
	runtime  *udf.Runtime
	// counts says that the call is COUNT(*) or COUNT(x).
	counts bool
	// compact says that it is SUM, AVG, MIN or MAX over rows that stay.
	compact bool
}

// aggregate compiles a call. With sliding, rows are taken out again.
func (c *compiler) aggregate(p *plan.AggregateCall, sliding bool) (*aggregateCall, error) {
	call := &aggregateCall{plan: *p}
	var err error
	if call.args, err = c.exprs(p.Args); err != nil {
		return nil, err
	}
	call.options = function.AggOptions{Distinct: p.Distinct, N: p.N, Fraction: p.Fraction, Sliding: sliding}
	for _, k := range p.OrderBy {
		f, err := c.expr(k.Expr)
		if err != nil {
			return nil, err
		}
		call.args = append(call.args, f)
		call.options.OrderDesc = append(call.options.OrderDesc, k.Desc)
	}
	if len(p.Args) > 0 {
		if to, ok := p.Args[0].(*plan.Cast); ok && to.To == value.String {
			call.options.Text = true
		}
	}
	if p.User != "" {
		if call.runtime, err = c.userRuntime(); err != nil {
			return nil, placed(p.Pos, err)
		}
		if call.user, err = call.runtime.Aggregate(p.User); err != nil {
			return nil, placed(p.Pos, err)
		}
		return call, nil
	}
	var ok bool
	if call.function, ok = function.LookupAggregate(p.Function); !ok {
		return nil, placed(p.Pos, fmt.Errorf("there is no aggregate %s", p.Function))
	}
	call.counts = call.function.Name == "COUNT" && !p.Distinct && !sliding
	switch call.function.Name {
	case "SUM", "AVG", "MIN", "MAX":
		call.compact = !sliding && !p.Distinct
	}
	return call, nil
}

// aggregates compiles calls and numbers their arguments.
func (c *compiler) aggregates(list []*plan.AggregateCall, sliding bool) (calls []*aggregateCall, args int, err error) {
	for _, p := range list {
		call, err := c.aggregate(p, sliding)
		if err != nil {
			return nil, 0, err
		}
		call.first = args
		args += len(call.args)
		call.last = args
		calls = append(calls, call)
	}
	return calls, args, nil
}

// evaluate fills the arguments of all calls.
func evaluate(calls []*aggregateCall, r *row, args []value.Value) error {
	for _, c := range calls {
		for i, f := range c.args {
			v, err := f(r)
			if err != nil {
				return err
			}
			args[c.first+i] = v
		}
	}
	return nil
}

// mine are the call's arguments among those of all calls.
func (c *aggregateCall) mine(args []value.Value) []value.Value { return args[c.first:c.last] }

func (c *aggregateCall) column() column {
	switch {
	case c.user != nil:
		return &userColumn{call: c}
	case c.counts:
		return &countColumn{}
	case c.compact && (c.function.Name == "SUM" || c.function.Name == "AVG"):
		return newSumColumn(c)
	case c.compact:
		return newExtremeColumn(c)
	}
	return &stateColumn{call: c}
}

// countColumn is COUNT.
type countColumn struct{ n []int64 }

func (c *countColumn) leave()     { c.n = append(c.n, 0) }
func (c *countColumn) drop(i int) {}

func (c *countColumn) renew(i int) (int64, error) {
	c.n[i] = 0
	return 8, nil
}

func (c *countColumn) add(i int, args []value.Value, _ int64) (int64, error) {
	if len(args) == 0 || !args[0].IsNull() {
		c.n[i]++
	}
	return 0, nil
}

func (c *countColumn) merge(i int, from column, j int) (int64, error) {
	c.n[i] += from.(*countColumn).n[j]
	return 0, nil
}

func (c *countColumn) result(i int) (value.Value, error) { return value.Int(c.n[i]), nil }
func (c *countColumn) reset()                            { c.n = c.n[:0] }

func (c *countColumn) appendState(dst []byte, i int) ([]byte, error) {
	return codec.AppendInt(dst, c.n[i]), nil
}

func (c *countColumn) readState(i int, d *decoder) int64 {
	c.n[i] = d.Int()
	return 0
}

// stateColumn is any built-in aggregate.
type stateColumn struct {
	call   *aggregateCall
	states []function.State
}

// stateSize is what a state takes beside its Size: the interface that holds it.
const stateSize = 16

func (c *stateColumn) leave()     { c.states = append(c.states, nil) }
func (c *stateColumn) drop(i int) { c.states[i] = nil }

func (c *stateColumn) renew(i int) (int64, error) {
	s := c.call.function.New(c.call.options)
	c.states[i] = s
	return int64(s.Size()) + stateSize, nil
}

func (c *stateColumn) add(i int, args []value.Value, at int64) (int64, error) {
	s := c.states[i]
	before := s.Size()
	if err := s.Add(args, at); err != nil {
		return 0, placed(c.call.plan.Pos, err)
	}
	return int64(s.Size() - before), nil
}

func (c *stateColumn) merge(i int, from column, j int) (int64, error) {
	s := c.states[i]
	before := s.Size()
	s.Merge(from.(*stateColumn).states[j])
	return int64(s.Size() - before), nil
}

func (c *stateColumn) result(i int) (value.Value, error) {
	v, err := c.states[i].Result()
	if err != nil {
		err = placed(c.call.plan.Pos, err)
	}
	return v, err
}

func (c *stateColumn) reset() {
	clear(c.states)
	c.states = c.states[:0]
}

func (c *stateColumn) appendState(dst []byte, i int) ([]byte, error) {
	return c.states[i].AppendState(dst), nil
}

func (c *stateColumn) readState(i int, d *decoder) int64 {
	return d.sized(c.states[i])
}

// userColumn is a JavaScript aggregate. Its states do not merge.
type userColumn struct {
	call   *aggregateCall
	states []*udf.State
}

func (c *userColumn) leave()     { c.states = append(c.states, nil) }
func (c *userColumn) drop(i int) { c.states[i] = nil }

func (c *userColumn) renew(i int) (int64, error) {
	s, err := c.call.user.New()
	if err != nil {
		return 0, placed(c.call.plan.Pos, err)
	}
	c.states[i] = s
	return int64(s.Size()) + 8, nil
}

func (c *userColumn) add(i int, args []value.Value, at int64) (int64, error) {
	s := c.states[i]
	before := s.Size()
	c.call.runtime.SetTime(at)
	if err := s.Accumulate(args, at); err != nil {
		return 0, placed(c.call.plan.Pos, err)
	}
	return int64(s.Size() - before), nil
}

func (c *userColumn) merge(int, column, int) (int64, error) {
	return 0, placed(c.call.plan.Pos, fmt.Errorf("the states of %s cannot be merged", c.call.plan.User))
}

func (c *userColumn) result(i int) (value.Value, error) {
	v, err := c.states[i].Result()
	if err != nil {
		err = placed(c.call.plan.Pos, err)
	}
	return v, err
}

func (c *userColumn) reset() {
	clear(c.states)
	c.states = c.states[:0]
}

func (c *userColumn) appendState(dst []byte, i int) ([]byte, error) {
	return c.states[i].AppendState(dst)
}

func (c *userColumn) readState(i int, d *decoder) int64 {
	return d.sized(c.states[i])
}

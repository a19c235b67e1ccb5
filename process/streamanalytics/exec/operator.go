package exec

import (
	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// operator is a node of the running graph. Rows and watermarks come in by
// numbered ports.
type operator interface {
	// push takes a row, which is valid until push returns.
	push(port int, r *row) error
	// advance says that no row with a time before t comes by the port any
	// more. t is more than at the last call.
	advance(port int, t int64) error
}

// stateful is an operator whose future depends on the past.
type stateful interface {
	operator
	appendState(dst []byte) ([]byte, error)
	// readState takes up a saved state in place of its own, which is empty.
	// What is wrong with it is in d.Err().
	readState(d *decoder)
	describe() OperatorState
}

// edge leads to a port of an operator.
type edge struct {
	op   operator
	port int
}

// outlet is where an operator's rows and watermarks go.
type outlet struct {
	to []edge
	// wm is the last watermark that was handed on.
	wm int64
}

func newOutlet() outlet { return outlet{wm: NoTime} }

// out lets operators that embed an outlet be connected.
func (o *outlet) out() *outlet { return o }

func (o *outlet) emit(r *row) error {
	for i := range o.to {
		e := &o.to[i]
		if err := e.op.push(e.port, r); err != nil {
			return err
		}
	}
	return nil
}

func (o *outlet) promise(t int64) error {
	if t <= o.wm {
		return nil
	}
	o.wm = t
	for i := range o.to {
		e := &o.to[i]
		if err := e.op.advance(e.port, t); err != nil {
			return err
		}
	}
	return nil
}

// connector is an operator with an outlet.
type connector interface {
	operator
	out() *outlet
}

// env is what the operators of a task share.
type env struct {
	options Options
	level   value.Level
	comp    compiler
	// event is the one being worked on, with its input; nil at the end of the
	// input and while the clock moves.
	event *Event
	input *plan.Input
	// bytes is the memory of all state.
	bytes int64
	stats Stats
	// ordinal is that of the next row.
	ordinal int64
}

// account is an operator's part of the task's state, in bytes.
type account struct {
	env   *env
	head  *plan.Common
	name  string
	bytes int64
}

func (a *account) grow(n int64) {
	a.bytes += n
	a.env.bytes += n
}

// info is what describe says, but for keys and windows.
func (a *account) info(keys, windows int) OperatorState {
	return OperatorState{Step: a.head.Step, Operator: a.name, Pos: a.head.Pos, Keys: keys, Windows: windows, Bytes: a.bytes}
}

// watermarks are those of several ports.
type watermarks []int64

func newWatermarks(n int) watermarks {
	w := make(watermarks, n)
	for i := range w {
		w[i] = NoTime
	}
	return w
}

// set notes a port's watermark and returns the least of all.
func (w watermarks) set(port int, t int64) int64 {
	w[port] = t
	for _, o := range w {
		t = min(t, o)
	}
	return t
}

func (w watermarks) appendState(dst []byte) []byte {
	for _, t := range w {
		dst = codec.AppendInt(dst, t)
	}
	return dst
}

func (w watermarks) readState(d *decoder) {
	for i := range w {
		w[i] = d.Int()
	}
}

// minus and plus keep the ends of time where they are.
func minus(a, b int64) int64 {
	switch d := a - b; {
	case a == NoTime || a == endOfTime:
		return a
	case b >= 0 && d > a:
		return NoTime
	case b < 0 && d < a:
		return endOfTime
	default:
		return d
	}
}

func plus(a, b int64) int64 {
	if b == NoTime {
		return endOfTime
	}
	return minus(a, -b)
}

// endOfTime is the watermark when the input has ended.
const endOfTime int64 = 1<<63 - 1

// All of these hand rows on.
var (
	_ connector = (*filter)(nil)
	_ connector = (*project)(nil)
	_ connector = (*union)(nil)
	_ connector = (*apply)(nil)
	_ connector = (*sorter)(nil)
	_ connector = (*source)(nil)
	_ connector = (*analytic)(nil)
	_ connector = (*aggregate)(nil)
	_ connector = (*join)(nil)
	_ connector = (*referenceJoin)(nil)
	_ connector = (*match)(nil)
)

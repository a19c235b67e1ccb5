package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/plan"
)

// Task runs a plan. It is sequential: its methods must not be called at the
// same time.
type Task struct {
	env   env
	job   *plan.Job
	graph *graph
	hash  [16]byte
	// failed is the error that stopped the task.
	failed   error
	finished bool
}

// New makes a task of a plan. It fails if the options are out of range, or if a
// function that the plan calls is not there.
func New(job *plan.Job, o Options) (*Task, error) {
	if o.MaxStateBytes == 0 {
		o.MaxStateBytes = DefaultMaxStateBytes
	}
	switch {
	case o.EmitEarly < 0:
		return nil, errors.New("the period of early rows is negative")
	case o.Late < 0 || o.OutOfOrder < 0:
		return nil, errors.New("the tolerances for late and out-of-order events cannot be negative")
	}
	t := &Task{job: job, hash: planHash(job)}
	t.env = env{options: o, level: job.Level, comp: compiler{level: job.Level, functions: o.Functions}}
	for _, in := range job.Inputs {
		if in.Kind == plan.Reference && o.Reference[in.Name] == nil {
			return nil, fmt.Errorf("there is no reference data for input %s", in.Name)
		}
	}
	g, err := newGraph(job, &t.env)
	if err != nil {
		return nil, t.locate(err)
	}
	t.graph = g
	return t, nil
}

// locate makes an *Error of what went wrong.
func (t *Task) locate(err error) error {
	if err == nil {
		return nil
	}
	out := &Error{Err: err}
	var p *placedError
	if errors.As(err, &p) {
		out.Pos = p.pos
		if direct, ok := err.(*placedError); ok {
			out.Err = direct.err
		}
	}
	if e := t.env.event; e != nil {
		out.Input, out.Partition, out.Offset = t.env.input.Name, e.Partition, e.Offset
	}
	return out
}

// Push works an event in, and gives out the rows that follow from it. An error
// (an *Error) stops the task.
func (t *Task) Push(ev *Event) error {
	if err := t.usable(); err != nil {
		return err
	}
	if ev.Input < 0 || ev.Input >= len(t.graph.sources) {
		return fmt.Errorf("there is no input %d", ev.Input)
	}
	t.env.event, t.env.input = ev, t.job.Inputs[ev.Input]
	t.env.stats.InputEvents++
	t.env.stats.InputEventBytes += int64(len(ev.Raw))
	for _, s := range t.graph.sources[ev.Input] {
		if err := s.read(ev); err != nil {
			return t.stop(err)
		}
	}
	return t.stop(t.checkState())
}

func (t *Task) usable() error {
	if t.failed != nil {
		return t.failed
	}
	if t.finished {
		return errors.New("the input has ended already")
	}
	return nil
}

// stop ends work on an event.
func (t *Task) stop(err error) error {
	if err != nil {
		err = t.locate(err)
		t.failed = err
	}
	t.env.event, t.env.input = nil, nil
	return err
}

// checkState fails if the state has outgrown its bound.
func (t *Task) checkState() error {
	limit := t.env.options.MaxStateBytes
	if limit < 0 || t.env.bytes <= limit {
		return nil
	}
	var most OperatorState
	for _, s := range t.States() {
		if s.Bytes > most.Bytes {
			most = s
		}
	}
	return placed(most.Pos, fmt.Errorf(
		"the state needs %d bytes, more than the allowed %d: %s of step %s holds %d keys or rows in %d open windows, %d bytes; use shorter windows or durations, fewer keys, or allow more memory",
		t.env.bytes, limit, most.Operator, most.Step, most.Keys, most.Windows, most.Bytes))
}

// Idle says that nothing arrived in a partition of an input up to the time now.
func (t *Task) Idle(input int, partition int32, now int64) error {
	return t.clock(input, func(s *source) error { return s.idle(partition, now) })
}

// FinishPartition says that a partition of an input has ended: others no longer
// wait for it.
func (t *Task) FinishPartition(input int, partition int32) error {
	return t.clock(input, func(s *source) error { return s.finishPartition(partition) })
}

func (t *Task) clock(input int, f func(*source) error) error {
	if err := t.usable(); err != nil {
		return err
	}
	if input < 0 || input >= len(t.graph.sources) {
		return fmt.Errorf("there is no input %d", input)
	}
	for _, s := range t.graph.sources[input] {
		if err := f(s); err != nil {
			return t.stop(err)
		}
	}
	return t.stop(t.checkState())
}

// Finish says that all input has ended. It closes all windows and gives out what
// waits.
func (t *Task) Finish() error {
	if err := t.usable(); err != nil {
		return err
	}
	t.finished = true
	for _, list := range t.graph.sources {
		for _, s := range list {
			if err := s.finish(); err != nil {
				return t.stop(err)
			}
		}
	}
	return nil
}

// StateBytes is the memory of the state, roughly.
func (t *Task) StateBytes() int64 { return t.env.bytes }

// Stats returns what was counted so far.
func (t *Task) Stats() Stats {
	s := t.env.stats
	for _, list := range t.graph.sources {
		for _, src := range list {
			if src.stream == nil {
				continue
			}
			c := src.stream.Counters()
			s.EarlyInputEvents += c.EarlyInputEvents
			s.LateInputEvents += c.LateInputEvents
			s.OutOfOrderEvents += c.OutOfOrderEvents
		}
	}
	s.Watermark = t.Watermark()
	return s
}

// Watermark is the least watermark of all sources: no row with an earlier time
// will be read. NoTime before each of them has one.
func (t *Task) Watermark() int64 {
	w := endOfTime
	for _, list := range t.graph.sources {
		for _, s := range list {
			w = min(w, s.wm)
		}
	}
	return w
}

// States says what each operator holds, in the order of the plan.
func (t *Task) States() []OperatorState {
	var out []OperatorState
	for _, op := range t.graph.all {
		if s, ok := op.(stateful); ok {
			out = append(out, s.describe())
		}
	}
	return out
}

const (
	stateMagic   = "MRSA"
	stateVersion = 1
)

// castagnoli is the polynomial that processors compute in hardware; the table is
// shared by all users of it.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// AppendState appends the task's state. It can fail only for the state of
// JavaScript aggregates, which may hold what cannot be saved.
func (t *Task) AppendState(dst []byte) ([]byte, error) {
	if t.failed != nil {
		return dst, fmt.Errorf("saving the state of a task that has failed: %w", t.failed)
	}
	at := len(dst)
	dst = append(dst, stateMagic...)
	dst = append(dst, stateVersion)
	dst = append(dst, t.hash[:]...)
	dst, err := t.appendBody(dst)
	if err != nil {
		return dst[:at], fmt.Errorf("saving the state: %w", err)
	}
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[at:])), nil
}

func (t *Task) appendBody(dst []byte) ([]byte, error) {
	dst = codec.AppendInt(dst, t.env.ordinal)
	dst = codec.AppendBool(dst, t.finished)
	for _, n := range t.env.stats.fields() {
		dst = codec.AppendInt(dst, *n)
	}
	for _, op := range t.graph.all {
		if c, ok := op.(connector); ok {
			dst = codec.AppendInt(dst, c.out().wm)
		}
		s, ok := op.(stateful)
		if !ok {
			continue
		}
		var err error
		if dst, err = appendBlock(dst, s.appendState); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// fields are the counts that the task itself keeps.
func (s *Stats) fields() []*int64 {
	return []*int64{&s.InputEvents, &s.InputEventBytes, &s.InputDeserializationErrors, &s.DataConversionErrors, &s.OutputEvents}
}

// ReadState takes up a state that AppendState wrote, for the same query. The
// task must be new. A state of another query, of another version or a damaged
// one is an error; the task cannot be used then.
func (t *Task) ReadState(state []byte) error {
	if t.env.stats.InputEvents > 0 || t.failed != nil {
		return errors.New("restoring a state needs a new task")
	}
	if err := t.readState(state); err != nil {
		t.failed = fmt.Errorf("restoring the state: %w", err)
		return t.failed
	}
	return nil
}

func (t *Task) readState(state []byte) error {
	head := len(stateMagic) + 1 + len(t.hash)
	if len(state) < head+4 || string(state[:len(stateMagic)]) != stateMagic {
		return fmt.Errorf("%w: it is none", errState)
	}
	if v := state[len(stateMagic)]; v != stateVersion {
		return fmt.Errorf("it has version %d, and this program reads version %d", v, stateVersion)
	}
	body, sum := state[:len(state)-4], binary.LittleEndian.Uint32(state[len(state)-4:])
	if checksum(body) != sum {
		return fmt.Errorf("%w: its checksum is wrong", errState)
	}
	if [16]byte(state[len(stateMagic)+1:head]) != t.hash {
		return errors.New("it belongs to another query; start without it, or with the query it was saved for")
	}
	return t.readBody(newDecoder(body[head:]))
}

func (t *Task) readBody(d *decoder) error {
	t.env.ordinal = d.Int()
	t.finished = d.Bool()
	for _, n := range t.env.stats.fields() {
		*n = d.Int()
	}
	for _, op := range t.graph.all {
		if c, ok := op.(connector); ok {
			c.out().wm = d.Int()
		}
		s, ok := op.(stateful)
		if !ok {
			continue
		}
		in := d.block()
		s.readState(in)
		if err := in.end(); err != nil {
			return err
		}
	}
	return d.end()
}

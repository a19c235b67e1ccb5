package exec

import (
	"errors"
	"fmt"
	"strings"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// source reads an input: it makes a row of each event and gives it its time and
// order.
type source struct {
	outlet
	account
	node       *plan.Source
	projection *value.Projection
	timestamp  evalFunc
	over       []evalFunc
	// declared are the types of the fields, declaredAll those of the payload.
	declared []conversion
	// ordered says that rows come in the order of their times; with substreams
	// they do so only within each.
	ordered bool

	stream *timing.Stream[*row]
	// noArrival says that the first event had no arrival time.
	noArrival bool
	row       row
	key       []byte
	// held is what the stream's buffers took when last asked.
	held int64
	// err is what went wrong while the stream emitted.
	err error
}

// conversion is a column of CREATE TABLE that is field slot of the rows.
type conversion struct {
	slot int
	name string
	kind value.Kind
}

func newSource(e *env, n *plan.Source) (*source, error) {
	s := &source{
		outlet: newOutlet(), node: n, ordered: n.Over == nil,
		account:    account{env: e, head: &n.Common, name: "input " + n.Input.Name},
		projection: value.NewProjection(n.Fields, e.level),
		row:        row{slots: make([]value.Value, n.Width)},
	}
	for i, name := range n.Fields {
		for _, d := range n.Input.Declared {
			if strings.EqualFold(d.Name, name) {
				s.declared = append(s.declared, conversion{slot: i, name: d.Name, kind: d.Kind})
			}
		}
	}
	var err error
	if n.TimestampBy != nil {
		if s.timestamp, err = e.comp.expr(n.TimestampBy); err != nil {
			return nil, err
		}
	}
	if s.over, err = e.comp.exprs(n.Over); err != nil {
		return nil, err
	}
	return s, nil
}

// open makes the stream once it is known whether there are arrival times.
func (s *source) open(noArrival bool) error {
	o := &s.env.options
	s.noArrival = noArrival
	limit := o.MaxStateBytes
	if limit < 0 {
		limit = 0
	}
	stream, err := timing.NewStream(timing.Options[*row]{
		Policy: timing.Policy{
			Late: o.Late, OutOfOrder: o.OutOfOrder, Mode: o.LatePolicy,
			Applies: s.timestamp != nil, Replay: o.Replay, NoArrival: noArrival,
		},
		Partitions: o.Partitions[s.node.Input.Name],
		Substreams: len(s.over) > 0,
		Limit:      limit,
		Emit:       s.deliver,
		Keep:       keepRow,
	})
	s.stream = stream
	return err
}

// keepRow copies a row that has to wait.
func keepRow(r *row) *row {
	slots, _ := cloneSlots(r.slots)
	return &row{time: r.time, slots: slots}
}

// deliver hands a row on. Within a stream that is in order a row is a watermark
// for those behind it.
func (s *source) deliver(time int64, r *row) {
	if s.err != nil {
		return
	}
	r.time = time
	if s.ordered && time > s.wm {
		if s.err = s.promise(time); s.err != nil {
			return
		}
	}
	s.err = s.emit(r)
}

// read takes an event.
func (s *source) read(ev *Event) error {
	if s.stream == nil {
		if err := s.open(ev.Arrival == NoTime); err != nil {
			return err
		}
	}
	if reason, err := s.fill(ev); err != nil {
		s.drop(ev, reason, err.Error())
		return nil
	}
	arrival := ev.Arrival
	if s.noArrival {
		arrival = NoTime
	}
	s.row.time = arrival
	at := arrival
	if s.timestamp != nil {
		v, err := s.timestamp(&s.row)
		if err != nil {
			return err
		}
		var ok bool
		if at, ok = timeOf(v); !ok {
			s.drop(ev, NoEventTime, fmt.Sprintf("TIMESTAMP BY yields %s, which is no time", shown(v)))
			return nil
		}
	}
	if arrival == NoTime {
		arrival = at
	}
	if arrival == NoTime {
		s.drop(ev, NoEventTime, "the event has no arrival time, and the query takes no other one (TIMESTAMP BY)")
		return nil
	}
	s.key = s.key[:0]
	for _, f := range s.over {
		v, err := f(&s.row)
		if err != nil {
			return err
		}
		s.key = v.AppendKey(s.key)
	}
	size := waitingSize + len(s.row.slots)*valueSize + len(ev.Raw)
	outcome, err := s.stream.Push(ev.Partition, s.key, at, arrival, &s.row, size)
	if err != nil {
		return placed(s.node.Pos, fmt.Errorf("input %s: %w", s.node.Input.Name, err))
	}
	switch outcome {
	case timing.DroppedEarly:
		s.drop(ev, Early, outcome.String())
	case timing.DroppedLate:
		s.drop(ev, Late, outcome.String())
	case timing.DroppedOutOfOrder:
		s.drop(ev, OutOfOrder, outcome.String())
	}
	return s.settle()
}

// settle hands on what the stream promises now.
func (s *source) settle() error {
	if s.err != nil {
		return s.err
	}
	if items, held := s.stream.Buffered(); items > 0 || held != s.held {
		s.grow(held - s.held)
		s.held = held
	}
	return s.promise(s.stream.Watermark())
}

// fill makes the slots of an event's row.
func (s *source) fill(ev *Event) (Reason, error) {
	if err := s.projection.Scan(ev.Raw, s.row.slots[:len(s.node.Fields)]); err != nil {
		return NotReadable, err
	}
	for _, c := range s.declared {
		v, err := convert(s.row.slots[c.slot], c, s.env.level)
		if err != nil {
			return NotConvertible, err
		}
		s.row.slots[c.slot] = v
	}
	if s.node.Payload >= 0 {
		v := value.RawAt(ev.Raw, s.env.level)
		if s.node.Input.Declared != nil {
			var err error
			if v, err = convertRecord(v, s.node.Input.Declared, s.env.level); err != nil {
				return NotConvertible, err
			}
		}
		s.row.slots[s.node.Payload] = v
	}
	for i := range s.node.Meta {
		m := &s.node.Meta[i]
		s.row.slots[m.Slot] = s.env.meta(ev, m)
	}
	return 0, nil
}

// meta is a property that the input adds to an event.
func (e *env) meta(ev *Event, m *plan.Meta) value.Value {
	switch m.Kind {
	case plan.MetaEnqueued:
		return known(ev.Enqueued, ev.Arrival)
	case plan.MetaProcessed:
		if e.options.Now != nil {
			return value.Time(e.options.Now())
		}
		return known(ev.Arrival, ev.Enqueued)
	case plan.MetaPartitionID:
		return value.Int(int64(ev.Partition))
	case plan.MetaOffset:
		return value.Int(ev.Offset)
	case plan.MetaProperty:
		if ev.Property != nil {
			return ev.Property(m.Name)
		}
	}
	return value.Value{}
}

// known is the first of two times that is known.
func known(a, b int64) value.Value {
	if a == NoTime {
		a = b
	}
	if a == NoTime {
		return value.Value{}
	}
	return value.Time(a)
}

// timeOf reads an event time.
func timeOf(v value.Value) (int64, bool) {
	switch v.Kind() {
	case value.DateTime:
		return v.Ticks(), true
	case value.String:
		return value.ParseTime(v.Str())
	}
	return 0, false
}

// shown is a value as a message shows it.
func shown(v value.Value) string {
	if v.IsNull() {
		return "NULL"
	}
	s := string(v.AppendJSON(nil))
	if len(s) > 80 {
		s = s[:80] + "..."
	}
	return s
}

// drop reports an event that is not used. Those that timing drops are counted
// there.
func (s *source) drop(ev *Event, reason Reason, detail string) {
	switch reason {
	case NotReadable, NoEventTime:
		s.env.stats.InputDeserializationErrors++
	case NotConvertible:
		s.env.stats.DataConversionErrors++
	}
	if s.env.options.OnDropped != nil {
		s.env.options.OnDropped(&Dropped{
			Reason: reason, Input: s.node.Input.Name, Partition: ev.Partition, Offset: ev.Offset, Detail: detail, Raw: ev.Raw,
		})
	}
}

// idle moves the clock of a partition.
func (s *source) idle(partition int32, now int64) error {
	if s.stream == nil {
		if err := s.open(false); err != nil {
			return err
		}
	}
	s.stream.Idle(partition, now)
	return s.settle()
}

// finishPartition says that no event of a partition comes any more.
func (s *source) finishPartition(partition int32) error {
	if s.stream == nil {
		if err := s.open(false); err != nil {
			return err
		}
	}
	s.stream.FinishPartition(partition)
	return s.settle()
}

// finish says that no event comes any more.
func (s *source) finish() error {
	if s.stream != nil {
		s.stream.Finish()
		if err := s.settle(); err != nil {
			return err
		}
	}
	return s.promise(endOfTime)
}

func (s *source) push(int, *row) error     { return errors.New("a source takes no rows") }
func (s *source) advance(int, int64) error { return errors.New("a source takes no watermarks") }

func (s *source) appendState(dst []byte) ([]byte, error) {
	dst = codec.AppendBool(dst, s.stream != nil)
	if s.stream == nil {
		return dst, nil
	}
	dst = codec.AppendBool(dst, s.noArrival)
	return s.stream.AppendState(dst, func(dst []byte, r *row) []byte { return appendValues(dst, r.slots) }), nil
}

func (s *source) readState(d *decoder) {
	if !d.Bool() || d.Err() != nil {
		return
	}
	if err := s.open(d.Bool()); err != nil {
		d.FailWith(err)
		return
	}
	d.Part(func(b []byte) (rest []byte, err error) {
		return s.stream.ReadState(b, func(b []byte) (*row, []byte, error) {
			in := newDecoder(b)
			slots, _ := in.row(s.node.Width)
			return &row{slots: slots}, in.Rest(), in.Err()
		})
	})
	_, s.held = s.stream.Buffered()
	s.grow(s.held)
}

func (s *source) describe() OperatorState {
	if s.stream == nil {
		return s.info(0, 0)
	}
	items, _ := s.stream.Buffered()
	return s.info(items, s.stream.Substreams())
}

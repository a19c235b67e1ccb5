package offline

import (
	"slices"
	"strings"

	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// clock reads the times of an input's events before they are handed to the
// engine, because files have to be merged in the order of arrival. It works
// like the engine: an expression in TIMESTAMP BY is computed by it.
type clock struct {
	mode clockMode
	// names are what the projection picks out: PartitionId, then
	// EventEnqueuedUtcTime or the first part of the arrival's path, then the
	// event time if it is a plain field.
	projection *value.Projection
	values     []value.Value
	path       []string
	plain      bool
	// compute evaluates TIMESTAMP BY where it is no plain field.
	compute func(raw []byte) (int64, bool)
	// began is the time of events that have none, live the clock for those
	// that come as time goes by (nil for others).
	began int64
	live  func() int64
}

// clockMode is where an input's order comes from.
type clockMode uint8

const (
	// byEvent: events arrive at their own time.
	byEvent clockMode = iota
	// byFile: in the order of the file.
	byFile
	// byField: at the time in a field.
	byField
	// byEnqueued: there is no TIMESTAMP BY; events arrive at their
	// EventEnqueuedUtcTime or all at once.
	byEnqueued
)

const (
	partitionMember = "PartitionId"
	enqueuedMember  = "EventEnqueuedUtcTime"
	// maxPartition bounds the partitions that events may name: there are no
	// hubs with more than 2000.
	maxPartition = 2047
)

// times are what the clock knows of an event.
type times struct {
	// at is the arrival, exec.NoTime if it is not known.
	at int64
	// partition is that which the event names, -1 if it names none.
	partition int32
	// own tells that the time is the event's own and not made up.
	own bool
}

// newClock makes the clock of input i.
func newClock(job *plan.Job, i int, s *settings, arrival string, began int64) (*clock, error) {
	c := &clock{began: began, path: s.path}
	var stamped *plan.Source
	for _, n := range job.Nodes {
		if src, ok := n.(*plan.Source); ok && src.Input == job.Inputs[i] && src.TimestampBy != nil && stamped == nil {
			stamped = src
		}
	}
	names := []string{partitionMember}
	switch {
	case s.path != nil:
		c.mode = byField
		names = append(names, s.path[0])
	case stamped == nil:
		c.mode, c.path = byEnqueued, []string{enqueuedMember}
		names = append(names, enqueuedMember)
	case strings.EqualFold(arrival, FileOrder):
		c.mode = byFile
	}
	if c.mode == byEvent || c.mode == byFile {
		if slot, ok := stamped.TimestampBy.(*plan.Slot); ok && slot.Index < len(stamped.Fields) && !slices.Contains(names, stamped.Fields[slot.Index]) {
			c.plain = true
			names = append(names, stamped.Fields[slot.Index])
		} else if err := c.computed(job.Level, stamped); err != nil {
			return nil, err
		}
	}
	c.projection, c.values = value.NewProjection(names, job.Level), make([]value.Value, len(names))
	return c, nil
}

// computed makes a job of its own that yields nothing but TIMESTAMP BY.
func (c *clock) computed(level value.Level, stamped *plan.Source) error {
	src := *stamped
	src.ID, src.TimestampBy, src.Over = 0, nil, nil
	columns := []plan.Column{{Name: "t", Expr: stamped.TimestampBy}}
	project := &plan.Project{Common: plan.Common{ID: 1, Step: src.Step, Pos: src.Pos, Width: 1, Inputs: []plan.Node{&src}}, Columns: columns}
	out := &plan.Output{Name: "t"}
	sink := &plan.Sink{Common: plan.Common{ID: 2, Step: src.Step, Pos: src.Pos, Width: 1, Inputs: []plan.Node{project}}, Output: out, Columns: []plan.Column{{Name: "t"}}}
	job := &plan.Job{Level: level, Inputs: []*plan.Input{src.Input}, Outputs: []*plan.Output{out}, Nodes: []plan.Node{&src, project, sink}}
	at, found := int64(0), false
	options := exec.Options{OnRow: func(r *exec.Row) error {
		at, found = timeIn(r.Slots[0])
		return nil
	}}
	task, err := exec.New(job, options)
	if err != nil {
		return err
	}
	ev := exec.Event{}
	c.compute = func(raw []byte) (int64, bool) {
		found, ev.Raw = false, raw
		if task.Push(&ev) != nil {
			// The engine will say what is wrong when it gets there.
			if task, err = exec.New(job, options); err != nil {
				return 0, false
			}
		}
		return at, found
	}
	return nil
}

// timeIn is the time that a value stands for.
func timeIn(v value.Value) (int64, bool) {
	switch v.Kind() {
	case value.DateTime:
		return v.Ticks(), true
	case value.String:
		return value.ParseTime(v.Str())
	}
	return 0, false
}

// read reads the times of an event.
func (c *clock) read(raw []byte) times {
	t := times{at: exec.NoTime, partition: -1}
	if c.projection.Scan(raw, c.values) != nil {
		return t
	}
	if v := c.values[0]; v.Kind() == value.BigInt && v.Int() >= 0 && v.Int() <= maxPartition {
		t.partition = int32(v.Int())
	}
	switch {
	case c.compute != nil:
		t.at, t.own = c.compute(raw)
	case c.plain:
		t.at, t.own = timeIn(c.values[len(c.values)-1])
	default:
		v := c.values[1]
		for _, name := range c.path[1:] {
			v = v.Get(name)
		}
		t.at, t.own = timeIn(v)
	}
	if !t.own {
		t.at = exec.NoTime
		if c.mode == byEnqueued {
			t.at = c.began
			if c.live != nil {
				t.at = c.live()
			}
		}
	}
	return t
}

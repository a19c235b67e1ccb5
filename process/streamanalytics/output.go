package streamanalytics

import (
	"fmt"
	"strings"

	"millrace/connector"
	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
	"millrace/record"
)

// output is how rows become events: two columns are the times that every
// solution adds to an event, the others are its members.
type output struct {
	name string
	// columns are those without the two times; slots says where each is in a row.
	columns []plan.Column
	slots   []int
	// enqueued and processed are the columns of the times, -1 if absent.
	enqueued, processed int
	// whole is the column of the whole event if that is all there is beside
	// the times: then nothing needs to be put together. Else -1.
	whole int
	// made says that rows are no events: they get the members that make them
	// such. device, sequence and created are the columns of an event's members
	// that they have themselves, -1 if absent; columns has none of them.
	made                      bool
	device, sequence, created int
	// keys are the columns that tell rows of a device and a time apart; placed
	// says that only the place does which a row has in the results.
	keys   []keyColumn
	placed bool
}

// keyColumn is a column that is a part of a row's identity.
type keyColumn struct {
	name string
	slot int
}

// The members that make an event.
const (
	memberID       = "eventId"
	memberDevice   = "deviceId"
	memberSequence = "deviceSequenceNumber"
	memberCreated  = "createdAt"
)

// outputOf says how the rows of a sink become events. It fails if two rows could
// not be told apart.
func outputOf(sink *plan.Sink) (output, error) {
	o := output{name: sink.Output.Name, enqueued: -1, processed: -1, whole: -1, made: true, device: -1, sequence: -1, created: -1}
	for _, c := range sink.Columns {
		if !c.Hidden && (c.Spread || c.Name == memberID) {
			o.made = false
		}
	}
	for i, c := range sink.Columns {
		switch {
		case c.Hidden:
		case !c.Spread && strings.EqualFold(c.Name, record.NameEnqueuedAt):
			o.enqueued = i
		case !c.Spread && strings.EqualFold(c.Name, record.NameProcessedAt):
			o.processed = i
		case o.made && c.Name == memberDevice:
			o.device = i
		case o.made && c.Name == memberSequence:
			o.sequence = i
		case o.made && c.Name == memberCreated:
			o.created = i
		default:
			o.columns, o.slots = append(o.columns, c), append(o.slots, i)
		}
	}
	if len(o.columns) == 1 && o.columns[0].Spread {
		o.whole = o.slots[0]
	}
	if !o.made {
		return o, nil
	}
	return o, o.identify(sink)
}

// identify finds what tells rows apart. Rows of windows are known by the window's
// end and the keys of GROUP BY, which must all be columns; others by their place
// in the results, which is the same whenever they are made again.
func (o *output) identify(sink *plan.Sink) error {
	group, from := groupOf(sink)
	if group == nil {
		o.placed = true
		return nil
	}
	column := func(slot int) int {
		for i, s := range from {
			if s == slot && !sink.Columns[i].Hidden {
				return i
			}
		}
		return -1
	}
	for k, key := range group.Keys {
		i := column(k)
		if i < 0 {
			return &connector.Hinted{Hint: "add it to the columns after SELECT", Err: fmt.Errorf(
				"rows of different groups would be the same event: key %d of GROUP BY (%s) is no column", k+1, plan.Text(key))}
		}
		if i != o.device {
			o.keys = append(o.keys, keyColumn{sink.Columns[i].Name, i})
		}
	}
	if len(group.Windows) > 1 {
		i := column(len(group.Keys) + len(group.Calls))
		if i < 0 {
			return &connector.Hinted{Hint: "add System.Window().Id to the columns after SELECT",
				Err: fmt.Errorf("rows of different windows that end at the same time would be the same event")}
		}
		o.keys = append(o.keys, keyColumn{sink.Columns[i].Name, i})
	}
	return nil
}

// groupOf returns the GROUP BY whose rows become a sink's, one each, and the slot
// of them that each of the sink's columns is, -1 for others.
func groupOf(sink *plan.Sink) (group *plan.Aggregate, from []int) {
	for i := range sink.Columns {
		from = append(from, i)
	}
	for n := sink.Inputs[0]; ; n = n.Head().Inputs[0] {
		switch n := n.(type) {
		case *plan.Aggregate:
			return n, from
		case *plan.Filter:
		case *plan.Project:
			for i, at := range from {
				if at < 0 {
					continue
				}
				from[i] = -1
				if s, ok := n.Columns[at].Expr.(*plan.Slot); ok {
					from[i] = s.Index
				}
			}
		default:
			return nil, nil
		}
	}
}

// time is a column as microseconds, or what stands in for it.
func (o *output) time(r *exec.Row, column int, otherwise int64) int64 {
	if column < 0 {
		return otherwise
	}
	v := r.Slots[column]
	switch v.Kind() {
	case value.DateTime:
		return v.Ticks() / 10
	case value.String:
		if at, ok := value.ParseTime(v.Str()); ok {
			return at / 10
		}
	}
	return otherwise
}

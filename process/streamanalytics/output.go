package streamanalytics

import (
	"strings"

	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
	"millrace/record"
)

// output is how rows become events: two columns are the times that every
// solution adds to an event, the others are its members.
type output struct {
	// columns are those without the two times; slots says where each is in a row.
	columns []plan.Column
	slots   []int
	// enqueued and processed are the columns of the times, -1 if absent.
	enqueued, processed int
	// whole is the column of the whole event if that is all there is beside
	// the times: then nothing needs to be put together. Else -1.
	whole int
}

func outputOf(sink *plan.Sink) output {
	o := output{enqueued: -1, processed: -1, whole: -1}
	for i, c := range sink.Columns {
		switch {
		case c.Hidden:
		case !c.Spread && strings.EqualFold(c.Name, record.NameEnqueuedAt):
			o.enqueued = i
		case !c.Spread && strings.EqualFold(c.Name, record.NameProcessedAt):
			o.processed = i
		default:
			o.columns, o.slots = append(o.columns, c), append(o.slots, i)
		}
	}
	if len(o.columns) == 1 && o.columns[0].Spread {
		o.whole = o.slots[0]
	}
	return o
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

package offline

import (
	"errors"
	"fmt"

	"millrace/process/streamanalytics/exec"
)

// onRow writes a row of an output.
func (r *runner) onRow(row *exec.Row) error {
	r.buf = row.AppendJSON(r.buf[:0])
	if r.settings.emitEarly > 0 {
		r.buf = appendEmit(r.buf, row)
	}
	r.rows[row.Output]++
	if r.given++; r.given%1024 == 0 {
		// One event may give out any number of rows: short hops of a long
		// window do.
		if err := r.ctx.Err(); err != nil && !r.following() {
			r.rowErr = err
			return err
		}
		r.progress(false)
	}
	if r.Row == nil {
		return nil
	}
	if err := r.Row(r.job.Outputs[row.Output].Name, r.buf); err != nil {
		r.rowErr = err
		return err
	}
	return nil
}

// EmitMember is the column that says what a row is, with Options.EmitEarly:
// early, correction or final.
const EmitMember = "_emit"

func appendEmit(b []byte, row *exec.Row) []byte {
	kind := "final"
	if row.Early {
		kind = "early"
	} else if row.Correction {
		kind = "correction"
	}
	b = b[:len(b)-1]
	if len(b) > 1 {
		b = append(b, ',')
	}
	return fmt.Appendf(b, `"%s":"%s"}`, EmitMember, kind)
}

func (r *runner) onDropped(d *exec.Dropped) {
	r.summary.Dropped[d.Reason.String()]++
	if err := r.report(d); err != nil {
		r.rowErr = err
	}
}

// report tells of an event that was not used.
func (r *runner) report(d *exec.Dropped) error {
	if r.Dropped == nil {
		return nil
	}
	out := Dropped{Reason: d.Reason.String(), Detail: d.Detail, Input: d.Input, Partition: d.Partition, Offset: d.Offset, Raw: d.Raw}
	if r.from != nil {
		out.File, out.Line = r.from.file.Path, r.now.line
	}
	return r.Dropped(&out)
}

// failed says where the engine failed.
func (r *runner) failed(err error) error {
	if r.rowErr != nil {
		return r.rowErr
	}
	out := &RunError{Query: r.query, Err: err}
	if e := (*exec.Error)(nil); errors.As(err, &e) {
		out.Pos, out.Err = e.Pos, e.Err
	}
	if r.now != nil {
		out.File, out.Line = r.from.file.Path, r.now.line
	}
	return out
}

func (r *runner) progress(looking bool) {
	if r.Progress == nil {
		return
	}
	events := int64(0)
	if !looking {
		events = r.task.Stats().InputEvents
	}
	r.Progress(Progress{Events: events, Rows: r.given, Looking: looking, Elapsed: r.Now().Sub(r.began)})
}

// finish makes the summary.
func (r *runner) finish() *Summary {
	s := &r.summary
	bad := s.Stats
	s.Stats = r.task.Stats()
	s.Stats.InputEvents += bad.InputEvents
	s.Stats.InputEventBytes += bad.InputEventBytes
	s.Stats.InputDeserializationErrors += bad.InputDeserializationErrors
	for i, o := range r.job.Outputs {
		s.Outputs = append(s.Outputs, OutputCount{o.Name, r.rows[i]})
	}
	s.Elapsed, s.Notes = r.Now().Sub(r.began), r.notes
	return s
}

package exec

import (
	"fmt"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// filter passes on rows for which a condition is true.
type filter struct {
	outlet
	cond condFunc
}

func (f *filter) push(_ int, r *row) error {
	t, err := f.cond(r)
	if err != nil || t != value.True {
		return err
	}
	return f.emit(r)
}

func (f *filter) advance(_ int, t int64) error { return f.promise(t) }

// project makes new rows.
type project struct {
	outlet
	columns []evalFunc
	row     row
}

func (p *project) push(_ int, r *row) error {
	for i, f := range p.columns {
		v, err := f(r)
		if err != nil {
			return err
		}
		p.row.slots[i] = v
	}
	p.row.time, p.row.early, p.row.correction = r.time, r.early, r.correction
	return p.emit(&p.row)
}

func (p *project) advance(_ int, t int64) error { return p.promise(t) }

// union passes on the rows of all its inputs as they come. Where their order
// matters a sorter follows.
type union struct {
	outlet
	account
	ports watermarks
}

func (u *union) push(_ int, r *row) error { return u.emit(r) }

func (u *union) advance(port int, t int64) error { return u.promise(u.ports.set(port, t)) }

func (u *union) appendState(dst []byte) ([]byte, error) { return u.ports.appendState(dst), nil }
func (u *union) readState(d *decoder)                   { u.ports.readState(d) }
func (u *union) describe() OperatorState                { return u.info(0, 0) }

// apply makes a row for each element of an array or member of a record.
type apply struct {
	outlet
	over     evalFunc
	elements bool
	outer    bool
	width    int
	pos      syntax.Pos
	row      row
}

func (a *apply) push(_ int, r *row) error {
	v, err := a.over(r)
	if err != nil {
		return err
	}
	a.row.time, a.row.early, a.row.correction = r.time, r.early, r.correction
	copy(a.row.slots, r.slots)
	found := false
	one := func(name, v value.Value) bool {
		found = true
		a.row.slots[a.width], a.row.slots[a.width+1] = name, v
		err = a.emit(&a.row)
		return err == nil
	}
	switch {
	case a.elements && v.Kind() == value.Array:
		for i, e := range v.Elements {
			if !one(value.Int(int64(i)), e) {
				break
			}
		}
	case !a.elements && v.Kind() == value.Record:
		for name, m := range v.Members {
			if !one(value.Text(name), m) {
				break
			}
		}
	case !v.IsNull():
		// As in the service, where the failing cast stops the job.
		return placed(a.pos, a.unfit(v))
	}
	if !found && a.outer {
		one(value.Value{}, value.Value{})
	}
	return err
}

func (a *apply) unfit(v value.Value) error {
	if a.elements {
		return fmt.Errorf("GetArrayElements takes an array, not a value of type %s; TRY_CAST(... AS array) gives NULL instead, which has no elements", v.Kind())
	}
	return fmt.Errorf("GetRecordProperties takes a record, not a value of type %s; TRY_CAST(... AS record) gives NULL instead, which has no properties", v.Kind())
}

func (a *apply) advance(_ int, t int64) error { return a.promise(t) }

// sink gives rows out.
type sink struct {
	env     *env
	columns []plan.Column
	index   int
	row     Row
}

func (s *sink) push(_ int, r *row) error {
	if s.env.options.Start != 0 && r.time < s.env.options.Start {
		return nil
	}
	out := &s.row
	*out = Row{Output: s.index, Time: r.time, Ordinal: s.env.ordinal, Slots: r.slots, Columns: s.columns, Early: r.early, Correction: r.correction}
	if e := s.env.event; e != nil {
		out.Partition, out.Offset = e.Partition, e.Offset
	}
	s.env.ordinal++
	s.env.stats.OutputEvents++
	if s.env.options.OnRow == nil {
		return nil
	}
	return s.env.options.OnRow(out)
}

func (s *sink) advance(int, int64) error { return nil }

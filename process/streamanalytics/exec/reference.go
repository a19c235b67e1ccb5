package exec

import (
	"fmt"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// referenceJoin joins a stream with the reference data that hold at the time of
// each row.
type referenceJoin struct {
	outlet
	env       *env
	node      *plan.ReferenceJoin
	data      Reference
	leftKeys  []evalFunc
	rightKeys []evalFunc
	on        condFunc
	// indexes are of the versions used last, the latest in front.
	indexes []*referenceIndex
	width   int
	key     []byte
	row     row
}

// referenceIndex is one version of the data. byKey is nil without keys.
type referenceIndex struct {
	version int64
	rows    [][]value.Value
	byKey   map[string][]int32
	all     []int32
}

// keptVersions is how many indexes are kept: rows that are out of order go back
// and forth between versions.
const keptVersions = 3

func newReferenceJoin(e *env, n *plan.ReferenceJoin) (*referenceJoin, error) {
	width := n.Inputs[0].Head().Width
	j := &referenceJoin{
		outlet: newOutlet(), env: e, node: n, data: e.options.Reference[n.Ref.Input.Name], width: width,
		row: row{slots: make([]value.Value, width+n.Ref.Width)},
	}
	if j.data == nil {
		return nil, placed(n.Pos, fmt.Errorf("there is no reference data for input %s", n.Ref.Input.Name))
	}
	var err error
	if j.leftKeys, err = e.comp.exprs(n.LeftKeys); err != nil {
		return nil, err
	}
	if j.rightKeys, err = e.comp.exprs(n.RightKeys); err != nil {
		return nil, err
	}
	j.on, err = e.comp.optional(n.On)
	return j, err
}

func (j *referenceJoin) push(_ int, r *row) error {
	index, err := j.index(r.time)
	if err != nil {
		return err
	}
	candidates := index.all
	if index.byKey != nil {
		j.key = j.key[:0]
		for _, f := range j.leftKeys {
			v, err := f(r)
			if err != nil {
				return err
			}
			j.key = v.AppendKey(j.key)
		}
		candidates = index.byKey[string(j.key)]
	}
	j.row.time, j.row.early, j.row.correction = r.time, r.early, r.correction
	copy(j.row.slots, r.slots)
	matched := false
	for _, i := range candidates {
		copy(j.row.slots[j.width:], index.rows[i])
		if j.on != nil {
			t, err := j.on(&j.row)
			if err != nil {
				return err
			}
			if t != value.True {
				continue
			}
		}
		matched = true
		if err := j.emit(&j.row); err != nil {
			return err
		}
	}
	if !matched && j.node.Kind == syntax.LeftJoin {
		clear(j.row.slots[j.width:])
		return j.emit(&j.row)
	}
	return nil
}

func (j *referenceJoin) advance(_ int, t int64) error { return j.promise(t) }

// index returns the data that hold at a time.
func (j *referenceJoin) index(t int64) (*referenceIndex, error) {
	rows, version, err := j.data.At(t)
	if err != nil {
		return nil, placed(j.node.Pos, fmt.Errorf("reference data %s: %w", j.node.Ref.Input.Name, err))
	}
	for i, x := range j.indexes {
		if x.version == version {
			if i > 0 {
				copy(j.indexes[1:], j.indexes[:i])
				j.indexes[0] = x
			}
			return x, nil
		}
	}
	x, err := j.build(rows, version)
	if err != nil {
		return nil, err
	}
	j.indexes = append([]*referenceIndex{x}, j.indexes...)
	if len(j.indexes) > keptVersions {
		j.indexes = j.indexes[:keptVersions]
	}
	return x, nil
}

func (j *referenceJoin) build(rows []value.Value, version int64) (*referenceIndex, error) {
	x := &referenceIndex{version: version}
	if len(j.rightKeys) > 0 {
		x.byKey = map[string][]int32{}
	}
	for n, record := range rows {
		slots, err := j.slots(record)
		if err != nil {
			j.drop(int64(n), record, err)
			continue
		}
		i := int32(len(x.rows))
		x.rows = append(x.rows, slots)
		if x.byKey == nil {
			x.all = append(x.all, i)
			continue
		}
		j.key = j.key[:0]
		for _, f := range j.rightKeys {
			v, err := f(&row{slots: slots})
			if err != nil {
				return nil, err
			}
			j.key = v.AppendKey(j.key)
		}
		x.byKey[string(j.key)] = append(x.byKey[string(j.key)], i)
	}
	return x, nil
}

// slots makes the row of a record.
func (j *referenceJoin) slots(record value.Value) ([]value.Value, error) {
	ref := j.node.Ref
	if ref.Input.Declared != nil {
		var err error
		if record, err = convertRecord(record, ref.Input.Declared, j.env.level); err != nil {
			return nil, err
		}
	}
	slots := make([]value.Value, ref.Width)
	for i, name := range ref.Fields {
		slots[i] = record.Get(name)
	}
	if ref.Payload >= 0 {
		slots[ref.Payload] = record
	}
	return slots, nil
}

func (j *referenceJoin) drop(n int64, record value.Value, err error) {
	j.env.stats.DataConversionErrors++
	if j.env.options.OnDropped != nil {
		j.env.options.OnDropped(&Dropped{
			Reason: NotConvertible, Input: j.node.Ref.Input.Name, Offset: n, Detail: err.Error(), Raw: record.AppendJSON(nil),
		})
	}
}

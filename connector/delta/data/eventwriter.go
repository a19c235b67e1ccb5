package data

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/format"

	"millrace/connector/delta/schema"
	"millrace/record"
)

// WriterOptions say how files are written.
type WriterOptions struct {
	// Compression is Snappy, Zstd or None; "" is Snappy. Columns that do not
	// become smaller by it are left as they are.
	Compression string
	// StatsColumns is how many of the table's columns, structs counted by
	// their members, have bounds in the statistics: none if it is 0, all if
	// it is negative. See DefaultStatsColumns.
	StatsColumns int
}

// DefaultStatsColumns is for how many columns a table has statistics unless its
// property delta.dataSkippingNumIndexedCols says otherwise.
const DefaultStatsColumns = 32

// Written is what a file has become.
type Written struct {
	// Rows is the number of rows, Size that of bytes.
	Rows, Size int64
	// Stats are the statistics for the table's log, a JSON text.
	Stats string
}

// EventWriter encodes results as Parquet files of the table of events, one file
// after the other; it keeps its memory from file to file. It is not safe for
// concurrent use: each goroutine needs its own.
type EventWriter struct {
	file    *fileWriter
	stats   *statsLayout
	cols    eventColumns
	members []memberColumn
	// counted are the rows since the file's writer was last told.
	counted int
	complex complexFields
	extra   []byte
	id      []byte
}

// eventColumns are the columns by what goes into them; those that the table is
// partitioned by are nil.
type eventColumns struct {
	eventID, deviceID, sequence, kind, value, created, enqueued, processed, stored, partition, offset, extra *column
	// complexData are the members of the struct.
	complexData [complexCount]*column
}

// NewEventWriter returns a writer for a table of that form. in is the schema of
// the table the files are for, which may have more columns, of which these files
// then have no values; nil for a table of just that form.
//
// It fails if the options cannot be, or if the table lacks a column or has it
// with another type.
func NewEventWriter(t Table, in *schema.Struct, o WriterOptions) (*EventWriter, error) {
	own, err := t.Schema()
	if err != nil {
		return nil, err
	}
	if in == nil {
		in = own
	}
	if err := t.fits(own, in); err != nil {
		return nil, err
	}
	c, err := newCodec(o.Compression)
	if err != nil {
		return nil, err
	}
	l, err := newLayout(in, func(name string) bool {
		_, ours := own.Field(name)
		return !ours || t.partitioned(name)
	})
	if err != nil {
		return nil, err
	}
	w := &EventWriter{}
	// Other columns have hardly any text twice, or are short.
	w.file = newFileWriter(l, c, func(f *leaf) bool {
		return strings.EqualFold(f.path[0], colDeviceID) || strings.EqualFold(f.path[0], colType)
	})
	w.stats = newStatsLayout(in, l, t.PartitionBy, o.StatsColumns)
	w.bind(t.Columns)
	return w, nil
}

func (t Table) partitioned(name string) bool {
	return slices.ContainsFunc(t.PartitionBy, func(p string) bool { return strings.EqualFold(p, name) })
}

// fits checks that a table with the schema in can take the rows of own.
func (t Table) fits(own, in *schema.Struct) error {
	for _, f := range own.Fields {
		have, ok := in.Field(f.Name)
		if !ok {
			return fmt.Errorf("the table has no column %s", f.Name)
		}
		if err := holds(f.Name, have, f.Type); err != nil {
			return err
		}
	}
	for _, f := range in.Fields {
		if _, ours := own.Field(f.Name); !ours && !f.Nullable {
			return fmt.Errorf("the table's column %s may not be null, and events have no value for it", f.Name)
		}
	}
	return nil
}

// always are the columns that every event has a value for.
var always = []string{colEventID, colDeviceID, colSequence, colCreatedAt, colStoredAt, colPartition, colOffset, colCreatedDate}

// holds checks that a column can take values of the type want.
func holds(name string, have schema.Field, want schema.Type) error {
	if !have.Nullable && !slices.Contains(always, name) {
		return fmt.Errorf("the table's column %s may not be null, but events may be without it", name)
	}
	inner, ok1 := want.(*schema.Struct)
	outer, ok2 := have.Type.(*schema.Struct)
	if !ok1 || !ok2 {
		if !schema.Equal(have.Type, want) {
			return fmt.Errorf("the table's column %s is of type %s, but events need %s", name, have.Type, want)
		}
		return nil
	}
	for _, f := range inner.Fields {
		in, ok := outer.Field(f.Name)
		if !ok {
			return fmt.Errorf("the table's column %s has no member %s", name, f.Name)
		}
		if err := holds(name+"."+f.Name, in, f.Type); err != nil {
			return err
		}
	}
	for _, f := range outer.Fields {
		if _, ours := inner.Field(f.Name); !ours && !f.Nullable {
			return fmt.Errorf("the table's column %s.%s may not be null, and events have no value for it", name, f.Name)
		}
	}
	return nil
}

// bind finds the columns that values go to.
func (w *EventWriter) bind(members []Column) {
	places := map[string]**column{
		colEventID: &w.cols.eventID, colDeviceID: &w.cols.deviceID, colSequence: &w.cols.sequence,
		colType: &w.cols.kind, colValue: &w.cols.value, colCreatedAt: &w.cols.created,
		colEnqueuedAt: &w.cols.enqueued, colProcessedAt: &w.cols.processed, colStoredAt: &w.cols.stored,
		colPartition: &w.cols.partition, colOffset: &w.cols.offset, colExtra: &w.cols.extra,
	}
	find := func(n *node) *column { return w.file.columns[n.leaf.index] }
	for _, n := range w.file.top {
		if strings.EqualFold(n.name, colComplexData) {
			for i, name := range complexNames {
				at := slices.IndexFunc(n.children, func(m *node) bool { return strings.EqualFold(m.name, name) })
				w.cols.complexData[i] = find(n.children[at])
			}
			continue
		}
		for name, place := range places {
			if strings.EqualFold(n.name, name) {
				*place = find(n)
			}
		}
		for _, m := range members {
			if strings.EqualFold(n.name, m.Name) {
				w.members = append(w.members, memberColumn{name: m.Name, typ: m.Type.(schema.Primitive), column: find(n)})
			}
		}
	}
}

// Reset begins a file, which is written to out as it grows; a file that is at
// hand is given up.
func (w *EventWriter) Reset(out io.Writer) {
	w.file.start(out)
	w.counted = 0
}

// stretch is how many rows are added before pages are looked after.
const stretch = 256

// Write adds results as rows; storedAt, in microseconds, is the same for all.
// Texts must be valid UTF-8, as record.Decode makes sure of. After an error, the
// file is spoilt, and Reset begins another one.
func (w *EventWriter) Write(results []record.Result, storedAt int64) error {
	for i := range results {
		if err := w.add(&results[i], storedAt); err != nil {
			return err
		}
	}
	return nil
}

// WriteSome adds the results at the given indexes.
func (w *EventWriter) WriteSome(results []record.Result, indexes []int32, storedAt int64) error {
	for _, i := range indexes {
		if err := w.add(&results[i], storedAt); err != nil {
			return err
		}
	}
	return nil
}

// Note adds a text to the metadata of the file at hand, as File.Note finds it.
func (w *EventWriter) Note(key, value string) {
	w.file.notes = append(w.file.notes, format.KeyValue{Key: key, Value: value})
}

// Finish ends the file.
func (w *EventWriter) Finish() (Written, error) {
	if err := w.count(); err != nil {
		return Written{}, err
	}
	size, err := w.file.finish()
	if err != nil {
		return Written{}, err
	}
	return Written{Rows: w.file.total, Size: size, Stats: w.stats.text(w.file)}, nil
}

// Encode appends one file with the results at the given indexes, nil for all, to
// dst.
func (w *EventWriter) Encode(dst []byte, results []record.Result, indexes []int32, storedAt int64) ([]byte, Written, error) {
	out := bytes.NewBuffer(dst)
	w.Reset(out)
	var err error
	if indexes == nil {
		err = w.Write(results, storedAt)
	} else {
		err = w.WriteSome(results, indexes, storedAt)
	}
	if err != nil {
		return dst, Written{}, err
	}
	written, err := w.Finish()
	if err != nil {
		return dst, Written{}, err
	}
	return out.Bytes(), written, nil
}

func (w *EventWriter) count() error {
	n := w.counted
	w.counted = 0
	return w.file.endRows(n)
}

var emptyType = []byte(`"` + colType + `":""`)

func (w *EventWriter) add(r *record.Result, storedAt int64) error {
	c := &w.cols
	w.id = record.AppendID(w.id[:0], r.ID)
	c.eventID.text(w.id)
	c.deviceID.text(r.DeviceID)
	c.sequence.long(r.Sequence)
	if c.kind != nil {
		c.kind.textOrNull(r.Type)
	}
	if r.HasValue {
		c.value.double(r.Value)
	} else {
		c.value.null(0)
	}
	extra := w.addComplex(r.ComplexData)
	if c.kind == nil && r.Type != nil && len(r.Type) == 0 {
		// In the log, where the type of a partition is, "" is null.
		extra = appendMembers(extra, emptyType)
	}
	c.created.time(r.CreatedAt)
	c.enqueued.time(r.EnqueuedAt)
	c.processed.time(r.ProcessedAt)
	c.stored.time(storedAt)
	if c.partition != nil {
		c.partition.integer(r.Partition)
	}
	c.offset.long(r.Offset)
	if len(w.members) > 0 {
		extra = w.addMembers(extra, r.Extra)
	} else {
		extra = appendMembers(extra, r.Extra)
	}
	if len(extra) == 0 {
		c.extra.null(0)
	} else {
		w.extra = append(extra, '}')
		c.extra.text(w.extra)
	}
	if w.counted++; w.counted == stretch {
		return w.count()
	}
	return nil
}

// addComplex adds the members of complexData. It begins extra if their columns
// do not say everything.
func (w *EventWriter) addComplex(object []byte) (extra []byte) {
	c := &w.cols.complexData
	extra = w.extra[:0]
	if object == nil {
		for _, col := range c {
			col.null(0)
		}
		return extra
	}
	if !w.complex.scan(object) {
		extra = append(extra, `{"`+colComplexData+`":`...)
		extra = append(extra, object...)
	}
	if w.complex.present == 1<<complexCount-1 {
		for i, col := range c {
			col.double(w.complex.values[i])
		}
		return extra
	}
	for i, col := range c {
		if w.complex.present&(1<<i) != 0 {
			col.double(w.complex.values[i])
		} else {
			col.null(col.def - 1)
		}
	}
	return extra
}

// appendMembers appends a list of members to an object that is not closed.
func appendMembers(extra, list []byte) []byte {
	if len(list) == 0 {
		return extra
	}
	if len(extra) == 0 {
		extra = append(extra, '{')
	} else {
		extra = append(extra, ',')
	}
	return append(extra, list...)
}

func (c *column) textOrNull(b []byte) {
	if b == nil {
		c.null(0)
		return
	}
	c.text(b)
}

func (c *column) time(micros int64) {
	if micros == record.NoTime {
		c.null(0)
		return
	}
	c.long(micros)
}

// memberColumn is the column of a member.
type memberColumn struct {
	name   string
	typ    schema.Primitive
	column *column
	// value is what the event at hand has for it, the last of several.
	value        member
	there, twice bool
}

// addMembers fills the columns of members from a list of members, and appends to
// extra those that have no column, or whose column cannot give them back.
func (w *EventWriter) addMembers(extra, list []byte) []byte {
	for i := range w.members {
		w.members[i].there, w.members[i].twice = false, false
	}
	for at := 0; ; {
		m, next, ok := nextMember(list, at)
		if !ok {
			break
		}
		at = next
		c := w.memberOf(&m)
		if c == nil {
			extra = appendMembers(extra, m.text)
			continue
		}
		if c.there {
			// The column can hold only one: all of them go to extra.
			extra, c.twice = appendMembers(extra, c.value.text), true
		}
		c.value, c.there = m, true
	}
	for i := range w.members {
		m := &w.members[i]
		if !m.there {
			m.column.null(0)
		} else if m.twice || !m.put() {
			m.column.null(0)
			extra = appendMembers(extra, m.value.text)
		}
	}
	return extra
}

func (w *EventWriter) memberOf(m *member) *memberColumn {
	for i := range w.members {
		if m.is(w.members[i].name) {
			return &w.members[i]
		}
	}
	return nil
}

// put adds the member's value to its column if that can give it back.
func (m *memberColumn) put() bool {
	v := m.value.value
	switch m.typ {
	case schema.String:
		s, ok := unquote(v)
		if !ok || !utf8.ValidString(s) {
			return false
		}
		m.column.text([]byte(s))
		return true
	case schema.Long:
		n, ok := scanLong(v)
		if ok {
			m.column.long(n)
		}
		return ok
	case schema.Double:
		f, end, ok := scanDouble(v, 0)
		if ok = ok && end == len(v); ok {
			m.column.double(f)
		}
		return ok
	case schema.Boolean:
		b := string(v) == "true"
		if !b && string(v) != "false" {
			return false
		}
		m.column.boolean(b)
		return true
	}
	return false
}

package data

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"millrace/connector/delta/schema"
	"millrace/record"
)

// ReadEvents calls fn with every row of a file of the table of events. columns
// are the members that have columns of their own (see MemberColumns), partition
// has the texts of the columns that the table is partitioned by, as the log has
// them for this file. The value, and what it points to, is valid until fn
// returns.
//
// Fingerprints are of the events rebuilt from the columns. It fails if a row has
// no eventId, deviceId, deviceSequenceNumber or createdAt, or if the file has a
// column with another type.
func (f *File) ReadEvents(ctx context.Context, columns []Column, partition map[string]string, fn func(*record.Stored) error) error {
	s, err := Table{Columns: columns}.Schema()
	if err != nil {
		return err
	}
	r := eventReader{columns: columns, inExtra: make([]bool, len(columns))}
	if err := r.constants(partition); err != nil {
		return err
	}
	l, err := newLayout(s, func(name string) bool { return r.constant(name) })
	if err != nil {
		return err
	}
	b, err := f.batches(l)
	if err != nil {
		return err
	}
	r.bind(l, b.cells)
	return b.each(ctx, func(rows int) error {
		for i := range rows {
			stored, err := r.row(i)
			if err != nil {
				return &BrokenError{err}
			}
			if err := fn(stored); err != nil {
				return err
			}
		}
		return nil
	})
}

// eventReader rebuilds events from the values of columns.
type eventReader struct {
	columns []Column
	// kind and partition are constant where the table is partitioned by them.
	kindConstant, partitionConstant bool
	kind                            []byte
	partition                       int32

	eventID, deviceID, sequence, typ, value, created, enqueued, processed, stored, log, offset, extra *cells
	complexData                                                                                       [complexCount]*cells
	// complexDef is the level at which the struct is there.
	complexDef uint8
	members    []*cells

	event   record.Event
	out     record.Stored
	complex complexFields
	// inExtra tells, for each of columns, that extra has its text.
	inExtra []bool
	scratch []byte
	more    []byte
	json    []byte
}

func (r *eventReader) constants(partition map[string]string) error {
	for name, text := range partition {
		switch {
		case strings.EqualFold(name, colType):
			r.kindConstant = true
			if text != "" {
				r.kind = []byte(text)
			}
		case strings.EqualFold(name, colPartition):
			r.partitionConstant = true
			if text == "" {
				continue
			}
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return fmt.Errorf("%q is not the number of a partition", text)
			}
			r.partition = int32(n)
		case strings.EqualFold(name, colCreatedDate):
			// It follows from createdAt.
		default:
			return fmt.Errorf("the table is partitioned by %s, from which events cannot be rebuilt", name)
		}
	}
	return nil
}

func (r *eventReader) constant(name string) bool {
	return name == colType && r.kindConstant || name == colPartition && r.partitionConstant
}

func (r *eventReader) bind(l *layout, all []cells) {
	places := map[string]**cells{
		colEventID: &r.eventID, colDeviceID: &r.deviceID, colSequence: &r.sequence, colType: &r.typ,
		colValue: &r.value, colCreatedAt: &r.created, colEnqueuedAt: &r.enqueued, colProcessedAt: &r.processed,
		colStoredAt: &r.stored, colPartition: &r.log, colOffset: &r.offset, colExtra: &r.extra,
	}
	for _, n := range l.top {
		if place, ok := places[n.name]; ok {
			*place = &all[n.leaf.index]
			continue
		}
		if n.name == colComplexData {
			r.complexDef = n.def
			for i, m := range n.children {
				r.complexData[i] = &all[m.leaf.index]
			}
			continue
		}
		r.members = append(r.members, &all[n.leaf.index])
	}
}

// row rebuilds a row of the batch at hand.
func (r *eventReader) row(i int) (*record.Stored, error) {
	for _, c := range [...]struct {
		cells *cells
		name  string
	}{{r.eventID, colEventID}, {r.deviceID, colDeviceID}, {r.sequence, colSequence}, {r.created, colCreatedAt}} {
		if c.cells.null(i) {
			return nil, fmt.Errorf("a row has no %s", c.name)
		}
	}
	e := &r.event
	*e = record.Event{DeviceID: r.deviceID.vals[i].bytes, Sequence: r.sequence.vals[i].int(), CreatedAt: r.created.vals[i].int()}
	var err error
	if e.ID, err = record.ParseID(r.eventID.vals[i].bytes); err != nil {
		return nil, fmt.Errorf("the eventId of a row: %w", err)
	}
	if r.kindConstant {
		e.Type = r.kind
	} else if !r.typ.null(i) {
		e.Type = notNil(r.typ.vals[i].bytes)
	}
	if e.HasValue = !r.value.null(i); e.HasValue {
		e.Value = r.value.vals[i].double()
	}
	r.rebuildComplex(i)
	if !r.extra.null(i) {
		if e.Extra, err = r.membersOf(r.extra.vals[i].bytes); err != nil {
			return nil, fmt.Errorf("the event %s: %w", e.ID, err)
		}
	}
	if len(r.members) > 0 {
		r.addMembers(i)
	}
	r.json = record.AppendOriginal(r.json[:0], e)
	out := &r.out
	*out = record.Stored{ID: e.ID, DeviceID: e.DeviceID, Sequence: e.Sequence, CreatedAt: e.CreatedAt,
		EnqueuedAt: timeOf(r.enqueued, i), ProcessedAt: timeOf(r.processed, i), StoredAt: timeOf(r.stored, i),
		Partition: r.partition, Offset: r.offset.vals[i].int()}
	if !r.partitionConstant {
		out.Partition = int32(r.log.vals[i].int())
	}
	if out.Fingerprint, err = record.Fingerprint(r.json); err != nil {
		return nil, fmt.Errorf("the row of event %s (partition %d, offset %d) is not an event: %w", e.ID, out.Partition, out.Offset, err)
	}
	return out, nil
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func timeOf(c *cells, i int) int64 {
	if c.null(i) {
		return record.NoTime
	}
	return c.vals[i].int()
}

// rebuildComplex sets the event's complexData.
func (r *eventReader) rebuildComplex(i int) {
	r.complex.present = 0
	there := false
	for k, c := range r.complexData {
		if !c.null(i) {
			r.complex.values[k] = c.vals[i].double()
			r.complex.present |= 1 << k
			there = true
		} else if c.defs[i] >= r.complexDef {
			there = true
		}
	}
	if there {
		r.scratch = appendComplex(r.scratch[:0], &r.complex)
		r.event.ComplexData = r.scratch
	}
}

// membersOf takes the braces off extra.
func (r *eventReader) membersOf(extra []byte) ([]byte, error) {
	if len(extra) < 2 || extra[0] != '{' || extra[len(extra)-1] != '}' || !utf8.Valid(extra) {
		return nil, fmt.Errorf("its extra is %.40q, which is not a JSON object", extra)
	}
	return extra[1 : len(extra)-1], nil
}

// addMembers adds the members that have columns of their own to the event's
// extra, unless it has their texts.
func (r *eventReader) addMembers(i int) {
	clear(r.inExtra)
	for at := 0; at < len(r.event.Extra); {
		m, next, ok := nextMember(r.event.Extra, at)
		if !ok {
			break
		}
		at = next
		for k := range r.columns {
			if m.is(r.columns[k].Name) {
				r.inExtra[k] = true
			}
		}
	}
	r.more = append(r.more[:0], r.event.Extra...)
	for k, c := range r.members {
		if c.null(i) || r.inExtra[k] {
			continue
		}
		if len(r.more) > 0 {
			r.more = append(r.more, ',')
		}
		r.more = append(record.AppendString(r.more, r.columns[k].Name), ':')
		r.more = appendJSON(r.more, r.columns[k].Type, &c.vals[i])
	}
	if len(r.more) > 0 {
		r.event.Extra = r.more
	}
}

func appendJSON(dst []byte, t schema.Type, c *cell) []byte {
	switch t {
	case schema.String:
		return record.AppendString(dst, c.bytes)
	case schema.Boolean:
		return strconv.AppendBool(dst, c.bits != 0)
	case schema.Double:
		return appendDouble(dst, c.double())
	}
	return strconv.AppendInt(dst, c.int(), 10)
}

// appendDouble appends a text that reads back as f, or null if JSON has none.
func appendDouble(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"millrace/connector/delta/schema"
)

// The columns of the table of events.
const (
	colEventID     = "eventId"
	colDeviceID    = "deviceId"
	colSequence    = "deviceSequenceNumber"
	colType        = "type"
	colValue       = "value"
	colComplexData = "complexData"
	colCreatedAt   = "createdAt"
	colEnqueuedAt  = "enqueuedAt"
	colProcessedAt = "processedAt"
	colStoredAt    = "storedAt"
	colPartition   = "partitionId"
	colOffset      = "logOffset"
	colExtra       = "extra"
	// colCreatedDate is the day of createdAt in UTC. It is there only in
	// tables that are partitioned by it.
	colCreatedDate = "createdDate"
)

// Column is a column that a top-level member of events has for its own.
type Column struct {
	// Name is that of the member and of the column.
	Name string
	// Type is schema.String, Long, Double or Boolean. A value of another
	// type, null among them, goes to extra instead.
	Type schema.Type
}

// ColumnTypes are the types that a Column may have.
func ColumnTypes() []schema.Primitive {
	return []schema.Primitive{schema.String, schema.Long, schema.Double, schema.Boolean}
}

// PartitionColumns are the columns that a table of events can be partitioned
// by: type, partitionId, createdDate (the day of createdAt in UTC).
func PartitionColumns() []string { return []string{colType, colPartition, colCreatedDate} }

// Table says which form the table of events has.
type Table struct {
	// Columns are members with columns of their own, in their order.
	Columns []Column
	// PartitionBy are columns, of PartitionColumns, whose values are in the
	// table's log and not in its files. Empty for plain Parquet files.
	PartitionBy []string
}

// memberKey marks, in the metadata of a table's column, the columns of members.
const memberKey = "millrace.member"

// Schema returns the columns of the table, or an error that lists what is wrong
// with the options.
func (t Table) Schema() (*schema.Struct, error) {
	complexData := &schema.Struct{}
	for _, name := range complexNames {
		complexData.Fields = append(complexData.Fields, schema.Column(name, schema.Double))
	}
	s := schema.New(
		schema.Column(colEventID, schema.String),
		schema.Column(colDeviceID, schema.String),
		schema.Column(colSequence, schema.Long),
		schema.Column(colType, schema.String),
		schema.Column(colValue, schema.Double),
		schema.Column(colComplexData, complexData),
		schema.Column(colCreatedAt, schema.Timestamp),
		schema.Column(colEnqueuedAt, schema.Timestamp),
		schema.Column(colProcessedAt, schema.Timestamp),
		schema.Column(colStoredAt, schema.Timestamp),
		schema.Column(colPartition, schema.Integer),
		schema.Column(colOffset, schema.Long),
		schema.Column(colExtra, schema.String),
	)
	var problems []error
	seen := map[string]bool{}
	for _, f := range s.Fields {
		seen[strings.ToLower(f.Name)] = true
	}
	seen[strings.ToLower(colCreatedDate)] = true
	for i, name := range t.PartitionBy {
		if !slices.Contains(PartitionColumns(), name) {
			problems = append(problems, fmt.Errorf("a table of events cannot be partitioned by %q, only by %s", name, strings.Join(PartitionColumns(), ", ")))
		} else if slices.Contains(t.PartitionBy[:i], name) {
			problems = append(problems, fmt.Errorf("the table is to be partitioned by %s twice", name))
		} else if name == colCreatedDate {
			s.Fields = append(s.Fields, schema.Column(colCreatedDate, schema.Date))
		}
	}
	for _, c := range t.Columns {
		low := strings.ToLower(c.Name)
		if seen[low] {
			problems = append(problems, fmt.Errorf("a member cannot have the column %q: there is one of that name (upper and lower case do not count)", c.Name))
			continue
		}
		seen[low] = true
		p, ok := c.Type.(schema.Primitive)
		if !ok || !slices.Contains(ColumnTypes(), p) {
			problems = append(problems, fmt.Errorf("the column %q cannot be a %v: it must be string, long, double or boolean", c.Name, c.Type))
			continue
		}
		s.Fields = append(s.Fields, schema.Column(c.Name, p).WithMetadata(memberKey, c.Name))
	}
	if err := s.Check(); err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return s, nil
}

// MemberColumns returns the columns of s, the schema of a table of events, that
// hold members of events.
func MemberColumns(s *schema.Struct) []Column {
	var out []Column
	for _, f := range s.Fields {
		p, ok := f.Type.(schema.Primitive)
		if _, marked := f.Metadata[memberKey]; marked && ok && slices.Contains(ColumnTypes(), p) {
			out = append(out, Column{Name: f.Name, Type: p})
		}
	}
	return out
}

package delta

import (
	"fmt"
	"slices"
	"strings"

	"millrace/connector/delta/schema"
	"millrace/connector/internal/duckread"
	"millrace/connector/internal/filequery"
)

// sqlFile is a data file of a snapshot as DuckDB is told of it.
type sqlFile struct {
	path string
	// partition are the values of the partition columns, which are not in
	// the file; "" is null.
	partition map[string]string
}

// view is the statement that makes the table's files the view events. Columns
// are those of the schema in their order, whatever a file has: one that it
// lacks is null, one that the schema lacks is not shown.
func view(s *schema.Struct, files []sqlFile) (string, error) {
	var b strings.Builder
	b.WriteString("CREATE TEMP VIEW events AS SELECT ")
	var empty []string
	for i, f := range s.Fields {
		t, err := sqlType(f.Type)
		if err != nil {
			return "", fmt.Errorf("column %s: %w", f.Name, err)
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "CAST(%s AS %s) AS %[1]s", filequery.Named(f.Name), t)
		empty = append(empty, fmt.Sprintf("CAST(NULL AS %s) AS %s", t, filequery.Named(f.Name)))
	}
	fmt.Fprintf(&b, "\nFROM (SELECT %s WHERE false", strings.Join(empty, ", "))
	for _, g := range byPartition(files) {
		b.WriteString("\nUNION ALL BY NAME SELECT *")
		for _, name := range g.names {
			value := "NULL"
			if v := g.values[name]; v != "" {
				value = duckread.Quoted(v)
			}
			f, ok := s.Field(name)
			if !ok {
				return "", fmt.Errorf("a file has a value for %s, which is no column", name)
			}
			t, err := sqlType(f.Type)
			if err != nil {
				return "", fmt.Errorf("column %s: %w", f.Name, err)
			}
			fmt.Fprintf(&b, ", CAST(%s AS %s) AS %s", value, t, filequery.Named(f.Name))
		}
		// Names of folders are for people: the log says what they mean.
		fmt.Fprintf(&b, " FROM read_parquet(%s, union_by_name = true, hive_partitioning = false)", filequery.Paths(g.paths))
	}
	b.WriteString(")")
	return b.String(), nil
}

// partitionGroup are the files of one partition.
type partitionGroup struct {
	names  []string
	values map[string]string
	paths  []string
}

func byPartition(files []sqlFile) []*partitionGroup {
	var groups []*partitionGroup
	known := map[string]*partitionGroup{}
	for _, f := range files {
		key := partitionKey(f.partition)
		g := known[key]
		if g == nil {
			g = &partitionGroup{values: f.partition}
			for name := range f.partition {
				g.names = append(g.names, name)
			}
			slices.Sort(g.names)
			known[key] = g
			groups = append(groups, g)
		}
		g.paths = append(g.paths, f.path)
	}
	return groups
}

// partitionKey is one text for the values of a partition.
func partitionKey(values map[string]string) string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%q=%q ", name, values[name])
	}
	return b.String()
}

var sqlPrimitives = map[schema.Primitive]string{
	schema.String: "VARCHAR", schema.Long: "BIGINT", schema.Integer: "INTEGER", schema.Short: "SMALLINT",
	schema.Byte: "TINYINT", schema.Float: "FLOAT", schema.Double: "DOUBLE", schema.Boolean: "BOOLEAN",
	schema.Binary: "BLOB", schema.Date: "DATE", schema.Timestamp: "TIMESTAMPTZ", schema.TimestampNTZ: "TIMESTAMP",
}

// sqlType is a column's type in DuckDB.
func sqlType(t schema.Type) (string, error) {
	switch t := t.(type) {
	case schema.Primitive:
		if name, ok := sqlPrimitives[t]; ok {
			return name, nil
		}
	case schema.Decimal:
		return fmt.Sprintf("DECIMAL(%d, %d)", t.Precision, t.Scale), nil
	case *schema.Array:
		element, err := sqlType(t.Element)
		return element + "[]", err
	case *schema.Map:
		key, err := sqlType(t.Key)
		if err != nil {
			return "", err
		}
		value, err := sqlType(t.Value)
		return "MAP(" + key + ", " + value + ")", err
	case *schema.Struct:
		var members []string
		for _, f := range t.Fields {
			member, err := sqlType(f.Type)
			if err != nil {
				return "", err
			}
			members = append(members, filequery.Named(f.Name)+" "+member)
		}
		return "STRUCT(" + strings.Join(members, ", ") + ")", nil
	}
	return "", fmt.Errorf("type %s cannot be queried", t)
}

package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Type is the type of a column, of an element or of a member: a Primitive, a
// Decimal, an *Array, a *Map or a *Struct.
type Type interface {
	// String is the type as SQL would write it, for people.
	String() string
	// text is what the schema's text holds for it.
	text() any
}

// Primitive is a type without parameters.
type Primitive string

// The primitive types. TimestampNTZ (a time without a zone) is there to be
// named: tables that have it carry a table feature.
const (
	String       Primitive = "string"
	Long         Primitive = "long"
	Integer      Primitive = "integer"
	Short        Primitive = "short"
	Byte         Primitive = "byte"
	Float        Primitive = "float"
	Double       Primitive = "double"
	Boolean      Primitive = "boolean"
	Binary       Primitive = "binary"
	Date         Primitive = "date"
	Timestamp    Primitive = "timestamp"
	TimestampNTZ Primitive = "timestamp_ntz"
)

var primitives = []Primitive{String, Long, Integer, Short, Byte, Float, Double, Boolean, Binary, Date, Timestamp, TimestampNTZ}

func (p Primitive) String() string { return string(p) }
func (p Primitive) text() any      { return string(p) }

// Decimal is a number of Precision digits (1 to 38), Scale of them after the
// point.
type Decimal struct{ Precision, Scale int }

func (d Decimal) String() string { return fmt.Sprintf("decimal(%d,%d)", d.Precision, d.Scale) }
func (d Decimal) text() any      { return d.String() }

// Array is a list of values of one type.
type Array struct {
	Element Type
	// ContainsNull tells whether elements may be null.
	ContainsNull bool
}

func (a *Array) String() string { return "array<" + a.Element.String() + ">" }

func (a *Array) text() any {
	return arrayText{Type: "array", Element: a.Element.text(), ContainsNull: a.ContainsNull}
}

// Map is a set of keys, each with a value.
type Map struct {
	Key, Value Type
	// ValueContainsNull tells whether values may be null. Keys never are.
	ValueContainsNull bool
}

func (m *Map) String() string { return "map<" + m.Key.String() + "," + m.Value.String() + ">" }

func (m *Map) text() any {
	return mapText{Type: "map", Key: m.Key.text(), Value: m.Value.text(), ValueContainsNull: m.ValueContainsNull}
}

// Struct is a row: that of the table, or one inside a column.
type Struct struct{ Fields []Field }

// Field is a column, or a member of a struct.
type Field struct {
	Name     string
	Type     Type
	Nullable bool
	// Metadata is what writers noted about the column, as JSON by key:
	// comments, and marks of features such as "delta.generationExpression".
	Metadata map[string]json.RawMessage
}

// New returns a struct of these fields.
func New(fields ...Field) *Struct { return &Struct{Fields: fields} }

// Column returns a nullable field without metadata, which is what nearly all
// columns are.
func Column(name string, t Type) Field { return Field{Name: name, Type: t, Nullable: true} }

func (s *Struct) String() string {
	var b strings.Builder
	b.WriteString("struct<")
	for i, f := range s.Fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(f.Name + ":" + f.Type.String())
	}
	b.WriteByte('>')
	return b.String()
}

func (s *Struct) text() any {
	fields := make([]fieldText, len(s.Fields))
	for i, f := range s.Fields {
		fields[i] = fieldText{Name: f.Name, Type: f.Type.text(), Nullable: f.Nullable, Metadata: f.Metadata}
		if f.Metadata == nil {
			fields[i].Metadata = map[string]json.RawMessage{}
		}
	}
	return structText{Type: "struct", Fields: fields}
}

// Field returns the column of that name. Names are compared without case, as
// Delta tables do.
func (s *Struct) Field(name string) (Field, bool) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, true
		}
	}
	for _, f := range s.Fields {
		if strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return Field{}, false
}

// Equal tells whether both have the same fields in the same order, with the
// same types and nullability. Metadata does not count.
func (s *Struct) Equal(o *Struct) bool { return Equal(s, o) }

// Equal tells whether two types are the same; the metadata of fields does not
// count.
func Equal(a, b Type) bool {
	switch a := a.(type) {
	case *Array:
		b, ok := b.(*Array)
		return ok && a.ContainsNull == b.ContainsNull && Equal(a.Element, b.Element)
	case *Map:
		b, ok := b.(*Map)
		return ok && a.ValueContainsNull == b.ValueContainsNull && Equal(a.Key, b.Key) && Equal(a.Value, b.Value)
	case *Struct:
		b, ok := b.(*Struct)
		return ok && slices.EqualFunc(a.Fields, b.Fields, func(x, y Field) bool {
			return x.Name == y.Name && x.Nullable == y.Nullable && Equal(x.Type, y.Type)
		})
	}
	return a == b
}

// With returns the struct with these columns added at its end, which is how a
// table's schema grows. A column that is there with the same type is left as it
// is, and new members of a struct that is there are added to it. It fails if a
// column is there with another type, or if a new one may not be null, as the
// rows that are there have no value for it.
func (s *Struct) With(columns ...Field) (*Struct, error) { return s.with("", columns) }

func (s *Struct) with(prefix string, columns []Field) (*Struct, error) {
	out := &Struct{Fields: slices.Clone(s.Fields)}
	for _, c := range columns {
		i := slices.IndexFunc(out.Fields, func(f Field) bool { return strings.EqualFold(f.Name, c.Name) })
		if i < 0 {
			if !c.Nullable {
				return nil, fmt.Errorf("column %s cannot be added: it may not be null, but the rows that are there have no value for it", prefix+c.Name)
			}
			out.Fields = append(out.Fields, c)
			continue
		}
		have := &out.Fields[i]
		in, ok1 := have.Type.(*Struct)
		more, ok2 := c.Type.(*Struct)
		switch {
		case ok1 && ok2:
			grown, err := in.with(prefix+c.Name+".", more.Fields)
			if err != nil {
				return nil, err
			}
			have.Type = grown
		case !Equal(have.Type, c.Type):
			return nil, fmt.Errorf("column %s is of type %s in the table, not %s", prefix+c.Name, have.Type, c.Type)
		}
	}
	return out, nil
}

// Leaf is a column that holds values itself, with the names that lead to it.
// Elements of arrays and maps count as one leaf, of their outermost array or
// map.
type Leaf struct {
	Path []string
	Type Type
	// Nullable tells whether it or a struct around it may be null.
	Nullable bool
}

// Leaves returns the columns that hold values, in the order of the schema.
func (s *Struct) Leaves() []Leaf {
	var out []Leaf
	var walk func(prefix []string, nullable bool, s *Struct)
	walk = func(prefix []string, nullable bool, s *Struct) {
		for _, f := range s.Fields {
			path := append(slices.Clone(prefix), f.Name)
			if in, ok := f.Type.(*Struct); ok {
				walk(path, nullable || f.Nullable, in)
				continue
			}
			out = append(out, Leaf{Path: path, Type: f.Type, Nullable: nullable || f.Nullable})
		}
	}
	walk(nil, false, s)
	return out
}

// Each calls fn for every field, at any depth, also below arrays and maps,
// outer ones first. The path is made of names, with "element", "key" and
// "value" for what has none.
func (s *Struct) Each(fn func(path []string, f Field)) {
	var walk func(path []string, t Type)
	walk = func(path []string, t Type) {
		switch t := t.(type) {
		case *Struct:
			for _, f := range t.Fields {
				p := append(slices.Clone(path), f.Name)
				fn(p, f)
				walk(p, f.Type)
			}
		case *Array:
			walk(append(slices.Clone(path), "element"), t.Element)
		case *Map:
			walk(append(slices.Clone(path), "key"), t.Key)
			walk(append(slices.Clone(path), "value"), t.Value)
		}
	}
	walk(nil, s)
}

// Check returns an error if no table can have this schema: no columns, a name
// that is empty or there twice (without case), or characters in a name that
// Parquet files of Delta tables may not have.
func (s *Struct) Check() error {
	if len(s.Fields) == 0 {
		return fmt.Errorf("a table needs a column at least")
	}
	var walk func(path string, t Type) error
	walk = func(path string, t Type) error {
		switch t := t.(type) {
		case *Array:
			return walk(path, t.Element)
		case *Map:
			if err := walk(path, t.Key); err != nil {
				return err
			}
			return walk(path, t.Value)
		case Decimal:
			if t.Precision < 1 || t.Precision > 38 || t.Scale < 0 || t.Scale > t.Precision {
				return fmt.Errorf("column %s: there is no type %s", strings.TrimSuffix(path, "."), t)
			}
		case *Struct:
			seen := map[string]string{}
			for _, f := range t.Fields {
				low := strings.ToLower(f.Name)
				if other, ok := seen[low]; ok {
					return fmt.Errorf("the columns %s and %s have the same name (upper and lower case do not count)", path+other, path+f.Name)
				}
				seen[low] = f.Name
				if f.Name == "" || strings.ContainsAny(f.Name, " ,;{}()\n\t=") {
					return fmt.Errorf("%q cannot be the name of a column: it is empty or contains one of \" ,;{}()=\", a tab or a line break", path+f.Name)
				}
				if f.Type == nil {
					return fmt.Errorf("column %s has no type", path+f.Name)
				}
				if err := walk(path+f.Name+".", f.Type); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return walk("", s)
}

// WithMetadata returns the field with one more entry of metadata; value is
// encoded as JSON.
func (f Field) WithMetadata(key string, value string) Field {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value) // a string always has a form
	f.Metadata = maps.Clone(f.Metadata)
	if f.Metadata == nil {
		f.Metadata = map[string]json.RawMessage{}
	}
	f.Metadata[key] = bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	return f
}

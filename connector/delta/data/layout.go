package data

import (
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"millrace/connector/delta/schema"
)

// layout is how a file holds the columns of a schema: the elements of its
// footer, and the leaves in their order.
type layout struct {
	elements []format.SchemaElement
	leaves   []*leaf
	// top are the columns, as trees.
	top []*node
}

// node is a column, a member of a struct, an array's element, or a map's key or
// value.
type node struct {
	name     string
	typ      schema.Type
	nullable bool
	// def and rep are the levels at which it is there (not null).
	def, rep uint8
	children []*node
	// leaf is nil if there are children.
	leaf *leaf
}

// leaf is a column of a file: the values of one primitive field.
type leaf struct {
	path []string
	typ  schema.Type
	// physical is the type of the values; length is the size of those of a
	// fixed one.
	physical format.Type
	length   int
	// def and rep are the largest levels.
	def, rep uint8
	// outer is the level from which on the array or map around the leaf,
	// the outermost one, is there; 0 if there is none.
	outer uint8
	index int
}

// newLayout lays out the columns of s that skip does not take away.
func newLayout(s *schema.Struct, skip func(name string) bool) (*layout, error) {
	l := &layout{elements: []format.SchemaElement{{Name: "schema"}}}
	for _, f := range s.Fields {
		if skip != nil && skip(f.Name) {
			continue
		}
		n, err := l.add(place{}, f.Name, f.Type, f.Nullable)
		if err != nil {
			return nil, err
		}
		l.top = append(l.top, n)
	}
	l.elements[0].NumChildren = new(int32(len(l.top)))
	return l, nil
}

// place is where in a tree a node goes.
type place struct {
	path     []string
	def, rep uint8
	outer    uint8
}

// maxLevel bounds how deep columns nest: levels are bytes, and so are those of
// the library that reads.
const maxLevel = 100

func (l *layout) add(at place, name string, t schema.Type, nullable bool) (*node, error) {
	at.path = append(at.path[:len(at.path):len(at.path)], name)
	repetition := format.Required
	if nullable {
		repetition = format.Optional
		at.def++
	}
	if at.def > maxLevel {
		return nil, fmt.Errorf("column %s nests too deep", at.path[0])
	}
	n := &node{name: name, typ: t, nullable: nullable, def: at.def, rep: at.rep}
	e := format.SchemaElement{Name: name, RepetitionType: &repetition}
	var err error
	switch t := t.(type) {
	case *schema.Struct:
		e.NumChildren = new(int32(len(t.Fields)))
		l.elements = append(l.elements, e)
		err = l.addFields(n, at, t)
	case *schema.Array:
		e.ConvertedType, e.LogicalType = new(deprecated.List), &format.LogicalType{List: &format.ListType{}}
		l.addRepeated(&at, e, "list", 1)
		err = n.adopt(l.add(at, "element", t.Element, t.ContainsNull))
	case *schema.Map:
		e.ConvertedType, e.LogicalType = new(deprecated.Map), &format.LogicalType{Map: &format.MapType{}}
		l.addRepeated(&at, e, "key_value", 2)
		if err = n.adopt(l.add(at, "key", t.Key, false)); err == nil {
			err = n.adopt(l.add(at, "value", t.Value, t.ValueContainsNull))
		}
	default:
		n.leaf = &leaf{path: at.path, typ: t, def: at.def, rep: at.rep, outer: at.outer, index: len(l.leaves)}
		if err := n.leaf.describe(&e); err != nil {
			return nil, err
		}
		l.leaves = append(l.leaves, n.leaf)
		l.elements = append(l.elements, e)
	}
	return n, err
}

func (l *layout) addFields(n *node, at place, s *schema.Struct) error {
	if len(s.Fields) == 0 {
		return fmt.Errorf("column %s is a struct without members, which a Parquet file cannot hold", at.path[0])
	}
	for _, f := range s.Fields {
		if err := n.adopt(l.add(at, f.Name, f.Type, f.Nullable)); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) adopt(child *node, err error) error {
	n.children = append(n.children, child)
	return err
}

// addRepeated adds the two groups of an array or a map.
func (l *layout) addRepeated(at *place, e format.SchemaElement, inner string, children int32) {
	e.NumChildren = new(int32(1))
	repeated := format.Repeated
	l.elements = append(l.elements, e, format.SchemaElement{Name: inner, RepetitionType: &repeated, NumChildren: &children})
	if at.rep == 0 {
		at.outer = at.def
	}
	at.path = append(at.path[:len(at.path):len(at.path)], inner)
	at.def++
	at.rep++
}

// describe sets the physical type, here and in the footer's element.
func (f *leaf) describe(e *format.SchemaElement) error {
	switch t := f.typ.(type) {
	case schema.Primitive:
		return f.describePrimitive(t, e)
	case schema.Decimal:
		switch {
		case t.Precision <= 9:
			f.physical = format.Int32
		case t.Precision <= 18:
			f.physical = format.Int64
		default:
			f.physical, f.length = format.FixedLenByteArray, decimalBytes(t.Precision)
			e.TypeLength = new(int32(f.length))
		}
		scale, precision := int32(t.Scale), int32(t.Precision)
		e.Type, e.Scale, e.Precision = &f.physical, &scale, &precision
		e.ConvertedType = new(deprecated.Decimal)
		e.LogicalType = &format.LogicalType{Decimal: &format.DecimalType{Scale: scale, Precision: precision}}
		return nil
	}
	return fmt.Errorf("column %s has the type %v, which no Parquet file can hold", f.path[0], f.typ)
}

func (f *leaf) describePrimitive(t schema.Primitive, e *format.SchemaElement) error {
	e.Type = &f.physical
	switch t {
	case schema.Boolean:
		f.physical = format.Boolean
	case schema.Byte, schema.Short, schema.Integer:
		f.physical = format.Int32
		if t == schema.Byte {
			e.ConvertedType = new(deprecated.Int8)
			e.LogicalType = &format.LogicalType{Integer: &format.IntType{BitWidth: 8, IsSigned: true}}
		} else if t == schema.Short {
			e.ConvertedType = new(deprecated.Int16)
			e.LogicalType = &format.LogicalType{Integer: &format.IntType{BitWidth: 16, IsSigned: true}}
		}
	case schema.Long:
		f.physical = format.Int64
	case schema.Float:
		f.physical = format.Float
	case schema.Double:
		f.physical = format.Double
	case schema.Binary:
		f.physical = format.ByteArray
	case schema.String:
		f.physical = format.ByteArray
		e.ConvertedType, e.LogicalType = new(deprecated.UTF8), &format.LogicalType{UTF8: &format.StringType{}}
	case schema.Date:
		f.physical = format.Int32
		e.ConvertedType, e.LogicalType = new(deprecated.Date), &format.LogicalType{Date: &format.DateType{}}
	case schema.Timestamp, schema.TimestampNTZ:
		f.physical = format.Int64
		utc := t == schema.Timestamp
		if utc {
			e.ConvertedType = new(deprecated.TimestampMicros)
		}
		e.LogicalType = &format.LogicalType{Timestamp: &format.TimestampType{IsAdjustedToUTC: utc,
			Unit: format.TimeUnit{Micros: &format.MicroSeconds{}}}}
	default:
		return fmt.Errorf("column %s has the type %s, which is not known here", f.path[0], t)
	}
	return nil
}

// decimalBytes is the size of the smallest integer that holds so many digits.
func decimalBytes(precision int) int {
	// A digit is 3.3219 bits; one more is for the sign.
	return (precision*33220+9999)/10000/8 + 1
}

package value

import (
	"fmt"
	"strings"
)

// ID names a type without its length. Types are in the order of precedence: of
// two operands the one with the lower type is converted to the other's.
type ID uint8

// The types, from the lowest precedence to the highest. Null is the type of
// the word NULL.
const (
	Null ID = iota
	Binary
	VarBinary
	Char
	VarChar
	NChar
	NVarChar
	GUID
	Bit
	TinyInt
	SmallInt
	Int
	BigInt
	SmallMoney
	Money
	Decimal
	Real
	Float
	Time
	Date
	SmallDateTime
	DateTime
	DateTime2
	DateTimeOffset
)

var names = [...]string{"NULL", "binary", "varbinary", "char", "varchar", "nchar", "nvarchar", "uniqueidentifier", "bit",
	"tinyint", "smallint", "int", "bigint", "smallmoney", "money", "decimal", "real", "float", "time", "date", "smalldatetime",
	"datetime", "datetime2", "datetimeoffset"}

// Max is the length of varchar(max), nvarchar(max) and varbinary(max).
const Max = -1

// Integer tells whether id is tinyint, smallint, int or bigint.
func (id ID) Integer() bool { return id >= TinyInt && id <= BigInt }

// Text tells whether id holds characters.
func (id ID) Text() bool { return id >= Char && id <= NVarChar }

// National tells whether id holds UTF-16.
func (id ID) National() bool { return id == NChar || id == NVarChar }

// Bytes tells whether id is binary or varbinary.
func (id ID) Bytes() bool { return id == Binary || id == VarBinary }

// Approximate tells whether id is real or float.
func (id ID) Approximate() bool { return id == Real || id == Float }

// Exact tells whether id is decimal or money: a number with a scale.
func (id ID) Exact() bool { return id >= SmallMoney && id <= Decimal }

// Number tells whether id can be computed with.
func (id ID) Number() bool { return id >= Bit && id <= Float }

// Temporal tells whether id is a date or a time.
func (id ID) Temporal() bool { return id >= Time }

// Type is a type with what its declaration says. It is a value; the zero Type
// is that of NULL.
type Type struct {
	ID ID
	// Length is in characters (bytes for char, varchar and binary), or Max.
	Length int
	// Precision and Scale are those of decimals; times have a scale only.
	Precision, Scale uint8
	// Collation of texts.
	Collation Collation
}

// Collation says how texts compare and how char and varchar are encoded. The
// zero value is the server's: case-insensitive, code page 1252.
type Collation uint8

// Properties of a Collation, to be combined.
const (
	BinaryOrder Collation = 1 << iota // compares code points
	CaseSensitive
	UTF8 // varchar holds UTF-8
)

// CollationNamed finds the properties in a collation's name.
func CollationNamed(name string) (Collation, bool) {
	upper := strings.ToUpper(name)
	if upper == "DATABASE_DEFAULT" {
		return 0, true
	}
	if !strings.HasPrefix(upper, "SQL_") && !strings.HasPrefix(upper, "LATIN1_") {
		return 0, false
	}
	var c Collation
	for _, part := range strings.Split(upper, "_") {
		switch part {
		case "BIN", "BIN2":
			c |= BinaryOrder
		case "CS":
			c |= CaseSensitive
		case "UTF8":
			c |= UTF8
		}
	}
	return c, true
}

// Name returns the type's name without its length.
func (t Type) Name() string { return names[t.ID] }

// String returns the type as a declaration writes it.
func (t Type) String() string {
	switch {
	case t.ID.Text() || t.ID.Bytes():
		if t.Length == Max {
			return t.Name() + "(max)"
		}
		return fmt.Sprintf("%s(%d)", t.Name(), t.Length)
	case t.ID == Decimal:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case t.ID == Time || t.ID == DateTime2 || t.ID == DateTimeOffset:
		return fmt.Sprintf("%s(%d)", t.Name(), t.Scale)
	}
	return t.Name()
}

// Of returns a type that needs no length; those that do get the longest.
func Of(id ID) Type {
	t := Type{ID: id}
	switch id {
	case Char, VarChar, Binary, VarBinary:
		t.Length = 8000
	case NChar, NVarChar:
		t.Length = 4000
	case Decimal:
		t.Precision, t.Scale = 18, 0
	case SmallMoney, Money:
		t.Scale = 4
	case Time, DateTime2, DateTimeOffset:
		t.Scale = 7
	}
	return t
}

// Declared makes the type that a declaration names, as in varchar(10). Args
// are its numbers, Max for the word max.
func Declared(name string, args []int) (Type, *Error) {
	name = strings.ToLower(name)
	switch name {
	case "numeric", "dec":
		name = "decimal"
	case "integer":
		name = "int"
	case "double precision":
		name = "float"
	case "rowversion", "timestamp", "text", "ntext", "image", "xml", "sql_variant", "json", "vector", "geography", "geometry", "hierarchyid":
		return Type{}, Errorf(40517, "Type '%s' is not supported by this test server.", name)
	case "sysname":
		return Type{ID: NVarChar, Length: 128}, nil
	}
	for i, n := range names {
		if i > 0 && n == name {
			return declared(ID(i), args)
		}
	}
	return Type{}, Errorf(2715, "Column, parameter, or variable: Cannot find data type %s.", name)
}

func declared(id ID, args []int) (Type, *Error) {
	t := Of(id)
	arg := func(i, otherwise int) int {
		if i < len(args) {
			return args[i]
		}
		return otherwise
	}
	switch {
	case id.Text() || id.Bytes():
		most := 8000
		if id.National() {
			most = 4000
		}
		t.Length = arg(0, 1)
		if t.Length == Max && (id == VarChar || id == NVarChar || id == VarBinary) {
			return t, nil
		}
		if t.Length < 1 || t.Length > most {
			return t, Errorf(131, "The size (%d) given to the type '%s' exceeds the maximum allowed for any data type (%d).", t.Length, t.Name(), most)
		}
	case id == Decimal:
		p, s := arg(0, 18), arg(1, 0)
		if p < 1 || p > 38 || s < 0 || s > p {
			return t, Errorf(192, "The scale must be less than or equal to the precision.")
		}
		t.Precision, t.Scale = uint8(p), uint8(s)
	case id == Time || id == DateTime2 || id == DateTimeOffset:
		s := arg(0, 7)
		if s < 0 || s > 7 {
			return t, Errorf(1002, "Line 1: Specified scale %d is invalid.", s)
		}
		t.Scale = uint8(s)
	case id == Float:
		if p := arg(0, 53); p < 1 || p > 53 {
			return t, Errorf(2750, "Column or parameter #1: Specified column precision %d is greater than the maximum precision of 53.", p)
		} else if p <= 24 {
			t.ID = Real
		}
	}
	return t, nil
}

// Wider returns the type that values of both types can be brought to: that of
// a UNION's column, of CASE, of a comparison.
func Wider(a, b Type) Type {
	if a.ID < b.ID {
		a, b = b, a
	}
	if b.ID == Null {
		return a
	}
	switch {
	case a.ID.Text() && b.ID.Text(), a.ID.Bytes() && b.ID.Bytes():
		if a.Length == Max || b.Length == Max {
			a.Length = Max
		} else {
			a.Length = max(a.Length, b.Length)
		}
		a.Length = clampLength(a)
		a.Collation |= b.Collation
	case a.ID == Decimal && (b.ID.Exact() || b.ID.Integer() || b.ID == Bit):
		b = b.asDecimal()
		scale := max(a.Scale, b.Scale)
		whole := max(a.Precision-a.Scale, b.Precision-b.Scale)
		a.Scale, a.Precision = scale, min(38, whole+scale)
	case a.ID == b.ID:
		a.Scale = max(a.Scale, b.Scale)
	}
	return a
}

func clampLength(t Type) int {
	if t.ID.National() && t.Length > 4000 {
		return 4000
	}
	return t.Length
}

// asDecimal returns the decimal type that holds every value of an exact type.
func (t Type) asDecimal() Type {
	p := uint8(0)
	switch t.ID {
	case Decimal:
		return t
	case Bit:
		p = 1
	case TinyInt:
		p = 3
	case SmallInt:
		p = 5
	case Int:
		p = 10
	case BigInt:
		p = 19
	case SmallMoney:
		return Type{ID: Decimal, Precision: 10, Scale: 4}
	case Money:
		return Type{ID: Decimal, Precision: 19, Scale: 4}
	default:
		return Type{ID: Decimal, Precision: 38, Scale: 8}
	}
	return Type{ID: Decimal, Precision: p}
}

package tds

import (
	"encoding/binary"

	"millrace/connector/sqldb/local/value"
)

// Types on the wire.
const (
	typeNull       = 0x1F
	typeInt1       = 0x30
	typeBit        = 0x32
	typeInt2       = 0x34
	typeInt4       = 0x38
	typeDateTime4  = 0x3A
	typeFloat4     = 0x3B
	typeMoney      = 0x3C
	typeDateTime   = 0x3D
	typeFloat8     = 0x3E
	typeMoney4     = 0x7A
	typeInt8       = 0x7F
	typeGUID       = 0x24
	typeIntN       = 0x26
	typeDate       = 0x28
	typeTime       = 0x29
	typeDateTime2  = 0x2A
	typeDateTimeO  = 0x2B
	typeBitN       = 0x68
	typeDecimal    = 0x6A
	typeNumeric    = 0x6C
	typeFloatN     = 0x6D
	typeMoneyN     = 0x6E
	typeDateTimeN  = 0x6F
	typeVarBinary  = 0xA5
	typeVarChar    = 0xA7
	typeBinary     = 0xAD
	typeChar       = 0xAF
	typeNVarChar   = 0xE7
	typeNChar      = 0xEF
	typeTable      = 0xF3
	maxLengthOnRow = 0xFFFF // the length of max types, and of NULL
)

// column is a type as the wire describes it.
type column struct {
	id   byte
	size int // of fixed types and those with a maximum, as sent
	plp  bool
	name string
	typ  value.Type
}

var fixedTypes = map[byte]struct {
	size int
	id   value.ID
}{
	typeInt1: {1, value.TinyInt}, typeBit: {1, value.Bit}, typeInt2: {2, value.SmallInt}, typeInt4: {4, value.Int},
	typeInt8: {8, value.BigInt}, typeFloat4: {4, value.Real}, typeFloat8: {8, value.Float}, typeMoney: {8, value.Money},
	typeMoney4: {4, value.SmallMoney}, typeDateTime: {8, value.DateTime}, typeDateTime4: {4, value.SmallDateTime},
}

// sizedTypes are those whose size says which they are.
var sizedTypes = map[byte]map[int]value.ID{
	typeIntN:      {1: value.TinyInt, 2: value.SmallInt, 4: value.Int, 8: value.BigInt},
	typeFloatN:    {4: value.Real, 8: value.Float},
	typeBitN:      {1: value.Bit},
	typeMoneyN:    {4: value.SmallMoney, 8: value.Money},
	typeDateTimeN: {4: value.SmallDateTime, 8: value.DateTime},
	typeGUID:      {16: value.GUID},
}

var longTypes = map[byte]value.ID{
	typeVarBinary: value.VarBinary, typeBinary: value.Binary, typeVarChar: value.VarChar, typeChar: value.Char,
	typeNVarChar: value.NVarChar, typeNChar: value.NChar,
}

var scaledTypes = map[byte]value.ID{typeTime: value.Time, typeDateTime2: value.DateTime2, typeDateTimeO: value.DateTimeOffset}

// typeInfo reads a TYPE_INFO.
func (m *message) typeInfo() column {
	c := column{id: m.u8()}
	if f, ok := fixedTypes[c.id]; ok {
		c.size, c.typ = f.size, value.Of(f.id)
		return c
	}
	if bySize, ok := sizedTypes[c.id]; ok {
		c.size = int(m.u8())
		id, ok := bySize[c.size]
		if !ok && m.err == nil {
			m.fail(protocolErrorf("type %#x of %d bytes", c.id, c.size))
		}
		c.typ = value.Of(id)
		return c
	}
	if id, ok := scaledTypes[c.id]; ok {
		c.typ = value.Of(id)
		if c.typ.Scale = m.u8(); c.typ.Scale > 7 {
			m.fail(protocolErrorf("type %#x with a scale of %d", c.id, c.typ.Scale))
		}
		return c
	}
	if id, ok := longTypes[c.id]; ok {
		return m.longType(c, id)
	}
	switch c.id {
	case typeNull:
	case typeDate:
		c.typ = value.Of(value.Date)
	case typeDecimal, typeNumeric:
		c.size = int(m.u8())
		c.typ = value.Type{ID: value.Decimal, Precision: m.u8(), Scale: m.u8()}
		if c.typ.Precision < 1 || c.typ.Precision > 38 || c.typ.Scale > c.typ.Precision {
			m.fail(protocolErrorf("a decimal(%d,%d)", c.typ.Precision, c.typ.Scale))
		}
	default:
		m.fail(protocolErrorf("values of type %#x are not supported", c.id))
	}
	return c
}

func (m *message) longType(c column, id value.ID) column {
	c.size = int(m.u16())
	c.typ = value.Type{ID: id, Length: c.size}
	if id.Text() {
		c.typ.Collation = parseCollation(m.bytes(5))
	}
	switch {
	case c.size == maxLengthOnRow && (c.id == typeVarBinary || c.id == typeVarChar || c.id == typeNVarChar):
		c.plp, c.typ.Length = true, value.Max
	case c.size > 8000:
		m.fail(protocolErrorf("type %#x of %d bytes", c.id, c.size))
	case id.National():
		c.typ.Length = c.size / 2
	}
	return c
}

// Bits of a collation.
const (
	collationUTF8    = 1 << 26
	collationBinary  = 1<<24 | 1<<25
	collationBinary2 = 1 << 25
	collationNoCase  = 1 << 20
)

// serverCollation is SQL_Latin1_General_CP1_CI_AS.
var serverCollation = [5]byte{0x09, 0x04, 0xD0, 0x00, 0x34}

func parseCollation(b []byte) value.Collation {
	n := binary.LittleEndian.Uint32(b)
	var c value.Collation
	if n&collationUTF8 != 0 {
		c |= value.UTF8
	}
	switch {
	case n&collationBinary != 0:
		c |= value.BinaryOrder
	case n != 0 && n&collationNoCase == 0:
		c |= value.CaseSensitive
	}
	return c
}

func appendCollation(buf []byte, c value.Collation) []byte {
	if c == 0 {
		return append(buf, serverCollation[:]...)
	}
	n := uint32(0x0409)
	switch {
	case c&value.BinaryOrder != 0:
		n |= collationBinary2
	case c&value.CaseSensitive != 0:
		n |= 0xC << 20
	default:
		n |= 0xD << 20
	}
	if c&value.UTF8 != 0 {
		n |= collationUTF8
	}
	return append(binary.LittleEndian.AppendUint32(buf, n), 0)
}

// appendTypeInfo describes a type as the server announces it: always one that
// can be NULL.
func appendTypeInfo(buf []byte, t value.Type) []byte {
	switch t.ID {
	case value.Null, value.Int:
		return append(buf, typeIntN, 4)
	case value.Bit:
		return append(buf, typeBitN, 1)
	case value.TinyInt:
		return append(buf, typeIntN, 1)
	case value.SmallInt:
		return append(buf, typeIntN, 2)
	case value.BigInt:
		return append(buf, typeIntN, 8)
	case value.Real:
		return append(buf, typeFloatN, 4)
	case value.Float:
		return append(buf, typeFloatN, 8)
	case value.SmallMoney:
		return append(buf, typeMoneyN, 4)
	case value.Money:
		return append(buf, typeMoneyN, 8)
	case value.Decimal:
		return append(buf, typeNumeric, decimalSize(t.Precision), t.Precision, t.Scale)
	case value.GUID:
		return append(buf, typeGUID, 16)
	case value.Date:
		return append(buf, typeDate)
	case value.Time:
		return append(buf, typeTime, t.Scale)
	case value.DateTime2:
		return append(buf, typeDateTime2, t.Scale)
	case value.DateTimeOffset:
		return append(buf, typeDateTimeO, t.Scale)
	case value.DateTime:
		return append(buf, typeDateTimeN, 8)
	case value.SmallDateTime:
		return append(buf, typeDateTimeN, 4)
	}
	for wire, id := range longTypes {
		if id == t.ID {
			buf = append(buf, wire)
			break
		}
	}
	size := t.Length
	if t.ID.National() {
		size *= 2
	}
	if t.Length == value.Max {
		size = maxLengthOnRow
	}
	buf = binary.LittleEndian.AppendUint16(buf, uint16(size))
	if t.ID.Text() {
		buf = appendCollation(buf, t.Collation)
	}
	return buf
}

// decimalSize is a decimal's length on the wire, its sign included.
func decimalSize(precision uint8) byte {
	switch {
	case precision <= 9:
		return 5
	case precision <= 19:
		return 9
	case precision <= 28:
		return 13
	}
	return 17
}

package tds

import (
	"encoding/binary"
	"math"
	"math/big"

	"millrace/connector/sqldb/local/value"
)

const (
	days1900    = 693595 // from 0001-01-01
	ticksPerDay = 24 * 3600 * 10_000_000
	ticksPerMin = 60 * 10_000_000
	plpNull     = math.MaxUint64
	plpUnknown  = math.MaxUint64 - 1
	// maxValue bounds one value; SQL Server's own limit is 2 GB.
	maxValue = 64 << 20
)

// value reads a value of column c. arena takes the bytes of texts; the caller
// turns it into one string for a whole row.
func (m *message) value(c *column, arena *arena) value.Value {
	if f, ok := fixedOf(c.id); ok {
		return m.sized(c, f)
	}
	if c.typ.ID == value.Null {
		return value.Value{}
	}
	if c.plp {
		return m.chunked(c, arena)
	}
	if c.typ.ID.Text() || c.typ.ID.Bytes() {
		n := int(m.u16())
		if n == maxLengthOnRow {
			return value.Value{}
		}
		if n > c.size && m.kind == packBulk && n <= 8000 {
			m.long = true // told when the row is complete
		} else if n > c.size || c.typ.ID.National() && n%2 != 0 {
			m.fail(protocolErrorf("%d bytes in a %s", n, c.typ))
			return value.Value{}
		}
		start := len(arena.buf)
		arena.text(m.bytes(n), c.typ)
		return arena.add(start)
	}
	n := int(m.u8())
	if n == 0 {
		return value.Value{}
	}
	return m.sized(c, n)
}

func fixedOf(id byte) (int, bool) {
	switch id {
	case typeInt1, typeBit:
		return 1, true
	case typeInt2:
		return 2, true
	case typeInt4, typeFloat4, typeMoney4, typeDateTime4:
		return 4, true
	case typeInt8, typeFloat8, typeMoney, typeDateTime:
		return 8, true
	}
	return 0, false
}

// sized reads n bytes of a type that is not a text.
func (m *message) sized(c *column, n int) value.Value {
	wrong := func() value.Value {
		m.fail(protocolErrorf("%d bytes in a %s", n, c.typ))
		return value.Value{}
	}
	b := m.bytes(n)
	switch t := c.typ; {
	case t.ID.Integer() || t.ID == value.Bit:
		if n != c.size {
			return wrong()
		}
		switch n {
		case 1:
			if t.ID == value.Bit {
				return value.FromBool(b[0] != 0)
			}
			return value.FromInt(int64(b[0]))
		case 2:
			return value.FromInt(int64(int16(binary.LittleEndian.Uint16(b))))
		case 4:
			return value.FromInt(int64(int32(binary.LittleEndian.Uint32(b))))
		}
		return value.FromInt(int64(binary.LittleEndian.Uint64(b)))
	case t.ID.Approximate():
		switch {
		case n != c.size:
			return wrong()
		case n == 4:
			return value.FromFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		}
		return value.FromFloat(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case t.ID.Exact():
		return m.exact(c, b)
	case t.ID == value.GUID:
		if n != 16 {
			return wrong()
		}
		return value.FromString(string(b))
	}
	return m.temporal(c, b)
}

func (m *message) exact(c *column, b []byte) value.Value {
	if c.typ.ID != value.Decimal {
		switch {
		case len(b) != c.size:
		case len(b) == 4:
			return value.FromUnscaled(big.NewInt(int64(int32(binary.LittleEndian.Uint32(b)))))
		case len(b) == 8: // the high half comes first
			return value.FromUnscaled(big.NewInt(int64(binary.LittleEndian.Uint32(b))<<32 | int64(binary.LittleEndian.Uint32(b[4:]))))
		}
		m.fail(protocolErrorf("%d bytes in a %s", len(b), c.typ))
		return value.Value{}
	}
	if len(b) < 2 || len(b) > 17 {
		m.fail(protocolErrorf("%d bytes in a %s", len(b), c.typ))
		return value.Value{}
	}
	magnitude := make([]byte, len(b)-1)
	for i, x := range b[1:] {
		magnitude[len(magnitude)-1-i] = x
	}
	n := new(big.Int).SetBytes(magnitude)
	if len(n.Text(10)) > int(c.typ.Precision) && n.Sign() != 0 {
		m.fail(protocolErrorf("a number that is too long for a %s", c.typ))
		return value.Value{}
	}
	if b[0] == 0 {
		n.Neg(n)
	}
	return value.FromUnscaled(n)
}

// clockSize is the length of a time of the scale.
func clockSize(scale uint8) int {
	switch {
	case scale <= 2:
		return 3
	case scale <= 4:
		return 4
	}
	return 5
}

func (m *message) temporal(c *column, b []byte) value.Value {
	t := c.typ
	clock := clockSize(t.Scale)
	size := map[value.ID]int{value.Date: 3, value.Time: clock, value.DateTime2: clock + 3, value.DateTimeOffset: clock + 5,
		value.DateTime: 8, value.SmallDateTime: 4}[t.ID]
	if len(b) != size {
		m.fail(protocolErrorf("%d bytes in a %s", len(b), t))
		return value.Value{}
	}
	var ticks int64
	switch t.ID {
	case value.Date:
		return m.inRange(value.FromDays(days(b)), t)
	case value.DateTime:
		ticks = (int64(int32(binary.LittleEndian.Uint32(b)))+days1900)*ticksPerDay + int64(binary.LittleEndian.Uint32(b[4:]))*10_000_000/300
		return m.inRange(value.FromTicks(ticks), t)
	case value.SmallDateTime:
		ticks = (int64(binary.LittleEndian.Uint16(b))+days1900)*ticksPerDay + int64(binary.LittleEndian.Uint16(b[2:]))*ticksPerMin
		return m.inRange(value.FromTicks(ticks), t)
	}
	for i := clock - 1; i >= 0; i-- {
		ticks = ticks<<8 | int64(b[i])
	}
	for s := t.Scale; s < 7; s++ {
		ticks *= 10
	}
	if ticks >= ticksPerDay {
		m.fail(protocolErrorf("a time beyond the end of the day"))
		return value.Value{}
	}
	b = b[clock:]
	switch t.ID {
	case value.Time:
		return value.FromTicks(ticks)
	case value.DateTime2:
		return m.inRange(value.FromTicks(days(b)*ticksPerDay+ticks), t)
	}
	offset := int16(binary.LittleEndian.Uint16(b[3:]))
	if offset < -14*60 || offset > 14*60 {
		m.fail(protocolErrorf("a time zone %d minutes off", offset))
	}
	return m.inRange(value.FromOffset(days(b)*ticksPerDay+ticks, offset), t)
}

func days(b []byte) int64 { return int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16 }

func (m *message) inRange(v value.Value, t value.Type) value.Value {
	const last = 3652058 // 9999-12-31
	n := v.Ticks()
	if t.ID != value.Date {
		n /= ticksPerDay
	}
	if v.Ticks() < 0 || n > last {
		m.fail(protocolErrorf("a %s beyond the year 9999", t.Name()))
		return value.Value{}
	}
	return v
}

// chunked reads a value of a max type.
func (m *message) chunked(c *column, arena *arena) value.Value {
	total := m.u64()
	if total == plpNull {
		return value.Value{}
	}
	arena.raw = arena.raw[:0]
	for m.err == nil {
		n := int(m.u32())
		if n == 0 {
			break
		}
		if len(arena.raw)+n > maxValue {
			m.fail(protocolErrorf("a value of more than %d bytes", maxValue))
			return value.Value{}
		}
		arena.raw = m.appendBytes(arena.raw, n)
	}
	if total != plpUnknown && total != uint64(len(arena.raw)) && m.err == nil {
		m.fail(protocolErrorf("a value of %d bytes that was announced with %d", len(arena.raw), total))
	}
	if c.typ.ID.National() && len(arena.raw)%2 != 0 {
		m.fail(protocolErrorf("%d bytes in a %s", len(arena.raw), c.typ))
	}
	if m.err != nil {
		return value.Value{}
	}
	start := len(arena.buf)
	arena.text(arena.raw, c.typ)
	return arena.add(start)
}

// arena collects the texts of one row, so that they become one string.
type arena struct {
	buf, raw []byte
	spans    []span
}

type span struct{ start, end int }

func (a *arena) text(b []byte, t value.Type) {
	switch {
	case t.ID.National():
		a.buf = value.AppendUTF8(a.buf, b)
	case t.ID.Text() && t.Collation&value.UTF8 == 0:
		a.buf = append(a.buf, value.DecodeNarrow(b, t.Collation)...)
	default:
		a.buf = append(a.buf, b...)
	}
}

// add notes a text; its value says which one it is until strings puts the text
// in its place.
func (a *arena) add(start int) value.Value {
	a.spans = append(a.spans, span{start, len(a.buf)})
	return value.Pending(len(a.spans) - 1)
}

// strings completes the values of a row and makes the arena ready for the
// next.
func (a *arena) strings(row []value.Value) {
	if len(a.spans) > 0 {
		all := string(a.buf)
		for i, v := range row {
			if n, ok := v.IsPending(); ok {
				row[i] = value.FromString(all[a.spans[n].start:a.spans[n].end])
			}
		}
	}
	a.buf, a.spans = a.buf[:0], a.spans[:0]
	if cap(a.raw) > 1<<20 {
		a.buf, a.raw = nil, nil
	}
}

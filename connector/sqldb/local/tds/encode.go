package tds

import (
	"encoding/binary"
	"math"
	"math/big"

	"millrace/connector/sqldb/local/value"
)

// appendValue writes a value as the type that appendTypeInfo announced.
func appendValue(buf []byte, v value.Value, t value.Type) []byte {
	if v.IsNull() {
		switch {
		case (t.ID.Text() || t.ID.Bytes()) && t.Length == value.Max:
			return binary.LittleEndian.AppendUint64(buf, plpNull)
		case t.ID.Text() || t.ID.Bytes():
			return append(buf, 0xFF, 0xFF)
		}
		return append(buf, 0)
	}
	switch {
	case t.ID.Text() || t.ID.Bytes():
		return appendLong(buf, v, t)
	case t.ID == value.GUID:
		return append(append(buf, 16), v.Text()...)
	case t.ID.Exact():
		return appendExact(buf, v, t)
	case t.ID.Temporal():
		return appendTemporal(buf, v, t)
	case t.ID == value.Real:
		return binary.LittleEndian.AppendUint32(append(buf, 4), math.Float32bits(float32(v.Float())))
	case t.ID == value.Float:
		return binary.LittleEndian.AppendUint64(append(buf, 8), math.Float64bits(v.Float()))
	}
	n := v.Int()
	switch t.ID {
	case value.Bit, value.TinyInt:
		return append(buf, 1, byte(n))
	case value.SmallInt:
		return binary.LittleEndian.AppendUint16(append(buf, 2), uint16(n))
	case value.BigInt:
		return binary.LittleEndian.AppendUint64(append(buf, 8), uint64(n))
	}
	return binary.LittleEndian.AppendUint32(append(buf, 4), uint32(n))
}

func appendLong(buf []byte, v value.Value, t value.Type) []byte {
	body := func(b []byte) []byte {
		switch {
		case t.ID.National():
			return value.AppendUTF16(b, v.Text())
		case t.ID.Text():
			return value.AppendNarrow(b, v.Text(), t.Collation)
		}
		return append(b, v.Text()...)
	}
	at := len(buf)
	if t.Length != value.Max {
		buf = body(append(buf, 0, 0))
		binary.LittleEndian.PutUint16(buf[at:], uint16(len(buf)-at-2))
		return buf
	}
	buf = binary.LittleEndian.AppendUint64(buf, plpUnknown)
	buf = body(append(buf, 0, 0, 0, 0))
	n := len(buf) - at - 12
	binary.LittleEndian.PutUint64(buf[at:], uint64(n))
	binary.LittleEndian.PutUint32(buf[at+8:], uint32(n))
	if n == 0 { // the empty chunk is the end itself
		return buf
	}
	return append(buf, 0, 0, 0, 0)
}

func appendExact(buf []byte, v value.Value, t value.Type) []byte {
	n := v.Unscaled()
	switch t.ID {
	case value.SmallMoney:
		return binary.LittleEndian.AppendUint32(append(buf, 4), uint32(n.Int64()))
	case value.Money: // the high half first
		buf = binary.LittleEndian.AppendUint32(append(buf, 8), uint32(n.Int64()>>32))
		return binary.LittleEndian.AppendUint32(buf, uint32(n.Int64()))
	}
	size := decimalSize(t.Precision)
	sign := byte(1)
	if n.Sign() < 0 {
		sign = 0
	}
	buf = append(buf, size, sign)
	magnitude := new(big.Int).Abs(n).FillBytes(make([]byte, size-1))
	for i := len(magnitude) - 1; i >= 0; i-- {
		buf = append(buf, magnitude[i])
	}
	return buf
}

func appendTemporal(buf []byte, v value.Value, t value.Type) []byte {
	ticks := v.Ticks()
	switch t.ID {
	case value.Date:
		return append(buf, 3, byte(ticks), byte(ticks>>8), byte(ticks>>16))
	case value.DateTime:
		day, rest := ticks/ticksPerDay-days1900, ticks%ticksPerDay
		buf = binary.LittleEndian.AppendUint32(append(buf, 8), uint32(day))
		return binary.LittleEndian.AppendUint32(buf, uint32((rest*300+5_000_000)/10_000_000))
	case value.SmallDateTime:
		buf = binary.LittleEndian.AppendUint16(append(buf, 4), uint16(ticks/ticksPerDay-days1900))
		return binary.LittleEndian.AppendUint16(buf, uint16(ticks%ticksPerDay/ticksPerMin))
	}
	size := clockSize(t.Scale)
	day, clock := ticks/ticksPerDay, ticks%ticksPerDay
	for s := t.Scale; s < 7; s++ {
		clock /= 10
	}
	total := size
	switch t.ID {
	case value.DateTime2:
		total += 3
	case value.DateTimeOffset:
		total += 5
	}
	buf = append(buf, byte(total))
	for range size {
		buf = append(buf, byte(clock))
		clock >>= 8
	}
	if t.ID == value.Time {
		return buf
	}
	buf = append(buf, byte(day), byte(day>>8), byte(day>>16))
	if t.ID == value.DateTimeOffset {
		buf = binary.LittleEndian.AppendUint16(buf, uint16(v.Offset()))
	}
	return buf
}

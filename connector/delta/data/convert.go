package data

import (
	"fmt"
	"math"
	"math/big"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"millrace/connector/delta/schema"
)

// cell is one value of a column: integers and times as they are, floating point
// numbers as the bits of a double, booleans as 0 or 1 in bits; texts, binary
// values and long decimals in bytes, which belong to the page they are on.
type cell struct {
	bits  uint64
	bytes []byte
}

func (c *cell) int() int64        { return int64(c.bits) }
func (c *cell) double() float64   { return math.Float64frombits(c.bits) }
func (c *cell) setInt(v int64)    { c.bits = uint64(v) }
func doubleBits(f float64) uint64 { return math.Float64bits(f) }

// conversion returns what makes values of a file's type those of a leaf; nil if
// they are already.
func conversion(have parquet.Type, f *leaf) (func(*cell) error, error) {
	if have.LogicalType() != nil && have.LogicalType().Unknown != nil {
		return nil, nil // all values are null
	}
	wrong := func() (func(*cell) error, error) {
		return nil, fmt.Errorf("column %s: the table has %s, but the file has %s", f.path[0], f.typ, have)
	}
	if d, ok := f.typ.(schema.Decimal); ok {
		convert, ok := decimalConversion(have, f, d)
		if !ok {
			return wrong()
		}
		return convert, nil
	}
	kind := have.Kind()
	logical := have.LogicalType()
	switch f.typ {
	case schema.Boolean:
		if kind == parquet.Boolean {
			return nil, nil
		}
	case schema.String, schema.Binary:
		if kind == parquet.ByteArray || kind == parquet.FixedLenByteArray {
			return nil, nil
		}
	case schema.Float:
		if kind == parquet.Float {
			return nil, nil
		}
	case schema.Double:
		return doubleConversion(kind, logical, wrong)
	case schema.Byte, schema.Short, schema.Integer, schema.Long:
		return integerConversion(kind, logical, f.typ, wrong)
	case schema.Date:
		if kind == parquet.Int32 && logical != nil && logical.Date != nil {
			return nil, nil
		}
	case schema.Timestamp, schema.TimestampNTZ:
		return timeConversion(kind, logical, wrong)
	}
	return wrong()
}

// plainInteger tells whether numbers are what they look like: no dates, decimals
// or the like.
func plainInteger(l *format.LogicalType) bool { return l == nil || l.Integer != nil }

func doubleConversion(kind parquet.Kind, l *format.LogicalType, wrong func() (func(*cell) error, error)) (func(*cell) error, error) {
	switch {
	case kind == parquet.Double, kind == parquet.Float:
		return nil, nil
	case kind == parquet.Int32 && plainInteger(l):
		return func(c *cell) error {
			c.bits = doubleBits(float64(c.int()))
			return nil
		}, nil
	}
	return wrong()
}

// integerConversion accepts narrower integers, as tables whose columns were
// widened have them, and refuses values that do not fit.
func integerConversion(kind parquet.Kind, l *format.LogicalType, want schema.Type, wrong func() (func(*cell) error, error)) (func(*cell) error, error) {
	if kind != parquet.Int32 && kind != parquet.Int64 || !plainInteger(l) {
		return wrong()
	}
	bits := 64
	unsigned := false
	if l != nil {
		bits, unsigned = int(l.Integer.BitWidth), !l.Integer.IsSigned
	} else if kind == parquet.Int32 {
		bits = 32
	}
	if unsigned {
		bits++
	}
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	size := 64
	switch want {
	case schema.Byte:
		low, high, size = math.MinInt8, math.MaxInt8, 8
	case schema.Short:
		low, high, size = math.MinInt16, math.MaxInt16, 16
	case schema.Integer:
		low, high, size = math.MinInt32, math.MaxInt32, 32
	}
	if bits <= size && !unsigned {
		return nil, nil
	}
	return func(c *cell) error {
		v := c.int()
		if unsigned && kind == parquet.Int32 {
			v = int64(uint32(v))
		}
		if v < low || v > high || unsigned && v < 0 {
			return fmt.Errorf("%d does not fit a column of type %s", v, want)
		}
		c.setInt(v)
		return nil
	}, nil
}

func timeConversion(kind parquet.Kind, l *format.LogicalType, wrong func() (func(*cell) error, error)) (func(*cell) error, error) {
	if kind == parquet.Int96 {
		return nil, nil // read as microseconds already
	}
	if kind != parquet.Int64 || l == nil || l.Timestamp == nil {
		return wrong()
	}
	switch unit := l.Timestamp.Unit; {
	case unit.Micros != nil:
		return nil, nil
	case unit.Millis != nil:
		return func(c *cell) error {
			v := c.int()
			if v > math.MaxInt64/microsPerMilli || v < math.MinInt64/microsPerMilli {
				return fmt.Errorf("the time of %d milliseconds is out of range", v)
			}
			c.setInt(v * microsPerMilli)
			return nil
		}, nil
	case unit.Nanos != nil:
		return func(c *cell) error {
			c.setInt(floorDiv(c.int(), 1000))
			return nil
		}, nil
	}
	return wrong()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// int96Micros reads the time that Spark and Hive write as 96 bits: nanoseconds
// of the day, then the Julian day.
func int96Micros(v deprecated.Int96) int64 {
	const unixDay = 2440588
	nanos := int64(uint64(v[1])<<32 | uint64(v[0]))
	return (int64(int32(v[2]))-unixDay)*microsPerDay + floorDiv(nanos, 1000)
}

// decimalConversion makes an unscaled number of any physical form one of the
// leaf's.
func decimalConversion(have parquet.Type, f *leaf, want schema.Decimal) (func(*cell) error, bool) {
	l := have.LogicalType()
	if l == nil || l.Decimal == nil {
		return nil, false
	}
	if int(l.Decimal.Scale) > want.Scale || int(l.Decimal.Precision)-int(l.Decimal.Scale) > want.Precision-want.Scale {
		return nil, false
	}
	inBytes := have.Kind() == parquet.ByteArray || have.Kind() == parquet.FixedLenByteArray
	grow := want.Scale - int(l.Decimal.Scale)
	if grow == 0 {
		switch {
		case !inBytes && f.length == 0:
			return nil, true
		case inBytes && f.length == 0:
			return bytesToInt, true
		case inBytes && have.Kind() == parquet.FixedLenByteArray && have.Length() == f.length:
			return nil, true
		}
	}
	factor := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(grow)), nil)
	return func(c *cell) error {
		n := big.NewInt(c.int())
		if inBytes {
			n = bigInt(c.bytes)
		}
		n.Mul(n, factor)
		if f.length == 0 {
			if !n.IsInt64() {
				return fmt.Errorf("the number %s does not fit a column of type %s", n, want)
			}
			c.bits, c.bytes = uint64(n.Int64()), nil
			return nil
		}
		b, ok := bigBytes(n, f.length)
		c.bytes = b
		if !ok {
			return fmt.Errorf("the number %s does not fit a column of type %s", n, want)
		}
		return nil
	}, true
}

// bytesToInt reads a two's complement number that fits 64 bits.
func bytesToInt(c *cell) error {
	b := c.bytes
	n := int64(0)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n = -1
	}
	for i, x := range b {
		if i+8 < len(b) && int64(int8(x)) != n {
			return fmt.Errorf("the number %s does not fit its column", bigInt(b))
		}
		n = n<<8 | int64(x)
	}
	if len(b) > 8 && (n < 0) != (b[0]&0x80 != 0) {
		return fmt.Errorf("the number %s does not fit its column", bigInt(b))
	}
	c.bits, c.bytes = uint64(n), nil
	return nil
}

// bigBytes writes a number as two's complement of so many bytes.
func bigBytes(n *big.Int, size int) ([]byte, bool) {
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
		if n.Sign() < 0 || n.BitLen() < 8*size {
			return nil, false
		}
	} else if n.BitLen() >= 8*size {
		return nil, false
	}
	return n.FillBytes(make([]byte, size)), true
}

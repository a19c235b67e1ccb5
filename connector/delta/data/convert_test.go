package data

import (
	"bytes"
	"math"
	"math/big"
	"reflect"
	"testing"

	"github.com/parquet-go/parquet-go"

	"millrace/connector/delta/schema"
)

// column of one leaf, as a file has it, with a value each.
func TestConversions(t *testing.T) {
	t.Parallel()
	decimal := func(precision, scale int) schema.Decimal { return schema.Decimal{Precision: precision, Scale: scale} }
	bytes16 := make([]byte, 16)
	bytes16[15] = 5
	for _, tt := range []struct {
		node  parquet.Node
		value parquet.Value
		typ   schema.Type
		want  any
	}{
		{parquet.Leaf(parquet.Int32Type), parquet.Int32Value(-7), schema.Long, int64(-7)},
		{parquet.Leaf(parquet.Int64Type), parquet.Int64Value(300), schema.Byte, "error"},
		{parquet.Leaf(parquet.Int64Type), parquet.Int64Value(-128), schema.Byte, int64(-128)},
		{parquet.Uint(32), parquet.Int32Value(-1), schema.Long, int64(math.MaxUint32)},
		{parquet.Uint(32), parquet.Int32Value(-1), schema.Integer, "error"},
		{parquet.Uint(64), parquet.Int64Value(-1), schema.Long, "error"},
		{parquet.Date(), parquet.Int32Value(1), schema.Integer, "error"},
		{parquet.Leaf(parquet.Int32Type), parquet.Int32Value(1), schema.Date, "error"},
		{parquet.Leaf(parquet.Int64Type), parquet.Int64Value(1), schema.Timestamp, "error"},
		{parquet.Leaf(parquet.FloatType), parquet.FloatValue(0.5), schema.Double, 0.5},
		{parquet.Leaf(parquet.DoubleType), parquet.DoubleValue(0.5), schema.Float, "error"},
		{parquet.Leaf(parquet.Int32Type), parquet.Int32Value(3), schema.Double, 3.0},
		{parquet.String(), parquet.ByteArrayValue([]byte("1")), schema.Long, "error"},
		{parquet.Leaf(parquet.FixedLenByteArrayType(3)), parquet.FixedLenByteArrayValue([]byte("abc")), schema.Binary, []byte("abc")},
		{parquet.Decimal(2, 9, parquet.Int32Type), parquet.Int32Value(-150), decimal(9, 2), "-1.50"},
		{parquet.Decimal(2, 9, parquet.Int32Type), parquet.Int32Value(-150), decimal(20, 4), "-1.5000"},
		{parquet.Decimal(2, 9, parquet.Int32Type), parquet.Int32Value(-150), decimal(18, 2), "-1.50"},
		{parquet.Decimal(2, 9, parquet.Int32Type), parquet.Int32Value(-150), decimal(9, 1), "error"},
		{parquet.Decimal(2, 9, parquet.Int32Type), parquet.Int32Value(-150), decimal(9, 4), "error"},
		{parquet.Decimal(1, 20, parquet.ByteArrayType), parquet.ByteArrayValue([]byte{0xff, 0x01}), decimal(20, 1), "-25.5"},
		{parquet.Decimal(1, 9, parquet.ByteArrayType), parquet.ByteArrayValue([]byte{0xff, 0x01}), decimal(18, 1), "-25.5"},
		{parquet.Decimal(0, 9, parquet.ByteArrayType), parquet.ByteArrayValue(nil), decimal(18, 0), "0"},
		{parquet.Decimal(0, 18, parquet.FixedLenByteArrayType(16)), parquet.FixedLenByteArrayValue(bytes16), decimal(18, 0), "5"},
		{parquet.Decimal(0, 18, parquet.FixedLenByteArrayType(16)), parquet.FixedLenByteArrayValue(bytes.Repeat([]byte{1}, 16)), decimal(18, 0), "error"},
		{parquet.Leaf(parquet.Int64Type), parquet.Int64Value(1), decimal(18, 0), "error"},
	} {
		var out bytes.Buffer
		w := parquet.NewWriter(&out, parquet.NewSchema("s", parquet.Group{"c": tt.node}))
		if _, err := w.WriteRows([]parquet.Row{{tt.value.Level(0, 0, 0)}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		s := schema.New(schema.Column("c", tt.typ))
		var have any
		err := open(t, out.Bytes()).ReadRows(t.Context(), s, nil, func(row []any) error { have = row[0]; return nil })
		if err != nil {
			have = "error"
		}
		if !reflect.DeepEqual(have, tt.want) {
			t.Errorf("%v of %s as %s is %v (%v), not %v", tt.value, tt.node, tt.typ, have, err, tt.want)
		}
	}
}

func TestLongDecimals(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for range 5000 {
		precision := 1 + r.IntN(38)
		n := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
		n.Sub(n, big.NewInt(1+r.Int64N(9)))
		if r.IntN(2) == 0 {
			n.Neg(n)
		}
		size := decimalBytes(precision)
		b, ok := bigBytes(n, size)
		if !ok || len(b) != size || bigInt(b).Cmp(n) != 0 {
			t.Fatalf("%v in %d bytes: %x", n, size, b)
		}
		if c := (cell{bytes: b}); precision <= 18 {
			if err := bytesToInt(&c); err != nil || c.int() != n.Int64() {
				t.Fatalf("%v is read as %d: %v", n, c.int(), err)
			}
		}
		other, _ := bigBytes(big.NewInt(r.Int64N(9)-4), size)
		if want := n.Cmp(bigInt(other)); want != sign(compareDecimals(b, other)) {
			t.Fatalf("%v and %v are compared wrongly", n, bigInt(other))
		}
	}
	if _, ok := bigBytes(big.NewInt(128), 1); ok {
		t.Error("128 is too large for a byte")
	}
	if b, ok := bigBytes(big.NewInt(-128), 1); !ok || b[0] != 0x80 {
		t.Error("-128 is not")
	}
	if _, ok := bigBytes(big.NewInt(-129), 1); ok {
		t.Error("-129 is too small for a byte")
	}
}

func sign(n int) int { return max(-1, min(1, n)) }

// The forms that arrays had before there was a rule.
func TestOldFormsOfArrays(t *testing.T) {
	t.Parallel()
	long := parquet.Leaf(parquet.Int64Type)
	file := parquet.NewSchema("s", parquet.Group{
		"a": parquet.Repeated(long),
		"b": parquet.Optional(parquet.Group{"array": parquet.Repeated(long)}),
		"c": parquet.Optional(parquet.Group{"bag": parquet.Repeated(parquet.Group{"array_element": parquet.Optional(long)})}),
		"d": parquet.Optional(parquet.Group{"array": parquet.Repeated(parquet.Group{"x": long})}),
		"e": parquet.Optional(parquet.Group{"map": parquet.Repeated(parquet.Group{"key": long, "value": parquet.Optional(long)})}),
	})
	v := func(n int64, rep, def, col int) parquet.Value { return parquet.Int64Value(n).Level(rep, def, col) }
	null := func(rep, def, col int) parquet.Value { return parquet.NullValue().Level(rep, def, col) }
	var out bytes.Buffer
	w := parquet.NewWriter(&out, file)
	_, err := w.WriteRows([]parquet.Row{
		{v(1, 0, 1, 0), v(2, 1, 1, 0), v(3, 0, 2, 1), v(4, 1, 2, 1), v(5, 0, 3, 2), null(1, 2, 2), v(6, 0, 2, 3), v(7, 1, 2, 3), v(8, 0, 2, 4), null(0, 2, 5)},
		{null(0, 0, 0), null(0, 1, 1), null(0, 1, 2), null(0, 1, 3), null(0, 1, 4), null(0, 1, 5)},
		{v(9, 0, 1, 0), null(0, 0, 1), null(0, 0, 2), null(0, 0, 3), null(0, 0, 4), null(0, 0, 5)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	list := func(t schema.Type) schema.Type { return &schema.Array{Element: t, ContainsNull: true} }
	s := schema.New(schema.Column("a", list(schema.Long)), schema.Column("b", list(schema.Long)), schema.Column("c", list(schema.Long)),
		schema.Column("d", list(schema.New(schema.Column("y", schema.String), schema.Column("x", schema.Long)))),
		schema.Column("e", &schema.Map{Key: schema.Long, Value: schema.Long, ValueContainsNull: true}))
	want := [][]any{
		{[]any{int64(1), int64(2)}, []any{int64(3), int64(4)}, []any{int64(5), nil}, []any{[]any{nil, int64(6)}, []any{nil, int64(7)}}, []Pair{{int64(8), nil}}},
		{[]any{}, []any{}, []any{}, []any{}, []Pair{}},
		{[]any{int64(9)}, nil, nil, nil, nil},
	}
	rewritten, _ := rewrite(t, s, WriterOptions{}, out.Bytes())
	for _, b := range [][]byte{out.Bytes(), rewritten} {
		var have [][]any
		if err := open(t, b).ReadRows(t.Context(), s, nil, func(row []any) error { have = append(have, row); return nil }); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(have, want) {
			t.Errorf("the rows are %v, not %v", have, want)
		}
	}
}

package duckread

import (
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 4, 12, 0, 0, 5000, time.FixedZone("", 7200))
	id := []byte{0x4b, 0x1f, 0x6f, 0x0e, 0x6b, 0x0e, 0x4b, 0x6c, 0x9a, 0x51, 0x0f, 0x0b, 0x8d, 0x1f, 0x2a, 0x33}
	for _, c := range []struct {
		in       any
		typeName string
		want     any
	}{
		{nil, "INTEGER", nil},
		{true, "BOOLEAN", true},
		{int8(-1), "TINYINT", int64(-1)},
		{int16(-2), "SMALLINT", int64(-2)},
		{int32(-3), "INTEGER", int64(-3)},
		{uint8(4), "UTINYINT", int64(4)},
		{uint16(5), "USMALLINT", int64(5)},
		{uint32(6), "UINTEGER", int64(6)},
		{uint64(7), "UBIGINT", int64(7)},
		{uint64(1 << 63), "UBIGINT", "9223372036854775808"},
		{float32(0.5), "FLOAT", 0.5},
		{new(big.Int).Lsh(big.NewInt(1), 100), "HUGEINT", "1267650600228229401496703205376"},
		{duckdb.Decimal{Width: 5, Scale: 2, Value: big.NewInt(1234)}, "DECIMAL(5,2)", 12.34},
		{id, "UUID", "4b1f6f0e-6b0e-4b6c-9a51-0f0b8d1f2a33"},
		{id, "BLOB", id},
		{noon, "TIMESTAMP", noon.UTC()},
		{noon, "TIME", "12:00:00.000005"},
		{duckdb.Interval{Months: 1, Days: 2, Micros: 3e6}, "INTERVAL", "1 months 2 days 3s"},
		{[]any{int32(1), "a"}, "INTEGER[]", `[1,"a"]`},
		{map[string]any{"a": 1.5}, "STRUCT", `{"a":1.5}`},
		{"text", "JSON", "text"},
		{[]any{func() {}}, "ANY", nil},
	} {
		got := Plain(c.in, c.typeName)
		if c.typeName == "ANY" { // what JSON has no words for is text all the same
			if s, ok := got.(string); !ok || s == "" {
				t.Errorf("%T: %v", c.in, got)
			}
			continue
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v (%s): %#v, want %#v", c.in, c.typeName, got, c.want)
		}
	}
}

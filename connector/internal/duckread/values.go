package duckread

import (
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"millrace/record"
)

// Plain makes one of the types that connector.Rows allows of a driver's value,
// whose column has a type of that name. Exact numbers stay exact as long as
// they fit; nested values become JSON text.
func Plain(v any, typeName string) any {
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint64:
		return Plain(new(big.Int).SetUint64(v), typeName)
	case float32:
		return float64(v)
	case *big.Int:
		if v.IsInt64() {
			return v.Int64()
		}
		return v.String()
	case duckdb.Decimal:
		return v.Float64()
	case []byte:
		if typeName == "UUID" && len(v) == len(record.ID{}) {
			return record.ID(v).String()
		}
		return v
	case time.Time:
		if typeName == "TIME" || typeName == "TIMETZ" {
			return v.Format("15:04:05.999999")
		}
		return v.UTC()
	case duckdb.Interval:
		return fmt.Sprintf("%d months %d days %s", v.Months, v.Days, time.Duration(v.Micros)*time.Microsecond)
	}
	return JSON(v)
}

// JSON writes a value as JSON text, or as Go does where JSON has no words for
// it.
func JSON(v any) string {
	if text, err := json.Marshal(v); err == nil {
		return string(text)
	}
	return fmt.Sprint(v)
}

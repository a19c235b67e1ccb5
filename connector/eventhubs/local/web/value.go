package web

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

// propertyView is a property in the JSON API. Type is that of AMQP; Value is
// what JSON has for it, text for what it has nothing for.
type propertyView struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

func viewProperties(m amqp.Map) []propertyView {
	var out []propertyView
	for _, pair := range m {
		kind, value := viewValue(pair.Value)
		out = append(out, propertyView{Name: fmt.Sprint(pair.Key), Type: kind, Value: value})
	}
	return out
}

// maxExact is how far whole numbers are exact in JSON readers.
const maxExact = 1 << 53

// viewValue names the AMQP type of a value and puts the value into JSON.
func viewValue(v any) (kind string, value any) {
	switch x := v.(type) {
	case nil:
		return "null", nil
	case bool:
		return "boolean", x
	case string:
		return "string", x
	case amqp.Symbol:
		return "symbol", string(x)
	case int8:
		return "byte", x
	case int16:
		return "short", x
	case int32:
		return "int", x
	case int64:
		if x > maxExact || x < -maxExact {
			return "long", strconv.FormatInt(x, 10)
		}
		return "long", x
	case uint8:
		return "ubyte", x
	case uint16:
		return "ushort", x
	case uint32:
		return "uint", x
	case uint64:
		if x > maxExact {
			return "ulong", strconv.FormatUint(x, 10)
		}
		return "ulong", x
	case float32:
		return "float", float(float64(x), 32)
	case float64:
		return "double", float(x, 64)
	case amqp.Timestamp:
		return "timestamp", time.UnixMilli(int64(x)).UTC().Format("2006-01-02T15:04:05.000Z07:00")
	case amqp.UUID:
		return "uuid", fmt.Sprintf("%x-%x-%x-%x-%x", x[:4], x[4:6], x[6:8], x[8:10], x[10:])
	case amqp.Char:
		return "char", string(rune(x))
	case []byte:
		if text, encoding := showBytes(x, false); encoding == "text" {
			return "binary", text
		}
		return "binary", "0x" + hex.EncodeToString(x)
	}
	return "other", fmt.Sprint(v)
}

// float is a number, or a word where JSON has none.
func float(f float64, bits int) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, bits)
	}
	if bits == 32 {
		// The shortest text that is this float32, not that of the float64.
		f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'g', -1, 32), 64)
	}
	return f
}

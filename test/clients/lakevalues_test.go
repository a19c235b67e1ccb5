package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"testing"
)

// field is a column of a Delta schema, or a member of a struct.
func field(name string, typ any) object {
	return object{"name": name, "type": typ, "nullable": true, "metadata": object{}}
}

func structOf(fields ...object) object { return object{"type": "struct", "fields": fields} }

func arrayOf(typ any) object {
	return object{"type": "array", "elementType": typ, "containsNull": true}
}

func mapOf(key, value any) object {
	return object{"type": "map", "keyType": key, "valueType": value, "valueContainsNull": true}
}

// The values of rows are what lake/values.py says.
const (
	instant = int64(1_700_000_000_123_456)
	// beforeEpoch has a fraction that must not be rounded to the wrong side.
	beforeEpoch = int64(-1_000_001)
	// farFuture is the last microsecond for those who count in nanoseconds, as
	// some readers do with timestamps in Spark's older form.
	farFuture = int64(9_223_372_036_854_775)
)

// everyType is the schema of a table with columns of all types.
func everyType() object {
	return structOf(
		field("id", "long"), field("i", "integer"), field("s", "short"), field("b", "byte"),
		field("f", "float"), field("d", "double"), field("t", "boolean"), field("x", "binary"),
		field("day", "date"), field("at", "timestamp"), field("text", "string"),
		field("small", "decimal(9,2)"), field("middle", "decimal(18,4)"), field("large", "decimal(38,10)"),
		field("deep", structOf(field("a", "double"), field("inner", structOf(field("c", "string"), field("at", "timestamp"))))),
		field("list", arrayOf("long")), field("structs", arrayOf(structOf(field("k", "string"), field("l", arrayOf("integer"))))),
		field("map", mapOf("string", "double")), field("maps", mapOf("integer", arrayOf("string"))),
	)
}

// everyValue are rows of a table with columns of all types: the usual, the
// largest, the smallest, and none.
func everyValue() []object {
	return []object{
		{"id": 1, "i": -5, "s": 3, "b": 7, "f": 0.5, "d": 0.1, "t": true, "x": "AAEC", "day": "2024-02-29", "at": instant,
			"text": "h\u00e9llo \U0001F600", "small": "-1234567.89", "middle": "12345678901234.5678", "large": "1234567890123456789012345678.0123456789",
			"deep": object{"a": 1.5, "inner": object{"c": "x", "at": instant}}, "list": []any{1, nil, 3},
			"structs": []any{object{"k": "y", "l": []any{1, nil}}, nil, object{"l": []any{}}},
			"map":     []any{[]any{"a", 1.5}, []any{"b", nil}}, "maps": []any{[]any{1, []any{"x", nil}}, []any{2, nil}}},
		{"id": math.MaxInt64, "i": math.MaxInt32, "s": math.MaxInt16, "b": math.MaxInt8, "f": "Infinity", "d": math.MaxFloat64, "t": false,
			"x": "", "day": "9999-12-31", "at": farFuture, "text": "", "small": "9999999.99", "middle": "99999999999999.9999",
			"large": "9999999999999999999999999999.9999999999", "list": []any{math.MaxInt64}, "map": []any{[]any{"", math.MaxFloat64}}},
		{"id": math.MinInt64, "i": math.MinInt32, "s": math.MinInt16, "b": math.MinInt8, "f": "-Infinity", "d": -math.MaxFloat64,
			"day": "1900-01-01", "at": beforeEpoch, "text": "\u0000\t\n\"'\\", "small": "-9999999.99", "middle": "-99999999999999.9999",
			"large": "-9999999999999999999999999999.9999999999", "list": []any{math.MinInt64}},
		{"id": 2, "f": "NaN", "d": "NaN", "small": "0.00", "deep": object{"inner": object{}}, "list": []any{}, "structs": []any{}, "map": []any{}, "maps": []any{}},
		{"id": 3, "deep": object{}, "list": []any{nil}, "structs": []any{object{}}},
		{"id": 4},
	}
}

// hardTexts are values of partitions whose folders and paths need care.
var hardTexts = []string{"plain", "with space", "a/b", "a\\b", "x=y", "x:y", "50%", "%25", "a+b", "it's", `a"b`, "#1", "q?", "a&b", "{c}", "[d]",
	"t\tt", "\u00fc\u00f1\u00ee", "\U0001F600", "null", ".", "_u", "*", "~", "a,b", "a;b", "^`|<>"}

// sameRows compares rows; a member that is absent is null.
func sameRows(t *testing.T, what string, got, want any) {
	t.Helper()
	if where := differ("", canonical(t, got), canonical(t, want)); where != "" {
		t.Errorf("%s: %s", what, where)
	}
}

// canonical brings a value to the form that decoding JSON gives.
func canonical(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var out any
	if err := decoder.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// differ says where two values differ first, or "".
func differ(where string, got, want any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		for key := range w {
			if at := differ(where+"."+key, g[key], w[key]); at != "" {
				return at
			}
		}
		for key, value := range g {
			if _, known := w[key]; !known && value != nil {
				return fmt.Sprintf("%s.%s is %.300v, want nothing", where, key, value)
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok {
			break
		}
		for i := range min(len(g), len(w)) {
			if at := differ(fmt.Sprintf("%s[%d]", where, i), g[i], w[i]); at != "" {
				return at
			}
		}
		if len(g) != len(w) {
			return fmt.Sprintf("%s has %d elements, want %d", where, len(g), len(w))
		}
		return ""
	case json.Number:
		if g, ok := got.(json.Number); ok && sameNumber(string(g), string(w)) {
			return ""
		}
	default:
		if got == want {
			return ""
		}
	}
	return fmt.Sprintf("%s is %.300v, want %.300v", where, got, want)
}

func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	_, wrong := strconv.ParseInt(a, 10, 64)
	_, wrongToo := strconv.ParseInt(b, 10, 64)
	if wrong == nil && wrongToo == nil {
		return false // exact ones
	}
	x, wrong := strconv.ParseFloat(a, 64)
	y, wrongToo := strconv.ParseFloat(b, 64)
	return wrong == nil && wrongToo == nil && x == y
}

func TestRowsDiffer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got, want any
		same      bool
	}{
		{object{"a": 1, "b": nil}, object{"a": 1}, true},
		{object{"a": 1}, object{"a": 1, "b": nil}, true},
		{object{"a": 1}, object{"a": 1, "b": 0}, false},
		{object{"a": 1, "b": 0}, object{"a": 1}, false},
		{[]any{1}, []any{1, nil}, false},
		{json.RawMessage("1.0"), 1, true},
		{int64(math.MaxInt64), int64(math.MaxInt64 - 1), false},
		{"1", 1, false},
		{object{"a": []any{object{}}}, object{"a": []any{nil}}, false},
		{nil, object{}, false},
	} {
		if same := differ("", canonical(t, c.got), canonical(t, c.want)) == ""; same != c.same {
			t.Errorf("%v and %v: %t", c.got, c.want, same)
		}
	}
}

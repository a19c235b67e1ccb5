package capture

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"unicode/utf8"

	"millrace/connector/eventhubs/local/amqp"
)

// entry is one entry of a map with its key as a string.
type entry struct {
	key   string
	value any
}

// properties appends a map. Its keys are sorted, so that the same event always
// makes the same bytes. Of entries with one key the last one counts. nulls says
// whether null is a value; where it is not, its entry is left out.
func (enc *encoder) properties(dst []byte, m amqp.Map, nulls bool) []byte {
	if len(m) == 0 {
		return append(dst, 0)
	}
	entries := enc.entries[:0]
	for i := range m {
		if m[i].Value == nil && !nulls {
			continue
		}
		entries = append(entries, entry{keyText(m[i].Key), m[i].Value})
	}
	if len(entries) > 1 {
		slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
		kept := entries[:0]
		for i, e := range entries {
			if i+1 < len(entries) && entries[i+1].key == e.key {
				continue
			}
			kept = append(kept, e)
		}
		entries = kept
	}
	if len(entries) > 0 {
		dst = appendLong(dst, int64(len(entries)))
		for _, e := range entries {
			dst = appendString(dst, e.key)
			dst = enc.value(dst, e.value)
		}
	}
	enc.entries = entries[:0]
	return append(dst, 0)
}

func keyText(k any) string {
	switch k := k.(type) {
	case string:
		return validText(k)
	case amqp.Symbol:
		return validText(string(k))
	}
	return scalarText(k)
}

// value appends a value of AMQP as the branch of the union that fits: whole
// numbers as long, other numbers as double, binary as bytes, null as null, and
// all else as a string. Whole numbers that no long holds become strings rather
// than others.
func (enc *encoder) value(dst []byte, v any) []byte {
	long := func(n int64) []byte { return appendLong(appendLong(dst, branchLong), n) }
	double := func(f float64) []byte { return appendDouble(appendLong(dst, branchDouble), f) }
	text := func(s string) []byte { return appendString(appendLong(dst, branchString), s) }
	switch v := v.(type) {
	case nil:
		return appendLong(dst, branchNull)
	case int8:
		return long(int64(v))
	case int16:
		return long(int64(v))
	case int32:
		return long(int64(v))
	case int64:
		return long(v)
	case uint8:
		return long(int64(v))
	case uint16:
		return long(int64(v))
	case uint32:
		return long(int64(v))
	case uint64:
		if v > math.MaxInt64 {
			return text(strconv.FormatUint(v, 10))
		}
		return long(int64(v))
	case amqp.Timestamp:
		return long(int64(v))
	case float32:
		return double(float64(v))
	case float64:
		return double(v)
	case amqp.Decimal32:
		return double(decimal(v[:]))
	case amqp.Decimal64:
		return double(decimal(v[:]))
	case amqp.Decimal128:
		return double(decimal(v[:]))
	case []byte:
		return appendBytes(appendLong(dst, branchBytes), v)
	case string:
		return text(validText(v))
	case amqp.Symbol:
		return text(validText(string(v)))
	case amqp.Map, amqp.List, amqp.Array, []amqp.Symbol, []string, amqp.Described:
		enc.text = appendJSON(enc.text[:0], v)
		return appendBytes(appendLong(dst, branchString), enc.text)
	}
	return text(scalarText(v))
}

// scalarText is the text of a value that is no string: booleans are written as
// .NET does.
func scalarText(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "True"
		}
		return "False"
	case amqp.Char:
		return string(rune(v))
	case amqp.UUID:
		return uuidText(v)
	}
	return validText(string(appendJSON(nil, v)))
}

func uuidText(u amqp.UUID) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s), []byte("\uFFFD")))
}

// appendJSON appends a value of AMQP as JSON: what becomes of bodies that are not
// bytes, and of annotations that are not scalars. Binary is base64; the keys of
// maps become strings, in their order.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int8, int16, int32, int64, uint8, uint16, uint32, uint64:
		return fmt.Appendf(dst, "%d", v)
	case amqp.Timestamp:
		return strconv.AppendInt(dst, int64(v), 10)
	case float32:
		return appendFloat(dst, float64(v), 32)
	case float64:
		return appendFloat(dst, v, 64)
	case amqp.Decimal32:
		return appendFloat(dst, decimal(v[:]), 64)
	case amqp.Decimal64:
		return appendFloat(dst, decimal(v[:]), 64)
	case amqp.Decimal128:
		return appendFloat(dst, decimal(v[:]), 64)
	case string:
		return appendQuoted(dst, v)
	case amqp.Symbol:
		return appendQuoted(dst, string(v))
	case amqp.Char:
		return appendQuoted(dst, string(rune(v)))
	case amqp.UUID:
		return appendQuoted(dst, uuidText(v))
	case []byte:
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), v), '"')
	case amqp.Described:
		return appendJSON(dst, v.Value)
	case amqp.Map:
		dst = append(dst, '{')
		for i, p := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, keyText(p.Key)), ':')
			dst = appendJSON(dst, p.Value)
		}
		return append(dst, '}')
	case amqp.List:
		return appendElements(dst, v)
	case amqp.Array:
		return appendElements(dst, v)
	case []string:
		return appendElements(dst, v)
	case []amqp.Symbol:
		return appendElements(dst, v)
	}
	return appendQuoted(dst, fmt.Sprint(v))
}

func appendElements[T any](dst []byte, list []T) []byte {
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, list[i])
	}
	return append(dst, ']')
}

func appendQuoted(dst []byte, s string) []byte {
	b, err := json.Marshal(validText(s))
	if err != nil {
		return append(dst, `""`...) // strings always marshal
	}
	return append(dst, b...)
}

// appendFloat appends a number; what JSON has no number for is a string.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendQuoted(dst, strconv.FormatFloat(f, 'g', -1, bits))
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// decimal decodes an IEEE 754 decimal of 4, 8 or 16 bytes in the binary integer
// encoding, to the nearest double.
func decimal(b []byte) float64 {
	// Sign, exponent and coefficient; the widths follow from the size.
	exponentBits, bias := 8, 101
	switch len(b) {
	case 8:
		exponentBits, bias = 10, 398
	case 16:
		exponentBits, bias = 14, 6176
	}
	bits := new(big.Int).SetBytes(b)
	total := len(b) * 8
	field := func(shift, width int) int64 {
		f := new(big.Int).Rsh(bits, uint(shift))
		return f.And(f, new(big.Int).SetUint64(1<<width-1)).Int64()
	}
	negative := field(total-1, 1) == 1
	sign := 1.0
	if negative {
		sign = -1
	}
	switch top := field(total-6, 5); {
	case top == 0b11111:
		return math.NaN()
	case top == 0b11110:
		return math.Inf(int(sign))
	}
	shift := total - 1 - exponentBits
	implicit := new(big.Int)
	if field(total-3, 2) == 0b11 {
		// The large form: two bits later, with 100 before the coefficient.
		shift -= 2
		implicit.Lsh(big.NewInt(0b100), uint(shift))
	}
	exponent := field(shift, exponentBits) - int64(bias)
	coefficient := new(big.Int).And(bits, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(shift)), big.NewInt(1)))
	coefficient.Or(coefficient, implicit)
	digits := map[int]int{4: 7, 8: 16, 16: 34}[len(b)]
	if len(coefficient.String()) > digits {
		coefficient.SetInt64(0) // not canonical, which stands for zero
	}
	// The text keeps what arithmetic with powers of ten would round twice.
	f, err := strconv.ParseFloat(coefficient.String()+"e"+strconv.FormatInt(exponent, 10), 64)
	if err != nil && math.IsInf(f, 0) {
		return math.Inf(int(sign))
	}
	return math.Copysign(f, sign)
}

// bodyJSON is the body of an event whose AMQP body is not made of bytes.
func bodyJSON(v any) []byte { return appendJSON(nil, v) }

package udf

import (
	"math"
	"slices"
	"strconv"

	"github.com/dop251/goja"

	"millrace/process/streamanalytics/value"
)

// stringify is JSON.stringify for records and arrays of the query that nobody
// has changed: the common way to put a whole event into a column, for which it
// would be a waste to make JavaScript objects of everything. It returns
// undefined for what the engine has to do itself.
func (s *script) stringify(call goja.FunctionCall) goja.Value {
	o, ok := call.Argument(0).(*goja.Object)
	if !ok {
		return goja.Undefined()
	}
	var source value.Value
	switch o.ExportType() {
	case typeRecord:
		if r, ok := o.Export().(*record); ok && r.intact() {
			source = r.source
		}
	case typeArray:
		if a, ok := o.Export().(*array); ok && a.intact() {
			source = a.source
		}
	}
	if source.IsNull() {
		return goja.Undefined()
	}
	text, ok := appendScript(s.text[:0], source)
	s.text = text[:0]
	if !ok {
		return goja.Undefined()
	}
	return s.vm.ToValue(string(text))
}

// appendScript appends JSON text as JavaScript writes it. ok is false for a
// record with names that occur twice or look like numbers, which JavaScript
// would drop or move, and for one with too many members to see that quickly.
func appendScript(dst []byte, v value.Value) (_ []byte, ok bool) {
	switch v.Kind() {
	case value.BigInt:
		if n := v.Int(); n >= -1<<53 && n <= 1<<53 {
			return strconv.AppendInt(dst, n, 10), true
		}
		return appendNumber(dst, v.Double()), true
	case value.Float:
		return appendNumber(dst, v.Double()), true
	case value.String:
		return value.AppendString(dst, v.Str()), true
	case value.Bit:
		return strconv.AppendBool(dst, v.Bool()), true
	case value.DateTime:
		dst = append(dst, '"')
		dst = value.ToGoTime(v.Ticks()).AppendFormat(dst, "2006-01-02T15:04:05.000Z")
		return append(dst, '"'), true
	case value.Array:
		dst = append(dst, '[')
		for i, e := range v.Elements {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, ok = appendScript(dst, e); !ok {
				return dst, false
			}
		}
		return append(dst, ']'), true
	case value.Record:
		return appendMembers(dst, v)
	}
	return append(dst, "null"...), true
}

func appendMembers(dst []byte, v value.Value) (_ []byte, ok bool) {
	var names [2 * few]string
	n := 0
	ok = true
	dst = append(dst, '{')
	v.Members(func(name string, m value.Value) bool {
		if n == len(names) || slices.Contains(names[:n], name) || name != "" && name[0] >= '0' && name[0] <= '9' {
			ok = false
			return false
		}
		names[n] = name
		if n++; n > 1 {
			dst = append(dst, ',')
		}
		dst = append(value.AppendString(dst, name), ':')
		dst, ok = appendScript(dst, m)
		return ok
	})
	return append(dst, '}'), ok
}

// appendNumber appends a Number as JavaScript does: the shortest digits, with
// an exponent from 1e21 on and below 1e-6.
func appendNumber(dst []byte, f float64) []byte {
	switch a := math.Abs(f); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == 0:
		return append(dst, '0')
	case a >= 1e21 || a < 1e-6:
		dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
		// Go writes at least two digits of the exponent.
		if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
			dst[n-2] = dst[n-1]
			dst = dst[:n-1]
		}
		return dst
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

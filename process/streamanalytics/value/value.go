package value

import (
	"math"
	"strings"
	"time"
	"unsafe"
)

// Kind is the type of one value. In this language the type belongs to the
// value and not to the column: two events may carry different kinds under the
// same name.
type Kind uint8

// The kinds of the language. Null is the zero Kind; a field that is missing is
// NULL too.
const (
	Null Kind = iota
	BigInt
	Float
	String
	DateTime
	Bit
	Record
	Array
)

// String returns the name the language has for the kind, as GetType and
// messages show it.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case BigInt:
		return "bigint"
	case Float:
		return "float"
	case String:
		return "nvarchar(max)"
	case DateTime:
		return "datetime"
	case Bit:
		return "bit"
	case Record:
		return "record"
	case Array:
		return "array"
	}
	return "unknown"
}

// Level is a compatibility level. It decides how JSON is read: see doc.go.
type Level uint8

// The compatibility levels of the service.
const (
	Level12 Level = iota
	Level11
	Level10
)

// form tells what ptr and num of a Value hold.
type form uint8

const (
	// 0 is for scalars: num is the number, or ptr and num are the text.
	_ form = iota
	// built: ptr and num are a slice of Member or of Value.
	built
	// raw: ptr and num are JSON text, read by the rules of a level.
	raw12
	raw11
	raw10
)

func rawForm(l Level) form { return raw12 + form(l) }

// level is the inverse of rawForm, for the raw forms only.
func (f form) level() Level { return Level(f - raw12) }

// Value is one value of the language: a small struct that is copied, never
// shared by pointer. The zero Value is NULL.
//
// A Value may be a view into memory of someone else, the bytes of an input
// event for instance (TextBytes, Raw, Projection.Scan). Such a view is valid
// as long as those bytes stay unchanged; Clone makes a value that owns its
// memory. Values are safe for concurrent reading.
//
// Go's == on Values compares addresses and is of no use; see Equal and Eq.
type Value struct {
	ptr  unsafe.Pointer
	num  uint64
	kind Kind
	form form
}

// Member is one name and value of a record.
type Member struct {
	Name  string
	Value Value
}

// Int returns a bigint.
func Int(n int64) Value { return Value{num: uint64(n), kind: BigInt} }

// Double returns a float. NaN and the infinities are kept; see doc.go for how
// they are written.
func Double(f float64) Value { return Value{num: math.Float64bits(f), kind: Float} }

// Text returns a string.
func Text(s string) Value {
	return Value{ptr: unsafe.Pointer(unsafe.StringData(s)), num: uint64(len(s)), kind: String}
}

// TextBytes returns a string that is a view of b: b must not change while the
// value is in use.
func TextBytes(b []byte) Value {
	return Value{ptr: unsafe.Pointer(unsafe.SliceData(b)), num: uint64(len(b)), kind: String}
}

// Time returns a datetime of ticks since the Unix epoch (see TicksPerSecond).
func Time(ticks int64) Value { return Value{num: uint64(ticks), kind: DateTime} }

// Bool returns a bit.
func Bool(b bool) Value {
	if b {
		return Value{num: 1, kind: Bit}
	}
	return Value{kind: Bit}
}

// Raw returns the record or array whose JSON text is json, as a view that is
// walked when something is asked of it, by the rules of Level12. The text must
// be one valid JSON value (as Valid tells); of text that is not, reading stops
// at the fault. Text of another kind than an object or array is read at once;
// text that is no JSON is NULL.
func Raw(json []byte) Value { return RawAt(json, Level12) }

// RawAt is Raw by the rules of a level: with them, a boolean inside the text
// is a bigint below Level12.
func RawAt(json []byte, level Level) Value {
	i := skipSpace(json, 0)
	if i >= len(json) {
		return Value{}
	}
	if c := json[i]; c != '{' && c != '[' {
		v, _ := readValue(json, i, 0, level)
		return v
	}
	end := len(json)
	for end > i && isSpace(json[end-1]) {
		end--
	}
	return rawValue(json[i:end], level)
}

// rawValue is RawAt for text that starts with a bracket and ends with its
// counterpart.
func rawValue(json []byte, level Level) Value {
	v := Value{ptr: unsafe.Pointer(unsafe.SliceData(json)), num: uint64(len(json)), kind: Record, form: rawForm(level)}
	if json[0] == '[' {
		v.kind = Array
	}
	return v
}

// NewRecord returns a record of members, in their order. It keeps the slice.
func NewRecord(members []Member) Value {
	return Value{ptr: unsafe.Pointer(unsafe.SliceData(members)), num: uint64(len(members)), kind: Record, form: built}
}

// NewArray returns an array of elements, in their order. It keeps the slice.
func NewArray(elements []Value) Value {
	return Value{ptr: unsafe.Pointer(unsafe.SliceData(elements)), num: uint64(len(elements)), kind: Array, form: built}
}

// Kind returns the kind.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether the value is NULL.
func (v Value) IsNull() bool { return v.kind == Null }

// Int returns the number of a bigint, and 0 or 1 for a bit. Of other kinds it
// is 0: look at Kind first.
func (v Value) Int() int64 {
	if v.kind == BigInt || v.kind == Bit {
		return int64(v.num)
	}
	return 0
}

// Double returns the number of a float, and of a bigint or bit the float that
// is nearest to it. Of other kinds it is 0.
func (v Value) Double() float64 {
	switch v.kind {
	case Float:
		return math.Float64frombits(v.num)
	case BigInt, Bit:
		return float64(int64(v.num))
	}
	return 0
}

// Str returns the text of a string, "" for other kinds. It is a view where the
// value is one.
func (v Value) Str() string {
	if v.kind != String {
		return ""
	}
	return unsafe.String((*byte)(v.ptr), int(v.num))
}

// Ticks returns the time of a datetime (see TicksPerSecond), 0 for other kinds.
func (v Value) Ticks() int64 {
	if v.kind != DateTime {
		return 0
	}
	return int64(v.num)
}

// Bool reports whether the value is a bit that is set.
func (v Value) Bool() bool { return v.kind == Bit && v.num != 0 }

// IsRaw reports whether the value is a record or array that still is JSON
// text.
func (v Value) IsRaw() bool { return v.form >= raw12 }

// json returns the text of a raw value.
func (v Value) json() []byte { return unsafe.Slice((*byte)(v.ptr), int(v.num)) }

// members returns what NewRecord got.
func (v Value) members() []Member { return unsafe.Slice((*Member)(v.ptr), int(v.num)) }

// elements returns what NewArray got.
func (v Value) elements() []Value { return unsafe.Slice((*Value)(v.ptr), int(v.num)) }

// String shows the value for messages and tests: its JSON text, NULL as NULL.
func (v Value) String() string {
	if v.kind == Null {
		return "NULL"
	}
	return string(v.AppendJSON(nil))
}

// TimeOf is a datetime of t.
func TimeOf(t time.Time) Value { return Time(FromGoTime(t)) }

// Clone returns the value in memory of its own, for whatever outlives the
// event it came from.
func (v Value) Clone() Value {
	switch {
	case v.kind == String:
		return Text(strings.Clone(v.Str()))
	case v.form >= raw12:
		b := append(make([]byte, 0, v.num), v.json()...)
		v.ptr = unsafe.Pointer(unsafe.SliceData(b))
	case v.form == built && v.kind == Record:
		ms := make([]Member, v.num)
		for i, m := range v.members() {
			ms[i] = Member{Name: strings.Clone(m.Name), Value: m.Value.Clone()}
		}
		return NewRecord(ms)
	case v.form == built:
		vs := make([]Value, v.num)
		for i, e := range v.elements() {
			vs[i] = e.Clone()
		}
		return NewArray(vs)
	}
	return v
}

// MemSize returns how many bytes the value holds beside the struct itself: its
// text, and what a built record or array is made of.
func (v Value) MemSize() int {
	switch {
	case v.kind == String || v.form >= raw12:
		return int(v.num)
	case v.form == built && v.kind == Record:
		n := int(v.num) * int(unsafe.Sizeof(Member{}))
		for _, m := range v.members() {
			n += len(m.Name) + m.Value.MemSize()
		}
		return n
	case v.form == built:
		n := int(v.num) * int(unsafe.Sizeof(Value{}))
		for _, e := range v.elements() {
			n += e.MemSize()
		}
		return n
	}
	return 0
}

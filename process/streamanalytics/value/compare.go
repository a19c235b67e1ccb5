package value

import (
	"cmp"
	"math"
	"strings"
)

// Tri is a truth value of three-valued logic.
type Tri uint8

// The truth values. The zero Tri is False.
const (
	False Tri = iota
	True
	Unknown
)

// TriOf is b as a Tri.
func TriOf(b bool) Tri {
	if b {
		return True
	}
	return False
}

// Truth is the truth of a value that stands where a condition is expected: that
// of a bit, of a bigint whether it is not 0 (booleans are bigint below
// Level12), and Unknown of all else.
func Truth(v Value) Tri {
	if v.kind == Bit || v.kind == BigInt {
		return TriOf(v.num != 0)
	}
	return Unknown
}

// And is False when one is, else Unknown when one is.
func (t Tri) And(u Tri) Tri {
	switch {
	case t == False || u == False:
		return False
	case t == Unknown || u == Unknown:
		return Unknown
	}
	return True
}

// Or is True when one is, else Unknown when one is.
func (t Tri) Or(u Tri) Tri {
	switch {
	case t == True || u == True:
		return True
	case t == Unknown || u == Unknown:
		return Unknown
	}
	return False
}

// Not swaps True and False.
func (t Tri) Not() Tri {
	switch t {
	case True:
		return False
	case False:
		return True
	}
	return Unknown
}

// Value is the bit of a truth value, NULL for Unknown.
func (t Tri) Value() Value {
	if t == Unknown {
		return Value{}
	}
	return Bool(t == True)
}

// String returns "true", "false" or "unknown".
func (t Tri) String() string {
	switch t {
	case True:
		return "true"
	case False:
		return "false"
	}
	return "unknown"
}

// Eq, Ne, Lt, Le, Gt and Ge are the comparison operators: Unknown where
// Compare knows no answer.
func Eq(a, b Value) Tri { c, ok := Compare(a, b); return tri(c == 0, ok) }

// Ne is a <> b.
func Ne(a, b Value) Tri { c, ok := Compare(a, b); return tri(c != 0, ok) }

// Lt is a < b.
func Lt(a, b Value) Tri { c, ok := Compare(a, b); return tri(c < 0, ok) }

// Le is a <= b.
func Le(a, b Value) Tri { c, ok := Compare(a, b); return tri(c <= 0, ok) }

// Gt is a > b.
func Gt(a, b Value) Tri { c, ok := Compare(a, b); return tri(c > 0, ok) }

// Ge is a >= b.
func Ge(a, b Value) Tri { c, ok := Compare(a, b); return tri(c >= 0, ok) }

func tri(b, ok bool) Tri {
	if !ok {
		return Unknown
	}
	return TriOf(b)
}

// Compare compares two values as the operators of the language do: negative
// for a < b, 0 for a = b, positive for a > b. ok is false where the answer is
// unknown: one is NULL, one is NaN, they are records or arrays, or of kinds
// that have no common type. Bigint, float and bit compare as numbers, exactly;
// a string compares with a datetime if it is the text of one.
func Compare(a, b Value) (result int, ok bool) {
	if a.kind == b.kind {
		switch a.kind {
		case BigInt, DateTime, Bit:
			return cmp.Compare(int64(a.num), int64(b.num)), true
		case String:
			return compareText(a.Str(), b.Str()), true
		case Float:
			x, y := a.Double(), b.Double()
			return cmp.Compare(x, y), x == x && y == y
		}
		return 0, false
	}
	switch {
	case isNumber(a.kind) && isNumber(b.kind):
		if a.kind == Float {
			x := a.Double()
			return -compareIntFloat(b.Int(), x), x == x
		}
		if b.kind == Float {
			x := b.Double()
			return compareIntFloat(a.Int(), x), x == x
		}
		return cmp.Compare(a.Int(), b.Int()), true
	case a.kind == String && b.kind == DateTime:
		ticks, ok := ParseTime(a.Str())
		return cmp.Compare(ticks, b.Ticks()), ok
	case a.kind == DateTime && b.kind == String:
		ticks, ok := ParseTime(b.Str())
		return cmp.Compare(a.Ticks(), ticks), ok
	}
	return 0, false
}

func isNumber(k Kind) bool { return k == BigInt || k == Float || k == Bit }

// compareIntFloat compares exactly, without rounding n to a float. NaN is
// below all numbers.
func compareIntFloat(n int64, f float64) int {
	switch {
	case f != f:
		return 1
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	whole := math.Floor(f)
	if c := cmp.Compare(n, int64(whole)); c != 0 {
		return c
	}
	return cmp.Compare(whole, f)
}

// rank orders the kinds among each other for Order.
func rank(k Kind) int {
	switch k {
	case Null:
		return 0
	case Bit, BigInt, Float:
		return 1
	case DateTime:
		return 2
	case String:
		return 3
	case Array:
		return 4
	}
	return 5
}

// Order is a total order over all values, for ORDER BY, MIN and MAX and for
// results that do not depend on chance: NULL is lowest, then numbers (NaN
// first), datetimes, strings, arrays, records. It is 0 exactly when Equal is
// true, and agrees with Compare for values of one group.
func Order(a, b Value) int {
	ra, rb := rank(a.kind), rank(b.kind)
	if ra != rb {
		return cmp.Compare(ra, rb)
	}
	switch ra {
	case 0:
		return 0
	case 1:
		return orderNumbers(a, b)
	case 2:
		return cmp.Compare(int64(a.num), int64(b.num))
	case 3:
		return compareText(a.Str(), b.Str())
	case 4:
		return orderArrays(a, b)
	}
	return orderRecords(a, b)
}

func orderNumbers(a, b Value) int {
	switch {
	case a.kind == Float && b.kind == Float:
		return cmp.Compare(a.Double(), b.Double())
	case a.kind == Float:
		return -compareIntFloat(b.Int(), a.Double())
	case b.kind == Float:
		return compareIntFloat(a.Int(), b.Double())
	}
	return cmp.Compare(a.Int(), b.Int())
}

func orderArrays(a, b Value) int {
	x, y := a.all(), b.all()
	for i := range min(len(x), len(y)) {
		if c := Order(x[i], y[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

func orderRecords(a, b Value) int {
	x, y := a.sorted(), b.sorted()
	for i := range min(len(x), len(y)) {
		if c := strings.Compare(x[i].Name, y[i].Name); c != 0 {
			return c
		}
		if c := Order(x[i].Value, y[i].Value); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

// Equal reports whether GROUP BY, DISTINCT and the key of PARTITION BY take
// two values as the same: NULL equals NULL, numbers are equal by value
// whatever their kind (1, 1.0 and true), NaN equals NaN, strings are
// equal as = has it, case ignored, arrays element by element, records by their members in any
// order. A string never equals a datetime.
func Equal(a, b Value) bool { return Order(a, b) == 0 }

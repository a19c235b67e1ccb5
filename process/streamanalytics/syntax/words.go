package syntax

import (
	"strings"

	"millrace/internal/spelling"
)

// TimeUnit is a unit of time.
type TimeUnit uint8

// The units. Windows and durations take Day to Microsecond only.
const (
	NoUnit TimeUnit = iota
	Year
	Quarter
	Month
	DayOfYear
	Week
	Weekday
	Day
	Hour
	Minute
	Second
	Millisecond
	Microsecond
	Nanosecond
)

var unitNames = [...]string{
	NoUnit: "", Year: "year", Quarter: "quarter", Month: "month", DayOfYear: "dayofyear", Week: "week",
	Weekday: "weekday", Day: "day", Hour: "hour", Minute: "minute", Second: "second",
	Millisecond: "millisecond", Microsecond: "microsecond", Nanosecond: "nanosecond",
}

// String returns the unit's full name, in lower case.
func (u TimeUnit) String() string { return unitNames[u] }

// ParseTimeUnit finds a unit by its name, plural or abbreviation, ignoring case.
func ParseTimeUnit(name string) (TimeUnit, bool) {
	switch strings.ToLower(name) {
	case "year", "years", "yyyy", "yy":
		return Year, true
	case "quarter", "quarters", "qq", "q":
		return Quarter, true
	case "month", "months", "mm", "m":
		return Month, true
	case "dayofyear", "dy", "y":
		return DayOfYear, true
	case "week", "weeks", "wk", "ww":
		return Week, true
	case "weekday", "dw", "w":
		return Weekday, true
	case "day", "days", "dd", "d":
		return Day, true
	case "hour", "hours", "hh":
		return Hour, true
	case "minute", "minutes", "mi", "n":
		return Minute, true
	case "second", "seconds", "ss", "s":
		return Second, true
	case "millisecond", "milliseconds", "ms":
		return Millisecond, true
	case "microsecond", "microseconds", "mcs":
		return Microsecond, true
	case "nanosecond", "nanoseconds", "ns":
		return Nanosecond, true
	}
	return NoUnit, false
}

// Type is a type of the language.
type Type uint8

// The types that CAST and CREATE TABLE can name.
const (
	NoType Type = iota
	BigInt
	Float
	NVarCharMax
	DateTime
	Bit
	Record
	Array
)

var typeNames = [...]string{
	NoType: "", BigInt: "bigint", Float: "float", NVarCharMax: "nvarchar(max)",
	DateTime: "datetime", Bit: "bit", Record: "record", Array: "array",
}

// String returns the type as it is written in a query.
func (t Type) String() string { return typeNames[t] }

var opNames = [...]string{
	NoOp: "", Or: "OR", And: "AND", Not: "NOT", Equal: "=", NotEqual: "<>", Less: "<", LessOrEqual: "<=",
	Greater: ">", GreaterOrEqual: ">=", Add: "+", Subtract: "-", BitAnd: "&", BitOr: "|", BitXor: "^",
	Multiply: "*", Divide: "/", Modulo: "%", BitNot: "~", Plus: "+", Minus: "-",
}

// String returns the operator as it is written in a query.
func (o Op) String() string { return opNames[o] }

// Nearest returns the candidate that word is most likely a misspelling of,
// ignoring case, and "" if none is near: one edit for words of three or
// four bytes, two for longer ones, where two neighbours swapped are one edit.
func Nearest(word string, candidates []string) string {
	limit := 2
	switch {
	case len(word) < 3:
		return ""
	case len(word) <= 4:
		limit = 1
	}
	best, bestAt := "", limit+1
	upper := strings.ToUpper(word)
	for _, c := range candidates {
		if d := spelling.Distance(upper, strings.ToUpper(c), bestAt); d < bestAt {
			best, bestAt = c, d
		}
	}
	return best
}

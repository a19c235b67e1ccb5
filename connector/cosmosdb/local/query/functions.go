package query

import (
	"fmt"
	"strings"

	"millrace/connector/cosmosdb/local/value"
)

// function is a built-in scalar function. One of one, two and many is set: they
// differ only in how the arguments travel, so that the frequent functions of one
// and two arguments are called without a slice.
type function struct {
	min, max int // how many arguments; max < 0 is any number
	one      func(a value.Value) value.Value
	two      func(a, b value.Value) value.Value
	many     func(f *frame, args []value.Value) value.Value
	// volatile functions give another result at each call and are never
	// folded into constants.
	volatile bool
}

// functionTables are merged by functionNamed; names are upper-case.
var functionTables = []map[string]function{
	mathFunctions, integerFunctions, stringFunctions, conversionFunctions,
	arrayFunctions, setFunctions, typeFunctions, dateFunctions,
}

func functionNamed(name string) (function, bool) {
	name = strings.ToUpper(name)
	for _, table := range functionTables {
		if f, ok := table[name]; ok {
			return f, true
		}
	}
	return function{}, false
}

// arity says what is wrong with n arguments, "" if nothing is.
func (f function) arity(name string, n int) string {
	name = strings.ToUpper(name)
	switch {
	case n >= f.min && (f.max < 0 || n <= f.max):
		return ""
	case f.min == f.max:
		return fmt.Sprintf("The %s function requires %d argument(s).", name, f.min)
	case f.max < 0:
		return fmt.Sprintf("The %s function requires at least %d argument(s).", name, f.min)
	}
	return fmt.Sprintf("The %s function requires %d to %d argument(s).", name, f.min, f.max)
}

func single(one func(value.Value) value.Value) function {
	return function{min: 1, max: 1, one: one}
}

func pair(two func(a, b value.Value) value.Value) function {
	return function{min: 2, max: 2, two: two}
}

func variadic(minimum, maximum int, many func(f *frame, args []value.Value) value.Value) function {
	return function{min: minimum, max: maximum, many: many}
}

// optional is the argument at i, or fallback if there are not so many.
func optional(args []value.Value, i int, fallback value.Value) value.Value {
	if i < len(args) {
		return args[i]
	}
	return fallback
}

// integer is the number of v without its fraction, if v is a number that an int
// holds with room to calculate.
func integer(v value.Value) (int, bool) {
	f, ok := v.AsNumber()
	if !ok || f != f || f > 1<<53 || f < -(1<<53) {
		return 0, false
	}
	return int(f), true
}

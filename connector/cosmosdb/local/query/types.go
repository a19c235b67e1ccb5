package query

import (
	"math"
	"strings"

	"millrace/connector/cosmosdb/local/value"
)

var typeFunctions = map[string]function{
	"IS_ARRAY":   isKind(value.KindArray),
	"IS_BOOL":    isKind(value.KindBool),
	"IS_BOOLEAN": isKind(value.KindBool), // what clients write that resume an ORDER BY
	"IS_NULL":    isKind(value.KindNull),
	"IS_NUMBER":  isKind(value.KindNumber),
	"IS_OBJECT":  isKind(value.KindObject),
	"IS_STRING":  isKind(value.KindString),
	"IS_DEFINED": single(func(a value.Value) value.Value { return value.Bool(!a.IsUndefined()) }),
	"IS_PRIMITIVE": single(func(a value.Value) value.Value {
		return value.Bool(a.Kind() >= value.KindNull && a.Kind() <= value.KindString)
	}),
	"IS_FINITE_NUMBER": single(func(a value.Value) value.Value {
		f, ok := a.AsNumber()
		return value.Bool(ok && !math.IsNaN(f) && !math.IsInf(f, 0))
	}),
	"IS_INTEGER": single(func(a value.Value) value.Value {
		_, ok := int64Of(a)
		return value.Bool(ok)
	}),
	"IS_DATETIME": single(func(a value.Value) value.Value {
		_, ok := dateOf(a)
		return value.Bool(ok)
	}),
}

func isKind(kind value.Kind) function {
	return single(func(a value.Value) value.Value { return value.Bool(a.Kind() == kind) })
}

var conversionFunctions = map[string]function{
	"TOSTRING":        single(toString),
	"STRINGTOARRAY":   text(func(s string) value.Value { return parsed(s, value.KindArray) }),
	"STRINGTOBOOLEAN": text(func(s string) value.Value { return parsed(s, value.KindBool) }),
	"STRINGTONULL":    text(func(s string) value.Value { return parsed(s, value.KindNull) }),
	"STRINGTONUMBER":  text(func(s string) value.Value { return parsed(s, value.KindNumber) }),
	"STRINGTOOBJECT":  text(func(s string) value.Value { return parsed(s, value.KindObject) }),
}

func toString(v value.Value) value.Value {
	switch v.Kind() {
	case value.KindUndefined, value.KindString:
		return v
	}
	return value.String(string(v.AppendJSON(nil)))
}

// parsed is the JSON in s if it is of that kind.
func parsed(s string, kind value.Kind) value.Value {
	v, err := value.Parse([]byte(strings.TrimSpace(s)))
	if err != nil || v.Kind() != kind {
		return value.Undefined()
	}
	if f, ok := v.AsNumber(); ok {
		return number(f)
	}
	return v
}

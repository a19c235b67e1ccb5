package function

import (
	"strings"

	"millrace/process/streamanalytics/value"
)

func otherFunctions() []*Scalar {
	a, n, r, t, any := value.Array, value.BigInt, value.Record, value.String, value.Null
	return []*Scalar{
		{Name: "COALESCE", MinArgs: 2, MaxArgs: -1, Params: []value.Kind{any}, Result: any, compile: always(coalesce)},
		{Name: "GetArrayElement", MinArgs: 2, MaxArgs: 2, Params: []value.Kind{a, n}, Result: any, compile: always(strict(arrayElement))},
		{Name: "GetArrayLength", MinArgs: 1, MaxArgs: 1, Params: []value.Kind{a}, Result: n, compile: always(arrayLength)},
		{Name: "GetRecordPropertyValue", MinArgs: 2, MaxArgs: 2, Params: []value.Kind{r, t}, Result: any, compile: always(strict(propertyValue))},
		{Name: "GetType", MinArgs: 1, MaxArgs: 1, Params: []value.Kind{any}, Result: t, compile: always(getType)},
		{Name: "JSON_PARSE", MinArgs: 1, MaxArgs: 1, Params: []value.Kind{t}, Result: r, compile: compileJSONParse},
		{Name: "NULLIF", MinArgs: 2, MaxArgs: 2, Params: []value.Kind{any}, Result: any, compile: always(nullIf)},
	}
}

func coalesce(args []value.Value) (value.Value, error) {
	for _, a := range args {
		if !a.IsNull() {
			return a, nil
		}
	}
	return value.Value{}, nil
}

// nullIf compares like the operator =: what can not be compared is not equal.
func nullIf(args []value.Value) (value.Value, error) {
	if value.Eq(args[0], args[1]) == value.True {
		return value.Value{}, nil
	}
	return args[0], nil
}

func getType(args []value.Value) (value.Value, error) {
	return value.Text(args[0].Kind().String()), nil
}

// The functions of arrays and records return NULL for values of other kinds,
// as a field of something that is no record is NULL: events of one stream may
// differ in shape.

// arrayElement is GetArrayElement(array, index), the first index is 0. There
// is nothing behind the end.
func arrayElement(args []value.Value) (value.Value, error) {
	i, err := whole("GetArrayElement", "a bigint as index", args[1])
	if err != nil || args[0].Kind() != value.Array || i < 0 {
		return value.Value{}, err
	}
	// Every element of a text takes a byte, so no array is longer than an int.
	return args[0].At(int(i)), nil
}

func arrayLength(args []value.Value) (value.Value, error) {
	if args[0].Kind() != value.Array {
		return value.Value{}, nil
	}
	return value.Int(int64(args[0].Len())), nil
}

// propertyValue is GetRecordPropertyValue(record, name). As with fields, the
// exact name wins, and a name that differs in case only is taken after that.
func propertyValue(args []value.Value) (value.Value, error) {
	name, err := text("GetRecordPropertyValue", args[1])
	if err != nil || args[0].Kind() != value.Record {
		return value.Value{}, err
	}
	return args[0].Get(name), nil
}

// compileJSONParse is JSON_PARSE(text): the record of a JSON object, NULL for
// all else. Its members follow the rules of the job's level.
func compileJSONParse(c Call) (Func, error) {
	level := c.Level
	return func(args []value.Value) (value.Value, error) {
		if args[0].Kind() != value.String || !strings.Contains(args[0].Str(), "{") {
			return value.Value{}, nil
		}
		v, err := value.ParseAt([]byte(args[0].Str()), level)
		if err != nil || v.Kind() != value.Record {
			// As documented, what is wrong with the text is no error.
			return value.Value{}, nil //nolint:nilerr // see above
		}
		return v, nil
	}, nil
}

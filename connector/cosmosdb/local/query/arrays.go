package query

import (
	"millrace/connector/cosmosdb/local/value"
)

var arrayFunctions = map[string]function{
	"ARRAY_CONCAT": variadic(2, -1, arrayConcat),
	"ARRAY_CONTAINS": {min: 2, max: 3,
		two: func(a, b value.Value) value.Value { return arrayContains(a, b, false) },
		many: func(_ *frame, args []value.Value) value.Value {
			partial, ok := args[2].AsBool()
			if !ok {
				return value.Undefined()
			}
			return arrayContains(args[0], args[1], partial)
		}},
	"ARRAY_CONTAINS_ANY": variadic(2, -1, arrayContainsAny),
	"ARRAY_CONTAINS_ALL": variadic(2, -1, arrayContainsAll),
	"ARRAY_LENGTH": single(func(a value.Value) value.Value {
		if a.Kind() != value.KindArray {
			return value.Undefined()
		}
		return value.Number(float64(a.Len()))
	}),
	"ARRAY_SLICE":   variadic(2, 3, arraySlice),
	"CHOOSE":        variadic(2, -1, choose),
	"OBJECTTOARRAY": variadic(1, 3, objectToArray),
}

func arrayConcat(f *frame, args []value.Value) value.Value {
	var b value.ArrayBuilder
	for _, a := range args {
		if a.Kind() != value.KindArray {
			return value.Undefined()
		}
		a.EachElement(func(e value.Value) bool {
			b.Append(e)
			return f.roomFor(b.Size())
		})
	}
	return b.Value()
}

func arrayContains(array, find value.Value, partial bool) value.Value {
	if array.Kind() != value.KindArray || find.IsUndefined() {
		return value.Undefined()
	}
	found := false
	array.EachElement(func(e value.Value) bool {
		found = value.Same(e, find) || partial && holds(e, find)
		return !found
	})
	return value.Bool(found)
}

// holds tells whether the object has all members of part, with the same values
// or, of objects in it, with values that hold theirs.
func holds(object, part value.Value) bool {
	if object.Kind() != value.KindObject || part.Kind() != value.KindObject {
		return false
	}
	all := true
	part.EachMember(func(name string, v value.Value) bool {
		member := object.Get(name)
		all = value.Same(member, v) || holds(member, v)
		return all
	})
	return all
}

func arrayContainsAny(f *frame, args []value.Value) value.Value {
	if args[0].Kind() != value.KindArray {
		return value.Undefined()
	}
	for _, find := range args[1:] {
		if !f.step() || arrayContains(args[0], find, false).IsTrue() {
			return value.Bool(true)
		}
	}
	return value.Bool(false)
}

func arrayContainsAll(f *frame, args []value.Value) value.Value {
	if args[0].Kind() != value.KindArray {
		return value.Undefined()
	}
	for _, find := range args[1:] {
		if !f.step() || !arrayContains(args[0], find, false).IsTrue() {
			return value.Bool(false)
		}
	}
	return value.Bool(true)
}

// arraySlice is ARRAY_SLICE(array, start[, length]); a negative start counts
// from the end.
func arraySlice(_ *frame, args []value.Value) value.Value {
	start, ok := integer(args[1])
	if !ok || args[0].Kind() != value.KindArray {
		return value.Undefined()
	}
	n := args[0].Len()
	length, ok := integer(optional(args, 2, value.Number(float64(n))))
	if !ok {
		return value.Undefined()
	}
	if start < 0 {
		start = max(start+n, 0)
	}
	var b value.ArrayBuilder
	i := 0
	args[0].EachElement(func(e value.Value) bool {
		if i >= start && i-start < length {
			b.Append(e)
		}
		i++
		return i-start < length
	})
	return b.Value()
}

func choose(_ *frame, args []value.Value) value.Value {
	i, ok := integer(args[0])
	if !ok || i < 1 || i >= len(args) {
		return value.Undefined()
	}
	return args[i]
}

func objectToArray(f *frame, args []value.Value) value.Value {
	name, ok := optional(args, 1, value.String("k")).AsString()
	content, ok2 := optional(args, 2, value.String("v")).AsString()
	if !ok || !ok2 || args[0].Kind() != value.KindObject {
		return value.Undefined()
	}
	var b value.ArrayBuilder
	args[0].EachMember(func(n string, v value.Value) bool {
		b.Append(value.Object(value.Member{Name: name, Value: value.String(n)}, value.Member{Name: content, Value: v}))
		return f.roomFor(b.Size())
	})
	return b.Value()
}

var setFunctions = map[string]function{
	"SETINTERSECT":  pair(func(a, b value.Value) value.Value { return setOf(a, b, true) }),
	"SETDIFFERENCE": pair(func(a, b value.Value) value.Value { return setOf(a, b, false) }),
	"SETUNION":      variadic(2, 2, setUnion),
}

// members are the distinct elements of an array, by their identity.
func members(array value.Value) map[string]bool {
	set := map[string]bool{}
	var key []byte
	array.EachElement(func(e value.Value) bool {
		key = value.AppendIdentity(key[:0], e)
		set[string(key)] = true
		return true
	})
	return set
}

// setOf has the elements of a, each once, that b has, or those that it has not.
func setOf(a, b value.Value, wanted bool) value.Value {
	if a.Kind() != value.KindArray || b.Kind() != value.KindArray {
		return value.Undefined()
	}
	others, seen := members(b), map[string]bool{}
	var result value.ArrayBuilder
	a.EachElement(func(e value.Value) bool {
		key := string(value.AppendIdentity(nil, e))
		if others[key] == wanted && !seen[key] {
			seen[key] = true
			result.Append(e)
		}
		return true
	})
	return result.Value()
}

func setUnion(f *frame, args []value.Value) value.Value {
	if args[0].Kind() != value.KindArray || args[1].Kind() != value.KindArray {
		return value.Undefined()
	}
	seen := map[string]bool{}
	var result value.ArrayBuilder
	for _, array := range args {
		array.EachElement(func(e value.Value) bool {
			key := string(value.AppendIdentity(nil, e))
			if !seen[key] {
				seen[key] = true
				result.Append(e)
			}
			return f.roomFor(result.Size())
		})
	}
	return result.Value()
}

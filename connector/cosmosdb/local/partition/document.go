package partition

import (
	"millrace/connector/cosmosdb/local/value"
)

// FromDocument is the key that an item has by its members. What is neither a
// string, number, boolean nor null counts as undefined, as clients send it. The
// item must be valid JSON.
func FromDocument(def Definition, item []byte) (Key, error) {
	return FromValue(def, value.Trusted(item))
}

// FromValue is FromDocument for an item that has been read.
func FromValue(def Definition, item value.Value) (Key, error) {
	var space [maxPaths]component
	parts := space[:0]
	for _, path := range def.Paths {
		parts = append(parts, partAt(item, path))
	}
	return newKey(def, parts)
}

// partAt looks a path up.
func partAt(v value.Value, path string) component {
	for path != "" {
		name, rest, err := nextName(path)
		if err != nil {
			return component{kind: kindUndefined}
		}
		v, path = v.Get(name), rest
	}
	switch v.Kind() {
	case value.KindNull:
		return component{kind: kindNull}
	case value.KindBool:
		if v.IsTrue() {
			return component{kind: kindTrue}
		}
		return component{kind: kindFalse}
	case value.KindNumber:
		number, _ := v.AsNumber()
		return component{kind: kindNumber, number: number}
	case value.KindString:
		text, _ := v.AsString()
		return component{kind: kindString, text: text}
	}
	return component{kind: kindUndefined}
}

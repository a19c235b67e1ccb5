package value

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Equal compares as the operator = does: it is not defined for undefined, and
// values of different kinds are not equal. Arrays and objects are compared by
// depth; the order of members does not matter, and numbers are compared as
// numbers.
func Equal(a, b Value) (equal, defined bool) {
	if a.kind == KindUndefined || b.kind == KindUndefined {
		return false, false
	}
	return Same(a, b), true
}

// Order compares as the operators <, <=, > and >= do: negative, zero or
// positive, and defined for two nulls, booleans, numbers or strings only.
func Order(a, b Value) (order int, defined bool) {
	if a.kind != b.kind || a.kind == KindUndefined || a.kind >= KindArray {
		return 0, false
	}
	return Compare(a, b), true
}

// Less is a < b as the query language has it.
func Less(a, b Value) (less, defined bool) {
	order, defined := Order(a, b)
	return defined && order < 0, defined
}

// Same tells whether a and b are the same value by depth, undefined being the
// same as undefined: the equality of DISTINCT and GROUP BY. It agrees with
// Compare and Hash.
func Same(a, b Value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case KindString:
		if a.form != formEscaped && b.form != formEscaped {
			return a.text == b.text
		}
	case KindArray, KindObject:
		if a.text == b.text {
			return true
		}
	}
	return Compare(a, b) == 0
}

// Compare is a total order over all values, that of ORDER BY: by kind, then
// false before true, numbers by size (NaN first, -0 as 0), strings by their
// UTF-8 bytes, arrays element by element, objects by their members sorted by
// name: at the first difference the smaller name, or of one name the smaller
// value, is the smaller object; and what ends first is smaller.
func Compare(a, b Value) int {
	if a.kind != b.kind {
		return cmp.Compare(a.kind, b.kind)
	}
	switch a.kind {
	case KindBool:
		return cmp.Compare(a.num, b.num)
	case KindNumber:
		return cmp.Compare(a.number(), b.number())
	case KindString:
		return strings.Compare(a.str(), b.str())
	case KindArray:
		return compareArrays(a.text, b.text)
	case KindObject:
		return compareObjects(a, b)
	}
	return 0
}

func compareArrays(a, b string) int {
	for i, j := 1, 1; ; {
		x, more := elementAt(a, i)
		y, moreB := elementAt(b, j)
		if !more || !moreB {
			return compareBools(more, moreB)
		}
		var e, f Value
		e, i = readValue(a, x)
		f, j = readValue(b, y)
		if c := Compare(e, f); c != 0 {
			return c
		}
	}
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func compareObjects(a, b Value) int {
	var bufferA, bufferB [memberBuffer]member
	as, bs := sortedMembers(a, bufferA[:0]), sortedMembers(b, bufferB[:0])
	for i := range min(len(as), len(bs)) {
		if c := strings.Compare(as[i].name, bs[i].name); c != 0 {
			return c
		}
		if c := Compare(as[i].value, bs[i].value); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// memberBuffer is for how many members an object is sorted without allocating.
const memberBuffer = 16

type member struct {
	name  string
	value Value
}

// sortedMembers appends the members of an object, sorted by name, of each name
// the last.
func sortedMembers(v Value, to []member) []member {
	for i := 1; ; {
		name, escaped, at, ok := memberAt(v.text, i)
		if !ok {
			break
		}
		if escaped {
			name = unescape(name)
		}
		m := member{name: name}
		m.value, i = readValue(v.text, at)
		to = append(to, m)
	}
	slices.SortStableFunc(to, func(a, b member) int { return strings.Compare(a.name, b.name) })
	kept := to[:0]
	for i, m := range to {
		if i+1 < len(to) && to[i+1].name == m.name {
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

// Hash is a hash over the value as Same sees it: values that are the same have
// one hash. It is stable between runs and versions of the program as long as
// the hash function is.
func Hash(v Value) uint64 {
	switch v.kind {
	case KindNull:
		return 0x9E3779B97F4A7C15
	case KindBool:
		return 0xC2B2AE3D27D4EB4F + uint64(v.num)
	case KindNumber:
		var b [9]byte
		b[0] = byte(KindNumber)
		binary.BigEndian.PutUint64(b[1:], orderedBits(v.number()))
		return xxhash.Sum64(b[:])
	case KindString:
		return xxhash.Sum64String(v.str())
	case KindArray:
		h := uint64(0x165667B19E3779F9)
		for i := 1; ; {
			at, ok := elementAt(v.text, i)
			if !ok {
				return h
			}
			var e Value
			e, i = readValue(v.text, at)
			h = mix(h, Hash(e))
		}
	case KindObject:
		var buffer [memberBuffer]member
		h := uint64(0x27D4EB2F165667C5)
		for _, m := range sortedMembers(v, buffer[:0]) {
			h = mix(mix(h, xxhash.Sum64String(m.name)), Hash(m.value))
		}
		return h
	}
	return 0
}

// mix folds b into a, so that the order of foldings matters.
func mix(a, b uint64) uint64 {
	var w [16]byte
	binary.LittleEndian.PutUint64(w[:], a)
	binary.LittleEndian.PutUint64(w[8:], b)
	return xxhash.Sum64(w[:])
}

// orderedBits are bits whose order as an unsigned integer is that of the
// numbers, with NaN first.
func orderedBits(f float64) uint64 {
	if math.IsNaN(f) {
		return 0
	}
	if f == 0 {
		f = 0 // -0 as well
	}
	if b := math.Float64bits(f); b&(1<<63) == 0 {
		return b | 1<<63
	} else {
		return ^b
	}
}

package data

import (
	"bytes"
	"strconv"
)

// complexCount is how many doubles the struct complexData has.
const complexCount = 23

// complexNames are the names of its fields, complexKeys the text before a
// value of the usual layout.
var complexNames, complexKeys = func() (names [complexCount]string, keys [complexCount][]byte) {
	for i := range names {
		names[i] = "moreData" + strconv.Itoa(i)
		keys[i] = []byte(`"` + names[i] + `":`)
	}
	return names, keys
}()

// complexFields are the values of one complexData. Bit i of present tells
// whether values[i] has one.
type complexFields struct {
	values  [complexCount]float64
	present uint32
}

// scan takes the doubles out of the text of complexData, an object. It tells
// whether the fields say all that the text says: an object of other members,
// or of other values than numbers in a double's range, is not theirs. What
// they can hold of it, they hold all the same.
func (c *complexFields) scan(object []byte) (exact bool) {
	c.present = 0
	if c.scanUsual(object) {
		return true
	}
	c.present = 0
	return c.scanAny(object)
}

// scanUsual reads the fields as the standard event has them: some of them, in
// their order, without white space.
func (c *complexFields) scanUsual(b []byte) bool {
	if len(b) < 2 || b[0] != '{' {
		return false
	}
	if len(b) == 2 {
		return b[1] == '}'
	}
	pos := 1
	for i := range complexCount {
		key := complexKeys[i]
		if len(b)-pos <= len(key) || !bytes.Equal(b[pos:pos+len(key)], key) {
			continue
		}
		v, end, ok := scanDouble(b, pos+len(key))
		if !ok || end >= len(b) {
			return false
		}
		c.values[i] = v
		c.present |= 1 << i
		pos = end + 1
		if b[end] != ',' {
			return b[end] == '}' && pos == len(b)
		}
	}
	return false
}

// scanAny reads an object of any members in any layout.
func (c *complexFields) scanAny(b []byte) (exact bool) {
	b = bytes.TrimSpace(b)
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	b = b[1 : len(b)-1]
	exact = true
	i := 0
	for {
		m, next, ok := nextMember(b, i)
		if !ok {
			// Something other than the end is here.
			return exact && next == len(b)
		}
		i = next
		at := complexIndex(&m)
		if at < 0 {
			exact = false
			continue
		}
		v, end, ok := scanDouble(m.value, 0)
		if !ok || end != len(m.value) || c.present&(1<<at) != 0 {
			// Not a number, or the second one: the text knows.
			exact = false
			continue
		}
		c.values[at] = v
		c.present |= 1 << at
	}
}

// complexIndex returns which field a member is, -1 if none.
func complexIndex(m *member) int {
	name := m.name
	if m.escaped {
		s, ok := unquote(m.text[:len(m.name)+2])
		if !ok {
			return -1
		}
		name = []byte(s)
	}
	const prefix = "moreData"
	digits := len(name) - len(prefix)
	if digits < 1 || digits > 2 || string(name[:len(prefix)]) != prefix {
		return -1
	}
	n := 0
	for _, c := range name[len(prefix):] {
		if !isDigit(c) {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	if n >= complexCount || complexNames[n] != string(name) {
		return -1
	}
	return n
}

// appendComplex appends the object that the fields stand for.
func appendComplex(dst []byte, c *complexFields) []byte {
	dst = append(dst, '{')
	first := true
	for i := range complexCount {
		if c.present&(1<<i) == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, complexKeys[i]...)
		dst = appendDouble(dst, c.values[i])
	}
	return append(dst, '}')
}

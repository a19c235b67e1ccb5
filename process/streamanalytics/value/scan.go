package value

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"millrace/record"
)

// The scanner is the one reading of JSON text in this package, strict as RFC
// 8259 has it: UTF-8 only, no lone surrogates, nothing after the value.
//
// Its functions take the text and an index, and return the index behind what
// they read. A negative result ^p means that the text is not acceptable at
// byte p; plain integers keep the hot path free of error values. Whether it is
// bad JSON or a number out of range is found out afterwards, by faultAt.

// MaxDepth is how deep arrays and objects may be nested. Deeper ones are
// refused as not JSON, so that no input can exhaust the stack.
const MaxDepth = 512

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// interrupts marks, with the high bit of each byte, the bytes of w that end or
// interrupt a run of plain string text: quotes, backslashes, control
// characters and everything beyond ASCII. Only the lowest mark is reliable (a
// borrow may set marks above a true one), and only the lowest is used.
func interrupts(w uint64) uint64 {
	q := w ^ ('"' * ones)
	s := w ^ ('\\' * ones)
	return ((q-ones)&^q | (s-ones)&^s | (w-0x20*ones)&^w | w) & highs
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isDigit(c byte) bool { return c-'0' <= 9 }

// skipSpace returns the index of the first byte from i on that is not white
// space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// load reads the 8 bytes at i. The caller has made sure that they are there;
// checking again would cost a fifth of the scanner's speed.
func load(b []byte, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))[:])
}

// view is b as a string without a copy.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// plainEnd returns the index of the first byte from i on that is not plain
// string text, or one within the last 7 bytes of b.
func plainEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		if m := interrupts(load(b, i)); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	return i
}

// scanNumber reads the number at i, and tells whether it is a whole one, with
// neither fraction nor exponent. It refuses one that neither a bigint nor a
// float can hold: such an event is an input error wherever in it the number
// stands, so that a query's choice of columns does not decide it.
func scanNumber(b []byte, i int) (end int, whole bool) {
	start := i
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i >= len(b) || !isDigit(b[i]) {
		return ^i, false
	}
	if b[i] == '0' {
		i++
	} else {
		for i++; i < len(b) && isDigit(b[i]); i++ {
		}
	}
	whole = true
	if i < len(b) && b[i] == '.' {
		whole = false
		if i++; i >= len(b) || !isDigit(b[i]) {
			return ^i, false
		}
		for i+8 <= len(b) {
			n := digitsAhead(load(b, i))
			i += n
			if n < 8 {
				break
			}
		}
		for ; i < len(b) && isDigit(b[i]); i++ {
		}
	}
	exponent := false
	if i < len(b) && b[i]|0x20 == 'e' {
		whole, exponent = false, true
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if i >= len(b) || !isDigit(b[i]) {
			return ^i, false
		}
		for i++; i < len(b) && isDigit(b[i]); i++ {
		}
	}
	// Below these lengths every number fits.
	if n := i - start; n > 18 && (whole || exponent || n > 300) || n > 4 && exponent {
		if _, ok := number(b[start:i], whole); !ok {
			return ^start, whole
		}
	}
	return i, whole
}

// digitsAhead returns how many of the 8 bytes of w, from the lowest on, are
// decimal digits before one that is not.
func digitsAhead(w uint64) int {
	const f0, threes, sixes = 0xf0f0f0f0f0f0f0f0, 0x3030303030303030, 0x0606060606060606
	// The second term finds : to ?; a carry out of a byte comes from one
	// that is no digit itself, so the lowest mark is right.
	return bits.TrailingZeros64((w&f0^threes)|((w+sixes)&f0^threes)) >> 3
}

// skipLiteral reads true, false or null.
func skipLiteral(b []byte, i int) int {
	word := "null"
	switch b[i] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	}
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return ^i
	}
	return i + len(word)
}

// skipValue reads the value at i (white space before it is already gone).
// depth is how many arrays and objects are open around it.
func skipValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return ^i
	}
	// Telemetry is mostly numbers: they come before the switch.
	if isDigit(b[i]) || b[i] == '-' {
		end, _ := scanNumber(b, i)
		return end
	}
	switch b[i] {
	case '"':
		end, _ := record.ScanString(b, i+1)
		if end < 0 {
			return end
		}
		return end + 1
	case '{':
		return skipObject(b, i, depth+1)
	case '[':
		return skipArray(b, i, depth+1)
	}
	return skipLiteral(b, i)
}

func skipObject(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return ^i
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	var m member
	for {
		if i = scanName(b, i, &m); i < 0 {
			return i
		}
		if i = skipValue(b, i, depth); i < 0 {
			return i
		}
		if i+1 < len(b) && b[i] == ',' && b[i+1] == '"' {
			i++
			continue
		}
		var more bool
		if i, more = scanSeparator(b, i, '}'); i < 0 || !more {
			return i
		}
	}
}

func skipArray(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return ^i
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = skipValue(b, i, depth); i < 0 {
			return i
		}
		var more bool
		if i, more = scanSeparator(b, i, ']'); i < 0 || !more {
			return i
		}
	}
}

// scanSeparator reads what follows a member or element: a comma (more is
// true, and the result is where the next one starts) or the closing bracket.
func scanSeparator(b []byte, i int, closing byte) (next int, more bool) {
	if i = skipSpace(b, i); i >= len(b) {
		return ^len(b), false
	}
	switch b[i] {
	case ',':
		return skipSpace(b, i+1), true
	case closing:
		return i + 1, false
	}
	return ^i, false
}

// member is where a member of an object lies in the text.
type member struct {
	// name and nameEnd enclose the name without its quotes; value is where
	// the value starts.
	name, nameEnd, value int
	// escaped tells that the name has escapes, plain that it is all ASCII
	// without any; a short name at the end of the text may be neither.
	escaped, plain bool
}

// nameOf returns a member's name, unescaped.
func (m *member) nameOf(b []byte) []byte {
	if m.escaped {
		return record.AppendUnescaped(nil, b[m.name:m.nameEnd])
	}
	return b[m.name:m.nameEnd]
}

// scanMember reads the member at i, in an object at the given depth.
func scanMember(b []byte, i, depth int) (member, int) {
	var m member
	if i = scanName(b, i, &m); i < 0 {
		return m, i
	}
	return m, skipValue(b, i, depth)
}

// scanName reads a member's name and colon, up to its value.
func scanName(b []byte, i int, m *member) int {
	if i >= len(b) || b[i] != '"' {
		return ^i
	}
	m.name = i + 1
	i = plainEnd(b, i+1)
	m.escaped, m.plain = false, true
	if i >= len(b) || b[i] != '"' {
		m.plain = false
		if i, m.escaped = record.ScanString(b, i); i < 0 {
			return i
		}
	}
	m.nameEnd = i
	if i++; i+1 < len(b) && b[i] == ':' && b[i+1] > ' ' {
		m.value = i + 1
		return i + 1
	}
	if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
		return ^i
	}
	m.value = skipSpace(b, i+1)
	return m.value
}

package record

import "fmt"

const hexDigits = "0123456789abcdef"

// hexValue maps a byte to the value of the hexadecimal digit it spells, or
// 0xff.
var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range 10 {
		t['0'+i] = byte(i)
	}
	for i := range 6 {
		t['a'+i], t['A'+i] = byte(10+i), byte(10+i)
	}
	return t
}()

// idGroups are the places of the 16 pairs of digits in a UUID's text.
var idGroups = [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// idTextLen is the length of a UUID's text.
const idTextLen = 36

// ParseID reads a UUID in its usual text form (8-4-4-4-12 hexadecimal digits,
// any case, nothing around it).
func ParseID[T ~string | ~[]byte](text T) (ID, error) {
	var id ID
	if len(text) != idTextLen || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return ID{}, fmt.Errorf("%.60q is not a UUID such as 0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11", string(text))
	}
	for i, at := range idGroups {
		hi, lo := hexValue[text[at]], hexValue[text[at+1]]
		if hi|lo > 0x0f {
			return ID{}, fmt.Errorf("%.60q is not a UUID such as 0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11", string(text))
		}
		id[i] = hi<<4 | lo
	}
	return id, nil
}

// AppendText appends the canonical (lower-case) text of id. The error is
// always nil; it makes ID an encoding.TextAppender.
func (id ID) AppendText(dst []byte) ([]byte, error) {
	return AppendID(dst, id), nil
}

// AppendID appends the canonical (lower-case) text of id.
func AppendID(dst []byte, id ID) []byte {
	var text [idTextLen]byte
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	for i, at := range idGroups {
		text[at], text[at+1] = hexDigits[id[i]>>4], hexDigits[id[i]&0x0f]
	}
	return append(dst, text[:]...)
}

// String returns the canonical (lower-case) text of id.
func (id ID) String() string { return string(AppendID(make([]byte, 0, idTextLen), id)) }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return AppendID(nil, id), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(text []byte) error {
	v, err := ParseID(text)
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// idIsCanonical tells whether text, known to be a UUID, is what AppendID
// writes.
func idIsCanonical(text []byte) bool {
	for _, c := range text {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	return true
}

package amqp

// The types of AMQP that have no Go type of their own.
type (
	// Symbol is a symbolic value: an ASCII word from some constrained domain.
	Symbol string
	// UUID is a universally unique identifier, in network order.
	UUID [16]byte
	// Char is one Unicode character.
	Char rune
	// Timestamp is a point in time: milliseconds since the Unix epoch, UTC.
	Timestamp int64
	// Decimal32, Decimal64 and Decimal128 are IEEE 754 decimals, as their bytes.
	Decimal32 [4]byte
	// Decimal64 is the 64-bit decimal.
	Decimal64 [8]byte
	// Decimal128 is the 128-bit decimal.
	Decimal128 [16]byte
	// List is a sequence of values of any types.
	List []any
	// Array is a sequence of values of one type, other than symbols and
	// strings (those are []Symbol and []string).
	Array []any
	// Map is a map that keeps its order.
	Map []Pair
	// Pair is one entry of a Map.
	Pair struct{ Key, Value any }
	// Described is a value with a descriptor that says what it means.
	Described struct{ Descriptor, Value any }
)

// Get returns the value of the entry whose key is the string or symbol key.
func (m Map) Get(key string) (any, bool) {
	for i := range m {
		switch k := m[i].Key.(type) {
		case string:
			if k == key {
				return m[i].Value, true
			}
		case Symbol:
			if string(k) == key {
				return m[i].Value, true
			}
		}
	}
	return nil, false
}

// Constructors, as on the wire.
const (
	codeDescribed  = 0x00
	codeNull       = 0x40
	codeTrue       = 0x41
	codeFalse      = 0x42
	codeUint0      = 0x43
	codeUlong0     = 0x44
	codeList0      = 0x45
	codeUbyte      = 0x50
	codeByte       = 0x51
	codeSmallUint  = 0x52
	codeSmallUlong = 0x53
	codeSmallInt   = 0x54
	codeSmallLong  = 0x55
	codeBool       = 0x56
	codeUshort     = 0x60
	codeShort      = 0x61
	codeUint       = 0x70
	codeInt        = 0x71
	codeFloat      = 0x72
	codeChar       = 0x73
	codeDecimal32  = 0x74
	codeUlong      = 0x80
	codeLong       = 0x81
	codeDouble     = 0x82
	codeTimestamp  = 0x83
	codeDecimal64  = 0x84
	codeDecimal128 = 0x94
	codeUUID       = 0x98
	codeBin8       = 0xa0
	codeStr8       = 0xa1
	codeSym8       = 0xa3
	codeBin32      = 0xb0
	codeStr32      = 0xb1
	codeSym32      = 0xb3
	codeList8      = 0xc0
	codeMap8       = 0xc1
	codeList32     = 0xd0
	codeMap32      = 0xd1
	codeArray8     = 0xe0
	codeArray32    = 0xf0
)

// known marks the constructors that exist; others are refused.
var known = func() (k [256]bool) {
	for _, c := range []byte{
		codeNull, codeTrue, codeFalse, codeUint0, codeUlong0, codeList0,
		codeUbyte, codeByte, codeSmallUint, codeSmallUlong, codeSmallInt, codeSmallLong, codeBool,
		codeUshort, codeShort, codeUint, codeInt, codeFloat, codeChar, codeDecimal32,
		codeUlong, codeLong, codeDouble, codeTimestamp, codeDecimal64, codeDecimal128, codeUUID,
		codeBin8, codeStr8, codeSym8, codeBin32, codeStr32, codeSym32,
		codeList8, codeMap8, codeList32, codeMap32, codeArray8, codeArray32,
	} {
		k[c] = true
	}
	return k
}()

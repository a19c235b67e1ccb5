package record

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// FingerprintVersion numbers the definition of Fingerprint. Ledgers carry it,
// so that fingerprints of different definitions are never compared.
const FingerprintVersion = 1

// RawHash hashes bytes as they are (xxHash64, seed 0). It identifies payloads
// that are not JSON.
func RawHash(b []byte) uint64 { return xxhash.Sum64(b) }

// Fingerprint hashes the content of one JSON value, so that two texts have the
// same fingerprint if they say the same thing, however they are spelled. Stores
// spell JSON anew; this is how what they serve is compared with what was sent.
//
// It does not depend on white space, the order of members, how strings are
// escaped and how numbers are written. Numbers compare as IEEE doubles (10,
// 10.0 and 1e1 are equal; so are 0 and -0, two integers that a double cannot
// tell apart, and all numbers beyond its range on one side of zero). It does
// depend on every name, every value and its type, the order of array elements,
// nesting, null against absent, and how often a name occurs.
//
// It is made for finding damage, not for resisting somebody who looks for
// collisions. The error is a *DecodeError with the reason NotJSON. It does not
// allocate, except for strings of over 256 bytes with escapes.
func Fingerprint(json []byte) (uint64, error) {
	h, i := hashValue(json, skipSpace(json, 0), 0)
	if i >= 0 {
		if i = skipSpace(json, i); i != len(json) {
			i = ^i
		}
	}
	if i < 0 {
		return 0, notJSON(json, i)
	}
	return h, nil
}

// The hash of a value is built like the value: a scalar's from its type and
// canonical content, an array's by folding its elements' in order, an object's
// by adding up one term per member, which is what makes the order of members
// irrelevant. Folding structure instead of paths leaves no ambiguity between,
// say, {"a.b":1} and {"a":{"b":1}}, or an empty object and an absent one.
//
// The constants are arbitrary odd numbers with no pattern in their bits; they
// keep types, names and values apart.
const (
	seedString = 0x9e3779b97f4a7c15
	seedNumber = 0xbf58476d1ce4e5b9
	seedName   = 0x94d049bb133111eb
	seedMember = 0xd6e8feb86659fd93
	seedObject = 0xa0761d6478bd642f
	seedArray  = 0xe7037ed1a0b428db
	seedTail   = 0x8ebc6af09c88c6e3

	hashTrue  = 0x589965cc75374cc3
	hashFalse = 0x1d8e4e27c47d124f
	hashNull  = 0xeb44accab455d165
)

// mum folds the 128-bit product of two words, so that high bits reach low ones
// and the reverse. If one word is 0 so is the result, whatever the other: its
// arguments are therefore mixed with constants first, which makes that rare.
func mum(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func hashWord(seed, w uint64) uint64 { return mum(w^seed, (w>>32|w<<32)^seedTail) }

// hashBytes hashes a string's content. Names and most values are at most 16
// bytes, for which two overlapping words are faster than a call of xxHash.
func hashBytes(seed uint64, s []byte) uint64 {
	var a, b uint64
	switch n := len(s); {
	case n > 32:
		return hashWord(seed, xxhash.Sum64(s))
	case n > 16:
		seed = mum(binary.LittleEndian.Uint64(s)^seed, binary.LittleEndian.Uint64(s[8:])^seedMember)
		a, b = binary.LittleEndian.Uint64(s[n-16:]), binary.LittleEndian.Uint64(s[n-8:])
	case n >= 8:
		a, b = binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[n-8:])
	case n >= 4:
		a, b = uint64(binary.LittleEndian.Uint32(s)), uint64(binary.LittleEndian.Uint32(s[n-4:]))
	case n > 0:
		a = uint64(s[0])<<16 | uint64(s[n>>1])<<8 | uint64(s[n-1])
	}
	// The product of two nearly equal words alone would mix too little of
	// short strings, hence the second round, which also brings in the length.
	return mum(mum(a^seed, b^seedTail)^seedArray, uint64(len(s))^seed)
}

// hashValue hashes the value at i, with depth arrays and objects around it.
// Like the scanner it returns the index behind the value, negative on errors.
func hashValue(b []byte, i, depth int) (uint64, int) {
	if i >= len(b) {
		return 0, ^i
	}
	// Most values are numbers.
	if isDigit(b[i]) || b[i] == '-' {
		return hashNumber(b, i)
	}
	switch b[i] {
	case '"':
		end, escaped := ScanString(b, i+1)
		if end < 0 {
			return 0, end
		}
		return hashString(seedString, b[i+1:end], escaped), end + 1
	case '{':
		var c objectHash
		i = hashMembers(b, i, depth+1, &c, nil)
		return c.sum(), i
	case '[':
		return hashArray(b, i, depth+1)
	case 't':
		return hashTrue, skipLiteral(b, i)
	case 'f':
		return hashFalse, skipLiteral(b, i)
	}
	return hashNull, skipLiteral(b, i)
}

func hashString(seed uint64, s []byte, escaped bool) uint64 {
	if !escaped {
		return hashBytes(seed, s)
	}
	return hashEscaped(seed, s)
}

func hashEscaped(seed uint64, s []byte) uint64 {
	var room [256]byte
	return hashBytes(seed, AppendUnescaped(room[:0], s))
}

// objectHash adds up the members of an object.
type objectHash struct {
	total uint64
	count uint64
}

func (o *objectHash) add(term uint64)    { o.total += term; o.count++ }
func (o *objectHash) remove(term uint64) { o.total -= term; o.count-- }
func (o *objectHash) sum() uint64        { return mum(o.total^seedObject, o.count*seedTail^seedName) }

// watch is told of every member of an object that is hashed.
type watch func(name, value []byte, term uint64)

// hashMembers adds the members of the object at i to o.
func hashMembers(b []byte, i, depth int, o *objectHash, w watch) int {
	if depth > MaxDepth {
		return ^i
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for more := true; more; {
		var m member
		if i = scanName(b, i, &m); i < 0 {
			return i
		}
		m.value = i
		var v uint64
		if v, i = hashValue(b, i, depth); i < 0 {
			return i
		}
		name := hashString(seedName, b[m.name:m.nameEnd], m.escaped)
		term := mum(name^seedMember, (v>>29|v<<35)^seedTail)
		o.add(term)
		if w != nil {
			w(m.nameOf(b), b[m.value:i], term)
		}
		if i, more = scanSeparator(b, i, '}'); i < 0 {
			return i
		}
	}
	return i
}

func hashArray(b []byte, i, depth int) (uint64, int) {
	if depth > MaxDepth {
		return 0, ^i
	}
	h, count := uint64(seedArray), uint64(0)
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return hashWord(h, count), i + 1
	}
	for more := true; more; {
		var v uint64
		if v, i = hashValue(b, i, depth); i < 0 {
			return 0, i
		}
		// Multiplying the sum so far is what makes the order matter.
		h = mum(h^seedMember, (v>>31|v<<33)^seedString) + h*seedTail
		count++
		if i, more = scanSeparator(b, i, ']'); i < 0 {
			return 0, i
		}
	}
	return mum(h^seedArray, count*seedTail^seedObject), i
}

// pow10 holds the powers of ten that a double holds exactly.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// hashNumber hashes the double that the number at i stands for. Numbers of up
// to 15 digits without an exponent are computed here: mantissa and power of
// ten are then exact, so one division rounds correctly. The others take
// strconv.
func hashNumber(b []byte, i int) (uint64, int) {
	start := i
	negative := b[i] == '-'
	if negative {
		i++
	}
	first := i
	var n uint64
	for ; i < len(b) && isDigit(b[i]); i++ {
		n = n*10 + uint64(b[i]-'0')
	}
	digits := i - first
	if digits == 0 || digits > 1 && b[first] == '0' {
		return 0, ^start
	}
	decimals := 0
	if i < len(b) && b[i] == '.' {
		point := i
		i++
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			k := digitsAhead(w)
			if k == 0 {
				break
			}
			n = n*pow10Int[k] + parseDigitsOf(w, k)
			if i += k; k < 8 {
				break
			}
		}
		for ; i < len(b) && isDigit(b[i]); i++ {
			n = n*10 + uint64(b[i]-'0')
		}
		if decimals = i - point - 1; decimals == 0 {
			return 0, ^i
		}
	}
	if digits+decimals > 15 || i < len(b) && b[i]|0x20 == 'e' {
		return hashLongNumber(b, start)
	}
	f := float64(n)
	if decimals > 0 {
		f /= pow10[decimals]
	}
	return hashDouble(f, negative), i
}

// pow10Int holds 10^0 to 10^8.
var pow10Int = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// parseDigitsOf reads the k (1 to 8) decimal digits in the lowest bytes of w.
// Shifted to the top they have leading zeros; pairs of digits, then pairs of
// pairs, then these, are joined by one multiplication each.
func parseDigitsOf(w uint64, k int) uint64 {
	w = (w - 0x3030303030303030) << (64 - 8*k)
	w = w*10 + w>>8
	const mask = 0x000000ff000000ff
	return (w&mask*(100+1000000<<32) + w>>16&mask*(1+10000<<32)) >> 32
}

func hashLongNumber(b []byte, start int) (uint64, int) {
	end := skipNumber(b, start)
	if end < 0 {
		return 0, end
	}
	// An error means out of range, and f is an infinity then.
	f, _ := strconv.ParseFloat(unsafe.String(&b[start], end-start), 64)
	return hashDouble(math.Abs(f), b[start] == '-'), end
}

// hashDouble hashes a double given as its absolute value and sign.
func hashDouble(abs float64, negative bool) uint64 {
	w := math.Float64bits(abs)
	if negative && abs != 0 {
		w |= 1 << 63
	}
	return hashWord(seedNumber, w)
}

package partition

import (
	"encoding/binary"
	"math"

	"github.com/twmb/murmur3"
)

// appendV2 appends the 16 bytes of a value's hash: Murmur3 of 128 bits, read
// backwards, with the two highest bits clear, so that FF lies behind all.
func appendV2(dst []byte, part component) []byte {
	var space [256]byte
	h1, h2 := murmur3.Sum128(appendHashed(space[:0], part, 0xFF, -1))
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, h2)
	dst = binary.BigEndian.AppendUint64(dst, h1)
	dst[start] &= 0x3F
	return dst
}

// appendHashed appends what is hashed of a value: of strings at most limit
// characters, with a final byte.
func appendHashed(dst []byte, part component, final byte, limit int) []byte {
	dst = append(dst, part.kind)
	switch part.kind {
	case kindNumber:
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(part.number))
	case kindString:
		dst = append(dst, truncate(part.text, limit)...)
		dst = append(dst, final)
	}
	return dst
}

// v1Characters is how much of a string counts in a key of version 1: longer ones
// that begin alike are of one logical partition.
const v1Characters = 100

// appendV1 appends the effective partition key of version 1: the Murmur3 hash of
// 32 bits as a number, then the values, all in an order-preserving form.
func appendV1(dst []byte, parts []component) []byte {
	var space [512]byte
	hashed := space[:0]
	for _, part := range parts {
		hashed = appendHashed(hashed, part, 0x00, v1Characters)
	}
	dst = appendOrdered(dst, component{kind: kindNumber, number: float64(murmur3.Sum32(hashed))})
	for _, part := range parts {
		dst = appendOrdered(dst, part)
	}
	return dst
}

func appendOrdered(dst []byte, part component) []byte {
	dst = append(dst, part.kind)
	switch part.kind {
	case kindNumber:
		dst = appendOrderedNumber(dst, part.number)
	case kindString:
		text := truncate(part.text, v1Characters)
		long := len(text) > v1Characters // in bytes
		if long {
			text = text[:v1Characters+1]
		}
		for i := range len(text) {
			b := text[i]
			if b < 0xFF { // so that 0 is free for the end
				b++
			}
			dst = append(dst, b)
		}
		if !long {
			dst = append(dst, 0)
		}
	}
	return dst
}

// appendOrderedNumber writes 8 bits, then 7 a byte with the lowest bit set while
// more follow.
func appendOrderedNumber(dst []byte, number float64) []byte {
	bits := math.Float64bits(number)
	if bits>>63 == 0 {
		bits ^= 1 << 63
	} else {
		bits = -bits
	}
	dst = append(dst, byte(bits>>56))
	bits <<= 8
	for {
		next := byte(bits >> 56)
		bits <<= 7
		if bits == 0 {
			return append(dst, next&0xFE)
		}
		dst = append(dst, next|1)
	}
}

// truncate cuts a text after some characters as JavaScript and .NET count them:
// units of UTF-16. A negative limit is none.
func truncate(text string, limit int) string {
	if limit < 0 || len(text) <= limit {
		return text
	}
	units := 0
	for i, r := range text {
		n := 1
		if r >= 0x10000 {
			n = 2
		}
		if units+n > limit {
			return text[:i]
		}
		units += n
	}
	return text
}

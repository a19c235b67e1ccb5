package partition

import (
	"math/bits"
)

// End is behind all effective partition keys.
const End = "FF"

// Range is a part of the space of effective partition keys, as upper-case
// hexadecimal text: Low is in it, High is not.
type Range struct {
	Low, High string
}

// Contains tells whether an effective partition key lies in the range.
func (r Range) Contains(epk string) bool { return r.Low <= epk && epk < r.High }

// Overlaps tells whether two ranges have a key in common.
func (r Range) Overlaps(other Range) bool { return r.Low < other.High && other.Low < r.High }

// Split divides the space of a definition's effective partition keys into n
// parts of the same size, in order, from "" to End. n below 1 is 1.
func (d Definition) Split(n int) []Range {
	n = max(n, 1)
	ranges := make([]Range, n)
	low := ""
	for i := range ranges {
		high := End
		if i < n-1 {
			high = d.bound(uint64(i+1), uint64(n))
		}
		ranges[i] = Range{Low: low, High: high}
		low = high
	}
	return ranges
}

// bound is the effective partition key at i/n of the space.
func (d Definition) bound(i, n uint64) string {
	if d.version() == 1 {
		hash := float64(i << 32 / n)
		return Hex(string(appendOrdered(nil, component{kind: kindNumber, number: hash})))
	}
	quotient, _ := bits.Div64(i>>2, i<<62, n) // i/n of 2^62, the space's first eight bytes
	first := make([]byte, 16)
	for b := range 8 {
		first[b] = byte(quotient >> (56 - 8*b))
	}
	return Hex(string(first))
}

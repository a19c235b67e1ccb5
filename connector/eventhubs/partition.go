package eventhubs

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// partitionID is how the service names a partition.
func partitionID(p int32) string { return strconv.Itoa(int(p)) }

// partitionFor returns the partition out of n that events with a key go to:
// the choice that the buffered producers of the official SDKs make.
func partitionFor(key []byte, n int) int32 {
	h := int32(keyHash(key)) % int32(n)
	if h < 0 {
		h = -h
	}
	return h
}

// keyHash is Jenkins' lookup3 (hashlittle2 with seeds 0), its two halves
// combined as the SDKs combine them. The empty key hashes to 0.
func keyHash(key []byte) int16 {
	if len(key) == 0 {
		return 0
	}
	a := 0xdeadbeef + uint32(len(key))
	b, c := a, a
	for len(key) > 12 {
		a += binary.LittleEndian.Uint32(key)
		b += binary.LittleEndian.Uint32(key[4:])
		c += binary.LittleEndian.Uint32(key[8:])
		key = key[12:]
		a = (a - c) ^ bits.RotateLeft32(c, 4)
		c += b
		b = (b - a) ^ bits.RotateLeft32(a, 6)
		a += c
		c = (c - b) ^ bits.RotateLeft32(b, 8)
		b += a
		a = (a - c) ^ bits.RotateLeft32(c, 16)
		c += b
		b = (b - a) ^ bits.RotateLeft32(a, 19)
		a += c
		c = (c - b) ^ bits.RotateLeft32(b, 4)
		b += a
	}
	var tail [12]byte
	copy(tail[:], key)
	a += binary.LittleEndian.Uint32(tail[:])
	b += binary.LittleEndian.Uint32(tail[4:])
	c += binary.LittleEndian.Uint32(tail[8:])
	c = (c ^ b) - bits.RotateLeft32(b, 14)
	a = (a ^ c) - bits.RotateLeft32(c, 11)
	b = (b ^ a) - bits.RotateLeft32(a, 25)
	c = (c ^ b) - bits.RotateLeft32(b, 16)
	a = (a ^ c) - bits.RotateLeft32(c, 4)
	b = (b ^ a) - bits.RotateLeft32(a, 14)
	c = (c ^ b) - bits.RotateLeft32(b, 24)
	return int16(uint16(c ^ b))
}

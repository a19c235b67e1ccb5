package hub

import "math/bits"

// PartitionFor returns the partition out of n of events with a partition key:
// the choice that the official SDKs make. The empty key hashes to 0.
func PartitionFor(key string, n int) int32 {
	h := int32(keyHash(key)) % int32(n)
	if h < 0 {
		h = -h
	}
	return h
}

// keyHash is Jenkins' lookup3 (hashlittle2, seeds 0) with its two halves
// combined as the SDKs do.
func keyHash(key string) int16 {
	if key == "" {
		return 0
	}
	a := 0xdeadbeef + uint32(len(key))
	b, c := a, a
	for len(key) > 12 {
		a += word(key)
		b += word(key[4:])
		c += word(key[8:])
		a -= c
		a ^= bits.RotateLeft32(c, 4)
		c += b
		b -= a
		b ^= bits.RotateLeft32(a, 6)
		a += c
		c -= b
		c ^= bits.RotateLeft32(b, 8)
		b += a
		a -= c
		a ^= bits.RotateLeft32(c, 16)
		c += b
		b -= a
		b ^= bits.RotateLeft32(a, 19)
		a += c
		c -= b
		c ^= bits.RotateLeft32(b, 4)
		b += a
		key = key[12:]
	}
	var tail [12]byte
	copy(tail[:], key)
	last := string(tail[:])
	a += word(last)
	b += word(last[4:])
	c += word(last[8:])
	c ^= b
	c -= bits.RotateLeft32(b, 14)
	a ^= c
	a -= bits.RotateLeft32(c, 11)
	b ^= a
	b -= bits.RotateLeft32(a, 25)
	c ^= b
	c -= bits.RotateLeft32(b, 16)
	a ^= c
	a -= bits.RotateLeft32(c, 4)
	b ^= a
	b -= bits.RotateLeft32(a, 14)
	c ^= b
	c -= bits.RotateLeft32(b, 24)
	return int16(uint16(c ^ b))
}

func word(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

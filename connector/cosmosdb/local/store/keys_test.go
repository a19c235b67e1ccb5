package store

import (
	"math/rand/v2"
	"testing"

	"millrace/connector/cosmosdb/local/partition"
)

// Numbers of items grow with their keys, and with their LSNs where keys begin
// alike; what bounds them does, and no two ranges give the same.
func TestNumbersOfItems(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	key := func(version int) []byte {
		d := partition.Definition{Paths: []string{"/a"}, Kind: partition.Hash, Version: version}
		k, err := partition.New(d, random.Float64())
		if err != nil {
			t.Fatal(err)
		}
		return []byte(k.Raw())
	}
	end := []byte{0xFF}
	for i := range 2000 {
		a, b := key(1+i%2), key(1+i%2)
		if string(a) > string(b) {
			a, b = b, a
		}
		lsn := random.Int64N(1 << 30)
		one, two := docNumber(a, 3, lsn), docNumber(b, 3, lsn+1)
		if one >= two || one>>60 != 0 || docNumber(a, 4, lsn) == one || docNumber(a, 3, lsn+1) <= one {
			t.Fatalf("%x, %x: %x, %x", a, b, one, two)
		}
		if firstNumber(a) > one || firstNumber(nil) > one || lastNumber(b) < one || lastNumber(a) < one || lastNumber(end) < two || lastNumber(end)>>60 != 0 {
			t.Fatalf("%x, %x: %x, %x are out of bounds", a, b, one, two)
		}
	}
}

package hub

import "testing"

// The vectors come from the JavaScript SDK's mapping of keys to partitions.
func TestPartitionFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key  string
		hash int16
		want [4]int32 // of 2, 4, 8 and 32
	}{
		{"", 0, [4]int32{0, 0, 0, 0}},
		{"a", -16220, [4]int32{0, 0, 4, 28}},
		{"A", 9517, [4]int32{1, 1, 5, 13}},
		{"abc", -14161, [4]int32{1, 1, 1, 17}},
		{"abcd", 23398, [4]int32{0, 2, 6, 6}},
		{"alphabet", -23478, [4]int32{0, 2, 6, 22}},
		{"TwelveBytes!", -25497, [4]int32{1, 1, 1, 25}},
		{"ThirteenBytes", 4339, [4]int32{1, 3, 3, 19}},
		{"device-1", 26788, [4]int32{0, 0, 4, 4}},
		{"é", -24812, [4]int32{0, 0, 4, 12}},
	} {
		if got := keyHash(tt.key); got != tt.hash {
			t.Errorf("hash of %q = %d, want %d", tt.key, got, tt.hash)
		}
		for i, n := range []int{2, 4, 8, 32} {
			if got := PartitionFor(tt.key, n); got != tt.want[i] {
				t.Errorf("partition of %q of %d = %d, want %d", tt.key, n, got, tt.want[i])
			}
		}
	}
}

package connector

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is a size that reads and prints as text in YAML and JSON: "64MB",
// "1GiB", "512". MB and MiB both mean 2^20, as databases and brokers use them.
type Bytes int64

var byteUnits = []struct {
	suffix string
	size   int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {"B", 1},
}

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	s, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range byteUnits {
		if len(s) > len(u.suffix) && strings.EqualFold(s[len(s)-len(u.suffix):], u.suffix) {
			s, unit = strings.TrimSpace(s[:len(s)-len(u.suffix)]), u.size
			break
		}
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < 0 || v > (1<<63-1)/unit {
		return fmt.Errorf("%q is not a size such as 512, 64MB or 1GB", text)
	}
	*b = Bytes(v * unit)
	return nil
}

func (b Bytes) String() string {
	for _, u := range byteUnits[3:6] {
		if b >= Bytes(u.size) && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

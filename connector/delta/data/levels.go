package data

import (
	"fmt"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/rle"
)

// levels are the definition or the repetition levels of the values of a page.
// Mostly all are the same, and then they are only counted.
type levels struct {
	n     int
	same  uint8
	mixed []uint8
	// differ tells that mixed holds the levels.
	differ bool
}

func (l *levels) reset() { l.n, l.differ, l.mixed = 0, false, l.mixed[:0] }

// add appends a level.
func (l *levels) add(v uint8) {
	if v == l.same && !l.differ && l.n > 0 {
		l.n++
		return
	}
	l.addSlowly(v)
}

func (l *levels) addSlowly(v uint8) {
	if l.n == 0 {
		l.same, l.n = v, 1
		return
	}
	if !l.differ {
		l.differ = true
		for range l.n {
			l.mixed = append(l.mixed, l.same)
		}
	}
	l.mixed = append(l.mixed, v)
	l.n++
}

// appendTo appends the levels, up to highest, as a data page of version 1 has
// them: their size, then runs.
func (l *levels) appendTo(dst []byte, highest uint8) ([]byte, error) {
	if highest == 0 {
		return dst, nil
	}
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	if !l.differ {
		// One run: its length, with a last bit of 0, and the level.
		for n := uint64(l.n) << 1; ; n >>= 7 {
			if n < 0x80 {
				dst = append(dst, byte(n))
				break
			}
			dst = append(dst, byte(n)|0x80)
		}
		dst = append(dst, l.same)
	} else {
		enc := rle.Encoding{BitWidth: bits.Len8(highest)}
		encoded, err := enc.EncodeLevels(nil, l.mixed)
		if err != nil {
			return nil, fmt.Errorf("encoding levels: %w", err)
		}
		dst = append(dst, encoded...)
	}
	putUint32(dst[start:], uint32(len(dst)-start-4))
	return dst, nil
}

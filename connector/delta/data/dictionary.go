package data

import (
	"fmt"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/rle"
)

// dictionary numbers the different texts of a column within one row group.
type dictionary struct {
	index map[string]int32
	// values are the texts as a dictionary page has them, starts where each
	// begins.
	values []byte
	starts []int
	// page holds the numbers of the page at hand.
	page []int32
}

// A dictionary that grows beyond these is given up: its texts are hardly ever
// the same.
const (
	mostDictionaryBytes = 1 << 20
	// worthwhile is how many values there must be for each different one.
	worthwhile = 2
)

func newDictionary() *dictionary { return &dictionary{index: map[string]int32{}} }

func (d *dictionary) reset() {
	clear(d.index)
	d.values, d.starts, d.page = d.values[:0], d.starts[:0], d.page[:0]
}

func (d *dictionary) add(b []byte) {
	i, ok := d.index[string(b)]
	if !ok {
		i = int32(len(d.starts))
		d.index[string(b)] = i
		d.starts = append(d.starts, len(d.values))
		d.values = appendBytes(d.values, b)
	}
	d.page = append(d.page, i)
}

// bytes returns a text by its number.
func (d *dictionary) bytes(i int32) []byte {
	end := len(d.values)
	if int(i)+1 < len(d.starts) {
		end = d.starts[i+1]
	}
	return d.values[d.starts[i]+4 : end]
}

// worth tells, at the end of a page, whether the dictionary saves anything.
// values is how many the chunk has so far.
func (d *dictionary) worth(values int64) bool {
	return len(d.values) <= mostDictionaryBytes && int64(len(d.starts))*worthwhile <= values
}

// appendPage appends the page's numbers.
func (d *dictionary) appendPage(dst []byte) ([]byte, error) {
	width := max(1, bits.Len32(uint32(max(0, len(d.starts)-1))))
	dst = append(dst, byte(width))
	enc := rle.Encoding{BitWidth: width}
	encoded, err := enc.EncodeInt32(nil, d.page)
	if err != nil {
		return nil, fmt.Errorf("encoding a dictionary's numbers: %w", err)
	}
	return append(dst, encoded...), nil
}

// plain appends the page's texts themselves.
func (d *dictionary) plain(dst []byte) []byte {
	for _, i := range d.page {
		dst = appendBytes(dst, d.bytes(i))
	}
	return dst
}

package data

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"millrace/connector/delta/schema"
	"millrace/record"
)

// Statistics of a file, as a table's log has them: how many rows, and for each
// column the smallest and the largest value and how many are null. Readers skip
// files by them, so wrong ones lose rows, while those left out are only missed.

// statsLayout are the columns that statistics are taken of.
type statsLayout struct{ top []*statsNode }

// statsNode is a column, or a member of a struct.
type statsNode struct {
	name string
	typ  schema.Type
	// column is the first leaf's index.
	column   int
	members  []*statsNode
	multiple bool // an array or a map
}

// newStatsLayout takes the first n columns of the table s, structs counted by
// their members, all if n is negative. Columns that the table is partitioned by
// do not count; those that the file does not have count, and have no statistics.
func newStatsLayout(s *schema.Struct, l *layout, partitionBy []string, n int) *statsLayout {
	if n < 0 {
		n = math.MaxInt
	}
	out := &statsLayout{}
	for _, f := range s.Fields {
		if slices.ContainsFunc(partitionBy, func(p string) bool { return strings.EqualFold(p, f.Name) }) {
			continue
		}
		at := slices.IndexFunc(l.top, func(t *node) bool { return t.name == f.Name })
		if at < 0 {
			n -= countLeaves(f.Type)
		} else if node := statsOf(l.top[at], &n); node != nil {
			out.top = append(out.top, node)
		}
		if n <= 0 {
			break
		}
	}
	return out
}

func countLeaves(t schema.Type) int {
	s, ok := t.(*schema.Struct)
	if !ok {
		return 1
	}
	n := 0
	for _, f := range s.Fields {
		n += countLeaves(f.Type)
	}
	return n
}

// statsOf returns nil when there are no columns left to take.
func statsOf(t *node, left *int) *statsNode {
	n := &statsNode{name: t.name, typ: t.typ}
	if _, ok := t.typ.(*schema.Struct); ok {
		for _, m := range t.children {
			if member := statsOf(m, left); member != nil {
				n.members = append(n.members, member)
			}
		}
		if len(n.members) == 0 {
			return nil
		}
		return n
	}
	if *left <= 0 {
		return nil
	}
	*left--
	first := t
	for first.leaf == nil {
		first, n.multiple = first.children[0], true
	}
	n.column = first.leaf.index
	return n
}

// text returns the statistics of a file that was just finished.
func (s *statsLayout) text(w *fileWriter) string {
	b := strconv.AppendInt([]byte(`{"numRecords":`), w.total, 10)
	b = append(b, `,"minValues":`...)
	b, _ = appendStats(b, s.top, func(dst []byte, n *statsNode) ([]byte, bool) { return n.bound(dst, w, false) })
	b = append(b, `,"maxValues":`...)
	b, _ = appendStats(b, s.top, func(dst []byte, n *statsNode) ([]byte, bool) { return n.bound(dst, w, true) })
	b = append(b, `,"nullCount":`...)
	b, _ = appendStats(b, s.top, func(dst []byte, n *statsNode) ([]byte, bool) {
		total := &w.columns[n.column].total
		if n.multiple {
			return strconv.AppendInt(dst, total.outers, 10), true
		}
		return strconv.AppendInt(dst, total.nulls, 10), true
	})
	return string(append(b, '}'))
}

// appendStats appends an object with what value says of each column, leaving out
// those of which it says nothing, and tells whether there is anything in it.
func appendStats(dst []byte, nodes []*statsNode, value func([]byte, *statsNode) ([]byte, bool)) ([]byte, bool) {
	some := false
	dst = append(dst, '{')
	for _, n := range nodes {
		before := len(dst)
		if some {
			dst = append(dst, ',')
		}
		dst = append(record.AppendString(dst, n.name), ':')
		var ok bool
		if n.members != nil {
			dst, ok = appendStats(dst, n.members, value)
		} else {
			dst, ok = value(dst, n)
		}
		if !ok {
			dst = dst[:before]
			continue
		}
		some = true
	}
	return append(dst, '}'), some
}

// bound appends the smallest or the largest value of a column, if it has one
// that statistics can say.
func (n *statsNode) bound(dst []byte, w *fileWriter, high bool) ([]byte, bool) {
	b := &w.columns[n.column].total.bounds
	if n.multiple || !b.some || b.unknown {
		return dst, false
	}
	integer, float, text := b.lowInt, b.lowFloat, b.lowBytes
	if high {
		integer, float, text = b.highInt, b.highFloat, b.highBytes
	}
	switch t := n.typ.(type) {
	case schema.Primitive:
		switch t {
		case schema.Byte, schema.Short, schema.Integer, schema.Long:
			return strconv.AppendInt(dst, integer, 10), true
		case schema.Float:
			return appendFloatStat(dst, float, high, 32), true
		case schema.Double:
			return appendFloatStat(dst, float, high, 64), true
		case schema.Date:
			return appendDateStat(dst, integer)
		case schema.Timestamp:
			return appendTimeStat(dst, integer, high)
		case schema.String:
			return appendTextStat(dst, text, high)
		}
	case schema.Decimal:
		if w.columns[n.column].length > 0 {
			return appendDecimal(dst, bigInt(text), t.Scale), true
		}
		return appendDecimal(dst, big.NewInt(integer), t.Scale), true
	}
	return dst, false
}

func appendFloatStat(dst []byte, f float64, high bool, size int) []byte {
	// Zeros of both signs are equal: the bound holds for either.
	if f == 0 && high {
		return append(dst, "0.0"...)
	} else if f == 0 {
		return append(dst, "-0.0"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, size)
}

const (
	microsPerMilli = 1000
	microsPerDay   = 24 * 60 * 60 * 1_000_000
	// The times with a year of four digits.
	firstTime = -62135596800 * 1_000_000
	lastTime  = 253402300800*1_000_000 - 1
)

func appendDateStat(dst []byte, days int64) ([]byte, bool) {
	if days < firstTime/microsPerDay || days > lastTime/microsPerDay {
		return dst, false
	}
	dst = append(dst, '"')
	return append(appendDate(dst, days), '"'), true
}

// appendDate appends a day, counted from 1970, as 2026-01-02.
func appendDate(dst []byte, days int64) []byte {
	start := len(dst)
	dst = record.AppendTime(dst, days*microsPerDay)
	return dst[:start+len("2026-01-02")]
}

// appendTimeStat appends a time with milliseconds: statistics have no more. The
// smallest is rounded down and the largest up, so that all times lie between
// them, also for readers that do not know that milliseconds were cut.
func appendTimeStat(dst []byte, micros int64, high bool) ([]byte, bool) {
	if micros < firstTime || micros > lastTime-microsPerMilli {
		return dst, false
	}
	if high {
		micros += microsPerMilli - 1
	}
	dst = append(dst, '"')
	start := len(dst)
	dst = record.AppendTime(dst, micros)
	return append(dst[:start+len("2026-01-02T15:04:05.123")], 'Z', '"'), true
}

// statChars is how many characters of a text statistics have.
const statChars = 32

// appendTextStat appends a text cut to statChars characters. A largest text that
// was cut is followed by a character that makes it larger than all that begin
// like it.
func appendTextStat(dst, text []byte, high bool) ([]byte, bool) {
	if !utf8.Valid(text) {
		return dst, false
	}
	end := 0
	for range statChars {
		if end == len(text) {
			break
		}
		_, n := utf8.DecodeRune(text[end:])
		end += n
	}
	if end == len(text) || !high {
		return record.AppendString(dst, text[:end]), true
	}
	for end < len(text) {
		next, n := utf8.DecodeRune(text[end:])
		switch {
		case next < 0x7f:
			return record.AppendString(dst, append(text[:end:end], 0x7f)), true
		case next < utf8.MaxRune:
			return record.AppendString(dst, utf8.AppendRune(text[:end:end], utf8.MaxRune)), true
		}
		// No character is larger than this one: it has to stay.
		end += n
		if end > 4*2*statChars {
			return dst, false
		}
	}
	return record.AppendString(dst, text), true
}

// bigInt reads a two's complement number, the most significant byte first.
func bigInt(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// appendDecimal appends an unscaled number as a decimal.
func appendDecimal(dst []byte, n *big.Int, scale int) []byte {
	digits := new(big.Int).Abs(n).String()
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	if n.Sign() < 0 {
		dst = append(dst, '-')
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	if scale > 0 {
		dst = append(dst, '.')
		dst = append(dst, digits[len(digits)-scale:]...)
	}
	return dst
}

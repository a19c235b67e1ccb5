package archive

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"millrace/record"
)

// minRecord is the size of the smallest record.
const minRecord = 6

// entry is one record of the archive. The slices point into its block.
type entry struct {
	sequence int64
	offset   []byte
	enqueued []byte
	// system and properties are maps as Avro writes them, or JSON where
	// json is set.
	system, properties []byte
	json               bool
	// body is nil if there is none.
	body []byte
}

// cursor reads Avro values from a block.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) long() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

// fail leaves nothing to read, so that loops end.
func (c *cursor) fail() { c.bad, c.b = true, nil }

func (c *cursor) bytes() []byte {
	n := c.long()
	if n < 0 || n > int64(len(c.b)) {
		c.fail()
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// The branches of the union that property values are.
const (
	branchLong = iota
	branchDouble
	branchString
	branchBytes
	branchNull
)

// value reads a property's value; visit may be nil.
func (c *cursor) value(branches int64, visit func(branch int64, number uint64, text []byte)) {
	branch := c.long()
	if branch < 0 || branch >= branches {
		c.fail()
		return
	}
	var number uint64
	var text []byte
	switch branch {
	case branchLong:
		number = uint64(c.long())
	case branchDouble:
		if len(c.b) < 8 {
			c.fail()
			return
		}
		number = binary.LittleEndian.Uint64(c.b)
		c.b = c.b[8:]
	case branchString, branchBytes:
		text = c.bytes()
	}
	if visit != nil && !c.bad {
		visit(branch, number, text)
	}
}

// properties reads a map of properties; visit may be nil.
func (c *cursor) properties(branches int64, visit func(name []byte, branch int64, number uint64, text []byte)) {
	for !c.bad {
		n := c.long()
		if n == 0 {
			return
		}
		if n < 0 { // followed by its size
			if n = -n; n < 0 {
				c.fail()
			}
			c.long()
		}
		for ; n > 0 && !c.bad; n-- {
			name := c.bytes()
			if visit == nil {
				c.value(branches, nil)
				continue
			}
			c.value(branches, func(branch int64, number uint64, text []byte) { visit(name, branch, number, text) })
		}
	}
}

// branchesOf is how many kinds of values Properties may hold.
func branchesOf(l layout) int64 {
	if l == withNull {
		return branchNull + 1
	}
	return branchBytes + 1
}

// entry reads one record.
func (c *cursor) entry(e *entry, l layout) error {
	e.sequence = c.long()
	e.offset = c.bytes()
	e.enqueued = c.bytes()
	e.json = false
	start := c.b
	c.properties(branchBytes+1, nil)
	e.system = start[:len(start)-len(c.b)]
	start = c.b
	c.properties(branchesOf(l), nil)
	e.properties = start[:len(start)-len(c.b)]
	switch c.long() {
	case 0:
		e.body = nil
	case 1:
		if e.body = c.bytes(); e.body == nil {
			e.body = []byte{}
		}
	default:
		c.fail()
	}
	if c.bad {
		return damaged("a record cannot be read")
	}
	return nil
}

// appendSystem and appendProperties write properties as one JSON object. Bytes
// become text where they are UTF-8, else base64.
func (e *entry) appendSystem(dst []byte) []byte { return e.appendJSON(dst, e.system) }

func (e *entry) appendProperties(dst []byte) []byte { return e.appendJSON(dst, e.properties) }

func (e *entry) appendJSON(dst, encoded []byte) []byte {
	if e.json {
		return append(dst, encoded...)
	}
	dst = append(dst, '{')
	first := true
	c := cursor{b: encoded}
	c.properties(branchNull+1, func(name []byte, branch int64, number uint64, text []byte) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(record.AppendString(dst, cleanText(name)), ':')
		dst = appendValue(dst, branch, number, text)
	})
	return append(dst, '}')
}

func appendValue(dst []byte, branch int64, number uint64, text []byte) []byte {
	switch branch {
	case branchLong:
		return strconv.AppendInt(dst, int64(number), 10)
	case branchDouble:
		return appendDouble(dst, math.Float64frombits(number))
	case branchString:
		return record.AppendString(dst, cleanText(text))
	case branchBytes:
		if utf8.Valid(text) {
			return record.AppendString(dst, text)
		}
		return record.AppendString(dst, base64.StdEncoding.EncodeToString(text))
	}
	return append(dst, "null"...)
}

// appendDouble writes what JSON has no number for as text.
func appendDouble(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		dst = append(dst, '"')
		return append(strconv.AppendFloat(dst, f, 'g', -1, 64), '"')
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

// cleanText makes text valid where a file breaks Avro's word that it is.
func cleanText(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return []byte(string([]rune(string(b))))
}

// clock reads EnqueuedTimeUtc. Neighbours mostly share their second, so the
// last text is kept.
type clock struct {
	text   []byte
	micros int64
}

// read returns microseconds, record.NoTime if text is no time.
func (c *clock) read(text []byte) int64 {
	if !slices.Equal(c.text, text) {
		c.text = append(c.text[:0], text...)
		c.micros = parseEnqueued(string(text))
	}
	return c.micros
}

// enqueuedForm is the .NET form that Capture writes: 11/6/2016 4:44:11 PM.
const enqueuedForm = "1/2/2006 3:04:05 PM"

// parseEnqueued reads a time as Capture writes it, or as RFC 3339.
func parseEnqueued(text string) int64 {
	if t, err := time.Parse(enqueuedForm, text); err == nil {
		return t.UnixMicro()
	}
	if micros, err := record.ParseTime(text); err == nil {
		return micros
	}
	return record.NoTime
}

// storedAt is when a file was last modified, in microseconds: whole seconds,
// as services give them, are read as the end of their second.
func storedAt(t time.Time) int64 {
	micros := t.UnixMicro()
	if t.Nanosecond() == 0 {
		micros += 999_999
	}
	return micros
}

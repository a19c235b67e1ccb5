package exec

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// row is what flows between operators. Its slots belong to the operator that
// hands it on and are valid during push only.
type row struct {
	time  int64
	slots []value.Value
	// early and correction are as in Row.
	early, correction bool
	// match is set while the expressions of a pattern are evaluated.
	match *matchView
}

// Row is a row for an output.
type Row struct {
	// Output is the index in plan.Job.Outputs.
	Output int
	// Time is System.Timestamp().
	Time int64
	// Partition and Offset are those of the event whose Push gave the row out.
	Partition int32
	Offset    int64
	// Ordinal numbers the rows of a task that were given out, from 0.
	Ordinal int64
	// Slots are the values of Columns.
	Slots   []value.Value
	Columns []plan.Column
	// Early says that the row is provisional, Correction that it is final and
	// differs from a provisional row that went before it.
	Early, Correction bool
}

// AppendJSON appends the row as a JSON object, in the order of the columns.
// A record in a spread column gives its members; names that occur again,
// ignoring case, are left out. An event that is passed on by SELECT * alone is
// copied byte for byte.
func (r *Row) AppendJSON(dst []byte) []byte {
	spread, plain := r.spreads()
	if spread >= 0 {
		if plain == 0 {
			return r.Slots[spread].AppendJSON(dst)
		}
		at := len(dst)
		dst = r.Slots[spread].AppendJSON(dst)
		clash := r.clashes(spread, dst[at:])
		dst = dst[:at]
		if !clash {
			return r.appendBeside(dst, spread)
		}
	}
	dst = append(dst, '{')
	first := true
	for i := range r.Columns {
		c := &r.Columns[i]
		switch {
		case c.Hidden:
		case c.Spread:
			dst = r.appendMembers(dst, i, &first)
		case !r.named(c.Name, i):
			dst = appendName(dst, c.Name, &first)
			dst = r.Slots[i].AppendJSON(dst)
		}
	}
	return append(dst, '}')
}

// spreads returns the only spread column, if there is just one and it is a
// record, else -1, and the number of other columns.
func (r *Row) spreads() (spread, plain int) {
	spread = -1
	for i := range r.Columns {
		switch c := &r.Columns[i]; {
		case c.Hidden:
		case !c.Spread:
			plain++
		case spread >= 0 || r.Slots[i].Kind() != value.Record:
			return -1, 0
		default:
			spread = i
		}
	}
	return spread, plain
}

// clashes tells whether two columns, one of them maybe a member of the spread
// record, whose text is given, have the same name.
func (r *Row) clashes(spread int, text []byte) bool {
	for i := range r.Columns {
		if c := &r.Columns[i]; !c.Hidden && !c.Spread {
			for j := range i {
				if o := &r.Columns[j]; !o.Hidden && !o.Spread && strings.EqualFold(o.Name, c.Name) {
					return true
				}
			}
		}
	}
	if !r.mayClash(text) {
		return false
	}
	for name := range r.Slots[spread].Members {
		for i := range r.Columns {
			if c := &r.Columns[i]; !c.Hidden && !c.Spread && strings.EqualFold(c.Name, name) {
				return true
			}
		}
	}
	return false
}

// mayClash is a quick look at the text of the spread record: false if no column
// can be named in it.
func (r *Row) mayClash(text []byte) bool {
	if bytes.IndexByte(text, '\\') >= 0 {
		return true
	}
	for i := range r.Columns {
		c := &r.Columns[i]
		if c.Hidden || c.Spread {
			continue
		}
		for j := range len(c.Name) {
			if c.Name[j] >= utf8.RuneSelf {
				return true
			}
		}
		if c.Name == "" || quotes(text, c.Name) {
			return true
		}
	}
	return false
}

// quotes tells whether the name stands in quotes in the text, ignoring case. Letters beyond ASCII that fold to ASCII ones (K, s) count as well.
func quotes(text []byte, name string) bool {
	last := name[len(name)-1]
	for i, c := range [2]byte{last, last ^ 0x20} {
		if i == 1 && (last|0x20 < 'a' || last|0x20 > 'z') {
			continue
		}
		for from := 0; ; {
			at := bytes.Index(text[from:], []byte{c, '"'})
			if at < 0 {
				break
			}
			end := from + at + 1
			start := end - len(name)
			if start > 0 && text[start-1] == '"' && strings.EqualFold(string(text[start:end]), name) {
				return true
			}
			from = end
		}
	}
	// The Kelvin sign and the long s are the only ones of their kind.
	return strings.ContainsAny(name, "kKsS") && (bytes.Contains(text, []byte("\u212a")) || bytes.Contains(text, []byte("\u017f")))
}

// appendBeside appends columns of which none has the name of a member of the
// spread record: its text is taken over as a whole.
func (r *Row) appendBeside(dst []byte, spread int) []byte {
	dst = append(dst, '{')
	first := true
	for i := range r.Columns {
		c := &r.Columns[i]
		switch {
		case c.Hidden:
		case i != spread:
			dst = appendName(dst, c.Name, &first)
			dst = r.Slots[i].AppendJSON(dst)
		default:
			at := len(dst)
			dst = r.Slots[i].AppendJSON(append(dst, ' '))
			// The record's brackets go, and it comes after a comma.
			inside := bytes.TrimSpace(dst[at+2 : len(dst)-1])
			switch {
			case len(inside) == 0:
				dst = dst[:at]
			case first:
				dst = dst[:at+copy(dst[at:], inside)]
				first = false
			default:
				n := copy(dst[at+1:], inside)
				dst[at] = ','
				dst = dst[:at+1+n]
			}
		}
	}
	return append(dst, '}')
}

func (r *Row) appendMembers(dst []byte, at int, first *bool) []byte {
	if r.Slots[at].Kind() != value.Record {
		return dst
	}
	for name, m := range r.Slots[at].Members {
		if !r.named(name, at) {
			dst = appendName(dst, name, first)
			dst = m.AppendJSON(dst)
		}
	}
	return dst
}

// named tells whether a column before the one at the index has the name.
func (r *Row) named(name string, before int) bool {
	for i := range before {
		c := &r.Columns[i]
		switch {
		case c.Hidden:
		case !c.Spread:
			if strings.EqualFold(c.Name, name) {
				return true
			}
		case r.Slots[i].Kind() == value.Record:
			for other := range r.Slots[i].Members {
				if strings.EqualFold(other, name) {
					return true
				}
			}
		}
	}
	return false
}

func appendName(dst []byte, name string, first *bool) []byte {
	if !*first {
		dst = append(dst, ',')
	}
	*first = false
	return append(value.AppendString(dst, name), ':')
}

// cloneSlots copies values so that they outlive their event, and returns the
// bytes that the copy takes.
func cloneSlots(slots []value.Value) ([]value.Value, int64) {
	out := make([]value.Value, len(slots))
	size := int64(len(slots)) * valueSize
	for i, v := range slots {
		out[i] = v.Clone()
		size += int64(out[i].MemSize())
	}
	return out, size
}

// valueSize is the size of a value.Value in a slice.
const valueSize = 24

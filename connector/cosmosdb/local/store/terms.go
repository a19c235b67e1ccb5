package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"millrace/connector/cosmosdb/local/value"

	"github.com/twmb/murmur3"
)

// extract collects what the store needs of items. Its memory is used again for
// the next ones; what it says of an item stays until reset.
type extract struct {
	buf   []byte // of terms and of rewritten items
	terms []term
	hash  [][uniqueHash]byte

	// Of the item at hand.
	seen    []bool
	slots   []value.Value
	found   []value.Value // a stack: of the members that a place knows
	members []member      // a stack: of the members of objects that are indexed whole
	ident   []byte
	item    []byte // as it goes to the store
}

// term is an index entry without container, range and item: the hash of a path
// and a value's key. It is a part of extract.buf.
type term struct{ at, end int32 }

type member struct {
	name string
	v    value.Value
}

// maxKept is how much memory an extract keeps for its next use.
const maxKept = 1 << 20

func (x *extract) reset() {
	if cap(x.buf) > maxKept {
		x.buf = nil
	}
	if cap(x.item) > maxKept {
		x.item = nil
	}
	if cap(x.terms) > maxKept/8 {
		x.terms = nil
	}
	x.buf, x.terms, x.hash = x.buf[:0], x.terms[:0], x.hash[:0]
	clear(x.slots[:cap(x.slots)])
	clear(x.found[:cap(x.found)])
	clear(x.members[:cap(x.members)])
}

func (x *extract) bytes(t term) []byte { return x.buf[t.at:t.end] }

// span is a part of extract.terms, or of extract.hash.
type span struct{ from, to int }

// facts are what the store needs of one item.
type facts struct {
	id     string // a view of the item
	ttl    value.Value
	system bool // it has members that only the store may give it
	terms  span // sorted, each once
	unique span // one hash for each unique key
}

// scan reads an item.
func (x *extract) scan(s *shape, item value.Value) (f facts) {
	x.seen = append(x.seen[:0], make([]bool, len(s.explicit))...)
	x.slots = append(x.slots[:0], make([]value.Value, s.slots)...)
	f.terms.from, f.unique.from = len(x.terms), len(x.hash)
	x.object(s.root, item, &f)
	for i, seen := range x.seen {
		if !seen {
			x.emit(s.explicit[i], value.Undefined())
		}
	}
	x.compact(f.terms.from)
	f.terms.to = len(x.terms)
	for _, slots := range s.uniques {
		x.hash = append(x.hash, x.uniqueHash(slots))
	}
	f.unique.to = len(x.hash)
	return f
}

// compact sorts the terms behind from and drops those that are there twice.
func (x *extract) compact(from int) {
	terms := x.terms[from:]
	if len(terms) < 2 {
		return
	}
	slices.SortFunc(terms, func(a, b term) int { return bytes.Compare(x.bytes(a), x.bytes(b)) })
	terms = slices.CompactFunc(terms, func(a, b term) bool { return bytes.Equal(x.bytes(a), x.bytes(b)) })
	x.terms = x.terms[:from+len(terms)]
}

func (x *extract) emit(path uint64, v value.Value) {
	at := len(x.buf)
	x.buf = binary.BigEndian.AppendUint64(x.buf, path)
	x.buf = value.AppendKey(x.buf, v)
	x.terms = append(x.terms, term{int32(at), int32(len(x.buf))})
}

// uniqueHash is the hash of a unique key's values. What is missing counts as
// null.
func (x *extract) uniqueHash(slots []int) (hash [uniqueHash]byte) {
	x.ident = x.ident[:0]
	for _, slot := range slots {
		v := x.slots[slot]
		if v.IsUndefined() {
			v = value.Null()
		}
		x.ident = value.AppendIdentity(x.ident, v)
	}
	h1, h2 := murmur3.Sum128(x.ident)
	binary.BigEndian.PutUint64(hash[:], h1)
	binary.BigEndian.PutUint64(hash[8:], h2)
	return hash
}

// object walks over the members of an object at a known place. f is not nil for
// the item itself. Of members with one name the last counts.
func (x *extract) object(n *node, v value.Value, f *facts) {
	base, first := len(x.found), len(x.members)
	for range n.names {
		x.found = append(x.found, value.Value{})
	}
	v.EachMember(func(name string, m value.Value) bool {
		if f != nil && f.special(name, m) {
			return true
		}
		for i, known := range n.names {
			if known == name {
				x.found[base+i] = m
				return true
			}
		}
		if n.below && !(f != nil && name == "id") {
			x.members = append(x.members, member{name, m})
		}
		return true
	})
	for i, c := range n.nodes {
		x.visit(c, x.found[base+i])
	}
	x.found = x.found[:base]
	x.rest(n.hash, first)
}

// special notes what is known of an item's own members, and tells whether there
// is nothing else to do with it.
func (f *facts) special(name string, v value.Value) bool {
	switch {
	case name == "id":
		f.id, _ = v.AsString()
	case name == "ttl":
		f.ttl = v
	case isSystem(name):
		f.system = true
		return true
	}
	return false
}

// rest indexes the members behind first, of an object that is indexed whole,
// and drops them.
func (x *extract) rest(path uint64, first int) {
	for _, m := range x.lastOfEach(first) {
		x.whole(memberHash(path, m.name), m.v)
	}
	x.members = x.members[:first]
}

// lastOfEach gives the members behind first, of those with one name the last.
func (x *extract) lastOfEach(first int) []member {
	members := x.members[first:]
	if len(members) > 1 {
		slices.Reverse(members) // so that the stable sort has the last ones first
		slices.SortStableFunc(members, func(a, b member) int { return cmpText(a.name, b.name) })
		members = slices.CompactFunc(members, func(a, b member) bool { return a.name == b.name })
	}
	return members
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// visit looks at the value at a known place.
func (x *extract) visit(n *node, v value.Value) {
	if n.slot >= 0 {
		x.slots[n.slot] = v
	}
	if v.IsUndefined() {
		return
	}
	if n.indexed {
		x.emit(n.hash, v)
		if n.explicit >= 0 {
			x.seen[n.explicit] = true
		}
	}
	switch v.Kind() {
	case value.KindObject:
		if n.below || len(n.nodes) > 0 {
			x.object(n, v, nil)
		}
	case value.KindArray:
		if n.elements != nil {
			v.EachElement(func(e value.Value) bool {
				x.visit(n.elements, e)
				return true
			})
		} else if n.below {
			hash := elementHash(n.hash)
			v.EachElement(func(e value.Value) bool {
				x.whole(hash, e)
				return true
			})
		}
	}
}

// whole indexes a value and everything in it.
func (x *extract) whole(path uint64, v value.Value) {
	x.emit(path, v)
	switch v.Kind() {
	case value.KindObject:
		first := len(x.members)
		v.EachMember(func(name string, m value.Value) bool {
			x.members = append(x.members, member{name, m})
			return true
		})
		x.rest(path, first)
	case value.KindArray:
		hash := elementHash(path)
		v.EachElement(func(e value.Value) bool {
			x.whole(hash, e)
			return true
		})
	}
}

// draft is an item that is to be written.
type draft struct {
	facts
	ttl int32
	// text is the item without its final brace and without system properties.
	text []byte
	err  error
}

// prepare reads an item that is to be stored. Errors are for the client.
func (x *extract) prepare(s *shape, id string, body []byte) (d draft) {
	text := bytes.TrimSpace(body)
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return draft{err: errors.New("the item is not a JSON object")}
	}
	item := value.Trusted(text)
	d.facts = x.scan(s, item)
	switch {
	case d.id == "":
		d.err = errors.New("the item has no id: it must be a string that is not empty")
	case d.id != id:
		d.err = fmt.Errorf("the item's id is %q, not %q as the operation says", d.id, id)
	case len(d.id) > maxIDSize:
		d.err = fmt.Errorf("the item's id is longer than %d bytes", maxIDSize)
	default:
		d.ttl, d.err = timeToLive(d.facts.ttl)
	}
	if d.system {
		text = x.withoutSystem(item)
	}
	d.text = bytes.TrimRight(text[:len(text)-1], " \t\r\n")
	return d
}

// timeToLive reads an item's ttl, 0 if it has none.
func timeToLive(v value.Value) (int32, error) {
	if v.IsUndefined() || v.Kind() == value.KindNull {
		return 0, nil
	}
	seconds, ok := v.AsNumber()
	if !ok || seconds != math.Trunc(seconds) || seconds > math.MaxInt32 || seconds < 1 && seconds != -1 {
		return 0, fmt.Errorf("the item's ttl is %s: it is a number of seconds from 1 to %d, or -1 for ever", v, math.MaxInt32)
	}
	return int32(seconds), nil
}

// withoutSystem copies an item without the members that the store gives it.
func (x *extract) withoutSystem(item value.Value) []byte {
	text := []byte{'{'}
	item.EachMember(func(name string, v value.Value) bool {
		if isSystem(name) {
			return true
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = value.AppendString(text, name)
		text = v.AppendJSON(append(text, ':'))
		return true
	})
	return append(text, '}')
}

// appendIDTerm appends the entry of the index on id.
func appendIDTerm(dst []byte, id string) []byte {
	dst = binary.BigEndian.AppendUint64(dst, idHash)
	return value.AppendKey(dst, value.String(id))
}

// scanBody is scan for a stored item, which must stay as it is until reset.
func (x *extract) scanBody(s *shape, body []byte) facts { return x.scan(s, value.Trusted(body)) }

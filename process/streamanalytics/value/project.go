package value

import (
	"fmt"
)

// Projection picks the values of some names out of JSON objects. It is
// immutable and safe for concurrent use.
type Projection struct {
	names []string
	level Level
	// heads and next are a small hash table over the names that are
	// ASCII: heads has the first name of a bucket, next the one after it,
	// both counted from 1 so that 0 ends a chain.
	heads [64]int32
	next  []int32
	// others tells that there are names beyond ASCII, which are not in
	// the table.
	others bool
	// twins tells of each name whether another one is the same but for
	// case, so that one member may be the value of both.
	twins []bool
}

// NewProjection returns the projection to names, which must be different from
// each other; those that differ in case only are allowed. Objects are read by
// the rules of level.
func NewProjection(names []string, level Level) *Projection {
	p := &Projection{names: append([]string(nil), names...), level: level, next: make([]int32, len(names)), twins: make([]bool, len(names))}
	for i, name := range p.names {
		if !ascii(name) {
			p.others = true
			continue
		}
		h := nameHash(name)
		p.next[i] = p.heads[h]
		p.heads[h] = int32(i) + 1
	}
	for i := range p.names {
		for j := range i {
			if sameName(p.names[i], p.names[j]) {
				p.twins[i], p.twins[j] = true, true
			}
		}
	}
	return p
}

// Names returns the names; the result must not be changed.
func (p *Projection) Names() []string { return p.names }

// nameHash is the bucket of an ASCII name, the same for all spellings of it.
func nameHash(s string) uint8 {
	n := len(s)
	if n == 0 {
		return 0
	}
	h := byte(n)*7 + (s[0]|0x20)*3 + (s[n-1]|0x20)*5 + (s[n/2] | 0x20)
	return h & 63
}

// Scan reads raw, one JSON object, and stores the value of each name in dst,
// which must have as many elements as there are names: that of the last member
// that is spelled exactly so, else of the last that is the same name when case
// is ignored, else NULL. The whole text is checked in the same pass. Text,
// records and arrays are views of raw; only text with escapes is allocated.
//
// An error is an input deserialization error: it wraps ErrNotJSON,
// ErrNotObject or, for a number anywhere in raw that no bigint or float can
// hold, ErrRange; at Level10, ErrDuplicate. dst is undefined then.
func (p *Projection) Scan(raw []byte, dst []Value) error {
	dst = dst[:len(p.names)]
	clear(dst)
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return notObject(raw, i)
	}
	start := i
	// nulls: some name was found with a NULL. clash: some name may have
	// been found under two spellings; which of them counts is then decided
	// in a second pass, for that is rare.
	nulls, clash := false, false
	i = skipSpace(raw, i+1)
	more := i >= len(raw) || raw[i] != '}'
	if !more {
		i++
	}
	for more {
		var m member
		if i = scanName(raw, i, &m); i < 0 {
			return faultAt(raw, ^i)
		}
		hit, exact := p.find(view(m.nameOf(raw)), m.plain)
		if hit < 0 {
			i = skipValue(raw, i, 1)
		} else {
			i = p.store(raw, i, dst, hit, exact, &nulls, &clash)
		}
		if i < 0 {
			return faultAt(raw, ^i)
		}
		if i, more = scanSeparator(raw, i, '}'); i < 0 {
			return faultAt(raw, ^i)
		}
	}
	end := i
	if i = skipSpace(raw, i); i != len(raw) {
		return faultAt(raw, i)
	}
	object := rawValue(raw[start:end], p.level)
	if p.level == Level10 {
		if err := uniqueNames(object); err != nil {
			return err
		}
	}
	if clash {
		for n, name := range p.names {
			dst[n] = object.Get(name)
		}
	}
	return nil
}

// uniqueNames returns an error if two members of an object have the same name
// when case is ignored.
func uniqueNames(object Value) error {
	seen := make(map[string]struct{}, 32)
	for name := range object.Members {
		// Members has the names in lower case at Level10.
		if _, found := seen[name]; found {
			return fmt.Errorf("%w: %.60q (compatibility level 1.0 ignores the case of names)", ErrDuplicate, name)
		}
		seen[name] = struct{}{}
	}
	return nil
}

// store reads the value at i for name hit.
func (p *Projection) store(raw []byte, i int, dst []Value, hit int, exact bool, nulls, clash *bool) int {
	v, end := readValue(raw, i, 1, p.level)
	if end < 0 {
		return end
	}
	if !exact && (*nulls || !dst[hit].IsNull()) {
		*clash = true
	}
	*nulls = *nulls || v.IsNull()
	dst[hit] = v
	*clash = *clash || p.twins[hit]
	return end
}

// find returns the index of the projected name that name is, -1 if it is none,
// and whether it is spelled exactly so.
// plain is a promise that it is ASCII.
func (p *Projection) find(name string, plain bool) (hit int, exact bool) {
	hit = -1
	if !plain && !ascii(name) {
		return p.findAny(name)
	}
	for n := p.heads[nameHash(name)]; n != 0; n = p.next[n-1] {
		s := p.names[n-1]
		if len(s) != len(name) {
			continue
		}
		if s == name {
			return int(n - 1), true
		}
		if hit < 0 && sameName(s, name) {
			hit = int(n - 1)
		}
	}
	if hit < 0 && p.others {
		return p.findAny(name)
	}
	return hit, false
}

// findAny is find over all names, for those beyond ASCII.
func (p *Projection) findAny(name string) (hit int, exact bool) {
	hit = -1
	for i, s := range p.names {
		if s == name {
			return i, true
		}
		if hit < 0 && sameName(s, name) {
			hit = i
		}
	}
	return hit, false
}

// notObject is the error of text that is not an object.
func notObject(raw []byte, i int) error {
	if _, err := Parse(raw); err != nil {
		return err
	}
	return ErrNotObject
}

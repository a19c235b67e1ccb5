package value

import (
	"strings"
	"unicode/utf8"
)

// Len returns the number of elements of an array or of members of a record, 0
// for other kinds. A raw one is walked to count.
func (v Value) Len() int {
	switch {
	case v.form == built:
		return int(v.num)
	case v.form < raw12:
		return 0
	}
	n := 0
	if v.kind == Array {
		v.Elements(func(int, Value) bool { n++; return true })
	} else {
		v.walk(func(member, []byte) bool { n++; return true })
	}
	return n
}

// JSON returns the text of a record or array that still is JSON text, as a
// view; nil for every other value. It is the text as it came: below Level12
// AppendJSON may write another one.
func (v Value) JSON() []byte {
	if !v.IsRaw() {
		return nil
	}
	return v.json()
}

// At returns element i of an array, counted from 0; NULL when there is none or
// the value is no array. A raw array is walked up to the element: use Elements
// to see them all.
func (v Value) At(i int) Value {
	if v.kind != Array || i < 0 {
		return Value{}
	}
	if v.form == built {
		if es := v.elements(); i < len(es) {
			return es[i]
		}
		return Value{}
	}
	var found Value
	v.Elements(func(n int, e Value) bool {
		if n == i {
			found = e
		}
		return n < i
	})
	return found
}

// Elements calls yield with the elements of an array in order until it returns
// false: for i, e := range v.Elements. Other kinds have none.
func (v Value) Elements(yield func(i int, e Value) bool) {
	if v.kind != Array {
		return
	}
	if v.form == built {
		for i, e := range v.elements() {
			if !yield(i, e) {
				return
			}
		}
		return
	}
	b, level := v.json(), v.form.level()
	i := skipSpace(b, 1)
	if i < len(b) && b[i] == ']' {
		return
	}
	for n := 0; ; n++ {
		e, next := readValue(b, i, 1, level)
		if next < 0 || !yield(n, e) {
			return
		}
		more := false
		if i, more = scanSeparator(b, next, ']'); i < 0 || !more {
			return
		}
	}
}

// Members calls yield with the members of a record in order until it returns
// false: for name, m := range v.Members. Other kinds have none. A name that
// occurs twice in JSON text is yielded twice.
func (v Value) Members(yield func(name string, m Value) bool) {
	if v.kind != Record {
		return
	}
	if v.form == built {
		for _, m := range v.members() {
			if !yield(m.Name, m.Value) {
				return
			}
		}
		return
	}
	level := v.form.level()
	v.walk(func(m member, b []byte) bool {
		name := view(m.nameOf(b))
		if level == Level10 {
			name = strings.ToLower(name)
		}
		e, end := readValue(b, m.value, 1, level)
		return end >= 0 && yield(name, e)
	})
}

// walk calls yield with the members of a raw record, not yet read.
func (v Value) walk(yield func(m member, b []byte) bool) {
	b := v.json()
	i := skipSpace(b, 1)
	if i < len(b) && b[i] == '}' {
		return
	}
	for {
		m, next := scanMember(b, i, 1)
		if next < 0 || !yield(m, b) {
			return
		}
		more := false
		if i, more = scanSeparator(b, next, '}'); i < 0 || !more {
			return
		}
	}
}

// Get returns the member of a record with the given name: the last one that is
// spelled exactly so, else the last one that is the same name when case is
// ignored, else NULL. Of other kinds it is NULL.
func (v Value) Get(name string) Value {
	if v.kind != Record {
		return Value{}
	}
	if v.form == built {
		return v.getBuilt(name)
	}
	b := v.json()
	exact, folded := -1, -1
	v.walk(func(m member, b []byte) bool {
		n := m.nameOf(b)
		if string(n) == name {
			exact = m.value
		} else if exact < 0 && sameName(view(n), name) {
			folded = m.value
		}
		return true
	})
	if exact < 0 {
		exact = folded
	}
	if exact < 0 {
		return Value{}
	}
	e, _ := readValue(b, exact, 1, v.form.level())
	return e
}

func (v Value) getBuilt(name string) Value {
	var folded Value
	ms := v.members()
	for i := len(ms) - 1; i >= 0; i-- {
		if ms[i].Name == name {
			return ms[i].Value
		}
		if folded.IsNull() && sameName(ms[i].Name, name) {
			folded = ms[i].Value
		}
	}
	return folded
}

// sameName reports whether two names are the same when case is ignored.
func sameName(a, b string) bool {
	if len(a) != len(b) {
		// Only beyond ASCII may a letter's cases differ in length.
		return !(ascii(a) && ascii(b)) && strings.EqualFold(a, b)
	}
	return strings.EqualFold(a, b)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

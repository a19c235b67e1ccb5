package value

// Get is the member of an object with this name, undefined if there is none or
// v is no object. Of several members with one name the last counts, as for
// every reader of JSON that builds a table.
func (v Value) Get(name string) Value {
	if v.kind != KindObject {
		return Value{}
	}
	s, at, end := v.text, -1, 0
	for i := 1; ; {
		n, escaped, j, ok := memberAt(s, i)
		if !ok {
			break
		}
		i = skipValue(s, j)
		if n == name && !escaped || escaped && unescape(n) == name {
			at, end = j, i
		}
	}
	if at < 0 {
		return Value{}
	}
	return valueBetween(s, at, end)
}

// Index is the element of an array at i, undefined if there is none or v is no
// array.
func (v Value) Index(i int) Value {
	if v.kind != KindArray || i < 0 {
		return Value{}
	}
	s := v.text
	for j := 1; ; i-- {
		at, ok := elementAt(s, j)
		if !ok {
			return Value{}
		}
		if i == 0 {
			found, _ := readValue(s, at)
			return found
		}
		j = skipValue(s, at)
	}
}

// Len is the number of elements of an array, or of members of an object (each
// name once); 0 for everything else. It walks over all of them.
func (v Value) Len() int {
	n := 0
	switch v.kind {
	case KindArray:
		for i := 1; ; n++ {
			at, ok := elementAt(v.text, i)
			if !ok {
				return n
			}
			i = skipValue(v.text, at)
		}
	case KindObject:
		var buffer [memberBuffer]member
		return len(sortedMembers(v, buffer[:0]))
	}
	return 0
}

// EachMember calls fn with the members of an object in the document's order
// until it returns false. A name that is there several times is given every
// time; the last one counts.
func (v Value) EachMember(fn func(name string, v Value) bool) {
	if v.kind != KindObject {
		return
	}
	for i := 1; ; {
		name, escaped, at, ok := memberAt(v.text, i)
		if !ok {
			return
		}
		if escaped {
			name = unescape(name)
		}
		var m Value
		if m, i = readValue(v.text, at); !fn(name, m) {
			return
		}
	}
}

// EachElement calls fn with the elements of an array in order until it returns
// false.
func (v Value) EachElement(fn func(v Value) bool) {
	if v.kind != KindArray {
		return
	}
	for i := 1; ; {
		at, ok := elementAt(v.text, i)
		if !ok {
			return
		}
		var e Value
		if e, i = readValue(v.text, at); !fn(e) {
			return
		}
	}
}

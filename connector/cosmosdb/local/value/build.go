package value

// ArrayBuilder makes an array element by element. The zero ArrayBuilder is
// ready. It is not safe for concurrent use.
type ArrayBuilder struct{ json []byte }

// Append adds an element. Undefined adds nothing, as in the query language's
// own arrays.
func (b *ArrayBuilder) Append(v Value) {
	if v.kind == KindUndefined {
		return
	}
	if len(b.json) == 0 {
		b.json = append(b.json, '[')
	} else {
		b.json = append(b.json, ',')
	}
	b.json = v.AppendJSON(b.json)
}

// Size is how many bytes of JSON there are so far.
func (b *ArrayBuilder) Size() int { return len(b.json) }

// Value is the array of what was appended; it stands on its own, and the
// builder is empty afterwards.
func (b *ArrayBuilder) Value() Value {
	if len(b.json) == 0 {
		return Value{kind: KindArray, form: formRaw, text: "[]"}
	}
	v := Value{kind: KindArray, form: formRaw, text: text(append(b.json, ']'))}
	b.json = nil
	return v
}

// ObjectBuilder makes an object member by member. The zero ObjectBuilder is
// ready. It is not safe for concurrent use.
type ObjectBuilder struct{ json []byte }

// Set adds a member; undefined adds nothing. A name that is set twice is in the
// text twice, and the last one counts.
func (b *ObjectBuilder) Set(name string, v Value) {
	if v.kind == KindUndefined {
		return
	}
	if len(b.json) == 0 {
		b.json = append(b.json, '{')
	} else {
		b.json = append(b.json, ',')
	}
	b.json = AppendString(b.json, name)
	b.json = append(b.json, ':')
	b.json = v.AppendJSON(b.json)
}

// Size is how many bytes of JSON there are so far.
func (b *ObjectBuilder) Size() int { return len(b.json) }

// Value is the object of what was set; it stands on its own, and the builder is
// empty afterwards.
func (b *ObjectBuilder) Value() Value {
	if len(b.json) == 0 {
		return Value{kind: KindObject, form: formRaw, text: "{}"}
	}
	v := Value{kind: KindObject, form: formRaw, text: text(append(b.json, '}'))}
	b.json = nil
	return v
}

// Array is the array of these values, without those that are undefined.
func Array(elements ...Value) Value {
	var b ArrayBuilder
	for _, e := range elements {
		b.Append(e)
	}
	return b.Value()
}

// Member is a member of an object.
type Member struct {
	Name  string
	Value Value
}

// Object is the object of these members, without those that are undefined.
func Object(members ...Member) Value {
	var b ObjectBuilder
	for _, m := range members {
		b.Set(m.Name, m.Value)
	}
	return b.Value()
}

package settings

import (
	"fmt"
	"reflect"
	"strings"
)

// decodeGroup sets the fields of g from a mapping.
func (t *Tree) decodeGroup(g *group, path string, n *Node) {
	if n.Shape == Null {
		return
	}
	if n.Shape != Mapping {
		t.problems.add(n.Origin, "%s must be a mapping of keys to values", path)
		return
	}
	for _, k := range n.Keys {
		f := g.find(k.Name)
		if f == nil {
			where := ""
			if path != "" {
				where = " in " + path
			}
			t.problems.add(k.Origin, "unknown key `%s`%s%s", k.Name, where, didYouMean(k.Name, g.keys()))
			continue
		}
		if f.discriminatesGroup {
			continue
		}
		v := *k.Value
		if v.Shape != Mapping && v.Shape != List {
			// The key is where a person looks, even if the value stands on
			// the next line.
			v.Origin.Line, v.Origin.Column = k.Value.Origin.Line, k.Value.Origin.Column
		}
		if f.group != nil {
			t.decodeGroup(f.group, join(path, k.Name), &v)
			continue
		}
		if v.Shape == Null {
			continue // `key:` with nothing behind it leaves the default
		}
		t.assign(join(path, k.Name), f, &v)
	}
}

// assign sets one option and notes where it came from.
func (t *Tree) assign(path string, f *field, n *Node) {
	t.origins[path] = n.Origin
	t.decode(path, f, f.value, n)
}

// decode sets v, which is all or a part of the option f, from n.
func (t *Tree) decode(path string, f *field, v reflect.Value, n *Node) {
	if v.Type() == literalType {
		v.Set(reflect.ValueOf(Literal{n}))
		return
	}
	if isScalar(v.Type()) {
		t.decodeScalar(path, f, v, n)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			fresh.Elem().Set(v.Elem())
		}
		t.decode(path, f, fresh.Elem(), n)
		v.Set(fresh)
	case reflect.Struct:
		t.decodeGroup(&group{structFields(v)}, path, n)
	case reflect.Slice:
		if n.Shape == Scalar && isScalar(v.Type().Elem()) && n.Loose {
			n = splitList(n)
		}
		if n.Shape != List {
			t.problems.add(n.Origin, "%s must be a list, such as [a, b]", path)
			return
		}
		out := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
		for i, item := range n.Items {
			at := fmt.Sprintf("%s[%d]", path, i)
			t.origins[at] = item.Origin
			t.decode(at, f, out.Index(i), item)
		}
		v.Set(out)
	case reflect.Map:
		t.decodeMap(path, f, v, n)
	default:
		panic(fmt.Sprintf("settings: %s has the type %s, which is not supported", path, v.Type()))
	}
}

func (t *Tree) decodeMap(path string, f *field, v reflect.Value, n *Node) {
	if n.Shape != Mapping {
		t.problems.add(n.Origin, "%s must be a mapping of keys to values", path)
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Keys))
	for _, k := range n.Keys {
		key := reflect.New(v.Type().Key()).Elem()
		if err := setScalar(key, &Node{Shape: Scalar, Text: k.Name}); err != nil {
			t.problems.add(k.Origin, "the key `%s` in %s %v", k.Name, path, err)
			continue
		}
		at := join(path, k.Name)
		t.origins[at] = k.Value.Origin
		elem := reflect.New(v.Type().Elem()).Elem()
		t.decode(at, &field{key: k.Name, secret: f.secret}, elem, k.Value)
		out.SetMapIndex(key, elem)
	}
	v.Set(out)
}

func (t *Tree) decodeScalar(path string, f *field, v reflect.Value, n *Node) {
	if n.Shape != Scalar {
		t.problems.add(n.Origin, "%s must be one value, not a %s", path, shapeName(n.Shape))
		return
	}
	// The old value stays when the new one is wrong, so that one mistake is
	// reported once.
	fresh := reflect.New(v.Type()).Elem()
	err := setScalar(fresh, n)
	if err == nil {
		err = checkScalar(f, fresh)
	}
	if err == nil {
		v.Set(fresh)
		return
	}
	text := err.Error()
	if f.secret {
		t.problems.add(n.Origin, "%s cannot be read (its value is secret and not shown)", path)
		return
	}
	if strings.HasPrefix(text, "must ") {
		text = fmt.Sprintf("%s %s, not `%s`", path, text, clip(Mask(n.Text)))
	} else {
		text = fmt.Sprintf("%s: %s", path, clip(text))
	}
	t.problems.add(n.Origin, "%s", text)
}

// splitList makes a list of "a,b,c".
func splitList(n *Node) *Node {
	out := &Node{Shape: List, Origin: n.Origin}
	for _, part := range strings.Split(n.Text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out.Items = append(out.Items, &Node{Shape: Scalar, Text: part, Loose: true, Origin: n.Origin})
		}
	}
	return out
}

// Required notes the options that must not stay empty and did.
func (t *Tree) Required(file string) {
	t.walk(t.root, "", func(path string, f *field) {
		if f.required && f.value.IsZero() {
			p := &Problem{Origin: Origin{file, 1, 1}, Text: fmt.Sprintf("`%s` is missing", path)}
			if len(f.env) > 0 {
				p.Hint = f.envHint()
			}
			t.problems = append(t.problems, p)
		}
	})
}

func shapeName(s Shape) string {
	switch s {
	case List:
		return "list"
	case Mapping:
		return "mapping"
	case Null:
		return "blank"
	}
	return "value"
}

func clip(s string) string {
	if r := []rune(s); len(r) > 120 {
		return string(r[:120]) + "..."
	}
	return s
}

package settings

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// Spec describes a document: its members in the order in which they are
// printed.
type Spec []Member

// Member is one section of a document.
type Member struct {
	// Key names the section; empty: the keys of New's struct stand at the
	// top of the document.
	Key string
	// Doc is one sentence for people.
	Doc string
	// New returns a pointer to a struct that holds the defaults.
	New func() any
	// Kinds, instead of New, gives a section whose `kind` key chooses the
	// struct. A section with exactly one kind needs no `kind` key.
	Kinds map[string]func() any
	// Optional sections with kinds may be absent; their value is then nil.
	Optional bool
}

func (m Member) kindNames() []string {
	names := make([]string, 0, len(m.Kinds))
	for k := range m.Kinds {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}

// Tree is a document being put together from its layers.
type Tree struct {
	root     *group
	kinds    map[string]string
	values   map[string]any
	origins  map[string]Origin
	forced   map[string]bool // sections whose kind was chosen from outside the file
	problems Problems
}

// Choice is a section's kind chosen from outside the document.
type Choice struct {
	Kind   string
	Origin Origin
}

// Decode builds the tree of spec from the defaults and the document. chosen
// gives the kinds of sections that something else than the document decides;
// what the document says about such a section belongs to another kind and is
// left out, unless it is the same kind. Problems are kept for Err.
func Decode(spec Spec, doc *Node, chosen map[string]Choice) *Tree {
	t := &Tree{root: &group{}, kinds: map[string]string{}, values: map[string]any{},
		origins: map[string]Origin{}, forced: map[string]bool{}}
	if doc.Shape != Mapping {
		t.problems.add(doc.Origin, "the document must be a mapping of keys to values")
		doc = &Node{Shape: Mapping, Origin: doc.Origin}
	}
	skip := map[string]bool{}
	for _, m := range spec {
		t.section(m, doc.Get(m.Key), doc.Origin, chosen, skip)
	}
	if len(skip) > 0 {
		kept := *doc
		kept.Keys = slices.DeleteFunc(slices.Clone(doc.Keys), func(k Key) bool { return skip[k.Name] })
		doc = &kept
	}
	t.decodeGroup(t.root, "", doc)
	return t
}

// section adds one member of the spec to the root group. It notes in skip the
// sections of the document that cannot be decoded.
func (t *Tree) section(m Member, node *Node, docOrigin Origin, chosen map[string]Choice, skip map[string]bool) {
	if m.Kinds == nil {
		value := m.New()
		v := reflect.ValueOf(value).Elem()
		if m.Key == "" {
			t.root.fields = append(t.root.fields, structFields(v)...)
			return
		}
		t.values[m.Key] = value
		t.root.fields = append(t.root.fields, &field{key: m.Key, doc: m.Doc, value: v, group: &group{structFields(v)}})
		return
	}
	names := m.kindNames()
	kind, origin := "", docOrigin
	if node != nil {
		origin = node.Origin
	}
	if k := node.Get("kind"); k != nil && k.Shape == Scalar {
		kind, origin = k.Text, k.Origin
	} else if len(names) == 1 && (node != nil || !m.Optional) {
		kind = names[0]
	}
	if c, ok := chosen[m.Key]; ok {
		if c.Kind != kind {
			skip[m.Key] = true
			t.forced[m.Key] = true
		}
		kind, origin = c.Kind, c.Origin
	}
	if kind == "" && node == nil && m.Optional {
		return
	}
	create, ok := m.Kinds[kind]
	if !ok {
		skip[m.Key] = true
		t.forced[m.Key] = true
		p := &Problem{Origin: origin}
		if kind == "" {
			p.Text = fmt.Sprintf("%s needs `kind`: %s", m.Key, orList(names))
		} else {
			p.Text = fmt.Sprintf("unknown kind `%s` in %s%s", kind, m.Key, didYouMean(kind, names))
		}
		t.problems = append(t.problems, p)
		// The key itself is known; keep it so that it is not called unknown.
		dummy := &struct{}{}
		t.root.fields = append(t.root.fields, &field{key: m.Key, doc: m.Doc, value: reflect.ValueOf(dummy).Elem(), group: &group{}})
		return
	}
	value := create()
	t.kinds[m.Key], t.values[m.Key] = kind, value
	if origin.Line > 0 && node.Get("kind") == nil {
		origin = Default
	}
	t.origins[m.Key+".kind"] = origin
	v := reflect.ValueOf(value).Elem()
	kindValue := reflect.ValueOf(&kind).Elem()
	fields := []*field{{key: "kind", doc: "which " + m.Key + " to use", value: kindValue, enum: names, discriminatesGroup: true}}
	t.root.fields = append(t.root.fields, &field{key: m.Key, doc: m.Doc, value: v,
		group: &group{append(fields, structFields(v)...)}})
}

// Value returns the struct pointer of a section, nil if it is absent.
func (t *Tree) Value(section string) any { return t.values[section] }

// Kind returns the kind of a section, "" if it has none.
func (t *Tree) Kind(section string) string { return t.kinds[section] }

// Forced tells whether the kind of a section was chosen from outside the
// document against what the document says.
func (t *Tree) Forced(section string) bool { return t.forced[section] }

// Err returns all problems met so far as Problems, or nil.
func (t *Tree) Err() error { return t.problems.Err() }

// Problem notes a problem at the place where the option at path was set.
func (t *Tree) Problem(path, format string, args ...any) {
	t.problems.add(t.Origin(path), format, args...)
}

// Reject notes problems that were found elsewhere.
func (t *Tree) Reject(p ...*Problem) { t.problems = append(t.problems, p...) }

// Origin tells where the value at path came from; for an option inside a list
// or an unset one, where the closest enclosing value came from.
func (t *Tree) Origin(path string) Origin {
	for p := path; p != ""; {
		if o, ok := t.origins[p]; ok {
			return o
		}
		i := strings.LastIndexAny(p, ".[")
		if i < 0 || !strings.Contains(p, "[") {
			// A struct's origin does not say anything about members that
			// were not written in it.
			break
		}
		p = p[:i]
	}
	return Default
}

// ResolveFiles makes the paths of files (`file:"true"`) that were written in the
// document relative to the folder that it is in, so that a solution works from
// anywhere. Those given on the command line stay relative to where it is typed.
func (t *Tree) ResolveFiles() {
	t.walk(t.root, "", func(path string, f *field) {
		at := t.Origin(path)
		if !f.file || f.value.Kind() != reflect.String || at.Line == 0 {
			return
		}
		if name := f.value.String(); name != "" && !filepath.IsAbs(name) {
			f.value.SetString(filepath.Join(filepath.Dir(at.Text), name))
		}
	})
}

// Paths lists the path of every option that holds one value, in document
// order. Members of lists and maps are not among them.
func (t *Tree) Paths() []string {
	var out []string
	t.walk(t.root, "", func(path string, f *field) {
		if isScalar(f.value.Type()) || f.value.Kind() != reflect.Struct {
			out = append(out, path)
		}
	})
	return out
}

// walk calls fn for every field, sections and nested structs before what is
// in them.
func (t *Tree) walk(g *group, prefix string, fn func(path string, f *field)) {
	for _, f := range g.fields {
		path := join(prefix, f.key)
		if f.group != nil {
			t.walk(f.group, path, fn)
			continue
		}
		fn(path, f)
		if v := f.value; v.Kind() == reflect.Struct && !isScalar(v.Type()) {
			t.walk(&group{structFields(v)}, path, fn)
		}
	}
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// Env overrides every option whose env tag names a variable that is set and
// not empty.
func (t *Tree) Env(getenv func(string) string) {
	t.walk(t.root, "", func(path string, f *field) {
		for _, name := range f.env {
			text := getenv(name)
			if text == "" {
				continue
			}
			o := Origin{Text: "environment " + name}
			t.assign(path, f, &Node{Shape: Scalar, Text: text, Loose: true, Origin: o})
			return
		}
	})
}

// SetText sets the option at path from text, as --set does: a plain word for
// an option that holds one value, YAML (`[a, b]`) for the others.
func (t *Tree) SetText(path, text string, o Origin) {
	f := t.resolve(path, o)
	if f == nil {
		return
	}
	if f.secret {
		hint := "put it in a file that only you can read"
		if len(f.env) > 0 {
			hint = f.envHint()
		}
		t.problems = append(t.problems, &Problem{Origin: o,
			Text: fmt.Sprintf("%s is a secret, and a command line is visible to everybody on the machine", path), Hint: hint})
		return
	}
	n := &Node{Shape: Scalar, Text: text, Loose: true, Origin: o}
	if !isScalar(deref(f.value.Type())) && f.value.Type() != literalType {
		parsed, err := Parse(o.Text, []byte(text))
		if err != nil {
			t.problems.add(o, "%s cannot be read from `%s`: %s", path, text, problemTexts(err))
			return
		}
		n = parsed
		n.relocate(o)
	}
	t.assign(path, f, n)
}

// SetNode sets the option at path from a value of the document.
func (t *Tree) SetNode(path string, n *Node, o Origin) {
	if f := t.resolve(path, n.Origin); f != nil {
		moved := *n
		moved.Origin = o
		t.assign(path, f, &moved)
	}
}

// Check reports, without setting anything, whether n may be set at path.
func (t *Tree) Check(path string, n *Node) {
	f := t.resolve(path, n.Origin)
	if f == nil {
		return
	}
	scratch := *f
	scratch.value = reflect.New(f.value.Type()).Elem()
	saved := t.origins
	t.origins = map[string]Origin{}
	t.assign(path, &scratch, n)
	t.origins = saved
}

// relocate gives n and all in it the origin o.
func (n *Node) relocate(o Origin) {
	n.Origin = o
	for _, i := range n.Items {
		i.relocate(o)
	}
	for i := range n.Keys {
		n.Keys[i].Origin = o
		n.Keys[i].Value.relocate(o)
	}
}

// resolve finds the option at path, or notes that there is none.
func (t *Tree) resolve(path string, o Origin) *field {
	g, at := t.root, ""
	parts := strings.Split(path, ".")
	for i, part := range parts {
		f := g.find(part)
		if f == nil {
			t.unknownPath(path, part, at, g, o)
			return nil
		}
		at = join(at, part)
		if i == len(parts)-1 {
			if f.group != nil {
				t.problems.add(o, "%s is a section; name one option in it, such as %s", path, join(path, example(f.group)))
				return nil
			}
			if f.discriminatesGroup && t.kinds[parts[0]] == f.value.String() {
				return f
			}
			return f
		}
		if f.group != nil {
			g = f.group
			continue
		}
		switch v := f.value; {
		case v.Kind() == reflect.Struct && !isScalar(v.Type()):
			g = &group{structFields(v)}
		case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct && !isScalar(v.Type().Elem()):
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			g = &group{structFields(v.Elem())}
		default:
			t.problems.add(o, "%s holds one value; there is no %s in it", at, strings.Join(parts[i+1:], "."))
			return nil
		}
	}
	return nil
}

func example(g *group) string {
	for _, f := range g.fields {
		if !f.discriminatesGroup {
			return f.key
		}
	}
	return "kind"
}

func (t *Tree) unknownPath(path, part, at string, g *group, o Origin) {
	all := t.Paths()
	guess := Nearest(part, g.keys())
	if guess != "" {
		guess = join(at, guess) + strings.TrimPrefix(path, join(at, part))
	}
	if guess == "" || !slices.Contains(all, guess) {
		if g2 := Nearest(path, all); g2 != "" {
			guess = g2
		}
	}
	if guess == "" {
		last := path[strings.LastIndexByte(path, '.')+1:]
		for _, p := range all {
			if p == last || strings.HasSuffix(p, "."+last) {
				guess = p
				break
			}
		}
	}
	text := fmt.Sprintf("there is no option `%s`", path)
	if guess != "" {
		text += fmt.Sprintf("; did you mean `%s`?", guess)
	}
	t.problems = append(t.problems, &Problem{Origin: o, Text: text, Hint: "--print-config shows every option and its value"})
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

func orList(names []string) string {
	switch len(names) {
	case 0:
		return "none is known to this program"
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// didYouMean ends the sentence about an unknown name.
func didYouMean(name string, known []string) string {
	if guess := Nearest(name, known); guess != "" {
		return fmt.Sprintf("; did you mean `%s`?", guess)
	}
	if len(known) == 0 {
		return ""
	}
	return "; known: " + strings.Join(known, ", ")
}

func problemTexts(err error) string {
	if ps, ok := err.(Problems); ok {
		texts := make([]string, len(ps))
		for i, p := range ps {
			texts[i] = p.Text
		}
		return strings.Join(texts, "; ")
	}
	return err.Error()
}

package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// Print writes the whole document as YAML, secrets as ***, with a comment on
// every line that says where the value came from. What it writes can be read
// again.
func (t *Tree) Print(w io.Writer) error {
	p := printer{t: t}
	p.group(t.root, "", 0)
	width := 0
	for _, l := range p.lines {
		if n := utf8.RuneCountInString(l.text); n > width && n <= 44 {
			width = n
		}
	}
	var b bytes.Buffer
	for _, l := range p.lines {
		b.WriteString(l.text)
		if l.origin != "" {
			b.WriteString(strings.Repeat(" ", max(width-utf8.RuneCountInString(l.text), 0)))
			b.WriteString("  # " + l.origin)
		}
		b.WriteByte('\n')
	}
	_, err := w.Write(b.Bytes())
	return err
}

type printer struct {
	t     *Tree
	lines []struct{ text, origin string }
}

func (p *printer) line(depth int, text, origin string) {
	p.lines = append(p.lines, struct{ text, origin string }{strings.Repeat("  ", depth) + text, origin})
}

func (p *printer) group(g *group, path string, depth int) {
	for _, f := range g.fields {
		at := join(path, f.key)
		if f.group != nil {
			if len(f.group.fields) == 0 {
				continue
			}
			p.line(depth, f.key+":", "")
			p.group(f.group, at, depth+1)
			continue
		}
		p.value(f.key+":", at, f, f.value, depth)
	}
}

// value prints "head value". head is "key:" or "-".
func (p *printer) value(head, path string, f *field, v reflect.Value, depth int) {
	origin := p.t.Origin(path).String()
	switch {
	case v.Type() == literalType:
		p.line(depth, head+" "+flow(v.Interface().(Literal).Node), origin)
	case isScalar(v.Type()):
		p.line(depth, head+" "+p.scalar(f, v), origin)
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			p.value(head, path, f, v.Elem(), depth)
		}
	case v.Kind() == reflect.Struct:
		fields := structFields(v)
		if strings.HasSuffix(path, "]") {
			// What an entry of a list does not say has no default to show.
			fields = slices.DeleteFunc(fields, func(f *field) bool { return f.value.IsZero() && !f.required })
		}
		p.line(depth, head, "")
		p.group(&group{fields}, path, depth+1)
	case v.Kind() == reflect.Slice:
		p.slice(head, path, f, v, depth)
	case v.Kind() == reflect.Map:
		if v.Len() == 0 {
			p.line(depth, head+" {}", origin)
			return
		}
		p.line(depth, head, "")
		keys := v.MapKeys()
		sort.Slice(keys, func(i, j int) bool {
			if keys[i].CanInt() {
				return keys[i].Int() < keys[j].Int()
			}
			return keys[i].String() < keys[j].String()
		})
		for _, k := range keys {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(v.MapIndex(k))
			name := scalarText(k)
			if k.Kind() == reflect.String {
				name = quote(name)
			}
			p.value(name+":", join(path, scalarText(k)), &field{secret: f.secret}, elem, depth+1)
		}
	}
}

func (p *printer) slice(head, path string, f *field, v reflect.Value, depth int) {
	origin := p.t.Origin(path).String()
	if v.Len() == 0 || isScalar(v.Type().Elem()) {
		items := make([]string, v.Len())
		for i := range items {
			items[i] = p.scalar(f, v.Index(i))
		}
		p.line(depth, head+" ["+strings.Join(items, ", ")+"]", origin)
		return
	}
	p.line(depth, head, "")
	for i := range v.Len() {
		at := fmt.Sprintf("%s[%d]", path, i)
		before := len(p.lines)
		p.value("", at, f, v.Index(i), depth)
		// The struct printed an empty head and then its members one deeper:
		// drop the head and put the dash before the first member.
		members := p.lines[before:]
		if len(members) > 1 {
			p.lines = append(p.lines[:before], members[1:]...)
			first := &p.lines[before]
			indent := strings.Repeat("  ", depth)
			first.text = indent + "- " + strings.TrimPrefix(first.text, indent+"  ")
		} else {
			members[0].text = strings.Repeat("  ", depth) + "- {}"
		}
	}
}

func (p *printer) scalar(f *field, v reflect.Value) string {
	text := scalarText(v)
	if f.secret && text != "" {
		return quote(stars)
	}
	if v.Kind() != reflect.String && !v.Type().Implements(textUnmarshaler) &&
		!reflect.PointerTo(v.Type()).Implements(textUnmarshaler) {
		return text
	}
	return quote(Mask(text))
}

func flow(n *Node) string {
	switch n.Shape {
	case Scalar:
		if n.Quoted {
			return jsonString(n.Text)
		}
		return quoteUnless(n.Text, numeric)
	case List:
		parts := make([]string, len(n.Items))
		for i, item := range n.Items {
			parts[i] = flow(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case Mapping:
		parts := make([]string, len(n.Keys))
		for i, k := range n.Keys {
			parts[i] = quote(k.Name) + ": " + flow(k.Value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "null"
}

var (
	plain    = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*$`)
	numeric  = regexp.MustCompile(`^([-+]?[0-9][0-9_]*(\.[0-9]+)?([eE][-+]?[0-9]+)?|[0-9][0-9.]*[A-Za-zµ]+([0-9.]+[a-zµ]+)*|true|false)$`)
	measure  = regexp.MustCompile(`^[0-9][0-9.]*(ns|us|µs|ms|s|m|h|KB|MB|GB|TB|KiB|MiB|GiB|TiB|B)([0-9.]+(ms|s|m))*$`)
	reserved = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null|nan|inf)$`)
)

// quote writes s as a YAML scalar that reads back as the string s.
func quote(s string) string {
	if plain.MatchString(s) && !reserved.MatchString(s) {
		return s
	}
	return quoteUnless(s, measure)
}

func quoteUnless(s string, bare *regexp.Regexp) string {
	if bare.MatchString(s) || plain.MatchString(s) && !reserved.MatchString(s) {
		return s
	}
	return jsonString(s)
}

// jsonString writes s in double quotes; every JSON string is a YAML string.
func jsonString(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // cannot happen: a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

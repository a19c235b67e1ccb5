package settings

import (
	"encoding"
	"reflect"
	"strings"
)

// field is one option: a struct field seen through its tags, or a whole
// section.
type field struct {
	key, doc           string
	env                []string
	secret, required   bool
	file               bool // the path of a file
	enum               []string
	min, max           string
	value              reflect.Value // addressable; the section's struct if group is set
	group              *group        // set for a section of the document
	discriminatesGroup bool          // this is the `kind` key of a section with kinds
}

// group is a set of keys that belong together: a section with its kind.
type group struct{ fields []*field }

func (g *group) find(key string) *field {
	for _, f := range g.fields {
		if f.key == key {
			return f
		}
	}
	return nil
}

func (g *group) keys() []string {
	names := make([]string, len(g.fields))
	for i, f := range g.fields {
		names[i] = f.key
	}
	return names
}

// structFields lists the options of an addressable struct.
func structFields(v reflect.Value) []*field {
	var out []*field
	t := v.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("yaml")
		name, opts, _ := strings.Cut(tag, ",")
		if strings.Contains(opts, "inline") && sf.Type.Kind() == reflect.Struct {
			out = append(out, structFields(v.Field(i))...)
			continue
		}
		if !tagged || name == "-" || name == "" || !sf.IsExported() {
			continue
		}
		out = append(out, &field{
			key: name, doc: sf.Tag.Get("doc"),
			env:    list(sf.Tag.Get("env")),
			secret: sf.Tag.Get("secret") == "true", required: sf.Tag.Get("required") == "true",
			file: sf.Tag.Get("file") == "true",
			enum: list(sf.Tag.Get("enum")), min: sf.Tag.Get("min"), max: sf.Tag.Get("max"),
			value: v.Field(i),
		})
	}
	return out
}

func list(tag string) []string {
	if tag == "" {
		return nil
	}
	parts := strings.Split(tag, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	literalType     = reflect.TypeFor[Literal]()
)

// isScalar tells whether t is written as one word or number.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

// Literal is a value of any form, kept as it was written. Its only use is to
// hold values for other options, as the scales of a solution do.
type Literal struct{ Node *Node }

// envHint names the variables that an option may be set by, of which there must
// be one at least.
func (f *field) envHint() string {
	last := len(f.env) - 1
	if last == 0 {
		return "set the environment variable " + f.env[0]
	}
	return "set the environment variable " + strings.Join(f.env[:last], ", ") + " or " + f.env[last]
}

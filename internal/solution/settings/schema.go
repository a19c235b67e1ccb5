package settings

import (
	"encoding/json"
	"reflect"
	"strconv"

	"millrace/connector"
)

// Schema returns the JSON Schema (2020-12) of the documents that spec
// describes: an object that encoding/json writes with sorted keys.
func (s Spec) Schema(id, title, description string) map[string]any {
	props := map[string]any{}
	var required []string
	for _, m := range s {
		switch {
		case m.Kinds != nil:
			var branches []any
			for _, kind := range m.kindNames() {
				branch := schemaStruct(structFields(reflect.ValueOf(m.Kinds[kind]()).Elem()))
				branch["properties"].(map[string]any)["kind"] = map[string]any{"const": kind, "description": "which " + m.Key + " to use"}
				branch["title"] = kind
				if len(m.Kinds) > 1 {
					branch["required"] = append([]string{"kind"}, stringsOf(branch["required"])...)
				}
				branches = append(branches, branch)
			}
			props[m.Key] = map[string]any{"description": m.Doc, "oneOf": branches}
			if !m.Optional {
				required = append(required, m.Key)
			}
		case m.Key == "":
			top := schemaStruct(structFields(reflect.ValueOf(m.New()).Elem()))
			for k, v := range top["properties"].(map[string]any) {
				props[k] = v
			}
			required = append(required, stringsOf(top["required"])...)
		default:
			section := schemaStruct(structFields(reflect.ValueOf(m.New()).Elem()))
			section["description"] = m.Doc
			props[m.Key] = section
		}
	}
	return map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"$id":                  id,
		"title":                title,
		"description":          description,
		"type":                 "object",
		"properties":           props,
		"required":             required,
		"additionalProperties": false,
	}
}

func stringsOf(v any) []string {
	s, _ := v.([]string)
	return s
}

func schemaStruct(fields []*field) map[string]any {
	props := map[string]any{}
	var required []string
	for _, f := range fields {
		p := schemaType(f.value)
		describe(p, f)
		props[f.key] = p
		if f.required && f.value.IsZero() { // a default is enough
			required = append(required, f.key)
		}
	}
	out := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}

// describe adds what the tags and the default say.
func describe(p map[string]any, f *field) {
	doc := f.doc
	for i, name := range f.env {
		if i == 0 {
			doc += " (environment: " + name
		} else {
			doc += ", " + name
		}
		if i == len(f.env)-1 {
			doc += ")"
		}
	}
	if doc != "" {
		p["description"] = doc
	}
	if f.secret {
		p["writeOnly"] = true
	}
	v := f.value
	if !isScalar(v.Type()) {
		return
	}
	if len(f.enum) > 0 {
		p["enum"] = f.enum
	}
	if bound, ok := number(v, f.min); ok {
		p["minimum"] = bound
	}
	if bound, ok := number(v, f.max); ok {
		p["maximum"] = bound
	}
	if f.secret || v.IsZero() && v.Kind() == reflect.String {
		return
	}
	if text := scalarText(v); !isText(v.Type()) && v.Kind() != reflect.String {
		p["default"] = json.RawMessage(text)
	} else {
		p["default"] = text
	}
}

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textUnmarshaler) }

// number gives a bound of a plain number; the order of durations and sizes
// cannot be said in a schema.
func number(v reflect.Value, bound string) (json.RawMessage, bool) {
	if _, err := strconv.ParseFloat(bound, 64); err != nil || isText(v.Type()) {
		return nil, false
	}
	return json.RawMessage(bound), true
}

func schemaType(v reflect.Value) map[string]any {
	t := v.Type()
	if t == literalType {
		return map[string]any{}
	}
	switch {
	case t == reflect.TypeFor[connector.Duration]():
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": `^[-+]?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$|^0$`},
			map[string]any{"const": 0},
		}}
	case t == reflect.TypeFor[connector.Bytes]():
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": `^\s*[0-9]+\s*([KkMmGg]([Ii])?[Bb]|[Bb])?\s*$`},
			map[string]any{"type": "integer", "minimum": 0},
		}}
	case isText(t):
		return map[string]any{"type": []string{"string", "number"}}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Pointer:
		return schemaType(reflect.New(t.Elem()).Elem())
	case reflect.Struct:
		return schemaStruct(structFields(v))
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaType(reflect.New(t.Elem()).Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaType(reflect.New(t.Elem()).Elem())}
	}
	return map[string]any{"type": "integer"}
}

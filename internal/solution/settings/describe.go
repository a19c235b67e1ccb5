package settings

import (
	"fmt"
	"reflect"
	"strings"

	"millrace/connector"
)

// Option describes one option for documentation and command-line flags.
type Option struct {
	// Path is the option's path; Kind the kind of section that has it, ""
	// for sections without kinds.
	Path, Kind string
	// Type is a word for people: text, number, duration, list, ...
	Type string
	// Default is the default's text, "" if it is empty.
	Default string
	Doc     string
	Env     []string
	Allowed string
	Secret  bool
}

// Options lists every option of spec in document order, each kind's options
// after each other. Members of list entries appear as "list[].member".
func (s Spec) Options() []Option {
	var out []Option
	for _, m := range s {
		if m.Kinds == nil {
			describeFields(&out, structFields(reflect.ValueOf(m.New()).Elem()), m.Key, "")
			continue
		}
		for _, kind := range m.kindNames() {
			describeFields(&out, structFields(reflect.ValueOf(m.Kinds[kind]()).Elem()), m.Key, kind)
		}
	}
	return out
}

func describeFields(out *[]Option, fields []*field, prefix, kind string) {
	for _, f := range fields {
		describeField(out, f, join(prefix, f.key), kind)
	}
}

func describeField(out *[]Option, f *field, path, kind string) {
	v := f.value
	if v.Kind() == reflect.Pointer && !isScalar(v.Type()) {
		v = reflect.New(v.Type().Elem()).Elem()
	}
	if v.Kind() == reflect.Struct && !isScalar(v.Type()) && v.Type() != literalType {
		describeFields(out, structFields(v), path, kind)
		return
	}
	o := Option{Path: path, Kind: kind, Type: typeName(v.Type()), Doc: f.doc, Env: f.env, Secret: f.secret}
	switch {
	case len(f.enum) > 0:
		o.Allowed = strings.Join(f.enum, ", ")
	case f.min != "" && f.max != "":
		o.Allowed = f.min + " to " + f.max
	case f.min != "":
		o.Allowed = "at least " + f.min
	case f.max != "":
		o.Allowed = "at most " + f.max
	}
	if isScalar(v.Type()) && !f.secret {
		o.Default = scalarText(v)
	} else if v.Kind() == reflect.Slice && isScalar(v.Type().Elem()) && v.Len() > 0 {
		o.Default = fmt.Sprint(v.Interface())
	}
	*out = append(*out, o)
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && !isScalar(v.Type().Elem()) {
		describeFields(out, structFields(reflect.New(v.Type().Elem()).Elem()), path+"[]", kind)
	}
	if v.Kind() == reflect.Map && v.Type().Elem().Kind() == reflect.Struct && v.Type().Elem() != literalType {
		describeFields(out, structFields(reflect.New(v.Type().Elem()).Elem()), path+".*", kind)
	}
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[connector.Duration]():
		return "duration"
	case t == reflect.TypeFor[connector.Bytes]():
		return "size"
	case isText(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "mapping"
	case reflect.Float32, reflect.Float64:
		return "number"
	}
	return "whole number"
}

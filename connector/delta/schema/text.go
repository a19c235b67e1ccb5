package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The forms of types in a schema's text, with the members in the usual order.
type (
	structText struct {
		Type   string      `json:"type"`
		Fields []fieldText `json:"fields"`
	}
	fieldText struct {
		Name     string                     `json:"name"`
		Type     any                        `json:"type"`
		Nullable bool                       `json:"nullable"`
		Metadata map[string]json.RawMessage `json:"metadata"`
	}
	arrayText struct {
		Type         string `json:"type"`
		Element      any    `json:"elementType"`
		ContainsNull bool   `json:"containsNull"`
	}
	mapText struct {
		Type              string `json:"type"`
		Key               any    `json:"keyType"`
		Value             any    `json:"valueType"`
		ValueContainsNull bool   `json:"valueContainsNull"`
	}
)

// Text returns the schema as the text of a metaData action.
func (s *Struct) Text() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s.text()); err != nil {
		// Only metadata that is not JSON can do that, and Parse made it.
		panic(fmt.Sprintf("schema %s: %v", s, err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// UnknownTypeError says that a table has a column of a type that is not known
// here.
type UnknownTypeError struct {
	// Column is the column's name, with those of structs around it.
	Column string
	// Type is what the schema says.
	Type string
}

func (e *UnknownTypeError) Error() string {
	return fmt.Sprintf("column %s is of type %s, which is not supported", e.Column, e.Type)
}

// maxDepth bounds how deep types nest, so that no text can exhaust the stack.
const maxDepth = 100

// Parse reads the text of a metaData action. It fails with an
// *UnknownTypeError if the text is well formed but has a type that is not
// known.
func Parse(text string) (*Struct, error) {
	t, err := parse(json.RawMessage(text), "", 0)
	if err != nil {
		return nil, err
	}
	s, ok := t.(*Struct)
	if !ok {
		return nil, fmt.Errorf("the schema is a %s, not a struct", t)
	}
	return s, nil
}

// anyText has the members of all forms.
type anyText struct {
	Type   string `json:"type"`
	Fields []struct {
		Name     *string                    `json:"name"`
		Type     json.RawMessage            `json:"type"`
		Nullable *bool                      `json:"nullable"`
		Metadata map[string]json.RawMessage `json:"metadata"`
	} `json:"fields"`
	Element           json.RawMessage `json:"elementType"`
	ContainsNull      *bool           `json:"containsNull"`
	Key               json.RawMessage `json:"keyType"`
	Value             json.RawMessage `json:"valueType"`
	ValueContainsNull *bool           `json:"valueContainsNull"`
}

var errTooDeep = errors.New("types nest deeper than 100 times")

func parse(text json.RawMessage, path string, depth int) (Type, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	where := "the schema"
	if path != "" {
		where = "column " + path
	}
	text = bytes.TrimSpace(text)
	if len(text) > 0 && text[0] == '"' {
		var name string
		if err := json.Unmarshal(text, &name); err != nil {
			return nil, fmt.Errorf("%s: the type is no JSON: %w", where, err)
		}
		return named(name, path)
	}
	if len(text) == 0 || text[0] != '{' {
		return nil, fmt.Errorf("%s: a type is a name or an object, not %.20q", where, text)
	}
	var a anyText
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("%s: the type is not as it should be: %w", where, err)
	}
	switch a.Type {
	case "struct":
		return parseStruct(a, path, depth)
	case "array":
		e, err := parse(a.Element, join(path, "element"), depth+1)
		if err != nil {
			return nil, err
		}
		return &Array{Element: e, ContainsNull: orTrue(a.ContainsNull)}, nil
	case "map":
		k, err := parse(a.Key, join(path, "key"), depth+1)
		if err != nil {
			return nil, err
		}
		v, err := parse(a.Value, join(path, "value"), depth+1)
		if err != nil {
			return nil, err
		}
		return &Map{Key: k, Value: v, ValueContainsNull: orTrue(a.ValueContainsNull)}, nil
	}
	if a.Type == "" {
		return nil, fmt.Errorf("%s: the type has no name", where)
	}
	return nil, &UnknownTypeError{Column: path, Type: a.Type}
}

func parseStruct(a anyText, path string, depth int) (Type, error) {
	s := &Struct{Fields: make([]Field, 0, len(a.Fields))}
	for i, f := range a.Fields {
		if f.Name == nil {
			return nil, fmt.Errorf("field %d of %s has no name", i+1, join("the schema", path))
		}
		t, err := parse(f.Type, join(path, *f.Name), depth+1)
		if err != nil {
			return nil, err
		}
		if len(f.Metadata) == 0 {
			f.Metadata = nil
		}
		s.Fields = append(s.Fields, Field{Name: *f.Name, Type: t, Nullable: orTrue(f.Nullable), Metadata: f.Metadata})
	}
	return s, nil
}

func named(name, path string) (Type, error) {
	if slices.Contains(primitives, Primitive(name)) {
		return Primitive(name), nil
	}
	if name == "decimal" {
		return Decimal{Precision: 10, Scale: 0}, nil
	}
	if in, ok := strings.CutPrefix(name, "decimal("); ok {
		if in, ok := strings.CutSuffix(in, ")"); ok {
			p, s, _ := strings.Cut(in, ",")
			precision, err1 := strconv.Atoi(strings.TrimSpace(p))
			scale, err2 := strconv.Atoi(strings.TrimSpace(s))
			if err1 == nil && err2 == nil && precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision {
				return Decimal{Precision: precision, Scale: scale}, nil
			}
		}
	}
	return nil, &UnknownTypeError{Column: path, Type: name}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	if name == "" {
		return path
	}
	return path + "." + name
}

// orTrue is the value, or true where a writer has left it out: null is then
// possible.
func orTrue(b *bool) bool { return b == nil || *b }

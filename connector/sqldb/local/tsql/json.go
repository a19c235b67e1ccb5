package tsql

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// member is one member of a JSON object, or one element of an array.
type member struct {
	key string
	raw json.RawMessage
}

// members takes a JSON object or array apart, in its order.
func members(raw []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	open, err := dec.Token()
	if err != nil {
		return nil, err
	}
	var out []member
	d, ok := open.(json.Delim)
	if !ok || d != '{' && d != '[' {
		return nil, fmt.Errorf("neither an object nor an array")
	}
	for i := 0; dec.More(); i++ {
		m := member{key: strconv.Itoa(i)}
		if d == '{' {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			m.key, _ = k.(string)
		}
		if err := dec.Decode(&m.raw); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("text behind the end")
	}
	return out, nil
}

// pathStep is one step of a JSON path: a member's name or an index.
type pathStep struct {
	name  string
	index int // -1: a name
}

// jsonPath parses a path like $.a.b[0], lax or strict.
func jsonPath(s string) ([]pathStep, bool, error) {
	wrong := value.Errorf(13607, "JSON path is not properly formatted: '%s'.", s)
	text := strings.TrimSpace(s)
	strict := strings.HasPrefix(text, "strict ")
	text = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(text, "strict "), "lax "))
	text, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, false, wrong
	}
	var steps []pathStep
	for text != "" {
		switch {
		case text[0] == '[':
			number, rest, ok := strings.Cut(text[1:], "]")
			n, err := strconv.Atoi(number)
			if !ok || err != nil || n < 0 {
				return nil, false, wrong
			}
			steps, text = append(steps, pathStep{index: n}), rest
		case strings.HasPrefix(text, `."`):
			name, rest, ok := strings.Cut(text[2:], `"`)
			if !ok {
				return nil, false, wrong
			}
			steps, text = append(steps, pathStep{name: name, index: -1}), rest
		case text[0] == '.':
			end := strings.IndexAny(text[1:], ".[")
			if end < 0 {
				end = len(text) - 1
			}
			if end == 0 {
				return nil, false, wrong
			}
			steps, text = append(steps, pathStep{name: text[1 : 1+end], index: -1}), text[1+end:]
		default:
			return nil, false, wrong
		}
	}
	return steps, strict, nil
}

// walk follows a path; nil if there is nothing.
func walk(raw json.RawMessage, path []pathStep) json.RawMessage {
	for _, step := range path {
		raw = bytes.TrimSpace(raw)
		if len(raw) == 0 || (raw[0] == '[') != (step.index >= 0) || raw[0] != '[' && raw[0] != '{' {
			return nil
		}
		all, err := members(raw)
		if err != nil {
			return nil
		}
		raw = nil
		for i, m := range all {
			if step.index == i || step.index < 0 && m.key == step.name {
				raw = m.raw
				break
			}
		}
	}
	return raw
}

// scalarJSON is a JSON value as a text: NULL for null, objects and arrays.
func scalarJSON(raw json.RawMessage) value.Value {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null" {
		return value.Value{}
	}
	if raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return value.Value{}
		}
		return value.FromString(s)
	}
	return value.FromString(string(raw))
}

func notJSON(raw string) *value.Error {
	e := value.Errorf(13609, "JSON text is not properly formatted. Unexpected character is found at position 0.")
	if len(raw) > 0 {
		e.Message = fmt.Sprintf("JSON text is not properly formatted. Unexpected character '%c' is found.", raw[0])
	}
	e.State = 4
	return e
}

func jsonFunctions() map[string]builtin {
	texts := []value.Type{textMax}
	at := func(f func(json.RawMessage) value.Value) fn {
		return func(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
			path := []pathStep(nil)
			if len(a) > 1 {
				var err error
				if path, _, err = jsonPath(a[1].Text()); err != nil {
					return value.Value{}, err
				}
			}
			if !json.Valid([]byte(a[0].Text())) {
				return value.Value{}, notJSON(a[0].Text())
			}
			return f(walk(json.RawMessage(a[0].Text()), path)), nil
		}
	}
	return map[string]builtin{
		"JSON_VALUE": {least: 2, most: 2, params: texts, result: value.Type{ID: value.NVarChar, Length: 4000}, f: at(scalarJSON)},
		"JSON_QUERY": {least: 1, most: 2, params: texts, result: textMax, f: at(composite)},
		"ISJSON": {least: 1, most: 1, params: texts, result: intType, f: func(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
			_, err := members([]byte(a[0].Text()))
			return value.FromBool(err == nil), nil
		}},
	}
}

// composite is a JSON object or array as a text, NULL for anything else.
func composite(raw json.RawMessage) value.Value {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' {
		return value.Value{}
	}
	return value.FromString(string(raw))
}

// jsonColumn is a column of OPENJSON ... WITH.
type jsonColumn struct {
	path []pathStep
	raw  bool // AS JSON
	typ  value.Type
}

// openJSON compiles OPENJSON: a row for each element of an array, or for the
// one object that there is.
func (c *compiler) openJSON(ref *ast.OpenJsonTableReference) (*relation, error) {
	text, err := c.scalar(ref.Variable)
	if err != nil {
		return nil, err
	}
	text = c.convert(text, textMax)
	path := constant(value.FromString("$"), textMax)
	if ref.RowPattern != nil {
		if path, err = c.scalar(ref.RowPattern); err != nil {
			return nil, err
		}
	}
	p := &plan{correlated: true} // it may name what is before it
	var cols []jsonColumn
	for _, d := range ref.SchemaDeclarationItems {
		col, err := c.jsonColumn(d)
		if err != nil {
			return nil, err
		}
		cols = append(cols, col)
		p.columns = append(p.columns, value.Column{Name: d.ColumnDefinition.ColumnIdentifier.Value, Type: col.typ, Nullable: true})
	}
	if cols == nil {
		p.columns = []value.Column{{Name: "key", Type: value.Type{ID: value.NVarChar, Length: 4000}}, {Name: "value", Type: textMax, Nullable: true}, {Name: "type", Type: tinyType}}
	}
	p.run = func(v *env, emit func([]value.Value) error) error {
		t, err := text.eval(v)
		if err != nil || t.IsNull() {
			return err
		}
		where, err := path.eval(v)
		if err != nil {
			return err
		}
		steps, strict, err := jsonPath(where.Text())
		if err != nil {
			return err
		}
		if !json.Valid([]byte(t.Text())) {
			return notJSON(t.Text())
		}
		raw := bytes.TrimSpace(walk(json.RawMessage(t.Text()), steps))
		if len(raw) == 0 || raw[0] != '[' && raw[0] != '{' {
			if strict {
				return value.Errorf(13611, "Value referenced by JSON path is not an array or object and cannot be opened with OPENJSON.")
			}
			return nil
		}
		return openRows(raw, cols, emit)
	}
	return planRelation(p, aliasOf(ref.Alias), nil, func(v *env) *env { return v })
}

func (c *compiler) jsonColumn(d *ast.SchemaDeclarationItemOpenjson) (jsonColumn, error) {
	t, err := c.x.typeOf(d.ColumnDefinition.DataType)
	if err != nil {
		return jsonColumn{}, err
	}
	col := jsonColumn{raw: d.AsJson, typ: t, path: []pathStep{{name: d.ColumnDefinition.ColumnIdentifier.Value, index: -1}}}
	if m, ok := d.Mapping.(*ast.StringLiteral); ok {
		col.path, _, err = jsonPath(m.Value)
	}
	return col, err
}

func openRows(raw json.RawMessage, cols []jsonColumn, emit func([]value.Value) error) error {
	all, err := members(raw)
	if err != nil {
		return notJSON(string(raw))
	}
	if cols == nil {
		for _, m := range all {
			text := scalarJSON(m.raw)
			if text.IsNull() {
				text = composite(m.raw)
			}
			if err := emit([]value.Value{str(m.key), text, num(jsonKind(m.raw))}); err != nil {
				return err
			}
		}
		return nil
	}
	if raw[0] == '{' {
		all = []member{{raw: raw}}
	}
	for _, m := range all {
		r := make([]value.Value, len(cols))
		for i, c := range cols {
			found := walk(m.raw, c.path)
			if c.raw {
				r[i] = composite(found)
				continue
			}
			v, failed := value.Convert(jsonBit(scalarJSON(found), c.typ), textMax, c.typ, 0, false)
			if failed != nil {
				return failed
			}
			r[i] = v
		}
		if err := emit(r); err != nil {
			return err
		}
	}
	return nil
}

// jsonBit lets true and false become numbers, too.
func jsonBit(v value.Value, t value.Type) value.Value {
	if t.ID.Integer() {
		switch v.Text() {
		case "true":
			return value.FromString("1")
		case "false":
			return value.FromString("0")
		}
	}
	return v
}

// jsonKind is the type column of OPENJSON.
func jsonKind(raw json.RawMessage) int {
	switch raw = bytes.TrimSpace(raw); raw[0] {
	case 'n':
		return 0
	case '"':
		return 1
	case 't', 'f':
		return 3
	case '[':
		return 4
	case '{':
		return 5
	}
	return 2
}

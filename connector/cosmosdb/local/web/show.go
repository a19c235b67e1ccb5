package web

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"millrace/connector/cosmosdb/local/value"
)

const (
	// maxIndent bounds what indenting a text may make of it: deep nesting
	// makes a hundred bytes of one.
	maxIndent = 8 << 20
	// maxColumns and maxCell bound a table; the results' JSON is whole.
	maxColumns, maxCell = 40, 200
)

// indented is JSON for people. Only white space differs: numbers keep the form
// that they have.
func indented(text []byte) string {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case inString && b == '\\':
			i++
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			depth++
			deepest = max(deepest, depth)
		case b == '}' || b == ']':
			depth--
		}
	}
	var b bytes.Buffer
	if len(text)*(deepest+1) > maxIndent || json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// table is results side by side: a column for every member of theirs.
type table struct {
	// Columns are the members' names; one that is "" is of results that are no
	// objects.
	Columns []string `json:"columns"`
	// Rows have a cell for each column.
	Rows [][]cell `json:"rows"`
	// More is how many columns were left out.
	More int `json:"moreColumns,omitempty"`
}

// cell is a value of a table.
type cell struct {
	// Kind is the kind of the value, "" if there is none.
	Kind string `json:"kind,omitempty"`
	// Text is its JSON, or the text of a string; it ends with "..." if Cut.
	Text string `json:"text,omitempty"`
	Cut  bool   `json:"cut,omitempty"`
}

// tableOf makes a table of results, columns in the order in which they appear,
// system properties last.
func tableOf(results [][]byte) table {
	t := table{Columns: []string{}, Rows: make([][]cell, len(results))}
	places := map[string]int{}
	var names, system []string
	for _, r := range results {
		v := value.Trusted(r)
		if v.Kind() != value.KindObject {
			names = column(names, places, "")
			continue
		}
		v.EachMember(func(name string, _ value.Value) bool {
			name = strings.Clone(name)
			switch name {
			case "_rid", "_self", "_etag", "_attachments", "_ts":
				system = column(system, places, name)
			default:
				names = column(names, places, name)
			}
			return true
		})
	}
	t.Columns = append(append(t.Columns, names...), system...)
	if len(t.Columns) > maxColumns {
		t.More = len(t.Columns) - maxColumns
		t.Columns = t.Columns[:maxColumns]
	}
	clear(places)
	for i, name := range t.Columns {
		places[name] = i
	}
	for i, r := range results {
		row := make([]cell, len(t.Columns))
		t.Rows[i] = row
		v := value.Trusted(r)
		if v.Kind() != value.KindObject {
			if at, ok := places[""]; ok {
				row[at] = cellOf(v)
			}
			continue
		}
		v.EachMember(func(name string, m value.Value) bool {
			if at, ok := places[name]; ok {
				row[at] = cellOf(m)
			}
			return true
		})
	}
	return t
}

func column(names []string, places map[string]int, name string) []string {
	if _, ok := places[name]; ok {
		return names
	}
	places[name] = len(names)
	return append(names, name)
}

func cellOf(v value.Value) cell {
	kinds := map[value.Kind]string{value.KindNull: "null", value.KindBool: "bool", value.KindNumber: "number",
		value.KindString: "string", value.KindArray: "array", value.KindObject: "object"}
	c := cell{Kind: kinds[v.Kind()]}
	text, ok := v.AsString()
	if !ok {
		text = v.String()
	}
	if utf8.RuneCountInString(text) > maxCell {
		n := 0
		for i := range text {
			if n == maxCell {
				text = text[:i] + "..."
				break
			}
			n++
		}
		c.Cut = true
	}
	c.Text = strings.Clone(text)
	return c
}

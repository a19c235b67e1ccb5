package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// node is a JSON value with its place, so that mistakes can be shown where
// they are.
type node struct {
	line    int
	value   any // nil, bool, string, json.Number, or members or items
	members []member
	items   []*node
	kind    string // "object", "array", "text", "number", "true or false", "null"
}

type member struct {
	name  string
	line  int
	value *node
}

// maxConfig bounds the size of a configuration file, maxDepth its nesting.
const (
	maxConfig = 8 << 20
	maxDepth  = 50
)

// parseTree reads one JSON value. The problem, if there is one, has its line.
func parseTree(data []byte) (*node, *Problem) {
	// Editors on Windows begin files with a byte order mark.
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	p := &treeParser{data: data, d: json.NewDecoder(bytes.NewReader(data))}
	p.d.UseNumber()
	root, err := p.value(0)
	if err == nil {
		if _, more := p.d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something after the end of the configuration")
		}
	}
	if err == nil {
		return root, nil
	}
	line := p.line(p.d.InputOffset())
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		line = p.line(syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the file ends in the middle")
		line = p.line(int64(len(data)))
	}
	return nil, &Problem{Line: line, Text: "this is not JSON: " + strings.TrimPrefix(err.Error(), "json: "),
		Hint: "look for a comma or a bracket that is missing or too much; comments are not allowed"}
}

type treeParser struct {
	data []byte
	d    *json.Decoder
}

// line is the line, from 1, of an offset.
func (p *treeParser) line(offset int64) int {
	return 1 + bytes.Count(p.data[:min(max(offset, 0), int64(len(p.data)))], []byte("\n"))
}

func (p *treeParser) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	t, err := p.d.Token()
	if err != nil {
		return nil, err
	}
	n := &node{line: p.line(p.d.InputOffset()), value: t}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			n.kind = "object"
			return n, p.object(n, depth)
		}
		n.kind = "array"
		for p.d.More() {
			item, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err = p.d.Token()
		return n, err
	case string:
		n.kind = "text"
	case json.Number:
		n.kind = "number"
	case bool:
		n.kind = "true or false"
	default:
		n.kind = "null"
	}
	return n, nil
}

func (p *treeParser) object(n *node, depth int) error {
	for p.d.More() {
		t, err := p.d.Token()
		if err != nil {
			return err
		}
		m := member{line: p.line(p.d.InputOffset())}
		m.name, _ = t.(string)
		if m.value, err = p.value(depth + 1); err != nil {
			return err
		}
		n.members = append(n.members, m)
	}
	_, err := p.d.Token()
	return err
}

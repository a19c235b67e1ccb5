package settings

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a document. The YAML parser recurses and keeps a path for every
// level, so nesting is checked on the tokens, before it sees them. Some texts
// (a long row of closing brackets) take it time that grows with the square of
// their length; at this size that is two seconds at worst.
const (
	maxBytes = 64 << 10
	maxDepth = 32
)

// Shape tells the forms of a Node apart.
type Shape int

// The shapes.
const (
	Null Shape = iota
	Scalar
	List
	Mapping
)

// Node is one value of a YAML document with its place. Anchors, aliases, tags
// and merge keys are refused, so that a document means what it says where it
// says it.
type Node struct {
	Shape Shape
	// Text is a scalar's text: as written for numbers and booleans, decoded
	// for strings.
	Text string
	// Quoted says that a scalar is a string whatever it looks like.
	Quoted bool
	// Loose says that the text comes from outside YAML (an environment
	// variable, a flag), where everything is text.
	Loose  bool
	Items  []*Node
	Keys   []Key
	Origin Origin
}

// Key is one member of a mapping.
type Key struct {
	Name   string
	Origin Origin
	Value  *Node
}

// Get returns the member called name, or nil.
func (n *Node) Get(name string) *Node {
	if n == nil {
		return nil
	}
	for _, k := range n.Keys {
		if k.Name == name {
			return k.Value
		}
	}
	return nil
}

// Parse reads one YAML document; file names it in problems. The error is a
// Problems. An empty document is an empty mapping.
func Parse(file string, src []byte) (n *Node, err error) {
	fail := func(line, column int, format string, args ...any) error {
		return Problems{{Origin: Origin{file, line, column}, Text: fmt.Sprintf(format, args...)}}
	}
	if len(src) > maxBytes {
		return nil, fail(1, 1, "the file is larger than %d KB", maxBytes>>10)
	}
	if !utf8.Valid(src) || strings.ContainsRune(string(src), 0) {
		return nil, fail(1, 1, "the file is not UTF-8 text")
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	defer func() {
		// The parser is somebody else's code fed with a person's typing: a
		// panic in it is a syntax error that it has no words for.
		if r := recover(); r != nil {
			n, err = nil, fail(1, 1, "this cannot be read as YAML (%v)", r)
		}
	}()
	tokens := lexer.Tokenize(text)
	if t := tooDeep(tokens); t != nil {
		return nil, fail(t.Position.Line, t.Position.Column, "nested more than %d levels deep", maxDepth)
	}
	f, err := parser.Parse(tokens, 0)
	if err != nil {
		line, column := 1, 1
		message := err.Error()
		var ye yaml.Error
		if errors.As(err, &ye) {
			message = ye.GetMessage()
			if t := ye.GetToken(); t != nil && t.Position != nil {
				line, column = t.Position.Line, t.Position.Column
			}
		}
		return nil, fail(line, column, "%s", message)
	}
	r := reader{file: file}
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		if _, comment := d.Body.(*ast.CommentGroupNode); comment {
			continue
		}
		if n != nil {
			return nil, fail(r.at(d.Body).Line, 1, "one file holds one document; there is a second one here")
		}
		n = r.node(d.Body, 0)
	}
	if n == nil {
		n = &Node{Shape: Mapping, Origin: Origin{file, 1, 1}}
	}
	if err := r.problems.Err(); err != nil {
		return nil, err
	}
	return n, nil
}

// tooDeep returns the first token nested deeper than maxDepth, or nil. It
// counts what may open a level, so it errs on the safe side.
func tooDeep(tokens token.Tokens) *token.Token {
	var indents []int
	flow, line, opens := 0, 0, 0
	for _, t := range tokens {
		if t.Position == nil {
			continue
		}
		if t.Position.Line != line && flow == 0 {
			line, opens = t.Position.Line, 0
			for len(indents) > 0 && indents[len(indents)-1] > t.Position.Column {
				indents = indents[:len(indents)-1]
			}
			if len(indents) == 0 || indents[len(indents)-1] < t.Position.Column {
				indents = append(indents, t.Position.Column)
			}
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(flow-1, 0)
		case token.CollectEntryType:
			opens = 0
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.AnchorType, token.TagType:
			opens++
		}
		if flow+opens+len(indents) > maxDepth {
			return t
		}
	}
	return nil
}

// reader turns the parser's tree into Nodes.
type reader struct {
	file     string
	problems Problems
}

func (r *reader) at(n ast.Node) Origin {
	o := Origin{r.file, 1, 1}
	t := n.GetToken()
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && m.Values[0].Key != nil && !m.IsFlowStyle {
		t = m.Values[0].Key.GetToken()
	}
	if v, ok := n.(*ast.MappingValueNode); ok && v.Key != nil {
		t = v.Key.GetToken()
	}
	if t != nil && t.Position != nil {
		o.Line, o.Column = t.Position.Line, t.Position.Column
	}
	return o
}

func (r *reader) node(n ast.Node, depth int) *Node {
	if n == nil {
		return &Node{Shape: Null, Origin: Origin{r.file, 1, 1}}
	}
	o := r.at(n)
	if depth > 2*maxDepth {
		r.problems.add(o, "nested too deep")
		return &Node{Shape: Null, Origin: o}
	}
	switch v := n.(type) {
	case *ast.NullNode:
		return &Node{Shape: Null, Origin: o}
	case *ast.StringNode:
		quoted := v.Token.Type == token.SingleQuoteType || v.Token.Type == token.DoubleQuoteType
		return &Node{Shape: Scalar, Text: v.Value, Quoted: quoted, Origin: o}
	case *ast.LiteralNode:
		return &Node{Shape: Scalar, Text: v.Value.Value, Quoted: true, Origin: o}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return &Node{Shape: Scalar, Text: n.GetToken().Value, Origin: o}
	case *ast.SequenceNode:
		out := &Node{Shape: List, Origin: o}
		for _, item := range v.Values {
			out.Items = append(out.Items, r.node(item, depth+1))
		}
		return out
	case *ast.MappingNode:
		out := &Node{Shape: Mapping, Origin: o}
		seen := make(map[string]bool, len(v.Values))
		for _, m := range v.Values {
			r.member(out, m, depth, seen)
		}
		return out
	case *ast.MappingValueNode:
		out := &Node{Shape: Mapping, Origin: o}
		r.member(out, v, depth, map[string]bool{})
		return out
	case *ast.AnchorNode, *ast.AliasNode:
		r.problems.add(o, "anchors (&) and aliases (*) are not supported; write the value out")
	case *ast.TagNode:
		r.problems.add(o, "tags (!) are not supported; write the plain value")
	default:
		r.problems.add(o, "this kind of YAML (%s) is not supported here", strings.ToLower(n.Type().String()))
	}
	return &Node{Shape: Null, Origin: o}
}

func (r *reader) member(out *Node, m *ast.MappingValueNode, depth int, seen map[string]bool) {
	o := r.at(m)
	if _, merge := m.Key.(*ast.MergeKeyNode); merge {
		r.problems.add(o, "merge keys (<<) are not supported; write the values out")
		return
	}
	var name string
	switch k := m.Key.(type) {
	case *ast.StringNode:
		name = k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		name = k.GetToken().Value
	default:
		r.problems.add(o, "a key must be a plain word")
		return
	}
	if seen[name] {
		r.problems.add(o, "`%s` is there twice", name)
		return
	}
	seen[name] = true
	out.Keys = append(out.Keys, Key{Name: name, Origin: o, Value: r.node(m.Value, depth+1)})
}

// Any returns n as maps, slices, strings, float64 and bool, as a JSON decoder
// would.
func (n *Node) Any() any {
	switch n.Shape {
	case Mapping:
		out := make(map[string]any, len(n.Keys))
		for _, k := range n.Keys {
			out[k.Name] = k.Value.Any()
		}
		return out
	case List:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Any()
		}
		return out
	case Scalar:
		if n.Quoted {
			return n.Text
		}
		if n.Text == "true" || n.Text == "false" {
			return n.Text == "true"
		}
		if f, err := strconv.ParseFloat(strings.ReplaceAll(n.Text, "_", ""), 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
		return n.Text
	}
	return nil
}

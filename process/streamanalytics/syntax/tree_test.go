package syntax

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// dump writes everything that a tree says, without places and parentheses
// around expressions and queries.
func dump(v any) string {
	var b strings.Builder
	dumpValue(&b, reflect.ValueOf(v))
	return b.String()
}

func dumpValue(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			b.WriteString("-")
			return
		}
		switch x := v.Interface().(type) {
		case *Paren:
			dumpValue(b, reflect.ValueOf(x.X))
			return
		case *ParenQuery:
			dumpValue(b, reflect.ValueOf(x.Query))
			return
		case *Unit:
			b.WriteString(x.Name)
			return
		}
		dumpValue(b, v.Elem())
	case reflect.Struct:
		b.WriteString("(" + v.Type().Name())
		for i := range v.NumField() {
			switch v.Field(i).Interface().(type) {
			case Span, Pos, []*Comment:
				continue
			}
			b.WriteString(" ")
			dumpValue(b, v.Field(i))
		}
		b.WriteString(")")
	case reflect.Slice:
		b.WriteString("[")
		for i := range v.Len() {
			dumpValue(b, v.Index(i))
			b.WriteString(" ")
		}
		b.WriteString("]")
	default:
		b.WriteString(reflectString(v))
	}
}

func reflectString(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return strconv.Quote(v.String())
	}
	return fmt.Sprint(v.Interface())
}

func commentTexts(s *Script) []string {
	var texts []string
	for _, c := range s.Comments {
		texts = append(texts, c.Text)
	}
	return texts
}

// checkRoundTrip sees to it that the printed script is read as the same tree
// with the same comments, and printed the same again.
func checkRoundTrip(t testing.TB, script *Script) {
	t.Helper()
	text := Print(script)
	again := mustParse(t, text)
	if got, want := dump(again), dump(script); got != want {
		t.Errorf("the tree has changed in\n%s\ngot\n%s\nwant\n%s", text, got, want)
	}
	if got, want := strings.Join(commentTexts(again), "\n"), strings.Join(commentTexts(script), "\n"); got != want {
		t.Errorf("the comments have changed in\n%s\ngot\n%s\nwant\n%s", text, got, want)
	}
	if second := Print(again); second != text {
		t.Errorf("printed first\n%s\nand then\n%s", text, second)
	}
}

// placeOf counts lines and columns up to offset.
func placeOf(text string, offset int) Pos {
	before := text[:offset]
	line := strings.LastIndexByte(before, '\n') + 1
	return Pos{Offset: offset, Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(before[line:]) + 1}
}

// checkPlaces sees to it that all nodes lie inside their parents, that lines
// and columns agree with offsets, and that a node's text is what it was read
// from.
func checkPlaces(t testing.TB, script *Script, text string) {
	t.Helper()
	var stack []Node
	var walk func(n Node)
	walk = func(n Node) {
		for _, p := range []Pos{n.Pos(), n.End()} {
			if want := placeOf(text, p.Offset); p != want {
				t.Errorf("%T has the place %+v, not %+v", n, p, want)
			}
		}
		// The unit of a window's short form is shared by its numbers.
		_, unit := n.(*Unit)
		if len(stack) > 0 && !unit {
			up := stack[len(stack)-1]
			if n.Pos().Offset < up.Pos().Offset || n.End().Offset > up.End().Offset {
				t.Errorf("%T at %d to %d lies outside of %T at %d to %d of\n%s", n, n.Pos().Offset, n.End().Offset, up, up.Pos().Offset, up.End().Offset, text)
			}
		}
		// On its own, System.Timestamp() is a call.
		if w, ok := n.(*Window); !ok || w.Kind != Snapshot {
			checkText(t, n, text[n.Pos().Offset:n.End().Offset])
		}
		stack = append(stack, n)
		for _, child := range children(n) {
			if child != nil && !reflect.ValueOf(child).IsNil() {
				walk(child)
			}
		}
		stack = stack[:len(stack)-1]
	}
	walk(script)
}

func checkText(t testing.TB, n Node, source string) {
	t.Helper()
	want := ""
	switch n := n.(type) {
	case *Number:
		want = n.Text
	case *Ident:
		if n.Quote == 0 {
			want = n.Name
		}
	case *Unit:
		want = n.Name
	case *Star:
		want = "*"
	}
	if !strings.HasSuffix(source, want) {
		t.Errorf("%T was read from %q", n, source)
	}
	if e, ok := n.(Expr); ok && len(source) < 200 {
		switch e.(type) {
		case *Star, *Unit:
			return
		}
		// What an expression was read from is an expression of its own.
		script, diagnostics := Parse("SELECT (" + source + "\n) FROM i")
		if len(diagnostics) > 0 {
			t.Errorf("the text of %T is no expression: %q: %v", n, source, diagnostics[0])
		} else if got := dump(script.Statements[0].(*QueryStatement).Query.(*Select).Items[0].Expr); got != dump(e) {
			t.Errorf("the text %q of %T is read as\n%s\nnot\n%s", source, n, got, dump(e))
		}
	}
}

// Inspect visits every node that the tree's structs hold.
func TestInspectVisitsAll(t *testing.T) {
	t.Parallel()
	for _, c := range readGolden(t, "testdata/queries.txt") {
		script := mustParse(t, c.input)
		held := map[Node]bool{}
		var collect func(v reflect.Value)
		collect = func(v reflect.Value) {
			switch v.Kind() {
			case reflect.Interface, reflect.Pointer:
				if v.IsNil() {
					return
				}
				if n, ok := v.Interface().(Node); ok && v.Kind() == reflect.Pointer {
					if _, comment := n.(*Comment); !comment {
						held[n] = true
					}
				}
				collect(v.Elem())
			case reflect.Struct:
				for i := range v.NumField() {
					collect(v.Field(i))
				}
			case reflect.Slice:
				for i := range v.Len() {
					collect(v.Index(i))
				}
			default:
			}
		}
		collect(reflect.ValueOf(script))
		Inspect(script, func(n Node) bool {
			delete(held, n)
			return true
		})
		for n := range held {
			t.Errorf("%s: %T at %s is not visited", c.name, n, n.Pos())
		}
		count := 0
		Inspect(script, func(Node) bool { count++; return false })
		if count != 1 {
			t.Errorf("%d nodes are visited although the first one's visit said no", count)
		}
	}
}

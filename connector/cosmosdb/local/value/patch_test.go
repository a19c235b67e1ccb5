package value

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// patch does one operation by its name in a PATCH request.
func patch(doc, op, path, arg string) (string, error) {
	v := Trusted([]byte(arg))
	var out []byte
	var err error
	switch op {
	case "add":
		out, err = Add([]byte(doc), path, v)
	case "set":
		out, err = Set([]byte(doc), path, v)
	case "replace":
		out, err = Replace([]byte(doc), path, v)
	case "remove":
		out, err = Remove([]byte(doc), path)
	case "incr":
		out, err = Increment([]byte(doc), path, v)
	case "move":
		out, err = Move([]byte(doc), arg, path)
	}
	return string(out), err
}

func TestPatchOperations(t *testing.T) {
	t.Parallel()
	const doc = ` { "a": 1.0, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{}, "f":[ ] } `
	for _, tt := range []struct{ doc, op, path, arg, want string }{
		{doc, "add", "/n", `"v"`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{}, "f":[ ],"n":"v" } `},
		{doc, "add", "/a", `{"x":[]}`, ` { "a": {"x":[]}, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "add", "/e/n", `null`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{"n":null}, "f":[ ] } `},
		{doc, "add", "/b/c/0", `0`, ` { "a": 1.0, "b" : {"c":[0,1, 2 ,3], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "add", "/b/c/2", `0`, ` { "a": 1.0, "b" : {"c":[1, 2 ,0,3], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "add", "/b/c/3", `0`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3,0], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "add", "/b/c/-", `0`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3,0], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "add", "/f/-", `0`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{}, "f":[0 ] } `},
		{doc, "add", "/f/0", `0`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{}, "f":[0 ] } `},
		{doc, "set", "/b/c/1", `0`, ` { "a": 1.0, "b" : {"c":[1, 0 ,3], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "set", "/b/c/3", `0`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3,0], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "set", "/b/d", `"y"`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3], "d":"y"} , "e":{}, "f":[ ] } `},
		{doc, "set", "/n", `1`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{}, "f":[ ],"n":1 } `},
		{doc, "replace", "/b/c", `0`, ` { "a": 1.0, "b" : {"c":0, "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "replace", "/b/c/2", `0`, ` { "a": 1.0, "b" : {"c":[1, 2 ,0], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "remove", "/a", ``, ` { "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "remove", "/f", ``, ` { "a": 1.0, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{} } `},
		{doc, "remove", "/b/c/0", ``, ` { "a": 1.0, "b" : {"c":[2 ,3], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "remove", "/b/c/1", ``, ` { "a": 1.0, "b" : {"c":[1, 3], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "remove", "/b/c/2", ``, ` { "a": 1.0, "b" : {"c":[1, 2], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "incr", "/a", `2`, ` { "a": 3, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "incr", "/b/c/1", `-2.5`, ` { "a": 1.0, "b" : {"c":[1, -0.5 ,3], "d":"x"} , "e":{}, "f":[ ] } `},
		{doc, "incr", "/n", `5`, ` { "a": 1.0, "b" : {"c":[1, 2 ,3], "d":"x"} , "e":{}, "f":[ ],"n":5 } `},
		{doc, "move", "/e/z", `/b/c`, ` { "a": 1.0, "b" : {"d":"x"} , "e":{"z":[1, 2 ,3]}, "f":[ ] } `},
		{doc, "move", "/a", `/b/d`, ` { "a": "x", "b" : {"c":[1, 2 ,3]} , "e":{}, "f":[ ] } `},
		{doc, "move", "/b/c/0", `/b/c/2`, ` { "a": 1.0, "b" : {"c":[3,1, 2], "d":"x"} , "e":{}, "f":[ ] } `},
		{`{}`, "add", "/a", `1`, `{"a":1}`},
		{`{"a":1}`, "remove", "/a", ``, `{}`},
		{`{"a":1,"b":2,"a":3}`, "set", "/a", `4`, `{"a":1,"b":2,"a":4}`},
		{`{"a":1,"b":2,"a":3,"c":4}`, "remove", "/a", ``, `{"b":2,"c":4}`},
		{`{"a":1,"\u0061":3}`, "remove", "/a", ``, `{}`},
		{`{"a/b":1,"~1":2}`, "set", "/a~1b", `3`, `{"a/b":3,"~1":2}`},
		{`{"a/b":1,"~1":2}`, "set", "/~01", `3`, `{"a/b":1,"~1":3}`},
		{`{"":{"":1}}`, "set", "//", `3`, `{"":{"":3}}`},
		{`{"0":1}`, "set", "/0", `3`, `{"0":3}`},
		{`{"-":1}`, "remove", "/-", ``, `{}`},
		{`{"n":9007199254740993}`, "incr", "/n", `1`, `{"n":9007199254740994}`},
		{`{"n":9223372036854775807}`, "incr", "/n", `1`, `{"n":9223372036854776000}`},
		{`{"n":-9223372036854775808}`, "incr", "/n", `-1`, `{"n":-9223372036854776000}`},
		{`{"n":0.1}`, "incr", "/n", `0.2`, `{"n":0.30000000000000004}`},
		{`{"n":7}`, "incr", "/n", `0`, `{"n":7}`},
		{`{"a":{"b":1}}`, "move", "/a", `/a/b`, `{"a":1}`},
		{`{"a":1,"b":2}`, "move", "/a", `/a`, `{"b":2,"a":1}`},
		{`[1,{"a":2}]`, "set", "/1/a", `3`, `[1,{"a":3}]`},
	} {
		before := tt.doc
		got, err := patch(tt.doc, tt.op, tt.path, tt.arg)
		if err != nil || got != tt.want {
			t.Errorf("%s %s %s:\n got %s %v\nwant %s", tt.op, tt.path, tt.arg, got, err, tt.want)
		}
		if tt.doc != before {
			t.Errorf("%s %s: the document itself changed", tt.op, tt.path)
		}
	}
}

func TestPatchErrors(t *testing.T) {
	t.Parallel()
	const doc = `{"a":1,"b":{"c":[1,2,3]},"s":"x"}`
	recursively := func(op, step string) string {
		return op + " Operation can only create a child object of an existing node(array or object) and cannot create path recursively, no path found beyond: '" + step + "'."
	}
	for _, tt := range []struct{ op, path, arg, want string }{
		{"replace", "/n", `1`, "Node(/n) to be replaced is absent."},
		{"remove", "/n", ``, "Node(/n) to be removed is absent. Note: it may also have been removed earlier in the transaction."},
		{"remove", "/b/c/3", ``, "Index(3) to operate on is out of array bounds"},
		{"remove", "/b/c/-", ``, "Index(3) to operate on is out of array bounds"},
		{"replace", "/b/c/3", `1`, "Index(3) to operate on is out of array bounds"},
		{"add", "/b/c/4", `1`, "Index(4) to operate on is out of array bounds"},
		{"set", "/b/c/4", `1`, "Index(4) to operate on is out of array bounds"},
		{"incr", "/b/c/3", `1`, "Index(3) to operate on is out of array bounds"},
		{"add", "/b/c/x", `1`, "Index(x) to operate on is out of array bounds"},
		{"add", "/b/c/01", `1`, "Index(01) to operate on is out of array bounds"},
		{"add", "/b/c/-1", `1`, "Index(-1) to operate on is out of array bounds"},
		{"add", "/b/c/99999999999999999999", `1`, "Index(99999999999999999999) to operate on is out of array bounds"},
		{"incr", "/s", `1`, "Node(/s) is not a number."},
		{"incr", "/b", `1`, "Node(/b) is not a number."},
		{"incr", "/a", `"1"`, "The value of an increment is not a number."},
		{"add", "/n/m", `1`, recursively("Add", "n")},
		{"set", "/n/m/o", `1`, recursively("Given", "n")},
		{"add", "/a/m", `1`, recursively("Add", "m")},
		{"remove", "/s/m", ``, recursively("Given", "m")},
		{"add", "/b/c/9/x", `1`, recursively("Add", "9")},
		{"move", "/n", `/m`, "Node(/m) to be moved is absent."},
		{"move", "/n/o", `/a`, recursively("Add", "n")},
		{"move", "/b/c", `/b`, "Path(/b/c) cannot be a child of the path to be moved(/b)."},
		{"add", "n", `1`, "Invalid patch request: a path begins with / and leads to something inside the document."},
		{"add", "", `1`, "Invalid patch request: a path begins with / and leads to something inside the document."},
		{"add", "/a~2", `1`, "Invalid patch request: a ~ in a path is written ~0, a / in a name ~1."},
		{"add", "/a~", `1`, "Invalid patch request: a ~ in a path is written ~0, a / in a name ~1."},
		{"add", "/n", ``, "Invalid patch request: the operation has no value."},
		{"add", strings.Repeat("/a", MaxDepth+1), `1`, "Invalid patch request: the path is too deep."},
		{"add", "/n", strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), "Invalid patch request: the document would be nested too deep."},
	} {
		got, err := patch(doc, tt.op, tt.path, tt.arg)
		var p *PatchError
		if !errors.As(err, &p) || err.Error() != tt.want || p.Path == "" && tt.path != "" {
			t.Errorf("%s %.40s %.40s: %s, %v\nwant %s", tt.op, tt.path, tt.arg, got, err, tt.want)
		}
	}
	if _, err := patch(`{"n":1e308}`, "incr", "/n", "1e308"); err == nil {
		t.Error("a number beyond a double's range was made")
	}
}

// model does an operation on a decoded document, ok telling whether it can.
func model(doc any, op, path string, v any) (out any, ok bool) {
	if op == "remove" {
		v = nil
	}
	steps := strings.Split(path, "/")[1:]
	for i := range steps {
		steps[i] = strings.ReplaceAll(strings.ReplaceAll(steps[i], "~1", "/"), "~0", "~")
	}
	return modelSteps(doc, op, steps, v)
}

func modelSteps(at any, op string, steps []string, v any) (any, bool) {
	step, rest := steps[0], steps[1:]
	switch at := at.(type) {
	case map[string]any:
		old, there := at[step]
		if len(rest) > 0 {
			if !there {
				return nil, false
			}
			changed, ok := modelSteps(old, op, rest, v)
			at[step] = changed
			return at, ok
		}
		if !there && (op == "remove" || op == "replace") {
			return nil, false
		}
		if at[step] = v; op == "remove" {
			delete(at, step)
		}
		return at, true
	case []any:
		i := len(at)
		if step != "-" {
			if n, err := fmt.Sscanf(step, "%d", &i); n != 1 || err != nil || fmt.Sprint(i) != step || i < 0 {
				return nil, false
			}
		}
		if len(rest) > 0 {
			if i >= len(at) {
				return nil, false
			}
			changed, ok := modelSteps(at[i], op, rest, v)
			at[i] = changed
			return at, ok
		}
		switch {
		case i > len(at) || i == len(at) && (op == "remove" || op == "replace"):
			return nil, false
		case op == "remove":
			return slices.Delete(at, i, i+1), true
		case op == "add" || i == len(at):
			return slices.Insert(at, i, v), true
		}
		at[i] = v
		return at, true
	}
	return nil, false
}

// An edited text is what editing the decoded document gives.
func TestRandomPatchesAgainstADecodedDocument(t *testing.T) {
	t.Parallel()
	r := newRandom(3)
	done := 0
	for range 6000 {
		doc, v := r.any(4), r.any(2)
		s, arg := r.json(doc), strings.TrimSpace(r.json(v))
		op := [...]string{"add", "set", "replace", "remove"}[r.IntN(4)]
		path := r.pointer(doc)
		got, err := patch(s, op, path, arg)
		want, ok := model(doc, op, path, plain(Trusted([]byte(arg))))
		if ok != (err == nil) {
			t.Fatalf("%s %s %s in %s: %v, %s", op, path, arg, s, err, got)
		}
		if err != nil {
			continue
		}
		done++
		result, err := Parse([]byte(got))
		if err != nil || !reflect.DeepEqual(plain(result), want) {
			t.Fatalf("%s %s %s in %s:\n got %s %v\nwant %v", op, path, arg, s, got, err, want)
		}
	}
	if done < 600 {
		t.Errorf("only %d operations could be done", done)
	}
}

// pointer leads to something in doc, or nearly.
func (r random) pointer(doc any) string {
	path := ""
	for {
		step := r.text()
		var next any
		switch at := doc.(type) {
		case map[string]any:
			for name, v := range at {
				if r.IntN(3) > 0 {
					step, next = name, v
					break
				}
			}
		case []any:
			i := r.IntN(len(at) + 2)
			if step = fmt.Sprint(i); i < len(at) {
				next = at[i]
			} else if r.IntN(2) == 0 {
				step = "-"
			}
		}
		path += "/" + strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1")
		if next == nil || r.IntN(3) == 0 {
			return path
		}
		doc = next
	}
}

func FuzzPatch(f *testing.F) {
	for i, s := range seeds {
		f.Add([]byte(s), uint8(i), "/a/b/1", []byte(`{"x":[1]}`))
		f.Add([]byte(s), uint8(i), "/d", []byte(`1`))
		f.Add([]byte(s), uint8(i), "/a", []byte(`/d`))
	}
	f.Fuzz(func(t *testing.T, doc []byte, op uint8, path string, arg []byte) {
		if len(doc) > 4<<10 || len(arg) > 4<<10 {
			return
		}
		ops := [...]string{"add", "set", "replace", "remove", "incr", "move"}
		name := ops[int(op)%len(ops)]
		_, err := Parse(doc)
		valid := err == nil
		if name != "move" && name != "remove" {
			if _, err := Parse(arg); err != nil {
				valid = false
			}
		}
		before := string(doc)
		got, err := patch(before, name, path, string(arg))
		if !valid || err != nil {
			return
		}
		if strings.ToValidUTF8(path, "") != path || strings.ToValidUTF8(string(arg), "") != string(arg) {
			return // a name that is no text is written as one
		}
		v, err := Parse([]byte(got))
		if err != nil {
			t.Fatalf("%s %q %q in %q made %q: %v", name, path, arg, doc, got, err)
		}
		if name == "set" && !strings.HasSuffix(path, "-") {
			at := v
			for _, step := range strings.Split(path, "/")[1:] {
				step = unescapeStep.Replace(step)
				if i, ok := arrayIndex(step, 0); ok && at.Kind() == KindArray {
					at = at.Index(i)
				} else {
					at = at.Get(step)
				}
			}
			if !Same(at, Trusted(arg)) {
				t.Fatalf("set %q to %q in %q made %q", path, arg, doc, got)
			}
		}
	})
}

package value

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The functions in this file are the operations of PATCH. Each takes a valid
// document, which it does not change, and gives a new one in which everything
// but the place that is meant is the same, byte for byte. Their errors are
// *PatchError.
//
// A path is a JSON pointer: "/a/b", with ~1 for / and ~0 for ~ in a name; in an
// array a step is an index, or "-" for behind its last element. Of members with
// one name the last is meant.

// PatchError says why a document cannot be changed so, as the service puts it
// (there, behind "For Operation(n): ").
type PatchError struct {
	Path    string
	Message string
}

func (e *PatchError) Error() string { return e.Message }

// Add puts v at path: a new member, or in place of the member that is there; in
// an array before the element with this index, which may be the array's length.
// What the last step is in must exist.
func Add(doc []byte, path string, v Value) ([]byte, error) {
	return change(doc, path, "Add", v, func(p place) (edit, error) {
		if p.array {
			return p.insert(v)
		}
		return p.set(v)
	})
}

// Set puts v at path as Add does, but takes the place of an element of an array
// that is there.
func Set(doc []byte, path string, v Value) ([]byte, error) {
	return change(doc, path, "Given", v, func(p place) (edit, error) {
		if p.array && !p.found {
			return p.insert(v)
		}
		return p.set(v)
	})
}

// Replace puts v in place of what is at path, which must exist.
func Replace(doc []byte, path string, v Value) ([]byte, error) {
	return change(doc, path, "Given", v, func(p place) (edit, error) {
		if !p.found {
			return edit{}, p.absent("replaced is absent.")
		}
		return p.set(v)
	})
}

// Remove takes what is at path out; it must exist.
func Remove(doc []byte, path string) ([]byte, error) {
	s := text(doc)
	steps, err := pathSteps(path)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		p, err := find(s, steps, path, "Given")
		if err != nil {
			return nil, err
		}
		if !p.found {
			if !first {
				return []byte(s), nil
			}
			return nil, p.absent("removed is absent. Note: it may also have been removed earlier in the transaction.")
		}
		s = string(p.remove().apply(s))
		if p.array {
			return []byte(s), nil
		}
		// Once more, in case that the name is there several times.
	}
}

// Increment adds a number to the one at path, or puts it there if there is no
// such member. Whole numbers stay whole numbers as far as 64 bits reach.
func Increment(doc []byte, path string, by Value) ([]byte, error) {
	if by.kind != KindNumber {
		return nil, &PatchError{path, "The value of an increment is not a number."}
	}
	return change(doc, path, "Given", by, func(p place) (edit, error) {
		if !p.found {
			if p.array {
				return edit{}, p.outOfBounds()
			}
			return p.set(by)
		}
		old, _ := readValue(p.s, p.start)
		if old.kind != KindNumber {
			return edit{}, &PatchError{path, fmt.Sprintf("Node(%s) is not a number.", path)}
		}
		sum := sumOf(old, by)
		if f := sum.number(); math.IsInf(f, 0) || math.IsNaN(f) {
			return edit{}, &PatchError{path, fmt.Sprintf("Node(%s) would leave the range of numbers.", path)}
		}
		return p.set(sum)
	})
}

// Move takes what is at from out and puts it at path as Add does. What is at
// from must exist, and path must not lead through it.
func Move(doc []byte, from, path string) ([]byte, error) {
	if strings.HasPrefix(path, from+"/") {
		return nil, &PatchError{path, fmt.Sprintf("Path(%s) cannot be a child of the path to be moved(%s).", path, from)}
	}
	s := text(doc)
	steps, err := pathSteps(from)
	if err != nil {
		return nil, err
	}
	p, err := find(s, steps, from, "Given")
	if err != nil {
		return nil, err
	}
	if !p.found {
		return nil, p.absent("moved is absent.")
	}
	v, _ := readValue(s, p.start)
	removed, err := Remove(doc, from)
	if err != nil {
		return nil, err
	}
	return Add(removed, path, v)
}

// sumOf adds two numbers: as 64-bit integers if both are, otherwise as doubles.
func sumOf(a, b Value) Value {
	x, errX := strconv.ParseInt(string(a.AppendJSON(nil)), 10, 64)
	y, errY := strconv.ParseInt(string(b.AppendJSON(nil)), 10, 64)
	if sum := x + y; errX == nil && errY == nil && (sum > x) == (y > 0) {
		return Value{kind: KindNumber, form: formRaw, text: strconv.FormatInt(sum, 10)}
	}
	return Number(a.number() + b.number())
}

// pathSteps cuts a JSON pointer into its steps.
func pathSteps(path string) ([]string, error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, &PatchError{path, "Invalid patch request: a path begins with / and leads to something inside the document."}
	}
	steps := strings.Split(rest, "/")
	if len(steps) > MaxDepth {
		return nil, &PatchError{path, "Invalid patch request: the path is too deep."}
	}
	for i, s := range steps {
		for j := 0; j < len(s); j++ {
			if s[j] == '~' && (j+1 == len(s) || s[j+1] != '0' && s[j+1] != '1') {
				return nil, &PatchError{path, "Invalid patch request: a ~ in a path is written ~0, a / in a name ~1."}
			}
		}
		steps[i] = unescapeStep.Replace(s)
	}
	return steps, nil
}

var unescapeStep = strings.NewReplacer("~1", "/", "~0", "~")

// arrayIndex reads a step in an array of n elements, "-" being behind the last.
func arrayIndex(step string, n int) (i int, ok bool) {
	if step == "-" {
		return n, true
	}
	if step == "" || len(step) > 9 || len(step) > 1 && step[0] == '0' {
		return 0, false
	}
	for _, c := range []byte(step) {
		if c < '0' || c > '9' {
			return 0, false
		}
		i = i*10 + int(c-'0')
	}
	return i, true
}

// change does one operation that puts v, or what build makes of it, at path. The
// operation is how the service calls it where a path leads nowhere.
func change(doc []byte, path, operation string, v Value, build func(p place) (edit, error)) ([]byte, error) {
	if v.kind == KindUndefined {
		return nil, &PatchError{path, "Invalid patch request: the operation has no value."}
	}
	steps, err := pathSteps(path)
	if err != nil {
		return nil, err
	}
	if len(steps)+depth(v) > MaxDepth {
		return nil, &PatchError{path, "Invalid patch request: the document would be nested too deep."}
	}
	p, err := find(text(doc), steps, path, operation)
	if err != nil {
		return nil, err
	}
	e, err := build(p)
	if err != nil {
		return nil, err
	}
	return e.apply(p.s), nil
}

// depth is how deep arrays and objects are nested in v.
func depth(v Value) int {
	if v.kind < KindArray {
		return 0
	}
	s, now, most := v.text, 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i, _ = stringEnd(s, i+1)
		case '{', '[':
			now++
			most = max(most, now)
		case '}', ']':
			now--
		}
	}
	return most
}

// place is where the last step of a path leads, in an object or array that
// exists.
type place struct {
	s     string // the document
	path  string
	step  string
	array bool
	open  int // of the array or object: its bracket
	found bool
	// Of what was found: the member's name (or the element), the value's
	// beginning and its end.
	from, start, end int
	// next is the beginning of what follows what was found, before the end
	// of what precedes it; -1 if there is none. Of a place that was not
	// found before is the end of the last one.
	next, before int
	index, n     int // in an array
}

// find follows the steps of a path.
func find(s string, steps []string, path, operation string) (place, error) {
	p := place{s: s, path: path, open: skipSpace(s, 0)}
	for i, step := range steps {
		if i > 0 {
			if !p.found {
				return p, missing(steps, i-1, operation)
			}
			p.open = p.start
		}
		p.step, p.found, p.next, p.before = step, false, -1, -1
		if p.open >= len(s) {
			return p, missing(steps, i, operation)
		}
		switch s[p.open] {
		case '{':
			p.array = false
			p.member()
		case '[':
			p.array = true
			if err := p.element(); err != nil {
				return p, err
			}
		default:
			return p, missing(steps, i, operation)
		}
	}
	return p, nil
}

func missing(steps []string, i int, operation string) error {
	path := "/" + strings.Join(steps[:i+1], "/")
	return &PatchError{path, fmt.Sprintf("%s Operation can only create a child object of an existing node(array or object) "+
		"and cannot create path recursively, no path found beyond: '%s'.", operation, steps[i])}
}

func (p *place) member() {
	s, last := p.s, -1
	for i := p.open + 1; ; {
		from := i
		for from < len(s) && s[from] != '"' && s[from] != '}' {
			from++
		}
		name, escaped, at, ok := memberAt(s, i)
		if !ok {
			break
		}
		if p.found && p.next < 0 {
			p.next = from
		}
		if escaped {
			name = unescape(name)
		}
		i = skipValue(s, at)
		if name == p.step {
			p.found, p.from, p.start, p.end, p.before, p.next = true, from, at, i, last, -1
		}
		last = i
	}
	if !p.found {
		p.before = last
	}
}

func (p *place) element() error {
	s, last := p.s, -1
	p.n = 0
	for i := p.open + 1; ; p.n++ {
		at, ok := elementAt(s, i)
		if !ok {
			break
		}
		if p.found && p.next < 0 {
			p.next = at
		}
		i = skipValue(s, at)
		if index, ok := arrayIndex(p.step, -1); ok && index == p.n {
			p.found, p.from, p.start, p.end, p.before = true, at, at, i, last
		}
		last = i
	}
	index, ok := arrayIndex(p.step, p.n)
	if !ok {
		return &PatchError{p.path, fmt.Sprintf("Index(%s) to operate on is out of array bounds", p.step)}
	}
	if p.index = index; !p.found {
		p.before = last
	}
	return nil
}

func (p *place) outOfBounds() error {
	return &PatchError{p.path, fmt.Sprintf("Index(%d) to operate on is out of array bounds", p.index)}
}

// absent is the error of an operation that needs something to be there.
func (p *place) absent(to string) error {
	if p.array {
		return p.outOfBounds()
	}
	return &PatchError{p.path, fmt.Sprintf("Node(%s) to be %s", p.path, to)}
}

// set puts v in place of what was found, or makes a member of it.
func (p *place) set(v Value) (edit, error) {
	if p.found {
		return edit{p.start, p.end, v.AppendJSON(nil)}, nil
	}
	return p.behind(v), nil
}

// insert puts v before an element, or behind the last one.
func (p *place) insert(v Value) (edit, error) {
	if p.found {
		return edit{p.start, p.start, append(v.AppendJSON(nil), ',')}, nil
	}
	if p.index > p.n {
		return edit{}, p.outOfBounds()
	}
	return p.behind(v), nil
}

// behind puts v behind the last element or member.
func (p *place) behind(v Value) edit {
	var b []byte
	at := p.open + 1
	if p.before >= 0 {
		at = p.before
		b = append(b, ',')
	}
	if !p.array {
		b = append(AppendString(b, p.step), ':')
	}
	return edit{at, at, v.AppendJSON(b)}
}

// remove takes what was found out, with one comma.
func (p *place) remove() edit {
	switch {
	case p.next >= 0:
		return edit{p.from, p.next, nil}
	case p.before >= 0:
		return edit{p.before, p.end, nil}
	}
	return edit{p.from, p.end, nil}
}

// edit puts text in place of what is between two bytes of a document.
type edit struct {
	from, to int
	text     []byte
}

func (e edit) apply(s string) []byte {
	b := make([]byte, 0, len(s)+len(e.text))
	b = append(b, s[:e.from]...)
	b = append(b, e.text...)
	return append(b, s[e.to:]...)
}

package offline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Tolerance is the relative difference up to which numbers are equal.
const Tolerance = 1e-9

// Difference is how the rows of an output differ from those expected.
type Difference struct {
	Output string `json:"output"`
	// Expected and Got are the numbers of rows.
	Expected int `json:"expected"`
	Got      int `json:"got"`
	// Missing and Unexpected are the rows that have no counterpart.
	Missing    []string `json:"missing,omitempty"`
	Unexpected []string `json:"unexpected,omitempty"`
}

// rowShown is how many rows of each kind a text shows.
const rowsShown = 10

// String says what differs, one line per row: - is missing, + is too much.
func (d *Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "output %s: %s expected, %d came\n", d.Output, several(int64(d.Expected), "row"), d.Got)
	for _, list := range []struct {
		mark string
		rows []string
	}{{"-", d.Missing}, {"+", d.Unexpected}} {
		for i, row := range list.rows {
			if i == rowsShown {
				fmt.Fprintf(&b, "  %s ... and %d more\n", list.mark, len(list.rows)-i)
				break
			}
			fmt.Fprintf(&b, "  %s %s\n", list.mark, row)
		}
	}
	return b.String()
}

// Compare compares rows as multisets: their order does not matter, nor that of
// members; NULL is the same as a missing member; numbers may differ by
// [Tolerance]. It returns nil if they are the same. An error is about an
// expected row that is no JSON.
func Compare(output string, expected, got [][]byte) (*Difference, error) {
	want, err := parseRows(expected)
	if err != nil {
		return nil, fmt.Errorf("the expected rows of output %s: %w", output, err)
	}
	have, err := parseRows(got)
	if err != nil {
		return nil, fmt.Errorf("the rows of output %s: %w", output, err)
	}
	// Most rows have a counterpart that is exactly equal; what remains is
	// matched one by one.
	exact := map[string][]int{}
	for i, r := range have {
		exact[r.key] = append(exact[r.key], i)
	}
	used := make([]bool, len(have))
	var left []row
	for _, r := range want {
		if list := exact[r.key]; len(list) > 0 {
			used[list[0]] = true
			exact[r.key] = list[1:]
			continue
		}
		left = append(left, r)
	}
	d := &Difference{Output: output, Expected: len(want), Got: len(have)}
	for _, r := range left {
		at := slices.IndexFunc(have, func(h row) bool { return !used[h.index] && near(r.tree, h.tree) })
		if at < 0 {
			d.Missing = append(d.Missing, r.text)
			continue
		}
		used[at] = true
	}
	for i, r := range have {
		if !used[i] {
			d.Unexpected = append(d.Unexpected, r.text)
		}
	}
	if d.Missing == nil && d.Unexpected == nil {
		return nil, nil
	}
	slices.Sort(d.Missing)
	slices.Sort(d.Unexpected)
	return d, nil
}

// row is a row as a tree without NULLs, and as a text that is equal for equal
// trees.
type row struct {
	index     int
	tree      any
	key, text string
}

func parseRows(rows [][]byte) ([]row, error) {
	out := make([]row, len(rows))
	for i, text := range rows {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("row %d, %s: %w", i+1, text, err)
		}
		tree := simplify(v)
		key, err := json.Marshal(tree)
		if err != nil {
			return nil, fmt.Errorf("row %d, %s: %w", i+1, text, err)
		}
		out[i] = row{i, tree, string(key), string(text)}
	}
	return out, nil
}

// simplify leaves out members that are null and writes numbers in one way.
func simplify(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, m := range v {
			if m == nil {
				delete(v, name)
			} else {
				v[name] = simplify(m)
			}
		}
	case []any:
		for i, e := range v {
			v[i] = simplify(e)
		}
	case json.Number:
		if _, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return v
		}
		if f, err := v.Float64(); err == nil {
			if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
				return json.Number(strconv.FormatInt(int64(f), 10))
			}
			return f
		}
	}
	return v
}

// near compares trees with tolerance.
func near(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, m := range a {
			if o, ok := b[name]; !ok || !near(m, o) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !near(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	if whole(a) && whole(b) {
		return a == b
	}
	x, okX := number(a)
	y, okY := number(b)
	if okX && okY {
		return x == y || math.Abs(x-y) <= Tolerance*max(math.Abs(x), math.Abs(y))
	}
	return okX == okY && a == b
}

// whole tells whether v is a whole number: those are compared exactly.
func whole(v any) bool {
	n, ok := v.(json.Number)
	return ok && !strings.ContainsAny(string(n), ".eE")
}

// number is the float of a number.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestIndented(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a":1.0,"b":[1e400,"x]"]}`: "{\n  \"a\": 1.0,\n  \"b\": [\n    1e400,\n    \"x]\"\n  ]\n}",
		`7`:                          "7",
		`not json`:                   "not json",
	} {
		if got := indented([]byte(in)); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	// Deep nesting would grow beyond all bounds.
	deep := strings.Repeat("[", 100) + strings.Repeat("1,", 500_000) + "1" + strings.Repeat("]", 100)
	if got := indented([]byte(deep)); got != deep {
		t.Errorf("%d bytes of %d", len(got), len(deep))
	}
}

func FuzzIndented(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"\"]"}]}`, `[[[]]]`, `"`, `\`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out := indented(in)
		var a, b bytes.Buffer
		if json.Compact(&a, in) == nil && (json.Compact(&b, []byte(out)) != nil || a.String() != b.String()) {
			t.Errorf("%q became %q", in, out)
		}
	})
}

func TestTable(t *testing.T) {
	t.Parallel()
	rows := [][]byte{[]byte(`{"_ts":5,"b":"x","a":1.50}`), []byte(`7`), []byte(`{"c":null,"a":{"d":[true]},"_etag":"e"}`), []byte(`"text"`), []byte(`{}`)}
	got := tableOf(rows)
	if !slices.Equal(got.Columns, []string{"b", "a", "", "c", "_ts", "_etag"}) || got.More != 0 {
		t.Errorf("%q", got.Columns)
	}
	var text []string
	for _, r := range got.Rows {
		line := ""
		for _, c := range r {
			line += c.Kind + ":" + c.Text + "|"
		}
		text = append(text, line)
	}
	if want := []string{"string:x|number:1.50|:|:|number:5|:|", ":|:|number:7|:|:|:|", `:|object:{"d":[true]}|:|null:null|:|string:e|`,
		":|:|string:text|:|:|:|", ":|:|:|:|:|:|"}; !slices.Equal(text, want) {
		t.Errorf("%q", text)
	}
	wide := []byte(`{"x":0`)
	for i := range 100 {
		wide = fmt.Appendf(wide, `,"m%d":"%s"`, i, strings.Repeat("é", 300))
	}
	got = tableOf([][]byte{append(wide, '}')})
	if len(got.Columns) != maxColumns || got.More != 101-maxColumns || len(got.Rows[0]) != maxColumns {
		t.Errorf("%d columns, %d more", len(got.Columns), got.More)
	}
	if c := got.Rows[0][1]; !c.Cut || c.Text != strings.Repeat("é", maxCell)+"..." {
		t.Errorf("%+v", c)
	}
	if got = tableOf(nil); len(got.Columns) != 0 || len(got.Rows) != 0 {
		t.Errorf("%+v", got)
	}
}

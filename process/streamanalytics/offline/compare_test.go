package offline

import (
	"strings"
	"testing"
)

func lines(text string) [][]byte {
	var out [][]byte
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, []byte(l))
		}
	}
	return out
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		want, got string
		diff      string
	}{
		"equal":                 {`{"a":1,"b":"x"}`, `{"b":"x","a":1}`, ""},
		"order":                 {"{\"a\":1}\n{\"a\":2}", "{\"a\":2}\n{\"a\":1}", ""},
		"duplicates count":      {"{\"a\":1}\n{\"a\":1}", "{\"a\":1}", "output o: 2 rows expected, 1 came\n  - {\"a\":1}\n"},
		"too much":              {"", "{\"a\":1}", "output o: 0 rows expected, 1 came\n  + {\"a\":1}\n"},
		"NULL":                  {`{"a":1,"r":{"x":null}}`, `{"a":1,"b":null,"r":{}}`, ""},
		"NULL in an array":      {`{"a":[null]}`, `{"a":[]}`, "output o: 1 row expected, 1 came\n  - {\"a\":[null]}\n  + {\"a\":[]}\n"},
		"float":                 {`{"a":0.3}`, `{"a":0.30000000000000004}`, ""},
		"float too far":         {`{"a":0.3}`, `{"a":0.30000001}`, "output o: 1 row expected, 1 came\n  - {\"a\":0.3}\n  + {\"a\":0.30000001}\n"},
		"whole and float":       {`{"a":5}`, `{"a":5.0}`, ""},
		"big whole numbers":     {`{"a":9007199254740993}`, `{"a":9007199254740992}`, "output o: 1 row expected, 1 came\n  - {\"a\":9007199254740993}\n  + {\"a\":9007199254740992}\n"},
		"number and text":       {`{"a":5}`, `{"a":"5"}`, "output o: 1 row expected, 1 came\n  - {\"a\":5}\n  + {\"a\":\"5\"}\n"},
		"names differ by case":  {`{"A":5}`, `{"a":5}`, "output o: 1 row expected, 1 came\n  - {\"A\":5}\n  + {\"a\":5}\n"},
		"near ones are matched": {"{\"a\":1.0000000000001,\"b\":[1,{\"c\":2.0}]}\n{\"a\":2}", "{\"a\":2}\n{\"a\":1,\"b\":[1.0000000000002,{\"c\":2}]}", ""},
	} {
		d, err := Compare("o", lines(tt.want), lines(tt.got))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		if d != nil {
			got = d.String()
		}
		if got != tt.diff {
			t.Errorf("%s:\n got %q\nwant %q", name, got, tt.diff)
		}
	}
	if _, err := Compare("o", lines("{"), nil); err == nil {
		t.Error("an expected row that is no JSON was taken")
	}
	d, _ := Compare("o", nil, lines(strings.Repeat("{}\n", 30)))
	if !strings.Contains(d.String(), "+ ... and 20 more") {
		t.Error(d)
	}
}

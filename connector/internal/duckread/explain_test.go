package duckread

import (
	"errors"
	"strings"
	"testing"

	"millrace/connector"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	a := Advice{Doing: "asking", Memory: "more memory", Disk: "more disk", Names: "other names", More: func(message string) string {
		if strings.Contains(message, "offset") {
			return "quote it"
		}
		return ""
	}}
	for text, want := range map[string]string{
		"Out of Memory Error: offset":     "more memory",
		"IO Error: No space left":         "more disk",
		"Parser Error: near OFFSET":       "quote it",
		"Binder Error: no column":         "other names",
		"Catalog Error: no table":         "other names",
		"Parser Error: near X":            "a query is one SELECT in DuckDB's SQL",
		"Conversion Error: not a boolean": "",
	} {
		said := errors.New(text)
		err := a.Explain(said)
		hint := ""
		if hinted := (*connector.Hinted)(nil); errors.As(err, &hinted) {
			hint = hinted.Hint
		}
		if hint != want || !errors.Is(err, said) || !strings.Contains(err.Error(), "asking: "+text) {
			t.Errorf("%s: %v (%s)", text, err, hint)
		}
	}
	a.More = nil
	if err := a.Explain(ErrOnlyReads); err != ErrOnlyReads {
		t.Errorf("a refusal became %v", err)
	}
}

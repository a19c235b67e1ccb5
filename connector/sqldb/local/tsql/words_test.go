package tsql

import "testing"

// TestBracketed: names that the parser takes for keywords, and nothing else.
func TestBracketed(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT type, e.Type FROM e": "SELECT [type], e.[Type] FROM e",
		"SELECT 'type''type', \"type\", [type] -- type\n, types, my_type /* type */, N'type' FROM e": "SELECT 'type''type', \"type\", [type] -- type\n, types, my_type /* type */, N'type' FROM e",
		"SELECT 'type": "SELECT 'type",
		"":             "",
	} {
		if got := bracketed(text); got != want {
			t.Errorf("%s\nbecomes %s", text, got)
		}
	}
	if _, failed := parse("SELECT type, message, count(*) FROM events GROUP BY type, message"); failed != nil {
		t.Error(failed)
	}
	if _, failed := parse("SELECT FROM WHERE type"); failed == nil {
		t.Error("nonsense is parsed")
	}
}

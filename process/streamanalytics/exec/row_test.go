package exec

import (
	"testing"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

func TestRowAppendJSON(t *testing.T) {
	t.Parallel()
	spread := plan.Column{Spread: true}
	named := func(name string) plan.Column { return plan.Column{Name: name} }
	raw := func(s string) value.Value { return value.Raw([]byte(s)) }
	for _, tt := range []struct {
		columns []plan.Column
		slots   []value.Value
		want    string
	}{
		{[]plan.Column{spread}, []value.Value{raw(`{ "a" : 1.50, "b":{"c" :2}}`)}, `{ "a" : 1.50, "b":{"c" :2}}`},
		{[]plan.Column{spread, named("n")}, []value.Value{raw(`{ "a" : 1.50 }`), value.Int(1)}, `{"a" : 1.50,"n":1}`},
		{[]plan.Column{named("n"), spread}, []value.Value{value.Int(1), raw(`{"a":1}`)}, `{"n":1,"a":1}`},
		{[]plan.Column{named("n"), spread, named("m")}, []value.Value{value.Int(1), raw(`{ }`), value.Value{}}, `{"n":1,"m":null}`},
		{[]plan.Column{spread, named("n")}, []value.Value{raw(`{}`), value.Int(1)}, `{"n":1}`},
		{[]plan.Column{spread, named("A")}, []value.Value{raw(`{"a":1,"b":2}`), value.Int(3)}, `{"a":1,"b":2}`},
		{[]plan.Column{named("A"), spread}, []value.Value{value.Int(3), raw(`{"a":1,"b":null}`)}, `{"A":3,"b":null}`},
		{[]plan.Column{spread, named("at")}, []value.Value{raw(`{"\u0061t":1,"cat":2}`), value.Int(1)}, `{"at":1,"cat":2}`},
		{[]plan.Column{spread, named("at")}, []value.Value{raw(`{"cat":"at"}`), value.Int(1)}, `{"cat":"at","at":1}`},
		{[]plan.Column{spread, named("Key")}, []value.Value{raw("{\"\u212aey\":1}"), value.Int(1)}, "{\"\u212aey\":1}"},
		{[]plan.Column{spread, named("größe")}, []value.Value{raw(`{"GRÖSSE":1,"Größe":2}`), value.Int(1)}, `{"GRÖSSE":1,"Größe":2}`},
		{[]plan.Column{spread, named("n")}, []value.Value{raw(`{"n":null}`), value.Int(1)}, `{"n":null}`},
		{[]plan.Column{spread, named("n")}, []value.Value{{}, value.Int(1)}, `{"n":1}`},
		{[]plan.Column{spread, spread}, []value.Value{raw(`{"a":1}`), raw(`{"a":2,"c":3}`)}, `{"a":1,"c":3}`},
		{[]plan.Column{{Name: "h", Hidden: true}, spread}, []value.Value{value.Int(1), raw(`{"a":1}`)}, `{"a":1}`},
		{[]plan.Column{named("n"), named("N")}, []value.Value{value.Int(1), value.Int(2)}, `{"n":1}`},
		{[]plan.Column{spread, named("n"), named("N")}, []value.Value{raw(`{"a":1}`), value.Int(1), value.Int(2)}, `{"a":1,"n":1}`},
		{[]plan.Column{{Name: "q\"", Expr: nil}}, []value.Value{value.Text("x")}, `{"q\"":"x"}`},
		{nil, nil, `{}`},
	} {
		r := Row{Columns: tt.columns, Slots: tt.slots}
		if got := string(r.AppendJSON([]byte("before"))); got != "before"+tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
		// The record of the row says the same.
		whole := string(value.NewRecord(membersOf(tt.columns, tt.slots)).AppendJSON(nil))
		var compact string
		if v, err := value.Parse([]byte(tt.want)); err == nil {
			var members []value.Member
			for name, m := range v.Members {
				members = append(members, value.Member{Name: name, Value: m})
			}
			compact = string(value.NewRecord(members).AppendJSON(nil))
		}
		if whole != compact {
			t.Errorf("as a record %s, want %s", whole, compact)
		}
	}
}

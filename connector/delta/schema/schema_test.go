package schema

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

var all = New(
	Column("s", String), Column("l", Long), Column("i", Integer), Column("sh", Short), Column("b", Byte), Column("f", Float),
	Column("d", Double), Column("bo", Boolean), Column("bi", Binary), Column("da", Date), Column("t", Timestamp), Column("n", TimestampNTZ),
	Column("de", Decimal{38, 10}),
	Field{Name: "a", Type: &Array{Element: &Map{Key: String, Value: Long, ValueContainsNull: true}, ContainsNull: false}, Nullable: false},
	Column("in", New(Column("x", Double), Field{Name: "y", Type: New(Column("z", Date))})),
).withComment()

func (s *Struct) withComment() *Struct {
	s.Fields[0] = s.Fields[0].WithMetadata("comment", `a "text" of <its> own`)
	return s
}

func TestTextBothWays(t *testing.T) {
	t.Parallel()
	got, err := Parse(all.Text())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equal(all) || got.Text() != all.Text() {
		t.Errorf("%s\nbecame\n%s", all.Text(), got.Text())
	}
	const want = `{"type":"struct","fields":[{"name":"eventId","type":"string","nullable":true,"metadata":{}},` +
		`{"name":"a","type":{"type":"array","elementType":"decimal(5,2)","containsNull":true},"nullable":false,"metadata":{"k":"<v>"}},` +
		`{"name":"m","type":{"type":"map","keyType":"string","valueType":{"type":"struct","fields":[]},"valueContainsNull":false},"nullable":true,"metadata":{}}]}`
	s := New(Column("eventId", String), Field{Name: "a", Type: &Array{Element: Decimal{5, 2}, ContainsNull: true}}.WithMetadata("k", "<v>"),
		Column("m", &Map{Key: String, Value: New()}))
	if s.Text() != want {
		t.Errorf("%s", s.Text())
	}
	if got, err := Parse(want); err != nil || !got.Equal(s) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTextErrors(t *testing.T) {
	t.Parallel()
	field := func(typ string) string {
		return `{"type":"struct","fields":[{"name":"c","type":` + typ + `,"nullable":true,"metadata":{}}]}`
	}
	for text, want := range map[string]string{
		"":                                "name or an object",
		"5":                               "name or an object",
		`"long"`:                          "not a struct",
		`{"type":"struct","fields":[{}]}`: "no name",
		`{"type":"struct","fields":{}}`:   "not as it should be",
		`{}`:                              "no name",
		field(`5`):                        "column c",
		field(`null`):                     "column c",
		field(`{"type":"array"}`):         "column c.element",
		strings.Repeat(`{"type":"array","elementType":`, 200): "not as it should be",
		nested(150): "deeper",
	} {
		if s, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, %v", text, s, err)
		}
	}
	for typ, name := range map[string]string{`"variant"`: "variant", `"interval day"`: "interval day", `"decimal(39,1)"`: "decimal(39,1)",
		`"decimal(5,6)"`: "decimal(5,6)", `"Long"`: "Long", `{"type":"udt"}`: "udt", `"void"`: "void"} {
		_, err := Parse(field(typ))
		unknown, ok := errors.AsType[*UnknownTypeError](err)
		if !ok || unknown.Column != "c" || unknown.Type != name {
			t.Errorf("%s: %v", typ, err)
		}
	}
	if s, err := Parse(field(`"decimal"`)); err != nil || s.Fields[0].Type != (Decimal{10, 0}) {
		t.Errorf("%v %v", s, err)
	}
}

func nested(n int) string {
	return strings.Repeat(`{"type":"array","elementType":`, n) + `"long"` + strings.Repeat(`,"containsNull":true}`, n)
}

func TestSchemasGrow(t *testing.T) {
	t.Parallel()
	base := New(Column("id", Long), Column("c", New(Column("x", Double))))
	got, err := base.With(Column("ID", Long), Column("c", New(Column("X", Double), Column("y", String))), Column("h", Double))
	if err != nil || got.String() != "struct<id:long,c:struct<x:double,y:string>,h:double>" {
		t.Errorf("%v, %v", got, err)
	}
	if base.String() != "struct<id:long,c:struct<x:double>>" {
		t.Errorf("the old one has become %v", base)
	}
	for want, c := range map[string]Field{
		"column id is of type long in the table, not string":                                             Column("id", String),
		"column c.x is of type double in the table, not long":                                            Column("c", New(Column("x", Long))),
		"column n cannot be added: it may not be null, but the rows that are there have no value for it": {Name: "n", Type: Long},
	} {
		if _, err := base.With(c); err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := all.Check(); err != nil {
		t.Error(err)
	}
	for want, s := range map[string]*Struct{
		"a column at least":    New(),
		"same name":            New(Column("a", Long), Column("A", Long)),
		"c.d and c.D":          New(Column("c", New(Column("d", Long), Column("D", Long)))),
		`"a b" cannot be`:      New(Column("a b", Long)),
		`"l.a=" cannot be`:     New(Column("l", &Array{Element: New(Column("a=", Long))})),
		`"" cannot be`:         New(Column("", Long)),
		"no type decimal(0,0)": New(Column("d", Decimal{})),
		"column n has no type": New(Column("n", nil)),
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

func TestLeavesAndFields(t *testing.T) {
	t.Parallel()
	var got []string
	for _, l := range all.Leaves() {
		got = append(got, strings.Join(l.Path, ".")+" "+l.Type.String()+" "+fmt.Sprint(l.Nullable))
	}
	if s := strings.Join(got[12:], "; "); s != "de decimal(38,10) true; a array<map<string,long>> false; in.x double true; in.y.z date true" {
		t.Error(s)
	}
	n := 0
	all.Each(func([]string, Field) { n++ })
	if n != len(all.Fields)+3 {
		t.Errorf("%d fields", n)
	}
	if f, ok := all.Field("DA"); !ok || f.Name != "da" {
		t.Error("names are compared with case")
	}
	if _, ok := all.Field("dx"); ok {
		t.Error("there is no dx")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(all.Text())
	f.Add(nested(3))
	f.Add(`{"type":"struct","fields":[{"name":"c","type":"decimal(5,2)"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.Text())
		if err != nil || !again.Equal(s) || again.Text() != s.Text() {
			t.Fatalf("%s became %s, %v", text, s.Text(), err)
		}
		_, _, _ = s.Check(), s.Leaves(), s.String()
	})
}

package function

import (
	"strings"
	"testing"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

var null = value.Value{}

// arg makes a value of what a test has: nil is NULL, an int a bigint.
func arg(x any) value.Value {
	switch x := x.(type) {
	case int:
		return value.Int(int64(x))
	case int64:
		return value.Int(x)
	case float64:
		return value.Double(x)
	case string:
		return value.Text(x)
	case bool:
		return value.Bool(x)
	case value.Value:
		return x
	}
	return null
}

func args(xs ...any) []value.Value {
	vs := make([]value.Value, len(xs))
	for i, x := range xs {
		vs[i] = arg(x)
	}
	return vs
}

// at is a datetime.
func at(s string) value.Value {
	t, ok := value.ParseTime(s)
	if !ok {
		panic("no time: " + s)
	}
	return value.Time(t)
}

// call calls a function, once with constants and once without: both must agree.
func call(t *testing.T, name string, unit syntax.TimeUnit, args []value.Value) (value.Value, error) {
	t.Helper()
	f, ok := Lookup(name)
	if !ok {
		t.Fatalf("no function %s", name)
	}
	if err := f.Arity(len(args)); err != nil {
		t.Fatal(err)
	}
	known := make([]bool, len(args))
	for i := range known {
		known[i] = true
	}
	var results [2]value.Value
	var errs [2]error
	for i, c := range []Call{{Unit: unit}, {Unit: unit, Consts: args, Known: known}} {
		compiled, err := f.Compile(c)
		if err == nil {
			results[i], err = compiled(args)
		}
		errs[i] = err
	}
	if (errs[0] == nil) != (errs[1] == nil) || results[0].Kind() != results[1].Kind() || !value.Equal(results[0], results[1]) {
		t.Errorf("%s%v: %v, %v with unknown arguments and %v, %v with constants", name, args, results[0], errs[0], results[1], errs[1])
	}
	return results[0], errs[0]
}

// wantError is an expected error: all of its words occur.
type wantError []string

type scalarCase struct {
	name string
	args []value.Value
	want any
}

func runCases(t *testing.T, unit syntax.TimeUnit, cases []scalarCase) {
	t.Helper()
	for _, c := range cases {
		got, err := call(t, c.name, unit, c.args)
		if words, ok := c.want.(wantError); ok {
			if err == nil {
				t.Errorf("%s(%v) = %v, want an error", c.name, c.args, got)
				continue
			}
			for _, w := range append(words, c.name) {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%s(%v): %q does not say %q", c.name, c.args, err, w)
				}
			}
			continue
		}
		if want := arg(c.want); err != nil || got.Kind() != want.Kind() || !value.Equal(got, want) {
			t.Errorf("%s(%v) = %v (%s), %v; want %v (%s)", c.name, c.args, got, got.Kind(), err, want, want.Kind())
		}
	}
}

func TestStrings(t *testing.T) {
	t.Parallel()
	runCases(t, syntax.NoUnit, []scalarCase{
		{"CHARINDEX", args("us", "Focus"), 4},
		{"CHARINDEX", args("US", "Focus"), 0},
		{"CHARINDEX", args("a", "banana", 3), 4},
		{"CHARINDEX", args("a", "banana", -3), 2},
		{"CHARINDEX", args("a", "banana", 0), 2},
		{"CHARINDEX", args("a", "banana", 100), 0},
		{"CHARINDEX", args("", "banana"), 0},
		{"CHARINDEX", args("é", "caféé", 5), 5},
		{"CHARINDEX", args(nil, "banana"), nil},
		{"CONCAT", args("Make: ", "Contoso", ", Model: ", "QRTZX22"), "Make: Contoso, Model: QRTZX22"},
		{"CONCAT", args("a", nil), "a"},
		{"CONCAT", args(nil, nil), ""},
		{"CONCAT", args("a", 1, 1.5), "a11.5"},
		{"CONCAT", []value.Value{value.Text("a"), value.Raw([]byte(`[1]`))}, wantError{"text", "[1]"}},
		{"CONCAT_WS", args(", ", "1 Microsoft Way", nil, "Redmond", "WA", 98052, nil), "1 Microsoft Way, Redmond, WA, 98052"},
		{"CONCAT_WS", args(", ", nil, nil), ""},
		{"CONCAT_WS", args(nil, "a", "b"), "ab"},
		{"LEFT", args("abcdefg", 2), "ab"},
		{"LEFT", args("abc", 0), ""},
		{"LEFT", args("abc", 9), "abc"},
		{"LEFT", args("日本語", 2), "日本"},
		{"LEFT", args("abc", -1), wantError{"-1"}},
		{"LEN", args("ABC 123"), 7},
		{"LEN", args("abc  "), 3},
		{"LEN", args("  abc"), 5},
		{"LEN", args("日本語"), 3},
		{"LEN", args(""), 0},
		{"LEN", args(nil), nil},
		{"LEN", args(1234), 4},
		{"LOWER", args("ÀB1"), "àb1"},
		{"LTRIM", args("      Left test"), "Left test"},
		{"LTRIM", args("\t\u00a0\u2003\n\u0085x "), "x "},
		{"NCHAR", args(33590), "茶"},
		{"NCHAR", args(-1), nil},
		{"NCHAR", args(1114112), nil},
		{"PATINDEX", args("%100%", "AB1001"), 3},
		{"PATINDEX", args("%[0-9]%", "abc1"), 4},
		{"PATINDEX", args("%[^a-z]%", "abc1"), 4},
		{"PATINDEX", args("ab%", "abc"), 1},
		{"PATINDEX", args("b%", "abc"), 0},
		{"PATINDEX", args("%bc", "abcbc"), 4},
		{"PATINDEX", args("%b_d%f", "xbcd-bcdef"), 2},
		{"PATINDEX", args("%[%]%", "50%"), 3},
		{"PATINDEX", args("%é%", "日é"), 2},
		{"PATINDEX", args("%", "abc"), 1},
		{"PATINDEX", args("abc", "abc"), 1},
		{"PATINDEX", args("%BC%", "abc"), 2},
		{"PATINDEX", args("%_%", ""), 0},
		{"PATINDEX", args("%x%", nil), nil},
		{"REGEXMATCH", args("AB 123", "[0-9][0-9][0-9]"), 4},
		{"REGEXMATCH", args("abc", "C$"), 3},
		{"REGEXMATCH", args("abc", "x"), 0},
		{"REGEXMATCH", args("日本1", `\d`), 3},
		{"REGEXMATCH", args("aXbX", `(.)b\1`), 2},
		{"REGEXMATCH", args("abc", "("), 0},
		{"REGEXMATCH", args(nil, "a"), nil},
		{"REGEXMATCH", args("a", nil), nil},
		{"REPLACE", args("abcde", "cd", "xx"), "abxxe"},
		{"REPLACE", args("cdabcd", "cd", "x"), "xabx"},
		{"REPLACE", args("cd", "cd", "xxx"), "xxx"},
		{"REPLACE", args("abcde", "gh", "xx"), "abcde"},
		{"REPLACE", args("abcde", "cde", ""), "ab"},
		{"REPLACE", args("abcde", "", "xxx"), "abcde"},
		{"REPLACE", args("", "cde", "xxx"), ""},
		{"REPLACE", args(nil, "cde", "xxx"), nil},
		{"REPLACE", args("abcde", nil, "xxx"), nil},
		{"REPLACE", args("abcde", "cde", nil), nil},
		{"REPLICATE", args("0", 3), "000"},
		{"REPLICATE", args("0", -5), nil},
		{"REPLICATE", args("ab", 0), ""},
		{"REPLICATE", args("ab", 1<<60), wantError{"64 MB"}},
		{"REVERSE", args("abcdefg"), "gfedcba"},
		{"REVERSE", args("日本"), "本日"},
		{"RIGHT", args("abcdefg", 2), "fg"},
		{"RIGHT", args("日本語", 2), "本語"},
		{"RIGHT", args("ab", 5), "ab"},
		{"RIGHT", args("ab", -2), wantError{"-2"}},
		{"RTRIM", args("LastName  "), "LastName"},
		{"SPACE", args(2), "  "},
		{"SPACE", args(-1), nil},
		{"STUFF", args("abcdef", 2, 3, "ijklmn"), "aijklmnef"},
		{"STUFF", args("abc", 2, 0, "x"), "axbc"},
		{"STUFF", args("abc", 2, 9, "x"), "ax"},
		{"STUFF", args("abc", 4, 1, "x"), ""},
		{"STUFF", args("abc", 0, 1, "x"), "xbc"},
		{"STUFF", args("abc", 1, -1, "x"), wantError{"-1"}},
		{"SUBSTRING", args("abcdefg", 2, 4), "bcde"},
		{"SUBSTRING", args("abcdefg", 0, 3), "ab"},
		{"SUBSTRING", args("abcdefg", -5, 3), ""},
		{"SUBSTRING", args("abcdefg", -1<<63, 0), ""},
		{"SUBSTRING", args("abcdefg", -1<<63, 1<<63-1), ""},
		{"SUBSTRING", args("abcdefg", 1<<63-1, 1<<63-1), ""},
		{"SUBSTRING", args("abcdefg", 0, 1<<63-1), "abcdefg"},
		{"SUBSTRING", args("abcdefg", 6, 10), "fg"},
		{"SUBSTRING", args("abcdefg", 9, 1), ""},
		{"SUBSTRING", args("abcdefg", 1, -1), wantError{"-1"}},
		{"SUBSTRING", args("日本語", 2, 1), "本"},
		{"SUBSTRING", args("abc", "x", 1), wantError{`"x"`}},
		{"TRANSLATE", args("2*[3+4]/{7-2}", "[]{}", "()()"), "2*(3+4)/(7-2)"},
		{"TRANSLATE", args("[137.4,72.3]", "[,]", "( )"), "(137.4 72.3)"},
		{"TRANSLATE", args("ab", "ab", "ba"), "ba"},
		{"TRANSLATE", args("ab", "ab", "x"), wantError{"1 for 2"}},
		{"TRANSLATE", args("ab", nil, "x"), nil},
		{"TRIM", args("      a test    "), "a test"},
		{"UNICODE", args("茶x"), 33590},
		{"UNICODE", args(""), nil},
		{"UPPER", args("abc"), "ABC"},
	})
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	const least = -1 << 63
	runCases(t, syntax.NoUnit, []scalarCase{
		{"ABS", args(-5), 5},
		{"ABS", args(-2.5), 2.5},
		{"ABS", args(least), wantError{"-9223372036854775808", "overflow"}},
		{"ABS", args(nil), nil},
		{"ABS", args("-2.5"), 2.5},
		{"ABS", args("abc"), wantError{"number", `"abc"`}},
		{"ABS", args(true), 1},
		{"CEILING", args(123.45), 124.0},
		{"CEILING", args(-123.45), -123.0},
		{"CEILING", args(7), 7},
		{"CEILING", args("-0.5"), 0.0},
		{"FLOOR", args(123.45), 123.0},
		{"FLOOR", args(-123.45), -124.0},
		{"FLOOR", args(7), 7},
		{"EXP", args(0), 1.0},
		{"EXP", args(1000), wantError{"1000", "overflow"}},
		{"POWER", args(2, 3), 8},
		{"POWER", args(2.5, 3), 15.625},
		{"POWER", args(-3, 3), -27},
		{"POWER", args(-2, 63), least},
		{"POWER", args(2, 63), wantError{"overflow"}},
		{"POWER", args(-1, 1<<62), 1},
		{"POWER", args(2, -1), 0},
		{"POWER", args(2, 0.5), 1},
		{"POWER", args(10, 0), 1},
		{"POWER", args(0, -1), wantError{"divide by zero"}},
		{"POWER", args(-8.0, 0.5), wantError{"no result"}},
		{"POWER", args(10.0, 400), wantError{"overflow"}},
		{"ROUND", args(1, 0), 1},
		{"ROUND", args(0, 0), 0},
		{"ROUND", args(-1, 0), -1},
		{"ROUND", args(1.0, 0), 1.0},
		{"ROUND", args(0.5, 0), 1.0},
		{"ROUND", args(-0.5, 0), -1.0},
		{"ROUND", args(1.234, 2), 1.23},
		{"ROUND", args(1.234, 10), 1.234},
		{"ROUND", args(123.4, -1), 120.0},
		{"ROUND", args(123.4, -10), 0.0},
		{"ROUND", args(501.0101, -3), 1000.0},
		{"ROUND", args(123.9995, 3), 124.0},
		{"ROUND", args(1.005, 2), 1.0},
		{"ROUND", args(150, -2), 200},
		{"ROUND", args(-150, -2), -200},
		{"ROUND", args(149, -2), 100},
		{"ROUND", args(149, -3), 0},
		{"ROUND", args(5, -1), 10},
		{"ROUND", args(9223372036854775807, -18), 9000000000000000000},
		{"ROUND", args(9223372036854775807, -19), wantError{"overflow"}},
		{"ROUND", args(9223372036854775807, -20), 0},
		{"ROUND", args(1e300, 300), 1e300},
		{"ROUND", args(1.5, -400), 0.0},
		{"ROUND", args(1.5, 400), 1.5},
		{"SIGN", args(-7), -1},
		{"SIGN", args(0), 0},
		{"SIGN", args(2.5), 1.0},
		{"SQRT", args(16), 4.0},
		{"SQRT", args(-1), wantError{"-1"}},
		{"SQUARE", args(3), 9.0},
		{"SQUARE", args(1e200), wantError{"overflow"}},
	})
}

func TestOtherFunctions(t *testing.T) {
	t.Parallel()
	array, record := value.Raw([]byte(`[1,"b",[2]]`)), value.Raw([]byte(`{"Temp":80,"temp":81,"x":{"y":null}}`))
	runCases(t, syntax.NoUnit, []scalarCase{
		{"COALESCE", args(0, "a"), 0},
		{"COALESCE", args(nil, "a"), "a"},
		{"COALESCE", args(nil, nil), nil},
		{"COALESCE", args(nil, nil, 2, nil), 2},
		{"NULLIF", args(4, 4), nil},
		{"NULLIF", args(5, 7), 5},
		{"NULLIF", args(4, 4.0), nil},
		{"NULLIF", args("a", 1), "a"},
		{"NULLIF", args(nil, 1), nil},
		{"NULLIF", args(1, nil), 1},
		{"GetType", args(1), "bigint"},
		{"GetType", args(1.5), "float"},
		{"GetType", args("a"), "nvarchar(max)"},
		{"GetType", args(true), "bit"},
		{"GetType", args(at("2014-09-10")), "datetime"},
		{"GetType", args(array), "array"},
		{"GetType", args(record), "record"},
		{"GetArrayElement", args(array, 0), 1},
		{"GetArrayElement", args(array, 1), "b"},
		{"GetArrayElement", args(array, 3), nil},
		{"GetArrayElement", args(array, -1), nil},
		{"GetArrayElement", args(record, 0), nil},
		{"GetArrayElement", args(array, "x"), wantError{`"x"`}},
		{"GetArrayLength", args(array), 3},
		{"GetArrayLength", args(value.Raw([]byte(`[]`))), 0},
		{"GetArrayLength", args(record), nil},
		{"GetArrayLength", args(nil), nil},
		{"GetRecordPropertyValue", args(record, "temp"), 81},
		{"GetRecordPropertyValue", args(record, "X"), value.Raw([]byte(`{"y":null}`))},
		{"GetRecordPropertyValue", args(record, "none"), nil},
		{"GetRecordPropertyValue", args(array, "a"), nil},
		{"GetRecordPropertyValue", args(record, nil), nil},
		{"JSON_PARSE", args(`{"a":1}`), value.Raw([]byte(`{"a":1}`))},
		{"JSON_PARSE", args(`{"a":`), nil},
		{"JSON_PARSE", args(`[1]`), nil},
		{"JSON_PARSE", args(5), nil},
		{"JSON_PARSE", args(nil), nil},
	})
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	if _, ok := Lookup("SubString"); !ok {
		t.Error("names do not ignore case")
	}
	if _, ok := LookupAggregate("topone"); !ok {
		t.Error("names of aggregates do not ignore case")
	}
	for word, want := range map[string]string{
		"SUBSTRIN": "SUBSTRING", "AVGG": "AVG", "tumblingwindo": "TumblingWindow", "DATEDIF": "DATEDIFF",
		"PERCENTILE_DISK": "PERCENTILE_DISC", "frobnicate": "",
	} {
		if got := Suggest(word); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
	for _, c := range []struct {
		name string
		n    int
		want string
	}{
		{"SUBSTRING", 2, "SUBSTRING takes 3 arguments, not 2"},
		{"CHARINDEX", 1, "CHARINDEX takes 2 to 3 arguments, not 1"},
		{"CONCAT", 1, "CONCAT takes at least 2 arguments, not 1"},
		{"DATEADD", 1, "DATEADD takes a time unit and 2 arguments, not 1"},
		{"LEN", 0, "LEN takes 1 argument, not 0"},
	} {
		f, _ := Lookup(c.name)
		if err := f.Arity(c.n); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	for _, name := range Names() {
		if s, ok := Lookup(name); ok && s.Unit {
			if _, err := s.Compile(Call{}); err == nil {
				t.Errorf("%s compiles without a unit", name)
			}
		}
	}
}

// The geospatial functions are there, by the rules of the job's level.
func TestGeospatialFunctions(t *testing.T) {
	t.Parallel()
	point, err := call(t, "CreatePoint", syntax.NoUnit, args(10.0, 20.0))
	if err != nil || point.Get("type").Str() != "Point" {
		t.Errorf("CreatePoint: %v, %v", point, err)
	}
	runCases(t, syntax.NoUnit, []scalarCase{
		{"ST_WITHIN", args(point, "POLYGON((0 0, 30 0, 30 30, 0 30, 0 0))"), 1},
		{"ST_WITHIN", args("POINT(50 50)", "POLYGON((0 0, 30 0, 30 30, 0 30, 0 0))"), 0},
		{"ST_WITHIN", args(nil, "POLYGON((0 0, 30 0, 30 30, 0 30, 0 0))"), nil},
	})
}

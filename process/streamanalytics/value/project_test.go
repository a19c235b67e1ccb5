package value

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestScan(t *testing.T) {
	t.Parallel()
	null := Value{}
	for _, c := range []struct {
		name  string
		raw   string
		names []string
		want  []Value
	}{
		{"missing", `{}`, []string{"a"}, []Value{null}},
		{"spaces", " \n{ \"a\" :\t1 , \"b\" : \"x\" } \r\n", []string{"b", "a"}, []Value{Text("x"), Int(1)}},
		{"kinds", `{"i":-12,"f":1.0,"s":"é","t":true,"n":null}`, []string{"i", "f", "s", "t", "n"}, []Value{Int(-12), Double(1), Text("é"), Bool(true), null}},
		{"exponent", `{"f":1e3}`, []string{"f"}, []Value{Double(1000)}},
		{"large", `{"i":9223372036854775807,"j":-9223372036854775808}`, []string{"i", "j"}, []Value{Int(1<<63 - 1), Int(-1 << 63)}},
		{"case ignored", `{"DeviceId":1}`, []string{"deviceid"}, []Value{Int(1)}},
		{"exact wins over the later", `{"a":1,"A":2}`, []string{"a", "A"}, []Value{Int(1), Int(2)}},
		{"exact wins over the earlier", `{"A":2,"a":1}`, []string{"a"}, []Value{Int(1)}},
		{"exact null wins", `{"a":null,"A":2}`, []string{"a"}, []Value{null}},
		{"exact null wins, earlier", `{"A":2,"a":null}`, []string{"a"}, []Value{null}},
		{"last of two", `{"a":1,"a":2}`, []string{"a"}, []Value{Int(2)}},
		{"last of two, case ignored", `{"aB":1,"Ab":2}`, []string{"ab"}, []Value{Int(2)}},
		{"last null of two", `{"aB":1,"Ab":null}`, []string{"ab"}, []Value{null}},
		{"two names, one member", `{"aB":1}`, []string{"ab", "AB"}, []Value{Int(1), Int(1)}},
		{"two names, one exact", `{"ab":1}`, []string{"ab", "AB"}, []Value{Int(1), Int(1)}},
		{"escaped name", `{"d\u0065viceId":1,"\"":2,"\n":3}`, []string{"deviceId", `"`, "\n"}, []Value{Int(1), Int(2), Int(3)}},
		{"escaped text", `{"s":"\u0041\n\ud83d\ude00"}`, []string{"s"}, []Value{Text("A\n\U0001f600")}},
		{"beyond ASCII", `{"Größe":1,"ÉTÉ":2,"\u212aelvin":3}`, []string{"größe", "été", "kelvin"}, []Value{Int(1), Int(2), Int(3)}},
		{"name beyond ASCII for plain text", `{"kelvin":3}`, []string{"\u212aelvin"}, []Value{Int(3)}},
		{"empty name", `{"":1}`, []string{""}, []Value{Int(1)}},
		{"record", `{"r":{"a":[1, 2]},"l":[ {} ]}`, []string{"r", "l"}, []Value{Raw([]byte(`{"a":[1, 2]}`)), Raw([]byte(`[ {} ]`))}},
		{"no names", `{"a":1}`, nil, nil},
		{"same bucket", `{"xax":1,"xbx":2}`, []string{"xbx", "xax"}, []Value{Int(2), Int(1)}},
	} {
		p := NewProjection(c.names, Level12)
		dst := make([]Value, len(c.names))
		for i := range dst {
			dst[i] = Text("left over")
		}
		if err := p.Scan([]byte(c.raw), dst); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, v := range dst {
			if !identical(v, c.want[i]) {
				t.Errorf("%s: %q = %s %v, want %s %v", c.name, c.names[i], v.Kind(), v, c.want[i].Kind(), c.want[i])
			}
		}
	}
}

func TestScanErrors(t *testing.T) {
	t.Parallel()
	p := NewProjection([]string{"a"}, Level12)
	dst := make([]Value, 1)
	check := func(raw string, want error) {
		t.Helper()
		if err := p.Scan([]byte(raw), dst); !errors.Is(err, want) {
			t.Errorf("Scan(%.40q): error %v, want %v", raw, err, want)
		}
	}
	for _, s := range badJSON {
		check(s, ErrNotJSON)
		check(`{"a":`+s+`}`, ErrNotJSON)
		check(`{"b":`+s+`}`, ErrNotJSON)
	}
	for _, s := range goodJSON {
		if !strings.HasPrefix(strings.TrimSpace(s), "{") {
			check(s, ErrNotObject)
		}
	}
	// Wherever the number is, and whether it is asked for or not.
	for _, s := range outOfRange {
		check(`{"a":`+s+`}`, ErrRange)
		check(`{"b":`+s+`}`, ErrRange)
		check(`{"b":[{"c":`+s+`}]}`, ErrRange)
	}
}

func TestScanLevels(t *testing.T) {
	t.Parallel()
	raw := []byte(`{"Flag":true,"At":"2026-01-02T03:04:05.5Z","Day":"2026-01-02","r":{"Inner":false,"At":"2026-01-02T03:04:05"}}`)
	at, _ := ParseTime("2026-01-02T03:04:05.5Z")
	for _, c := range []struct {
		level    Level
		flag, at Value
		record   string
	}{
		{Level12, Bool(true), Text("2026-01-02T03:04:05.5Z"), `{"Inner":false,"At":"2026-01-02T03:04:05"}`},
		{Level11, Int(1), Text("2026-01-02T03:04:05.5Z"), `{"Inner":0,"At":"2026-01-02T03:04:05"}`},
		{Level10, Int(1), Time(at), `{"inner":0,"at":"2026-01-02T03:04:05.0000000Z"}`},
	} {
		dst := make([]Value, 4)
		if err := NewProjection([]string{"flag", "at", "day", "r"}, c.level).Scan(raw, dst); err != nil {
			t.Fatal(err)
		}
		if !identical(dst[0], c.flag) || !identical(dst[1], c.at) || !identical(dst[2], Text("2026-01-02")) || dst[3].String() != c.record {
			t.Errorf("level %d: %v", c.level, dst)
		}
		clone := dst[3].Clone()
		state, _, err := ReadState(dst[3].AppendState(nil))
		if err != nil || !identical(clone, dst[3]) || !identical(state, dst[3]) {
			t.Errorf("level %d: the level is lost: %v, %v, %v", c.level, clone, state, err)
		}
	}
	p := NewProjection(nil, Level10)
	for _, s := range []string{`{"a":1,"a":2}`, `{"a":1,"b":2,"A":3}`, `{"É":1,"é":2}`} {
		if err := p.Scan([]byte(s), nil); !errors.Is(err, ErrDuplicate) {
			t.Errorf("Scan(%s) at level 1.0: error %v, want ErrDuplicate", s, err)
		}
	}
}

// FuzzScan compares with looking each name up in the whole, which encoding/json
// has found to be valid.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"a":1,"B":"x","é":[1,2],"deviceId":{"a":null}}`), "a", "deviceid")
	f.Add([]byte(`{"A":null,"a":1,"\u0061":2}`), "a", "A")
	f.Add([]byte(`{"K":1,"\u212a":2}`), "k", "\u212a")
	f.Add([]byte(`[1]`), "", "x")
	f.Add([]byte(`{"x":1e999}`), "x", "y")
	f.Fuzz(func(t *testing.T, raw []byte, a, b string) {
		names := []string{a, b, "deviceId"}
		if a == b || a == "deviceId" || b == "deviceId" {
			names = []string{a}
		}
		for level := range Level(3) {
			dst := make([]Value, len(names))
			err := NewProjection(names, level).Scan(raw, dst)
			whole, parseErr := ParseAt(raw, level)
			if errors.Is(err, ErrDuplicate) && level == Level10 {
				continue
			}
			if want := parseErr == nil && whole.Kind() == Record; want != (err == nil) {
				t.Fatalf("%q: Scan says %v, Parse %v", raw, err, parseErr)
			}
			if err != nil {
				continue
			}
			for i, name := range names {
				// Names of Level10 are in lower case, spelled exactly
				// or not.
				if level == Level10 {
					break
				}
				if want := whole.Get(name); !identical(dst[i], want) {
					t.Fatalf("%q: %q = %v, want %v", raw, name, dst[i], want)
				}
			}
		}
	})
}

// Against encoding/json: many projections of one random object.
func TestScanAgainstDecoder(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for range 500 {
		object := map[string]any{}
		for range r.IntN(12) {
			object[fmt.Sprintf("n%d", r.IntN(30))] = []any{nil, true, "text", 1.5, []any{1.0}, map[string]any{"x": "y"}}[r.IntN(6)]
		}
		raw, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for i := range 30 {
			if r.IntN(3) == 0 {
				names = append(names, fmt.Sprintf("N%d", i))
			}
		}
		dst := make([]Value, len(names))
		if err := NewProjection(names, Level12).Scan(raw, dst); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			want, _ := json.Marshal(object[strings.ToLower(name)])
			if got := string(dst[i].AppendJSON(nil)); got != string(want) {
				t.Fatalf("%s: %s = %s, want %s", raw, name, got, want)
			}
		}
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	event := telemetryEvent()
	p := NewProjection([]string{"deviceId", "VALUE", "createdAt", "complexData"}, Level12)
	dst := make([]Value, 4)
	if n := testing.AllocsPerRun(100, func() {
		if err := p.Scan(event, dst); err != nil {
			panic(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hamba/avro/v2/ocf"
	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"
)

// readAll reads a text as a file of that name, in pieces of one byte if slow.
func readAll(t *testing.T, name string, content []byte, slow bool) ([]string, error) {
	t.Helper()
	r, err := Open(File{Path: name}, func(string) (io.ReadCloser, error) {
		var in io.Reader = bytes.NewReader(content)
		if slow {
			in = iotest.OneByteReader(in)
		}
		return io.NopCloser(in), nil
	})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []string
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		s := fmt.Sprintf("%d %s", rec.Line, rec.JSON)
		if rec.Err != nil {
			s += " !" + rec.Err.Error()
		}
		out = append(out, s)
	}
}

func TestJSONRecords(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"lines":                        {"{\"a\":1}\n{\"a\":2}\n", []string{`1 {"a":1}`, `2 {"a":2}`}},
		"no last line break":           {"{\"a\":1}\n{\"a\":2}", []string{`1 {"a":1}`, `2 {"a":2}`}},
		"Windows":                      {"{\"a\":1}\r\n\r\n{\"a\":2}\r\n", []string{`1 {"a":1}`, `3 {"a":2}`}},
		"byte order mark":              {"\xef\xbb\xbf{\"a\":1}", []string{`1 {"a":1}`}},
		"array":                        {`[{"a":1},{"a":2}]`, []string{`1 {"a":1}`, `1 {"a":2}`}},
		"pretty array":                 {"[\n{\n  \"a\": 1\n}\n,\n{\n  \"a\": [\n{\"b\":2}]\n}\n]\n", []string{"2 {\n  \"a\": 1\n}", "6 {\n  \"a\": [\n{\"b\":2}]\n}"}},
		"arrays on lines":              {"[{\"a\":1},{\"a\":2}]\n[{\"a\":3}]\n[]\n{\"a\":4}", []string{`1 {"a":1}`, `1 {"a":2}`, `2 {"a":3}`, `4 {"a":4}`}},
		"one after the other":          {`{"a":1}{"a":2} {"a":3}` + "\n", []string{`1 {"a":1}`, `1 {"a":2}`, `1 {"a":3}`}},
		"over lines":                   {"{\n\"a\": 1\n}\n{\n\"a\": 2\n}\n", []string{"1 {\n\"a\": 1\n}", "4 {\n\"a\": 2\n}"}},
		"brackets in strings":          {`{"a":"}{\"]\\"}` + "\n" + `{"b":"["}`, []string{`1 {"a":"}{\"]\\"}`, `2 {"b":"["}`}},
		"empty":                        {"", nil},
		"blank":                        {" \n\t\n", nil},
		"a line that is none":          {"{\"a\":1}\nhello, world\n{\"a\":2}\n", []string{`1 {"a":1}`, `2 hello, world`, `3 {"a":2}`}},
		"cut off":                      {"{\"a\":1\n{\"a\":2}\n{\"a\":3}\n", []string{`1 {"a":1`, `2 {"a":2}`, `3 {"a":3}`}},
		"cut off behind a colon":       {"{\"a\":\n{\"a\":2}\n", []string{`1 {"a":`, `2 {"a":2}`}},
		"cut off behind a comma":       {"{\"a\":1,\n{\"a\":2}\n", []string{`1 {"a":1,`, `2 {"a":2}`}},
		"braces on lines of their own": {"{\n\"a\":\n{\n\"b\":[\n{},\n{}\n]\n}\n}\n", []string{"1 {\n\"a\":\n{\n\"b\":[\n{},\n{}\n]\n}\n}"}},
		"open string":                  {"{\"a\":\"x\n{\"a\":2}\n", []string{`1 {"a":"x`, `2 {"a":2}`}},
		"wrong bracket":                {"{\"a\":[1}, \"b\": 2}\n{\"a\":2}\n", []string{`1 {"a":[1}, "b": 2}`, `2 {"a":2}`}},
		"cut off at the end":           {"{\"a\":1}\n{\"a\":", []string{`1 {"a":1}`, `2 {"a":`}},
		"scalars in an array":          {`[1, {"a":1}, "x,y", null, [1,2]]`, []string{`1 1`, `1 {"a":1}`, `1 "x,y"`, `1 null`, `1 [1,2]`}},
		"open array":                   {`[{"a":1},`, []string{`1 {"a":1}`, `1  !the file ends inside of an array: there is no ]`}},
		"only brackets":                {"]\n}{", []string{"1 ]", "2 }{"}},
	} {
		for _, slow := range []bool{false, true} {
			got, err := readAll(t, "in.json", []byte(tt.text), slow)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%s (slow %v):\n got %q, %v\nwant %q", name, slow, got, err, tt.want)
			}
		}
	}
}

func TestJSONRecordLongerThanTheBuffer(t *testing.T) {
	t.Parallel()
	long := `{"a":"` + strings.Repeat("x", 3*jsonChunk) + `"}`
	got, err := readAll(t, "in.json", []byte("{\"a\":1}\n"+long+"\n{\"a\":2}\n"), false)
	if err != nil || !slices.Equal(got, []string{`1 {"a":1}`, "2 " + long, `3 {"a":2}`}) {
		t.Errorf("%d records, %v", len(got), err)
	}
}

func TestCSVRecords(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file, text string
		want       []string
		err        string
	}{
		"plain":          {"a.csv", "x,y\n1,two\n,\"q\"\"q\"\n", []string{`2 {"x":"1","y":"two"}`, `3 {"x":null,"y":"q\"q"}`}, ""},
		"over lines":     {"a.csv", "x,y\n\"a\nb\",c\nd,e\n", []string{`2 {"x":"a\nb","y":"c"}`, `4 {"x":"d","y":"e"}`}, ""},
		"too few":        {"a.csv", "x,y\n1\n", []string{`2 {"x":"1"}`}, ""},
		"too many":       {"a.csv", "x\n1,2\n3\n", []string{`2 1,2 !the row has 2 values, but there are 1 columns`, `3 {"x":"3"}`}, ""},
		"tabs":           {"a.tsv", "x\ty\n1\t2\n", []string{`2 {"x":"1","y":"2"}`}, ""},
		"mark":           {"a.csv", "\xef\xbb\xbfx\n1\n", []string{`2 {"x":"1"}`}, ""},
		"empty":          {"a.csv", "", nil, ""},
		"quote":          {"a.csv", "x\na\"b\nc\n", []string{"2  !bare \" in non-quoted-field", `3 {"x":"c"}`}, ""},
		"twice":          {"a.csv", "x,x\n1,2\n", nil, "a.csv:1: two columns are named `x`"},
		"no name":        {"a.csv", "x,\n1,2\n", nil, "a.csv:1: column 2 has no name"},
		"other encoding": {"a.csv", "\xff\xfex\x00", nil, "not written in UTF-8"},
	} {
		got, err := readAll(t, tt.file, []byte(tt.text), false)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want %q", name, err, tt.err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %q, %v\nwant %q", name, got, err, tt.want)
		}
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprint(z, "x,y\n1,2\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(t, "in.csv.gz", b.Bytes(), false); err != nil || !slices.Equal(got, []string{`2 {"x":"1","y":"2"}`}) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := readAll(t, "in.csv.gz", []byte("x,y\n"), false); err == nil {
		t.Error("a text that is not compressed was taken")
	}
	if got, err := readAll(t, "in.csv.gz", b.Bytes()[:b.Len()-6], false); err == nil {
		t.Errorf("a file that is cut off was taken: %q", got)
	}
}

func TestAvroRecords(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	e, err := ocf.NewEncoder(`{"type":"record","name":"ns.E","fields":[
		{"name":"z","type":"string"},
		{"name":"n","type":["null","long"]},
		{"name":"u","type":["null","string","double",{"type":"record","name":"In","fields":[{"name":"k","type":"int"}]}]},
		{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"list","type":{"type":"array","items":"int"}},
		{"name":"m","type":{"type":"map","values":"boolean"}},
		{"name":"raw","type":"bytes"},
		{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}},
		{"name":"e","type":{"type":"enum","name":"C","symbols":["red","green"]}}]}`, &b, ocf.WithCodec(ocf.Deflate))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	for i, u := range []any{nil, map[string]any{"string": "s"}, map[string]any{"double": 1.5}, map[string]any{"ns.In": map[string]any{"k": 7}}} {
		row := map[string]any{"z": fmt.Sprint("row ", i), "n": nil, "u": u, "at": at, "list": []any{1, 2}, "m": map[string]any{"b": true, "a": false},
			"raw": []byte{0xff, 0x00}, "d": big.NewRat(12345, 100), "e": "green"}
		if i > 0 {
			row["n"] = map[string]any{"long": int64(1) << 40}
		}
		if err := e.Encode(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	rest := `,"at":"2026-01-02T03:04:05.6780000Z","list":[1,2],"m":{"a":false,"b":true},"raw":"/wA=","d":123.45,"e":"green"}`
	want := []string{
		`1 {"z":"row 0","n":null,"u":null` + rest, `2 {"z":"row 1","n":1099511627776,"u":"s"` + rest,
		`3 {"z":"row 2","n":1099511627776,"u":1.5` + rest, `4 {"z":"row 3","n":1099511627776,"u":{"k":7}` + rest,
	}
	got, err := readAll(t, "in.avro", b.Bytes(), false)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %s\n%v\nwant %s", strings.Join(got, "\n"), err, strings.Join(want, "\n"))
	}
	if _, err := readAll(t, "in.avro", b.Bytes()[:b.Len()-20], false); err == nil {
		t.Error("a file that is cut off was taken")
	}
	if _, err := readAll(t, "in.avro", []byte("Obj"), false); err == nil || !strings.Contains(err.Error(), "not an Avro file") {
		t.Errorf("%v", err)
	}
}

type parquetInner struct {
	K string  `parquet:"k"`
	V []int32 `parquet:"v,list"`
}

type parquetRow struct {
	Name string            `parquet:"name"`
	N    *int64            `parquet:"n,optional"`
	F    float64           `parquet:"f"`
	OK   bool              `parquet:"ok"`
	At   time.Time         `parquet:"at,timestamp(millisecond)"`
	Day  int32             `parquet:"day,date"`
	In   *parquetInner     `parquet:"in,optional"`
	Many []parquetInner    `parquet:"many"`
	Map  map[string]string `parquet:"map"`
	Dec  int64             `parquet:"dec,decimal(2:10)"`
}

func TestParquetRecords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "in.parquet")
	n := int64(42)
	rows := []parquetRow{
		{Name: "a", N: &n, F: 1.5, OK: true, At: time.UnixMilli(1500), Day: 1, In: &parquetInner{"k", []int32{1, 2}},
			Many: []parquetInner{{"x", nil}, {"y", []int32{3}}}, Map: map[string]string{"p": "q"}, Dec: 1234},
		{Name: "b"},
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`1 {"name":"a","n":42,"f":1.5,"ok":true,"at":"1970-01-01T00:00:01.5000000Z","day":"1970-01-02T00:00:00.0000000Z","in":{"k":"k","v":[1,2]},"many":[{"k":"x","v":[]},{"k":"y","v":[3]}],"map":{"p":"q"},"dec":1234e-2}`,
		`2 {"name":"b","n":null,"f":0.0,"ok":false,"at":`,
	}
	for range 2 { // from memory, from a file
		got, err := readAll(t, path, content, false)
		if err != nil || len(got) != 2 || !strings.HasPrefix(got[1], want[1]) {
			t.Errorf("%q, %v", got, err)
		} else if got[0] != want[0] {
			t.Errorf("\n got %s\nwant %s", got[0], want[0])
		}
	}
	r, err := Open(File{Path: path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rec, err := r.Next(); err != nil || "1 "+string(rec.JSON) != want[0] {
		t.Errorf("%s, %v", rec.JSON, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for cut := 1; cut < len(content); cut += 37 {
		_, _ = readAll(t, "in.parquet", content[:cut], false) // no panic
	}
}

func TestFilesThatCanNotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.json"): "there is no file ",
		dir:                             "it is a folder",
	} {
		_, err := Open(File{Path: path}, nil)
		if use := (*UseError)(nil); !errors.As(err, &use) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]File{
		"Input=a.json":             {Name: "Input", Path: "a.json"},
		"Input=a.txt:csv":          {Name: "Input", Path: "a.txt", Format: CSV},
		"[my input]=a b.json:json": {Name: "my input", Path: "a b.json", Format: JSON},
		`In=C:\data\x.json`:        {Name: "In", Path: `C:\data\x.json`},
		"In=-:avro":                {Name: "In", Path: "-", Format: Avro},
		"R=p/{date}/{time}/r.csv":  {Name: "R", Path: "p/{date}/{time}/r.csv"},
		"Input=http://x/y":         {Name: "Input", Path: "http://x/y"},
	} {
		if got, err := Parse("input", text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"a.json":           "--input must be NAME=FILE, not `a.json`",
		"=a.json":          "--input must be NAME=FILE",
		"Input=":           "--input must be NAME=FILE",
		"Input=a.json:xml": "there is no format `xml`",
	} {
		if _, err := Parse("input", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Whatever a file holds: no panic, no endless loop, and no byte of an object's
// text is lost or changed.
func FuzzReaders(f *testing.F) {
	for _, s := range []string{"{\"a\":1}\n{\"a\":2}", "{}}\n{", " {0\n", `[{"a":1},[2],"x"]`, "x,y\n1,\"2\n3\"", "{\"a\":\"\n{", "[{]}", "\xef\xbb\xbf{}", "Obj\x01\x04", "PAR1"} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(s), uint8(1))
	}
	names := []string{"in.json", "in.csv", "in.avro", "in.parquet", "in.json.gz"}
	f.Fuzz(func(t *testing.T, content []byte, kind uint8) {
		name := names[int(kind)%len(names)]
		late := time.AfterFunc(30*time.Second, func() { panic(fmt.Sprintf("%s does not end: %q", name, content)) })
		defer late.Stop()
		fast, err := readAll(t, name, content, false)
		if kind%5 > 1 {
			return
		}
		slow, slowErr := readAll(t, name, content, true)
		if (err == nil) != (slowErr == nil) {
			t.Errorf("%v, but byte by byte %v", err, slowErr)
		}
		if kind%5 == 0 && !slices.Equal(fast, slow) {
			t.Errorf("%q, but byte by byte %q", fast, slow)
		}
	})
}

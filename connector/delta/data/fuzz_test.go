package data

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"millrace/record"
)

// validNumber tells whether text is a JSON number.
func validNumber(text []byte) bool {
	return len(text) > 0 && (isDigit(text[0]) || text[0] == '-') && !bytes.ContainsAny(text, " \t\r\n") && json.Valid(text)
}

// checkDouble holds scanDouble against strconv.
func checkDouble(t testing.TB, text []byte) {
	t.Helper()
	want, err := strconv.ParseFloat(string(text), 64)
	f, end, ok := scanDouble(text, 0)
	whole := ok && end == len(text)
	if whole != (validNumber(text) && err == nil) {
		t.Fatalf("%q: %v, %d, %v; strconv says %v, %v", text, f, end, ok, want, err)
	}
	if whole && math.Float64bits(f) != math.Float64bits(want) {
		t.Fatalf("%q is %v, not %v", text, f, want)
	}
}

func TestDoublesAreExact(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for range 100_000 {
		text := []byte(nil)
		switch r.IntN(5) {
		case 0: // as the simulator writes them
			text = strconv.AppendFloat(nil, 10+90*r.Float64(), 'f', r.IntN(20), 64)
		case 1:
			text = strconv.AppendFloat(nil, math.Float64frombits(r.Uint64()), "eEfgG"[r.IntN(5)], r.IntN(25)-1, 64)
		case 2: // around the numbers that doubles hold exactly
			text = strconv.AppendUint(nil, 1<<53+r.Uint64N(64)-32, 10)
			if at := r.IntN(len(text)); at > 0 {
				text = append(append(append([]byte{}, text[:at]...), '.'), text[at:]...)
			}
		case 3: // any digits
			for range 1 + r.IntN(25) {
				text = append(text, byte('0'+r.IntN(10)))
			}
			text = append(text, '.')
			for range 1 + r.IntN(30) {
				text = append(text, byte('0'+r.IntN(10)))
			}
		case 4:
			for range 1 + r.IntN(12) {
				text = append(text, "0123456789.eE+-x"[r.IntN(16)])
			}
		}
		checkDouble(t, text)
	}
}

func FuzzDouble(f *testing.F) {
	for _, text := range []string{"45.123456789", "-0.0", "9007199254740993", "0.1e-400", "1e400", "1.", "01", "1e", "123456789012345678901", "0.00000000000000000000001"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkDouble(t, text) })
}

// FuzzComplexData holds the scanner against encoding/json: the fields it finds
// are those of the text, and it calls them all there is only if they are.
func FuzzComplexData(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add([]byte(randomComplex(r)))
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"moreData0":1,"moreData0":2}`))
	f.Add([]byte(`{"moreData22":1,"moreData0":2}`))
	f.Add([]byte(`{"more\u0044ata1":1e400}`))
	f.Add([]byte(` { "moreData1" : 1.5 , "moreData2":-0 } `))
	f.Fuzz(func(t *testing.T, text []byte) {
		var c complexFields
		exact := c.scan(text) // must come back whatever the text is
		object := bytes.TrimSpace(text)
		if !json.Valid(object) || object[0] != '{' {
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(object, &members); err != nil {
			return // invalid UTF-8 and the like, which no event has
		}
		if exact {
			// Rebuilt, it has the same content.
			want, err := record.Fingerprint(object)
			if err != nil {
				return
			}
			rebuilt := appendComplex(nil, &c)
			if have, err := record.Fingerprint(rebuilt); err != nil || have != want {
				t.Fatalf("%s became %s (%v)", object, rebuilt, err)
			}
		}
		for i, name := range complexNames {
			if c.present&(1<<i) == 0 {
				continue
			}
			if _, ok := members[name]; !ok {
				t.Fatalf("%s has no %s", object, name)
			}
		}
		usual := true
		for name, v := range members {
			var d float64
			usual = usual && isComplexName(name) && json.Unmarshal(v, &d) == nil && v[0] != 'n'
		}
		if usual && !exact && countMembers(object) == len(members) {
			t.Fatalf("%s is not taken for what it is", object)
		}
	})
}

func isComplexName(name string) bool {
	for _, n := range complexNames {
		if n == name {
			return true
		}
	}
	return false
}

// countMembers counts the members of an object's text, repeated ones too.
func countMembers(object []byte) (n int) {
	list := object[1 : len(object)-1]
	for at := 0; ; n++ {
		_, next, ok := nextMember(list, at)
		if !ok {
			return n
		}
		at = next
	}
}

// FuzzFile reads broken files: an error, or rows, but no panic, and an end.
func FuzzFile(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.parquet"))
	if err != nil || len(names) == 0 {
		f.Fatal("no files: ", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { readBroken(t, b) })
}

func readBroken(t testing.TB, b []byte) {
	file, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return
	}
	if file.Rows() > 1<<20 {
		return // reading them takes time, but nothing else
	}
	_ = file.ReadRows(context.Background(), goldenSchema, nil, func([]any) error { return nil })
	r, err := NewRewriter(goldenSchema, nil, WriterOptions{StatsColumns: -1})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r.Reset(&out)
	if r.Append(context.Background(), file) == nil {
		if _, err := r.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	_ = file.ReadEvents(context.Background(), memberColumns, nil, func(*record.Stored) error { return nil })
}

// Every file with a byte changed or cut off somewhere.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	results := randomResults(t, r, 50)
	events, _ := encode(t, Table{Columns: memberColumns}, WriterOptions{}, results, 1)
	for _, file := range [][]byte{events, golden(t, "v2-snappy.parquet"), golden(t, "delta-rs.parquet"), golden(t, "int96.parquet")} {
		for range 60 {
			b := bytes.Clone(file)
			for range 1 + r.IntN(3) {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
			if r.IntN(4) == 0 {
				// The footer is where most goes wrong.
				b[len(b)-8-r.IntN(min(1000, len(b)-8))] = byte(r.Uint32())
			}
			if r.IntN(8) == 0 {
				b = b[:r.IntN(len(b))]
			}
			readBroken(t, b)
		}
	}
}

// A byte that changed in a page is found by its checksum.
func TestChangedPagesAreFound(t *testing.T) {
	t.Parallel()
	results := standardResults(t, newRand(t), 500)
	file, _ := encode(t, Table{}, WriterOptions{}, results, 1)
	columns := open(t, file).file.Metadata().RowGroups[0].Columns
	for _, c := range columns {
		b := bytes.Clone(file)
		end := c.MetaData.DataPageOffset + c.MetaData.TotalCompressedSize
		if c.MetaData.DictionaryPageOffset > 0 {
			end = c.MetaData.DictionaryPageOffset + c.MetaData.TotalCompressedSize
		}
		b[end-1] ^= 1
		err := open(t, b).ReadEvents(t.Context(), nil, nil, func(*record.Stored) error { return nil })
		if err == nil {
			t.Errorf("column %v was changed unnoticed", c.MetaData.PathInSchema)
		}
	}
}

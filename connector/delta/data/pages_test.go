package data

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/format"

	"millrace/connector/delta/schema"
)

// texts writes a file of texts, which are null where the value is nil.
func texts(t testing.TB, codecName string, values [][]byte) []byte {
	t.Helper()
	l, err := newLayout(schema.New(schema.Column("s", schema.String)), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCodec(codecName)
	if err != nil {
		t.Fatal(err)
	}
	w := newFileWriter(l, c, func(*leaf) bool { return true })
	var out bytes.Buffer
	w.start(&out)
	for i, v := range values {
		w.columns[0].textOrNull(v)
		if i%stretch == stretch-1 || i == len(values)-1 {
			if err := w.endRows(i%stretch + 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.finish(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Dictionaries that are worth it, that are not, and that cease to be.
func TestTextsOfAllKinds(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	long := strings.Repeat("0123456789abcdef", 8<<10)
	for _, tt := range []struct {
		name       string
		n          int
		value      func(i int) string
		dict, text bool
	}{
		{"few", 25_000, func(i int) string { return fmt.Sprint("device-", i%100) }, true, false},
		{"one", 25_000, func(int) string { return "x" }, true, false},
		{"all different", 25_000, func(i int) string { return fmt.Sprint("id-", i*7919%25_000) }, false, true},
		{"first few, then many", 45_000, func(i int) string {
			if i < 20_480 {
				return "same"
			}
			return fmt.Sprint("id-", i)
		}, true, true},
		{"long", 40, func(i int) string { return long + fmt.Sprint(i%3) }, true, false},
		{"long and different", 40, func(i int) string { return fmt.Sprint(i) + long }, true, true},
		{"empty", 10, func(int) string { return "" }, true, false},
	} {
		for _, nulls := range []bool{false, true} {
			codec := Compressions()[r.IntN(3)]
			t.Run(fmt.Sprint(tt.name, nulls), func(t *testing.T) {
				t.Parallel()
				values := make([][]byte, tt.n)
				for i := range values {
					if !nulls || (i*31+7)%5 != 0 {
						values[i] = []byte(tt.value(i))
					}
				}
				file := texts(t, codec, values)
				i := 0
				err := open(t, file).ReadRows(t.Context(), schema.New(schema.Column("s", schema.String)), nil, func(row []any) error {
					if values[i] == nil && row[0] != nil || values[i] != nil && row[0] != string(values[i]) {
						return fmt.Errorf("row %d is %.50q, not %.50q", i, row[0], values[i])
					}
					i++
					return nil
				})
				if err != nil || i != tt.n {
					t.Fatalf("%d rows: %v", i, err)
				}
				dict, text := false, false
				for _, g := range open(t, file).file.Metadata().RowGroups {
					for _, e := range g.Columns[0].MetaData.Encoding {
						dict = dict || e == format.RLEDictionary
					}
					text = text || g.Columns[0].MetaData.TotalUncompressedSize > int64(tt.n)*3
				}
				if !nulls && tt.name != "long and different" && dict != tt.dict {
					t.Errorf("dictionary %v, not %v", dict, tt.dict)
				}
				rows := duckDB(t, file, "SELECT count(*), count(s), count(DISTINCT s), sum(strlen(s)) FROM FILE")
				different, count, size := map[string]bool{}, 0, 0
				for _, v := range values {
					if v != nil {
						different[string(v)] = true
						count++
						size += len(v)
					}
				}
				if want := fmt.Sprint([]int{tt.n, count, len(different), size}); want != fmt.Sprint(rows[0]) {
					t.Errorf("DuckDB counts %v, not %s", rows[0], want)
				}
			})
		}
	}
}

// Several row groups, of which the writer has only one in memory.
func TestRowGroups(t *testing.T) {
	t.Parallel()
	s := schema.New(schema.Column("s", schema.String), schema.Column("n", schema.Long))
	l, err := newLayout(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newFileWriter(l, nil, func(*leaf) bool { return true })
	var out bytes.Buffer
	w.most = 1 << 20
	w.start(&out)
	const rows = 3000
	pad := strings.Repeat("y", 1<<10)
	for i := range rows {
		w.columns[0].text(fmt.Append(nil, i, pad))
		w.columns[1].long(int64(i))
		if err := w.endRows(1); err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, c := range w.columns {
			held += c.size()
		}
		if held > w.most+1<<12 {
			t.Fatalf("%d bytes are in memory", held)
		}
	}
	if _, err := w.finish(); err != nil {
		t.Fatal(err)
	}
	f := open(t, out.Bytes())
	if n := len(f.file.RowGroups()); n < 3 {
		t.Fatalf("%d row groups", n)
	}
	i := 0
	err = f.ReadRows(t.Context(), s, nil, func(row []any) error {
		if row[1] != int64(i) || row[0] != fmt.Sprint(i)+pad {
			return fmt.Errorf("row %d is not what it was", i)
		}
		i++
		return nil
	})
	if err != nil || i != rows {
		t.Fatalf("%d rows: %v", i, err)
	}
	if have := duckDB(t, out.Bytes(), "SELECT count(*), sum(n) FROM FILE WHERE n >= 0 AND s > ''")[0]; fmt.Sprint(have) != "[3000 4498500]" {
		t.Errorf("DuckDB reads %v", have)
	}
}

// Data that does not compress is left as it is, and the reverse.
func TestCompressionWhereItHelps(t *testing.T) {
	t.Parallel()
	results := standardResults(t, newRand(t), 2000)
	file, _ := encode(t, Table{}, WriterOptions{Compression: Snappy}, results, 1)
	codecs := map[string]format.CompressionCodec{}
	for _, c := range open(t, file).file.Metadata().RowGroups[0].Columns {
		codecs[strings.Join(c.MetaData.PathInSchema, ".")] = c.MetaData.Codec
	}
	if codecs["complexData.moreData7"] != format.Uncompressed || codecs["storedAt"] != format.Snappy || codecs["extra"] != format.Uncompressed {
		t.Errorf("the columns are compressed by %v", codecs)
	}
}

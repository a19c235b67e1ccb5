package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/connector/delta/schema"
)

const goldenRows = 40

// goldenSchema has the columns of testdata/make.py.
var goldenSchema = schema.New(
	schema.Column("id", schema.Long),
	schema.Column("b", schema.Byte),
	schema.Column("s", schema.Short),
	schema.Column("i", schema.Integer),
	schema.Column("f", schema.Float),
	schema.Column("d", schema.Double),
	schema.Column("flag", schema.Boolean),
	schema.Column("text", schema.String),
	schema.Column("bin", schema.Binary),
	schema.Column("day", schema.Date),
	schema.Column("at", schema.Timestamp),
	schema.Column("small", schema.Decimal{Precision: 9, Scale: 2}),
	schema.Column("mid", schema.Decimal{Precision: 18, Scale: 4}),
	schema.Column("big", schema.Decimal{Precision: 38, Scale: 10}),
	schema.Column("list", &schema.Array{Element: schema.Long, ContainsNull: true}),
	schema.Column("lists", &schema.Array{Element: &schema.Array{Element: schema.Integer, ContainsNull: true}, ContainsNull: true}),
	schema.Column("map", &schema.Map{Key: schema.String, Value: schema.Long, ValueContainsNull: true}),
	schema.Column("point", schema.New(schema.Column("x", schema.Double),
		schema.Column("tags", &schema.Array{Element: schema.String, ContainsNull: true}))),
	schema.Column("points", &schema.Array{Element: schema.New(schema.Column("x", schema.Long), schema.Column("y", schema.String)), ContainsNull: true}),
)

// goldenRow is what make.py puts into row i.
func goldenRow(i int) []any {
	pick := func(values ...any) any { return values[i%len(values)] }
	if i%5 == 4 {
		row := make([]any, len(goldenSchema.Fields))
		row[0] = int64(i)
		return row
	}
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	return []any{
		int64(i),
		pick(int64(-128), int64(0), int64(127)),
		pick(int64(-32768), int64(0), int64(32767)),
		pick(int64(math.MinInt32), int64(0), int64(math.MaxInt32)),
		pick(float32(1.5), float32(math.Copysign(0, -1)), float32(3.0e38)),
		pick(45.123456789, -1e-300, 0.1),
		i%3 == 0,
		pick("", "é😀", strings.Repeat("x", 40), "null"),
		pick([]byte{}, []byte{0, 0xff}, []byte("abc")),
		pick(day(2026, 1, 2), day(1969, 12, 31), day(1, 1, 1)),
		pick(time.Date(2026, 1, 2, 15, 4, 5, 123456000, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
			time.Date(1582, 10, 15, 0, 0, 0, 1000, time.UTC), nil),
		pick("-9999999.99", "0.00", "12.30"),
		pick("-99999999999999.9999", "0.0001", "123.0000"),
		pick("-9999999999999999999999999999.0000000000", "12345678901234567890.1234567890", "0.0000000000"),
		pick([]any{int64(1), nil, int64(3)}, []any{}, []any{int64(7)}),
		pick([]any{[]any{int64(1)}, []any{}, nil, []any{int64(2), int64(3)}}, []any{}, []any{[]any{nil}}),
		pick([]Pair{{"a", int64(1)}, {"b", nil}}, []Pair{}, []Pair{{"", int64(0)}}),
		pick([]any{1.5, []any{"p", nil}}, []any{nil, []any{}}, []any{-1.0, nil}),
		pick([]any{[]any{int64(1), nil}, nil, []any{int64(2), "z"}}, []any{}, []any{[]any{nil, "q"}}),
	}
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameRows checks the rows of a file.
func sameRows(t testing.TB, file []byte, s *schema.Struct, want func(i int) []any) {
	t.Helper()
	i := 0
	err := open(t, file).ReadRows(context.Background(), s, nil, func(row []any) error {
		for k, v := range row {
			w := want(i)[k]
			if !reflect.DeepEqual(v, w) && !(fmt.Sprint(v) == fmt.Sprint(w) && reflect.TypeOf(v) == reflect.TypeOf(w)) {
				t.Fatalf("row %d: %s is %#v, not %#v", i, s.Fields[k].Name, v, w)
			}
		}
		i++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if i != goldenRows {
		t.Fatalf("%d rows", i)
	}
}

// rewrite copies files into one.
func rewrite(t testing.TB, s *schema.Struct, o WriterOptions, files ...[]byte) ([]byte, Written) {
	t.Helper()
	r, err := NewRewriter(s, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r.Reset(&out)
	for _, f := range files {
		if err := r.Append(context.Background(), open(t, f)); err != nil {
			t.Fatal(err)
		}
	}
	written, err := r.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if written.Size != int64(out.Len()) {
		t.Fatalf("%d bytes are said to be %d", out.Len(), written.Size)
	}
	return out.Bytes(), written
}

func TestFilesOfOtherWriters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain", "dictionary", "v2", "v2-snappy", "int96", "old-list-names", "delta-rs", "millis"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := goldenRow
			if name == "millis" {
				want = func(i int) []any {
					row := goldenRow(i)
					if at, ok := row[10].(time.Time); ok {
						row[10] = time.UnixMilli(at.UnixMicro() / 1000).UTC() // the writer cuts towards zero
					}
					return row
				}
			}
			file := golden(t, name+".parquet")
			sameRows(t, file, goldenSchema, want)
			for _, codec := range Compressions() {
				copied, _ := rewrite(t, goldenSchema, WriterOptions{Compression: codec, StatsColumns: -1}, file)
				sameRows(t, copied, goldenSchema, want)
			}
		})
	}
}

func TestFileOfAnOlderSchema(t *testing.T) {
	t.Parallel()
	want := func(i int) []any {
		row := make([]any, len(goldenSchema.Fields))
		full := goldenRow(i)
		row[0] = full[0]
		if p, ok := full[17].([]any); ok {
			row[17] = []any{nil, p[1]}
		}
		if list, ok := full[18].([]any); ok {
			out := []any{}
			for _, p := range list {
				if p != nil {
					p = []any{nil, p.([]any)[1]}
				}
				out = append(out, p)
			}
			row[18] = out
		}
		return row
	}
	file := golden(t, "few.parquet")
	sameRows(t, file, goldenSchema, want)
	copied, _ := rewrite(t, goldenSchema, WriterOptions{}, file)
	sameRows(t, copied, goldenSchema, want)
}

func TestFileOfNulls(t *testing.T) {
	t.Parallel()
	want := func(i int) []any {
		row := make([]any, len(goldenSchema.Fields))
		row[0] = int64(i)
		return row
	}
	file := golden(t, "nulls.parquet")
	sameRows(t, file, goldenSchema, want)
	copied, written := rewrite(t, goldenSchema, WriterOptions{StatsColumns: 3}, file)
	sameRows(t, copied, goldenSchema, want)
	const stats = `{"numRecords":40,"minValues":{"id":0},"maxValues":{"id":39},"nullCount":{"id":0,"b":40,"s":40}}`
	if written.Stats != stats {
		t.Errorf("the statistics are %s", written.Stats)
	}
}

func TestFileOfRequiredColumns(t *testing.T) {
	t.Parallel()
	s := schema.New(goldenSchema.Fields[0], goldenSchema.Fields[14])
	want := func(i int) []any {
		list := []any{}
		for range i % 3 {
			list = append(list, int64(i))
		}
		return []any{int64(i), list}
	}
	file := golden(t, "required.parquet")
	sameRows(t, file, s, want)
	copied, _ := rewrite(t, s, WriterOptions{}, file)
	sameRows(t, copied, s, want)
	// The other way round: a table that forbids nulls.
	strict := schema.New(schema.Field{Name: "id", Type: schema.Long}, schema.Field{Name: "list",
		Type: &schema.Array{Element: schema.Long}})
	sameRows(t, copied, strict, want)
	sameRows(t, file, strict, want)
	copied, _ = rewrite(t, strict, WriterOptions{}, file)
	sameRows(t, copied, strict, want)
	sameRows(t, copied, s, want)
	r, err := NewRewriter(strict, nil, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.Reset(&bytes.Buffer{})
	var broken *BrokenError
	if err := r.Append(t.Context(), open(t, golden(t, "plain.parquet"))); !errors.As(err, &broken) {
		t.Errorf("nulls where there must be none: %v", err)
	}
}

// What DuckDB sees in a rewritten file is what it sees in the original.
func TestDuckDBReadsRewrittenFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.parquet", "int96.parquet", "delta-rs.parquet"} {
		file := golden(t, name)
		copied, written := rewrite(t, goldenSchema, WriterOptions{Compression: Zstd, StatsColumns: -1}, file, file)
		const query = `SELECT DISTINCT * REPLACE (epoch_us("at") AS "at") FROM FILE ORDER BY id`
		want, have := duckDB(t, file, query), duckDB(t, copied, query)
		if written.Rows != 2*goldenRows || len(have) != goldenRows || !reflect.DeepEqual(want, have) {
			t.Errorf("%s: DuckDB reads\n%v, not\n%v", name, have, want)
		}
	}
}

package data

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go/format"

	"millrace/connector/delta/schema"
	"millrace/record"
)

func TestTableSchema(t *testing.T) {
	t.Parallel()
	s, err := Table{Columns: memberColumns, PartitionBy: []string{"createdDate", "type"}}.Schema()
	if err != nil {
		t.Fatal(err)
	}
	const first = "struct<eventId:string,deviceId:string,deviceSequenceNumber:long,type:string,value:double,complexData:struct<moreData0:double,"
	const last = ",moreData22:double>,createdAt:timestamp,enqueuedAt:timestamp,processedAt:timestamp,storedAt:timestamp," +
		"partitionId:integer,logOffset:long,extra:string,createdDate:date,humidity:double,site:string,count:long,on:boolean>"
	if text := s.String(); !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		t.Errorf("the table is %s", text)
	}
	// The columns of members are known again by the schema alone.
	back, err := schema.Parse(s.Text())
	if err != nil {
		t.Fatal(err)
	}
	if have := MemberColumns(back); !slices.Equal(have, memberColumns) {
		t.Errorf("the members' columns are %v", have)
	}
	_, err = Table{PartitionBy: []string{"value", "type", "type"}, Columns: []Column{{"EVENTID", schema.Long}, {"a", schema.Binary},
		{"b", schema.Long}, {"B", schema.Long}, {"createddate", schema.Date}, {"a b", schema.String}, {"", schema.String}}}.Schema()
	for _, part := range []string{`by "value"`, "by type twice", `"EVENTID"`, `"a" cannot be a binary`, `"B"`, `"createddate"`, `"a b"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not in %v", part, err)
		}
	}
}

// Tables that others have made, or that have grown.
func TestWriterOfOtherTables(t *testing.T) {
	t.Parallel()
	own, err := Table{}.Schema()
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(f []schema.Field) []schema.Field) *schema.Struct {
		return schema.New(change(slices.Clone(own.Fields))...)
	}
	replace := func(name string, t schema.Type, nullable bool) *schema.Struct {
		return with(func(f []schema.Field) []schema.Field {
			i := slices.IndexFunc(f, func(f schema.Field) bool { return f.Name == name })
			f[i].Type, f[i].Nullable = t, nullable
			return f
		})
	}
	for _, tt := range []struct {
		name  string
		table *schema.Struct
		err   string
	}{
		{"less", with(func(f []schema.Field) []schema.Field { return f[:12] }), "no column extra"},
		{"another type", replace("value", schema.String, true), "value is of type string"},
		{"no struct", replace("complexData", schema.String, true), "complexData is of type string"},
		{"a smaller struct", replace("complexData", schema.New(schema.Column("moreData0", schema.Double)), true), "no member moreData1"},
		{"required and there", replace("eventId", schema.String, false), ""},
		{"required", replace("type", schema.String, false), "type may not be null"},
		{"more", with(func(f []schema.Field) []schema.Field {
			return append([]schema.Field{schema.Column("note", schema.String)}, f...)
		}), ""},
		{"more that is required", with(func(f []schema.Field) []schema.Field {
			return append(f, schema.Field{Name: "note", Type: schema.String})
		}), "note may not be null"},
		{"other letters", with(func(f []schema.Field) []schema.Field {
			for i := range f {
				f[i].Name = strings.ToUpper(f[i].Name)
			}
			return f
		}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, err := NewEventWriter(Table{}, tt.table, WriterOptions{StatsColumns: -1})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v does not say %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			results := randomResults(t, newRand(t), 300)
			file, written, err := w.Encode(nil, results, nil, 7)
			if err != nil {
				t.Fatal(err)
			}
			sameEvents(t, open(t, file), nil, nil, results, 7)
			checkStats(t, file, tt.table, written.Stats)
		})
	}
	if _, err := NewEventWriter(Table{}, nil, WriterOptions{Compression: "lzo"}); err == nil {
		t.Error("there is no lzo here")
	}
}

// The columns that a table is partitioned by are in its log alone.
func TestPartitionedEvents(t *testing.T) {
	t.Parallel()
	table := Table{PartitionBy: []string{"type", "partitionId", "createdDate"}, Columns: memberColumns}
	s, err := table.Schema()
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewEventWriter(table, s, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	results := randomResults(t, newRand(t), 500)
	type part struct {
		typ       string
		partition int32
	}
	rows := map[part][]int32{}
	for i := range results {
		p := part{string(results[i].Type), results[i].Partition}
		rows[p] = append(rows[p], int32(i))
	}
	var file []byte
	for p, indexes := range rows {
		var err error
		var written Written
		if file, written, err = w.Encode(file[:0], results, indexes, 9); err != nil {
			t.Fatal(err)
		}
		var want []record.Result
		for _, i := range indexes {
			want = append(want, results[i])
		}
		values := map[string]string{"type": p.typ, "partitionId": strconv.Itoa(int(p.partition)), "createdDate": "2026-01-02"}
		f := open(t, file)
		if slices.ContainsFunc(f.file.Metadata().Schema[1:], func(e format.SchemaElement) bool { return table.partitioned(e.Name) }) {
			t.Fatal("the file has a column that the table is partitioned by")
		}
		sameEvents(t, f, memberColumns, values, want, 9)
		if written.Rows != int64(len(indexes)) {
			t.Fatalf("%d rows", written.Rows)
		}
		n := 0
		err = f.ReadRows(t.Context(), s, values, func(row []any) error {
			n++
			kind := any(p.typ)
			if p.typ == "" {
				kind = nil
			}
			if row[3] != kind || row[10] != int64(p.partition) || row[13] != time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) {
				t.Fatalf("%v is not of %v", row, values)
			}
			return nil
		})
		if err != nil || n != len(indexes) {
			t.Fatalf("%d rows: %v", n, err)
		}
	}
}

func TestParsePartition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		typ  schema.Type
		text string
		want any
	}{
		{schema.String, "", nil}, {schema.String, "null", "null"}, {schema.Long, "-7", int64(-7)}, {schema.Boolean, "true", true},
		{schema.Double, "1.5", 1.5}, {schema.Float, "1.5", float32(1.5)}, {schema.Date, "0001-01-01", time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)},
		{schema.Timestamp, "2026-01-02 15:04:05.123456", time.Date(2026, 1, 2, 15, 4, 5, 123456000, time.UTC)},
		{schema.Timestamp, "2026-01-02T15:04:05.5Z", time.Date(2026, 1, 2, 15, 4, 5, 500000000, time.UTC)},
		{schema.Timestamp, "2026-01-02T15:04:05+01:00", time.Date(2026, 1, 2, 14, 4, 5, 0, time.UTC)},
		{schema.Decimal{Precision: 10, Scale: 3}, "-1.5", "-1.500"},
	} {
		if have, err := ParsePartition(tt.typ, tt.text); err != nil || have != tt.want {
			t.Errorf("%q as %s is %v (%v)", tt.text, tt.typ, have, err)
		}
	}
	for _, tt := range []struct {
		typ  schema.Type
		text string
	}{{schema.Long, "x"}, {schema.Date, "2026-13-01"}, {schema.Timestamp, "now"}, {schema.Decimal{Precision: 3}, "1/3"}, {goldenSchema, "{}"}} {
		if v, err := ParsePartition(tt.typ, tt.text); err == nil {
			t.Errorf("%q as %s is %v", tt.text, tt.typ, v)
		}
	}
}

// failingReader fails after some reads.
type failingReader struct {
	*bytes.Reader
	left int
}

var errUnreachable = errors.New("the storage cannot be reached")

func (r *failingReader) ReadAt(p []byte, off int64) (int, error) {
	if r.left--; r.left < 0 {
		return 0, errUnreachable
	}
	return r.Reader.ReadAt(p, off)
}

// Storage that fails is not a broken file.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	results := standardResults(t, newRand(t), 50)
	file, _ := encode(t, Table{}, WriterOptions{}, results, 1)
	for reads := 0; ; reads++ {
		r := &failingReader{Reader: bytes.NewReader(file), left: reads}
		f, err := Open(r, int64(len(file)))
		if err == nil {
			err = f.ReadEvents(t.Context(), nil, nil, func(*record.Stored) error { return nil })
		}
		if err == nil {
			break // so many reads are enough
		}
		var broken *BrokenError
		if !errors.Is(err, errUnreachable) || errors.As(err, &broken) {
			t.Fatalf("after %d reads: %v", reads, err)
		}
	}
	for _, b := range [][]byte{nil, []byte("PAR1"), []byte("PAR1xxxxPAR1"), bytes.Repeat([]byte("x"), 100)} {
		var broken *BrokenError
		if _, err := Open(bytes.NewReader(b), int64(len(b))); !errors.As(err, &broken) {
			t.Errorf("%q: %v", b, err)
		}
	}
	// A caller's own error and the end of a context come through.
	f := open(t, file)
	if err := f.ReadEvents(t.Context(), nil, nil, func(*record.Stored) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.ReadEvents(ctx, nil, nil, func(*record.Stored) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A writer whose file was given up half-way begins the next one afresh.
func TestWriterIsUsedAgain(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	w, err := NewEventWriter(Table{Columns: memberColumns}, nil, WriterOptions{StatsColumns: -1})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.Reset(io.Discard)
		if err := w.Write(randomResults(t, r, r.IntN(700)), 3); err != nil {
			t.Fatal(err)
		}
		results := randomResults(t, r, r.IntN(700))
		want, wantWritten := encode(t, Table{Columns: memberColumns}, WriterOptions{StatsColumns: -1}, results, 5)
		have, written, err := w.Encode(nil, results, nil, 5)
		if err != nil || !bytes.Equal(have, want) || written != wantWritten {
			t.Fatalf("the same results made another file: %v, %+v, %+v", err, written, wantWritten)
		}
		w.Reset(failingWriter{})
		if err := w.Write(results, 3); err == nil {
			if _, err = w.Finish(); !errors.Is(err, io.ErrShortWrite) {
				t.Fatal(err)
			}
		}
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

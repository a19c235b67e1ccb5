package data

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"millrace/connector/delta/schema"
)

// statistics are what a reader takes from the text.
type statistics struct {
	NumRecords int64          `json:"numRecords"`
	MinValues  map[string]any `json:"minValues"`
	MaxValues  map[string]any `json:"maxValues"`
	NullCount  map[string]any `json:"nullCount"`
}

func parseStats(t testing.TB, text string) statistics {
	t.Helper()
	var s statistics
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return s
}

// within tells whether a value lies on the right side of a bound, as readers of
// statistics compare them.
func within(t testing.TB, bound, v any, typ schema.Type, high bool) bool {
	t.Helper()
	var order int
	if d, ok := typ.(schema.Decimal); ok {
		a, _ := new(big.Rat).SetString(bound.(json.Number).String())
		b, ok := new(big.Rat).SetString(v.(string))
		if !ok {
			t.Fatalf("%v is no %v", v, d)
		}
		order = b.Cmp(a)
	} else {
		switch typ {
		case schema.Long, schema.Integer, schema.Short, schema.Byte:
			n, err := bound.(json.Number).Int64()
			if err != nil {
				t.Fatal(err)
			}
			order = compareOrdered(v.(int64), n)
		case schema.Float:
			f, err := bound.(json.Number).Float64()
			if err != nil {
				t.Fatal(err)
			}
			order = compareOrdered(v.(float32), float32(f))
		case schema.Double:
			f, err := bound.(json.Number).Float64()
			if err != nil {
				t.Fatal(err)
			}
			order = compareOrdered(v.(float64), f)
		case schema.String:
			order = strings.Compare(v.(string), bound.(string))
		case schema.Date:
			d, err := time.Parse(time.DateOnly, bound.(string))
			if err != nil {
				t.Fatal(err)
			}
			order = v.(time.Time).Compare(d)
		case schema.Timestamp:
			d, err := time.Parse("2006-01-02T15:04:05.000Z", bound.(string))
			if err != nil {
				t.Fatal(err)
			}
			order = v.(time.Time).Compare(d)
		default:
			t.Fatalf("a bound of type %s", typ)
		}
	}
	return high && order <= 0 || !high && order >= 0
}

func compareOrdered[T int64 | float32 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// checkStats holds the statistics of a file against its rows, and returns how
// many leaves have bounds.
func checkStats(t testing.TB, file []byte, s *schema.Struct, text string) (bounded int) {
	t.Helper()
	stats := parseStats(t, text)
	rows := int64(0)
	nulls := map[string]int64{}
	var row func(path string, fields []schema.Field, values []any, low, high map[string]any)
	row = func(path string, fields []schema.Field, values []any, low, high map[string]any) {
		for i, f := range fields {
			var v any
			if values != nil {
				v = values[i]
			}
			if in, ok := f.Type.(*schema.Struct); ok {
				inner, _ := v.([]any)
				l, _ := low[f.Name].(map[string]any)
				h, _ := high[f.Name].(map[string]any)
				row(path+f.Name+".", in.Fields, inner, l, h)
				continue
			}
			if v == nil {
				nulls[path+f.Name]++
				continue
			}
			if b, ok := low[f.Name]; ok && !within(t, b, v, f.Type, false) {
				t.Fatalf("%s%s has %v, less than %v", path, f.Name, v, b)
			}
			if b, ok := high[f.Name]; ok && !within(t, b, v, f.Type, true) {
				t.Fatalf("%s%s has %v, more than %v", path, f.Name, v, b)
			}
		}
	}
	err := open(t, file).ReadRows(context.Background(), s, nil, func(values []any) error {
		rows++
		row("", s.Fields, values, stats.MinValues, stats.MaxValues)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if rows != stats.NumRecords {
		t.Fatalf("%d rows, the statistics say %d", rows, stats.NumRecords)
	}
	for _, leaf := range s.Leaves() {
		count, low, high := any(stats.NullCount), any(stats.MinValues), any(stats.MaxValues)
		for _, name := range leaf.Path {
			count, low, high = memberOf(count, name), memberOf(low, name), memberOf(high, name)
		}
		if count == nil {
			if low != nil || high != nil {
				t.Fatalf("%v has bounds but no count of nulls", leaf.Path)
			}
			continue
		}
		if fmt.Sprint(count) != fmt.Sprint(nulls[strings.Join(leaf.Path, ".")]) {
			t.Fatalf("%v is null %d times, the statistics say %v", leaf.Path, nulls[strings.Join(leaf.Path, ".")], count)
		}
		if (low == nil) != (high == nil) && leaf.Type != schema.String {
			t.Fatalf("%v has one bound", leaf.Path)
		}
		if low != nil {
			bounded++
		}
	}
	return bounded
}

func memberOf(v any, name string) any {
	m, _ := v.(map[string]any)
	return m[name]
}

func TestStatisticsOfEvents(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	s, err := Table{Columns: memberColumns}.Schema()
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		results := randomResults(t, r, 1+r.IntN(200))
		file, written := encode(t, Table{Columns: memberColumns}, WriterOptions{StatsColumns: -1}, results, 1767322800000001)
		checkStats(t, file, s, written.Stats)
	}
}

func TestStatisticsOfEveryType(t *testing.T) {
	t.Parallel()
	file, written := rewrite(t, goldenSchema, WriterOptions{StatsColumns: -1}, golden(t, "plain.parquet"))
	// All but boolean, binary, arrays and maps; point.x is the 15th.
	if n := checkStats(t, file, goldenSchema, written.Stats); n != 13 {
		t.Errorf("%d columns have bounds in %s", n, written.Stats)
	}
	stats := parseStats(t, written.Stats)
	for name, want := range map[string][2]string{
		"id": {"0", "39"}, "b": {"-128", "127"}, "f": {"-0.0", "3e+38"}, "d": {"-1e-300", "45.123456789"}, "day": {"0001-01-01", "2026-01-02"},
		"at":    {"1582-10-15T00:00:00.000Z", "2026-01-02T15:04:05.124Z"},
		"small": {"-9999999.99", "12.30"}, "big": {"-9999999999999999999999999999.0000000000", "12345678901234567890.1234567890"},
	} {
		if have := [2]string{fmt.Sprint(stats.MinValues[name]), fmt.Sprint(stats.MaxValues[name])}; have != want {
			t.Errorf("%s lies in %v, not in %v", name, have, want)
		}
	}
}

// The first so many leaves have statistics, and structs count by their members.
func TestStatisticsOfFirstColumns(t *testing.T) {
	t.Parallel()
	results := standardResults(t, newRand(t), 20)
	for _, tt := range []struct {
		columns, nulls int
		last           string
	}{{0, 0, ""}, {1, 1, "eventId"}, {5, 5, "value"}, {6, 6, "complexData"}, {28, 6, "complexData"}, {29, 7, "createdAt"},
		{DefaultStatsColumns, 10, "storedAt"}, {-1, 13, "extra"}, {1000, 13, "extra"}} {
		_, written := encode(t, Table{}, WriterOptions{StatsColumns: tt.columns}, results, 1)
		stats := parseStats(t, written.Stats)
		if len(stats.NullCount) != tt.nulls || tt.last != "" && stats.NullCount[tt.last] == nil || stats.NumRecords != 20 {
			t.Errorf("%d columns: %s", tt.columns, written.Stats)
		}
	}
	// In a partitioned table its columns do not count.
	w, err := NewEventWriter(Table{PartitionBy: []string{"type", "createdDate"}}, nil, WriterOptions{StatsColumns: 4})
	if err != nil {
		t.Fatal(err)
	}
	_, written, err := w.Encode(nil, results, []int32{3}, 1)
	if err != nil {
		t.Fatal(err)
	}
	stats := parseStats(t, written.Stats)
	if len(stats.NullCount) != 4 || stats.NullCount["value"] == nil || stats.NumRecords != 1 {
		t.Errorf("with partitions: %s", written.Stats)
	}
}

func TestStatisticsOfTexts(t *testing.T) {
	t.Parallel()
	x31, x32 := strings.Repeat("x", 31), strings.Repeat("x", 32)
	top := string(utf8.MaxRune)
	for _, tt := range []struct{ text, low, high string }{
		{"", "", ""},
		{x32, x32, x32},
		{x32 + "a", x32, x32 + "\x7f"},
		{x32 + "\x7e", x32, x32 + "\x7f"},
		{x32 + "\x7f", x32, x32 + top},
		{x32 + "é", x32, x32 + top},
		{x31 + "éa", x31 + "é", x31 + "é\x7f"},
		{strings.Repeat("é", 40), strings.Repeat("é", 32), strings.Repeat("é", 32) + top},
		{x32 + top, x32, x32 + top},
		{x32 + top + "a", x32, x32 + top + "\x7f"},
		{x32 + top + top + "é", x32, x32 + top + top + top},
		{"a\"\n\x00", "a\"\n\x00", "a\"\n\x00"},
	} {
		for _, high := range []bool{false, true} {
			want := tt.low
			if high {
				want = tt.high
			}
			b, ok := appendTextStat(nil, []byte(tt.text), high)
			var have string
			if err := json.Unmarshal(b, &have); err != nil || !ok || have != want {
				t.Errorf("%q, high %v: %q (%v, %v), not %q", tt.text, high, b, ok, err, want)
			}
		}
	}
	if _, ok := appendTextStat(nil, []byte(strings.Repeat(top, 100)+"a"), true); ok {
		t.Error("a text that no short one is above has a bound")
	}
	if _, ok := appendTextStat(nil, []byte("\xff"), false); ok {
		t.Error("what is no text has a bound")
	}
}

func TestStatisticsOfTimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		micros    int64
		low, high string
	}{
		{0, `"1970-01-01T00:00:00.000Z"`, `"1970-01-01T00:00:00.000Z"`},
		{1, `"1970-01-01T00:00:00.000Z"`, `"1970-01-01T00:00:00.001Z"`},
		{999, `"1970-01-01T00:00:00.000Z"`, `"1970-01-01T00:00:00.001Z"`},
		{-1, `"1969-12-31T23:59:59.999Z"`, `"1970-01-01T00:00:00.000Z"`},
		{firstTime - 1, "", ""}, {math.MinInt64, "", ""}, {math.MaxInt64, "", ""}, {lastTime, "", ""},
	} {
		low, _ := appendTimeStat(nil, tt.micros, false)
		high, _ := appendTimeStat(nil, tt.micros, true)
		if string(low) != tt.low || string(high) != tt.high {
			t.Errorf("%d lies in %s to %s", tt.micros, low, high)
		}
	}
}

// numbers writes a file of doubles, with a row group for each list.
func numbers(t testing.TB, groups ...[]float64) ([]byte, string) {
	t.Helper()
	s := schema.New(schema.Column("d", schema.Double), schema.Column("f", schema.Float))
	l, err := newLayout(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newFileWriter(l, nil, func(*leaf) bool { return false })
	var out bytes.Buffer
	w.start(&out)
	for _, g := range groups {
		for _, v := range g {
			w.columns[0].double(v)
			w.columns[1].integer(int32(math.Float32bits(float32(v))))
		}
		if err := w.endRows(len(g)); err != nil {
			t.Fatal(err)
		}
		w.endGroup()
	}
	if _, err := w.finish(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), newStatsLayout(s, l, nil, -1).text(w)
}

func TestStatisticsOfNumbersThatAreNone(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		groups [][]float64
		bounds string
	}{
		{[][]float64{{1, 2}, {-3}}, `"minValues":{"d":-3,"f":-3},"maxValues":{"d":2,"f":2}`},
		{[][]float64{{1, nan, 2}}, `"minValues":{},"maxValues":{}`},
		{[][]float64{{nan}}, `"minValues":{},"maxValues":{}`},
		{[][]float64{{1}, {nan}, {2}}, `"minValues":{},"maxValues":{}`},
		{[][]float64{{inf, 1}}, `"minValues":{},"maxValues":{}`},
		{[][]float64{{math.Copysign(0, -1)}}, `"minValues":{"d":-0.0,"f":-0.0},"maxValues":{"d":0.0,"f":0.0}`},
		{[][]float64{{0, 5}}, `"minValues":{"d":-0.0,"f":-0.0},"maxValues":{"d":5,"f":5}`},
	} {
		file, stats := numbers(t, tt.groups...)
		if !strings.Contains(stats, tt.bounds) {
			t.Errorf("%v: %s", tt.groups, stats)
		}
		// The footer must not lie either: DuckDB prunes by it. NaN is the
		// largest number there.
		n := 0
		for _, g := range tt.groups {
			for _, v := range g {
				if v > 1.5 || math.IsNaN(v) {
					n++
				}
			}
		}
		if have := duckDB(t, file, "SELECT count(*) FROM FILE WHERE d > 1.5 AND f > 1.5")[0][0]; have != fmt.Sprint(n) {
			t.Errorf("%v: DuckDB finds %s of %d", tt.groups, have, n)
		}
	}
}

// Random texts of few characters, so that many have the same beginning.
func TestStatisticsOfRandomTexts(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	alphabet := []rune{'a', 'b', 0x7e, 0x7f, 'é', 0xffff, utf8.MaxRune}
	for range 2000 {
		n := 1 + r.IntN(4)
		var b bounds
		var texts []string
		for range n {
			text := randomRunes(r, alphabet)
			texts = append(texts, text)
			b.text([]byte(text), bytes.Compare)
		}
		for _, high := range []bool{false, true} {
			in := b.lowBytes
			if high {
				in = b.highBytes
			}
			out, ok := appendTextStat(nil, in, high)
			if !ok {
				continue
			}
			var bound string
			if err := json.Unmarshal(out, &bound); err != nil {
				t.Fatal(err)
			}
			for _, text := range texts {
				if !within(t, bound, text, schema.String, high) {
					t.Fatalf("%q is not within %q (high %v)", text, bound, high)
				}
			}
		}
	}
}

func randomRunes(r *rand.Rand, alphabet []rune) string {
	runes := make([]rune, r.IntN(4))
	if r.IntN(2) == 0 {
		runes = make([]rune, 30+r.IntN(10))
	}
	common := alphabet[r.IntN(len(alphabet))]
	for i := range runes {
		runes[i] = common
		if i > 30 || r.IntN(20) == 0 {
			runes[i] = alphabet[r.IntN(len(alphabet))]
		}
	}
	return string(runes)
}

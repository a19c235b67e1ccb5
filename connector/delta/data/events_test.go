package data

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"millrace/connector/delta/schema"
	"millrace/record"
)

func newRand(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

var memberColumns = []Column{{"humidity", schema.Double}, {"site", schema.String}, {"count", schema.Long}, {"on", schema.Boolean}}

// randomJSON is a JSON value of any type.
func randomJSON(r *rand.Rand, depth int) string {
	kinds := 9
	if depth == 0 {
		kinds = 7
	}
	switch r.IntN(kinds) {
	case 0:
		return "null"
	case 1:
		return []string{"true", "false"}[r.IntN(2)]
	case 2:
		return fmt.Sprint(r.Int64() - math.MaxInt64/2)
	case 3:
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			f = -0.5
		}
		return fmt.Sprintf([]string{"%g", "%e", "%.20e"}[r.IntN(3)], f)
	case 4:
		return []string{"0", "-0", "-0.0", "1e400", "0.1e-400", "1E5", "10.50", "123456789012345678901234567890"}[r.IntN(8)]
	case 5, 6:
		return []string{`""`, `"a"`, `"é😀"`, `"\u0041\n\"\\/"`, `"` + strings.Repeat("x", r.IntN(60)) + `"`, `"\ud83d\ude00"`}[r.IntN(6)]
	case 7:
		var parts []string
		for range r.IntN(4) {
			parts = append(parts, randomJSON(r, depth-1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	var parts []string
	for range r.IntN(4) {
		parts = append(parts, fmt.Sprintf(`"%c" : %s`, 'a'+r.IntN(3), randomJSON(r, depth-1)))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// randomComplex is a complexData of the usual or of another shape.
func randomComplex(r *rand.Rand) string {
	var parts []string
	for i := range complexCount {
		if r.IntN(8) > 0 {
			parts = append(parts, fmt.Sprintf(`"moreData%d":%d.%013d`, i, r.IntN(100), r.Int64N(1e13)))
		}
	}
	switch r.IntN(6) {
	case 0:
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	case 1:
		parts = append(parts, `"moreData`+fmt.Sprint(r.IntN(30))+`": `+randomJSON(r, 2))
	case 2:
		return randomJSONObject(r)
	case 3:
		return "{" + strings.Join(parts, " ,\n") + "}"
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func randomJSONObject(r *rand.Rand) string {
	for {
		if s := randomJSON(r, 2); s[0] == '{' {
			return s
		}
	}
}

// randomEvent is an event with all that may be unusual about one.
func randomEvent(r *rand.Rand, sequence int) []byte {
	id := fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
	if r.IntN(5) == 0 {
		id = strings.ToUpper(id)
	}
	created := string(record.AppendTime(nil, r.Int64N(253402300800)*1_000_000+r.Int64N(1_000_000)))
	if r.IntN(5) == 0 {
		created = strings.Replace(created, "Z", "+01:30", 1)
	}
	parts := []string{`"eventId":"` + id + `"`, fmt.Sprintf(`"deviceId":"device\u002d%d"`, r.IntN(20)),
		fmt.Sprintf(`"deviceSequenceNumber":%d`, sequence), `"createdAt":"` + created + `"`}
	some := func(part string) {
		if r.IntN(3) > 0 {
			parts = append(parts, part)
		}
	}
	some(`"type":` + []string{`"TEMP"`, `"CO2"`, `""`, `"é\n"`, `"\u0000"`}[r.IntN(5)])
	some(`"value":` + []string{"0", "-0.0", "1e308", "45.123456789", "-3"}[r.IntN(5)])
	some(`"complexData":` + randomComplex(r))
	if r.IntN(2) == 0 {
		for range r.IntN(5) {
			name := []string{"humidity", "site", "count", "on", "storedAt", "extra", "x", `\u0073ite`, "Site"}[r.IntN(9)]
			parts = append(parts, `"`+name+`": `+randomJSON(r, 2))
		}
	}
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return []byte("{" + strings.Join(parts, ",") + "}")
}

func randomResults(t testing.TB, r *rand.Rand, n int) []record.Result {
	results := make([]record.Result, 0, n)
	for i := range n {
		var res record.Result
		raw := randomEvent(r, i)
		if err := res.Decode(raw); err != nil {
			t.Fatalf("the test made %s: %v", raw, err)
		}
		res.Partition, res.Offset = int32(r.IntN(8)), r.Int64()
		res.EnqueuedAt, res.ProcessedAt = record.NoTime, record.NoTime
		if r.IntN(4) > 0 {
			res.EnqueuedAt, res.ProcessedAt = r.Int64N(1e15), -r.Int64N(1e15)
		}
		results = append(results, res)
	}
	return results
}

func encode(t testing.TB, table Table, o WriterOptions, results []record.Result, storedAt int64) ([]byte, Written) {
	t.Helper()
	w, err := NewEventWriter(table, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	file, written, err := w.Encode(nil, results, nil, storedAt)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(file)) != written.Size || written.Rows != int64(len(results)) {
		t.Fatalf("a file of %d bytes with %d results is said to have %+v", len(file), len(results), written)
	}
	return file, written
}

func open(t testing.TB, file []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// sameEvents checks that a file gives back the events that went in, in order.
func sameEvents(t testing.TB, f *File, columns []Column, partition map[string]string, results []record.Result, storedAt int64) {
	t.Helper()
	i := 0
	err := f.ReadEvents(context.Background(), columns, partition, func(s *record.Stored) error {
		r := &results[i]
		fingerprint, err := record.Fingerprint(r.Raw)
		if err != nil {
			t.Fatal(err)
		}
		want := record.Stored{ID: r.ID, DeviceID: r.DeviceID, Sequence: r.Sequence, Partition: r.Partition, Offset: r.Offset,
			CreatedAt: r.CreatedAt, EnqueuedAt: r.EnqueuedAt, ProcessedAt: r.ProcessedAt, StoredAt: storedAt, Fingerprint: fingerprint}
		if fmt.Sprint(want) != fmt.Sprint(*s) {
			t.Fatalf("row %d is\n%+v, not\n%+v, of\n%s", i, *s, want, r.Raw)
		}
		i++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if i != len(results) {
		t.Fatalf("%d rows of %d", i, len(results))
	}
}

func TestEventsComeBack(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for _, codec := range Compressions() {
		for _, columns := range [][]Column{nil, memberColumns} {
			for _, n := range []int{0, 1, 3, 700} {
				results := randomResults(t, r, n)
				file, _ := encode(t, Table{Columns: columns}, WriterOptions{Compression: codec, StatsColumns: -1}, results, 1767322800000001)
				f := open(t, file)
				if f.Rows() != int64(n) {
					t.Fatalf("the file has %d rows, not %d", f.Rows(), n)
				}
				sameEvents(t, f, columns, nil, results, 1767322800000001)
			}
		}
	}
}

func TestStandardEventsNeedNoExtra(t *testing.T) {
	t.Parallel()
	results := standardResults(t, newRand(t), 500)
	file, _ := encode(t, Table{}, WriterOptions{}, results, 1)
	s, err := Table{}.Schema()
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	err = open(t, file).ReadRows(context.Background(), s, nil, func(row []any) error {
		var complexData map[string]float64
		if err := json.Unmarshal(results[i].ComplexData, &complexData); err != nil {
			return err
		}
		for k, v := range row[5].([]any) {
			if v != complexData[complexNames[k]] {
				t.Fatalf("row %d: %s is %v, not %v", i, complexNames[k], v, complexData[complexNames[k]])
			}
		}
		if row[0] != results[i].ID.String() || row[3] != string(results[i].Type) || row[4] != results[i].Value || row[12] != nil {
			t.Fatalf("row %d is %v", i, row)
		}
		i++
		return nil
	})
	if err != nil || i != 500 {
		t.Fatalf("%d rows: %v", i, err)
	}
}

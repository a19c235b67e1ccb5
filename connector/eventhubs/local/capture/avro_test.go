package capture

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/amqp"

	"github.com/hamba/avro/v2/ocf"
)

// row is an event as another Avro library sees it.
type row struct {
	sequence      int64
	offset, clock string
	system        map[string]any
	custom        map[string]any
	body          []byte // nil: null
}

// readFile decodes a file with the Avro library hamba/avro, which shares no code
// with this package.
func readFile(t testing.TB, file []byte) []row {
	t.Helper()
	d, err := ocf.NewDecoder(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for d.HasNext() {
		var r map[string]any
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		out := row{sequence: r["SequenceNumber"].(int64), offset: r["Offset"].(string), clock: r["EnqueuedTimeUtc"].(string),
			system: branches(r["SystemProperties"]), custom: branches(r["Properties"])}
		switch b := r["Body"].(type) {
		case nil:
		case []byte:
			out.body = b
		case map[string]any:
			out.body = b["bytes"].([]byte)
		default:
			t.Fatalf("a body of type %T", b)
		}
		rows = append(rows, out)
	}
	if err := d.Error(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// branches takes the values of a map out of the union's wrapping.
func branches(m any) map[string]any {
	out := map[string]any{}
	for k, v := range m.(map[string]any) {
		if w, ok := v.(map[string]any); ok && len(w) == 1 {
			for _, inner := range w {
				v = inner
			}
		}
		out[k] = v
	}
	return out
}

// writeFile makes a file of events.
func writeFile(t testing.TB, codec string, events []event) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	s, err := newSpill(path, codec, syncMarker("hub", 3, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	enc := newEncoder()
	for i := range events {
		if err := s.add(enc, &events[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.finish(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || int64(len(data)) != s.size {
		t.Fatalf("%d bytes, said %d: %v", len(data), s.size, err)
	}
	return data
}

// The head of the service's own files, as recorded, up to the sync marker.
func TestHeader(t *testing.T) {
	t.Parallel()
	marker := syncMarker("hub", 0, 0)
	head := appendHeader(nil, codecNull, marker)
	if len(head) != 490 || len(schema) != 438 {
		t.Errorf("a header of %d bytes with a schema of %d", len(head), len(schema))
	}
	want, _ := hex.DecodeString("4f626a01" + "04" + "14" + hex.EncodeToString([]byte("avro.codec")) + "08" + hex.EncodeToString([]byte("null")) +
		"16" + hex.EncodeToString([]byte("avro.schema")) + "ec06")
	if !bytes.HasPrefix(head, want) || string(head[len(want):len(want)+438]) != schema || head[473] != 0 || !bytes.Equal(head[474:], marker[:]) {
		t.Errorf("header % x", head)
	}
}

func TestEmptyFile(t *testing.T) {
	t.Parallel()
	marker := syncMarker("hub", 3, 0)
	file := writeFile(t, codecNull, nil)
	if len(file) != 508 || !bytes.Equal(file[490:], append([]byte{0, 0}, marker[:]...)) {
		t.Errorf("%d bytes, ending in % x", len(file), file[490:])
	}
	if rows := readFile(t, file); len(rows) != 0 {
		t.Errorf("rows: %v", rows)
	}
	// Readers skip files of up to 508 bytes.
	if file = writeFile(t, codecDeflate, nil); len(file) > 508 {
		t.Errorf("compressed: %d bytes", len(file))
	}
	if rows := readFile(t, file); len(rows) != 0 {
		t.Errorf("rows: %v", rows)
	}
}

func TestSyncMarker(t *testing.T) {
	t.Parallel()
	a := syncMarker("h", 1, 2)
	if a != syncMarker("h", 1, 2) {
		t.Error("it changes")
	}
	for _, b := range [][syncSize]byte{syncMarker("g", 1, 2), syncMarker("h", 2, 2), syncMarker("h", 1, 3)} {
		if a == b {
			t.Error("another file has the same")
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2016-11-16T16:44:11.999Z": "11/16/2016 4:44:11 PM",
		"2023-02-06T18:29:45Z":     "2/6/2023 6:29:45 PM",
		"2024-01-02T00:00:09Z":     "1/2/2024 12:00:09 AM",
		"2024-12-31T12:05:00Z":     "12/31/2024 12:05:00 PM",
		"2024-12-31T23:59:59.5Z":   "12/31/2024 11:59:59 PM",
		"1969-12-31T23:59:59.5Z":   "12/31/1969 11:59:59 PM",
		"1970-01-01T00:00:00Z":     "1/1/1970 12:00:00 AM",
	} {
		at, err := time.Parse(time.RFC3339, in)
		if err != nil {
			t.Fatal(err)
		}
		rows := readFile(t, writeFile(t, codecNull, []event{{enqueued: at.UnixMilli()}, {sequence: 1, enqueued: at.UnixMilli()}}))
		if rows[0].clock != want || rows[1].clock != want {
			t.Errorf("%s: %q, %q", in, rows[0].clock, rows[1].clock)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	uuid := amqp.UUID{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	for _, tt := range []struct{ in, want any }{
		{int8(-1), int64(-1)}, {int16(-300), int64(-300)}, {int32(1 << 30), int64(1 << 30)}, {int64(math.MinInt64), int64(math.MinInt64)},
		{uint8(255), int64(255)}, {uint16(65535), int64(65535)}, {uint32(math.MaxUint32), int64(math.MaxUint32)},
		{uint64(math.MaxInt64), int64(math.MaxInt64)}, {uint64(math.MaxUint64), "18446744073709551615"},
		{amqp.Timestamp(1700000000123), int64(1700000000123)},
		{float32(0.5), 0.5}, {-1e300, -1e300}, {true, "True"}, {false, "False"}, {"é", "é"}, {"", ""}, {"a\xff", "a\uFFFD"},
		{amqp.Symbol("sym"), "sym"}, {amqp.Char('☃'), "☃"}, {uuid, "00112233-4455-6677-8899-aabbccddeeff"},
		{[]byte{0, 1, 255}, []byte{0, 1, 255}}, {[]byte{}, []byte{}}, {nil, nil},
		{amqp.List{int32(1), "a", nil, true, []byte("hi"), amqp.Map{{Key: "k", Value: 1.5}}}, `[1,"a",null,true,"aGk=",{"k":1.5}]`},
		{[]string{"a", "b"}, `["a","b"]`}, {[]amqp.Symbol{"x"}, `["x"]`}, {amqp.Array{uint8(1)}, `[1]`}, {amqp.Map{}, `{}`},
		{amqp.Described{Descriptor: uint64(1), Value: "v"}, `"v"`}, {amqp.List{math.NaN(), math.Inf(1), uuid, amqp.Char('x')}, `["NaN","+Inf","00112233-4455-6677-8899-aabbccddeeff","x"]`},
		{amqp.Decimal32{0x32, 0x80, 0x00, 0x7b}, 123.0}, {amqp.Decimal64{0xb1, 0x80, 0, 0, 0, 0, 0x30, 0x39}, -123.45},
	} {
		file := writeFile(t, codecNull, []event{{custom: amqp.Map{{Key: "k", Value: tt.in}}, system: amqp.Map{{Key: amqp.Symbol("k"), Value: tt.in}}}})
		r := readFile(t, file)[0]
		if got, ok := r.custom["k"]; !ok || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%T %v: %T %v", tt.in, tt.in, got, got)
		}
		if got, ok := r.system["k"]; ok != (tt.in != nil) || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("of the system, %T %v: %T %v", tt.in, tt.in, got, got)
		}
	}
}

func TestDecimals(t *testing.T) {
	t.Parallel()
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for s, want := range map[string]float64{
		"32800001": 1, "b2800001": -1, "32000001": 0.1, "3280000a": 10, "00000000": 0, "78000000": math.Inf(1), "f8000000": math.Inf(-1),
		"6cb8967f":         9999999, // the large form
		"31c0000000000001": 1, "31a0000000000019": 2.5, "f800000000000000": math.Inf(-1),
		"6c7386f26fc0ffff":                 9999999999999999,
		"3040000000000000000000000000002a": 42, "b03e000000000000000000000000007b": -12.3,
	} {
		if got := decimal(unhex(s)); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	if !math.IsNaN(decimal(unhex("7c000000"))) {
		t.Error("not a number")
	}
}

// Keys are sorted, whatever their order was; of equal ones the last counts.
func TestMapsAreReproducible(t *testing.T) {
	t.Parallel()
	m := amqp.Map{{Key: "b", Value: 1.0}, {Key: amqp.Symbol("a"), Value: "x"}, {Key: "c", Value: nil}, {Key: "a", Value: int64(7)}, {Key: int32(5), Value: "n"}}
	enc := newEncoder()
	first := enc.properties(nil, m, true)
	r := readFile(t, writeFile(t, codecNull, []event{{custom: m, system: m}}))[0]
	if want := map[string]any{"a": int64(7), "b": 1.0, "c": nil, "5": "n"}; !reflect.DeepEqual(r.custom, want) {
		t.Errorf("%v", r.custom)
	}
	if want := map[string]any{"a": int64(7), "b": 1.0, "5": "n"}; !reflect.DeepEqual(r.system, want) {
		t.Errorf("%v", r.system)
	}
	m[0], m[2] = m[2], m[0]
	if !bytes.Equal(first, enc.properties(nil, m, true)) {
		t.Error("another order made other bytes")
	}
	if got := enc.properties(nil, amqp.Map{{Key: "x", Value: nil}}, false); !bytes.Equal(got, []byte{0}) {
		t.Errorf("a map of what is left out: % x", got)
	}
}

// randomEvents returns events as clients write them, and stranger ones.
func randomEvents(r *rand.Rand, n int) []event {
	value := func() any {
		switch r.IntN(9) {
		case 0:
			return nil
		case 1:
			return r.Int64() - r.Int64()
		case 2:
			return r.NormFloat64()
		case 3:
			return []byte(strconv.Itoa(r.Int()))
		case 4:
			return r.IntN(2) == 0
		case 5:
			return amqp.Timestamp(r.Int64N(1 << 41))
		case 6:
			return amqp.List{int32(1), "two"}
		}
		return fmt.Sprint("value ", r.Int())
	}
	properties := func() (m amqp.Map) {
		for range max(0, r.IntN(8)-3) {
			m = append(m, amqp.Pair{Key: fmt.Sprint("key", r.IntN(20)), Value: value()})
		}
		return m
	}
	events := make([]event, n)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli()
	for i := range events {
		at += r.Int64N(300)
		e := event{sequence: int64(i), enqueued: at, system: properties(), custom: properties()}
		if r.IntN(10) > 0 {
			e.body = make([]byte, r.IntN(3000))
			for j := range e.body {
				e.body[j] = byte(r.Uint32())
			}
		}
		if r.IntN(1000) == 0 {
			e.body = make([]byte, 1<<20)
		}
		events[i] = e
	}
	return events
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	events := randomEvents(r, 3000)
	for _, codec := range []string{codecNull, codecDeflate} {
		file := writeFile(t, codec, events)
		if !bytes.Equal(file, writeFile(t, codec, events)) {
			t.Errorf("%s: the same events make another file", codec)
		}
		rows := readFile(t, file)
		if len(rows) != len(events) {
			t.Fatalf("%s: %d rows", codec, len(rows))
		}
		for i, row := range rows {
			e := &events[i]
			if row.sequence != e.sequence || row.offset != fmt.Sprint(e.sequence) ||
				row.clock != time.UnixMilli(e.enqueued).UTC().Format("1/2/2006 3:04:05 PM") || (row.body == nil) != (e.body == nil) || !bytes.Equal(row.body, e.body) {
				t.Fatalf("%s: row %d is %+v", codec, i, row)
			}
			keys := map[string]bool{}
			for _, p := range e.custom {
				keys[p.Key.(string)] = true
			}
			if len(row.custom) != len(keys) {
				t.Fatalf("%s: row %d has %v, not %v", codec, i, row.custom, e.custom)
			}
		}
		sizes := blockSizes(t, file)
		for i, n := range sizes {
			if codec == codecNull && (n < blockSize && i < len(sizes)-1 || n > 4<<20) || n == 0 {
				t.Errorf("%s: block %d of %d has %d bytes", codec, i, len(sizes), n)
			}
		}
		if len(sizes) < 4 {
			t.Errorf("%s: %d blocks", codec, len(sizes))
		}
	}
}

// blockSizes walks a file's blocks, checking that each ends in the marker.
func blockSizes(t testing.TB, file []byte) (sizes []int) {
	t.Helper()
	d, err := ocf.NewDecoder(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	head := 490
	if string(d.Metadata()["avro.codec"]) == codecDeflate {
		head += 3
	}
	marker, rest := file[head-syncSize:head], file[head:]
	for len(rest) > 0 {
		_, n := varint(rest)
		size, m := varint(rest[n:])
		rest = rest[n+m+int(size):]
		if !bytes.Equal(rest[:syncSize], marker) {
			t.Fatal("a block without the marker behind it")
		}
		rest = rest[syncSize:]
		sizes = append(sizes, int(size))
	}
	return sizes
}

func varint(b []byte) (v int64, n int) {
	var u uint64
	for ; ; n++ {
		u |= uint64(b[n]&0x7f) << (7 * n)
		if b[n] < 0x80 {
			return int64(u>>1) ^ -int64(u&1), n + 1
		}
	}
}

// Whatever is in an event, the file can be read, and holds the body.
func FuzzEncode(f *testing.F) {
	f.Add(int64(0), []byte("body"), []byte{0xa1, 1, 'x'})
	f.Add(int64(-5), []byte{}, []byte{0xc1, 5, 2, 0xa1, 1, 'k', 0x40})
	f.Add(int64(1<<60), []byte(nil), []byte{0x83, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add(int64(1), []byte("x"), []byte{0x94, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	f.Fuzz(func(t *testing.T, n int64, body, encoded []byte) {
		v, _, err := amqp.ReadValue(encoded)
		if err != nil {
			return
		}
		m := amqp.Map{{Key: "k", Value: v}, {Key: v, Value: "as a key"}}
		enc := newEncoder()
		sync := syncMarker("h", 0, n)
		data := enc.event(nil, &event{sequence: n, enqueued: n % (1 << 45), system: m, custom: m, body: body})
		file := appendHeader(nil, codecNull, sync)
		file = appendLong(appendLong(file, 1), int64(len(data)))
		file = append(append(file, data...), sync[:]...)
		rows := readFile(t, file)
		if len(rows) != 1 || rows[0].sequence != n || !bytes.Equal(rows[0].body, body) || len(rows[0].custom) == 0 {
			t.Errorf("%+v", rows)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	events := make([]event, 1000)
	for i := range events {
		body := make([]byte, 1000)
		for j := range body {
			body[j] = "0123456789.,\":abcdef"[r.IntN(20)]
		}
		events[i] = event{sequence: int64(i), enqueued: 1767323045000 + int64(i), body: body}
	}
	withKey := slices.Clone(events)
	for i := range withKey {
		withKey[i].system = amqp.Map{{Key: "x-opt-partition-key", Value: "contoso://device-id-154"}}
		withKey[i].custom = amqp.Map{{Key: "type", Value: "TEMP"}, {Key: "n", Value: int32(7)}}
	}
	for _, bb := range []struct {
		name, codec string
		events      []event
	}{{"null", codecNull, events}, {"null with properties", codecNull, withKey}, {"deflate", codecDeflate, events}} {
		b.Run(bb.name, func(b *testing.B) {
			s, err := newSpill(filepath.Join(b.TempDir(), "f"), bb.codec, syncMarker("h", 0, 0), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer s.close()
			enc := newEncoder()
			b.SetBytes(1000)
			for i := 0; b.Loop(); i++ {
				if err := s.add(enc, &bb.events[i%1000]); err != nil {
					b.Fatal(err)
				}
				if s.size > 256<<20 {
					// A new file's worth of disk, without its bookkeeping.
					if _, err := s.file.Seek(0, io.SeekStart); err != nil {
						b.Fatal(err)
					}
					s.size = 0
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

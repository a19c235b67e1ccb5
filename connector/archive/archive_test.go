package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"millrace/connector"
	"millrace/record"
)

func scan(t testing.TB, s *Store) []record.Stored {
	t.Helper()
	var out []record.Stored
	err := s.Scan(context.Background(), func(r *record.Stored) error {
		c := *r
		c.DeviceID = slices.Clone(c.DeviceID)
		out = append(out, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func scanRaw(t testing.TB, s *Store) []record.Batch {
	t.Helper()
	var out []record.Batch
	err := s.ScanRaw(context.Background(), func(b *record.Batch) error {
		c := *b
		c.Records = nil
		for _, r := range b.Records {
			r.Value = bytes.Clone(r.Value)
			c.Records = append(c.Records, r)
		}
		out = append(out, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestScanGivesEachEventOnce(t *testing.T) {
	t.Parallel()
	a := sample(t)
	s := a.open()
	rows := scan(t, s)
	if len(rows) != 4000 {
		t.Fatalf("%d rows", len(rows))
	}
	for i := range rows {
		want := record.Stored{ID: id(i), Sequence: int64(i / 7), Offset: int64(i), ProcessedAt: record.NoTime,
			DeviceID: fmt.Appendf(nil, "contoso://device-id-%d", i%7), CreatedAt: began.Add(time.Duration(i) * time.Millisecond).UnixMicro()}
		switch {
		case i < 3000:
			want.StoredAt = began.Add(10500 * time.Millisecond).UnixMicro()
		case i < 3500:
			want.StoredAt = began.Add(time.Hour + 10500*time.Millisecond).UnixMicro()
		default:
			want.Partition, want.Offset = 1, int64(i-3500)
			// The storage tells whole seconds here.
			want.StoredAt = began.Add(2*time.Hour).UnixMicro() + 999_999
		}
		want.EnqueuedAt = began.Add(time.Duration(want.Offset) * time.Millisecond).Truncate(time.Second).UnixMicro()
		var err error
		if want.Fingerprint, err = record.Fingerprint(event(i)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(rows[i], want) {
			t.Fatalf("row %d\n got %+v\nwant %+v", i, rows[i], want)
		}
	}
	if !strings.Contains(a.log.String(), "are no events") || !strings.Contains(a.log.String(), "records=5") {
		t.Errorf("the log says nothing of malformed records: %s", a.log.String())
	}
}

func TestScanRawGivesEveryRecord(t *testing.T) {
	t.Parallel()
	a := sample(t)
	next := map[int32]int64{}
	n := 0
	for _, b := range scanRaw(t, a.open()) {
		for _, r := range b.Records {
			if r.Offset != next[b.Partition] {
				t.Fatalf("partition %d: %d follows %d", b.Partition, r.Offset, next[b.Partition])
			}
			next[b.Partition]++
			n++
			switch {
			case b.Partition == 1 && r.Offset == 503:
				if r.Value != nil {
					t.Errorf("a record without a body has %q", r.Value)
				}
			case b.Partition == 1 && r.Offset == 502:
				if string(r.Value) != `not JSON "` {
					t.Errorf("%q", r.Value)
				}
			}
		}
		if b.Next != next[b.Partition] {
			t.Errorf("next is %d, not %d", b.Next, next[b.Partition])
		}
	}
	if n != 4007 || strings.Contains(a.log.String(), "follow each other") {
		t.Errorf("%d records, log %s", n, a.log.String())
	}
}

func TestGapsAndOverlapsAreTold(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.write(0, began, events(0, 0, 10)...)
	a.write(0, began.Add(time.Minute), events(12, 12, 20)...)
	a.write(0, began.Add(2*time.Minute), events(18, 18, 30)...)
	a.write(1, began.Add(time.Minute), events(500, 100, 110)...)
	s := a.open()
	if n := len(scanRaw(t, s)); n != 4 {
		t.Errorf("%d batches", n)
	}
	if n := strings.Count(a.log.String(), "do not follow"); n != 2 || !strings.Contains(a.log.String(), "/10/01/07.avro") {
		t.Errorf("%d warnings: %s", n, a.log.String())
	}
	if rows := scan(t, s); len(rows) != 10+18+10 {
		t.Errorf("%d events", len(rows))
	}
	if got := ask(t, s, "SELECT count(*), count(DISTINCT eventId), min(PartitionId) FROM unique_events"); fmt.Sprint(got) != "[[38 38 0]]" {
		t.Errorf("%v", got)
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	s := a.open()
	positions := func() map[int32]int64 {
		t.Helper()
		p, err := s.Positions(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := positions(); len(p) != 0 {
		t.Errorf("an archive that is not there has positions %v", p)
	}
	empty := encode(t, schemaWithNull, ocf.Null, 100)
	a.write(0, began, events(0, 0, 250)...)
	a.put(name(0, began.Add(time.Minute)), empty, began)
	a.put(name(7, began.Add(time.Minute)), empty, began)
	a.put(name(11, began), encode(t, schemaForeign, ocf.Snappy, 3, events(1000, 0, 7)...), began)
	want := map[int32]int64{0: 250, 11: 1007}
	if p := positions(); !reflect.DeepEqual(p, want) {
		t.Errorf("%v, want %v", p, want)
	}
	// What was read is remembered: a file that has become unreadable is not
	// needed again.
	path := filepath.Join(a.root, "capture", "ns", "telemetry", "0", "2026", "11", "22", "10", "00", "07.avro")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	a.write(0, began.Add(2*time.Minute), events(250, 0, 1)...)
	want[0] = 251
	if p := positions(); !reflect.DeepEqual(p, want) {
		t.Errorf("%v, want %v", p, want)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{1}, int(info.Size())), 0o644); err != nil {
		t.Fatal(err)
	}
	if p := positions(); !reflect.DeepEqual(p, want) {
		t.Errorf("%v, want %v", p, want)
	}
}

// Both schemas of Capture, foreign ones, every codec and any length of block
// give the same records.
func TestFormats(t *testing.T) {
	t.Parallel()
	records := events(0, 0, 57)
	for i := range records {
		records[i].system = map[string]any{"x-opt-partition-key": fmt.Sprint("k", i), "n": int64(i), "key": []byte{1, 0xff}}
		records[i].properties = map[string]any{"f": float64(i) / 4, "text": "a\"b", "neg": int64(-i)}
	}
	records[5].body, records[6].body, records[7].properties = nil, []byte{}, nil
	records[8].at = time.Date(2026, 1, 2, 0, 4, 5, 0, time.UTC) // midnight is 12 AM
	var want []string
	for _, schema := range []string{schemaWithNull, schemaWithoutNull, schemaForeign} {
		for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate, ocf.Snappy, ocf.ZStandard} {
			for _, length := range []int{1, 40} {
				a := newArchive(t)
				a.put(name(0, began), encode(t, schema, codec, length, records...), began)
				s := a.open()
				var got []string
				for _, b := range scanRaw(t, s) {
					for _, r := range b.Records {
						got = append(got, fmt.Sprintf("%d %d %q %v", r.Offset, r.Timestamp, r.Value, r.Value == nil))
					}
				}
				for _, row := range ask(t, s, `SELECT SystemProperties->>'$.n', SystemProperties->>'$.key', Properties->>'$.f', Properties->>'$.text', "Offset", EnqueuedTimeUtc FROM events ORDER BY SequenceNumber`) {
					got = append(got, fmt.Sprint(row...))
				}
				if want == nil {
					if want = got; len(got) != 2*57 || !strings.Contains(got[8], fmt.Sprint(records[8].at.UnixMicro())) {
						t.Fatalf("%v", got)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s by %d: %v", codec, length, got)
				}
				if p, err := s.Positions(context.Background()); err != nil || p[0] != 57 {
					t.Errorf("%s by %d: positions %v %v", codec, length, p, err)
				}
			}
		}
	}
}

func TestForeignFilesThatAreNotCaptures(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	var out bytes.Buffer
	e, err := ocf.NewEncoder(`{"type":"record","name":"X","fields":[{"name":"SequenceNumber","type":"long"},{"name":"Text","type":"string"}]}`, &out)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Encode(map[string]any{"SequenceNumber": int64(1), "Text": strings.Repeat("x", 600)}), e.Close()); err != nil {
		t.Fatal(err)
	}
	a.put(name(0, began), out.Bytes(), began)
	err = a.open().Scan(context.Background(), func(*record.Stored) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "no Body") || !strings.Contains(err.Error(), "07.avro") {
		t.Errorf("%v", err)
	}
}

func TestScanStopsWithItsCallerAndContext(t *testing.T) {
	t.Parallel()
	s := sample(t).open()
	stop := errors.New("enough")
	n := 0
	if err := s.Scan(context.Background(), func(*record.Stored) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err := s.ScanRaw(ctx, func(*record.Batch) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestStoreTakesNothing(t *testing.T) {
	t.Parallel()
	s := newArchive(t).open()
	ctx := context.Background()
	var h *connector.Hinted
	if _, err := s.Write(ctx, &connector.Write{}); !errors.As(err, &h) {
		t.Errorf("%v", err)
	}
	if _, err := s.Claim(ctx, "w", []int32{0}); !errors.As(err, &h) {
		t.Errorf("%v", err)
	}
	if tr := s.Traits(); tr.Kind != connector.AppendOnce {
		t.Errorf("%+v", tr)
	}
	if err := s.Prepare(ctx); err != nil {
		t.Error(err)
	}
	if got := ask(t, s, "SELECT count(*) FROM events"); fmt.Sprint(got) != "[[0]]" {
		t.Errorf("an empty archive: %v", got)
	}
}

func TestDropLeavesOtherHubsAlone(t *testing.T) {
	t.Parallel()
	a := sample(t)
	s := a.open()
	if err := s.Drop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(scanRaw(t, s)); n != 0 {
		t.Errorf("%d batches are left", n)
	}
	for _, kept := range []string{"other/0/2026/11/22/10/00/00.avro", "telemetry/notes.avro"} {
		if _, err := os.Stat(filepath.Join(a.root, "capture", "ns", kept)); err != nil {
			t.Error(err)
		}
	}
	if err := s.Drop(context.Background()); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestSeveralNamespaces(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.write(0, began, events(0, 0, 3)...)
	a.put("two/telemetry/0/2026/11/22/10/00/07", encode(t, schemaWithNull, ocf.Null, 100, events(0, 0, 5)...), began)
	if n := len(scan(t, a.open())); n != 3 {
		t.Errorf("%d events of the configured namespace", n)
	}
	a.cfg.Namespace = ""
	err := a.open().Scan(context.Background(), func(*record.Stored) error { return nil })
	var h *connector.Hinted
	if !errors.As(err, &h) || !strings.Contains(err.Error(), "ns, two") {
		t.Errorf("%v", err)
	}
}

func TestRunsDoNotMix(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	a.put("ns/telemetry-r1/0/2026/11/22/10/00/07", encode(t, schemaWithNull, ocf.Null, 100, events(0, 0, 5)...), began)
	a.put("ns/telemetry-r10/0/2026/11/22/10/00/07", encode(t, schemaWithNull, ocf.Null, 100, events(0, 0, 50)...), began)
	s, err := a.cfg.Open(context.Background(), connector.Env{Run: "r1", DataDir: a.root, Log: a.open().env.Log})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := len(scan(t, s.(*Store))); n != 5 {
		t.Errorf("%d events", n)
	}
	if d := s.Describe(); !strings.Contains(d, "telemetry-r1") {
		t.Error(d)
	}
	a.cfg.Hub, a.cfg.ExactHub = "telemetry-r10", true
	exact, err := a.cfg.Open(context.Background(), connector.Env{Run: "r2", DataDir: a.root, Log: a.open().env.Log})
	if err != nil {
		t.Fatal(err)
	}
	defer exact.Close()
	if n := len(scan(t, exact.(*Store))); n != 50 {
		t.Errorf("%d events of the hub as it is named", n)
	}
}

// However records are spread over files, partitions, copies and formats: Scan
// gives each event once, from its first copy, and SQL agrees with it.
func TestScanAndQueriesAgree(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 7))
		a := newArchive(t)
		type place struct {
			partition int
			sequence  int64
		}
		first := map[record.ID]place{}
		total, bad := 0, 0
		for p := range 1 + r.IntN(3) {
			sequence := int64(r.IntN(100))
			window := began
			for range r.IntN(5) {
				var records []sent
				for range r.IntN(400) {
					body := event(r.IntN(900))
					if r.IntN(20) == 0 {
						body = []byte("{")
						bad++
					} else if e := new(record.Event); e.Decode(body) != nil {
						t.Fatal("not an event")
					} else if _, seen := first[e.ID]; !seen {
						first[e.ID] = place{p, sequence}
					}
					records = append(records, sent{sequence: sequence, body: body})
					sequence++
					total++
				}
				schema := []string{schemaWithNull, schemaWithoutNull, schemaForeign}[r.IntN(3)]
				codec := []ocf.CodecName{ocf.Null, ocf.Deflate}[r.IntN(2)]
				a.put(name(p, window), encode(t, schema, codec, 1+r.IntN(200), records...), began)
				window = window.Add(time.Duration(1+r.IntN(5000)) * time.Second)
			}
		}
		s := a.open()
		rows := scan(t, s)
		if len(rows) != len(first) {
			t.Fatalf("seed %d: %d events, not %d", seed, len(rows), len(first))
		}
		for _, row := range rows {
			if want := first[row.ID]; int(row.Partition) != want.partition || row.Offset != want.sequence {
				t.Fatalf("seed %d: %s comes from %d:%d, not %v", seed, row.ID, row.Partition, row.Offset, want)
			}
		}
		var raw int
		for _, b := range scanRaw(t, s) {
			raw += len(b.Records)
		}
		if raw != total {
			t.Errorf("seed %d: %d records, not %d", seed, raw, total)
		}
		for _, row := range ask(t, s, "SELECT eventId, PartitionId, SequenceNumber FROM unique_events") {
			got, err := record.ParseID(row[0].(string))
			if err != nil {
				t.Fatal(err)
			}
			if want, ok := first[got]; !ok || int64(want.partition) != row[1] || want.sequence != row[2] {
				t.Fatalf("seed %d: %v, want %v", seed, row, want)
			}
			delete(first, got)
		}
		if len(first) != 0 {
			t.Errorf("seed %d: %d events are not in the view", seed, len(first))
		}
		if got := ask(t, s, "SELECT count(*), count(*) FILTER (BodyError IS NOT NULL), count(DISTINCT ArchiveRow) FROM events"); fmt.Sprint(got) != fmt.Sprintf("[[%d %d %d]]", total, bad, total) {
			t.Errorf("seed %d: %v", seed, got)
		}
	}
}

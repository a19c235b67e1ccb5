package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"millrace/record"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ format, namespace, name, want string }{
		{DefaultNameFormat, "ns", "ns/hub/0/2026/11/22/10/00/07.avro", "0 2026/11/22/10/00/07"},
		{DefaultNameFormat, "", "any/hub/15/2026/11/22/10/00/07.avro", "15 2026/11/22/10/00/07"},
		{DefaultNameFormat, "ns", "ns2/hub/0/2026/11/22/10/00/07.avro", ""},
		{DefaultNameFormat, "ns", "ns/hubs/0/2026/11/22/10/00/07.avro", ""},
		{DefaultNameFormat, "ns", "ns/hub/0/2026/11/22/10/00/07", ""},
		{DefaultNameFormat, "ns", "ns/hub/0/2026/13/22/10/00/07.avro", ""},
		{DefaultNameFormat, "ns", "ns/hub/00/2026/11/22/10/00/07.avro", ""},
		{DefaultNameFormat, "ns", "ns/hub/99999999999/2026/11/22/10/00/07.avro", ""},
		{DefaultNameFormat, "ns", "x/ns/hub/0/2026/11/22/10/00/07.avro", ""},
		{"capture/{Namespace}/{EventHub}/{Year}_{Month}_{Day}_{Hour}_{Minute}_{Second}_{PartitionId}", "ns",
			"capture/ns/hub/2026_11_22_10_00_07_3.avro", "3 2026/11/22/10/00/07"},
		{"{PartitionId}{Year}{Month}{Day}{Hour}{Minute}{Second}{EventHub}+{Namespace}", "ns", "1220261122100007hub+ns.avro", "12 2026/11/22/10/00/07"},
		{"{Year}/{Year}-{Month}/{Day}/{Hour}/{Minute}/{Second}/{PartitionId}/{EventHub}/{Namespace}", "ns", "2026/2026-11/22/10/00/07/0/hub/ns.avro", "0 2026/11/22/10/00/07"},
		{"{Year}/{Year}-{Month}/{Day}/{Hour}/{Minute}/{Second}/{PartitionId}/{EventHub}/{Namespace}", "ns", "2025/2026-11/22/10/00/07/0/hub/ns.avro", ""},
	} {
		n, err := newNaming(tt.format, tt.namespace, "hub")
		if err != nil {
			t.Errorf("%s: %v", tt.format, err)
			continue
		}
		got := ""
		if p, ok := n.parse(tt.name); ok {
			got = strings.TrimSpace(string(rune('0'+p.partition/10)) + string(rune('0'+p.partition%10)) + " " + timePath(p.window))
			got = strings.TrimPrefix(got, "0")
			if !strings.HasPrefix(tt.name, n.prefix) {
				t.Errorf("%s does not begin with %s", tt.name, n.prefix)
			}
		}
		if got != tt.want {
			t.Errorf("%s as %s: %q, want %q", tt.name, tt.format, got, tt.want)
		}
	}
	for _, bad := range []string{"", "{Namespace}", DefaultNameFormat + "{second}", DefaultNameFormat + "{", strings.Replace(DefaultNameFormat, "{Hour}", "", 1)} {
		if _, err := newNaming(bad, "ns", "hub"); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	f := &file{window: time.Date(2026, 11, 22, 9, 5, 7, 0, time.UTC)}
	f.info.Name = "ns/telemetry/3/2026/11/22/09/05/07.avro"
	for pattern, want := range map[string]bool{
		"": true, "*": true, "**": true, "2026": true, "2026/": true, "/2026/11": true, "2026/11/22/*/*": true, "2026/11/22/*/*/*": true,
		"2026/11/22/*/*/*/*": false, "2026/12": false, "20?6/1*": true, "*/*/*/09": true, "*/*/*/9": false, "**/07": true, "**/08": false,
		"2026/**/05/07": true, "2026/**/07/05": false, "ns/telemetry/3": true, "ns/telemetry/2": false, "ns/*/3/2026/11/22/**": true,
		"ns/telemetry/3/2026/11/22/09/05/07.avro": true, "ns/telemetry/3/2026/11/22/09/05/08.avro": false, "*2*6*": true, "n*s": true, "n*t": false, "202": false,
	} {
		if got := newPattern(pattern).takes(f); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
}

func TestEnqueuedTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"11/16/2016 4:44:11 PM": "2016-11-16T16:44:11Z", "2/6/2023 6:29:45 PM": "2023-02-06T18:29:45Z",
		"1/2/2026 12:00:00 AM": "2026-01-02T00:00:00Z", "1/2/2026 12:59:59 PM": "2026-01-02T12:59:59Z",
		"2026-01-02T15:04:05.123456Z": "2026-01-02T15:04:05.123456Z", "yesterday": "", "": "", "13/1/2026 1:00:00 AM": "",
	} {
		got := ""
		if micros := parseEnqueued(text); micros != record.NoTime {
			got = time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestStoredAtIsNeverBeforeTheEvents(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got := storedAt(at); got != at.UnixMicro()+999_999 {
		t.Error(got)
	}
	if got := storedAt(at.Add(7 * time.Millisecond)); got != at.UnixMicro()+7000 {
		t.Error(got)
	}
}

func TestIDSet(t *testing.T) {
	t.Parallel()
	var s idSet
	for round := range 2 {
		for n := range 200_000 {
			if s.add(id(n)) != (round == 0) {
				t.Fatalf("id %d in round %d", n, round)
			}
		}
	}
	// IDs that are counted up, and the one of zeros.
	for n := range 70_000 {
		var counted record.ID
		binary.BigEndian.PutUint64(counted[8:], uint64(n)<<40)
		fresh := n > 0 // number 0 is among those above
		if s.add(counted) != fresh || s.add(counted) {
			t.Fatalf("counted id %d", n)
		}
	}
	slots := 0
	for i := range s.tables {
		slots += len(s.tables[i].slots)
	}
	if most := 270_000 * 36 / 16; slots > most {
		t.Errorf("%d slots, more than %d", slots, most)
	}
}

// readAll reads a file with the decoder of this package.
func readAll(content []byte) (records int, err error) {
	c, err := openContainer(bytes.NewReader(content))
	if err != nil {
		return 0, err
	}
	p := page{file: &file{}, layout: layoutOf(c.schema, c.codec)}
	if p.layout == foreign {
		return 0, errors.New("foreign")
	}
	for {
		if err := c.next(&p.block); errors.Is(err, io.EOF) {
			return records, nil
		} else if err != nil {
			return records, err
		}
		p.rest, p.left = cursor{b: p.block.data}, p.block.count
		for {
			var e entry
			more, err := p.read(&e)
			if err != nil || !more {
				if err != nil {
					return records, err
				}
				break
			}
			records++
			_ = e.appendSystem(nil)
			_ = e.appendProperties(nil)
		}
	}
}

// A file that is cut anywhere gives an error or fewer whole blocks, and one
// with a changed byte never more records than were written, nor a panic.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	records := events(0, 0, 6)
	for i := range records {
		records[i].properties = map[string]any{"f": 1.5, "s": "x", "n": int64(7)}
	}
	for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate} {
		whole := encode(t, schemaWithNull, codec, 2, records...)
		if n, err := readAll(whole); n != 6 || err != nil {
			t.Fatalf("%d records, %v", n, err)
		}
		for cut := range len(whole) {
			if n, err := readAll(whole[:cut]); err == nil && (n == 6 || n%2 != 0) {
				t.Errorf("%s cut at %d: %d records and no error", codec, cut, n)
			}
		}
		for at := range whole {
			changed := bytes.Clone(whole)
			changed[at] ^= 0x55
			if n, err := readAll(changed); err == nil && n > 6 {
				t.Errorf("%s changed at %d: %d records", codec, at, n)
			}
		}
	}
}

func FuzzContainer(f *testing.F) {
	some := events(0, 0, 3)
	some[1].properties = map[string]any{"f": 1.5, "s": "x", "n": int64(7), "b": []byte{0xff}}
	some[2].body = nil
	for _, schema := range []string{schemaWithNull, schemaWithoutNull} {
		for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate} {
			f.Add(encode(f, schema, codec, 2, some...))
			f.Add(encode(f, schema, codec, 2))
		}
	}
	f.Fuzz(func(_ *testing.T, content []byte) {
		if len(content) < 1<<16 {
			_, _ = readAll(content)
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("2026/**/0?/*", "ns/telemetry/3/2026/11/22/09/05/07")
	f.Add("*a*b*", "aXb/c")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 60 || len(name) > 60 || strings.Count(pattern, "**") > 3 {
			return
		}
		file := &file{window: began}
		file.info.Name = name
		newPattern(pattern).takes(file)
		// A name without wildcards takes itself.
		if !strings.ContainsAny(name, "*?") && !newPattern(name).takes(file) && strings.Trim(name, "/") == name && !strings.HasSuffix(name, extension) {
			t.Errorf("%q does not take itself", name)
		}
	})
}

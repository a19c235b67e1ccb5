package files_test

import (
	"fmt"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/files"
	"millrace/record"
)

// numbered makes the result that belongs to a position, always the same one.
func numbered(p int32, o int64) (record.Result, error) {
	r := record.Result{Partition: p, Offset: o, EnqueuedAt: o + 1, ProcessedAt: o + 2}
	raw := fmt.Appendf(nil, `{"eventId":"00000000-0000-4000-%04x-%012x","deviceId":"device-%d","deviceSequenceNumber":%d,"value":%d.5,"type":"TEMP","complexData":{"moreData0":%d.25},"note":%q,"createdAt":"2026-01-02T15:04:05.123456Z"}`,
		0x8000+int(p), o, p, o, o%100, o%10, strings.Repeat("x", int(o%300)))
	return r, r.Decode(raw)
}

// unit makes a write of a stretch of a partition; nothing comes of the inputs
// from end to to.
func unit(p int32, from, end, to int64) *connector.Write {
	w := &connector.Write{Advances: []connector.Advance{{Partition: p, From: from, To: to}}}
	for o := from; o < end; o++ {
		r, err := numbered(p, o)
		if err != nil {
			panic(err) // numbered makes events
		}
		w.Results = append(w.Results, r)
	}
	return w
}

func prepared(t testing.TB, c *files.Config, e connector.Env) *files.Store {
	t.Helper()
	s := open(t, c, e)
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func claimAt(t testing.TB, s connector.Store, p int32, want int64) {
	t.Helper()
	got, err := s.Claim(t.Context(), "worker", []int32{p})
	if err != nil {
		t.Fatal(err)
	}
	if got[p] != want {
		t.Fatalf("partition %d is at %d, want %d", p, got[p], want)
	}
}

func write(t testing.TB, s connector.Store, w *connector.Write) {
	t.Helper()
	if _, err := s.Write(t.Context(), w); err != nil {
		t.Fatal(err)
	}
}

// span is a stretch of positions.
type span struct{ from, to int64 }

// exact demands that the rows are those of the positions, each once and
// unaltered.
func exact(t testing.TB, s connector.Store, want map[int32][]span) {
	t.Helper()
	type place struct {
		p int32
		o int64
	}
	missing := map[place]bool{}
	for p, spans := range want {
		for _, s := range spans {
			for o := s.from; o < s.to; o++ {
				missing[place{p, o}] = true
			}
		}
	}
	err := s.Scan(t.Context(), func(r *record.Stored) error {
		want, err := numbered(r.Partition, r.Offset)
		if err != nil {
			return err
		}
		fp, err := record.Fingerprint(want.Raw)
		at := place{r.Partition, r.Offset}
		switch {
		case err != nil:
			return err
		case !missing[at]:
			return fmt.Errorf("partition %d offset %d is there twice, or should not be there", r.Partition, r.Offset)
		case r.ID != want.ID || r.Fingerprint != fp || r.EnqueuedAt != want.EnqueuedAt || r.ProcessedAt != want.ProcessedAt || r.StoredAt == 0:
			return fmt.Errorf("partition %d offset %d is altered: %+v", r.Partition, r.Offset, *r)
		}
		delete(missing, at)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) > 0 {
		t.Fatalf("%d events are missing", len(missing))
	}
}

// ask returns the only value of a query's only row.
func ask(t testing.TB, s connector.Store, text string) string {
	t.Helper()
	rows, err := s.Query(t.Context(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	row, err := rows.Next(t.Context())
	if err != nil || len(row) != 1 {
		t.Fatalf("%s: %v, %v", text, row, err)
	}
	return fmt.Sprint(row[0])
}

package files_test

import (
	"fmt"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
)

// unit makes a write of a stretch of a partition; nothing comes of the inputs
// from end to to.
func unit(p int32, from, end, to int64) *connector.Write {
	w := connectortest.Stretch(p, from, end)
	w.Advances[0].To = to
	return w
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

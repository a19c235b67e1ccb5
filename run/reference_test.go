package run

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"millrace/connector/blob"
	"millrace/internal/testservice"
)

// TestBlobReference lists and opens reference data in a folder and in a storage
// account.
func TestBlobReference(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(t *testing.T) string{
		"folder":  func(t *testing.T) string { return t.TempDir() },
		"account": func(t *testing.T) string { return testservice.Azurite(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket, err := blob.Open(t.Context(), address(t), "reference-data", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer bucket.Close()
			for _, n := range []string{"devices/2026-01-01/d.json", "devices/2026-01-02/d.json", "other.json"} {
				if _, err := bucket.Put(t.Context(), n, strings.NewReader(n)); err != nil {
					t.Fatal(err)
				}
			}
			files := blobFiles{bucket}
			var names []string
			if err := files.List(t.Context(), "devices/", func(n string) error { names = append(names, n); return nil }); err != nil || len(names) != 2 {
				t.Fatalf("%v, %v", names, err)
			}
			r, err := files.Open(context.Background(), names[0])
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if text, err := io.ReadAll(r); err != nil || string(text) != names[0] {
				t.Errorf("%q, %v", text, err)
			}
			if _, err := files.Open(t.Context(), "absent.json"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("an absent file: %v", err)
			}
		})
	}
}

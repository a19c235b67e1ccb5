package archive

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/connector/connectortest"
	"millrace/internal/testservice"
)

// An archive in a storage account is the same archive.
func TestArchiveInAStorageAccount(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	a := sample(t)
	want := scan(t, a.open())
	folder := filepath.Join(a.root, "capture")
	a.cfg.Storage = address
	a.cfg.Container = connectortest.NewContainer(t, address)
	ctx := context.Background()
	s := a.open()
	if err := s.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		_, err = s.bucket.Put(ctx, filepath.ToSlash(name), f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := scan(t, s)
	if len(got) != len(want) {
		t.Fatalf("%d events, not %d", len(got), len(want))
	}
	now := time.Now().UnixMicro()
	for i := range got {
		if got[i].StoredAt > now+2_000_000 || got[i].StoredAt < now-600_000_000 {
			t.Fatalf("stored at %d, now is %d", got[i].StoredAt, now)
		}
		got[i].StoredAt, want[i].StoredAt = 0, 0
		if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
			t.Fatalf("event %d\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
	if p, err := s.Positions(ctx); err != nil || p[0] != 3500 || p[1] != 507 {
		t.Errorf("%v %v", p, err)
	}
	if got := ask(t, s, "SELECT count(*) FROM unique_archive('2026/11/22/11')"); fmt.Sprint(got) != "[[1001]]" {
		t.Errorf("%v", got)
	}
	if err := s.Drop(ctx); err != nil {
		t.Error(err)
	}
	if n := len(scanRaw(t, s)); n != 0 {
		t.Errorf("%d batches are left", n)
	}
	if d := s.Describe(); strings.Contains(d, "AccountKey") {
		t.Errorf("a key is shown: %s", d)
	}
}

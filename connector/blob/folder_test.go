package blob_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/internal/testservice"
)

func TestFolderIsLazyAndReturns(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	b := open(t, "file://"+filepath.ToSlash(dir), "")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opening made the folder: %v", err)
	}
	put(t, b, "x/y", "1")
	// Somebody deletes it all.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if got := list(t, b, ""); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
	put(t, b, "x/z", "2")
	if got := list(t, b, ""); !slices.Equal(got, []string{"x/z"}) {
		t.Errorf("there is %v", got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), "x", strings.NewReader("")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// What a killed process left is neither listed nor kept for ever.
func TestFolderSweepsWhatWasAbandoned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, ".incomplete")
	if err := os.Mkdir(left, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"old": 48 * time.Hour, "young": time.Hour} {
		p := filepath.Join(left, name)
		if err := os.WriteFile(p, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(p, when, when); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, dir, "")
	put(t, b, "x", "")
	if got := list(t, b, ""); !slices.Equal(got, []string{"x"}) {
		t.Errorf("there is %v", got)
	}
	entries, err := os.ReadDir(left)
	if err != nil || len(entries) != 1 || entries[0].Name() != "young" {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// No name leads out of the folder, not by a symbolic link either.
func TestFolderStaysInside(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		testservice.Absent(t, "this file system has no links: %v", err)
	}
	b := open(t, dir, "")
	if _, err := b.Put(t.Context(), "link/x", strings.NewReader("x")); err == nil {
		t.Error("wrote outside")
	}
	if _, _, err := b.Get(t.Context(), "link/secret", blob.Range{}); err == nil {
		t.Error("read outside")
	}
	if got := list(t, b, ""); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 1 {
		t.Errorf("outside: %v", entries)
	}
}

func TestFolderSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, "c")
	put(t, b, "a", "a file")
	put(t, b, "d/e", "")
	for _, name := range []string{"a/b", "d"} {
		_, err := b.Put(t.Context(), name, strings.NewReader(""))
		var hint *connector.Hinted
		if name == "d" && err != nil {
			continue // what renaming onto a folder says differs between systems
		}
		if !errors.As(err, &hint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := b.Get(t.Context(), "d", blob.Range{}); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a folder is no object: %v", err)
	}
	file := open(t, filepath.Join(dir, "c", "a"), "")
	if err := file.Prepare(t.Context()); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// Readers and listers beside a writer see whole objects or none.
func TestFolderObjectsAppearWhole(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir(), "")
	const rounds, size = 200, 64 << 10
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range rounds {
			body := strings.Repeat(string(rune('a'+i%26)), size)
			if _, err := b.Put(t.Context(), "d/x", strings.NewReader(body)); err != nil {
				t.Error(err)
				return
			}
			if i%3 == 0 {
				if err := b.Delete(t.Context(), "d/x"); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			err := b.List(t.Context(), "", func(i blob.Info) error {
				if i.Name != "d/x" || i.Size != size {
					return fmt.Errorf("listed %+v", i)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
				return
			}
			rc, _, err := b.Get(t.Context(), "d/x", blob.Range{})
			if errors.Is(err, blob.ErrNotFound) {
				continue
			}
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(rc)
			rc.Close()
			if err != nil || len(body) != size || strings.Trim(string(body), string(body[:1])) != "" {
				t.Errorf("read %d bytes, %v", len(body), err)
				return
			}
		}
	})
	wg.Wait()
}

package filequery

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"millrace/connector"
	"millrace/connector/blob"
)

// fetchers is how many files are fetched at once.
const fetchers = 4

// Cache keeps copies of a bucket's files in a folder, for a program that reads
// files only. Data files never change, so that a copy is good for ever. Several
// processes may share the folder.
type Cache struct {
	Bucket blob.Bucket
	// Dir is made at the first use.
	Dir string
	// Suffix ends the names of the copies, which tells readers what they are.
	Suffix string
	// Limit is how many bytes it may hold, Hint what to do about files that
	// are larger together.
	Limit int64
	Hint  string
}

// Wanted is a file that a query reads.
type Wanted struct {
	Name string // of the object
	Size int64
}

// DirIn is the folder of that name in the data folder, or in that of the system
// for temporary files if there is none.
func DirIn(dataDir, name string) string {
	if dataDir == "" {
		return filepath.Join(os.TempDir(), "millrace-"+name)
	}
	return filepath.Join(dataDir, name)
}

// Fetch returns the copies of the files, in their order, fetching those that
// are missing. It fails if they are more than the cache may hold.
func (c *Cache) Fetch(ctx context.Context, files []Wanted) ([]string, error) {
	total := int64(0)
	for _, f := range files {
		total += f.Size
	}
	if total > c.Limit {
		return nil, &connector.Hinted{Hint: c.Hint,
			Err: fmt.Errorf("a query would have to fetch %s of files, more than the %s that are allowed",
				connector.Bytes(total), connector.Bytes(c.Limit))}
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a folder for copies of files: %w", err)
	}
	paths := make([]string, len(files))
	keep := make(map[string]bool, len(files))
	for i, f := range files {
		paths[i] = c.pathOf(f)
		keep[paths[i]] = true
	}
	if err := c.makeRoom(total, keep); err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	for i, f := range files {
		if st, err := os.Stat(paths[i]); err == nil && st.Size() == f.Size {
			now := time.Now()
			_ = os.Chtimes(paths[i], now, now) // the least recently used go first
			continue
		}
		g.Go(func() error { return c.copy(ctx, f, paths[i]) })
	}
	return paths, g.Wait()
}

// pathOf is where the copy of a file is: names on other sides of the world may
// be longer than a file's may be, and buckets share the folder.
func (c *Cache) pathOf(f Wanted) string {
	sum := sha256.Sum256([]byte(c.Bucket.Describe() + "\x00" + f.Name))
	return filepath.Join(c.Dir, hex.EncodeToString(sum[:16])+c.Suffix)
}

// copy fetches a file whole, or not at all.
func (c *Cache) copy(ctx context.Context, f Wanted, path string) (err error) {
	tmp, err := os.CreateTemp(c.Dir, "fetch-")
	if err != nil {
		return fmt.Errorf("copying %s: %w", f.Name, err)
	}
	defer os.Remove(tmp.Name())
	_, err = c.Read(ctx, f, tmp)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("copying %s: %w", f.Name, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("copying %s: %w", f.Name, err)
	}
	return nil
}

// Read copies the content of a file, taking up a download that breaks off.
func (c *Cache) Read(ctx context.Context, f Wanted, to io.Writer) (n int64, err error) {
	for n < f.Size {
		r, _, err := c.Bucket.Get(ctx, f.Name, blob.Range{Offset: n})
		if err != nil {
			return n, err
		}
		m, err := io.Copy(to, r)
		err = errors.Join(err, r.Close())
		if n += m; n < f.Size && (m == 0 || ctx.Err() != nil) {
			return n, cmp.Or(err, error(io.ErrUnexpectedEOF))
		}
	}
	if n > f.Size {
		return n, fmt.Errorf("it has %d bytes, not %d", n, f.Size)
	}
	return n, nil
}

// makeRoom deletes the copies that were used longest ago until the cache, with
// the given number of bytes of this query, stays within its limit.
func (c *Cache) makeRoom(total int64, keep map[string]bool) error {
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return fmt.Errorf("looking for copies of files: %w", err)
	}
	type old struct {
		path string
		size int64
		used time.Time
	}
	var olds []old
	for _, e := range entries {
		path := filepath.Join(c.Dir, e.Name())
		info, err := e.Info()
		if err != nil || keep[path] || !info.Mode().IsRegular() {
			continue
		}
		olds = append(olds, old{path, info.Size(), info.ModTime()})
		total += info.Size()
	}
	slices.SortFunc(olds, func(a, b old) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
	for _, o := range olds {
		if total <= c.Limit {
			break
		}
		// Another process may be fetching it: that one's copy is young.
		_ = os.Remove(o.path)
		total -= o.size
	}
	return nil
}

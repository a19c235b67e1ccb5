package delta

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

// cache keeps copies of a bucket's files in a folder, for a program that reads
// files only. Data files never change, so that a copy is good for ever. Several
// processes may share the folder.
type cache struct {
	bucket blob.Bucket
	// dir is made at the first use.
	dir string
	// limit is how many bytes it may hold.
	limit int64
}

// wanted is a file that a query reads.
type wanted struct {
	name string // of the object
	size int64
}

// fetch returns the copies of the files, in their order, fetching those that
// are missing. It fails if they are more than the cache may hold.
func (c *cache) fetch(ctx context.Context, files []wanted) ([]string, error) {
	total := int64(0)
	for _, f := range files {
		total += f.size
	}
	if total > c.limit {
		return nil, &connector.Hinted{Hint: "raise serve.cacheSize, compact the table, or ask it where it is, with an engine near its storage",
			Err: fmt.Errorf("a query would have to fetch %s of files, more than the %s that are allowed",
				connector.Bytes(total), connector.Bytes(c.limit))}
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a folder for copies of the table's files: %w", err)
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
		if st, err := os.Stat(paths[i]); err == nil && st.Size() == f.size {
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
func (c *cache) pathOf(f wanted) string {
	sum := sha256.Sum256([]byte(c.bucket.Describe() + "\x00" + f.name))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:16])+".parquet")
}

// copy fetches a file whole, or not at all.
func (c *cache) copy(ctx context.Context, f wanted, path string) (err error) {
	tmp, err := os.CreateTemp(c.dir, "fetch-")
	if err != nil {
		return fmt.Errorf("copying %s: %w", f.name, err)
	}
	defer os.Remove(tmp.Name())
	_, err = c.read(ctx, f, tmp)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("copying %s: %w", f.name, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("copying %s: %w", f.name, err)
	}
	return nil
}

// read copies the content of a file, taking up a download that breaks off.
func (c *cache) read(ctx context.Context, f wanted, to io.Writer) (n int64, err error) {
	for n < f.size {
		r, _, err := c.bucket.Get(ctx, f.name, blob.Range{Offset: n})
		if err != nil {
			return n, err
		}
		m, err := io.Copy(to, r)
		err = errors.Join(err, r.Close())
		if n += m; n < f.size && (m == 0 || ctx.Err() != nil) {
			return n, cmp.Or(err, error(io.ErrUnexpectedEOF))
		}
	}
	if n > f.size {
		return n, fmt.Errorf("it has %d bytes, not %d", n, f.size)
	}
	return n, nil
}

// makeRoom deletes the copies that were used longest ago until the cache, with
// the given number of bytes of this query, stays within its limit.
func (c *cache) makeRoom(total int64, keep map[string]bool) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("looking for copies of the table's files: %w", err)
	}
	type old struct {
		path string
		size int64
		used time.Time
	}
	var olds []old
	for _, e := range entries {
		path := filepath.Join(c.dir, e.Name())
		info, err := e.Info()
		if err != nil || keep[path] || !info.Mode().IsRegular() {
			continue
		}
		olds = append(olds, old{path, info.Size(), info.ModTime()})
		total += info.Size()
	}
	slices.SortFunc(olds, func(a, b old) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
	for _, o := range olds {
		if total <= c.limit {
			break
		}
		// Another process may be fetching it: that one's copy is young.
		_ = os.Remove(o.path)
		total -= o.size
	}
	return nil
}

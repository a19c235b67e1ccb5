package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"millrace/connector"
)

// incomplete is the folder, inside a bucket's folder, of what is being written.
// Its files are not objects.
const incomplete = ".incomplete"

// abandoned is the age from which a file in it is taken for the rest of a
// process that was killed.
const abandoned = 24 * time.Hour

// folder is a bucket in a directory. An object is written to a temporary file
// in the same file system, made durable, and then linked or renamed to its
// name, so that no reader ever sees a part of it.
type folder struct {
	path string

	mu sync.Mutex
	// root is opened at the first use; it keeps names inside the folder
	// even where someone has put symbolic links.
	root *os.Root
	// swept is set once old temporary files were removed.
	swept  bool
	closed bool
}

func openFolder(address, container string) (Bucket, error) {
	p := folderPath(address)
	if container != "" {
		if err := CheckName(container); err != nil {
			return nil, fmt.Errorf("container: %w", err)
		}
		p = filepath.Join(p, filepath.FromSlash(container))
	}
	abs, err := filepath.Abs(p)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", p, err)
	}
	return &folder{path: abs}, nil
}

func (f *folder) Describe() string { return "folder " + f.path }

func (f *folder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.root == nil {
		return nil
	}
	err := f.root.Close()
	f.root = nil
	return err
}

// open returns the folder, creating it if asked to. A folder that is not there
// is ErrNotFound.
func (f *folder) open(create bool) (*os.Root, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, fmt.Errorf("%s: %w", f.Describe(), os.ErrClosed)
	}
	if f.root == nil || !f.present() {
		if create {
			if err := os.MkdirAll(f.path, 0o755); err != nil {
				return nil, f.fail("creating the folder", err)
			}
		}
		root, err := os.OpenRoot(f.path)
		if err != nil {
			return nil, f.fail("opening the folder", err)
		}
		if f.root != nil {
			f.root.Close()
		}
		f.root = root
	}
	if create && !f.swept {
		if err := f.root.MkdirAll(incomplete, 0o755); err != nil {
			return nil, f.fail("creating a folder for incomplete objects", err)
		}
		f.sweep()
		f.swept = true
	}
	return f.root, nil
}

// present tells whether the folder that is open is still the one at its path:
// someone may have deleted it, and then a write has to make it again.
func (f *folder) present() bool {
	open, err := f.root.Stat(".")
	if err != nil {
		return false
	}
	now, err := os.Stat(f.path)
	if err != nil || !os.SameFile(open, now) {
		f.swept = false
		return false
	}
	return true
}

// sweep removes what processes that were killed have left. Failing to do so
// harms nobody.
func (f *folder) sweep() {
	dir, err := f.root.Open(incomplete)
	if err != nil {
		return
	}
	defer dir.Close()
	entries, _ := dir.ReadDir(-1)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > abandoned {
			_ = f.root.Remove(incomplete + "/" + e.Name())
		}
	}
}

func (f *folder) Prepare(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := f.open(true)
	if err != nil {
		return err
	}
	// A folder that we may not write to shows here, not at the first object.
	name, file, err := f.temporary(root)
	if err != nil {
		return err
	}
	file.Close()
	return root.Remove(name)
}

// fail says what went wrong with what, and what to do about it.
func (f *folder) fail(doing string, err error) error {
	err = fmt.Errorf("%s in %s: %w", doing, f.Describe(), err)
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, errInTheWay):
		return &connector.Hinted{Hint: "a file and a folder cannot have the same name; move the one that is in the way", Err: err}
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %w", ErrExists, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &connector.Hinted{Hint: "give this user the right to write there, or choose another folder", Err: err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT),
		errors.Is(err, syscall.EIO), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ETIMEDOUT):
		// A full disk may be cleared, a network file system may return.
		return connector.Retryable(err, 0)
	}
	return err
}

func (f *folder) temporary(root *os.Root) (name string, file *os.File, err error) {
	for range 3 {
		name = fmt.Sprintf("%s/%d-%016x", incomplete, os.Getpid(), rand.Uint64())
		file, err = root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return "", nil, f.fail("creating a temporary file", err)
	}
	return name, file, nil
}

func (f *folder) Put(ctx context.Context, name string, body io.Reader) (Info, error) {
	return f.write(ctx, name, body, true)
}

func (f *folder) PutNew(ctx context.Context, name string, body io.Reader) (Info, error) {
	return f.write(ctx, name, body, false)
}

func (f *folder) write(ctx context.Context, name string, body io.Reader, replace bool) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	root, err := f.open(true)
	if err != nil {
		return Info{}, err
	}
	temp, file, err := f.temporary(root)
	if err != nil {
		return Info{}, err
	}
	defer root.Remove(temp) //nolint:errcheck // gone already if it was renamed
	_, err = io.Copy(file, ctxReader{ctx, body})
	if err == nil {
		err = file.Sync()
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return Info{}, f.fail("writing "+name, err)
	}
	return f.appear(root, temp, name, replace)
}

// appear gives the finished file temp its name.
func (f *folder) appear(root *os.Root, temp, name string, replace bool) (Info, error) {
	dir := path.Dir(name)
	var err error
	// A Delete beside us may remove the folder that we have just made.
	for range 5 {
		if err = f.mkdir(root, dir); err != nil {
			return Info{}, f.fail("creating the folder of "+name, err)
		}
		if replace {
			err = root.Rename(temp, name)
		} else {
			err = root.Link(temp, name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) {
		return Info{}, &connector.Hinted{Hint: "choose a folder on a file system with hard links: they make an object appear at once",
			Err: fmt.Errorf("naming %s in %s: %w", name, f.Describe(), err)}
	}
	if err != nil {
		return Info{}, f.fail("naming "+name, err)
	}
	if err := syncDir(root, dir); err != nil {
		return Info{}, f.fail("making "+name+" durable", err)
	}
	st, err := root.Stat(name)
	if err != nil {
		return Info{}, f.fail("looking at "+name, err)
	}
	return fileInfo(name, st), nil
}

var errInTheWay = errors.New("a file has the name of that folder")

// mkdir makes dir and makes new folders durable: without that a power cut could
// take an object away that had been reported as written.
func (f *folder) mkdir(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if st, err := root.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	if err := root.MkdirAll(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return errInTheWay
	} else if err != nil {
		return err
	}
	for d := path.Dir(dir); ; d = path.Dir(d) {
		if err := syncDir(root, d); err != nil {
			return err
		}
		if d == "." {
			return nil
		}
	}
}

func syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	// Not every file system can do that for folders.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// adopt is PutNew for a file that is complete already.
func (f *folder) adopt(ctx context.Context, name, file string) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	src, err := os.Open(file)
	if err != nil {
		return Info{}, fmt.Errorf("reading what is to become %s: %w", name, err)
	}
	defer src.Close()
	root, err := f.open(true)
	if err != nil {
		return Info{}, err
	}
	temp := fmt.Sprintf("%s/%d-%016x", incomplete, os.Getpid(), rand.Uint64())
	if err := os.Link(file, filepath.Join(f.path, temp)); err != nil {
		// Another file system: its bytes have to be copied.
		return f.write(ctx, name, src, false)
	}
	defer root.Remove(temp) //nolint:errcheck // nothing depends on it
	if err := src.Sync(); err != nil {
		return Info{}, f.fail("writing "+name, err)
	}
	return f.appear(root, temp, name, false)
}

func (f *folder) Get(ctx context.Context, name string, r Range) (io.ReadCloser, Info, error) {
	if err := CheckName(name); err != nil {
		return nil, Info{}, err
	}
	root, err := f.open(false)
	if err != nil {
		return nil, Info{}, err
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, Info{}, f.fail("opening "+name, err)
	}
	st, err := file.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		file.Close()
		return nil, Info{}, f.fail("opening "+name, err)
	}
	length := st.Size() - r.Offset
	if r.Length > 0 {
		length = min(length, r.Length)
	}
	section := io.NewSectionReader(file, r.Offset, max(length, 0))
	return &reader{ctxReader{ctx, section}, file}, fileInfo(name, st), nil
}

type reader struct {
	io.Reader
	io.Closer
}

// ctxReader ends with its context, between two reads.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func (f *folder) Stat(_ context.Context, name string) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	root, err := f.open(false)
	if err != nil {
		return Info{}, err
	}
	st, err := root.Stat(name)
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, f.fail("looking at "+name, err)
	}
	return fileInfo(name, st), nil
}

func fileInfo(name string, st fs.FileInfo) Info {
	m := st.ModTime()
	return Info{Name: name, Size: st.Size(), Modified: m,
		ETag: `"` + strconv.FormatInt(m.UnixNano(), 16) + "-" + strconv.FormatInt(st.Size(), 16) + `"`}
}

func (f *folder) Delete(_ context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	root, err := f.open(false)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if st, err := root.Lstat(name); err == nil && st.IsDir() {
		return nil // there are no objects of that name, only below it
	}
	err = root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return f.fail("deleting "+name, err)
	}
	// Folders are not objects: those that hold nothing go away. One that
	// is not empty refuses, and so does a file that has taken its place.
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if syscall.Rmdir(filepath.Join(f.path, filepath.FromSlash(dir))) != nil {
			break
		}
	}
	return nil
}

func (f *folder) List(ctx context.Context, prefix string, fn func(Info) error) error {
	root, err := f.open(false)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		dir = prefix[:i]
		if CheckName(dir) != nil {
			return nil // no object has such a name
		}
	}
	return f.walk(ctx, root, dir, prefix, fn)
}

// walk lists one folder and those below it in the order of whole names, for
// which a folder counts as its name with a slash: "a.b" comes before "a/c".
func (f *folder) walk(ctx context.Context, root *os.Root, dir, prefix string, fn func(Info) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d, err := root.Open(dir)
	if err != nil {
		return f.gone("listing", err)
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return f.gone("listing", err)
	}
	key := func(e fs.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(key(a), key(b)) })
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if name == incomplete || !e.IsDir() && !e.Type().IsRegular() {
			continue // not even a link: it may lead out of the folder
		}
		switch {
		case e.IsDir():
			below := name + "/"
			if strings.HasPrefix(below, prefix) || strings.HasPrefix(prefix, below) {
				if err := f.walk(ctx, root, name, prefix, fn); err != nil {
					return err
				}
			}
		case strings.HasPrefix(name, prefix):
			st, err := root.Stat(name)
			if errors.Is(err, fs.ErrNotExist) || err == nil && !st.Mode().IsRegular() {
				continue // deleted meanwhile, or no file at all
			}
			if err != nil {
				return f.fail("listing "+name, err)
			}
			if err := fn(fileInfo(name, st)); err != nil {
				return err
			}
		}
	}
	return nil
}

// gone turns "no such folder" into an empty listing.
func (f *folder) gone(doing string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return f.fail(doing, err)
}

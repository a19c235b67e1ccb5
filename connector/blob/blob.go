// Package blob keeps objects by name: in a folder, in Azure Blob storage, or in
// a Data Lake Storage Gen2 account through its blob endpoint. An object appears
// whole or not at all, and PutNew never replaces one, which is what archives
// and table formats build on.
//
// A folder is not an imitation: any program on the machine reads the same
// files. Both kinds pass the same tests.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// ErrExists says that an object of that name is there already.
var ErrExists = errors.New("the object exists already")

// ErrNotFound says that no object has that name (or that the container does
// not exist).
var ErrNotFound = errors.New("no such object")

// Info describes an object.
type Info struct {
	// Name is the whole name inside the bucket, with slashes.
	Name string
	// Size is in bytes.
	Size int64
	// ETag changes with the content. It is comparable within one bucket
	// only.
	ETag string
	// Modified is when the object was written last.
	Modified time.Time
}

// Range is a part of an object. The zero value is the whole object.
type Range struct {
	// Offset is the first byte; Length the number of bytes, 0 meaning "to
	// the end". A range that reaches beyond the end is cut there.
	Offset, Length int64
}

// Bucket is a container of objects. Names are relative paths with slashes, up
// to 1024 characters; "", ".", ".." and backslashes in them are refused.
// All methods are safe for concurrent use.
//
// Errors: ErrExists and ErrNotFound (errors.Is); a *connector.Error with
// Action Retry for what another attempt may mend, with a
// *connector.Unreachable inside if nothing answered; a *connector.Hinted for
// what the user has to mend.
type Bucket interface {
	// Prepare creates the container or folder if it is missing, and fails
	// if the address or the credentials are wrong. Writing does it as
	// well, so that only those who want to know early must call it.
	Prepare(ctx context.Context) error
	// Put writes an object atomically and durably, replacing an earlier
	// one. It reads body to its end; bodies of any length take a bounded
	// amount of memory. On an error the earlier object is untouched.
	Put(ctx context.Context, name string, body io.Reader) (Info, error)
	// PutNew is Put that fails with ErrExists if there is an object of
	// that name. Because answers get lost on networks, ErrExists can also
	// mean that this very call wrote the object: who must know, compares.
	PutNew(ctx context.Context, name string, body io.Reader) (Info, error)
	// Get opens an object, or a part of it. The caller closes the reader.
	Get(ctx context.Context, name string, r Range) (io.ReadCloser, Info, error)
	// Stat describes an object.
	Stat(ctx context.Context, name string) (Info, error)
	// List calls fn for every object whose name starts with prefix, in the
	// byte order of the names. A container that does not exist is empty.
	// An error of fn ends it and is returned as it is.
	List(ctx context.Context, prefix string, fn func(Info) error) error
	// Delete removes an object. Missing is not an error.
	Delete(ctx context.Context, name string) error
	// Describe names the bucket for people, without secrets.
	Describe() string
	// Close releases connections. It does not wait for running calls.
	Close() error
}

// PutFileNew is PutNew of a finished file at path on this machine. A folder on
// the same file system takes the file over as it is, without copying: the file
// must not be written to afterwards, but may be removed.
func PutFileNew(ctx context.Context, b Bucket, name, path string) (Info, error) {
	type adopter interface {
		adopt(ctx context.Context, name, path string) (Info, error)
	}
	if a, ok := b.(adopter); ok {
		return a.adopt(ctx, name, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return Info{}, fmt.Errorf("reading what is to become %s: %w", name, err)
	}
	defer f.Close()
	return b.PutNew(ctx, name, f)
}

// ReadAll returns the content of an object, which must fit into memory.
func ReadAll(ctx context.Context, b Bucket, name string) ([]byte, error) {
	r, info, err := b.Get(ctx, name, Range{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	buf := make([]byte, info.Size)
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, fmt.Errorf("reading %s in %s: %w", name, b.Describe(), err)
	}
	return buf, nil
}

// maxName is the limit of the service, in characters; we count bytes, which
// also keeps a folder's names in bounds.
const maxName = 1024

// CheckName returns an error unless name can be the name of an object on every
// kind of bucket.
func CheckName(name string) error {
	why := ""
	switch {
	case name == "":
		why = "it is empty"
	case len(name) > maxName:
		why = "it is longer than 1024 bytes"
	case strings.ContainsAny(name, "\\\x00"):
		why = "it contains a backslash or a zero byte"
	default:
		for part := range strings.SplitSeq(name, "/") {
			switch {
			case part == "" || part == "." || part == "..":
				why = `a part of it is empty, "." or ".."`
			case len(part) > 255:
				why = "a part of it is longer than 255 bytes"
			case strings.HasSuffix(part, "."):
				// The service strips such dots from URLs.
				why = "a part of it ends with a dot"
			case part == incomplete:
				why = "the part " + incomplete + " is reserved"
			}
		}
	}
	if why != "" {
		return fmt.Errorf("%q cannot be the name of an object: %s", name, why)
	}
	return nil
}

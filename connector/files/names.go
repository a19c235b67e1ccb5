package files

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"millrace/connector/blob"
)

// object is a file of a chain.
type object struct {
	name      string
	size      int64
	partition int32
	// start is the position that its name says.
	start  int64
	suffix string
}

// meta is the folder of what is no file of events.
const meta = "_millrace/"

var objectName = regexp.MustCompile(`^partition=(\d+)/(\d{20})(\.parquet|\.jsonl|\.jsonl\.gz)$`)

// nameOf is the name of the file of a partition that starts at a position.
func (s *Store) nameOf(p int32, start int64) string {
	return s.folderOf(p) + fmt.Sprintf("%020d", start) + s.cfg.suffix()
}

func (s *Store) folderOf(p int32) string { return fmt.Sprintf("%spartition=%d/", s.prefix, p) }

// metaOf is the name of an object about a partition.
func (s *Store) metaOf(p int32, what string) string {
	return fmt.Sprintf("%s%spartition=%d/%s.json", s.prefix, meta, p, what)
}

// parseName reads the name of an object; ok is false if it is none of a chain's.
func (s *Store) parseName(i blob.Info) (o object, ok bool) {
	m := objectName.FindStringSubmatch(i.Name[len(s.prefix):])
	if m == nil {
		return o, false
	}
	p, err1 := strconv.ParseInt(m[1], 10, 32)
	start, err2 := strconv.ParseInt(m[2], 10, 64)
	return object{name: i.Name, size: i.Size, partition: int32(p), start: start, suffix: m[3]}, err1 == nil && err2 == nil
}

// objects lists the files of events, of whatever format.
func (s *Store) objects(ctx context.Context) (all []object, err error) {
	err = s.bucket.List(ctx, s.prefix+"partition=", func(i blob.Info) error {
		if o, ok := s.parseName(i); ok {
			all = append(all, o)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", s.Describe(), err)
	}
	return all, nil
}

// last finds the last file of a partition by listing all of them; ok is false
// if there is none.
func (s *Store) last(ctx context.Context, p int32) (last object, ok bool, err error) {
	err = s.bucket.List(ctx, s.folderOf(p), func(i blob.Info) error {
		if o, mine := s.parseName(i); mine && o.suffix == s.cfg.suffix() {
			last, ok = o, true // in the order of names, which is that of positions
		}
		return nil
	})
	return last, ok, err
}

// find looks for the file that starts at a position; ok is false if there is
// none.
func (s *Store) find(ctx context.Context, p int32, start int64) (o object, ok bool, err error) {
	i, err := s.bucket.Stat(ctx, s.nameOf(p, start))
	if errors.Is(err, blob.ErrNotFound) {
		return o, false, nil
	}
	if err != nil {
		return o, false, err
	}
	o, ok = s.parseName(i)
	return o, ok, nil
}

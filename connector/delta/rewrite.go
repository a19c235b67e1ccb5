package delta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"millrace/connector/blob"
	"millrace/connector/delta/data"
	"millrace/connector/delta/txlog"
	"millrace/connector/internal/filequery"
)

// rewrite copies the rows of files of one partition into files of about the
// target size, and puts these in place. They are not a part of the table yet.
func (t *Table) rewrite(ctx context.Context, snap *txlog.Snapshot, bin []*txlog.Add, target int64) ([]*txlog.Add, error) {
	r, err := data.NewRewriter(snap.Metadata.Schema, snap.Metadata.PartitionColumns,
		data.WriterOptions{Compression: t.cfg.Compression, StatsColumns: statsColumns(snap.Metadata)})
	if err != nil {
		return nil, err
	}
	m := &merging{t: t, r: r, like: bin[0]}
	defer m.drop()
	for _, a := range bin {
		if err = m.append(ctx, a); err != nil {
			break
		}
		if r.Size() >= target {
			if err = m.finish(ctx); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = m.finish(ctx)
	}
	if err != nil {
		t.discard(ctx, m.adds)
		return nil, err
	}
	return m.adds, nil
}

// merging is a rewrite under way: the file that is being written is a temporary
// one of this machine.
type merging struct {
	t    *Table
	r    *data.Rewriter
	like *txlog.Add // a file of the same partition
	tmp  *os.File   // nil between two files
	adds []*txlog.Add
}

func (m *merging) append(ctx context.Context, a *txlog.Add) (err error) {
	if m.tmp == nil {
		// Not by os.CreateTemp: the file may become one of the table, which
		// others read.
		folder := cmp.Or(filequery.ScratchIn(m.t.env.DataDir), os.TempDir())
		m.tmp, err = os.OpenFile(filepath.Join(folder, "merge-"+fileName(data.None)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("making a temporary file: %w", err)
		}
		m.r.Reset(m.tmp)
	}
	f, err := m.t.open(ctx, a)
	if err != nil {
		return err
	}
	if err := errors.Join(m.r.Append(ctx, f.File), f.close()); err != nil {
		return m.t.unreadable(a, err)
	}
	return nil
}

// finish ends the file that is being written, if there is one, and puts it in
// place.
func (m *merging) finish(ctx context.Context) error {
	if m.tmp == nil {
		return nil
	}
	defer m.drop()
	written, err := m.r.Finish()
	if err != nil {
		return err
	}
	if err := m.tmp.Sync(); err != nil {
		return fmt.Errorf("writing a temporary file: %w", err)
	}
	name := fileName(m.t.cfg.Compression)
	if len(m.like.PartitionValues) > 0 {
		name = path.Join(path.Dir(m.like.Path), name)
	}
	object, err := m.t.log.Object(name)
	if err != nil {
		return err
	}
	info, err := blob.PutFileNew(ctx, m.t.bucket, object, m.tmp.Name())
	if err != nil {
		return err
	}
	m.adds = append(m.adds, &txlog.Add{Path: name, PartitionValues: m.like.PartitionValues, Size: written.Size,
		Modified: info.Modified.UnixMilli(), Stats: written.Stats})
	return nil
}

// drop lets go of the temporary file.
func (m *merging) drop() {
	if m.tmp == nil {
		return
	}
	_ = m.tmp.Close()
	_ = os.Remove(m.tmp.Name())
	m.tmp = nil
}

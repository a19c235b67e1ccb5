package store

import (
	"github.com/cockroachdb/pebble/v2/vfs"
)

// quietFS hands everything to the operating system and never asks it to bring
// it to the disk: what was written survives the process, not the power. The
// key-value store itself cannot be told so: without sync its log is written
// some time after a commit returned.
type quietFS struct {
	vfs.FS
}

func (fs quietFS) Unwrap() vfs.FS { return fs.FS }

func (fs quietFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return quiet(fs.FS.Create(name, category))
}

func (fs quietFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return quiet(fs.FS.OpenReadWrite(name, category, opts...))
}

func (fs quietFS) OpenDir(name string) (vfs.File, error) {
	return quiet(fs.FS.OpenDir(name))
}

func (fs quietFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return quiet(fs.FS.ReuseForWrite(oldname, newname, category))
}

func quiet(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return quietFile{f}, nil
}

type quietFile struct {
	vfs.File
}

func (quietFile) Sync() error                { return nil }
func (quietFile) SyncData() error            { return nil }
func (quietFile) SyncTo(int64) (bool, error) { return false, nil }

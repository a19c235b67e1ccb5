package blob

import "path/filepath"

// LocalPath returns the file of this machine that holds, or would hold, the
// object of that name, for programs that read files. ok is false if the objects
// are elsewhere. The file must not be changed.
func LocalPath(b Bucket, name string) (path string, ok bool) {
	f, ok := b.(*folder)
	if !ok || CheckName(name) != nil {
		return "", false
	}
	return filepath.Join(f.path, filepath.FromSlash(name)), true
}

package offline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"millrace/process/streamanalytics/files"
	"millrace/process/streamanalytics/value"
)

// Folder writes the rows of each output to a file of its own, NAME.json with a
// JSON object on each line. It is not safe for concurrent use.
type Folder struct {
	dir   string
	files map[string]*lineFile
}

// lineFile is a file of lines.
type lineFile struct {
	path string
	f    *os.File
	w    *bufio.Writer
}

// NewFolder creates the folder, with its parents, and an empty file for each
// output. Files of those names that are there are replaced.
func NewFolder(dir string, outputs []string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, outputProblem(dir, err)
	}
	d := &Folder{dir: dir, files: map[string]*lineFile{}}
	taken := map[string]string{}
	for _, name := range outputs {
		path := filepath.Join(dir, fileName(name))
		if other, ok := taken[strings.ToLower(path)]; ok {
			return nil, errors.Join(files.Misuse("give one of them another name", "the outputs %s and %s would have the same file %s", other, name, path), d.Close())
		}
		taken[strings.ToLower(path)] = name
		f, err := newLineFile(path)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d.files[name] = f
	}
	return d, nil
}

// fileName is the file of an output. What can not be in a file's name becomes
// an underscore.
func fileName(output string) string {
	name := strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, output)
	if strings.Trim(name, ".") == "" {
		name = "_" + name
	}
	return name + ".json"
}

func outputProblem(path string, err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return files.Misuse("", "%s can not be written: %w", path, err)
}

func newLineFile(path string) (*lineFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, outputProblem(path, err)
	}
	return &lineFile{path, f, bufio.NewWriterSize(f, 256<<10)}, nil
}

func (l *lineFile) line(b []byte) error {
	_, _ = l.w.Write(b)
	if err := l.w.WriteByte('\n'); err != nil {
		return fmt.Errorf("writing %s: %w", l.path, err)
	}
	return nil
}

func (l *lineFile) Close() error {
	if err := errors.Join(l.w.Flush(), l.f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", l.path, err)
	}
	return nil
}

// Path is the file of an output.
func (d *Folder) Path(output string) string { return filepath.Join(d.dir, fileName(output)) }

// Row writes a row.
func (d *Folder) Row(output string, row []byte) error { return d.files[output].line(row) }

// Flush hands all rows over to the system.
func (d *Folder) Flush() error {
	for _, f := range d.files {
		if err := f.w.Flush(); err != nil {
			return fmt.Errorf("writing %s: %w", f.path, err)
		}
	}
	return nil
}

// Close ends all files.
func (d *Folder) Close() error {
	var errs []error
	for _, f := range d.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// DroppedFile writes events that were not used, each as a JSON object with the
// reason and its place.
type DroppedFile struct {
	file *lineFile
	buf  []byte
}

// NewDroppedFile creates the file.
func NewDroppedFile(path string) (*DroppedFile, error) {
	f, err := newLineFile(path)
	if err != nil {
		return nil, err
	}
	return &DroppedFile{file: f}, nil
}

// Write writes an event. One that is JSON is written as it is, another one as
// text.
func (f *DroppedFile) Write(d *Dropped) error {
	b := append(f.buf[:0], `{"reason":`...)
	b = value.AppendString(b, d.Reason)
	b = value.AppendString(append(b, `,"detail":`...), d.Detail)
	b = value.AppendString(append(b, `,"input":`...), d.Input)
	b = value.AppendString(append(b, `,"file":`...), d.File)
	b = fmt.Appendf(b, `,"line":%d,"partition":%d,"offset":%d,"event":`, d.Line, d.Partition, d.Offset)
	one := bytes.NewBuffer(b)
	if json.Compact(one, d.Raw) != nil { // which leaves what it wrote
		one.Truncate(len(b))
		one.Write(value.AppendString(nil, string(d.Raw)))
	}
	one.WriteByte('}')
	f.buf = one.Bytes()
	return f.file.line(f.buf)
}

// Close ends the file.
func (f *DroppedFile) Close() error { return f.file.Close() }

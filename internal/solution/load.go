package solution

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"millrace/connector"
	"millrace/internal/solution/settings"
)

// Override sets one option from outside the file.
type Override struct {
	// Path is the option ("ingest.partitions"), Value its text.
	Path, Value string
	// From is what --print-config says about it: "--set", "--rate".
	From string
}

// ParseSet reads the argument of --set, "path=value".
func ParseSet(arg string) (Override, error) {
	path, value, ok := strings.Cut(arg, "=")
	if !ok || path == "" {
		return Override{}, settings.Problems{{Origin: settings.Origin{Text: "--set"},
			Text: fmt.Sprintf("`%s` is not path=value", settings.Mask(arg)), Hint: "for example: --set ingest.partitions=8"}}
	}
	return Override{Path: path, Value: value, From: "--set"}, nil
}

// Options are the layers above the file, in rising precedence.
type Options struct {
	// Scale is the argument of -t, 0 for none.
	Scale int
	// Getenv reads an environment variable; nil: the environment is ignored.
	Getenv func(string) string
	// Set are the --set arguments, Flags the explicit flags that stand for
	// options; later ones win.
	Set, Flags []Override
}

// Loader finds solutions and loads them. It keeps no state.
type Loader struct {
	// Builtin holds one folder for each built-in solution.
	Builtin  fs.FS
	Registry Registry
}

// Summary is what is known of a solution without its configuration.
type Summary struct{ Name, Title, Summary, Engine string }

// List returns the built-in solutions in alphabetic order.
func (l Loader) List() ([]Summary, error) {
	if l.Builtin == nil {
		return nil, nil
	}
	files, err := fs.Glob(l.Builtin, "*/"+FileName)
	if err != nil {
		return nil, fmt.Errorf("listing the built-in solutions: %w", err)
	}
	var out []Summary
	for _, f := range files {
		src, err := fs.ReadFile(l.Builtin, f)
		if err != nil {
			return nil, fmt.Errorf("reading the built-in %s: %w", f, err)
		}
		doc, err := settings.Parse(f, src)
		if err != nil {
			return nil, err
		}
		out = append(out, Summary{strings.TrimSuffix(f, "/"+FileName), text(doc, "title"), text(doc, "summary"), text(doc, "engine")})
	}
	return out, nil
}

// Names returns the names of the built-in solutions in alphabetic order.
func (l Loader) Names() []string {
	list, err := l.List()
	if err != nil {
		return nil
	}
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.Name
	}
	return names
}

// Load finds the solution called ref, a built-in name, a folder or a YAML file,
// and loads it. Whatever is wrong with the name, the file or the options comes
// back as Problems, all of it at once.
func (l Loader) Load(ref string, o Options) (*Solution, error) {
	found, err := l.find(ref)
	if err != nil {
		return nil, err
	}
	doc, err := settings.Parse(found.label, found.src)
	if err != nil {
		return nil, err
	}
	s, err := l.Registry.build(found.label, doc, o)
	if err != nil {
		return nil, err
	}
	s.Files, s.Location = found.files, found.location
	return s, nil
}

// Readme returns the page of the solution called ref without loading its
// configuration.
func (l Loader) Readme(ref string) (string, error) {
	found, err := l.find(ref)
	if err != nil {
		return "", err
	}
	page, err := fs.ReadFile(found.files, "README.md")
	if errors.Is(err, fs.ErrNotExist) {
		return "", problem("%s has no README.md", found.location)
	}
	if err != nil {
		return "", fmt.Errorf("reading the page of %s: %w", ref, err)
	}
	return string(page), nil
}

// place is a solution that was found.
type place struct {
	files    fs.FS
	src      []byte
	label    string // the file's name in messages
	location string
}

func problem(format string, args ...any) error {
	return settings.Problems{{Text: fmt.Sprintf(format, args...)}}
}

func (l Loader) find(ref string) (place, error) {
	if isPath(ref) {
		return findPath(ref)
	}
	if l.Builtin != nil && fs.ValidPath(ref) && ref != "." {
		if src, err := fs.ReadFile(l.Builtin, ref+"/"+FileName); err == nil {
			sub, err := fs.Sub(l.Builtin, ref)
			if err != nil {
				return place{}, fmt.Errorf("opening the built-in solution %s: %w", ref, err)
			}
			return place{sub, src, FileName, "built-in " + ref}, nil
		}
	}
	p := &settings.Problem{Text: fmt.Sprintf("no solution `%s`", ref), Hint: "`millrace list` shows all"}
	if guess := settings.Nearest(ref, l.Names()); guess != "" {
		p.Text += fmt.Sprintf("; did you mean `%s`?", guess)
	} else if _, err := os.Stat(filepath.Join(ref, FileName)); err == nil {
		p.Hint = fmt.Sprintf("for the folder here, write ./%s", ref)
	}
	return place{}, settings.Problems{p}
}

// isPath tells a path from a built-in name.
func isPath(ref string) bool {
	return ref == "" || ref == "." || ref == ".." || strings.ContainsAny(ref, `/\`) ||
		strings.HasSuffix(ref, ".yaml") || strings.HasSuffix(ref, ".yml")
}

func findPath(ref string) (place, error) {
	if ref == "" {
		return place{}, problem("the name of a solution is empty")
	}
	file := ref
	info, err := os.Stat(ref)
	if err == nil && info.IsDir() {
		file = filepath.Join(ref, FileName)
		info, err = os.Stat(file)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return place{}, settings.Problems{{Text: fmt.Sprintf("there is no %s", file),
			Hint: "a solution is a folder with a " + FileName + "; `millrace list` shows the built-in ones"}}
	case err != nil:
		return place{}, &connector.Hinted{Hint: "check the path and its rights", Err: settings.Problems{{Text: err.Error()}}}
	case !info.Mode().IsRegular():
		return place{}, problem("%s is not a regular file", file)
	case info.Size() > 1<<20:
		return place{}, problem("%s is too large for a %s", file, FileName)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return place{}, settings.Problems{{Text: fmt.Sprintf("cannot read %s: %v", file, err), Hint: "check the rights of the file"}}
	}
	dir := filepath.Dir(file)
	return place{os.DirFS(dir), src, file, dir}, nil
}

package offline

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"millrace/process/streamanalytics/files"
	"millrace/process/streamanalytics/value"
)

// Case is a query with its inputs and what is expected of it: one text in the
// txtar form, or a folder with the same files.
//
//	What the case is about, in a sentence.
//	covers: names of what it covers, with commas
//	-- query.asaql --
//	-- options --              flags of a run, one per line
//	-- in/NAME.json --         an input; NAME.0.json, NAME.1.json are partitions
//	-- ref/NAME.csv --         reference data; also ref/NAME/... with --reference
//	-- udf.js --               JavaScript; any number of .js files
//	-- out/NAME.json --        the expected rows of an output, in any order
//	-- error --                or lines that the error's text must contain
//
// An output that no file is there for must stay empty. Rows are compared as
// [Compare] does.
type Case struct {
	// Name is the file or folder.
	Name string
	// About is the first sentence; Covers and Source are what the lines of
	// that name say.
	About  string
	Covers []string
	Source string

	files map[string][]byte
	// broken says why it is no case.
	broken error
}

const (
	queryFile   = "query.asaql"
	optionsFile = "options"
	errorFile   = "error"
)

// ParseCase reads a case from its text.
func ParseCase(name string, text []byte) (*Case, error) {
	a := txtar.Parse(text)
	c := &Case{Name: name, files: map[string][]byte{}}
	for _, f := range a.Files {
		if _, ok := c.files[f.Name]; ok {
			return nil, files.Misuse("", "%s: the file %s is there twice", name, f.Name)
		}
		c.files[f.Name] = f.Data
	}
	c.head(string(a.Comment))
	return c, c.check()
}

// ReadCase reads a case from a folder.
func ReadCase(name string, dir fs.FS) (*Case, error) {
	c := &Case{Name: name, files: map[string][]byte{}}
	err := fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(dir, p)
		c.files[p] = b
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the case %s: %w", name, err)
	}
	for _, about := range []string{"README.md", "README", "about"} {
		if b, ok := c.files[about]; ok {
			c.head(string(b))
		}
	}
	return c, c.check()
}

// head reads the text on top.
func (c *Case) head(text string) {
	var about []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "covers:"); ok {
			for id := range strings.SplitSeq(rest, ",") {
				c.Covers = append(c.Covers, strings.TrimSpace(id))
			}
		} else if rest, ok := strings.CutPrefix(line, "source:"); ok {
			c.Source = strings.TrimSpace(rest)
		} else if line != "" {
			about = append(about, line)
		}
	}
	c.About = strings.Join(about, " ")
}

// check says what is missing.
func (c *Case) check() error {
	if _, ok := c.files[queryFile]; !ok {
		return files.Misuse("", "%s: there is no %s", c.Name, queryFile)
	}
	_, fails := c.files[errorFile]
	outputs := len(c.under("out"))
	switch {
	case fails && outputs > 0:
		return files.Misuse("", "%s: it expects both rows and an error", c.Name)
	case !fails && outputs == 0:
		return files.Misuse("", "%s: it expects nothing: there is neither out/NAME.json nor error", c.Name)
	case fails && len(words(c.files[errorFile])) == 0:
		return files.Misuse("", "%s: the file error says nothing that the error should contain", c.Name)
	}
	return nil
}

// under are the names of the files in a folder, in order.
func (c *Case) under(dir string) []string {
	var out []string
	for name := range c.files {
		if strings.HasPrefix(name, dir+"/") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// words are the lines of a text that are not blank.
func words(text []byte) []string {
	var out []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// inputName is the name of the input that a file is for: NAME.json, or
// NAME.0.json for the first of several partitions.
func inputName(file string) string {
	name := path.Base(file)
	name = strings.TrimSuffix(name, ".gz")
	name = strings.TrimSuffix(name, path.Ext(name))
	if stem, digits, ok := cutLast(name, "."); ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
		name = stem
	}
	return name
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// options are the flags of the case with its files.
func (c *Case) options() (*Options, error) {
	var args []string
	for _, line := range words(c.files[optionsFile]) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		flag, rest, ok := strings.Cut(line, " ")
		args = append(args, flag)
		if ok {
			args = append(args, strings.TrimSpace(rest))
		}
	}
	o := &Options{}
	if err := o.ParseFlags(args); err != nil {
		return nil, files.Misuse("", "%s: %s: %w", c.Name, optionsFile, err)
	}
	for _, f := range c.under("in") {
		o.Inputs = append(o.Inputs, inputName(f)+"="+f)
	}
	for _, f := range c.under("ref") {
		if strings.Count(f, "/") == 1 {
			o.References = append(o.References, inputName(f)+"="+f)
		}
	}
	for _, f := range sortedNames(c.files) {
		if strings.HasSuffix(f, ".js") {
			o.Functions = append(o.Functions, f)
		}
	}
	return o, nil
}

func sortedNames(m map[string][]byte) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// caseTime is when runs of cases begin: the time of events that have none.
const caseTime = "2026-01-01T00:00:00Z"

// Result is what came of a case.
type Result struct {
	Name  string `json:"name"`
	About string `json:"about,omitempty"`
	Pass  bool   `json:"pass"`
	// Error is why the run failed although rows were expected, or what is
	// wrong with the error that came; Differences is what differs.
	Error       string        `json:"error,omitempty"`
	Differences []*Difference `json:"differences,omitempty"`
	Seconds     float64       `json:"seconds"`
}

// String says in lines why a case failed; "" if it passed.
func (r *Result) String() string {
	if r.Pass {
		return ""
	}
	var b strings.Builder
	if r.Error != "" {
		for line := range strings.Lines(r.Error) {
			b.WriteString(strings.TrimRight(line, "\n") + "\n")
		}
	}
	for _, d := range r.Differences {
		b.WriteString(d.String())
	}
	return b.String()
}

// Run runs the case. Whatever goes wrong is in the result; only the end of ctx
// is an error.
func (c *Case) Run(ctx context.Context) (*Result, error) {
	began := time.Now()
	r := &Result{Name: c.Name, About: c.About}
	if c.broken != nil {
		r.Error = c.broken.Error()
		return r, ctx.Err()
	}
	rows := map[string][][]byte{}
	summary, err := c.run(ctx, rows)
	r.Seconds = time.Since(began).Seconds()
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if want, ok := c.files[errorFile]; ok {
		r.Error = unlike(words(want), err)
	} else if err != nil {
		r.Error = "it failed: " + err.Error()
	} else if err := c.compare(r, rows, summary); err != nil {
		r.Error = err.Error()
	}
	r.Pass = r.Error == "" && r.Differences == nil
	return r, nil
}

// unlike says what an error's text lacks, "" if nothing.
func unlike(want []string, err error) string {
	if err == nil {
		return "it did not fail, but an error with these words was expected: " + strings.Join(want, " / ")
	}
	for _, w := range want {
		if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(w)) {
			return fmt.Sprintf("the error does not say %q: %s", w, err)
		}
	}
	return ""
}

func (c *Case) run(ctx context.Context, rows map[string][][]byte) (*Summary, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	at, _ := value.ParseTime(caseTime)
	return Run(ctx, Request{
		Query: Query{Text: string(c.files[queryFile])}, Options: o,
		World: World{Open: c.open, Reference: c},
		Now:   func() time.Time { return value.ToGoTime(at) },
		Row: func(output string, row []byte) error {
			rows[output] = append(rows[output], slices.Clone(row))
			return nil
		},
	})
}

// compare compares all outputs.
func (c *Case) compare(r *Result, rows map[string][][]byte, s *Summary) error {
	known := map[string]string{}
	for _, o := range s.Outputs {
		known[strings.ToLower(o.Name)] = o.Name
	}
	for _, f := range c.under("out") {
		name := inputName(f)
		output, ok := known[strings.ToLower(name)]
		if !ok {
			return fmt.Errorf("the query has no output %s", name)
		}
		delete(known, strings.ToLower(name))
		var want [][]byte
		in, err := files.Open(files.File{Path: f, Format: files.JSON}, c.open)
		if err != nil {
			return err
		}
		for {
			rec, err := in.Next()
			if err == io.EOF {
				break
			}
			if err == nil {
				err = rec.Err
			}
			if err != nil {
				return err
			}
			want = append(want, slices.Clone(rec.JSON))
		}
		d, err := Compare(output, want, rows[output])
		if err != nil {
			return err
		}
		if d != nil {
			r.Differences = append(r.Differences, d)
		}
	}
	for _, name := range known {
		if len(rows[name]) > 0 {
			return fmt.Errorf("output %s has %s, and there is no out/%s.json", name, several(int64(len(rows[name])), "row"), name)
		}
	}
	return nil
}

// open opens a file of the case.
func (c *Case) open(path string) (io.ReadCloser, error) {
	b, ok := c.files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// Open implements refdata.Files.
func (c *Case) Open(_ context.Context, name string) (io.ReadCloser, error) { return c.open(name) }

// List implements refdata.Files.
func (c *Case) List(_ context.Context, prefix string, fn func(name string) error) error {
	for _, name := range sortedNames(c.files) {
		if strings.HasPrefix(name, prefix) {
			if err := fn(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// FindCases reads the cases in a folder: its .txtar files and the folders with
// a query.asaql, at any depth.
func FindCases(dir fs.FS) ([]*Case, error) {
	var out []*Case
	err := fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var c *Case
		switch {
		case !d.IsDir() && strings.HasSuffix(p, ".txtar"):
			text, err := fs.ReadFile(dir, p)
			if err != nil {
				return err
			}
			if c, err = ParseCase(p, text); err != nil {
				c.broken = err
			}
		case d.IsDir():
			if _, serr := fs.Stat(dir, path.Join(p, queryFile)); serr != nil {
				return nil
			}
			sub, err := fs.Sub(dir, p)
			if err != nil {
				return err
			}
			if c, err = ReadCase(p, sub); err != nil {
				c.broken = err
			}
		}
		if c != nil {
			out = append(out, c)
			if d.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
	return out, err
}

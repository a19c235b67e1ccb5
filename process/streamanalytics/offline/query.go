package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"millrace/process/streamanalytics/check"
	"millrace/process/streamanalytics/files"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/refdata"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/udf"
)

// Query is the text of a query and where it is from.
type Query struct {
	// Name is the file, for messages.
	Name string
	Text string
}

// MaxQuery is the longest text of a query that is read, in bytes.
const MaxQuery = 4 << 20

// ReadQuery reads a query from a file.
func ReadQuery(path string, open files.Opener) (Query, error) {
	text, err := readText(path, open)
	return Query{Name: path, Text: text}, err
}

// readText reads a whole file of text.
func readText(path string, open files.Opener) (string, error) {
	in, err := files.OpenRaw(path, open)
	if err != nil {
		return "", err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, MaxQuery+1))
	if err != nil {
		return "", files.Misuse("", "%s can not be read: %w", path, err)
	}
	if len(b) > MaxQuery {
		return "", files.Misuse("", "%s is longer than %d MB", path, MaxQuery>>20)
	}
	return strings.TrimPrefix(string(b), "\ufeff"), nil
}

// QueryError says what is wrong with a query.
type QueryError struct {
	Query       Query
	Diagnostics []syntax.Diagnostic
}

// Error lists all that is wrong, each with its place and the line it is about.
func (e *QueryError) Error() string {
	var b strings.Builder
	for i, d := range e.Diagnostics {
		if i > 0 {
			b.WriteByte('\n')
		}
		if e.Query.Name != "" {
			fmt.Fprintf(&b, "%s: ", e.Query.Name)
		}
		b.WriteString(d.Error())
	}
	return b.String()
}

// World is what a run touches outside of the program.
type World struct {
	// Open opens files, nil for those of this machine; Stdin is read for the
	// path "-".
	Open  files.Opener
	Stdin io.Reader
	// Reference is where reference data is, nil for the files of this machine.
	Reference refdata.Files
}

func (w *World) opener() files.Opener {
	return func(path string) (io.ReadCloser, error) {
		if path == files.Stdin && w.Stdin != nil {
			return io.NopCloser(w.Stdin), nil
		}
		return files.OpenRaw(path, w.Open)
	}
}

// compiled is a query that is ready to run.
type compiled struct {
	query     Query
	job       *plan.Job
	functions *udf.Library
	settings  *settings
	// notes are remarks on the run for people.
	notes []string
}

// Compile checks a query. What is wrong with it is a *QueryError; a UseError
// says what is wrong with the options.
func Compile(q Query, o *Options, w World) (*plan.Job, error) {
	c, err := compile(q, o, w, false)
	if err != nil {
		return nil, err
	}
	return c.job, nil
}

// compile checks a query. To be run, it must not call functions that are in no
// file.
func compile(q Query, o *Options, w World, run bool) (*compiled, error) {
	s, err := o.read()
	if err != nil {
		return nil, err
	}
	c := &compiled{query: q, settings: s}
	co := check.Options{Level: s.level, Inputs: map[string]check.Input{}, AnyInput: true}
	for _, r := range s.references {
		co.Inputs[r.Name] = check.Input{Kind: plan.Reference}
	}
	for _, in := range s.inputs {
		known := co.Inputs[in.Name]
		known.Kind = plan.Stream
		known.Partitions++
		co.Inputs[in.Name] = known
	}
	for _, k := range o.PartitionKeys {
		name, column, ok := strings.Cut(k, "=")
		if !ok || name == "" || column == "" {
			return nil, files.Misuse("for example: --partition-key Input=deviceId", "--partition-key: %s is not NAME=COLUMN", k)
		}
		known := co.Inputs[name]
		known.PartitionKey = column
		co.Inputs[name] = known
	}
	if run || len(o.Functions) > 0 {
		if c.functions, err = loadFunctions(o.Functions, s, w.Open); err != nil {
			return nil, err
		}
		co.Functions = c.functions
	}
	script, diags := syntax.Parse(q.Text)
	if len(diags) == 0 {
		c.job, diags = check.Check(script, co)
	}
	if len(diags) > 0 {
		return nil, &QueryError{q, diags}
	}
	return c, nil
}

// loadFunctions reads files of JavaScript.
func loadFunctions(paths []string, s *settings, open files.Opener) (*udf.Library, error) {
	var list []udf.File
	for _, path := range paths {
		text, err := readText(path, open)
		if err != nil {
			return nil, err
		}
		list = append(list, udf.File{Name: filepath.Base(path), Source: text})
	}
	lib, err := udf.Load(udf.Options{Level: s.level}, list...)
	if err != nil {
		return nil, files.Misuse("", "--udf: %w", err)
	}
	return lib, nil
}

// bind finds the files of the inputs that the query reads.
func (c *compiled) bind() (map[int][]files.File, error) {
	out := map[int][]files.File{}
	used := map[int]bool{}
	for i, in := range c.job.Inputs {
		if in.Kind == plan.Reference {
			continue
		}
		for j, f := range c.settings.inputs {
			if strings.EqualFold(f.Name, in.Name) {
				out[i] = append(out[i], f)
				used[j] = true
			}
		}
		if out[i] == nil {
			return nil, c.noInput(in)
		}
	}
	for j, f := range c.settings.inputs {
		if !used[j] {
			c.notes = append(c.notes, fmt.Sprintf("the query does not read the input %s: %s", f.Name, c.reads()))
		}
	}
	return out, nil
}

func (c *compiled) noInput(in *plan.Input) error {
	hint := fmt.Sprintf("add --input %s=FILE, or --reference %s=FILE", in.Name, in.Name)
	for _, f := range c.settings.inputs {
		if syntax.Nearest(f.Name, []string{in.Name}) != "" {
			hint = fmt.Sprintf("--input names %s; should it be %s?", f.Name, in.Name)
		}
	}
	return files.Misuse(hint, "there is no file for the input %s that the query reads", in.Name)
}

// reads says what the query reads.
func (c *compiled) reads() string {
	var names []string
	for _, in := range c.job.Inputs {
		names = append(names, in.Name)
	}
	return "it reads " + strings.Join(names, ", ")
}

// openReferences reads the reference data.
func (c *compiled) openReferences(ctx context.Context, o *Options, w World) (map[string]*refdata.Table, error) {
	out := map[string]*refdata.Table{}
	for _, in := range c.job.Inputs {
		if in.Kind != plan.Reference {
			continue
		}
		for _, f := range c.settings.references {
			if !strings.EqualFold(f.Name, in.Name) {
				continue
			}
			t, err := refdata.Open(ctx, refdata.Options{File: f, From: w.Reference, DateFormat: o.DateFormat, TimeFormat: o.TimeFormat, Level: c.settings.level})
			if err != nil {
				return nil, err
			}
			out[in.Name] = t
		}
		if out[in.Name] == nil {
			return nil, files.Misuse(fmt.Sprintf("add --reference %s=FILE", in.Name), "there is no file for the reference data %s", in.Name)
		}
	}
	return out, nil
}

// IsUse tells whether an error is about how a run was asked for, not about
// the run itself.
func IsUse(err error) bool {
	use, query := (*files.UseError)(nil), (*QueryError)(nil)
	return errors.As(err, &use) || errors.As(err, &query)
}

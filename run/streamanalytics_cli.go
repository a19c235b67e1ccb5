package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"millrace/connector/blob"
	"millrace/process/streamanalytics/check"
	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/files"
	"millrace/process/streamanalytics/offline"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
	"millrace/ui/cli"
)

// Queries makes the tools for authors of Stream Analytics queries.
func Queries() cli.Queries { return &queries{options: offline.Defaults()} }

// queries are the tools over package offline.
type queries struct {
	options *offline.Options
	// container is where reference data is, "" for the files of this machine.
	container string
}

// CheckFlags implements cli.Queries.
func (t *queries) CheckFlags(f *pflag.FlagSet) { t.options.AddCheckFlags(f) }

// RunFlags implements cli.Queries.
func (t *queries) RunFlags(f *pflag.FlagSet) {
	t.options.AddRunFlags(f)
	f.StringVar(&t.container, "reference-container", "", "reference data is in this `CONTAINER` of the storage account, or folder, that STORAGE_CONNECTION_STRING names")
}

// Check implements cli.Queries.
func (t *queries) Check(_ context.Context, q cli.QueryText) error {
	_, err := offline.Compile(offline.Query(q), t.options, offline.World{})
	return queryError(err)
}

// Explain implements cli.Queries.
func (t *queries) Explain(_ context.Context, q cli.QueryText, asJSON bool) (string, error) {
	job, err := offline.Compile(offline.Query(q), t.options, offline.World{})
	if err != nil {
		return "", queryError(err)
	}
	if !asJSON {
		return check.Explain(job), nil
	}
	b, err := check.ExplainJSON(job)
	if err != nil {
		return "", fmt.Errorf("explaining the query: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return "", fmt.Errorf("explaining the query: %w", err)
	}
	return out.String(), nil
}

// Format implements cli.Queries.
func (t *queries) Format(q cli.QueryText) (string, error) {
	script, diags := syntax.Parse(q.Text)
	if len(diags) > 0 {
		return "", mistakes(q, diags)
	}
	return syntax.Print(script), nil
}

// Run implements cli.Queries.
func (t *queries) Run(ctx context.Context, r cli.QueryRun) (sum *cli.QuerySummary, err error) {
	q := offline.Request{Query: offline.Query(r.Query), Options: t.options, World: offline.World{Stdin: r.Stdin}, Follow: r.Follow}
	if t.container != "" {
		bucket, err := blob.Open(ctx, "", t.container, r.Getenv)
		if err != nil {
			return nil, fmt.Errorf("--reference-container: %w", err)
		}
		defer bucket.Close()
		q.World.Reference = blobFiles{bucket}
	}
	if r.Progress != nil {
		q.Progress = func(p offline.Progress) { r.Progress(cli.QueryProgress(p)) }
	}
	var folder *offline.Folder
	var dropped *offline.DroppedFile
	defer func() {
		if folder != nil {
			err = errors.Join(err, folder.Close())
		}
		if dropped != nil {
			err = errors.Join(err, dropped.Close())
		}
	}()
	several := false
	q.Begin = func(outputs []string) (err error) {
		several = len(outputs) > 1
		if r.OutputDir != "" {
			if folder, err = offline.NewFolder(r.OutputDir, outputs); err != nil {
				return err
			}
		}
		if r.Dropped != "" {
			dropped, err = offline.NewDroppedFile(r.Dropped)
		}
		return err
	}
	q.Row = func(output string, row []byte) error {
		if folder != nil {
			return folder.Row(output, row)
		}
		return r.Row(output, row, several)
	}
	q.Idle = func() error {
		if folder != nil {
			return folder.Flush()
		}
		if r.Idle != nil {
			return r.Idle()
		}
		return nil
	}
	if r.Dropped != "" {
		q.Dropped = func(d *offline.Dropped) error { return dropped.Write(d) }
	}
	s, err := offline.Run(ctx, q)
	err = queryError(err)
	if s == nil {
		return nil, err
	}
	return querySummary(r, s, folder), err
}

// querySummary is a summary for the command line.
func querySummary(r cli.QueryRun, s *offline.Summary, folder *offline.Folder) *cli.QuerySummary {
	out := &cli.QuerySummary{Query: r.Query.Name, InputEvents: s.Stats.InputEvents, InputEventBytes: s.Stats.InputEventBytes,
		OutputEvents: s.Stats.OutputEvents, InputDeserializationErrors: s.Stats.InputDeserializationErrors,
		DataConversionErrors: s.Stats.DataConversionErrors, EarlyInputEvents: s.Stats.EarlyInputEvents,
		LateInputEvents: s.Stats.LateInputEvents, OutOfOrderEvents: s.Stats.OutOfOrderEvents, Dropped: s.Dropped,
		StateBytes: s.StateBytes, Seconds: s.Elapsed.Seconds(), Notes: s.Notes}
	if s.Elapsed > 0 {
		out.EventsPerSecond = float64(s.Stats.InputEvents) / s.Elapsed.Seconds()
	}
	if s.Latest != exec.NoTime {
		out.Watermark = string(value.AppendTime(nil, s.Latest))
	}
	for _, o := range s.Outputs {
		file := ""
		if folder != nil {
			file = folder.Path(o.Name)
		}
		out.Outputs = append(out.Outputs, cli.QueryOutput{Name: o.Name, Rows: o.Rows, File: file})
	}
	return out
}

// Test implements cli.Queries.
func (t *queries) Test(ctx context.Context, path string, fn func(cli.QueryCase) error) error {
	cases, err := casesAt(path)
	if err != nil {
		return err
	}
	for _, c := range cases {
		r, err := c.Run(ctx)
		if err != nil {
			return err
		}
		if err := fn(cli.QueryCase{Name: r.Name, About: r.About, Covers: c.Covers, Pass: r.Pass, Problem: r.String(), Seconds: r.Seconds}); err != nil {
			return err
		}
	}
	return nil
}

// casesAt are the cases in a folder, or the one in a file.
func casesAt(path string) ([]*offline.Case, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage("", "there is no folder or file %s", path)
	}
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return offline.FindCases(os.DirFS(path))
	}
	if !strings.HasSuffix(path, ".txtar") {
		return nil, usage("a case is a .txtar file, or a folder with query.asaql", "%s is not a case", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	c, err := offline.ParseCase(filepath.ToSlash(path), text)
	if err != nil {
		return nil, queryError(err)
	}
	return []*offline.Case{c}, nil
}

// queryError makes an error of the offline runner one of the command line.
func queryError(err error) error {
	var (
		wrong  *offline.QueryError
		use    *files.UseError
		failed *offline.RunError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return mistakes(cli.QueryText(wrong.Query), wrong.Diagnostics)
	case errors.As(err, &use):
		return &cli.UsageError{Err: err, Hint: use.Hint}
	case errors.As(err, &failed):
		return &cli.QueryFailure{Err: err, Excerpt: syntax.Diagnostic{Pos: failed.Pos, End: failed.Pos}.Excerpt(failed.Query.Text)}
	}
	return err
}

// mistakes are diagnostics for the command line.
func mistakes(q cli.QueryText, diags []syntax.Diagnostic) error {
	out := &cli.QueryMistakes{Query: q}
	for _, d := range diags {
		out.Mistakes = append(out.Mistakes, cli.QueryMistake{Line: d.Pos.Line, Column: d.Pos.Column, Message: d.Message,
			Suggestion: d.Suggestion, Excerpt: d.Excerpt(q.Text)})
	}
	return out
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Queries are the tools for authors of Stream Analytics queries. One value is
// for one command.
type Queries interface {
	// CheckFlags adds the flags that a check takes, RunFlags those of a run;
	// they are in effect for the calls that follow.
	CheckFlags(*pflag.FlagSet)
	RunFlags(*pflag.FlagSet)
	// Check finds what is wrong with a query: a *QueryMistakes.
	Check(ctx context.Context, q QueryText) error
	// Explain says how a query is worked off, as text or JSON.
	Explain(ctx context.Context, q QueryText, asJSON bool) (string, error)
	// Format returns the text in canonical form; a *QueryMistakes if it can
	// not be read.
	Format(q QueryText) (string, error)
	// Run runs a query over files. The summary is there also if it fails on
	// the way, with a *QueryFailure.
	Run(ctx context.Context, r QueryRun) (*QuerySummary, error)
	// Test runs the cases in a folder or file and calls fn for each, in their
	// order.
	Test(ctx context.Context, path string, fn func(QueryCase) error) error
}

// QueryText is a query and the file that it is from.
type QueryText struct{ Name, Text string }

// QueryMistake is one thing that is wrong with a query.
type QueryMistake struct {
	// Line and Column count from 1.
	Line       int    `json:"line"`
	Column     int    `json:"column"`
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"`
	// Excerpt is the line, and carets below it.
	Excerpt string `json:"excerpt,omitempty"`
}

// QueryMistakes are all things that are wrong with a query.
type QueryMistakes struct {
	Query    QueryText
	Mistakes []QueryMistake
}

func (e *QueryMistakes) Error() string {
	name := e.Query.Name
	if name == "" {
		name = "the query"
	}
	if len(e.Mistakes) == 1 {
		return name + " has a mistake"
	}
	return fmt.Sprintf("%s has %d mistakes", name, len(e.Mistakes))
}

// QueryFailure is a run that failed, with the part of the query that is to
// blame.
type QueryFailure struct {
	Excerpt string
	Err     error
}

func (e *QueryFailure) Error() string { return e.Err.Error() }
func (e *QueryFailure) Unwrap() error { return e.Err }

// QueryRun is one run.
type QueryRun struct {
	Query QueryText
	Stdin io.Reader
	// Getenv reads an environment variable: where reference data is.
	Getenv func(string) string
	// OutputDir is the folder for the results, "" if Row takes them.
	OutputDir string
	// Row takes rows as JSON objects if there is no OutputDir; several tells
	// that there is more than one output.
	Row func(output string, row []byte, several bool) error
	// Dropped is a file for events that were not used, "" for none.
	Dropped string
	Follow  bool
	// Idle is called when a run that follows its input waits for more.
	Idle func() error
	// Progress is called now and then.
	Progress func(QueryProgress)
}

// QueryProgress is how far a run is.
type QueryProgress struct {
	Events, Rows int64
	Looking      bool
	Elapsed      time.Duration
}

// QuerySummary is what came of a run.
type QuerySummary struct {
	Query   string        `json:"query"`
	Outputs []QueryOutput `json:"outputs"`
	// The counts have the names of the service's metrics.
	InputEvents                int64            `json:"inputEvents"`
	InputEventBytes            int64            `json:"inputEventBytes"`
	OutputEvents               int64            `json:"outputEvents"`
	InputDeserializationErrors int64            `json:"inputDeserializationErrors"`
	DataConversionErrors       int64            `json:"dataConversionErrors"`
	EarlyInputEvents           int64            `json:"earlyInputEvents"`
	LateInputEvents            int64            `json:"lateInputEvents"`
	OutOfOrderEvents           int64            `json:"outOfOrderEvents"`
	Dropped                    map[string]int64 `json:"dropped"`
	Watermark                  string           `json:"watermark,omitempty"`
	StateBytes                 int64            `json:"peakStateBytes"`
	Seconds                    float64          `json:"seconds"`
	EventsPerSecond            float64          `json:"eventsPerSecond"`
	Notes                      []string         `json:"notes,omitempty"`
	Error                      string           `json:"error,omitempty"`
}

// QueryOutput is one output of a run.
type QueryOutput struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	File string `json:"file,omitempty"`
}

// QueryCase is what came of a case.
type QueryCase struct {
	Name    string   `json:"name"`
	About   string   `json:"about,omitempty"`
	Covers  []string `json:"covers,omitempty"`
	Pass    bool     `json:"pass"`
	Problem string   `json:"problem,omitempty"`
	Seconds float64  `json:"seconds"`
}

const queriesLong = `Run, check and test queries of Stream Analytics on this machine.

A query reads files and writes files: no service is needed. What the engine
does with time, types and outputs is in docs/streamanalytics.md.`

// queriesCommand is everything about Stream Analytics queries.
func (a *app) queriesCommand() *cobra.Command {
	if a.Stages.Queries == nil {
		return nil
	}
	cmd := &cobra.Command{Use: "streamanalytics COMMAND", Aliases: []string{"asa"}, Short: "Run, check and test Stream Analytics queries over files",
		Long: queriesLong,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: a.enter(func(cmd *cobra.Command, _ []string) error { return cmd.Help() })}
	cmd.AddCommand(a.queriesRun(), a.queriesCheck(), a.queriesExplain(), a.queriesFmt(), a.queriesTest(), a.queriesShell())
	return cmd
}

// maxQueryText is the longest query that is read.
const maxQueryText = 4 << 20

// readQuery reads the query from a file, or from standard input for "-".
func (a *app) readQuery(path string) (QueryText, error) {
	q := QueryText{Name: path}
	in := a.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return q, usage("", "the query %s can not be read: %w", path, unwrapPath(err))
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxQueryText+1))
	if err != nil {
		return q, usage("", "the query %s can not be read: %w", path, unwrapPath(err))
	}
	if len(b) > maxQueryText {
		return q, usage("", "the query %s is longer than %d MB", path, maxQueryText>>20)
	}
	q.Text = string(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
	return q, nil
}

// unwrapPath leaves the path out of an error that names it anyway.
func unwrapPath(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}

// showMistakes prints what is wrong with a query, each with its place.
func showMistakes(w io.Writer, e *QueryMistakes) {
	for _, m := range e.Mistakes {
		fmt.Fprintf(w, "%s:%d:%d: %s", e.Query.Name, m.Line, m.Column, m.Message)
		if m.Suggestion != "" {
			fmt.Fprintf(w, "; %s", m.Suggestion)
		}
		fmt.Fprintln(w)
		writeExcerpt(w, m.Excerpt)
	}
}

func writeExcerpt(w io.Writer, excerpt string) {
	for line := range strings.Lines(excerpt) {
		fmt.Fprintf(w, "    %s\n", strings.TrimRight(line, "\n"))
	}
}

// mistaken prints the mistakes in err, if it is about any, and makes a usage
// error of it.
func (a *app) mistaken(err error) error {
	var wrong *QueryMistakes
	if errors.As(err, &wrong) {
		showMistakes(a.Stderr, wrong)
		return &UsageError{Err: wrong}
	}
	var failed *QueryFailure
	if errors.As(err, &failed) {
		writeExcerpt(a.Stderr, failed.Excerpt)
	}
	return err
}

// oneQuery accepts exactly one argument, the query's file.
func oneQuery(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("for example: "+cmd.CommandPath()+" query.asaql", "%s takes one file with a query, or - for standard input", cmd.CommandPath())
	}
	return nil
}

func (a *app) queriesCheck() *cobra.Command {
	var asJSON bool
	tools := a.Stages.Queries()
	cmd := &cobra.Command{Use: "check QUERY...", Short: "Say what is wrong with queries, and where",
		Long: "Say what is wrong with queries: every mistake with its line, the place in it,\nand what to do. Exits with 2 if there is one. Inputs that are named are known;\nothers are taken as streams. With --udf only functions in the files exist.",
		Example: "  millrace streamanalytics check query.asaql\n" +
			"  millrace streamanalytics check query.asaql --reference Devices=devices.csv \\\n      --udf functions.js",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("for example: millrace streamanalytics check query.asaql", "%s needs a file with a query, or - for standard input", cmd.CommandPath())
			}
			return nil
		},
	}
	queryFlags(cmd)
	tools.CheckFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per query")
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		mistakes := 0
		for _, path := range args {
			q, err := a.readQuery(path)
			if err != nil {
				return err
			}
			n, err := a.checkOne(cmd.Context(), tools, q, asJSON)
			if err != nil {
				return err
			}
			mistakes += n
		}
		switch mistakes {
		case 0:
			return nil
		case 1:
			return usage("", "there is a mistake")
		}
		return usage("", "there are %d mistakes", mistakes)
	})
	return cmd
}

// checkOne checks a query, says what is wrong, and returns how much that is.
func (a *app) checkOne(ctx context.Context, tools Queries, q QueryText, asJSON bool) (int, error) {
	err := tools.Check(ctx, q)
	var wrong *QueryMistakes
	ok := errors.As(err, &wrong)
	if err != nil && !ok {
		return 0, err
	}
	if asJSON {
		out := struct {
			Query    string         `json:"query"`
			OK       bool           `json:"ok"`
			Mistakes []QueryMistake `json:"mistakes"`
		}{q.Name, err == nil, []QueryMistake{}}
		if ok {
			out.Mistakes = wrong.Mistakes
		}
		return len(out.Mistakes), writeLine(a.Stdout, out)
	}
	if ok {
		showMistakes(a.Stderr, wrong)
		return len(wrong.Mistakes), nil
	}
	_, err = fmt.Fprintf(a.Stdout, "%s: nothing is wrong\n", q.Name)
	return 0, err
}

func (a *app) queriesExplain() *cobra.Command {
	var asJSON bool
	tools := a.Stages.Queries()
	cmd := &cobra.Command{Use: "explain QUERY", Short: "Show how a query is worked off, and whether in parallel",
		Long:    "Show the steps of a query from its inputs to its outputs, what state they keep\nand for which keys, and why the query can be worked off per partition or not.",
		Example: "  millrace streamanalytics explain query.asaql",
		Args:    oneQuery}
	queryFlags(cmd)
	tools.CheckFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		q, err := a.readQuery(args[0])
		if err != nil {
			return err
		}
		text, err := tools.Explain(cmd.Context(), q, asJSON)
		if err != nil {
			return a.mistaken(err)
		}
		_, err = io.WriteString(a.Stdout, strings.TrimRight(text, "\n")+"\n")
		return err
	})
	return cmd
}

func (a *app) queriesFmt() *cobra.Command {
	var write, list bool
	tools := a.Stages.Queries()
	cmd := &cobra.Command{Use: "fmt QUERY...", Short: "Write queries in canonical form",
		Long:    "Write queries in one canonical form, with their comments, to standard output or\nback into their files.",
		Example: "  millrace streamanalytics fmt query.asaql\n  millrace streamanalytics fmt -w *.asaql",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("for example: millrace streamanalytics fmt -w query.asaql", "%s needs a file with a query, or - for standard input", cmd.CommandPath())
			}
			return nil
		}}
	queryFlags(cmd)
	cmd.Flags().BoolVarP(&write, "write", "w", false, "write the result back into the file")
	cmd.Flags().BoolVarP(&list, "list", "l", false, "only list the files that are not in this form; exits with 1 if there are any")
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		different := 0
		for _, path := range args {
			changed, err := a.formatOne(tools, path, write, list)
			if err != nil {
				return err
			}
			if changed {
				different++
			}
		}
		if list && different > 0 && !write {
			return fmt.Errorf("not in canonical form: %s", several(different, "file"))
		}
		return nil
	})
	return cmd
}

// formatOne writes one query in canonical form, and tells whether it was not.
func (a *app) formatOne(tools Queries, path string, write, list bool) (bool, error) {
	q, err := a.readQuery(path)
	if err != nil {
		return false, err
	}
	text, err := tools.Format(q)
	if err != nil {
		return false, a.mistaken(err)
	}
	changed := text != q.Text
	if list && changed {
		if _, err := fmt.Fprintln(a.Stdout, path); err != nil {
			return changed, err
		}
	}
	switch {
	case write && path != "-":
		if changed {
			err = replaceFile(path, text)
		}
	case !list:
		_, err = io.WriteString(a.Stdout, text)
	}
	return changed, err
}

// replaceFile writes a file whole or not at all.
func replaceFile(path, text string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".millrace-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), st.Mode().Perm())
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (a *app) queriesTest() *cobra.Command {
	var asJSON, verbose bool
	tools := a.Stages.Queries()
	cmd := &cobra.Command{Use: "test PATH...", Short: "Run cases: a query, its inputs, and the rows that should come",
		Long: "Run the cases in folders: files that end in .txtar, and folders with a\n" +
			"query.asaql. A case has the query, the inputs in in/, and the rows it should\n" +
			"give in out/, in any order; see docs/streamanalytics.md.",
		Example: "  millrace streamanalytics test cases\n  millrace streamanalytics test cases/late.txtar --json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("for example: millrace streamanalytics test cases", "%s needs a folder with cases", cmd.CommandPath())
			}
			return nil
		}}
	queryFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per case, and one with the totals")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also list the cases that pass")
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		passed, failed := 0, 0
		began := time.Now()
		for _, path := range args {
			err := tools.Test(cmd.Context(), path, func(c QueryCase) error {
				if c.Pass {
					passed++
				} else {
					failed++
				}
				if asJSON {
					return writeLine(a.Stdout, c)
				}
				return showCase(a.Stdout, c, verbose)
			})
			if err != nil {
				return a.mistaken(err)
			}
		}
		if passed+failed == 0 {
			return usage("a case is a .txtar file, or a folder with query.asaql", "there are no cases in %s", strings.Join(args, ", "))
		}
		if asJSON {
			if err := writeLine(a.Stdout, map[string]any{"passed": passed, "failed": failed, "seconds": time.Since(began).Seconds()}); err != nil {
				return err
			}
		} else if _, err := fmt.Fprintf(a.Stdout, "%d passed, %d failed, %.1f s\n", passed, failed, time.Since(began).Seconds()); err != nil {
			return err
		}
		if failed > 0 {
			return fmt.Errorf("%s failed", several(failed, "case"))
		}
		return nil
	})
	return cmd
}

func showCase(w io.Writer, c QueryCase, verbose bool) error {
	if c.Pass {
		if !verbose {
			return nil
		}
		_, err := fmt.Fprintf(w, "ok    %s\n", c.Name)
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "FAIL  %s\n", c.Name)
	for _, line := range wrap(c.About, 74) {
		fmt.Fprintf(&b, "      %s\n", line)
	}
	for line := range strings.Lines(c.Problem) {
		fmt.Fprintf(&b, "      %s\n", strings.TrimRight(line, "\n"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// queryFlags prepares a command's flags.
func queryFlags(cmd *cobra.Command) { cmd.Flags().SortFlags = false }

package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const queryRunLong = `Run a query over files, and write the rows of each output to a file of its own.

Rows are JSON, one object per line, in OUTPUT-DIR/<output>.json; without
--output-dir they go to standard output. Without --arrival events arrive at
their own time. When the files end, all windows are closed.

With - as the file of an input, or with --follow, rows appear as events come;
Ctrl-C is the end of the input then.`

const queryRunExample = `  millrace streamanalytics run --query q.asaql \
      --input Input=events.json --output-dir out
  millrace streamanalytics run --query q.asaql --input Input=p0.csv \
      --input Input=p1.csv --reference Devices=devices.csv --udf f.js \
      --arrival receivedAt --late 10s --late-policy drop --output-dir out
  generate | millrace streamanalytics run --query q.asaql --input Input=-`

func (a *app) queriesRun() *cobra.Command {
	var file, dir, dropped string
	var follow, asJSON, quiet bool
	tools := a.Stages.Queries()
	cmd := &cobra.Command{Use: "run --query QUERY --input NAME=FILE", Short: "Run a query over files", Long: queryRunLong, Example: queryRunExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if file == "" && len(args) == 1 {
				file = args[0]
				return nil
			}
			if file == "" {
				return usage("for example: --query query.asaql", "%s needs a --query", cmd.CommandPath())
			}
			return noArgs(cmd, args)
		}}
	queryFlags(cmd)
	f := cmd.Flags()
	f.StringVarP(&file, "query", "q", "", "the `FILE` with the query")
	f.StringVarP(&dir, "output-dir", "o", "", "the `FOLDER` for the results; it is created")
	tools.RunFlags(f)
	f.StringVar(&dropped, "dropped", "", "a `FILE` for events that were not used, with the reason")
	f.BoolVar(&follow, "follow", false, "wait for more when a file has ended, until Ctrl-C")
	f.BoolVar(&asJSON, "json", false, "print the summary as one JSON object; needs --output-dir")
	f.BoolVar(&quiet, "quiet", false, "print no summary and no progress")
	cmd.RunE = a.enter(func(cmd *cobra.Command, _ []string) error {
		if asJSON && dir == "" {
			return usage("for example: --output-dir out", "--json needs an --output-dir for the rows: standard output is for the summary")
		}
		q, err := a.readQuery(file)
		if err != nil {
			return err
		}
		out := bufio.NewWriterSize(a.Stdout, 64<<10)
		r := QueryRun{Query: q, Stdin: a.Stdin, Getenv: a.Getenv, OutputDir: dir, Dropped: dropped, Follow: follow,
			Row: rowPrinter(out), Idle: out.Flush}
		show := &queryProgress{w: quietWriter(a.Stderr, quiet), live: a.StderrColumns > 0 && dir != ""}
		r.Progress = show.update
		summary, err := tools.Run(cmd.Context(), r)
		show.clear()
		if ferr := out.Flush(); err == nil && ferr != nil {
			err = fmt.Errorf("writing the rows: %w", ferr)
		}
		return a.ranQuery(summary, err, asJSON, quiet)
	})
	return cmd
}

// ranQuery shows what came of a run.
func (a *app) ranQuery(s *QuerySummary, err error, asJSON, quiet bool) error {
	if err != nil {
		err = a.mistaken(err)
	}
	if s == nil {
		return err
	}
	if asJSON {
		if err != nil {
			s.Error = err.Error()
		}
		if werr := writeJSON(a.Stdout, s); err == nil {
			err = werr
		}
		return err
	}
	if !quiet {
		if werr := writeQuerySummary(a.Stderr, s); err == nil {
			err = werr
		}
	}
	return err
}

// rowPrinter writes rows to w, with the name of their output if there are
// several.
func rowPrinter(w *bufio.Writer) func(output string, row []byte, several bool) error {
	return func(output string, row []byte, several bool) (err error) {
		if several {
			_, err = fmt.Fprintf(w, "{\"output\":%q,\"row\":%s}\n", output, row)
			return err
		}
		_, _ = w.Write(row)
		return w.WriteByte('\n')
	}
}

// writeQuerySummary writes what came of a run for people.
func writeQuerySummary(w io.Writer, s *QuerySummary) error {
	var b strings.Builder
	for _, o := range s.Outputs {
		to := ""
		if o.File != "" {
			to = "  " + o.File
		}
		fmt.Fprintf(&b, "%-20s %s %s%s\n", o.Name, thousands(o.Rows), plural(o.Rows, "row"), to)
	}
	fmt.Fprintf(&b, "%s %s in %s, %s events/s", thousands(s.InputEvents), plural(s.InputEvents, "event"), seconds(s.Seconds), thousands(int64(s.EventsPerSecond)))
	if s.Watermark != "" {
		fmt.Fprintf(&b, ", up to %s", s.Watermark)
	}
	fmt.Fprintf(&b, "\nstate: %s at most\n", size(s.StateBytes))
	for _, c := range []struct {
		n    int64
		what string
	}{{s.LateInputEvents, "late"}, {s.OutOfOrderEvents, "out of order"}, {s.EarlyInputEvents, "early"},
		{s.InputDeserializationErrors, "input deserialization errors"}, {s.DataConversionErrors, "data conversion errors"}} {
		if c.n > 0 {
			fmt.Fprintf(&b, "%s %s\n", thousands(c.n), c.what)
		}
	}
	if len(s.Dropped) > 0 {
		var parts []string
		for _, reason := range sortedReasons(s.Dropped) {
			parts = append(parts, fmt.Sprintf("%s %s", thousands(s.Dropped[reason]), reason))
		}
		fmt.Fprintf(&b, "not used: %s\n", strings.Join(parts, ", "))
	}
	for _, note := range s.Notes {
		for i, line := range wrap("note: "+note, 78) {
			if i > 0 {
				line = "  " + line
			}
			fmt.Fprintln(&b, line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plural is the word for n things.
func plural(n int64, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func seconds(s float64) string {
	if s < 10 {
		return fmt.Sprintf("%.2f s", s)
	}
	return fmt.Sprintf("%.0f s", s)
}

// thousands writes a number with separators.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// queryProgress is the line that shows how far a run is.
type queryProgress struct {
	w     io.Writer
	live  bool
	last  time.Duration
	shown bool
}

func (p *queryProgress) update(at QueryProgress) {
	every := 500 * time.Millisecond
	if !p.live {
		every = 10 * time.Second
	}
	if at.Elapsed-p.last < every {
		return
	}
	p.last = at.Elapsed
	text := fmt.Sprintf("%s events, %s rows, %s", thousands(at.Events), thousands(at.Rows), seconds(at.Elapsed.Seconds()))
	if at.Looking {
		text = fmt.Sprintf("looking for the order of events, %s", seconds(at.Elapsed.Seconds()))
	}
	if p.live {
		fmt.Fprintf(p.w, "\r%-70s", text)
		p.shown = true
		return
	}
	fmt.Fprintln(p.w, text)
}

func (p *queryProgress) clear() {
	if p.shown {
		fmt.Fprintf(p.w, "\r%70s\r", "")
	}
}

const shellHelp = `A query is run over the inputs when its text ends with a semicolon or when an
empty line follows it. Lines that start with a dot are commands:
  .inputs      what the queries can read
  .check       check the last query again
  .explain     how the last query is worked off
  .limit N     print at most N rows of a query (0: all)
  .help        this text
  .quit        leave; Ctrl-D does the same
`

func (a *app) queriesShell() *cobra.Command {
	tools := a.Stages.Queries()
	limit := 100
	cmd := &cobra.Command{Use: "shell --input NAME=FILE", Short: "Type queries, and see their rows",
		Long:    "Type queries against files and see their rows as they come.\n\n" + shellHelp,
		Example: "  millrace streamanalytics shell --input Input=events.json", Args: noArgs}
	queryFlags(cmd)
	tools.RunFlags(cmd.Flags())
	cmd.Flags().IntVar(&limit, "limit", limit, "print at most `N` rows of a query (0: all)")
	cmd.RunE = a.enter(func(cmd *cobra.Command, _ []string) error {
		inputs, _ := cmd.Flags().GetStringArray("input")
		references, _ := cmd.Flags().GetStringArray("reference")
		for _, in := range inputs {
			if strings.HasSuffix(in, "=-") {
				return usage("give files", "the shell reads queries from standard input, so no input can")
			}
		}
		s := &shell{app: a, tools: tools, limit: limit, files: append(inputs, references...)}
		return s.loop(cmd.Context())
	})
	return cmd
}

// shell is a session of typing queries.
type shell struct {
	*app
	tools Queries
	limit int
	files []string
	last  QueryText
}

// loop reads and runs until the input ends. Mistakes are shown and do not end
// it.
func (s *shell) loop(ctx context.Context) error {
	in := bufio.NewScanner(s.Stdin)
	in.Buffer(nil, maxQueryText)
	typing := s.Columns > 0
	var text strings.Builder
	prompt := func() {
		if typing && text.Len() == 0 {
			fmt.Fprint(s.Stdout, "> ")
		} else if typing {
			fmt.Fprint(s.Stdout, ". ")
		}
	}
	if typing {
		fmt.Fprintf(s.Stdout, "Type a query, then ; at the end of a line. .help shows more.\n")
	}
	for prompt(); in.Scan(); prompt() {
		line := strings.TrimRight(in.Text(), " \t\r")
		if text.Len() == 0 && strings.HasPrefix(strings.TrimSpace(line), ".") {
			if quit := s.command(ctx, strings.Fields(line)); quit {
				return nil
			}
			continue
		}
		if line != "" {
			text.WriteString(line + "\n")
		}
		if strings.HasSuffix(line, ";") || line == "" && text.Len() > 0 {
			s.run(ctx, text.String())
			text.Reset()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if text.Len() > 0 {
		s.run(ctx, text.String())
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("reading what is typed: %w", err)
	}
	return nil
}

// command carries out a line that starts with a dot; true ends the session.
func (s *shell) command(ctx context.Context, words []string) bool {
	switch words[0] {
	case ".quit", ".exit", ".q":
		return true
	case ".help":
		fmt.Fprint(s.Stdout, shellHelp)
	case ".inputs":
		for _, f := range s.files {
			fmt.Fprintln(s.Stdout, f)
		}
	case ".check":
		if _, err := s.checkOne(ctx, s.tools, s.last, false); err != nil {
			printError(s.Stderr, err, false)
		}
	case ".explain":
		text, err := s.tools.Explain(ctx, s.last, false)
		if err != nil {
			printError(s.Stderr, s.mistaken(err), false)
			break
		}
		fmt.Fprintln(s.Stdout, strings.TrimRight(text, "\n"))
	case ".limit":
		n := 0
		if len(words) != 2 {
			fmt.Fprintf(s.Stderr, "millrace: for example: .limit 20\n")
		} else if _, err := fmt.Sscan(words[1], &n); err != nil || n < 0 {
			fmt.Fprintf(s.Stderr, "millrace: .limit takes a whole number, not %s\n", words[1])
		} else {
			s.limit = n
		}
	default:
		fmt.Fprintf(s.Stderr, "millrace: there is no command %s; .help shows all\n", words[0])
	}
	return false
}

// run runs a query and prints its rows as they come.
func (s *shell) run(ctx context.Context, text string) {
	s.last = QueryText{Name: "query", Text: text}
	out := bufio.NewWriter(s.Stdout)
	print := rowPrinter(out)
	rows := 0
	summary, err := s.tools.Run(ctx, QueryRun{Query: s.last, Stdin: strings.NewReader(""), Getenv: s.Getenv,
		Row: func(output string, row []byte, several bool) error {
			if rows++; s.limit > 0 && rows > s.limit {
				return nil
			}
			if err := print(output, row, several); err != nil {
				return err
			}
			return out.Flush()
		}})
	if err != nil {
		printError(s.Stderr, s.mistaken(err), false)
	}
	if summary == nil {
		return
	}
	if hidden := rows - s.limit; s.limit > 0 && hidden > 0 {
		fmt.Fprintf(s.Stdout, "... and %s (.limit 0 shows all)\n", several(hidden, "more row"))
	}
	fmt.Fprintf(s.Stdout, "%s of %s, %s\n", several(rows, "row"), several(int(summary.InputEvents), "event"), seconds(summary.Seconds))
}

func sortedReasons(m map[string]int64) []string { return slices.Sorted(maps.Keys(m)) }

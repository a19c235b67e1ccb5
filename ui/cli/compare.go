package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"millrace/ui/report"
)

// compareCommand shows runs side by side. It needs nothing but their reports.
func (a *app) compareCommand() *cobra.Command {
	var asJSON bool
	page := &reportFlags{}
	cmd := &cobra.Command{
		Use: "compare REPORT REPORT...", Short: "Show runs side by side: rates, latency, cost, what failed",
		Long: "Compare shows runs side by side, from the reports that `run --json` wrote. The\n" +
			"first run is what the others are compared with: every figure of theirs has its\n" +
			"ratio to the first run's, and whether it is better (+), worse (!) or the same\n" +
			"(=) within 2 %. A run of another machine, rate or number of events is shown with\n" +
			"a warning, and not judged. The file `-` is standard input.\n\n" +
			"Exit codes: 0 compared (whatever the runs came to), 2 a file is no report.",
		Example: "  millrace run eventhubs-capture --json >a.json\n" +
			"  millrace run hdinsightkafka-databricks-sqldw --json >b.json\n" +
			"  millrace compare a.json b.json --report compared.html\n" +
			"  millrace compare a.json b.json --json | jq '.figures[] |\n      select(.name == \"latency.endToEnd.p99\")'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage("millrace compare a.json b.json; a report is what `millrace run --json` writes", "%s needs at least two reports", cmd.CommandPath())
			}
			if len(args) > report.MaxCompared {
				return usage("", "%s takes at most %d reports, not %d", cmd.CommandPath(), report.MaxCompared, len(args))
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the comparison as one JSON object instead")
	cmd.Flags().StringVar(&page.html, "report", "", "write the comparison as one self-contained HTML `file`, too")
	cmd.RunE = a.enter(func(_ *cobra.Command, args []string) error {
		if err := page.check(); err != nil {
			return err
		}
		in, err := a.readReports(args)
		if err != nil {
			return err
		}
		c, err := report.Compare(in)
		if err != nil {
			return usage("", "%w", err)
		}
		if page.html != "" {
			if err := writeFile(page.html, &Outcome{HTML: func(w io.Writer) error { return report.CompareHTML(w, c) }}); err != nil {
				return err
			}
		}
		if asJSON {
			return c.Write(a.Stdout)
		}
		style := report.Style{}
		if f, ok := a.Stdout.(*os.File); ok {
			style = report.StyleFor(f, a.Getenv)
		}
		if err := report.CompareText(a.Stdout, c, a.columns(), style); err != nil {
			return fmt.Errorf("writing the comparison: %w", err)
		}
		return nil
	})
	return cmd
}

// readReports reads the reports that the arguments name. What is no report is a
// mistake in the call.
func (a *app) readReports(names []string) ([]report.Input, error) {
	var in []report.Input
	var input bool
	for _, name := range names {
		if name != "-" {
			r, err := report.Load(name)
			if err != nil {
				return nil, unreadable(name, err)
			}
			in = append(in, report.Input{File: name, Report: r})
			continue
		}
		if input {
			return nil, usage("save one of them to a file", "standard input can be only one of the reports")
		}
		input = true
		r, err := report.Read(a.Stdin)
		if err != nil {
			return nil, usage(hintOf(err), "standard input: %w", err)
		}
		in = append(in, report.Input{File: "standard input", Report: r})
	}
	return in, nil
}

func unreadable(name string, err error) error {
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usage("a report is what `millrace run --json` writes", "there is no file %s", name)
	case errors.As(err, &path):
		return usage("a report is a file that `millrace run --json` wrote", "cannot read %s: %w", name, path.Err)
	}
	return usage(hintOf(err), "%w", err)
}

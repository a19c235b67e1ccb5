package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"millrace/internal/solution"
	"millrace/internal/solution/settings"
)

// Run runs the command line of e and returns the exit code. Ending ctx is the
// user's wish to stop. Run prints everything there is to say; it keeps no
// state and may run several times at once with different Envs.
func Run(ctx context.Context, e Env) int {
	a := &app{Env: e, loader: solution.Loader{Builtin: e.Builtin, Registry: e.Registry}}
	root := a.root()
	root.SetArgs(e.Args)
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.entered {
		err = asUsage(err)
	}
	interrupted := ctx.Err() != nil
	printError(e.Stderr, err, interrupted)
	return ExitCode(err, interrupted)
}

// asUsage makes a usage error of what cobra says about flags and arguments.
func asUsage(err error) error {
	if ExitCode(err, false) == ExitUsage {
		return err
	}
	return usage("add --help to see how it is called", "%w", err)
}

// app is one execution of the command line.
type app struct {
	Env
	loader solution.Loader
	// entered says that a command's own code was reached: errors before it
	// are about how the program was called.
	entered bool
}

// enter wraps a command's code.
func (a *app) enter(fn func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.entered = true
		return fn(cmd, args)
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "Run a streaming architecture end to end, and prove what came out",
		Long: "Millrace runs a streaming architecture end to end - devices, log, processor,\n" +
			"store - and proves what came out: every event that was sent is compared with\n" +
			"what the store serves.",
		Example: "  millrace list\n  millrace run hdinsightkafka-databricks-sqldw\n" +
			"  millrace run hdinsightkafka-databricks-sqldw -t 10 --duration 60s \\\n      --report out.html",
		SilenceErrors: true, SilenceUsage: true, DisableSuggestions: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.RunE = a.enter(func(cmd *cobra.Command, _ []string) error { return cmd.Help() })
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		text := fmt.Sprintf("there is no command `%s`", args[0])
		if guess := settings.Nearest(args[0], names); guess != "" {
			text += fmt.Sprintf("; did you mean `%s`?", guess)
		}
		return usage("`millrace help` shows all commands", "%s", text)
	}
	root.SetUsageTemplate(strings.NewReplacer(".FlagUsages", ".FlagUsagesWrapped 80",
		" for more information about a command", "\nfor more information about a command").Replace(root.UsageTemplate()))
	root.AddCommand(a.listCommand(), a.describeCommand(), a.schemaCommand(), a.doctorCommand(), a.versionCommand())
	for _, c := range []*cobra.Command{a.runCommand(), a.simulateCommand(), a.processCommand(), a.verifyCommand(),
		a.metricsCommand(), a.queryCommand(), a.deltaCommand(), a.queriesCommand(), a.compareCommand(), a.localCommand()} {
		if c != nil {
			root.AddCommand(c)
		}
	}
	return root
}

// oneSolution accepts exactly one argument, the solution.
func oneSolution(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return usage("`millrace list` shows all", "%s needs the name of a solution", cmd.CommandPath())
	case 1:
		return nil
	}
	return usage("", "%s takes one solution; `%s` is too much", cmd.CommandPath(), strings.Join(args[1:], " "))
}

// noArgs accepts none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("", "%s takes no arguments; `%s` is too much", cmd.CommandPath(), strings.Join(args, " "))
	}
	return nil
}

// completeSolutions offers the built-in solutions and folders.
func (a *app) completeSolutions(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := a.loader.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, s := range list {
		out = append(out, cobra.CompletionWithDesc(s.Name, s.Summary))
	}
	return out, cobra.ShellCompDirectiveDefault
}

// logger writes what an operator may need to know to w.
func logger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// columns is the width to write for on stdout.
func (a *app) columns() int {
	if a.Columns > 0 {
		return a.Columns
	}
	return 80
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: noArgs,
		RunE: a.enter(func(cmd *cobra.Command, _ []string) error {
			v := a.Version
			_, err := fmt.Fprintf(a.Stdout, "millrace %s (commit %s, %s)\n", v.Version, v.Commit, v.Go)
			return err
		}),
	}
}

package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"millrace/internal/solution"
)

// steps are the letters of --steps in their order.
const steps = "CIDPTMV"

const stepsHelp = "steps to run: C common, I ingestion, D database, P processing, T test clients, M metrics, V verify"

// optionFlags are the flags that stand for an option of the solution. A flag
// exists if the catalogue has the option, and takes its help from it.
var optionFlags = []struct{ flag, path string }{
	{"rate", "simulate.rate"},
	{"duration", "simulate.duration"},
	{"events", "simulate.events"},
	{"seed", "simulate.seed"},
	{"devices", "simulate.devices"},
	{"duplicates", "simulate.duplicates"},
	{"malformed", "simulate.malformed"},
	{"late", "simulate.late"},
	{"late-by", "simulate.lateBy"},
	{"out-of-order", "simulate.outOfOrder"},
	{"schedule", "simulate.schedule"},
}

// solutionFlags are the flags of every command that loads a solution.
type solutionFlags struct {
	app         *app
	scale       int
	set         []string
	printConfig bool
	verbose     bool
	dataDir     string
	run         string
	options     map[string]string // flag -> path
	// more are options that follow from a command's own flags.
	more []solution.Override
}

// addSolutionFlags adds the common flags to cmd; with simulation also those
// that stand for options of the simulator.
func (a *app) addSolutionFlags(cmd *cobra.Command, simulation bool) *solutionFlags {
	f := &solutionFlags{app: a, options: map[string]string{}}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.IntVarP(&f.scale, "scale", "t", 0, "known `scale`, in thousands of events a second, with its sizing (1, 5, 10)")
	if simulation {
		for _, of := range optionFlags {
			if o, ok := a.option(of.path); ok {
				fl.Var(&optionValue{kind: o.Type}, of.flag, firstLower(o.Doc))
				f.options[of.flag] = of.path
			}
		}
		if f.options["duration"] != "" && f.options["events"] != "" {
			cmd.MarkFlagsMutuallyExclusive("duration", "events")
		}
	}
	fl.StringArrayVar(&f.set, "set", nil, "set one option by its `path=value`, such as ingest.partitions=8 (repeatable)")
	fl.StringVar(&f.dataDir, "data-dir", "", "`folder` for embedded services, ledger and state (default: a temporary one)")
	fl.StringVar(&f.run, "run", "", "`name` of the run, part of the names of what it creates (default: made up)")
	fl.BoolVar(&f.printConfig, "print-config", false, "print the whole configuration and where each value comes from, and exit")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "log what the connectors do to standard error")
	cmd.ValidArgsFunction = a.completeSolutions
	return f
}

// option finds an option of the catalogue by its path.
func (a *app) option(path string) (solution.Option, bool) {
	for _, o := range a.Registry.Options() {
		if o.Path == path {
			return o, true
		}
	}
	return solution.Option{}, false
}

// load loads the solution with the flags applied.
func (f *solutionFlags) load(cmd *cobra.Command, ref string) (*solution.Solution, error) {
	o := solution.Options{Scale: f.scale, Getenv: f.app.Getenv}
	if cmd.Flags().Changed("scale") && f.scale <= 0 {
		return nil, usage("for example: -t 5", "-t must be one of the solution's scales, not %d", f.scale)
	}
	for _, arg := range f.set {
		s, err := solution.ParseSet(arg)
		if err != nil {
			return nil, err
		}
		o.Set = append(o.Set, s)
	}
	for _, of := range optionFlags {
		if path, ok := f.options[of.flag]; ok && cmd.Flags().Changed(of.flag) {
			o.Flags = append(o.Flags, solution.Override{Path: path, Value: cmd.Flags().Lookup(of.flag).Value.String(), From: "--" + of.flag})
		}
	}
	if cmd.Flags().Changed("duration") && f.options["events"] != "" {
		// A number of events in the file would win over the duration that
		// was asked for.
		o.Flags = append(o.Flags, solution.Override{Path: f.options["events"], Value: "0", From: "--duration"})
	}
	o.Flags = append(o.Flags, f.more...)
	return f.app.loader.Load(ref, o)
}

// request loads the solution and fills in what all commands share. It returns
// nil if --print-config was all that was wanted.
func (f *solutionFlags) request(cmd *cobra.Command, ref string) (*Request, error) {
	s, err := f.load(cmd, ref)
	if err != nil {
		return nil, err
	}
	a := f.app
	if f.printConfig {
		return nil, s.PrintConfig(a.Stdout)
	}
	return &Request{Solution: s, Steps: steps, DataDir: f.dataDir, Run: f.run, Instance: 1, Instances: 1, Getenv: a.Getenv,
		Log: logger(a.Stderr, f.verbose), Out: a.Stdout, Progress: a.Stderr, Live: a.StderrColumns > 0, Columns: a.StderrColumns}, nil
}

// parseSteps puts the letters of --steps into their order.
func parseSteps(s string) (string, error) {
	given := strings.ToUpper(s)
	for _, r := range given {
		if !strings.ContainsRune(steps, r) {
			return "", usage(stepsHelp, "--steps knows no `%c`; the letters are %s", r, steps)
		}
	}
	var out strings.Builder
	for _, r := range steps {
		if strings.ContainsRune(given, r) {
			out.WriteRune(r)
		}
	}
	if out.Len() == 0 {
		return "", usage(stepsHelp, "--steps is empty")
	}
	return out.String(), nil
}

// parseInstance reads "2/5".
func parseInstance(s string) (i, n int, err error) {
	a, b, ok := strings.Cut(s, "/")
	i, erri := strconv.Atoi(a)
	n, errn := strconv.Atoi(b)
	if !ok || erri != nil || errn != nil || i < 1 || i > n {
		return 0, 0, usage("2/5 is the second of five", "--instance must be i/n with 1 <= i <= n, not `%s`", s)
	}
	return i, n, nil
}

// optionValue is a flag whose text is checked when the solution is loaded, by
// the option it stands for.
type optionValue struct{ text, kind string }

func (v *optionValue) String() string     { return v.text }
func (v *optionValue) Set(s string) error { v.text = s; return nil }
func (v *optionValue) Type() string {
	if v.kind == "whole number" {
		return "n"
	}
	return v.kind
}

func firstLower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// quietWriter returns w, or a writer that drops everything.
func quietWriter(w io.Writer, quiet bool) io.Writer {
	if quiet {
		return io.Discard
	}
	return w
}

// showOutcome prints an outcome and turns missed thresholds into an error.
func (a *app) showOutcome(o *Outcome, asJSON bool) error {
	if o == nil {
		return nil
	}
	if asJSON && o.JSON != nil {
		if err := o.JSON(a.Stdout); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	if o.Text != nil {
		w, columns := a.Stdout, a.columns()
		if asJSON {
			w = a.Stderr
			if columns = a.StderrColumns; columns == 0 {
				columns = 80
			}
		}
		if err := o.Text(w, columns); err != nil {
			return fmt.Errorf("writing the summary: %w", err)
		}
	}
	if !o.Pass {
		return &errMissed{o.Missed}
	}
	return nil
}

package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"millrace/internal/solution"
)

// reportFlags are the flags of commands that end with a report.
type reportFlags struct {
	json, quiet bool
	html        string
}

func addReportFlags(cmd *cobra.Command) *reportFlags {
	f := &reportFlags{}
	cmd.Flags().BoolVar(&f.json, "json", false, "print the report as one JSON object; everything else goes to standard error")
	cmd.Flags().StringVar(&f.html, "report", "", "write the report as one self-contained HTML `file`")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
	return f
}

// check finds out early whether the report can be written.
func (f *reportFlags) check() error {
	if f.html == "" {
		return nil
	}
	dir := filepath.Dir(f.html)
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return usage("create the folder first", "--report: there is no folder %s", dir)
	}
	if info, err := os.Stat(f.html); err == nil && info.IsDir() {
		return usage("name a file in it", "--report: %s is a folder", f.html)
	}
	return nil
}

// finish prints the outcome, writes the HTML report and says what the exit
// code needs to know.
func (f *reportFlags) finish(a *app, o *Outcome) error {
	if o == nil {
		return nil
	}
	if f.html != "" && o.HTML != nil {
		if err := writeFile(f.html, o); err != nil {
			return err
		}
	}
	return a.showOutcome(o, f.json)
}

func writeFile(name string, o *Outcome) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return usage("choose another place with --report", "cannot write the report: %w", err)
	}
	defer func() {
		if cerr := file.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("writing the report %s: %w", name, cerr)
		}
	}()
	if err := o.HTML(file); err != nil {
		return fmt.Errorf("writing the report %s: %w", name, err)
	}
	return nil
}

const metricsHelp = "serve Prometheus metrics at `host:port`; on loopback also Go profiles below /debug/pprof/"

func checkAddr(addr string) error {
	if addr == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return usage("for example: --metrics-addr 127.0.0.1:9100", "--metrics-addr: `%s` is not host:port", addr)
	}
	return nil
}

func (a *app) runCommand() *cobra.Command {
	if a.Stages.Run == nil {
		return nil
	}
	cmd := &cobra.Command{
		Use: "run SOLUTION", Short: "Run a solution end to end and verify what came out", Args: oneSolution,
		Long: "Run simulates devices, ingests, processes and serves their events, and then\n" +
			"compares what the store serves with what was sent. A stage uses a real service\n" +
			"if its address is set in the environment, else an embedded one.\n\n" +
			"Exit codes: 0 passed, 1 failed while running, 2 usage or configuration,\n" +
			"3 a service cannot be reached or a port is taken, 99 a threshold was missed,\n" +
			"130 interrupted.",
		Example: "  millrace run hdinsightkafka-databricks-sqldw -t 10 --duration 60s\n" +
			"  millrace run ./mine --rate 0 --events 1000000 --json",
	}
	f := a.addSolutionFlags(cmd, true)
	r := addReportFlags(cmd)
	var letters, addr string
	var cleanup bool
	cmd.Flags().StringVar(&letters, "steps", steps, "`letters` of the "+stepsHelp)
	cmd.Flags().StringVar(&addr, "metrics-addr", "", metricsHelp)
	cmd.Flags().BoolVar(&cleanup, "cleanup", false, "delete what the run created in the services when it ends")
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		wanted, err := parseSteps(letters)
		if err != nil {
			return err
		}
		if err := checkAddr(addr); err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return err
		}
		q, err := f.request(cmd, args[0])
		if q == nil || err != nil {
			return err
		}
		q.Steps, q.MetricsAddr, q.Cleanup = wanted, addr, cleanup
		q.Progress = quietWriter(q.Progress, r.quiet)
		o, err := a.Stages.Run(cmd.Context(), *q)
		if err != nil {
			return err
		}
		return r.finish(a, o)
	})
	return cmd
}

func (a *app) simulateCommand() *cobra.Command {
	if a.Stages.Simulate == nil {
		return nil
	}
	cmd := &cobra.Command{
		Use: "simulate SOLUTION", Short: "Only simulate devices, into a running log", Args: oneSolution,
		Long: "Simulate sends the devices' events to the solution's log and keeps the ledger\n" +
			"of them in the data directory. Several instances split the devices.",
		Example: "  millrace simulate hdinsightkafka-databricks-sqldw --run r1 \\\n      --data-dir d1 --instance 1/2",
	}
	f := a.addSolutionFlags(cmd, true)
	r := addReportFlags(cmd)
	var instance, addr string
	cmd.Flags().StringVar(&instance, "instance", "1/1", "which part of the devices this is, as `i/n`: 2/5")
	cmd.Flags().StringVar(&addr, "metrics-addr", "", metricsHelp)
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		i, n, err := parseInstance(instance)
		if err != nil {
			return err
		}
		if err := checkAddr(addr); err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return err
		}
		if _, ok := a.option("simulate.instance"); ok && cmd.Flags().Changed("instance") {
			f.more = []solution.Override{
				{Path: "simulate.instances", Value: strconv.Itoa(n), From: "--instance"},
				{Path: "simulate.instance", Value: strconv.Itoa(i), From: "--instance"},
			}
		}
		q, err := f.request(cmd, args[0])
		if q == nil || err != nil {
			return err
		}
		q.Steps, q.Instance, q.Instances, q.MetricsAddr = "T", i, n, addr
		q.Progress = quietWriter(q.Progress, r.quiet)
		o, err := a.Stages.Simulate(cmd.Context(), *q)
		if err != nil {
			return err
		}
		return r.finish(a, o)
	})
	return cmd
}

func (a *app) processCommand() *cobra.Command {
	if a.Stages.Process == nil {
		return nil
	}
	cmd := &cobra.Command{
		Use: "process SOLUTION", Short: "Only process and serve, as one worker of several", Args: oneSolution,
		Long: "Process reads the solution's log as a member of its consumer group, and writes\n" +
			"to its store, until it is stopped. Start it several times to share the work.",
		Example: "  millrace process hdinsightkafka-databricks-sqldw --run r1 --data-dir d1",
	}
	f := a.addSolutionFlags(cmd, false)
	var addr string
	var quiet, drain bool
	cmd.Flags().BoolVar(&drain, "drain", false, "stop when everything that is in the log has been stored")
	cmd.Flags().StringVar(&addr, "metrics-addr", "", metricsHelp)
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		if err := checkAddr(addr); err != nil {
			return err
		}
		q, err := f.request(cmd, args[0])
		if q == nil || err != nil {
			return err
		}
		q.Steps, q.MetricsAddr, q.Drain, q.Progress = "P", addr, drain, quietWriter(q.Progress, quiet)
		return a.Stages.Process(cmd.Context(), *q)
	})
	return cmd
}

func (a *app) verifyCommand() *cobra.Command {
	if a.Stages.Verify == nil {
		return nil
	}
	cmd := &cobra.Command{
		Use: "verify SOLUTION", Short: "Only compare the ledger with what the store serves", Args: oneSolution,
		Example: "  millrace verify hdinsightkafka-databricks-sqldw --run r1 --data-dir d1 --json",
	}
	f := a.addSolutionFlags(cmd, false)
	r := addReportFlags(cmd)
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		if err := r.check(); err != nil {
			return err
		}
		q, err := f.request(cmd, args[0])
		if q == nil || err != nil {
			return err
		}
		q.Steps, q.Progress = "V", quietWriter(q.Progress, r.quiet)
		o, err := a.Stages.Verify(cmd.Context(), *q)
		if err != nil {
			return err
		}
		return r.finish(a, o)
	})
	return cmd
}

func (a *app) metricsCommand() *cobra.Command {
	if a.Stages.Metrics == nil {
		return nil
	}
	cmd := &cobra.Command{
		Use: "metrics SOLUTION", Short: "Only watch running services: the metrics table", Args: oneSolution,
		Example: "  millrace metrics hdinsightkafka-databricks-sqldw --run r1",
	}
	f := a.addSolutionFlags(cmd, false)
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		q, err := f.request(cmd, args[0])
		if q == nil || err != nil {
			return err
		}
		q.Steps = "M"
		return a.Stages.Metrics(cmd.Context(), *q)
	})
	return cmd
}

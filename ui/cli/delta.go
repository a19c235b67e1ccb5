package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/connector"
	"millrace/connector/delta"
)

const deltaLong = `Look after a Delta table: that of a solution, or any other.

A table is named by the solution that writes it (with the run's --data-dir, or
the storage's address in the environment), by its folder, or by its address:
  abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH
  https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH
  az://CONTAINER/PATH      in the account of STORAGE_CONNECTION_STRING`

// deltaCommand looks after Delta tables.
func (a *app) deltaCommand() *cobra.Command {
	if a.Stages.DeltaTable == nil {
		return nil
	}
	cmd := &cobra.Command{Use: "delta COMMAND", Short: "Look after a Delta table", Long: deltaLong,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: a.enter(func(cmd *cobra.Command, _ []string) error { return cmd.Help() })}
	cmd.AddCommand(a.deltaHistory(), a.deltaDetail(), a.deltaOptimize(), a.deltaVacuum(), a.deltaCheckpoint())
	return cmd
}

// deltaWork is what a command does with a table.
type deltaWork func(ctx context.Context, t *delta.Table, asJSON bool) error

// deltaOne is a command about one table.
func (a *app) deltaOne(name, short string, work deltaWork) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: name + " TABLE-OR-SOLUTION", Short: short, Args: needs("the name of a solution, or where a table is")}
	f := a.addSolutionFlags(cmd, false)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) (err error) {
		t, err := a.openDelta(cmd, f, args[0])
		if t == nil || err != nil {
			return err
		}
		defer func() {
			if cerr := t.Close(); err == nil && cerr != nil {
				err = fmt.Errorf("closing the table: %w", cerr)
			}
		}()
		return work(cmd.Context(), t, asJSON)
	})
	return cmd
}

// openDelta opens the table that is meant; nil if --print-config was all that
// was wanted.
func (a *app) openDelta(cmd *cobra.Command, f *solutionFlags, ref string) (*delta.Table, error) {
	if delta.IsTable(ref) {
		return delta.OpenTable(cmd.Context(), ref, connector.Env{DataDir: f.dataDir, Getenv: a.Getenv, Log: logger(a.Stderr, f.verbose)})
	}
	if st, err := os.Stat(ref); err == nil && st.IsDir() {
		if _, err := os.Stat(filepath.Join(ref, "solution.yaml")); err != nil {
			return nil, usage("a table's folder has _delta_log in it, a solution's has solution.yaml", "%s is neither a Delta table nor a solution", ref)
		}
	}
	q, err := f.request(cmd, ref)
	if q == nil || err != nil {
		return nil, err
	}
	return a.Stages.DeltaTable(cmd.Context(), *q)
}

func (a *app) deltaHistory() *cobra.Command {
	var limit int
	cmd := a.deltaOne("history", "List the commits of a table, the newest first",
		func(ctx context.Context, t *delta.Table, asJSON bool) error {
			if limit < 1 {
				return usage("", "--limit must be at least 1, not %d", limit)
			}
			commits, err := t.History(ctx, limit)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.Stdout, commits)
			}
			rows := [][]any{}
			for _, c := range commits {
				rows = append(rows, []any{c.Version, moment(c.Time), c.Operation, changed(c.Added, c.Removed), rowsOf(c.Rows), c.Engine})
			}
			return rowsTable(ctx, a.Stdout, &tableRows{[]string{"version", "time", "operation", "files", "rows", "by"}, rows}, a.columns())
		})
	cmd.Flags().IntVar(&limit, "limit", 20, "how `many` commits")
	return cmd
}

// changed says how many files a commit adds and removes.
func changed(added, removed int) string {
	var parts []string
	if added > 0 {
		parts = append(parts, fmt.Sprintf("+%d", added))
	}
	if removed > 0 {
		parts = append(parts, fmt.Sprintf("-%d", removed))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, " ")
}

func rowsOf(n *int64) any {
	if n == nil {
		return "-"
	}
	return *n
}

func (a *app) deltaDetail() *cobra.Command {
	return a.deltaOne("detail", "Show what a table is: its version, files, columns and properties",
		func(ctx context.Context, t *delta.Table, asJSON bool) error {
			d, err := t.Detail(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.Stdout, d)
			}
			return writeDetail(a.Stdout, d)
		})
}

// writeDetail shows a table to people.
func writeDetail(w io.Writer, d *delta.Detail) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		for i, part := range wrap(text, 80-14) {
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(&b, "%-12s  %s\n", name, part)
		}
	}
	line("location", "%s", d.Location)
	if d.Name != "" {
		line("name", "%s", d.Name)
	}
	if d.Description != "" {
		line("description", "%s", d.Description)
	}
	line("id", "%s", d.ID)
	line("version", "%d of %s", d.Version, moment(d.LastModified))
	line("protocol", "reader %d, writer %d", d.MinReaderVersion, d.MinWriterVersion)
	line("files", "%d, %s", d.NumFiles, size(d.SizeInBytes))
	if d.NumRows != nil {
		line("rows", "%d", *d.NumRows)
	}
	line("removed", "%s within the retention", several(d.Tombstones, "file"))
	if d.Checkpoint != nil {
		line("checkpoint", "version %d", *d.Checkpoint)
	}
	for i, c := range d.Columns {
		name := ""
		if i == 0 {
			name = "columns"
		}
		line(name, "%s %s", c.Name, cut(c.Type, 80-14-1-len(c.Name)))
	}
	if len(d.PartitionColumns) > 0 {
		line("partitions", "by %s", strings.Join(d.PartitionColumns, ", "))
	}
	for i, p := range pairs(d.Properties) {
		name := ""
		if i == 0 {
			name = "properties"
		}
		line(name, "%s = %s", p.name, p.value)
	}
	for i, p := range d.Streams {
		name := ""
		if i == 0 {
			name = "streams"
		}
		line(name, "%s at %d", p.AppID, p.Version)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cut makes a text fit: types of structs name all their members.
func cut(text string, width int) string {
	if r := []rune(text); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return text
}

type pair struct{ name, value string }

// pairs are the entries of a map, by name.
func pairs(m map[string]string) []pair {
	var out []pair
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, pair{name, m[name]})
	}
	return out
}

func (a *app) deltaOptimize() *cobra.Command {
	o := delta.OptimizeOptions{}
	var target connector.Bytes
	var text string
	cmd := a.deltaOne("optimize", "Merge small files into larger ones",
		func(ctx context.Context, t *delta.Table, asJSON bool) error {
			if text != "" {
				if err := target.UnmarshalText([]byte(text)); err != nil || target < 1<<16 {
					return usage("for example: --target-size 256MB", "--target-size must be a size of at least 64KB, not %s", text)
				}
				o.TargetSize = int64(target)
			}
			done, err := t.Optimize(ctx, o)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.Stdout, done)
			}
			if done.FilesRemoved == 0 {
				_, err = fmt.Fprintf(a.Stdout, "nothing to merge: version %d has %s\n", done.Version, several(done.NumFiles, "file"))
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "merged %s (%s) into %d (%s), version %d; the old ones go with VACUUM\n",
				several(done.FilesRemoved, "file"), size(done.BytesRemoved), done.FilesAdded, size(done.BytesAdded), done.Version)
			return err
		})
	cmd.Flags().StringVar(&text, "target-size", "", "`size` of the files it makes (default: that of the solution, else 128MB)")
	return cmd
}

func (a *app) deltaVacuum() *cobra.Command {
	o := delta.VacuumOptions{}
	given := func() bool { return false }
	cmd := a.deltaOne("vacuum", "Delete files that no recent version needs",
		func(ctx context.Context, t *delta.Table, asJSON bool) error {
			if o.Retention < 0 || given() && o.Retention == 0 && !o.AllowShort {
				return usage("24h is a day", "--retention must be a duration, not %s", o.Retention)
			}
			if o.AllowShort && !given() {
				return usage("--retention 0s deletes all that the newest version does not need", "--allow-short-retention needs a --retention")
			}
			done, err := t.Vacuum(ctx, o)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.Stdout, done)
			}
			return writeVacuumed(a.Stdout, done)
		})
	cmd.Flags().DurationVar(&o.Retention, "retention", 0, "keep what was removed for so `long` (default: as the table says; 24h for those of Millrace)")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "list what would be deleted, and delete nothing")
	cmd.Flags().BoolVar(&o.AllowShort, "allow-short-retention", false, "also with a shorter retention than the table's: whoever reads older versions,\nor writes at this moment, may lose files")
	given = func() bool { return cmd.Flags().Changed("retention") }
	return cmd
}

func writeVacuumed(w io.Writer, done *delta.Vacuumed) error {
	verb := "deleted"
	if done.DryRun {
		verb = "would delete"
		for _, name := range done.Files {
			if _, err := fmt.Fprintln(w, name); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "%s %s (%s); %d that are not in the table are younger than %s\n",
		verb, several(len(done.Files), "file"), size(done.Bytes), done.Kept, retentionText(done.Retention))
	return err
}

// retentionText writes a duration in days or hours where it has no minutes.
func retentionText(d time.Duration) string {
	if d%time.Hour == 0 {
		return keptFor(d.Hours())
	}
	return d.String()
}

func (a *app) deltaCheckpoint() *cobra.Command {
	return a.deltaOne("checkpoint", "Write a checkpoint, so that readers start from it",
		func(ctx context.Context, t *delta.Table, asJSON bool) error {
			version, err := t.Checkpoint(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.Stdout, struct {
					Version int64 `json:"version"`
				}{version})
			}
			_, err = fmt.Fprintf(a.Stdout, "wrote the checkpoint of version %d\n", version)
			return err
		})
}

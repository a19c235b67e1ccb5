package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the solutions and what each is for", Args: noArgs,
		RunE: a.enter(func(*cobra.Command, []string) error {
			list, err := a.loader.List()
			if err != nil {
				return err
			}
			if asJSON {
				type entry struct {
					Name    string `json:"name"`
					Title   string `json:"title"`
					Summary string `json:"summary"`
					Engine  string `json:"engine"`
				}
				entries := make([]entry, len(list))
				for i, s := range list {
					entries[i] = entry(s)
				}
				return writeJSON(a.Stdout, entries)
			}
			for i, s := range list {
				if i > 0 {
					fmt.Fprintln(a.Stdout)
				}
				fmt.Fprintln(a.Stdout, s.Name)
				for _, line := range wrap(s.Summary, min(a.columns(), 100)-4) {
					fmt.Fprintln(a.Stdout, "    "+line)
				}
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func (a *app) describeCommand() *cobra.Command {
	var raw, schema bool
	cmd := &cobra.Command{
		Use: "describe SOLUTION", Short: "Show a solution's page: picture, pros and cons, duplicates, sizing",
		ValidArgsFunction: a.completeSolutions,
		Args: func(cmd *cobra.Command, args []string) error {
			if schema && len(args) == 0 {
				return nil
			}
			return oneSolution(cmd, args)
		},
		RunE: a.enter(func(_ *cobra.Command, args []string) error {
			if schema {
				return writeJSON(a.Stdout, a.Registry.Schema())
			}
			page, err := a.loader.Readme(args[0])
			if err != nil {
				return err
			}
			if !raw {
				page = renderPage(page, min(a.columns(), 100))
			}
			_, err = io.WriteString(a.Stdout, page)
			return err
		}),
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "print the Markdown as it is")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of solution.yaml instead")
	return cmd
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of solution.yaml", Args: noArgs,
		Long: "Schema prints the JSON Schema (2020-12) of solution.yaml. Editors that know\n" +
			"YAML schemas complete and check a solution with it.",
		RunE: a.enter(func(*cobra.Command, []string) error { return writeJSON(a.Stdout, a.Registry.Schema()) }),
	}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}

// wrap breaks text into lines of at most width runes, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	n := 0
	for _, word := range strings.Fields(text) {
		w := len([]rune(word))
		if n > 0 && n+1+w > width {
			lines = append(lines, line)
			line, n = "", 0
		}
		if n > 0 {
			line += " "
			n++
		}
		line += word
		n += w
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

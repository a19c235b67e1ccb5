package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"millrace/run"
)

// The options of queries on their page are those of the command line.
func TestDocsQueryOptionsAreCurrent(t *testing.T) {
	const begin, end = "<!-- streamanalytics options: written by `make generate` -->\n", "<!-- end of streamanalytics options -->\n"
	page, err := os.ReadFile(filepath.Join(docs, "streamanalytics.md"))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("streamanalytics.md has lost the marks between which the options stand")
	}
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SortFlags = false
	run.Queries().RunFlags(f)
	var b strings.Builder
	b.WriteString("\n| option | default | meaning |\n| --- | --- | --- |\n")
	f.VisitAll(func(flag *pflag.Flag) {
		name, usage := pflag.UnquoteUsage(flag)
		option := strings.TrimSpace("--" + flag.Name + " " + name)
		def := flag.DefValue
		if def != "" && def != "[]" {
			def = "`" + def + "`"
		} else {
			def = ""
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", option, def, strings.ReplaceAll(usage, "|", "\\|"))
	})
	b.WriteString("\n")
	golden(t, "streamanalytics.md", []byte(before+begin+b.String()+end+after))
}

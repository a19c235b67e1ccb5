package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"millrace/internal/solution"
	"millrace/internal/solution/settings"
	"millrace/run"
	"millrace/solutions"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

const docs = "../../docs"

// golden compares a generated file with the one kept in docs/.
func golden(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join(docs, name)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code says; type: make generate", path)
	}
}

func schemaText(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(run.Registry().Schema()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDocsSchemaIsCurrent(t *testing.T) { golden(t, "solution.schema.json", schemaText(t)) }

const begin, end = "<!-- options: written by `make generate` -->\n", "<!-- end of options -->\n"

func TestDocsOptionsAreCurrent(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(docs, "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("configuration.md has lost the marks between which the options stand")
	}
	golden(t, "configuration.md", []byte(before+begin+optionTables(run.Registry().Options())+end+after))
}

// optionTables writes one table for each section and kind.
func optionTables(options []solution.Option) string {
	var b strings.Builder
	last := ""
	for _, o := range options {
		section, rest, found := strings.Cut(o.Path, ".")
		if !found || section == "scales" {
			section, rest = "", o.Path
		}
		title := section
		if o.Kind != "" {
			title += ", `kind: " + o.Kind + "`"
		}
		if title == "" {
			title = "Top of the file"
		}
		if title != last {
			fmt.Fprintf(&b, "\n### %s\n\n| option | type | default | meaning |\n| --- | --- | --- | --- |\n", title)
			last = title
		}
		meaning := o.Doc
		if o.Allowed != "" {
			meaning += " (" + o.Allowed + ")"
		}
		for _, e := range o.Env {
			meaning += "; environment `" + e + "`"
		}
		if o.Secret {
			meaning += "; secret"
		}
		def := o.Default
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", rest, o.Type, def, strings.ReplaceAll(meaning, "|", "\\|"))
	}
	b.WriteString("\n")
	return b.String()
}

func TestEveryOptionIsDocumented(t *testing.T) {
	for _, o := range run.Registry().Options() {
		if o.Doc == "" {
			t.Errorf("%s (%s) has no doc tag", o.Path, o.Kind)
		}
	}
}

func TestBuiltInSolutions(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText(t)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	l := solution.Loader{Builtin: solutions.FS, Registry: run.Registry()}
	list, err := l.List()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("there are no built-in solutions")
	}
	for _, s := range list {
		t.Run(s.Name, func(t *testing.T) {
			src, err := fs.ReadFile(solutions.FS, s.Name+"/"+solution.FileName)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := settings.Parse(solution.FileName, src)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(parsed.Any()); err != nil {
				t.Errorf("against the schema: %v", err)
			}
			for _, scale := range []int{0, 1, 5, 10} {
				loaded, err := l.Load(s.Name, solution.Options{Scale: scale})
				if err != nil {
					t.Fatalf("-t %d: %v", scale, err)
				}
				var printed bytes.Buffer
				if err := loaded.PrintConfig(&printed); err != nil {
					t.Fatal(err)
				}
				if _, err := settings.Parse("printed", printed.Bytes()); err != nil {
					t.Fatalf("the printed configuration: %v\n%s", err, printed.String())
				}
				if scale > 0 && loaded.Origin("simulate.rate") != fmt.Sprintf("-t %d", scale) {
					t.Errorf("-t %d does not set the rate", scale)
				}
				if loaded.Name != s.Name || s.Title == "" || s.Summary == "" || s.Engine == "" {
					t.Errorf("the head of %s is not complete", s.Name)
				}
			}
			checkPage(t, l, s.Name)
		})
	}
}

// checkPage holds the pages to what `describe` shows.
func checkPage(t *testing.T, l solution.Loader, name string) {
	t.Helper()
	page, err := l.Readme(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, heading := range []string{"# " + name, "## Architecture", "## Pros", "## Cons", "## How duplicates are handled", "## Sizing", "## Run it", "## Options"} {
		if !strings.Contains(page, heading+"\n") {
			t.Errorf("the page has no %q", heading)
		}
	}
	for i, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "|") && utf8.RuneCountInString(line) > 78 {
			t.Errorf("line %d of the page is wider than 78 columns", i+1)
		}
	}
}

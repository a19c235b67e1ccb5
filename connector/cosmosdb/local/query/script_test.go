package query

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

var rewriteScripts = flag.Bool("rewrite", false, "write the results of the scripts in testdata into them")

// A script is a list of blocks, separated by empty lines. A block that begins
// with "items" puts the items on its other lines into the container, "empty"
// empties it, "params" sets parameters. Lines with # are notes. Every other
// block is a query, over several lines if need be, then ---- and its results,
// one a line, or "error CODE: message".
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			runScript(t, file)
		})
	}
}

// scriptNow is the time in scripts.
var scriptNow = time.Date(2026, 3, 4, 5, 6, 7, 891_234_500, time.UTC)

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(strings.TrimRight(string(text), "\n"), "\n\n")
	c := newContainer(t)
	parameters := map[string]value.Value{}
	for i, block := range blocks {
		lines := slices.DeleteFunc(strings.Split(block, "\n"), func(l string) bool { return strings.HasPrefix(l, "#") })
		switch {
		case len(lines) == 0:
		case lines[0] == "empty":
			c.items = nil
		case lines[0] == "items":
			for _, item := range lines[1:] {
				c.put(t, item)
			}
		case lines[0] == "params":
			v, err := value.Parse([]byte(strings.Join(lines[1:], "\n")))
			if err != nil {
				t.Fatal(err)
			}
			clear(parameters)
			v.EachMember(func(name string, v value.Value) bool {
				parameters["@"+name] = v
				return true
			})
		default:
			query, want, _ := strings.Cut(block+"\n", "----\n")
			o := Options{Parameters: parameters, Definition: byKey, Now: scriptNow}
			got := scriptResult(t, c, withoutNotes(query), o)
			if *rewriteScripts {
				blocks[i] = query + "----\n" + strings.TrimRight(got, "\n")
				blocks[i] = strings.TrimRight(blocks[i], "\n")
			} else if strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", query, got, want)
			}
		}
	}
	if *rewriteScripts {
		if err := os.WriteFile(file, []byte(strings.Join(blocks, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func withoutNotes(query string) string {
	lines := slices.DeleteFunc(strings.Split(query, "\n"), func(l string) bool { return strings.HasPrefix(l, "#") })
	return strings.Join(lines, "\n")
}

// scriptResult runs a query in several ways that must agree.
func scriptResult(t *testing.T, c *container, text string, o Options) string {
	q, err := sql.Parse(text)
	if err == nil {
		_, err = Compile(q, o)
	}
	if err == nil {
		_, err = compiled(t, text, o).Run(context.Background(), c)
	}
	if err != nil {
		return "error " + err.Error()
	}
	plain := *c
	results := all(t, &plain, text, o)
	indexed := *c
	indexed.indexed = everyPath
	for _, source := range []*container{&plain, &indexed} {
		for _, size := range []int{1, 3, 1000} {
			o.MaxItems = size
			got := all(t, source, text, o)
			a, b := slices.Clone(results), slices.Clone(got)
			if len(q.OrderBy) == 0 {
				slices.Sort(a)
				slices.Sort(b)
			}
			// What limits an order that the query does not fix is free to
			// give other results.
			free := len(q.OrderBy) == 0 && (q.Limit != nil || q.Select.Top != nil)
			if !slices.Equal(a, b) && !(free && len(a) == len(b)) && !strings.Contains(strings.ToUpper(text), "RAND()") {
				t.Errorf("%s\nin pages of %d:\n%s\nin one:\n%s", text, size, strings.Join(got, "\n"), strings.Join(results, "\n"))
			}
		}
	}
	return strings.Join(results, "\n")
}

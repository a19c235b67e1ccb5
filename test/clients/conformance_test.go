package clients_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The page about Cosmos DB names every function of the query language, and the
// matrices call every function that it names.
func TestConformanceOfCosmosDBNamesEveryFunction(t *testing.T) {
	t.Parallel()
	page := read(t, filepath.Join("..", "..", "docs", "conformance", "cosmosdb.md"))
	_, section, _ := strings.Cut(page, "### Functions")
	section, _, _ = strings.Cut(section, "###")
	named := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\|[^|]*\| (?:yes|differs) \|.*$`).FindAllString(section, -1) {
		for _, name := range regexp.MustCompile("`([A-Z_0-9]+)`").FindAllStringSubmatch(row, -1) {
			named[name[1]] = true
		}
	}
	if len(named) < 50 {
		t.Fatalf("the page names %d functions only: its tables are not read as they should be", len(named))
	}
	called := calledFunctions(t)
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !called[name] {
			t.Errorf("the page names %s, which no query of queries.json calls", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(knownFunctions(t))) {
		if !named[name] {
			t.Errorf("the page does not name %s", name)
		}
	}
}

// calledFunctions are the functions that the queries of the matrices call, in
// upper case.
func calledFunctions(t *testing.T) map[string]bool {
	t.Helper()
	var file struct {
		Groups map[string][]struct{ Query, Fails string }
	}
	if err := json.Unmarshal([]byte(read(t, "queries.json")), &file); err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	for _, entries := range file.Groups {
		for _, e := range entries {
			if e.Fails != "" {
				continue
			}
			for _, call := range regexp.MustCompile(`(\w+)\(`).FindAllStringSubmatch(e.Query, -1) {
				called[strings.ToUpper(call[1])] = true
			}
		}
	}
	return called
}

// knownFunctions are the keys of the tables of functions in the sources of the
// query language.
func knownFunctions(t *testing.T) map[string]bool {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join("..", "..", "connector", "cosmosdb", "local", "query", "*.go"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources of the query language: %v", err)
	}
	known := map[string]bool{}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			table, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if m, ok := table.Type.(*ast.MapType); !ok || !slices.Contains([]string{"function", "aggregateKind"}, nameOf(m.Value)) {
				return true
			}
			for _, e := range table.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					if key, ok := pair.Key.(*ast.BasicLit); ok && key.Kind == token.STRING {
						name, _ := strconv.Unquote(key.Value)
						known[name] = true
					}
				}
			}
			return true
		})
	}
	if len(known) < 50 {
		t.Fatalf("%d functions found in the sources only: their tables are not read as they should be", len(known))
	}
	return known
}

func nameOf(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// The page gives the versions of the clients that the matrices run.
func TestConformanceOfCosmosDBGivesVersions(t *testing.T) {
	t.Parallel()
	page := read(t, filepath.Join("..", "..", "docs", "conformance", "cosmosdb.md"))
	var packages struct{ Dependencies map[string]string }
	if err := json.Unmarshal([]byte(read(t, filepath.Join("js", "package.json"))), &packages); err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^azure-cosmos==(\S+)`).FindStringSubmatch(read(t, filepath.Join("python", "requirements.txt")))
	if version == nil {
		t.Fatal("requirements.txt does not pin azure-cosmos")
	}
	for client, version := range map[string]string{
		"`@azure/cosmos` (JavaScript) | ": packages.Dependencies["@azure/cosmos"], "`azure-cosmos` (Python) | ": version[1],
	} {
		if !strings.Contains(page, client+version) {
			t.Errorf("the page does not say %s%s", client, version)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

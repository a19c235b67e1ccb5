// Package archtest holds the rules of the architecture as tests: who may import
// whom, where the process may be touched, how large a file may grow. It reads
// the sources only; nothing of it ends up in the program.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "millrace"

// pkg is what the rules need to know of a package. Paths are without the
// module's name; the root is "".
type pkg struct {
	path, dir string
	// files are all Go files, tests included; imports are those of the
	// package itself, testImports those of its tests.
	files                []string
	imports, testImports []string
}

// stages are the packages that must not know each other.
var stages = []string{"simulate", "ingest", "process", "serve", "verify"}

// in tells whether path is folder or below it.
func in(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func within(path string, folders []string) (folder string) {
	for _, f := range folders {
		if in(path, f) {
			return f
		}
	}
	return ""
}

// importProblem says why a package may not import another one, "" if it may.
func importProblem(from, to string, test bool) string {
	a, b := within(from, stages), within(to, stages)
	switch {
	case in(from, "verify") && in(to, "simulate"):
		return "the judge shares no code with the maker"
	case a != "" && b != "" && a != b:
		return "stages do not import each other; they meet in run"
	case in(from, "record"):
		return "record imports nothing of ours"
	case in(to, "cmd"):
		return "nothing imports a command"
	case from == "solutions":
		return "solutions are data only"
	case !test && in(from, "connector") && strings.HasSuffix(to, "/local") && in(to, "connector") &&
		from != to && !in(from, to):
		return "a connector never imports a stand-in"
	case in(from, "connector") && !in(to, "connector") && !in(to, "record") && !(test && in(to, "internal")):
		return "connectors know the contracts and the event, no stage and no plumbing"
	case a != "" && (in(to, "run") || in(to, "ui") || in(to, "solutions") || in(to, "internal/solution")):
		return "a stage knows nothing of what wires it, shows it or configures it"
	case a != "" && in(to, "connector") && to != "connector" && !test:
		return "a stage knows the contracts, no single connector"
	case in(to, "connector/connectortest") && !test && !in(from, "connector/connectortest"):
		return "the contract suite is for tests"
	case in(to, "internal/testservice") && !test && !in(from, "internal/testservice") && !in(from, "connector/connectortest") && !in(from, "bench") && !in(from, "test"):
		return "the finder of test services is for tests"
	}
	return ""
}

// The rules themselves, so that they cannot become toothless unnoticed.
func TestImportRules(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, to string
		test, ok bool
	}{
		{"process", "record", false, true},
		{"process", "connector", false, true},
		{"process", "serve", false, false},
		{"process/state", "process", false, true},
		{"verify", "simulate", false, false},
		{"verify", "simulate", true, false},
		{"record", "connector", false, false},
		{"run", "connector/kafka/local", false, true},
		{"run", "verify", false, true},
		{"connector/kafka", "connector/kafka/local", false, false},
		{"connector/kafka", "connector/kafka/local", true, true},
		{"connector/kafka/local", "connector", false, true},
		{"connector/kafka", "process", false, false},
		{"connector/kafka", "internal/testservice", true, true},
		{"connector/kafka", "connector/connectortest", false, false},
		{"serve", "connector/sqldb", false, false},
		{"simulate", "internal/solution", false, false},
		{"solutions", "record", false, false},
		{"ui/cli", "cmd/millrace", false, false},
		{"cmd/millrace", "run", false, true},
	} {
		if got := importProblem(tt.from, tt.to, tt.test); (got == "") != tt.ok {
			t.Errorf("%s -> %s (test %v): %q", tt.from, tt.to, tt.test, got)
		}
	}
}

func TestImportsFollowTheDesign(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		check := func(imports []string, test bool) {
			for _, i := range imports {
				to, ours := strings.CutPrefix(i, module+"/")
				if !ours || to == p.path {
					continue
				}
				if why := importProblem(p.path, to, test); why != "" {
					t.Errorf("%s imports %s: %s", p.path, to, why)
				}
			}
		}
		check(p.imports, false)
		check(p.testImports, true)
	}
}

// Stages and the judge must not meet through a third package either.
func TestVerifyDoesNotReachSimulate(t *testing.T) {
	t.Parallel()
	byPath := map[string]pkg{}
	for _, p := range packages(t) {
		byPath[p.path] = p
	}
	for _, stage := range stages {
		seen := map[string]bool{}
		var walk func(path string, via []string)
		walk = func(path string, via []string) {
			if seen[path] {
				return
			}
			seen[path] = true
			if other := within(path, stages); other != "" && other != stage {
				t.Errorf("%s reaches %s by %s", stage, path, strings.Join(append(via, path), " -> "))
			}
			for _, i := range byPath[path].imports {
				if to, ours := strings.CutPrefix(i, module+"/"); ours {
					walk(to, append(slices.Clone(via), path))
				}
			}
		}
		for path := range byPath {
			if in(path, stage) {
				walk(path, nil)
			}
		}
	}
}

func TestPackagesAreNamedForWhatTheyAre(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		switch name := filepath.Base(p.path); name {
		case "util", "utils", "common", "helpers", "helper", "misc", "shared", "base":
			t.Errorf("package %s is named for nothing that it does", p.path)
		}
	}
}

func TestSolutionsAreDataOnly(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !in(p.path, "solutions") {
			continue
		}
		for _, f := range p.files {
			if p.path != "solutions" || filepath.Base(f) != "embed.go" && !strings.HasSuffix(f, "_test.go") {
				t.Errorf("%s: a solution has no Go code of its own", f)
			}
		}
	}
}

const maxLines = 600

func TestFilesStayReadable(t *testing.T) {
	t.Parallel()
	eachFile(t, func(_ pkg, name string, fset *token.FileSet, f *ast.File) {
		if strings.HasSuffix(name, "_test.go") || ast.IsGenerated(f) {
			return
		}
		if n := fset.File(f.Pos()).LineCount(); n > maxLines {
			t.Errorf("%s has %d lines, more than %d", name, n, maxLines)
		}
	})
}

// Exported names are documented, in the program and in its tests' libraries.
func TestExportedNamesHaveDocComments(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	eachFile(t, func(p pkg, name string, fset *token.FileSet, f *ast.File) {
		if strings.HasSuffix(name, "_test.go") || ast.IsGenerated(f) {
			return
		}
		if f.Doc != nil {
			documented[p.path] = true
		} else if _, ok := documented[p.path]; !ok {
			documented[p.path] = false
		}
		for _, missing := range undocumented(f) {
			t.Errorf("%s: %s has no doc comment", fset.Position(missing.Pos()), missing.Name)
		}
	})
	for path, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", path)
		}
	}
}

// undocumented returns the exported top-level names of f without a comment.
// A comment on a group of constants or variables counts for all of them, as do
// methods that fulfil a well-known interface, whose doc would only repeat it.
func undocumented(f *ast.File) []*ast.Ident {
	var out []*ast.Ident
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !wellKnown(d) {
				out = append(out, d.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() && s.Doc == nil && (d.Doc == nil || len(d.Specs) > 1) {
						out = append(out, s.Name)
					}
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if n.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
							out = append(out, n)
						}
					}
				}
			}
		}
	}
	return out
}

func wellKnown(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return false
	}
	return slices.Contains([]string{"Error", "Unwrap", "String", "Close", "Len", "Less", "Swap", "Is", "As"}, d.Name.Name)
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// The process is touched in one place per program: its main.go.
func TestProcessIsTouchedInMainOnly(t *testing.T) {
	t.Parallel()
	forbidden := map[string][]string{
		"os":     {"Exit", "Args", "Stdout", "Stderr", "Stdin", "Getenv", "LookupEnv", "Environ"},
		"log":    {"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Print", "Printf", "Println"},
		"fmt":    {"Print", "Printf", "Println"},
		"signal": {"Notify", "NotifyContext"},
	}
	eachFile(t, func(p pkg, name string, fset *token.FileSet, f *ast.File) {
		if strings.HasSuffix(name, "_test.go") || p.isProgram(f) || in(p.path, "test") ||
			in(p.path, "internal/testservice") || in(p.path, "connector/connectortest") {
			return
		}
		imported := map[string]bool{}
		for _, i := range f.Imports {
			if i.Name == nil {
				imported[filepath.Base(strings.Trim(i.Path.Value, `"`))] = true
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			if ok && x.Obj == nil && imported[x.Name] && slices.Contains(forbidden[x.Name], s.Sel.Name) {
				t.Errorf("%s: %s.%s belongs into a main.go; take what is needed as a parameter", fset.Position(s.Pos()), x.Name, s.Sel.Name)
			}
			return true
		})
	})
}

// isProgram tells whether f is the main.go of a program. There is one beside those
// in cmd: the server that tests of SQL Server speak to.
func (p pkg) isProgram(f *ast.File) bool {
	return f.Name.Name == "main" && (in(p.path, "cmd") || p.path == "connector/sqldb/local/tdsserver") || in(p.path, "bench")
}

// init functions and package variables that change are hidden wiring.
func TestNoInitFunctions(t *testing.T) {
	t.Parallel()
	eachFile(t, func(_ pkg, name string, fset *token.FileSet, f *ast.File) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: no init functions; build values in main and pass them", fset.Position(fn.Pos()))
			}
		}
	})
}

func TestUndocumentedNamesAreFound(t *testing.T) {
	t.Parallel()
	src := `package p
func A() {}
// B is fine.
func B() {}
func (t *T) M() {}
func (t *T) Close() error { return nil }
func (t u) N() {}
type T struct{}
const (
	C = 1
	d = 2
)
// Kinds.
const ( E = 1; F = 2 )
`
	f, err := parser.ParseFile(token.NewFileSet(), "p.go", src, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range undocumented(f) {
		names = append(names, i.Name)
	}
	if got := strings.Join(names, " "); got != "A M T C" {
		t.Errorf("found %q", got)
	}
}

// packages lists the module's packages.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir                              string
			GoFiles, CgoFiles, TestGoFiles, XTestGoFiles []string
			Imports, TestImports, XTestImports           []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		q := pkg{path: strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"), dir: p.Dir,
			imports: p.Imports, testImports: append(p.TestImports, p.XTestImports...)}
		for _, f := range slices.Concat(p.GoFiles, p.CgoFiles, p.TestGoFiles, p.XTestGoFiles) {
			q.files = append(q.files, filepath.Join(p.Dir, f))
		}
		all = append(all, q)
	}
	if len(all) < 5 {
		t.Fatalf("only %d packages were found; these tests look at nothing", len(all))
	}
	return all
}

func eachFile(t *testing.T, fn func(p pkg, name string, fset *token.FileSet, f *ast.File)) {
	t.Helper()
	for _, p := range packages(t) {
		for _, name := range p.files {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatalf("%v", err)
			}
			fn(p, name, fset, f)
		}
	}
}

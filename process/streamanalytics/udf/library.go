package udf

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"

	"millrace/process/streamanalytics/value"
)

// File is one source file.
type File struct {
	// Name is shown in messages; its base without the extension names the
	// file's function main.
	Name string
	// Source is JavaScript, at most MaxSource bytes.
	Source string
}

// MaxSource is the length of a source file that Load accepts, in bytes, and
// maxNesting how deep its brackets may nest: the engine's parser recurses.
const (
	MaxSource  = 4 << 20
	maxNesting = 500
)

// Options say how functions run. The zero value has the defaults.
type Options struct {
	// TimeLimit is how long one call may take; 5 s by default.
	TimeLimit time.Duration
	// MemoryLimit is by how many bytes the heap of the process may grow
	// during one call; 512 MiB by default. It is noticed within some 10 ms.
	MemoryLimit int64
	// MaxDepth is how deep calls may nest; 2000 by default.
	MaxDepth int
	// Level decides what a JavaScript Boolean is in the query: a bit, below
	// level 1.2 a bigint.
	Level value.Level
}

func (o Options) withDefaults() Options {
	if o.TimeLimit <= 0 {
		o.TimeLimit = 5 * time.Second
	}
	if o.MemoryLimit <= 0 {
		o.MemoryLimit = 512 << 20
	}
	if o.MaxDepth <= 0 {
		o.MaxDepth = 2000
	}
	return o
}

// Library is a set of compiled source files. It is immutable and safe for
// concurrent use. A nil *Library is one without functions.
type Library struct {
	options Options
	files   []*source
	// symbols are ordered by name.
	symbols []*symbol
}

// source is one compiled file. program and prelude are not bound to an engine.
type source struct {
	name    string
	program *goja.Program
	prelude *goja.Program
	index   int
}

// symbol is one name that a query may call.
type symbol struct {
	// name is what the query calls, identifier what the file calls it.
	name, identifier string
	file             *source
	class            bool
	params, line     int
}

// Info describes a function or aggregate.
type Info struct {
	// Name is as JavaScript spells it.
	Name string
	// Params is the number of declared parameters (of accumulate, for an
	// aggregate). JavaScript takes calls with more or fewer.
	Params int
	// File and Line say where it is defined.
	File string
	Line int
	// Deaccumulates and DeaccumulatesState tell whether an aggregate has
	// those methods.
	Deaccumulates, DeaccumulatesState bool
}

// Load compiles files and runs each once to see that it can be and which
// functions it has. The error is an *Error with the place of the fault, or
// names two files that define the same function.
func Load(options Options, files ...File) (*Library, error) {
	l := &Library{options: options.withDefaults()}
	for _, f := range files {
		src, declared, err := compile(f)
		if err != nil {
			return nil, err
		}
		src.index = len(l.files)
		l.files = append(l.files, src)
		s, err := newScript(src, l.options)
		if err != nil {
			return nil, err
		}
		for _, d := range declared {
			v, err := s.vm.RunString(d.identifier)
			if err != nil {
				continue
			}
			if _, callable := goja.AssertFunction(v); !callable {
				continue
			}
			d.params = int(v.(*goja.Object).Get("length").ToInteger())
			l.symbols = append(l.symbols, d)
		}
	}
	l.nameMains()
	slices.SortFunc(l.symbols, func(a, b *symbol) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(l.symbols); i++ {
		if a, b := l.symbols[i-1], l.symbols[i]; a.name == b.name {
			return nil, fmt.Errorf("the function %s is defined in both %s and %s; rename one of them", a.name, a.file.name, b.file.name)
		}
	}
	return l, nil
}

// nameMains gives each file's main the name of its file. It stays known as
// main only if there is no other.
func (l *Library) nameMains() {
	var mains []*symbol
	l.symbols = slices.DeleteFunc(l.symbols, func(s *symbol) bool {
		if s.name == "main" {
			mains = append(mains, s)
			return true
		}
		return false
	})
	for _, m := range mains {
		base := path.Base(strings.ReplaceAll(m.file.name, `\`, "/"))
		base = strings.TrimSuffix(base, path.Ext(base))
		taken := slices.ContainsFunc(l.symbols, func(s *symbol) bool { return s.name == base && s.file == m.file })
		if base != "main" && !taken {
			named := *m
			named.name = base
			l.symbols = append(l.symbols, &named)
		}
	}
	if len(mains) == 1 {
		l.symbols = append(l.symbols, mains[0])
	}
}

// compile parses a file and lists what it declares at its top level.
func compile(f File) (*source, []*symbol, error) {
	fail := func(message string, at file.Position) error {
		return &Error{File: f.Name, Line: at.Line, Column: at.Column, Message: message}
	}
	if len(f.Source) > MaxSource {
		return nil, nil, fail(fmt.Sprintf("the file has %d bytes, more than %d", len(f.Source), MaxSource), file.Position{})
	}
	if at := tooDeep(f.Source); at > 0 {
		return nil, nil, fail(fmt.Sprintf("brackets nest deeper than %d", maxNesting), file.Position{Line: at, Column: 1})
	}
	// Editors put a byte order mark at the start of some files. Without source
	// maps the parser reads no other file.
	text := strings.TrimPrefix(f.Source, "\ufeff")
	tree, err := parser.ParseFile(nil, f.Name, text, 0, parser.WithDisableSourceMaps)
	if err != nil {
		var list parser.ErrorList
		if errors.As(err, &list) && len(list) > 0 {
			return nil, nil, fail(list[0].Message, list[0].Position)
		}
		return nil, nil, fail(err.Error(), file.Position{})
	}
	program, err := goja.CompileAST(tree, false)
	if err != nil {
		var at file.Position
		message := err.Error()
		var syntax *goja.CompilerSyntaxError
		if errors.As(err, &syntax) {
			message = "SyntaxError: " + syntax.Message
			if syntax.File != nil {
				at = syntax.File.Position(syntax.Offset)
			}
		}
		return nil, nil, fail(message, at)
	}
	prelude, err := compilePrelude()
	if err != nil {
		return nil, nil, err
	}
	src := &source{name: f.Name, program: program, prelude: prelude}
	return src, declarations(src, tree), nil
}

// tooDeep returns the line where brackets nest deeper than maxNesting, else 0.
// It does not know strings and comments, which is good enough: no sane file
// has that many more opening than closing brackets in them.
func tooDeep(text string) int {
	depth, line := 0, 1
	for i := range len(text) {
		switch text[i] {
		case '\n':
			line++
		case '(', '[', '{':
			if depth++; depth > maxNesting {
				return line
			}
		case ')', ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return 0
}

// declarations lists the names a file declares at its top level. Which of them
// are functions is known once it has run.
func declarations(src *source, tree *ast.Program) []*symbol {
	var out []*symbol
	add := func(id *ast.Identifier, class bool) {
		name := id.Name.String()
		if slices.ContainsFunc(out, func(s *symbol) bool { return s.name == name }) {
			return
		}
		line := tree.File.Position(int(id.Idx) - tree.File.Base()).Line
		out = append(out, &symbol{name: name, identifier: name, file: src, class: class, line: line})
	}
	bind := func(list []*ast.Binding) {
		for _, b := range list {
			if id, ok := b.Target.(*ast.Identifier); ok {
				_, class := b.Initializer.(*ast.ClassLiteral)
				add(id, class)
			}
		}
	}
	for _, statement := range tree.Body {
		switch s := statement.(type) {
		case *ast.FunctionDeclaration:
			add(s.Function.Name, false)
		case *ast.ClassDeclaration:
			add(s.Class.Name, true)
		case *ast.VariableStatement:
			bind(s.List)
		case *ast.LexicalDeclaration:
			bind(s.List)
		case *ast.ExpressionStatement:
			// name = function … without a declaration.
			if a, ok := s.Expression.(*ast.AssignExpression); ok {
				if id, ok := a.Left.(*ast.Identifier); ok {
					add(id, false)
				}
			}
		}
	}
	return out
}

// find returns the symbol of a name: as spelled, else the only one that is the
// same when case is ignored.
func (l *Library) find(name string) *symbol {
	if l == nil {
		return nil
	}
	var folded *symbol
	for _, s := range l.symbols {
		if s.name == name {
			return s
		}
		if strings.EqualFold(s.name, name) {
			if folded != nil {
				return nil
			}
			folded = s
		}
	}
	return folded
}

// Names returns the names a query may use, in order: for suggestions. Some may
// be aggregates, some functions; only calling them tells.
func (l *Library) Names() []string {
	if l == nil {
		return nil
	}
	names := make([]string, len(l.symbols))
	for i, s := range l.symbols {
		names[i] = s.name
	}
	return names
}

// Function returns what udf.name is. A name is looked up as JavaScript spells
// it, else ignoring case if that is unambiguous.
func (l *Library) Function(name string) (Info, bool) {
	s := l.find(name)
	if s == nil || s.class {
		return Info{}, false
	}
	return Info{Name: s.name, Params: s.params, File: s.file.name, Line: s.line}, true
}

// Aggregate returns what uda.name is. The error says what is wrong: no such
// name, or a method that is missing. It constructs the aggregate once.
func (l *Library) Aggregate(name string) (Info, error) {
	r, err := l.NewRuntime()
	if err != nil {
		return Info{}, err
	}
	a, err := r.Aggregate(name)
	if err != nil {
		return Info{}, err
	}
	return a.info, nil
}

// HasFunction tells whether udf.name is there, for the checker of queries.
func (l *Library) HasFunction(name string) bool {
	_, ok := l.Function(name)
	return ok
}

// HasAggregate tells whether uda.name is there and complete.
func (l *Library) HasAggregate(name string) bool {
	_, err := l.Aggregate(name)
	return err == nil
}

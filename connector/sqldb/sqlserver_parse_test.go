package sqldb

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sqlc-dev/teesql/ast"
	"github.com/sqlc-dev/teesql/parser"
)

// serverGoldens are the names that the golden files of SQL Server's statements
// are filled in with.
func serverGoldens() map[string]serverNames {
	n := newNames("telemetry", "events", "r1")
	return map[string]serverNames{
		"sqlserver.rowstore":    newServerNames(n, Rowstore),
		"sqlserver.columnstore": newServerNames(n, Columnstore),
		"sqlserver.warehouse":   newServerNames(n, Warehouse),
	}
}

// serverStatements are all statements of a layout, those built in code among
// them.
func serverStatements(t *testing.T, n serverNames) statements {
	t.Helper()
	stmts, err := loadServerStatements(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range eventColumns(n.Layout) {
		if c.null {
			stmts["code: addColumn "+c.name] = addColumn(n.Events, c)
		}
	}
	for name, query := range map[string]string{
		"SELECT": "-- mine\nSELECT TOP (3) deviceId FROM events;",
		"WITH":   "WITH x AS (SELECT deviceId FROM events) SELECT * FROM x",
	} {
		if stmts["code: query "+name], err = readingQuery(query, n.names); err != nil {
			t.Fatal(err)
		}
	}
	if n.Layout == Warehouse {
		m := move{epoch: 5_000_000_000}
		m.Partition, m.From, m.To = 1, -1, 5_000_000_001
		stmts["code: fillMoves"] = fillMoves([]move{{}, m})
	}
	return stmts
}

// TestSQLServerStatementsParse has every statement read by a T-SQL parser
// that we did not write, and checks that it found all of each.
func TestSQLServerStatementsParse(t *testing.T) {
	for file, n := range serverGoldens() {
		stmts := serverStatements(t, n)
		for _, name := range slices.Sorted(maps.Keys(stmts)) {
			script, err := parser.Parse(t.Context(), strings.NewReader(stmts[name]))
			if err != nil {
				t.Errorf("%s %s: %v\n%s", file, name, err, stmts[name])
				continue
			}
			if len(script.Batches) != 1 || len(script.Batches[0].Statements) == 0 {
				t.Errorf("%s %s: %d batches", file, name, len(script.Batches))
				continue
			}
			var kinds []string
			for _, s := range script.Batches[0].Statements {
				kinds = append(kinds, strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", s), "*ast."), "Statement"))
			}
			if want, ok := serverForms[file+" "+name]; ok && strings.Join(kinds, " ") != want {
				t.Errorf("%s %s is read as %s, want %s", file, name, strings.Join(kinds, " "), want)
			}
		}
	}
}

// serverForms are what the parser must find in the batches that write.
var serverForms = map[string]string{
	"sqlserver.rowstore write": "PredicateSet PredicateSet DeclareVariable DeclareVariable BeginTransaction Update If SetVariable Merge " +
		"SetVariable CommitTransaction Select",
	"sqlserver.columnstore write": "PredicateSet PredicateSet DeclareVariable DeclareVariable BeginTransaction Update If SetVariable Insert " +
		"SetVariable CommitTransaction Select",
	"sqlserver.rowstore claim":    "PredicateSet PredicateSet DeclareVariable BeginTransaction Execute If Insert Update CommitTransaction",
	"sqlserver.rowstore probe":    "PredicateSet PredicateSet SetTransactionIsolationLevel DeclareVariable BeginTransaction SetVariable Merge RollbackTransaction SetTransactionIsolationLevel",
	"sqlserver.columnstore probe": "PredicateSet PredicateSet SetTransactionIsolationLevel DeclareVariable BeginTransaction SetVariable Insert RollbackTransaction SetTransactionIsolationLevel",
	"sqlserver.warehouse advance": "Update",
	"sqlserver.warehouse merge":   "Insert",
}

// TestSQLServerColumns: what prepare creates is what it then asks for. The
// columns are read from the statement by the parser.
func TestSQLServerColumns(t *testing.T) {
	for file, n := range serverGoldens() {
		stmts := serverStatements(t, n)
		for name, want := range map[string][]serverColumn{"createEvents": eventColumns(n.Layout), "createPositions": positionColumns} {
			found := createdColumns(t, stmts[name])
			if add, faults := compareColumns(found, want); len(add) > 0 || len(faults) > 0 || len(found) != len(want) {
				t.Errorf("%s %s makes %v: lacks %v, faults %v", file, name, found, add, faults)
			}
		}
		// The staging table takes what the table takes, in the order of the load.
		var staged []string
		for _, c := range createdColumns(t, stmts["createStaging"]) {
			staged = append(staged, c.name)
			at := slices.IndexFunc(eventColumns(n.Layout), func(e serverColumn) bool { return e.name == c.name })
			if e := eventColumns(n.Layout)[at]; c.declared() != e.declared() || c.null != e.null {
				t.Errorf("%s: staged %s is %s, the table's %s", file, c.name, c.declared(), e.declared())
			}
		}
		if !slices.Equal(staged, stagedNames) {
			t.Errorf("%s stages %v, the load has %v", file, staged, stagedNames)
		}
	}
}

// createdColumns are the columns of the CREATE TABLE in a text.
func createdColumns(t *testing.T, text string) (found []foundColumn) {
	t.Helper()
	script, err := parser.Parse(t.Context(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var table *ast.CreateTableStatement
	var look func(ast.Statement)
	look = func(s ast.Statement) {
		switch s := s.(type) {
		case *ast.CreateTableStatement:
			table = s
		case *ast.IfStatement:
			look(s.ThenStatement)
		case *ast.BeginEndBlockStatement:
			for _, inner := range s.StatementList.Statements {
				look(inner)
			}
		}
	}
	for _, s := range script.Batches[0].Statements {
		look(s)
	}
	if table == nil {
		t.Fatalf("no CREATE TABLE in %s", text)
	}
	for _, c := range table.Definition.ColumnDefinitions {
		found = append(found, createdColumn(t, c))
	}
	return found
}

func createdColumn(t *testing.T, c *ast.ColumnDefinition) foundColumn {
	t.Helper()
	f := foundColumn{name: c.ColumnIdentifier.Value, null: true, bytes: -2}
	kind, ok := c.DataType.(*ast.SqlDataTypeReference)
	if !ok {
		t.Fatalf("column %s is %T", f.name, c.DataType)
	}
	f.kind = strings.ToLower(kind.Name.BaseIdentifier.Value)
	for _, p := range kind.Parameters {
		switch p := p.(type) {
		case *ast.MaxLiteral:
			f.bytes = -1
		case *ast.IntegerLiteral:
			n, err := strconv.Atoi(p.Value)
			if err != nil {
				t.Fatal(err)
			}
			f.bytes, f.scale = 2*n, n
		default:
			t.Fatalf("column %s has %T", f.name, p)
		}
	}
	constraints := c.Constraints
	if c.Nullable != nil {
		constraints = append(constraints, c.Nullable)
	}
	for _, k := range constraints {
		if k, ok := k.(*ast.NullableConstraintDefinition); ok {
			f.null = k.Nullable
		}
	}
	return f
}

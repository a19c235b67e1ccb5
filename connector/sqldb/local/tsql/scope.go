package tsql

import (
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// compiler turns expressions into functions, where the names that are visible
// are known.
type compiler struct {
	x     *execution
	src   *source
	names *names
	// group is set where aggregates are allowed: in the list, the HAVING and
	// the ORDER BY of a query that groups.
	group *grouping
	depth int
}

func (x *execution) compiler(n *names) *compiler { return &compiler{x: x, src: x.sc.src, names: n} }

// names are the sources of one FROM, inside of those of the queries around.
type names struct {
	sources []*fromSource
	outer   *names
	ctes    map[string]*cte
	// used collects the sources that expressions name; outerUsed tells whether
	// one of a query around was.
	used      uint64
	outerUsed bool
}

// fromSource is one table of a FROM.
type fromSource struct {
	alias   string
	schema  string // of the table, for names with two parts before the column
	columns []value.Column
	slot    int
	hidden  bool // cannot be named without its alias (inserted, deleted)
}

// env is what an expression is evaluated with: a row of each source.
type env struct {
	x     *execution
	rows  [][]value.Value // by slot; nil if an outer join found nothing
	refs  []*row          // the stored rows, where sources are tables
	outer *env
	group []value.Value // the values of a grouping
}

func (c *compiler) env(outer *env) *env {
	n := 0
	if c.names != nil {
		n = len(c.names.sources)
	}
	return &env{x: c.x, rows: make([][]value.Value, n), refs: make([]*row, n), outer: outer}
}

// isolate compiles something and tells which sources it names.
func (c *compiler) isolate(f func() error) (used uint64, err error) {
	if c.names == nil {
		return 0, f()
	}
	before := c.names.used
	c.names.used = 0
	err = f()
	used = c.names.used
	c.names.used |= before
	return used, err
}

// column finds the source of a column reference.
func (c *compiler) column(ref *ast.ColumnReferenceExpression) (*expression, error) {
	if ref.MultiPartIdentifier == nil || len(ref.MultiPartIdentifier.Identifiers) == 0 {
		return nil, unsupported("a column reference of kind %s", ref.ColumnType)
	}
	ids := ref.MultiPartIdentifier.Identifiers
	name := ids[len(ids)-1].Value
	var alias, schema string
	if len(ids) > 1 {
		alias = ids[len(ids)-2].Value
	}
	if len(ids) > 2 {
		schema = ids[len(ids)-3].Value
	}
	depth := 0
	for n := c.names; n != nil; n = n.outer {
		found, col, err := n.find(schema, alias, name)
		if err != nil {
			return nil, err
		}
		if found != nil {
			n.used |= 1 << found.slot
			for inner := c.names; inner != n; inner = inner.outer {
				inner.outerUsed = true
			}
			return columnAt(depth, found, col), nil
		}
		depth++
	}
	if alias != "" {
		return nil, value.Errorf(4104, "The multi-part identifier \"%s\" could not be bound.", joinNames(ids))
	}
	return nil, value.Errorf(207, "Invalid column name '%s'.", name)
}

func joinNames(ids []*ast.Identifier) string {
	var parts []string
	for _, id := range ids {
		parts = append(parts, id.Value)
	}
	return strings.Join(parts, ".")
}

func (n *names) find(schema, alias, name string) (*fromSource, int, error) {
	var found *fromSource
	at := -1
	for _, s := range n.sources {
		if alias == "" && s.hidden || alias != "" && !strings.EqualFold(s.alias, alias) || schema != "" && !strings.EqualFold(s.schema, schema) {
			continue
		}
		for i, c := range s.columns {
			if !strings.EqualFold(c.Name, name) {
				continue
			}
			if found != nil && found != s {
				return nil, 0, value.Errorf(209, "Ambiguous column name '%s'.", name)
			}
			if found == nil {
				found, at = s, i
			}
		}
	}
	return found, at, nil
}

func columnAt(depth int, s *fromSource, col int) *expression {
	slot := s.slot
	e := &expression{typ: s.columns[col].Type, nullable: s.columns[col].Nullable, column: true, depth: depth, slot: slot, col: col, name: s.columns[col].Name}
	switch depth {
	case 0:
		e.eval = func(v *env) (value.Value, error) {
			if r := v.rows[slot]; r != nil {
				return r[col], nil
			}
			return value.Value{}, nil
		}
	default:
		e.eval = func(v *env) (value.Value, error) {
			for range depth {
				v = v.outer
			}
			if r := v.rows[slot]; r != nil {
				return r[col], nil
			}
			return value.Value{}, nil
		}
	}
	return e
}

// Package filequery is what stores of data files have in common: it asks DuckDB
// about files, keeps copies of those that are in a storage account, and reads
// many files at once.
package filequery

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"millrace/connector"
	"millrace/connector/internal/duckread"
)

// Options bound what a query takes.
type Options struct {
	duckread.Limits
	// Explain makes an error of DuckDB's one that says what to do.
	Explain func(error) error
}

// Ask runs a statement that reads, over what the statement view has made of
// files. The rows must be closed.
func Ask(ctx context.Context, o Options, view, text string) (connector.Rows, error) {
	// Times are moments; they are shown in UTC.
	s, err := duckread.Open(ctx, o.Limits, "SET TimeZone = 'UTC'")
	if err != nil {
		return nil, o.Explain(err)
	}
	rows, err := run(ctx, s, o, view, text)
	if err != nil {
		return nil, errors.Join(o.Explain(err), s.Close())
	}
	return rows, nil
}

func run(ctx context.Context, s *duckread.Session, o Options, view, text string) (connector.Rows, error) {
	if _, err := s.Conn.ExecContext(ctx, view); err != nil {
		return nil, fmt.Errorf("opening the files: %w", err)
	}
	return duckread.Query(ctx, s.Conn, text, duckread.Reading{Explain: o.Explain, End: s.Close})
}

// Named makes a name of SQL.
func Named(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// Paths makes a list of SQL of the paths of files. DuckDB takes paths for
// patterns; these match one file only.
func Paths(paths []string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, path := range paths {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(duckread.Quoted(escapeGlob(path)))
	}
	b.WriteByte(']')
	return b.String()
}

// escapeGlob makes a pattern that matches one name only.
func escapeGlob(path string) string {
	if !strings.ContainsAny(path, "*?[") {
		return path
	}
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(path)
}

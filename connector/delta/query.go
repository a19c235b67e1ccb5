package delta

import (
	"fmt"
	"strings"

	"millrace/connector"
)

// explain makes an error of a query one that says what to do.
func explain(err error) error {
	hint := ""
	switch message := strings.ToLower(err.Error()); {
	case strings.Contains(message, "out of memory"):
		hint = "raise serve.memoryLimit, choose fewer columns, or add LIMIT"
	case strings.Contains(message, "no space left"):
		hint = "free some space in the data folder"
	case strings.Contains(message, "no files found"), strings.Contains(message, "no such file"), strings.Contains(message, "could not open file"):
		hint = "an old version's files are gone after VACUUM; ask for a newer one, or again if the table was vacuumed just now"
	case strings.Contains(message, "binder error"), strings.Contains(message, "catalog error"):
		hint = "the table is the view events; DESCRIBE events shows its columns"
	case strings.Contains(message, "parser error"):
		hint = "a query is one SELECT in DuckDB's SQL"
	}
	err = fmt.Errorf("asking the Delta table: %w", err)
	if hint == "" {
		return err
	}
	return &connector.Hinted{Hint: hint, Err: err}
}

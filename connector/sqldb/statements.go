package sqldb

import (
	"bufio"
	"embed"
	"fmt"
	"strings"
	"text/template"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// statements are a dialect's statements by name, filled in and without their
// comments.
type statements map[string]string

// nameLine begins a statement in a file of statements.
const nameLine = "-- name: "

// loadStatements reads a file of statements and fills in the names.
func loadStatements(file string, n any) (statements, error) {
	text, err := sqlFiles.ReadFile("sql/" + file)
	if err != nil {
		return nil, fmt.Errorf("reading the embedded statements: %w", err)
	}
	t, err := template.New(file).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading the embedded statements: %w", err)
	}
	var filled strings.Builder
	if err := t.Execute(&filled, n); err != nil {
		return nil, fmt.Errorf("filling in %s: %w", file, err)
	}
	out := make(statements)
	name := ""
	for lines := bufio.NewScanner(strings.NewReader(filled.String())); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, nameLine):
			name = strings.TrimPrefix(line, nameLine)
		case strings.HasPrefix(line, "--"), name == "":
		default:
			out[name] += line + "\n"
		}
	}
	for name, text := range out {
		out[name] = strings.TrimSpace(text)
	}
	return out, nil
}

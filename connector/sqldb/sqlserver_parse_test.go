package sqldb

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sqlc-dev/teesql/parser"
)

// TestSQLServerStatementsParse has every statement read by a T-SQL parser
// that we did not write.
func TestSQLServerStatementsParse(t *testing.T) {
	for _, layout := range []string{Rowstore, Columnstore} {
		n := struct {
			names
			Layout, Ranges string
		}{newNames("telemetry", "events", "r1"), layout, "telemetry_events_r1_ranges"}
		for _, file := range []string{"sqlserver.sql", "warehouse.sql"} {
			stmts, err := loadStatements(file, n)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range slices.Sorted(maps.Keys(stmts)) {
				if _, err := parser.Parse(t.Context(), strings.NewReader(stmts[name])); err != nil {
					t.Errorf("%s %s %s: %v\n%s", layout, file, name, err, stmts[name])
				}
			}
		}
	}
}

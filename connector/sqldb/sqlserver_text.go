package sqldb

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// serverNames are the names that SQL Server's statements are filled in with.
type serverNames struct {
	names
	// Layout decides the form of some statements.
	Layout string
	// Ranges is the partition function and scheme of a rowstore. They belong
	// to the database, not to a schema.
	Ranges string
}

func newServerNames(n names, layout string) serverNames {
	return serverNames{names: n, Layout: layout, Ranges: strings.ReplaceAll(n.Events, ".", "_") + "_ranges"}
}

// loadServerStatements loads the statements of a layout.
func loadServerStatements(n serverNames) (statements, error) {
	stmts, err := loadStatements("sqlserver.sql", n)
	if err != nil || n.Layout != Warehouse {
		return stmts, err
	}
	own, err := loadStatements("warehouse.sql", n)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"createPartitionFunction", "createPartitionScheme", "dropPartitionScheme", "dropPartitionFunction",
		"lockSchema", "write", "bare", "probe"} {
		delete(stmts, name) // the pool does not understand them
	}
	maps.Copy(stmts, own)
	return stmts, nil
}

// partitionsJSON is the parameter @partitions: [0,1,2].
func partitionsJSON(partitions []int32) string {
	b := []byte{'['}
	for i, p := range partitions {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(p), 10)
	}
	return string(append(b, ']'))
}

// movesJSON is the parameter @moves: [[partition,epoch,from,to],...].
func movesJSON(moves []move) string {
	b := []byte{'['}
	for i, m := range moves {
		if i > 0 {
			b = append(b, ',')
		}
		for j, n := range [...]int64{int64(m.Partition), m.epoch, m.From, m.To} {
			b = strconv.AppendInt(append(b, "[,,,"[j]), n, 10)
		}
		b = append(b, ']')
	}
	return string(append(b, ']'))
}

// fillMoves is the statement that fills #millrace_moves of a dedicated SQL
// pool, which takes no lists of values but from SELECTs.
func fillMoves(moves []move) string {
	var b strings.Builder
	b.WriteString("INSERT INTO #millrace_moves (partitionId, epoch, startAt, upTo)")
	for i, m := range moves {
		if i > 0 {
			b.WriteString("\nUNION ALL")
		}
		fmt.Fprintf(&b, "\nSELECT %d, %d, %d, %d", m.Partition, m.epoch, m.From, m.To)
	}
	return b.String()
}

// addColumn is the statement that gives a column to a table which was made
// before there was such a column.
func addColumn(table string, c serverColumn) string {
	return fmt.Sprintf("ALTER TABLE %s ADD [%s] %s NULL", table, c.name, c.declared())
}

// shadowEvents makes `events` in a query that reads stand for another table.
func shadowEvents(table string) string {
	return "WITH events AS (SELECT * FROM " + table + ")"
}

package clients_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"millrace/test/lakeclient"
)

// lake is what the tests of Delta tables share: the readers that we did not
// write, each in one process.
type lake struct{ rust, spark *lakeclient.Client }

func (l *lake) clients() []*lakeclient.Client { return []*lakeclient.Client{l.rust, l.spark} }

// TestDelta drives delta-rs and Apache Spark. It is one test, as Spark takes ten
// seconds to start.
func TestDelta(t *testing.T) {
	if testing.Short() {
		t.Skip("starting Spark takes ten seconds")
	}
	t.Parallel()
	lookAtPrograms(t)
	l := &lake{rust: lakeclient.Start(t, lakeclient.DeltaRS), spark: lakeclient.Start(t, lakeclient.Spark)}
	started := make(chan error, 1)
	go func() { started <- l.spark.Try("hello", nil, nil) }()
	t.Cleanup(func() { <-started })
	for name, test := range map[string]func(*testing.T, *lake){
		"their tables":         testTheirTables,
		"refused tables":       testRefusedTables,
		"our table":            func(t *testing.T, l *lake) { testOurTable(t, l) },
		"our partitions":       func(t *testing.T, l *lake) { testOurTable(t, l, "type", "createdDate") },
		"our events in theirs": testOursInTheirs,
		"race":                 testRace,
		"storage account":      testStorageAccount,
	} {
		t.Run(name, func(t *testing.T) { test(t, l) })
	}
}

// inOrder orders rows as the clients do when they read them by a column.
func inOrder(rows []object, column string) []object {
	return slices.SortedFunc(slices.Values(rows), func(a, b object) int {
		if s, ok := a[column].(string); ok {
			return strings.Compare(s, b[column].(string))
		}
		return cmp.Compare(toInt(a[column]), toInt(b[column]))
	})
}

func toInt(v any) int64 {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	}
	panic(fmt.Sprintf("%T is no id", v))
}

package clients_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
)

// lake is what the tests of Delta tables share: the readers that we did not
// write, each in one process.
type lake struct{ rust, spark *lakeClient }

func (l *lake) clients() []*lakeClient { return []*lakeClient{l.rust, l.spark} }

// TestDelta drives delta-rs and Apache Spark. It is one test, as Spark takes ten
// seconds to start.
func TestDelta(t *testing.T) {
	if testing.Short() {
		t.Skip("starting Spark takes ten seconds")
	}
	t.Parallel()
	lookAtPrograms(t)
	l := &lake{rust: startLake(t, "delta-rs"), spark: startLake(t, "spark")}
	started := make(chan error, 1)
	go func() { started <- l.spark.try("hello", nil, nil) }()
	t.Cleanup(func() { <-started })
	for name, test := range map[string]func(*testing.T, *lake){
		"their tables":   testTheirTables,
		"refused tables": testRefusedTables,
	} {
		t.Run(name, func(t *testing.T) { test(t, l) })
	}
}

// byID orders rows as the clients do when they read them by id.
func byID(rows []object) []object {
	return slices.SortedFunc(slices.Values(rows), func(a, b object) int {
		return cmp.Compare(toInt(a["id"]), toInt(b["id"]))
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

package cosmosdb_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/cosmosdb"
	"millrace/connector/cosmosdb/local"
)

// TestQueriesOverRanges asks the same of a container with one range, whose
// server answers alone, and of one with several, where this package puts the
// ranges' results together: the answers must be the same.
func TestQueriesOverRanges(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1})
	c.MaxRows, c.Indexing = 1000, cosmosdb.Indexing{Included: []string{"/*"}}
	one, many := c, c
	one.Throughput, many.Throughput = 400, 60_000
	results := events(t, 900, func(i int) (int, int) { return i % 45, i / 45 })
	var stores []*cosmosdb.Store
	for _, c := range []*cosmosdb.Config{&one, &many} {
		s := prepared(t, c)
		if _, err := s.Write(t.Context(), &connector.Write{Results: results}); err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
	}
	for _, q := range []struct {
		query   string
		ordered bool
		rows    int
	}{
		{"SELECT c.eventId FROM c WHERE c.type = 'CO2'", false, 450},
		{"SELECT VALUE c.deviceSequenceNumber FROM c WHERE c.deviceId = 'contoso://device-id-7'", false, 20},
		{"SELECT c.eventId, c['value'] FROM c ORDER BY c.eventId", true, 900},
		{"SELECT VALUE c.eventId FROM c ORDER BY c.eventId DESC", true, 900},
		{"SELECT TOP 7 c.eventId FROM c ORDER BY c.eventId", true, 7},
		{"SELECT c.eventId FROM c ORDER BY c.eventId OFFSET 13 LIMIT 11", true, 11},
		{"SELECT c.deviceId, c.deviceSequenceNumber FROM c ORDER BY c.deviceSequenceNumber DESC, c.deviceId", true, 900},
		{"SELECT VALUE COUNT(1) FROM c", true, 1},
		{"SELECT VALUE COUNT(1) FROM c WHERE c.type = 'none'", true, 1},
		{"SELECT VALUE SUM(c.deviceSequenceNumber) FROM c", true, 1},
		{"SELECT VALUE AVG(c['value']) FROM c", true, 1},
		{"SELECT VALUE MIN(c.deviceId) FROM c", true, 1},
		{"SELECT VALUE MAX(c['value']) FROM c", true, 1},
		{"SELECT VALUE MAX(c.nothing) FROM c", true, 0},
		{"SELECT COUNT(1) AS n, MAX(c['value']) AS most, AVG(c.deviceSequenceNumber) AS mean FROM c", true, 1},
		{"SELECT DISTINCT c.type FROM c", false, 2},
		{"SELECT DISTINCT VALUE c.deviceSequenceNumber FROM c ORDER BY c.deviceSequenceNumber", true, 20},
		{"SELECT c.type, COUNT(1) AS n FROM c GROUP BY c.type", false, 2},
		{"SELECT c.type, c.deviceSequenceNumber AS s, MIN(c['value']) AS low, MAX(c['value']) AS high, AVG(c['value']) AS mean, COUNT(1) AS n FROM c GROUP BY c.type, c.deviceSequenceNumber", false, 40},
		{"SELECT VALUE COUNT(1) FROM c GROUP BY c.deviceId", false, 45},
		{"SELECT TOP 5 * FROM c WHERE c.nothing = 1", true, 0},
	} {
		var answers [2][]string
		for i, s := range stores {
			answers[i] = ask(t, s, q.query)
			if !q.ordered {
				slices.Sort(answers[i])
			}
		}
		if len(answers[0]) != q.rows {
			t.Errorf("%s: %d rows of one range, want %d: %.300v", q.query, len(answers[0]), q.rows, answers[0])
		}
		if !slices.Equal(answers[0], answers[1]) {
			t.Errorf("%s\none range   %.500v\nseveral     %.500v", q.query, answers[0], answers[1])
		}
	}
}

// ask returns a query's rows as text.
func ask(t testing.TB, s connector.Store, query string) []string {
	t.Helper()
	rows, err := s.Query(t.Context(), query)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return nil
	}
	defer rows.Close()
	var out []string
	for {
		row, err := rows.Next(t.Context())
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Errorf("%s: %v", query, err)
			return out
		}
		text := ""
		for i, v := range row {
			text += fmt.Sprintf("%s=%v ", rows.Columns()[i], v)
		}
		out = append(out, text)
	}
}

func TestQueryRows(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1})
	s := prepared(t, &c)
	if _, err := s.Write(t.Context(), &connector.Write{Results: events(t, 2, func(i int) (int, int) { return i, 7 })}); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Query(t.Context(), `SELECT c.deviceId, c.deviceSequenceNumber, c["value"], c.type = "CO2" AS gas, null AS nothing, {"a": [1, "x"]} AS nested, 1.5e0 AS f, c.logPartition FROM c WHERE c.deviceId = "contoso://device-id-1"`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"deviceId", "deviceSequenceNumber", "value", "gas", "nothing", "nested", "f", "logPartition"}; !slices.Equal(rows.Columns(), want) {
		t.Errorf("columns %v", rows.Columns())
	}
	row, err := rows.Next(t.Context())
	if want := []any{"contoso://device-id-1", int64(7), 18.5, false, nil, `{"a":[1,"x"]}`, 1.5, int64(1)}; err != nil || !reflect.DeepEqual(row, want) {
		t.Errorf("row %#v (%v)\nwant %#v", row, err, want)
	}
	for query, want := range map[string]string{
		"":                                  "empty",
		"SELECT":                            "Syntax error",
		"SELECT NOSUCH(c.a) FROM c":         "NOSUCH",
		"SELECT * FROM c WHERE c.a = @none": "none",
	} {
		if _, err := s.Query(t.Context(), query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", query, err, want)
		}
	}
	// A container that is not there.
	absent := open(t, &c, env(newRun()))
	defer absent.Close()
	var hinted *connector.Hinted
	if _, err := absent.Query(t.Context(), "SELECT * FROM c"); !errors.As(err, &hinted) || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a query on nothing: %v", err)
	}
}

// TestWrongQueries: who has made a mistake in a query reads what and where, and
// nothing of how the service wraps it.
func TestWrongQueries(t *testing.T) {
	t.Parallel()
	for _, units := range []int{400, 30_000} {
		c := standin(t, local.Options{Throughput: -1})
		c.Throughput = units
		s := prepared(t, &c)
		for query, want := range map[string]string{
			"SELECT * FROM c WHERE c.type == 'CO2'":               "at character 31, before `= 'CO2'`: Syntax error, incorrect syntax near '=' (SC1001)",
			"SELECT '\U0001F600' AS x,\n * FRM c":                 "the query is wrong at character ",
			"SELECT * FROM d WHERE c.type = 1 AND c.type = 'CO2'": "at character 23, before `c.type = 1 AND c.type = ...`: Identifier 'c' could not be resolved (SC2001)",
			"SELECT * FROM c ORDER BY FOO(c.type)":                "(SC",
			"SELECT VALUE COUNT(1) FROM c WHERE":                  "the query is wrong ",
		} {
			_, err := s.Query(t.Context(), query)
			if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "{}\"\n") || connector.ActionOf(err) != connector.Fail {
				t.Errorf("%s: %v, want %s", query, err, want)
			}
		}
		other := open(t, &c, env(newRun()))
		defer other.Close()
		_, err := other.Query(t.Context(), "SELECT * FROM c")
		hinted, ok := errors.AsType[*connector.Hinted](err)
		if !ok || !strings.Contains(hinted.Hint, "--run") || strings.ContainsAny(err.Error(), "{}") {
			t.Errorf("no such container: %v", err)
		}
	}
}

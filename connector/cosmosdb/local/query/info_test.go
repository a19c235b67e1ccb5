package query

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

func infoOf(t *testing.T, text string, def partition.Definition, parameters map[string]value.Value) *PartitionedInfo {
	t.Helper()
	q, err := sql.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	info, err := Info(q, def, parameters)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return info
}

func TestRewrittenQueries(t *testing.T) {
	t.Parallel()
	const filter = "({documentdb-formattableorderbyquery-filter})"
	for _, tt := range []struct{ query, rewritten, needs string }{
		{"SELECT * FROM c", "", ""},
		{"SELECT * FROM c WHERE c.a = 1", "", ""},
		{"SELECT TOP 5 * FROM c", "", "Top"},
		{"SELECT DISTINCT c.a FROM c", "", "Distinct"},
		{"SELECT DISTINCT TOP 5 VALUE c.a FROM c", "SELECT DISTINCT VALUE c.a FROM c", "Top Distinct"},
		{"SELECT * FROM c OFFSET 1 LIMIT 2", "SELECT * FROM c OFFSET 0 LIMIT 3", "OffsetAndLimit"},
		{"SELECT * FROM c WHERE c.key = 5 OFFSET 1 LIMIT 2", "", ""},
		{"SELECT DISTINCT * FROM c WHERE c.key = 5 OFFSET 1 LIMIT 2", "SELECT DISTINCT * FROM c WHERE c.key = 5", "OffsetAndLimit Distinct"},
		{"SELECT * FROM Root r ORDER BY r.a", `SELECT r._rid, [{"item": r.a}] AS orderByItems, r AS payload FROM Root AS r WHERE ` + filter + " ORDER BY r.a ASC", "OrderBy"},
		{"SELECT * FROM r WHERE r.a = 1 OR r.b = 2 ORDER BY r.a DESC, r.b",
			`SELECT r._rid, [{"item": r.a}, {"item": r.b}] AS orderByItems, r AS payload FROM r WHERE (r.a = 1 OR r.b = 2) AND ` + filter + " ORDER BY r.a DESC, r.b ASC", "OrderBy MultipleOrderBy"},
		{"SELECT * FROM c WHERE c.key = 'x' ORDER BY c.a", "", ""},
		{"SELECT TOP 10 c.a, c.b + 1 FROM c ORDER BY c.a",
			`SELECT TOP 10 c._rid, [{"item": c.a}] AS orderByItems, {"a": c.a, "$1": c.b + 1} AS payload FROM c WHERE ` + filter + " ORDER BY c.a ASC", "Top OrderBy"},
		{"SELECT VALUE c.b FROM c ORDER BY c.a OFFSET 2 LIMIT 3",
			`SELECT c._rid, [{"item": c.a}] AS orderByItems, c.b AS payload FROM c WHERE ` + filter + " AND IS_DEFINED(c.b) ORDER BY c.a ASC OFFSET 0 LIMIT 5", "OffsetAndLimit OrderBy"},
		{"SELECT DISTINCT TOP 3 VALUE c.a FROM c ORDER BY c.a",
			`SELECT c._rid, [{"item": c.a}] AS orderByItems, c.a AS payload FROM c WHERE ` + filter + " AND IS_DEFINED(c.a) ORDER BY c.a ASC", "Top Distinct OrderBy"},
		{"SELECT VALUE COUNT(1) FROM c", `SELECT VALUE [{"item": COUNT(1)}] FROM c`, "Aggregate"},
		{"SELECT VALUE sum(c.a) FROM c WHERE c.key = 1", `SELECT VALUE [{"item": SUM(c.a)}] FROM c WHERE c.key = 1`, "Aggregate"},
		{"SELECT VALUE AVG(c.a) FROM c", `SELECT VALUE [{"item": {"sum": SUM(c.a), "count": COUNT(c.a)}}] FROM c`, "Aggregate"},
		{"SELECT VALUE MIN(c.a + 1) FROM c", `SELECT VALUE [{"item": MIN(c.a + 1), "item2": {"min": MIN(c.a + 1), "count": COUNT(c.a + 1)}}] FROM c`, "Aggregate"},
		{"SELECT MAX(c.a) FROM c", `SELECT {"$1": {"item": MAX(c.a), "item2": {"max": MAX(c.a), "count": COUNT(c.a)}}} AS payload FROM c`, "Aggregate NonValueAggregate"},
		{"SELECT TOP 5 VALUE AVG(c.a) FROM c", `SELECT VALUE [{"item": {"sum": SUM(c.a), "count": COUNT(c.a)}}] FROM c`, "Top Aggregate"},
		{"SELECT COUNT(1) AS n, MAKESET(c.a) AS l FROM c", `SELECT {"n": {"item": COUNT(1)}, "l": {"item": MAKESET(c.a)}} AS payload FROM c`,
			"Aggregate ListAndSetAggregate NonValueAggregate MultipleAggregates"},
		{"SELECT c.a, COUNT(1) AS n FROM c GROUP BY c.a", `SELECT [{"item": c.a}] AS groupByItems, {"a": c.a, "n": {"item": COUNT(1)}} AS payload FROM c GROUP BY c.a`, "GroupBy NonValueAggregate"},
		{"SELECT VALUE c.a FROM c GROUP BY c.a OFFSET 1 LIMIT 1", `SELECT [{"item": c.a}] AS groupByItems, c.a AS payload FROM c GROUP BY c.a`, "OffsetAndLimit GroupBy"},
		{"SELECT VALUE COUNTIF(c.b) FROM c GROUP BY c.a", `SELECT [{"item": c.a}] AS groupByItems, [{"item": COUNTIF(c.b)}] AS payload FROM c GROUP BY c.a`, "GroupBy CountIf Aggregate"},
	} {
		info := infoOf(t, tt.query, byKey, nil)
		if got := strings.Join(strings.Fields(info.QueryInfo.RewrittenQuery), " "); got != tt.rewritten {
			t.Errorf("%s\ngot  %s\nwant %s", tt.query, got, tt.rewritten)
		}
		if got := strings.Join(info.needs, " "); got != tt.needs {
			t.Errorf("%s needs %q, want %q", tt.query, got, tt.needs)
		}
		if want := tt.needs != "" || strings.Contains(tt.query, "ORDER BY") || strings.Contains(tt.query, "LIMIT"); info.NeedsPlan != want {
			t.Errorf("%s needs a plan: %v", tt.query, info.NeedsPlan)
		}
	}
}

func TestPlanAsJSON(t *testing.T) {
	t.Parallel()
	info := infoOf(t, "SELECT TOP @n c.a, COUNT(1) AS n FROM c WHERE c.key IN ('b', 'a') GROUP BY c.a", byKey,
		map[string]value.Value{"@n": value.Number(7)})
	text, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	a, b := epk(t, "a"), epk(t, "b")
	if a > b {
		a, b = b, a
	}
	want := `{"partitionedQueryExecutionInfoVersion":2,"queryInfo":{"distinctType":"None","top":7,"offset":null,"limit":null,` +
		`"orderBy":[],"orderByExpressions":[],"groupByExpressions":["c.a"],"groupByAliases":["a","n"],"aggregates":[],` +
		`"groupByAliasToAggregateType":{"a":null,"n":"Count"},` +
		`"rewrittenQuery":"SELECT [{\"item\": c.a}] AS groupByItems, {\"a\": c.a, \"n\": {\"item\": COUNT(1)}} AS payload FROM c WHERE c.key IN (\"b\", \"a\") GROUP BY c.a",` +
		`"hasSelectValue":false,"dCountInfo":null,"hasNonStreamingOrderBy":false},` +
		`"queryRanges":[{"min":"` + a + `","max":"` + a + `","isMinInclusive":true,"isMaxInclusive":true},{"min":"` + b + `","max":"` + b + `","isMinInclusive":true,"isMaxInclusive":true}]}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func epk(t *testing.T, values ...any) string {
	t.Helper()
	key, err := partition.New(byKey, values...)
	if err != nil {
		t.Fatal(err)
	}
	return key.EPK()
}

func TestQueryRanges(t *testing.T) {
	t.Parallel()
	levels := partition.Definition{Paths: []string{"/tenant", "/user"}, Kind: partition.MultiHash, Version: 2}
	key := func(values ...any) partition.Key {
		k, err := partition.New(levels, values...)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	prefix := key("t").Range()
	for _, tt := range []struct {
		where string
		def   partition.Definition
		want  []QueryRange
	}{
		{"c.a = 1", byKey, []QueryRange{{"", "FF", true, false}}},
		{"c.key = 'a'", byKey, []QueryRange{{epk(t, "a"), epk(t, "a"), true, true}}},
		{"'a' = c['key'] AND c.x > 1", byKey, []QueryRange{{epk(t, "a"), epk(t, "a"), true, true}}},
		{"c.key = @p", byKey, []QueryRange{{epk(t, 5.0), epk(t, 5.0), true, true}}},
		{"c.key = null", byKey, []QueryRange{{epk(t, nil), epk(t, nil), true, true}}},
		{"c.key = 'a' OR c.x = 1", byKey, []QueryRange{{"", "FF", true, false}}},
		{"c.key > 'a'", byKey, []QueryRange{{"", "FF", true, false}}},
		{"c.tenant = 't'", levels, []QueryRange{{prefix.Low, prefix.High, true, false}}},
		{"c.tenant = 't' AND c.user = 'u'", levels, []QueryRange{{key("t", "u").EPK(), key("t", "u").EPK(), true, true}}},
		{"c.user = 'u'", levels, []QueryRange{{"", "FF", true, false}}},
	} {
		info := infoOf(t, "SELECT * FROM c WHERE "+tt.where, tt.def, map[string]value.Value{"@p": value.Number(5)})
		if len(info.QueryRanges) != len(tt.want) || info.QueryRanges[0] != tt.want[0] {
			t.Errorf("%s: %v, want %v", tt.where, info.QueryRanges, tt.want)
		}
		if one := tt.want[0].Min == tt.want[0].Max; info.Pinned() != one {
			t.Errorf("%s is pinned: %v", tt.where, info.Pinned())
		}
	}
}

func TestUnsupportedPlans(t *testing.T) {
	t.Parallel()
	const less = "Aggregate,CompositeAggregate,Distinct,MultipleOrderBy,OffsetAndLimit,OrderBy,Top,NonStreamingOrderBy,CountIf"
	for _, tt := range []struct{ query, features, problem string }{
		{"SELECT * FROM c", "", ""},
		{"SELECT VALUE COUNT(1) FROM c", less, ""},
		{"SELECT COUNT(1) AS n FROM c", less, "unsupported features. Upgrade your SDK to a version that does support the requested features:\nQuery contained NonValueAggregate, which the calling client does not support."},
		{"SELECT COUNT(1) AS n FROM c", clientFeatures, ""},
		{"SELECT c.a, COUNT(1) AS n FROM c GROUP BY c.a", "", ""},
		{"SELECT c.a, COUNT(1) AS n FROM c GROUP BY c.a", less, "\nQuery contained GroupBy, which the calling client does not support.\nQuery contained NonValueAggregate, which"},
		{"SELECT VALUE FLOOR(AVG(c.a)) FROM c", clientFeatures, "Compositions of aggregates and other expressions are not allowed."},
		{"SELECT VALUE {'n': COUNT(1)} FROM c", clientFeatures, "Compositions of aggregates"},
		{"SELECT VALUE COUNT(1) FROM (SELECT DISTINCT VALUE c.a FROM c)", clientFeatures, "a subquery in FROM"},
	} {
		err := infoOf(t, tt.query, byKey, nil).Unsupported(tt.features)
		var refused *Error
		switch {
		case tt.problem == "" && err != nil:
			t.Errorf("%s: %v", tt.query, err)
		case tt.problem != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Message, tt.problem)):
			t.Errorf("%s: %v, want %s", tt.query, err, tt.problem)
		}
	}
}

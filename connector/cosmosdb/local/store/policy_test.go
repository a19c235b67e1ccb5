package store

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"millrace/connector/cosmosdb/local/value"
)

// TestCoverage says which paths are indexed under which policy.
func TestCoverage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		policy                        string
		indexed, withUndefined, plain []string // plain are not indexed
	}{
		{"", []string{"/a", "/a/b", "/tags/[]", "/tags/[]/x"}, []string{"/id"}, []string{"/_etag", "/_ts", ""}},
		{sampleIndexing, nil, []string{"/type", "/deviceId", "/createdAt", "/id"}, []string{"/eventId", "/type/x", "/_ts"}},
		{`{"indexingMode":"none"}`, nil, []string{"/id"}, []string{"/a", "/type"}},
		{`{"automatic":false,"includedPaths":[{"path":"/*"}]}`, nil, []string{"/id"}, []string{"/a"}},
		{`{"includedPaths":[{"path":"/*"},{"path":"/out/in/?"}],"excludedPaths":[{"path":"/\"_etag\"/?"},{"path":"/out/*"},{"path":"/one/?"}]}`,
			[]string{"/a", "/one/below", "/other/out"}, []string{"/out/in"}, []string{"/out", "/out/x", "/out/in/x", "/one", "/_etag"}},
		{`{"includedPaths":[{"path":"/a/*"},{"path":"/tags/[]/?"},{"path":"/\"b c\"/?"},{"path":"/\"[]\"/?"}],"excludedPaths":[{"path":"/*"},{"path":"/a/no/*"}]}`,
			[]string{"/a", "/a/x", "/a/x/[]"}, []string{"/tags/[]", `/"b c"`, `/"[]"`}, []string{"/tags", "/a/no", "/a/no/x", "/b", "/[]"}},
	} {
		s, err := newShape(json.RawMessage(c.policy), nil)
		if err != nil {
			t.Fatalf("%s: %v", c.policy, err)
		}
		for i, paths := range [][]string{c.plain, c.indexed, c.withUndefined} {
			for _, path := range paths {
				steps, err := parseSteps(path)
				if err != nil {
					t.Fatal(err)
				}
				if _, indexed, undefined := s.coverage(steps); indexed != (i > 0) || undefined != (i > 1) {
					t.Errorf("%s under %s: indexed %v, undefined %v", path, c.policy, indexed, undefined)
				}
			}
		}
	}
	for _, bad := range []string{`[]`, `{"includedPaths":[{"path":"a/?"}]}`, `{"includedPaths":[{"path":"/a"}]}`, `{"excludedPaths":[{"path":"//?"}]}`, `{"includedPaths":[{"path":"/\"a/?"}]}`} {
		if _, err := newShape(json.RawMessage(bad), nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestTerms counts the entries of items.
func TestTerms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		policy, item string
		want         int
	}{
		{sampleIndexing, `{"id":"1","type":"CO2","deviceId":"d","createdAt":"now","value":1}`, 3},
		{sampleIndexing, `{"id":"1"}`, 3}, // undefined
		{sampleIndexing, `{"id":"1","type":"a","type":"b","deviceId":"d"}`, 3},
		{"", `{"id":"1","_etag":"x","_ts":5}`, 0},
		{"", `{"id":"1","a":1,"b":"x","c":null}`, 3},
		{"", `{"id":"1","a":{"b":{"c":1}}}`, 3},
		{"", `{"id":"1","a":[1,1,2]}`, 3}, // the array and two values
		{"", `{"id":"1","a":1,"a":2}`, 1},
		{`{"includedPaths":[{"path":"/tags/[]/name/?"}],"excludedPaths":[{"path":"/*"}]}`, `{"id":"1","tags":[{"name":"a"},{"name":"b"},{"x":1},5]}`, 2},
		{`{"includedPaths":[{"path":"/tags/[]/name/?"}],"excludedPaths":[{"path":"/*"}]}`, `{"id":"1","tags":7}`, 1},
		{`{"includedPaths":[{"path":"/*"}],"excludedPaths":[{"path":"/a/b/?"}]}`, `{"id":"1","a":{"b":1,"c":2,"c":3}}`, 2},
	} {
		s, err := newShape(json.RawMessage(c.policy), nil)
		if err != nil {
			t.Fatal(err)
		}
		var x extract
		f := x.scan(s, value.Trusted([]byte(c.item)))
		if got := f.terms.to - f.terms.from; got != c.want {
			t.Errorf("%s under %s: %d entries, want %d", c.item, c.policy, got, c.want)
		}
	}
}

// TestUniqueKeys tells which items are in each other's way.
func TestUniqueKeys(t *testing.T) {
	t.Parallel()
	p := sampleProperties()
	p.UniqueKeys = [][]string{{"/a", "/b/c"}, {"/u"}}
	w := newWorld(t, p, 1)
	long := string(slices.Repeat([]byte("x"), 3000))
	for i, c := range []struct {
		pk, id, rest string
		want         Status
	}{
		{"p", "1", `"a":1,"b":{"c":"x"},"u":1`, Created},
		{"p", "2", `"a":1.0,"b":{"c":"x"},"u":2`, UniqueConflict},
		{"q", "2", `"a":1,"b":{"c":"x"},"u":2`, Created},
		{"p", "2", `"a":"1","b":{"c":"x"},"u":2`, Created},
		{"p", "3", `"u":3`, Created}, // both missing are both null
		{"p", "4", `"a":null,"b":{"c":null},"u":4`, UniqueConflict},
		{"p", "5", `"a":"` + long + `a","u":5`, Created}, // no cutting
		{"p", "6", `"a":"` + long + `b","u":6`, Created},
		{"p", "7", `"a":"` + long + `b","u":7`, UniqueConflict},
		{"p", "8", `"a":8,"u":6`, UniqueConflict},
		{"p", "6", `"a":6,"u":6`, Replaced}, // its own
		{"p", "7", `"a":"` + long + `b","u":7`, Created},
	} {
		if res := w.one(c.pk, Op{Kind: OpUpsert, ID: c.id, Body: doc(c.pk, c.id, c.rest)}); res.Status != c.want {
			t.Errorf("%d: status %d, want %d", i, res.Status, c.want)
		}
	}
	checkConsistent(t, w.c)
}

package local

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

func TestParseBatch(t *testing.T) {
	t.Parallel()
	ops, err := parseBatch(nil, []byte(` [ {"operationType":"Create","resourceBody": {"id":"a", "x":[1]} , "other":5},
		{"resourceBody":{"id":"b"},"id":"b\u00fc","ifMatch":"\"e\"","ifNoneMatch":null,"partitionKey":"[\"k\"]","operationType":"Replace"} ] `))
	if err != nil || len(ops) != 2 {
		t.Fatalf("%v %v", ops, err)
	}
	if ops[0].kind != store.OpCreate || string(ops[0].resource.Raw()) != `{"id":"a", "x":[1]}` {
		t.Errorf("%+v", ops[0])
	}
	if o := ops[1]; o.kind != store.OpReplace || o.id != "bü" || o.ifMatch != `"e"` || o.ifNoneMatch != "" || o.partitionKey != `["k"]` {
		t.Errorf("%+v", o)
	}
}

// What is read of a batch is what encoding/json reads, and nothing is read that
// it would refuse.
func FuzzParseBatch(f *testing.F) {
	for _, s := range []string{`[]`, `[{"operationType":"Upsert","resourceBody":{"id":"a","pk":"p"}}]`,
		`[{"operationType":"Patch","id":"a","resourceBody":{"operations":[{"op":"incr","path":"/n","value":1}],"condition":"from c"},"ifMatch":"\"x\""}]`,
		`[{"operationType":"Delete","id":"\ud83d\ude00","partitionKey":"[{}]"},{"operationType":"Read","id":"b"}]`, `[{"id":"a","id":null}]`,
		`[` + strings.Repeat(`{"operationType":"Read","id":"a"},`, 100) + `{"operationType":"Read","id":"a"}]`} {
		f.Add([]byte(s))
	}
	def := partition.Definition{Paths: []string{"/pk"}, Kind: partition.Hash, Version: 2}
	f.Fuzz(func(t *testing.T, body []byte) {
		ops, err := parseBatch(nil, slices.Clone(body))
		if err != nil {
			if asFailure(err) == nil {
				t.Fatalf("an error that is no answer: %v", err)
			}
			return
		}
		var want []map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil || len(want) != len(ops) {
			t.Fatalf("%d operations of %q, %d expected: %v", len(ops), body, len(want), err)
		}
		for i := range ops {
			if p, err := parsePatch(ops[i].resource, def); err == nil && len(p.edits) == 0 {
				t.Fatalf("a patch without operations: %q", ops[i].resource)
			}
			if raw := ops[i].resource.Raw(); raw != nil && !json.Valid(raw) {
				t.Fatalf("resource %q", raw)
			}
		}
	})
}

// A position that was read is written the same again, and understood by each of
// its ranges.
func FuzzChangeToken(f *testing.F) {
	for _, s := range []string{`"17"`, `17`, `"0:17,1:5"`, `0:1,1:2,2:3`, `"`, `""`, `"-1"`, `"0:1"`, `"1:99999999999999999999"`, "*"} {
		f.Add(s, 1)
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, token string, n int) {
		if n < 1 || n > 8 {
			return
		}
		ranges := make([]int, n)
		for i := range ranges {
			ranges[i] = i
		}
		positions := make([]int64, n)
		if !parseChangeToken(token, ranges, positions) {
			return
		}
		again := make([]int64, n)
		if written := changeToken(ranges, positions); !parseChangeToken(written, ranges, again) || !slices.Equal(again, positions) {
			t.Fatalf("%q is %v, written %q, read again %v", token, positions, written, again)
		}
		for i, p := range positions {
			one := make([]int64, 1)
			if p < 0 || !parseChangeToken(token, ranges[i:i+1], one) || one[0] != p {
				t.Fatalf("%q in range %d: %v, over all %d", token, i, one, p)
			}
		}
	})
}

func FuzzItemToken(f *testing.F) {
	f.Add("2.bG9uZ2Vy")
	f.Add("0.")
	f.Add("-1.")
	f.Fuzz(func(t *testing.T, token string) {
		id, position, err := parseItemToken(token)
		if err != nil || token == "" {
			return
		}
		id2, position2, err := parseItemToken(itemToken(id, position))
		if err != nil || id2 != id || !slices.Equal(position, position2) {
			t.Fatalf("%q: %d %q, again %d %q %v", token, id, position, id2, position2, err)
		}
	})
}

// The body of a query is read without surprises, and errors are answers.
func FuzzQueryBody(f *testing.F) {
	for _, s := range []string{`{"query":"SELECT * FROM c"}`, `{"query":"SELECT @a","parameters":[{"name":"@a","value":{"x":[1]}}]}`,
		`{"query":"SELECT","parameters":null}`, `{"query":5}`, `[]`, `{"query":"SELECT 1","parameters":[{"name":"a"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, parameters, err := parseQuery(body)
		if err != nil {
			fail := asFailure(err)
			if fail == nil || fail.status != 400 {
				t.Fatalf("an error that is no answer: %v", err)
			}
			if answer := appendFailure(nil, fail, "id", "uri"); !json.Valid(answer) {
				t.Fatalf("answer %q", answer)
			}
			return
		}
		for name, v := range parameters {
			if !strings.HasPrefix(name, "@") || v.Kind() != value.KindUndefined && !json.Valid([]byte(v.String())) {
				t.Fatalf("parameter %q = %v", name, v)
			}
		}
		if _, err := sql.Parse(q.String()); err != nil {
			t.Fatalf("%q is printed as %q: %v", body, q.String(), err)
		}
	})
}

// What the store gives for a patch is a document, or the answer says why not.
func FuzzPatch(f *testing.F) {
	const doc = `{"id":"a","pk":"p","n":1,"arr":[1,2,3],"o":{"x":{"y":1}}}`
	for _, s := range []string{`{"operations":[{"op":"add","path":"/arr/1","value":9}]}`, `[{"op":"incr","path":"/n","value":1.5}]`,
		`{"operations":[{"op":"move","from":"/o/x","path":"/arr/-"}],"condition":"from c where c.n = 1"}`,
		`{"operations":[{"op":"remove","path":"/o"},{"op":"set","path":"/o","value":{}}],"condition":null}`} {
		f.Add([]byte(s))
	}
	def := partition.Definition{Paths: []string{"/pk"}, Kind: partition.Hash, Version: 2}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := value.Parse(body)
		if err != nil {
			return
		}
		p, err := parsePatch(v, def)
		if err != nil {
			if asFailure(err) == nil {
				t.Fatalf("an error that is no answer: %v", err)
			}
			return
		}
		patched, err := p.mutate(&call{ctx: t.Context()})([]byte(doc))
		if err != nil {
			if asFailure(err) == nil {
				t.Fatalf("an error that is no answer: %v", err)
			}
			return
		}
		got, err := value.Parse(patched)
		if err != nil {
			t.Fatalf("%q makes %q: %v", body, patched, err)
		}
		id, _ := got.Get("id").AsString()
		if pk, _ := got.Get("pk").AsString(); id != "a" || pk != "p" {
			t.Fatalf("%q makes %q", body, patched)
		}
	})
}

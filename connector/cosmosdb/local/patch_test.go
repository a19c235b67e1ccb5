package local_test

import (
	"fmt"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

func TestPatchThroughTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c, ctx := w.container(t, "c", shape{}), soon(t)
	if _, err := c.CreateItem(ctx, key("p"), []byte(`{"id":"a","pk":"p","n":1,"tags":["x","y"],"deep":{"a":1},"gone":true}`), nil); err != nil {
		t.Fatal(err)
	}
	var p azcosmos.PatchOperations
	p.SetCondition("FROM c WHERE c.n = 1")
	p.AppendAdd("/tags/0", "w")
	p.AppendSet("/deep/b", map[string]any{"x": 1})
	p.AppendReplace("/deep/a", "one")
	p.AppendRemove("/gone")
	p.AppendIncrement("/n", 41)
	resp, err := c.PatchItem(ctx, key("p"), "a", p, withBody)
	if err != nil || resp.RawResponse.StatusCode != 200 || resp.RequestCharge <= 0 {
		t.Fatalf("%v %+v", err, resp)
	}
	got := fields(t, resp.Value)
	if fmt.Sprint(got["n"], got["tags"], got["deep"], got["gone"]) != "42 [w x y] map[a:one b:map[x:1]] <nil>" {
		t.Errorf("patched: %s", resp.Value)
	}
	_, err = c.PatchItem(ctx, key("p"), "a", p, nil)
	failsWith(t, err, 412)
	_, err = c.PatchItem(ctx, key("p"), "missing", p, nil)
	failsWith(t, err, 404)
}

func TestPatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	const docs = "/dbs/db/colls/c/docs"
	const before = `{"id":"a","pk":"p","n":1,"f":0.5,"s":"t","arr":[1,2,3],"o":{"x":{"y":1}},"a/b":1,"m~n":2}`
	for _, tt := range []struct {
		ops, want string // want is an expression's expected value, "" wants a refusal
		value     string
	}{
		{`{"op":"add","path":"/new","value":null}`, "<nil>", "new"},
		{`{"op":"set","path":"/new","value":[1]}`, "[1]", "new"},
		{`{"op":"add","path":"/n","value":7}`, "7", "n"},
		{`{"op":"add","path":"/arr/1","value":9}`, "[1 9 2 3]", "arr"},
		{`{"op":"add","path":"/arr/3","value":9}`, "[1 2 3 9]", "arr"},
		{`{"op":"add","path":"/arr/-","value":9}`, "[1 2 3 9]", "arr"},
		{`{"op":"set","path":"/arr/1","value":9}`, "[1 9 3]", "arr"},
		{`{"op":"set","path":"/arr/-","value":9}`, "[1 2 3 9]", "arr"},
		{`{"op":"replace","path":"/arr/0","value":{"k":1}}`, "[map[k:1] 2 3]", "arr"},
		{`{"op":"remove","path":"/arr/0"}`, "[2 3]", "arr"},
		{`{"op":"remove","path":"/o/x/y"}`, "map[x:map[]]", "o"},
		{`{"op":"incr","path":"/n","value":-3}`, "-2", "n"},
		{`{"op":"incr","path":"/f","value":1}`, "1.5", "f"},
		{`{"op":"incr","path":"/fresh","value":4}`, "4", "fresh"},
		{`{"op":"move","from":"/n","path":"/o/n"}`, "map[n:1 x:map[y:1]]", "o"},
		{`{"op":"set","path":"/a~1b","value":5}`, "5", "a/b"},
		{`{"op":"set","path":"/m~0n","value":5}`, "5", "m~n"},
		{`{"op":"set","path":"/x1","value":1},{"op":"incr","path":"/x1","value":1}`, "2", "x1"},

		{`{"op":"add","path":"/arr/4","value":9}`, "", ""},
		{`{"op":"add","path":"/no/where","value":9}`, "", ""},
		{`{"op":"set","path":"/s/x","value":9}`, "", ""},
		{`{"op":"set","path":"/arr/x","value":9}`, "", ""},
		{`{"op":"replace","path":"/none","value":9}`, "", ""},
		{`{"op":"remove","path":"/none"}`, "", ""},
		{`{"op":"incr","path":"/s","value":1}`, "", ""},
		{`{"op":"incr","path":"/n","value":"1"}`, "", ""},
		{`{"op":"move","from":"/none","path":"/x"}`, "", ""},
		{`{"op":"move","from":"/o","path":"/o/x/z"}`, "", ""},
		{`{"op":"set","path":"/id","value":"b"}`, "", ""},
		{`{"op":"set","path":"/pk","value":"q"}`, "", ""},
		{`{"op":"remove","path":"/pk"}`, "", ""},
		{`{"op":"move","from":"/pk","path":"/x"}`, "", ""},
		{`{"op":"set","path":"/_ts","value":1}`, "", ""},
		{`{"op":"set","path":"","value":1}`, "", ""},
		{`{"op":"set","path":"x","value":1}`, "", ""},
		{`{"op":"set","path":"/x"}`, "", ""},
		{`{"op":"set","value":1}`, "", ""},
		{`{"op":"twist","path":"/x","value":1}`, "", ""},
		{`{"path":"/x","value":1}`, "", ""},
		{`5`, "", ""},
		{``, "", ""},
	} {
		w.raw(t, "POST", docs, before, pkHeader, `["p"]`, "x-ms-documentdb-is-upsert", "True")
		a := w.raw(t, "PATCH", docs+"/a", `{"operations":[`+tt.ops+`]}`, pkHeader, `["p"]`)
		if tt.want == "" {
			if a.status != 400 {
				t.Errorf("%s: %d %s", tt.ops, a.status, a.body)
			}
			continue
		}
		if a.status != 200 {
			t.Errorf("%s: %d %s", tt.ops, a.status, a.body)
			continue
		}
		if got := fmt.Sprint(fields(t, a.body)[tt.value]); got != tt.want {
			t.Errorf("%s: %s, want %s: %s", tt.ops, got, tt.want, a.body)
		}
	}
	for _, body := range []string{``, `[]`, `{}`, `{"operations":{}}`, `{"operations":[{"op":"set","path":"/x","value":1}],"condition":"where"}`,
		`{"operations":[{"op":"set","path":"/x","value":1}],"condition":5}`} {
		w.raw(t, "PATCH", docs+"/a", body, pkHeader, `["p"]`).want(t, 400, "")
	}
	eleven := ""
	for i := range 11 {
		if i > 0 {
			eleven += ","
		}
		eleven += `{"op":"set","path":"/x","value":1}`
	}
	w.raw(t, "PATCH", docs+"/a", `{"operations":[`+eleven+`]}`, pkHeader, `["p"]`).want(t, 400, "").mentions(t, "10")
}

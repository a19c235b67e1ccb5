package local

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDefaultsOfAContainer(t *testing.T) {
	t.Parallel()
	s, f := parseSettings([]byte(`{"id":"c","partitionKey":{"paths":["/deviceId"]}}`))
	if f != nil {
		t.Fatal(f)
	}
	text, err := s.appendJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = `"id":"c","indexingPolicy":{"indexingMode":"consistent","automatic":true,"includedPaths":[{"path":"/*"}],` +
		`"excludedPaths":[{"path":"/\"_etag\"/?"}]},"partitionKey":{"paths":["/deviceId"],"kind":"Hash","version":2},` +
		`"uniqueKeyPolicy":{"uniqueKeys":[]},"conflictResolutionPolicy":{"mode":"LastWriterWins","conflictResolutionPath":"/_ts",` +
		`"conflictResolutionProcedure":""},"geospatialConfig":{"type":"Geography"}`
	if string(text) != want {
		t.Errorf("settings are\n%s\nwant\n%s", text, want)
	}
}

// What is kept in the store and read back is what was given.
func TestSettingsComeBack(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"id":"c","partitionKey":{"paths":["/a/b"],"kind":"Hash","version":1}}`,
		`{"id":"c","partitionKey":{"paths":["/a","/b"],"kind":"MultiHash","version":2},"defaultTtl":-1,"analyticalStorageTtl":7,
		  "computedProperties":[{"name":"x","query":"SELECT VALUE 1"}],"_ts":1,"_rid":"abc",
		  "uniqueKeyPolicy":{"uniqueKeys":[{"paths":["/eventId"]},{"paths":["/x","/y/z"]}]},
		  "indexingPolicy":{"automatic":true,"indexingMode":"Consistent",
		    "includedPaths":[{"path":"/type/?","indexes":[{"kind":"Range","dataType":"String","precision":-1}]},{"path":"/\"a b\"/*"},{"path":"/tags/[]/?"}],
		    "excludedPaths":[{"path":"/*"}],"compositeIndexes":[[{"path":"/a","order":"ascending"},{"path":"/b","order":"descending"}]],
		    "spatialIndexes":[{"path":"/p/*","types":["Point"]}]}}`,
		`{"id":"c","partitionKey":{"paths":["/a","/b"],"kind":"MultiHash","version":"V2"}}`,
		`{"id":"c","partitionKey":{"paths":["/a"]},"indexingPolicy":{"indexingMode":"none","automatic":false}}`,
		`{"id":"c","partitionKey":{"paths":["/a"]},"conflictResolutionPolicy":{"mode":"custom","conflictResolutionProcedure":"x"},"geospatialConfig":{"type":"Geometry"}}`,
	} {
		s, f := parseSettings([]byte(body))
		if f != nil {
			t.Errorf("%s: %v", body, f)
			continue
		}
		p, err := s.properties()
		if err != nil {
			t.Fatal(err)
		}
		again, err := settingsOf(&p)
		if err != nil {
			t.Fatal(err)
		}
		one, err := s.appendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		two, err := again.appendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		if string(one) != string(two) {
			t.Errorf("given\n%s\ncomes back as\n%s", one, two)
		}
		if !json.Valid([]byte("{" + string(one) + "}")) {
			t.Errorf("not JSON: %s", one)
		}
		if strings.Contains(string(one), "_ts\":1") || strings.Contains(string(one), "_rid") {
			t.Errorf("a client's system properties are kept: %s", one)
		}
		// A client that replaces what it has read changes nothing.
		if f := again.checkReplacement(s); f != nil {
			t.Errorf("replacing by itself: %v", f)
		}
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	const key = `"partitionKey":{"paths":["/a"]}`
	for what, body := range map[string]string{
		"no JSON":               `{`,
		"an array":              `[]`,
		"null":                  `null`,
		"no id":                 `{` + key + `}`,
		"an id with a slash":    `{"id":"a/b",` + key + `}`,
		"an id with a space":    `{"id":"a ",` + key + `}`,
		"a long id":             `{"id":"` + strings.Repeat("x", 256) + `",` + key + `}`,
		"an id of another type": `{"id":1,` + key + `}`,
		"a key without paths":   `{"id":"c","partitionKey":{"paths":[]}}`,
		"a key of two paths":    `{"id":"c","partitionKey":{"paths":["/a","/b"],"kind":"Hash"}}`,
		"a path without slash":  `{"id":"c","partitionKey":{"paths":["a"]}}`,
		"an unknown kind":       `{"id":"c","partitionKey":{"paths":["/a"],"kind":"Range"}}`,
		"no time to live":       `{"id":"c",` + key + `,"defaultTtl":0}`,
		"too long to live":      `{"id":"c",` + key + `,"defaultTtl":3000000000}`,
		"an unknown mode":       `{"id":"c",` + key + `,"indexingPolicy":{"indexingMode":"eager"}}`,
		"consistent by hand":    `{"id":"c",` + key + `,"indexingPolicy":{"indexingMode":"consistent","automatic":false}}`,
		"none with paths":       `{"id":"c",` + key + `,"indexingPolicy":{"indexingMode":"none","includedPaths":[{"path":"/a/?"}]}}`,
		"no root":               `{"id":"c",` + key + `,"indexingPolicy":{"includedPaths":[{"path":"/a/?"}]}}`,
		"a bad index path":      `{"id":"c",` + key + `,"indexingPolicy":{"includedPaths":[{"path":"/*"},{"path":"/a"}]}}`,
		"a path twice":          `{"id":"c",` + key + `,"indexingPolicy":{"includedPaths":[{"path":"/*"}],"excludedPaths":[{"path":"/*"}]}}`,
		"half a composite":      `{"id":"c",` + key + `,"indexingPolicy":{"includedPaths":[{"path":"/*"}],"compositeIndexes":[[{"path":"/a"}]]}}`,
		"a unique key of none":  `{"id":"c",` + key + `,"uniqueKeyPolicy":{"uniqueKeys":[{"paths":[]}]}}`,
		"a bad unique path":     `{"id":"c",` + key + `,"uniqueKeyPolicy":{"uniqueKeys":[{"paths":["x"]}]}}`,
		"too many unique keys":  `{"id":"c",` + key + `,"uniqueKeyPolicy":{"uniqueKeys":[` + strings.Repeat(`{"paths":["/x"]},`, 10) + `{"paths":["/x"]}]}}`,
		"a conflict mode":       `{"id":"c",` + key + `,"conflictResolutionPolicy":{"mode":"Manual"}}`,
		"a geography":           `{"id":"c",` + key + `,"geospatialConfig":{"type":"Flat"}}`,
	} {
		if _, f := parseSettings([]byte(body)); f == nil || f.status != 400 || f.message == "" {
			t.Errorf("%s: %v", what, f)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add(`{"id":"c","partitionKey":{"paths":["/a/\"b c\""]},"indexingPolicy":{"includedPaths":[{"path":"/*"}],"excludedPaths":[{"path":"/a/[]/?"}]}}`)
	f.Add(`{"id":"c","defaultTtl":5,"uniqueKeyPolicy":{"uniqueKeys":[{"paths":["/x"]}]},"z":{"y":1}}`)
	f.Fuzz(func(t *testing.T, body string) {
		s, failed := parseSettings([]byte(body))
		if failed != nil {
			return
		}
		text, err := s.appendJSON([]byte("{"))
		if err != nil || !json.Valid(append(text, '}')) {
			t.Errorf("%s becomes %s (%v)", body, text, err)
		}
		p, err := s.properties()
		if err != nil {
			t.Fatal(err)
		}
		if s.hasKey {
			if _, err := settingsOf(&p); err != nil {
				t.Errorf("%s does not come back: %v", body, err)
			}
		}
	})
}

func TestThroughputRules(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   headers
		want throughput
		ok   bool
	}{
		{headers{}, throughput{}, true},
		{headers{offerThroughput: "400"}, throughput{manual: 400}, true},
		{headers{offerThroughput: "1000000"}, throughput{manual: 1000000}, true},
		{headers{autopilot: `{"maxThroughput":4000}`}, throughput{max: 4000}, true},
		{headers{offerThroughput: "300"}, throughput{}, false},
		{headers{offerThroughput: "450"}, throughput{}, false},
		{headers{offerThroughput: "-1"}, throughput{}, false},
		{headers{offerThroughput: "many"}, throughput{}, false},
		{headers{offerThroughput: "1000100"}, throughput{}, false},
		{headers{autopilot: `{"maxThroughput":900}`}, throughput{}, false},
		{headers{autopilot: `{"maxThroughput":1500}`}, throughput{}, false},
		{headers{autopilot: `{}`}, throughput{}, false},
		{headers{offerThroughput: "400", autopilot: `{"maxThroughput":4000}`}, throughput{}, false},
	} {
		got, f := askedThroughput(&tt.in)
		if (f == nil) != tt.ok || tt.ok && got != tt.want {
			t.Errorf("%+v: %+v, %v", tt.in, got, f)
		}
	}
	for limit, ranges := range map[int]int{400: 1, 10000: 1, 10100: 2, 20000: 2, 100000: 10} {
		if got := rangesFor(limit); got != ranges {
			t.Errorf("%d RU/s give %d ranges, want %d", limit, got, ranges)
		}
	}
}

package txlog

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/connector/delta/schema"
)

const (
	someProtocol = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`
	someMetadata = `{"metaData":{"id":"1","format":{"provider":"parquet","options":{}},` +
		`"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}",` +
		`"partitionColumns":[],"configuration":{}}}`
	someAdd = `{"add":{"path":"a","partitionValues":{},"size":1,"modificationTime":5,"dataChange":true}}`
)

func TestCommitsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	c := &commit{version: 7,
		info: CommitInfo{Timestamp: 5, Operation: "OPTIMIZE", Parameters: map[string]string{"predicate": `["a > \"1\""]`},
			Metrics: map[string]string{"numAddedFiles": "1"}, IsolationLevel: "Serializable", BlindAppend: true, Engine: "Millrace/1", TxnID: "t"},
		protocol: &Protocol{MinReader: 1, MinWriter: 7, WriterFeatures: []string{"appendOnly"}},
		metadata: &Metadata{ID: "i", Name: "n", Description: "<d>", Schema: schema.New(schema.Column("ü", schema.String), schema.Column("p", schema.Date)),
			PartitionColumns: []string{"p"}, Configuration: map[string]string{"delta.x": "", "y": "z"}, Created: 9},
		files: []fileAction{
			{remove: &Remove{Path: "a b", Deleted: 3, DataChange: false, Extended: true, PartitionValues: map[string]string{"p": ""}, Size: 2}},
			{remove: &Remove{Path: "c", DataChange: true}},
			{add: &Add{Path: "p=1/x:%y", PartitionValues: map[string]string{"p": "1"}, Size: 8, Modified: 4, DataChange: true,
				Stats: `{"numRecords":1}`, Tags: map[string]string{"k": "v"}}},
			{add: &Add{Path: "z", raw: "%7A"}},
		},
		txns: []Txn{{AppID: "app", Version: 5, LastUpdated: 6}, {AppID: "b"}},
	}
	body, err := c.encode(6)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(body), "\n"), "\n") {
		if i == 0 != strings.HasPrefix(line, `{"commitInfo":`) {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
	if !strings.Contains(string(body), `"partitionValues":{"p":null}`) || !strings.Contains(string(body), `"path":"a%20b"`) ||
		!strings.Contains(string(body), `"predicate":"[\"a > \\\"1\\\"\"]"`) {
		t.Errorf("%s", body)
	}
	got, err := parseCommit(7, body)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("%s\n got %+v\nwant %+v", body, got, c)
	}
}

func TestTornAndForeignCommits(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"":                                 "empty",
		"\n \n":                            "empty",
		"\x00\x00\x00":                     "line 1",
		someAdd + "\n" + someAdd[:30]:      "line 2 is torn",
		someAdd[:len(someAdd)-1]:           "line 1 is torn",
		"[]":                               "line 1",
		"{\"add\":5}":                      "line 1",
		"\xff\xfe{}":                       "UTF-8",
		someMetadata + "\n" + someMetadata: "second metaData",
		someProtocol + "\n" + someProtocol: "second protocol",
		`{"protocol":{"minReaderVersion":0,"minWriterVersion":2}}`: "versions 0",
		`{"protocol":{"minReaderVersion":3,"minWriterVersion":2}}`: "not for writers",
		`{"add":{"path":"a%","size":1}}`:                           "hexadecimal",
		`{"add":{"size":1}}`:                                       "without a path",
		`{"add":{"path":"a"}}`:                                     "no size",
		`{"remove":{}}`:                                            "without a path",
		`{"txn":{"appId":"a"}}`:                                    "txn",
		`{"metaData":{"id":"x"}}`:                                  "schemaString",
		`{"metaData":{"id":"x","schemaString":"{}"}}`:              "type",
		`{"metaData":{"id":"x","schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":["p"]}}`:    "partition column p",
		`{"metaData":{"id":"x","schemaString":"{\"type\":\"struct\",\"fields\":[]}","format":{"provider":"orc"}}}`: "orc",
	} {
		if c, err := parseCommit(1, []byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", body, c, err, want)
		}
	}
	// What is unknown is passed over, what is missing has a meaning.
	c, err := parseCommit(1, []byte("{\"cdc\":{\"path\":\"x\"}}\n\n{\"future\":{}}\r\n{\"add\":{\"path\":\"a\",\"size\":0,\"partitionValues\":null,\"stats\":null,\"tags\":null,\"new\":[1]}}\n"+
		"{\"remove\":{\"path\":\"b\"}}\n{\"commitInfo\":{\"timestamp\":\"x\",\"operationMetrics\":{\"n\":5,\"m\":{\"a\":1}},\"isBlindAppend\":null}}"))
	if err != nil || len(c.files) != 2 || c.files[0].add.Path != "a" || !c.files[1].remove.DataChange {
		t.Fatalf("%+v, %v", c, err)
	}
	if c.info.Metrics["n"] != "5" || c.info.Metrics["m"] != `{"a":1}` || c.info.Timestamp != 0 {
		t.Errorf("%+v", c.info)
	}
}

func FuzzParseCommit(f *testing.F) {
	for _, s := range []string{someProtocol, someMetadata + "\n" + someAdd, `{"commitInfo":{"operation":"X"}}`, `{"txn":{"appId":"a","version":1}}`,
		`{"add":{"path":"x%20y","size":1,"partitionValues":{"p":null,"q":"1"},"tags":{"a":null},"deletionVector":{"storageType":"u","pathOrInlineDv":"x","offset":1}}}`,
		`{"domainMetadata":{"domain":"d","configuration":"{}","removed":false}}`, "{}\n[]", `{"remove":{"path":"b","deletionTimestamp":null}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseCommit(3, body)
		if err != nil {
			return
		}
		if c.unknown != nil {
			return
		}
		// What was understood means the same after it was written again.
		again, err := c.encode(-1)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseCommit(3, again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if len(back.files) != len(c.files) || len(back.txns) != len(c.txns) || (back.metadata == nil) != (c.metadata == nil) {
			t.Fatalf("%s\n%s", body, again)
		}
		for i := range c.files {
			a, b := c.files[i], back.files[i]
			if a.add != nil && (a.add.Path != b.add.Path || a.add.Size != b.add.Size || a.add.Stats != b.add.Stats || a.add.rawPath() != b.add.rawPath()) {
				t.Fatalf("%+v became %+v", a.add, b.add)
			}
			if a.remove != nil && (a.remove.Path != b.remove.Path || a.remove.Deleted != b.remove.Deleted || a.remove.DataChange != b.remove.DataChange) {
				t.Fatalf("%+v became %+v", a.remove, b.remove)
			}
		}
	})
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"interval 7 days": 7 * day, "interval 1 week": 7 * day, "INTERVAL 30 DAYS": 30 * day, "2 hours": 2 * time.Hour,
		"interval 1 hour 30 minutes": 90 * time.Minute, "interval 0 days": 0, "interval 5 seconds": 5 * time.Second,
		"interval 100 milliseconds": 100 * time.Millisecond, "interval -1 days": -day,
	} {
		if got, err := ParseInterval(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "interval", "7 days ago", "interval 1 month", "interval 1 year", "interval x days", "interval 999999999 weeks", "interval 1.5 days"} {
		if got, err := ParseInterval(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	for _, d := range []time.Duration{0, time.Nanosecond, time.Second, 90 * time.Minute, day, 30 * day} {
		if got, err := ParseInterval(FormatInterval(d)); err != nil || got != d {
			t.Errorf("%v is written %q and read as %v, %v", d, FormatInterval(d), got, err)
		}
	}
	m := &Metadata{Configuration: map[string]string{PropFileRetention: "nonsense", PropLogRetention: "interval 1 day", PropAppendOnly: "TRUE", PropCheckpointInterval: "-3"}}
	if m.FileRetention() != 7*day || m.LogRetention() != day || !m.AppendOnly() || m.CheckpointInterval() != 10 {
		t.Error("properties are not read as they should be")
	}
}

func FuzzInterval(f *testing.F) {
	f.Add("interval 7 days")
	f.Add("interval 1 hour 30 minutes 9999999 weeks")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseInterval(s)
		if err != nil || d < 0 {
			return
		}
		if got, err := ParseInterval(FormatInterval(d)); d < 1<<52 && (err != nil || got != d) {
			t.Fatalf("%q is %v, written %q", s, d, FormatInterval(d))
		}
	})
}

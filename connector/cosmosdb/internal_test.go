package cosmosdb

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"millrace/record"
)

// TestDocument writes events as documents and reads them back, also as a
// service would that spells them anew and adds members of its own.
func TestDocument(t *testing.T) {
	t.Parallel()
	const head = `{"eventId":"0B2C7F2E-6a3f-4c55-9d3a-2f1f6d0c8a11","deviceId":"d\u00e9","deviceSequenceNumber":7,"createdAt":"2026-01-02T15:04:05.123456Z"`
	for _, rest := range []string{
		``, ` `, `,"value":1.5,"type":"CO2"`, `,"extra":{"id":1,"storedAt":"x"}`,
		`,"id":"mine"`, `,"storedAt":"theirs","_ts":12,"logOffset":"x"`, `,"originalEvent":[1]`, `,"enqueuedAt":5`, `,"processedAt":"2020-01-01T00:00:00Z","id":null`,
		`,"a":1,"a":2`, `,"a":1,"\u0061":2`, `,"i\u0064":"mine"`, `,"_rid":"r","_self":"s","_etag":"e","_attachments":"a","_lsn":1`,
	} {
		raw := head + rest + "} \n"
		var r record.Result
		if err := r.Decode([]byte(raw)); err != nil {
			t.Fatal(err)
		}
		r.Partition, r.Offset, r.EnqueuedAt, r.ProcessedAt = 3, 1<<40, 1_750_000_000_000_001, 1_750_000_000_000_002
		doc, stamp := appendDocument([]byte("["), &r)
		doc = doc[1:]
		if string(doc[stamp-1:][:stampLen]) != emptyStamp {
			t.Fatalf("the stamp of %s is not at %d", doc, stamp-1)
		}
		record.AppendTime(doc[stamp-1:][:0], 1_750_000_000_500_000)
		var anew map[string]any
		if err := json.Unmarshal(doc, &anew); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		if anew["id"] != "0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11" {
			t.Errorf("%s: id %v", doc, anew["id"])
		}
		anew["_ts"], anew["_rid"] = 1_750_000_000, "AAAA"
		spelled, err := json.MarshalIndent(anew, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		served := append(doc[:len(doc)-1:len(doc)-1], `,"_rid":"AAAA","_self":"dbs/","_etag":"\"1\"","_attachments":"attachments/","_ts":1750000000}`...)
		fp, err := record.Fingerprint(r.Raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{doc, served, spelled} {
			var d stored
			if _, err := d.parse(text, nil); err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if d.ID != r.ID || string(d.DeviceID) != "dé" || d.Sequence != 7 || d.Partition != 3 || d.Offset != 1<<40 ||
				d.EnqueuedAt != r.EnqueuedAt || d.ProcessedAt != r.ProcessedAt || d.StoredAt != 1_750_000_000_500_000 || d.Fingerprint != fp {
				t.Errorf("%s\ngives %+v, want the fingerprint %x", text, d.Stored, fp)
			}
		}
	}
}

// TestStoredAt: the clock of the writer does not put an event before the second
// in which the service stored it.
func TestStoredAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		members string
		want    int64
	}{
		{`"storedAt":"2026-01-02T03:04:05.250000Z","_ts":1767323045`, 1767323045_250000},
		{`"storedAt":"2026-01-02T03:04:01.250000Z","_ts":1767323045`, 1767323045_000000},
		{`"_ts":1767323045`, 1767323045_000000},
		{`"storedAt":7,"_ts":1767323045`, 1767323045_000000},
	} {
		var d stored
		doc := `{"eventId":"0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11","deviceId":"d","deviceSequenceNumber":7,"createdAt":"2026-01-02T03:04:00.000000Z",` + c.members + `}`
		if _, err := d.parse([]byte(doc), nil); err != nil || d.StoredAt != c.want || d.Partition != -1 {
			t.Errorf("%s: %+v, %v", c.members, d.Stored, err)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	event := func(device string) record.Result {
		var r record.Result
		text := `{"eventId":"0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11","deviceId":` + device + `,"deviceSequenceNumber":7,"createdAt":"2026-01-02T03:04:00.000000Z","n":1.50,"a":{"b":"é","c":{}},"no":null}`
		if err := r.Decode([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct{ path, device, header string }{
		{"/deviceId", `"contoso://device-id-1"`, ""},
		{"/deviceId", `"q\"b\\"`, ""},
		{"/deviceId", `"\u0001"`, `["\u0001"]`},
		{"/deviceId", `"дēvice ✓ 😀"`, `["\u0434\u0113vice \u2713 \ud83d\ude00"]`},
		{"/deviceId", `"\u007f"`, `["\u007f"]`},
		{"/id", `"d"`, `["0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11"]`},
		{"/n", `"d"`, `[1.50]`},
		{"/a/b", `"d"`, `["\u00e9"]`},
		{"/a/c", `"d"`, `[{}]`},
		{"/no", `"d"`, `[null]`},
		{"/absent/x", `"d"`, `[{}]`},
	} {
		k, r := newKeyPath(c.path), event(c.device)
		got := k.of(k.text(&r))
		if strings.Join(got.header, "") != c.header {
			t.Errorf("%s of %s: %v, want %s", c.path, c.device, got.header, c.header)
		}
	}
}

// TestVerdict reads answers to batches.
func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body     string
		status   int
		replaced int
		culprit  int
		fault    fault
		fails    bool
	}{
		{`[{"statusCode":201,"requestCharge":7.8},{"statusCode":200}]`, 200, 1, -1, 0, false},
		{`[{"statusCode":424},{"statusCode":409,"eTag":"x"}]`, 207, 0, 1, conflict, true},
		{`[{"statusCode":400},{"statusCode":424}]`, 207, 0, 0, unacceptable, true},
		{`[{"statusCode":424},{"statusCode":429,"subStatusCode":3200,"retryAfterMilliseconds":12.5}]`, 207, 0, 1, busy, true},
		{`[{"statusCode":424},{"statusCode":449}]`, 207, 0, 1, passing, true},
		{`[{"statusCode":424},{"statusCode":403,"subStatusCode":1014}]`, 207, 0, 1, full, true},
		{`[{"statusCode":424},{"statusCode":424}]`, 207, 0, -1, refused, true},
		{`[{"statusCode":201}]`, 200, 0, -1, refused, true},
		{`nonsense`, 200, 0, -1, refused, true},
		{``, 200, 0, -1, refused, true},
	} {
		v := verdict{culprit: -1}
		v.read([]byte(c.body), 2, &http.Response{StatusCode: c.status, Header: http.Header{}})
		if (v.err != nil) != c.fails || c.fails && (v.fault != c.fault || v.culprit != c.culprit) || !c.fails && v.replaced != c.replaced {
			t.Errorf("%s: %+v", c.body, v)
		}
		if c.fault == busy && v.wait.Microseconds() != 12_500 {
			t.Errorf("%s: waits %s", c.body, v.wait)
		}
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                                 ``,
		` { "a" : 1 , "b":[1,{"c":"}"}]} `:   `a=1;b=[1,{"c":"}"}];`,
		`{"a\"":"x\\","b":"\\\"","c":-1e5}`:  `a\"="x\\";b="\\\"";c=-1e5;`,
		`{"a":true,"b":null,"c":{"d":[[]]}}`: `a=true;b=null;c={"d":[[]]};`,
	} {
		got := ""
		if !eachMember([]byte(text), func(n, v []byte, _ int) bool { got += fmt.Sprintf("%s=%s;", n, v); return true }) || got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{``, `[`, `{`, `{"a`, `{"a"`, `{"a":`, `{"a":"`, `{"a":[`, `{"a":1`, `{"a":1,`, `{"a":1 "b":2}`, `{"a":,}`, `"x"`} {
		if eachMember([]byte(text), func(_, _ []byte, _ int) bool { return true }) {
			t.Errorf("%s is taken for an object", text)
		}
	}
}

// FuzzMembers: on any text the scanner ends without harm; on JSON it finds what
// encoding/json finds.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":[1,{"c":"}"}]}`, `{"a\"":"x\\","b":"\\\""}`, `[1,"a",{"b":[]}]`, `{"a":1 }x`, "{\"\xff\":1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		found := map[string]string{}
		ok := eachMember(text, func(n, v []byte, at int) bool {
			if text[at] != '"' {
				t.Errorf("a member begins with %q", text[at])
			}
			found[unquote(n)] = string(v)
			return true
		})
		eachElement(text, func(v []byte) bool { return len(v) > 0 })
		cellOf(text)
		var want map[string]json.RawMessage
		if !utf8.Valid(text) || json.Unmarshal(text, &want) != nil || want == nil {
			return
		}
		if !ok || len(found) != len(want) {
			t.Fatalf("%q: found %v", text, found)
		}
		for n, v := range want {
			if strings.TrimSpace(string(v)) != strings.TrimSpace(found[n]) {
				t.Errorf("%q: %q is %q, want %q", text, n, found[n], v)
			}
		}
	})
}

// FuzzAnswers: whatever a server says, reading it ends without harm.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`[{"statusCode":201},{"statusCode":429,"retryAfterMilliseconds":3}]`))
	f.Add([]byte(`{"_rid":"","Documents":[{"id":"a"}],"_count":1}`))
	f.Add([]byte(`{"PartitionKeyRanges":[{"id":"0","minInclusive":"","maxExclusive":"FF"}]}`))
	f.Add([]byte(`{"groupByItems":[{"item":1}],"payload":{"a":{"item":2},"b":{"item2":{"min":1,"count":2}}},"orderByItems":[{"item":1}]}`))
	count, low := "Count", "Min"
	f.Fuzz(func(t *testing.T, body []byte) {
		var v verdict
		v.read(body, 2, &http.Response{Header: http.Header{}})
		_, _ = parseRanges(body)
		_, _ = parsePage(body)
		var d stored
		_, _ = d.parse(body, nil)
		p := new(plan)
		p.QueryInfo.GroupByAliases = []string{"a", "b"}
		p.QueryInfo.GroupByAliasToAggregateType = map[string]*string{"a": &count, "b": &low}
		g, err := newGroups(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		if g.add(body) == nil {
			g.result(g.all[0])
		}
		canonical(body)
		compare(body, body)
	})
}

// TestPassingFaults: what passes by itself is not taken for a mistake of the
// user's.
func TestPassingFaults(t *testing.T) {
	t.Parallel()
	entra := func(status int) error {
		return fmt.Errorf("asking for a token: %w", &azidentity.AuthenticationFailedError{RawResponse: &http.Response{StatusCode: status}})
	}
	for what, got := range map[string]fault{
		"Entra ID is away":           faultOf(entra(http.StatusServiceUnavailable)),
		"a replica is behind":        statusFault(http.StatusNotFound, 1002),
		"the regions change places":  statusFault(http.StatusForbidden, 3),
		"a partition is being moved": statusFault(http.StatusRequestTimeout, 0),
	} {
		if got != passing {
			t.Errorf("%s: %v", what, got)
		}
	}
	if got := faultOf(entra(http.StatusUnauthorized)); got != refused {
		t.Errorf("a wrong identity: %v", got)
	}
	if got := statusFault(http.StatusNotFound, 1003); got != missing {
		t.Errorf("no container: %v", got)
	}
}

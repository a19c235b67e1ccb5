package store

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local/value"
)

// FuzzTail wants a tail to come back as it was, and any bytes to be taken apart
// without harm.
func FuzzTail(f *testing.F) {
	f.Add("0123456789abcdef", "id", []byte("prefix"))
	f.Add("", "", []byte{})
	f.Add("\x05\xc1", "a\x00b", []byte{0, 1, 2, 255, 255, 255})
	f.Fuzz(func(t *testing.T, epk, id string, raw []byte) {
		if start, e, i, err := splitTail(raw); err == nil && start+len(e)+len(i)+tailSuffix != len(raw) {
			t.Errorf("%q: %d, %q, %q", raw, start, e, i)
		}
		_, _, _, _ = splitFeedValue(raw)
		_, _, _, _ = splitRangeValue(raw)
		if len(epk) > 255 || len(id) > maxIDSize {
			return
		}
		key := appendTail(bytes.Clone(raw), epk, id)
		start, e, i, err := splitTail(key)
		if err != nil || start != len(raw) || string(e) != epk || string(i) != id {
			t.Errorf("%q, %q: %d, %q, %q, %v", epk, id, start, e, i, err)
		}
		seconds, e, i, err := splitFeedValue(appendFeedValue(nil, 7, epk, id))
		if err != nil || seconds != 7 || string(e) != epk || string(i) != id {
			t.Errorf("%q, %q: %d, %q, %q, %v", epk, id, seconds, e, i, err)
		}
	})
}

// FuzzHead does the same for stored items.
func FuzzHead(f *testing.F) {
	f.Add(int64(1), uint16(2), uint16(3), uint32(4), uint64(5), int32(-1), []byte("{}"))
	f.Fuzz(func(t *testing.T, lsn int64, number, session uint16, seconds uint32, doc uint64, ttl int32, raw []byte) {
		if _, body, err := splitItem(raw); err == nil && len(body)+headSize != len(raw) {
			t.Errorf("%q: %q", raw, body)
		}
		h := head{lsn: lsn, number: number, session: session, seconds: seconds, doc: doc, ttl: ttl}
		got, body, err := splitItem(append(h.append(nil), "{}"...))
		if err != nil || got != h || string(body) != "{}" {
			t.Errorf("%+v, %q, %v", got, body, err)
		}
		text := appendSystem([]byte(`{"id":"1"`), &h, &[8]byte{1, 2, 3, 4, 0x85}, "dbs/x/colls/y/")
		if len(text) > systemSize || !json.Valid(text) {
			t.Errorf("%s", text)
		}
	})
}

// FuzzPolicy wants any policy to be taken or refused, and to say the same of a
// path as what it makes of an item.
func FuzzPolicy(f *testing.F) {
	f.Add(sampleIndexing, "/type")
	f.Add(modelIndexing, "/deep/list/[]/y")
	f.Add(`{"includedPaths":[{"path":"/\"a/b\"/?"},{"path":"/*"}]}`, `/"a/b"`)
	f.Fuzz(func(t *testing.T, policy, path string) {
		s, err := newShape(json.RawMessage(policy), nil)
		if err != nil {
			return
		}
		steps, err := parseSteps(path)
		if err != nil || len(steps) == 0 || apart(steps[0].name) || len(steps) > 50 {
			return
		}
		// An item that has just this path.
		v := value.Number(42)
		for i := len(steps) - 1; i >= 0; i-- {
			if steps[i].element {
				v = value.Array(v)
			} else {
				v = value.Object(value.Member{Name: steps[i].name, Value: v})
			}
		}
		if steps[0].element {
			return
		}
		hash, indexed, _ := s.coverage(steps)
		var x extract
		facts := x.scan(s, v)
		var want extract
		want.emit(hash, value.Number(42))
		has := false
		for _, term := range x.terms[facts.terms.from:facts.terms.to] {
			has = has || bytes.Equal(x.bytes(term), want.buf)
		}
		if has != indexed && validNames(steps) {
			t.Errorf("%s under %s: indexed %v, entry %v", path, policy, indexed, has)
		}
	})
}

func validNames(steps []step) bool {
	for _, s := range steps {
		if strings.ToValidUTF8(s.name, "") != s.name {
			return false
		}
	}
	return true
}

// FuzzPrepare wants any valid item to be stored as valid JSON that has all its
// members, and the system's once.
func FuzzPrepare(f *testing.F) {
	for _, s := range []string{`{"id":"a"}`, ` { "id" : "a" , "x" : [ 1 , {"y":null} ] } `, `{"id":"a","_etag":"b","_ts":1}`, `{"id":"a","id":"b"}`, `{"\u0069d":"a","ttl":5}`, `{"_rid":1,"id":"a","_self":{}}`} {
		f.Add([]byte(s))
	}
	shape, err := newShape(nil, [][]string{{"/x"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := value.Parse(body)
		if err != nil || v.Kind() != value.KindObject {
			return
		}
		id, _ := v.Get("id").AsString()
		var x extract
		d := x.prepare(shape, id, body)
		if d.err != nil {
			return
		}
		stored, err := value.Parse(appendSystem(bytes.Clone(d.text), &head{seconds: 1}, &[8]byte{}, "s/"))
		if err != nil {
			t.Fatalf("%s is stored as %s: %v", body, d.text, err)
		}
		v.EachMember(func(name string, _ value.Value) bool {
			if !isSystem(name) && !value.Same(v.Get(name), stored.Get(name)) {
				t.Errorf("%q of %s is stored as %s", name, body, stored.Get(name))
			}
			return true
		})
		if seconds, _ := stored.Get("_ts").AsNumber(); seconds != 1 {
			t.Errorf("%s is stored as %s", body, stored)
		}
	})
}

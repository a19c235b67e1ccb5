package query

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// container is a Source in memory. It finds index entries by looking at every
// item, so that it cannot be wrong in the way an index can.
type container struct {
	items   []stored
	indexed func(path string) bool
	// opened counts reads.
	opened int
}

type stored struct {
	epk, id string
	json    []byte
}

// byKey is the partition key of all test containers.
var byKey = partition.Definition{Paths: []string{"/key"}, Kind: partition.Hash, Version: 2}

func newContainer(t testing.TB, items ...string) *container {
	t.Helper()
	c := &container{indexed: func(string) bool { return false }}
	for _, text := range items {
		c.put(t, text)
	}
	return c
}

func (c *container) put(t testing.TB, text string) {
	t.Helper()
	v, err := value.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	part := keyPart(v.Get("key"))
	if v.Get("key").IsUndefined() {
		part = partition.Undefined{}
	}
	key, err := partition.New(byKey, part)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := v.Get("id").AsString()
	c.items = append(c.items, stored{key.EPK(), id, []byte(text)})
	slices.SortFunc(c.items, func(a, b stored) int {
		return strings.Compare(a.epk+"\x00"+a.id, b.epk+"\x00"+b.id)
	})
}

func (c *container) Indexed(path string) bool { return c.indexed(path) }

func everyPath(string) bool { return true }

// entryAt is an item in the order of a read.
type entryAt struct {
	position []byte
	item     []byte
}

func (c *container) Open(_ context.Context, a store.Access) (store.Iterator, error) {
	c.opened++
	var entries []entryAt
	high := a.High
	if high == "" {
		high = partition.End
	}
	for _, s := range c.items {
		if s.epk < a.Low || s.epk >= high || a.ID != nil && s.id != *a.ID {
			continue
		}
		tail := []byte(s.epk + "\x00" + s.id)
		if a.Index == nil {
			entries = append(entries, entryAt{tail, s.json})
			continue
		}
		for _, key := range indexKeys(value.Trusted(s.json), a.Index.Path) {
			if within := a.Index; below(key, within) && above(key, within) {
				position := binary.BigEndian.AppendUint16(append(slices.Clone(key), tail...), uint16(len(key)))
				entries = append(entries, entryAt{position, s.json})
			}
		}
	}
	order := func(a, b []byte) int { return bytes.Compare(a, b) }
	if a.Index != nil {
		order = func(x, y []byte) int {
			c := bytes.Compare(x[:len(x)-2], y[:len(y)-2])
			if a.Index.Reverse {
				return -c
			}
			return c
		}
	}
	slices.SortFunc(entries, func(x, y entryAt) int { return order(x.position, y.position) })
	if len(a.After) > 0 {
		if a.Index != nil && len(a.After) < 2 {
			return nil, fmt.Errorf("a position of %d bytes", len(a.After))
		}
		entries = slices.DeleteFunc(entries, func(e entryAt) bool { return order(e.position, a.After) <= 0 })
	}
	return &iterator{entries: entries, at: -1}, nil
}

func below(key []byte, s *store.IndexScan) bool {
	c := bytes.Compare(key, s.High)
	return s.High == nil || c < 0 || c == 0 && !s.HighOpen
}

func above(key []byte, s *store.IndexScan) bool {
	c := bytes.Compare(key, s.Low)
	return s.Low == nil || c > 0 || c == 0 && !s.LowOpen
}

// indexKeys are the keys of an item at a path, each once.
func indexKeys(v value.Value, path string) [][]byte {
	values := []value.Value{v}
	for _, step := range strings.Split(path, "/")[1:] {
		var next []value.Value
		for _, v := range values {
			if step == "[]" {
				v.EachElement(func(e value.Value) bool {
					next = append(next, e)
					return true
				})
			} else if m := v.Get(strings.Trim(step, `"`)); !m.IsUndefined() {
				next = append(next, m)
			}
		}
		values = next
	}
	if len(values) == 0 {
		values = []value.Value{value.Undefined()}
	}
	var keys [][]byte
	for _, v := range values {
		keys = append(keys, value.AppendKey(nil, v))
	}
	slices.SortFunc(keys, bytes.Compare)
	return slices.CompactFunc(keys, bytes.Equal)
}

type iterator struct {
	entries []entryAt
	at      int
	// The iterator's own memory, overwritten at each step, as a store's is.
	item, position []byte
}

func (i *iterator) Next() bool {
	for j := range i.item {
		i.item[j] = '!'
	}
	if i.at++; i.at >= len(i.entries) {
		return false
	}
	i.item = append(i.item[:0], i.entries[i.at].item...)
	i.position = append(i.position[:0], i.entries[i.at].position...)
	return true
}

func (i *iterator) Item() []byte     { return i.item }
func (i *iterator) Position() []byte { return i.position }
func (i *iterator) Err() error       { return nil }
func (i *iterator) Close() error {
	for j := range i.item {
		i.item[j] = '!'
	}
	return nil
}

// compiled parses and compiles.
func compiled(t testing.TB, text string, o Options) *Plan {
	t.Helper()
	q, err := sql.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	p, err := Compile(q, o)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// all runs a query page by page to its end.
func all(t testing.TB, c Source, text string, o Options) []string {
	t.Helper()
	var results []string
	for pages := 0; ; pages++ {
		page, err := compiled(t, text, o).Run(context.Background(), c)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if o.MaxItems > 0 && len(page.Items) > o.MaxItems {
			t.Fatalf("%s: %d results in a page of %d", text, len(page.Items), o.MaxItems)
		}
		for _, item := range page.Items {
			results = append(results, string(item))
		}
		if page.Continuation == "" {
			return results
		}
		if strings.ContainsFunc(page.Continuation, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%s: continuation %q is not plain ASCII", text, page.Continuation)
		}
		if pages > 10_000 {
			t.Fatalf("%s: no end of pages, at %s", text, page.Continuation)
		}
		o.Continuation = page.Continuation
	}
}

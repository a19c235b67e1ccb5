package cosmosdb

import (
	"bytes"
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"millrace/connector"
)

// chain gives the results of ranges one behind the other.
type chain struct{ sources []*pages }

func (c *chain) next(ctx context.Context) ([]byte, error) {
	for len(c.sources) > 0 {
		item, err := c.sources[0].next(ctx)
		if err != io.EOF {
			return item, err
		}
		c.sources = c.sources[1:]
	}
	return nil, io.EOF
}

// merge gives the results of ranges that are each in order, in order. What a
// range gives is {"orderByItems": [{"item": key}, ...], "payload": result}; a
// key that is undefined has no item.
type merge struct {
	waiting []*pages // not looked at yet
	heads   []head
	desc    []bool
}

type head struct {
	from    *pages
	rank    int // of the range: equal results come in the ranges' order
	keys    []json.RawMessage
	payload []byte
}

func newMerge(sources []*pages, order []string) *merge {
	m := &merge{waiting: sources}
	for _, o := range order {
		m.desc = append(m.desc, o == "Descending")
	}
	return m
}

func (m *merge) Len() int      { return len(m.heads) }
func (m *merge) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merge) Push(x any)    { m.heads = append(m.heads, x.(head)) }
func (m *merge) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}

func (m *merge) Less(i, j int) bool {
	a, b := &m.heads[i], &m.heads[j]
	for n := range m.desc {
		if c := compare(a.keys[n], b.keys[n]); c != 0 {
			return c < 0 != m.desc[n]
		}
	}
	return a.rank < b.rank
}

// take reads the next result of a range; false at its end.
func (m *merge) take(ctx context.Context, h *head) (bool, error) {
	text, err := h.from.next(ctx)
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	h.keys = make([]json.RawMessage, 0, len(m.desc))
	eachElement(memberOf(text, "orderByItems"), func(v []byte) bool {
		h.keys = append(h.keys, memberOf(v, "item"))
		return true
	})
	if len(h.keys) != len(m.desc) {
		return false, fmt.Errorf("a range's result has %d keys to sort by, want %d", len(h.keys), len(m.desc))
	}
	h.payload = memberOf(text, "payload")
	return true, nil
}

func (m *merge) next(ctx context.Context) ([]byte, error) {
	for rank, src := range m.waiting {
		h := head{from: src, rank: rank}
		if ok, err := m.take(ctx, &h); err != nil {
			return nil, err
		} else if ok {
			heap.Push(m, h)
		}
	}
	m.waiting = nil
	for len(m.heads) > 0 {
		payload := m.heads[0].payload
		if ok, err := m.take(ctx, &m.heads[0]); err != nil {
			return nil, err
		} else if ok {
			heap.Fix(m, 0)
		} else {
			heap.Pop(m)
		}
		if payload != nil {
			return payload, nil
		}
	}
	return nil, io.EOF
}

// rank is a value's place among the types, as ORDER BY has them.
func rank(v []byte) int {
	if len(v) == 0 {
		return 0
	}
	switch v[0] {
	case 'n':
		return 1
	case 'f', 't':
		return 2
	case '"':
		return 4
	case '[':
		return 5
	case '{':
		return 6
	}
	return 3
}

// compare orders JSON values as ORDER BY does; an absent one is undefined.
func compare(a, b []byte) int {
	x, y := rank(a), rank(b)
	if x != y {
		return x - y
	}
	switch x {
	case 0, 1:
		return 0
	case 3:
		f, _ := strconv.ParseFloat(string(a), 64)
		g, _ := strconv.ParseFloat(string(b), 64)
		switch {
		case f < g:
			return -1
		case f > g:
			return 1
		}
		return 0
	case 4:
		return strings.Compare(textOf(a), textOf(b))
	case 2:
		return bytes.Compare(a[:1], b[:1]) // f before t
	}
	return bytes.Compare(canonical(a), canonical(b))
}

// canonical spells a value so that equal ones have the same text.
func canonical(v []byte) []byte {
	var decoded any
	if json.Unmarshal(v, &decoded) != nil {
		return v
	}
	text, err := json.Marshal(decoded)
	if err != nil {
		return v
	}
	return text
}

// maxRemembered bounds the distinct results and the groups that a query may
// have: they are kept in memory.
const maxRemembered = 1_000_000

var errTooMany = &connector.Hinted{Hint: "restrict it with WHERE",
	Err: errors.New("the query has more than a million distinct results or groups, which are put together in memory")}

// identity is a short name of a value: equal values have the same.
func identity(v []byte) string {
	text := canonical(v)
	if len(text) <= sha256.Size {
		return string(text)
	}
	sum := sha256.Sum256(text)
	return string(sum[:])
}

// distinct leaves out results that were there before.
type distinct struct {
	from    items
	ordered bool // equal ones follow each other
	last    string
	begun   bool
	seen    map[string]struct{}
}

func (d *distinct) next(ctx context.Context) ([]byte, error) {
	for {
		item, err := d.from.next(ctx)
		if err != nil {
			return nil, err
		}
		id := identity(item)
		if d.ordered {
			if d.begun && id == d.last {
				continue
			}
			d.begun, d.last = true, id
			return item, nil
		}
		if _, ok := d.seen[id]; ok {
			continue
		}
		if len(d.seen) == maxRemembered {
			return nil, errTooMany
		}
		d.seen[id] = struct{}{}
		return item, nil
	}
}

// limited skips some results and ends after some; left < 0 is no end.
type limited struct {
	from       items
	skip, left int64
}

func (l *limited) next(ctx context.Context) ([]byte, error) {
	for ; l.skip > 0 && l.left != 0; l.skip-- {
		if _, err := l.from.next(ctx); err != nil {
			return nil, err
		}
	}
	if l.left == 0 {
		return nil, io.EOF
	}
	if l.left > 0 {
		l.left--
	}
	return l.from.next(ctx)
}

package query

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"millrace/connector/cosmosdb/local/value"
)

// selecting gives the results that are next in an order which the read does not
// have: one read of everything finds as many as the page takes. offer is called
// for every row.
func (r *run) selecting(offer func(s *smallest, from []byte) bool) {
	t := r.token
	from := t.Key
	r.narrow(from, t.First)
	skip := t.Skip
	for {
		s := &smallest{most: r.most(skip), memory: r.plan.options.Memory}
		r.plan.root.prepare(s)
		r.plan.root.rows(r.frame, func() bool { return offer(s, from) })
		if r.frame.err != nil {
			return
		}
		var last *entry
		prefix, begun := []byte(nil), 0
		for _, e := range s.sorted() {
			json, ok := r.show(e)
			if r.frame.err != nil {
				return
			}
			switch {
			case skip > 0:
				skip--
			case !ok:
			case r.token.Offset > 0:
				r.token.Offset--
			case !r.fits(len(json)):
				r.resumeSelecting(last, begun)
				return
			default:
				r.emit(json)
				r.token.Limit = r.left()
			}
			last = e
			if p := tokenPrefix(e.key); bytes.Equal(p, prefix) {
				begun++
			} else {
				prefix, begun = p, 1
			}
			if r.token.Limit == 0 {
				return
			}
		}
		if s.end == nil {
			return
		}
		if len(r.page.Items) > 0 {
			r.resumeSelecting(last, begun)
			return
		}
		from, skip = last.key, 0
	}
}

// narrow lets an index that is read in order begin at the last result's value.
func (r *run) narrow(key []byte, first int) {
	if !r.access.ordered || len(r.access.reads) == 0 || first == 0 || first >= value.MaxKeyText || first > len(key) {
		return
	}
	scan := r.access.reads[0].Index
	if len(r.access.reads) > 1 || bytes.Equal(scan.Low, scan.High) {
		return
	}
	bound := bytes.Clone(key[:first])
	if r.plan.root.order[0].desc {
		complement(bound)
		if scan.High == nil || bytes.Compare(bound, scan.High) < 0 {
			scan.High, scan.HighOpen = bound, false
		}
	} else if bytes.Compare(bound, scan.Low) > 0 {
		scan.Low, scan.LowOpen = bound, false
	}
}

// most is how many entries are looked for at a time.
func (r *run) most(skip int) int {
	wanted := min(r.plan.options.MaxItems, r.token.Limit)
	return int(min(int64(wanted)+int64(r.token.Offset)+int64(skip), math.MaxInt32))
}

func tokenPrefix(key []byte) []byte { return key[:min(len(key), maxTokenKey)] }

// resumeSelecting makes the token for what is behind last. Of a key that is too
// long for a token it holds the beginning, and how many results had it.
func (r *run) resumeSelecting(last *entry, begun int) {
	t := token{Version: tokenVersion, Query: r.token.Query, Offset: r.token.Offset, Limit: r.token.Limit}
	t.Key = tokenPrefix(last.key)
	t.First = last.first
	if len(last.key) > maxTokenKey {
		t.Skip = begun
		t.First = 0
	}
	r.page.Continuation = t.text()
}

// behind tells whether a key is behind from, where results go on. Keys that
// begin with a token's shortened one are: some of them are left out by number.
func behind(key, from []byte) bool { return from == nil || bytes.Compare(key, from) > 0 }

// prepare lets the groups, or the distinct values, be found by their keys.
func (s *selection) prepare(to *smallest) {
	if s.grouping != nil || s.distinct {
		to.known = map[string]*entry{}
	}
	if s.grouping != nil && len(s.grouping.keys) == 0 {
		to.most = 1
		to.put(&entry{key: []byte{0}, group: s.grouping.newGroup(nil)})
	}
}

// show is an entry's result; ok is false if it has none.
func (r *run) show(e *entry) (json []byte, ok bool) {
	if e.group == nil {
		return e.json, true
	}
	r.plan.root.grouping.show(r.frame, e.group)
	r.scratch, ok = r.plan.root.project.append(r.frame, r.scratch[:0])
	return r.scratch, ok && r.frame.roomFor(len(r.scratch))
}

// offerRow takes the current row if it is among the smallest.
func (r *run) offerRow(s *smallest, from []byte) bool {
	root, f := r.plan.root, r.frame
	key, ok := root.orderKey(f, r.scratch[:0])
	r.scratch = key
	if !ok {
		return f.err == nil
	}
	first := 0
	if r.access.ordered {
		first = root.firstKey(f)
	}
	if first > 0 && s.end != nil && first < value.MaxKeyText &&
		bytes.Compare(key[:first], s.end[:min(first, len(s.end))]) > 0 {
		return false // the index has nothing smaller any more
	}
	if root.distinct {
		v := root.project.of(f)
		if v.IsUndefined() {
			return f.err == nil
		}
		key = value.AppendIdentity(key, v)
	} else {
		key = r.appendPlace(key)
	}
	r.scratch = key
	if !behind(key, from) || !s.wants(key) || s.known[string(key)] != nil {
		return f.err == nil
	}
	json, ok := root.project.append(f, nil)
	if ok {
		s.put(&entry{key: bytes.Clone(key), first: first, json: json})
	}
	return f.err == nil
}

// firstKey is how long the part of ORDER BY's first key is.
func (s *selection) firstKey(f *frame) int {
	var space [64]byte
	return len(value.AppendIdentity(space[:0], s.order[0].expr(f)))
}

// appendPlace appends where the current row is, so that rows with the same keys
// stay apart and in the order of reading; or of the numbers of their items, as an
// index has them, if a client sorts the parts of several ranges: it resumes by the
// last item's keys and number.
func (r *run) appendPlace(key []byte) []byte {
	from := len(key)
	number, ok := uint64(0), false
	if isOrderPart(r.plan.query) {
		number, ok = itemNumber(r.frame.vars[r.plan.compiler.container])
	}
	if ok {
		key = binary.BigEndian.AppendUint64(key, number)
	} else {
		key = r.appendPosition(key)
	}
	if r.plan.reversed() { // as an index has them that is read backwards
		complement(key[from:])
	}
	r.results++
	return binary.BigEndian.AppendUint32(key, uint32(r.results))
}

// reversed tells whether rows with the same keys are in descending order of their
// places: if the first key is; for clients that sort the parts of several ranges,
// if any key is. Those that are told the order, by a header, take either; the one
// for JavaScript, which does not look, expects this one.
func (p *Plan) reversed() bool {
	order := p.root.order
	if isOrderPart(p.query) {
		return slices.ContainsFunc(order, func(o orderKey) bool { return o.desc })
	}
	return len(order) > 0 && order[0].desc
}

func (r *run) appendPosition(key []byte) []byte {
	key = binary.BigEndian.AppendUint16(key, uint16(r.read))
	for _, b := range r.position {
		if key = append(key, b); b == 0 {
			key = append(key, 0xFF)
		}
	}
	return append(key, 0, 1)
}

// itemNumber is what clients compare of the _rid of items: the number behind the
// container's part, little-endian.
func itemNumber(item value.Value) (uint64, bool) {
	rid, ok := item.Get("_rid").AsString()
	if !ok {
		return 0, false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(rid, "-", "/"))
	if err != nil || len(raw) != 16 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(raw[8:]), true
}

// offerGroup takes the current row into its group, if that is among the
// smallest.
func (r *run) offerGroup(s *smallest, from []byte) bool {
	g, f := r.plan.root.grouping, r.frame
	if len(g.keys) == 0 {
		s.grow(g.add(f, s.entries[0].group))
		if s.size > s.memory {
			f.fail(errMemory(s.memory))
		}
		return f.err == nil
	}
	r.keys = r.keys[:0]
	id := r.scratch[:0]
	for _, k := range g.keys {
		v := k(f)
		r.keys = append(r.keys, v)
		id = value.AppendIdentity(id, v)
	}
	r.scratch = id
	if !behind(id, from) || !s.wants(id) {
		return f.err == nil
	}
	e := s.known[string(id)]
	if e == nil {
		e = &entry{key: bytes.Clone(id), group: g.newGroup(r.keys)}
		s.put(e)
	}
	s.grow(g.add(f, e.group))
	if s.size > s.memory {
		f.fail(errMemory(s.memory))
	}
	return f.err == nil
}

// buffered gives the results of queries that have to be known as a whole:
// DISTINCT with an order by something else, and DISTINCT of groups. They take
// memory for all of them.
func (r *run) buffered() {
	s, f := r.plan.root, r.frame
	type result struct{ key, id, json []byte }
	known := map[string]*result{}
	var results []*result
	put := func(key []byte, v value.Value) bool {
		id := value.AppendIdentity(nil, v)
		if old := known[string(id)]; old != nil {
			if bytes.Compare(key, old.key) < 0 {
				old.key = key
			}
			return true
		}
		n := &result{key: key, id: id, json: v.AppendJSON(nil)}
		known[string(id)] = n
		results = append(results, n)
		return f.hold(len(key) + 2*len(id) + len(n.json) + groupSize)
	}
	if s.grouping != nil {
		s.groupResults(f, func(v value.Value) bool { return put(nil, v) })
	} else {
		s.rows(f, func() bool {
			key, ok := s.orderKey(f, nil)
			v := s.project.of(f)
			if !ok || v.IsUndefined() {
				return f.err == nil
			}
			return put(key, v)
		})
	}
	if f.err != nil {
		return
	}
	slices.SortFunc(results, func(a, b *result) int {
		if c := bytes.Compare(a.key, b.key); c != 0 {
			return c
		}
		return bytes.Compare(a.id, b.id)
	})
	skip, given := r.token.Given, 0
	for _, result := range results {
		if !r.count(result.json, &skip, &given) {
			return
		}
	}
}

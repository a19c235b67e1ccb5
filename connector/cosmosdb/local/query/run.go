package query

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// run is one page of a query in the making.
type run struct {
	ctx    context.Context
	plan   *Plan
	source Source
	frame  *frame
	access access
	token  token
	page   *Page
	bytes  int // of the page's results

	// Of the item at hand: where it was found, and how many results it had.
	read     int
	position []byte
	results  int
	// before is the position of the item before, in the same read.
	before  []byte
	scratch []byte
	room    []byte // what is left of the last piece of memory for results
	steps   int
	// scanned tells that a page may end after MaxScan items.
	scanned bool
	keys    []value.Value // of the current row's group
}

// Run reads the source and gives a page of results. Errors of what was asked
// for are *Error; others are the source's own or ctx's.
func (p *Plan) Run(ctx context.Context, source Source) (*Page, error) {
	r := &run{ctx: ctx, plan: p, source: source, page: &Page{}, access: p.access(source.Indexed)}
	var err error
	if r.token, err = parseToken(p.options.Continuation, p.fingerprint(r.access), p.root); err != nil {
		return nil, err
	}
	if r.token.Read > 0 && r.token.Read >= len(r.access.reads) {
		return nil, errToken()
	}
	r.frame = &frame{
		vars: make([]value.Value, p.compiler.vars), now: p.options.Now, memory: p.options.Memory,
		items: r.items, tick: r.tick, wanted: ctx.Err,
	}
	for i, names := range p.compiler.members {
		r.frame.members[i] = memberSet{names: names, values: make([]value.Value, len(names))}
	}
	stats := &r.page.Stats
	stats.Index, stats.ByID, stats.ByPartition = r.access.path, r.access.byID, r.access.byPartition
	stats.OrderPart, stats.Reversed = isOrderPart(p.query), p.reversed()
	switch s := p.root; {
	case r.token.Limit == 0:
	case s.grouping != nil && s.distinct:
		r.buffered()
	case s.grouping != nil:
		stats.Grouped = true
		r.selecting(r.offerGroup)
	case s.distinct && len(s.order) > 0 && !s.orderOfDistinct():
		stats.Sorted = true
		r.buffered()
	case s.distinct, len(s.order) > 1, len(s.order) == 1 && !r.access.ordered:
		stats.Sorted = true
		r.selecting(r.offerRow)
	case p.compiler.container < 0 || s.sources[0].sub != nil && !s.sources[0].sub.streams():
		r.counted()
	default:
		r.streaming()
	}
	if r.frame.err != nil {
		return nil, r.frame.err
	}
	stats.OutputBytes = int64(r.bytes)
	return r.page, nil
}

// streams tells whether a query gives results item by item.
func (s *selection) streams() bool {
	if len(s.sources) > 0 && s.sources[0].sub != nil && !s.sources[0].sub.streams() {
		return false
	}
	return s.grouping == nil && !s.distinct && len(s.order) == 0 && s.limit == noLimit && s.offset == 0
}

// tick is called for every row.
func (r *run) tick() bool {
	if r.steps++; r.steps&255 == 0 {
		if err := r.ctx.Err(); err != nil {
			r.frame.fail(fmt.Errorf("the query was given up: %w", err))
			return false
		}
	}
	return true
}

// items gives all items of the container, from where the token says.
func (r *run) items(yield func() bool) bool {
	after := r.token.After
	for r.read = r.token.Read; r.read < len(r.access.reads); r.read++ {
		read := r.access.reads[r.read]
		read.After = after
		after = nil
		r.before = append(r.before[:0], read.After...)
		it, err := r.source.Open(r.ctx, read)
		if err != nil {
			r.frame.fail(fmt.Errorf("cannot read the container's items: %w", err))
			return false
		}
		more := r.walk(it, yield)
		if err := it.Close(); err != nil {
			r.frame.fail(fmt.Errorf("cannot read the container's items: %w", err))
		}
		if !more || r.frame.err != nil {
			return false
		}
	}
	return true
}

func (r *run) walk(it store.Iterator, yield func() bool) bool {
	container := r.plan.compiler.container
	stats := &r.page.Stats
	for it.Next() {
		item := it.Item()
		stats.ItemsRead++
		stats.BytesRead += int64(len(item))
		r.position = append(r.position[:0], it.Position()...)
		r.results = 0
		r.frame.vars[container] = value.Trusted(item)
		for i := range r.frame.members {
			r.frame.members[i].loaded = false
		}
		if !r.tick() || !yield() {
			return false
		}
		r.before = append(r.before[:0], r.position...)
		if r.scanned && (stats.ItemsRead >= r.plan.options.MaxScan || r.late()) {
			r.results = 0
			r.resume()
			return false
		}
	}
	if err := it.Err(); err != nil {
		r.frame.fail(fmt.Errorf("cannot read the container's items: %w", err))
	}
	return r.frame.err == nil
}

// lateEvery is after how many items a run looks at the clock.
const lateEvery = 64

// late tells whether the page has taken its time.
func (r *run) late() bool {
	until := r.plan.options.Until
	return !until.IsZero() && r.page.Stats.ItemsRead%lateEvery == 0 && !time.Now().Before(until)
}

// streaming gives results as they are found.
func (r *run) streaming() {
	s, f := r.plan.root, r.frame
	r.scanned = true
	s.rows(f, func() bool {
		var ok bool
		if r.scratch, ok = s.project.append(f, r.scratch[:0]); !ok || !f.roomFor(len(r.scratch)) {
			return f.err == nil
		}
		switch {
		case r.results < r.token.Given && bytes.Equal(r.token.Partial, r.position):
		case r.token.Offset > 0:
			r.token.Offset--
		case !r.fits(len(r.scratch)):
			r.resume()
			return false
		default:
			r.emit(r.scratch)
			r.token.Limit = r.left()
		}
		r.results++
		return r.token.Limit > 0
	})
}

// left is the limit after one more result.
func (r *run) left() int {
	if r.token.Limit == noLimit {
		return noLimit
	}
	return r.token.Limit - 1
}

// resume makes the token for what is behind the item before, without the
// results of the item at hand that were given.
func (r *run) resume() {
	t := token{Version: tokenVersion, Query: r.token.Query, Read: r.read, After: r.before, Offset: r.token.Offset, Limit: r.token.Limit}
	if r.results > 0 {
		t.Partial, t.Given = r.position, r.results
	}
	r.page.Continuation = t.text()
}

func (t token) text() string {
	if t.Limit == noLimit {
		t.Limit = -1
	}
	return t.String()
}

// fits tells whether the page takes a result of so many bytes.
func (r *run) fits(n int) bool {
	o := &r.plan.options
	return len(r.page.Items) == 0 || len(r.page.Items) < o.MaxItems && r.bytes+n <= o.MaxBytes
}

// roomPiece is how much memory results take at a time.
const roomPiece = 64 << 10

func (r *run) emit(json []byte) {
	n := len(json)
	if n > len(r.room) {
		if n > roomPiece/4 {
			r.page.Items = append(r.page.Items, bytes.Clone(json))
			r.bytes += n
			return
		}
		r.room = make([]byte, roomPiece)
	}
	item := r.room[:n:n]
	copy(item, json)
	r.room = r.room[n:]
	r.page.Items = append(r.page.Items, item)
	r.bytes += n
}

// counted gives the results of queries that are computed from the beginning for
// every page: the token counts what was given.
func (r *run) counted() {
	s, f := r.plan.root, r.frame
	skip, given := r.token.Given, 0
	s.rows(f, func() bool {
		var ok bool
		if r.scratch, ok = s.project.append(f, r.scratch[:0]); !ok || !f.roomFor(len(r.scratch)) {
			return f.err == nil
		}
		return r.count(r.scratch, &skip, &given)
	})
}

// count gives a result of which skip are to be left out first; it returns false
// if the page is complete.
func (r *run) count(json []byte, skip, given *int) bool {
	if *skip > 0 {
		*skip--
		*given++
		return true
	}
	if r.token.Offset > 0 {
		r.token.Offset--
		*given++
		return true
	}
	if !r.fits(len(json)) {
		t := token{Version: tokenVersion, Query: r.token.Query, Given: *given, Offset: 0, Limit: r.token.Limit}
		r.page.Continuation = t.text()
		return false
	}
	r.emit(json)
	*given++
	r.token.Limit = r.left()
	return r.token.Limit > 0
}

// orderOfDistinct tells whether ORDER BY sorts by nothing but what DISTINCT
// gives, so that two results that are the same have the same place.
func (s *selection) orderOfDistinct() bool {
	given := s.given()
	for _, o := range s.query.OrderBy {
		if !within(o.Expr, given) {
			return false
		}
	}
	return true
}

// given are the expressions that make up a result.
func (s *selection) given() []sql.Expr {
	sel := &s.query.Select
	switch {
	case sel.Star:
		return []sql.Expr{&sql.Name{Name: s.sourceName(0)}}
	case sel.Value != nil:
		return []sql.Expr{sel.Value}
	}
	var given []sql.Expr
	for _, item := range sel.Items {
		given = append(given, item.Expr)
	}
	return given
}

// sourceName is the alias of a source, "" if it has none.
func (s *selection) sourceName(i int) string {
	if i >= len(s.query.From) {
		return ""
	}
	return aliasOf(&s.query.From[i])
}

// within tells whether e is one of the expressions, or a path into one.
func within(e sql.Expr, given []sql.Expr) bool {
	for {
		for _, g := range given {
			if same(e, g) {
				return true
			}
		}
		m, ok := e.(*sql.Member)
		if !ok {
			return false
		}
		e = m.Of
	}
}

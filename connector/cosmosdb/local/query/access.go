package query

import (
	"bytes"
	"slices"
	"strings"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// access is how a query reads the container: one read after the other.
type access struct {
	reads []store.Access
	// path is the index that is read, "" for none.
	path              string
	byID, byPartition bool
	// ordered tells that the items come in the order of the first key of
	// ORDER BY.
	ordered bool
}

// maxReads is how many reads a query is made into, for IN.
const maxReads = 512

// bounds is what WHERE asks of the value at a path: to be one of several, or
// between two keys of an index.
type bounds struct {
	path      string
	points    [][]byte // sorted, each once
	low, high []byte
	lowOpen   bool
	highOpen  bool
	key       bool // it is a path of the partition key
}

// filter is what WHERE says of an item, as far as reading can make use of it.
// Everything is checked again on the items.
type filter struct {
	paths []*bounds
	// values are the values that a path may have, where they are known: for
	// ids and partition keys.
	values map[string][]value.Value
}

// access chooses how to read: ids and logical partitions that are named, then
// the index that gives the order, then the index with the narrowest condition,
// then everything.
func (p *Plan) access(indexed func(path string) bool) access {
	a := access{reads: []store.Access{{Low: p.options.Low, High: p.options.High}}}
	flt := p.filter
	if flt == nil {
		return a
	}
	a.byPartition = p.partitions(&a)
	a.byID = a.ids(flt)
	if len(a.reads) == 0 || a.byID {
		return a
	}
	best := flt.best(indexed, a.byPartition)
	orderPath := p.orderPath(indexed)
	if orderPath != "" && !a.byPartition {
		a.ordered = true
		a.path = orderPath
		a.scan(flt.at(orderPath), p.root.order[0].desc)
		return a
	}
	if best != nil {
		a.path = best.path
		a.scan(best, false)
	}
	return a
}

// scan puts the index scans for b into all reads.
func (a *access) scan(b *bounds, reverse bool) {
	var scans []store.IndexScan
	for _, point := range b.points {
		scans = append(scans, store.IndexScan{Path: a.path, Low: point, High: point, Reverse: reverse})
	}
	if reverse {
		slices.Reverse(scans)
	}
	if b.points == nil {
		scans = append(scans, store.IndexScan{
			Path: a.path, Low: b.low, LowOpen: b.lowOpen, High: b.high, HighOpen: b.highOpen, Reverse: reverse,
		})
	}
	// Ordered reads are not of several partitions, so the scans stay in order.
	var reads []store.Access
	for _, read := range a.reads {
		for i := range scans {
			read.Index = &scans[i]
			reads = append(reads, read)
		}
	}
	a.reads = reads
}

// orderPath is the indexed path that the first key of ORDER BY is, "" if there
// is none.
func (p *Plan) orderPath(indexed func(string) bool) string {
	if p.query != p.compiler.reads || len(p.root.order) == 0 {
		return ""
	}
	path, ok := p.compiler.indexPath(p.query.OrderBy[0].Expr)
	if !ok || !indexed(path) {
		return ""
	}
	return path
}

// at is what the filter says of a path, at least that it must be there.
func (f *filter) at(path string) *bounds {
	for _, b := range f.paths {
		if b.path == path {
			return b
		}
	}
	low, _ := value.KindKeys(value.KindNull)
	return &bounds{path: path, low: low}
}

// best is the narrowest condition on an indexed path. pointsOnly leaves out
// ranges and the partition key, for which the reads are narrow enough without.
func (f *filter) best(indexed func(string) bool, pointsOnly bool) *bounds {
	var best *bounds
	rank := 0
	for _, b := range f.paths {
		r := b.rank()
		if r > rank && (!pointsOnly || len(b.points) == 1 && !b.key) && indexed(b.path) {
			best, rank = b, r
		}
	}
	return best
}

// rank is larger for conditions that few items will fulfil.
func (b *bounds) rank() int {
	switch n := len(b.points); {
	case b.points != nil && n <= maxReads:
		return 10_000 - n
	case b.points != nil:
		return 0
	case b.low != nil && b.high != nil:
		if len(b.low) > 1 && len(b.high) > 1 {
			return 3
		}
		return 2
	}
	return 1
}

// partitions narrows the reads to the logical partitions that WHERE names.
func (p *Plan) partitions(a *access) bool {
	if !p.named || len(p.ranges) > maxReads {
		return false
	}
	var reads []store.Access
	for _, r := range p.ranges {
		low, high := max(r.Low, p.options.Low), min(r.High, p.options.High)
		if low < high {
			reads = append(reads, store.Access{Low: low, High: high})
		}
	}
	a.reads = reads
	return true
}

// keyRanges are the ranges of effective partition keys that the filter leaves,
// in order; ok is false if it names no partition key.
func keyRanges(def partition.Definition, flt *filter) (ranges []partition.Range, ok bool) {
	keys := [][]any{nil}
	for _, path := range def.Paths {
		names, err := partition.SplitPath(path)
		if err != nil {
			break
		}
		if path, ok = policyPath(names); !ok {
			break
		}
		values, known := flt.values[path]
		if !known || len(values)*len(keys) > maxReads {
			break
		}
		flt.bounds(path).key = true
		var longer [][]any
		for _, key := range keys {
			for _, v := range values {
				longer = append(longer, append(slices.Clone(key), keyPart(v)))
			}
		}
		keys = longer
	}
	if len(keys) == 1 && len(keys[0]) == 0 {
		return nil, false
	}
	for _, parts := range keys {
		key, err := partition.New(def, parts...)
		if err != nil {
			return nil, false
		}
		ranges = append(ranges, key.Range())
	}
	slices.SortFunc(ranges, func(a, b partition.Range) int { return strings.Compare(a.Low, b.Low) })
	return slices.Compact(ranges), true
}

func keyPart(v value.Value) any {
	switch v.Kind() {
	case value.KindNull:
		return nil
	case value.KindBool:
		return v.IsTrue()
	case value.KindNumber:
		f, _ := v.AsNumber()
		return f
	case value.KindString:
		s, _ := v.AsString()
		return s
	}
	return v // no partition key has such a value: an error
}

// ids narrows the reads to the ids that WHERE names.
func (a *access) ids(flt *filter) bool {
	values, known := flt.values["/id"]
	if !known || len(values)*len(a.reads) > maxReads {
		return false
	}
	var reads []store.Access
	for _, read := range a.reads {
		for _, v := range values {
			if id, ok := v.AsString(); ok {
				read.ID = &id
				reads = append(reads, read)
			}
		}
	}
	a.reads = reads
	return true
}

// indexPath is the path within the container's items that e is, in the form of
// an indexing policy.
func (c *compiler) indexPath(e sql.Expr) (string, bool) {
	first, names, plain := pathOf(e)
	if first == nil || !plain || first.Name != c.alias || len(c.rootPath)+len(names) == 0 {
		return "", false
	}
	return policyPath(slices.Concat(c.rootPath, names))
}

// policyPath writes a path as an indexing policy does; ok is false for names
// that cannot be written so.
func policyPath(names []string) (path string, ok bool) {
	var b strings.Builder
	for _, name := range names {
		if strings.Contains(name, `"`) || name == "" {
			return "", false
		}
		b.WriteByte('/')
		if sql.IsIdentifier(name) {
			b.WriteString(name)
		} else {
			b.WriteString(`"` + name + `"`)
		}
	}
	return b.String(), true
}

// collect gathers what a condition says of the items: that of each side of AND.
func (c *compiler) collect(e sql.Expr, flt *filter) {
	for len(flt.paths) < maxReads {
		b, ok := e.(*sql.Binary)
		if !ok || b.Op != sql.OpAnd {
			break
		}
		c.collect(b.R, flt)
		e = b.L
	}
	switch e := e.(type) {
	case *sql.Member: // true itself
		if path, ok := c.indexPath(e); ok {
			flt.equal(path, []value.Value{value.Bool(true)})
		}
	case *sql.Binary:
		c.collectComparison(e, flt)
	case *sql.Between:
		if path, ok := c.indexPath(e.X); ok && !e.Not {
			c.narrow(flt, path, e.Low, sql.OpGreaterEqual)
			c.narrow(flt, path, e.High, sql.OpLessEqual)
		}
	case *sql.In:
		if path, ok := c.indexPath(e.X); ok && !e.Not {
			c.collectIn(e, path, flt)
		}
	case *sql.Like:
		c.collectLike(e, flt)
	case *sql.Call:
		c.collectCall(e, flt)
	}
}

func (c *compiler) collectComparison(e *sql.Binary, flt *filter) {
	mirrored := map[sql.BinaryOp]sql.BinaryOp{
		sql.OpEqual: sql.OpEqual, sql.OpLess: sql.OpGreater, sql.OpLessEqual: sql.OpGreaterEqual,
		sql.OpGreater: sql.OpLess, sql.OpGreaterEqual: sql.OpLessEqual,
	}
	other, ok := mirrored[e.Op]
	if !ok {
		c.collectEither(e, flt)
		return
	}
	if path, ok := c.indexPath(e.L); ok {
		c.narrow(flt, path, e.R, e.Op)
	} else if path, ok := c.indexPath(e.R); ok {
		c.narrow(flt, path, e.L, other)
	}
}

// collectEither makes c.a = 1 OR c.a = 2 what c.a IN (1, 2) is.
func (c *compiler) collectEither(e *sql.Binary, flt *filter) {
	var values []value.Value
	path := ""
	rest := sql.Expr(e)
	for more := true; more; {
		term := rest
		if or, ok := rest.(*sql.Binary); ok && or.Op == sql.OpOr {
			term, rest = or.R, or.L
		} else {
			more = false
		}
		is, ok := term.(*sql.Binary)
		if !ok || is.Op != sql.OpEqual {
			return
		}
		at, ok := c.indexPath(is.L)
		v, constant := c.constantOf(is.R)
		if !ok || !constant || path != "" && at != path {
			return
		}
		path = at
		values = append(values, v)
	}
	flt.equal(path, values)
}

func (c *compiler) collectIn(e *sql.In, path string, flt *filter) {
	var values []value.Value
	for _, item := range e.Items {
		v, ok := c.constantOf(item)
		if !ok {
			return
		}
		values = append(values, v)
	}
	flt.equal(path, values)
}

func (c *compiler) collectLike(e *sql.Like, flt *filter) {
	path, ok := c.indexPath(e.X)
	if !ok || e.Not || e.Escape != nil {
		return
	}
	v, ok := c.constantOf(e.Pattern)
	pattern, isText := v.AsString()
	if !ok || !isText {
		return
	}
	if prefix, _ := compileLike(pattern, 0).prefix(); prefix != "" {
		low, high := value.PrefixKeys(prefix)
		flt.narrow(path, low, high, false, true)
	}
}

func (c *compiler) collectCall(e *sql.Call, flt *filter) {
	if e.UDF || len(e.Args) < 2 {
		return
	}
	path, ok := c.indexPath(e.Args[0])
	v, constant := c.constantOf(e.Args[1])
	if !ok || !constant {
		return
	}
	if len(e.Args) > 2 { // ignoring case, or only parts of objects
		if third, ok := c.constantOf(e.Args[2]); !ok || third.Kind() != value.KindBool || third.IsTrue() {
			return
		}
	}
	switch strings.ToUpper(e.Name) {
	case "STARTSWITH":
		if prefix, ok := v.AsString(); ok {
			low, high := value.PrefixKeys(prefix)
			flt.narrow(path, low, high, false, true)
		}
	case "STRINGEQUALS":
		flt.equal(path, []value.Value{v})
	case "ARRAY_CONTAINS":
		flt.equal(path+"/[]", []value.Value{v})
	}
}

// narrow notes a comparison of a path with a constant.
func (c *compiler) narrow(flt *filter, path string, e sql.Expr, op sql.BinaryOp) {
	v, ok := c.constantOf(e)
	if !ok {
		return
	}
	if op == sql.OpEqual {
		flt.equal(path, []value.Value{v})
		return
	}
	if v.IsUndefined() || v.Kind() >= value.KindArray {
		return // never true
	}
	key := value.AppendKey(nil, v)
	low, high := value.KindKeys(v.Kind())
	if v.Kind() == value.KindBool {
		low = value.AppendKey(nil, value.Bool(false))
	}
	cut := value.IsCut(key) // others may have the same key
	switch op {
	case sql.OpLess:
		flt.narrow(path, low, key, false, !cut)
	case sql.OpLessEqual:
		flt.narrow(path, low, key, false, false)
	case sql.OpGreater:
		flt.narrow(path, key, high, !cut, true)
	case sql.OpGreaterEqual:
		flt.narrow(path, key, high, false, true)
	}
}

// narrow makes the range of a path's keys smaller.
func (f *filter) narrow(path string, low, high []byte, lowOpen, highOpen bool) {
	b := f.bounds(path)
	if b.points != nil {
		return // narrow enough
	}
	if c := bytes.Compare(low, b.low); b.low == nil || c > 0 || c == 0 && lowOpen {
		b.low, b.lowOpen = low, lowOpen
	}
	if c := bytes.Compare(high, b.high); b.high == nil || c < 0 || c == 0 && highOpen {
		b.high, b.highOpen = high, highOpen
	}
}

// equal notes that a path has one of some values. Of several such notes the
// first counts.
func (f *filter) equal(path string, values []value.Value) {
	b := f.bounds(path)
	if b.points != nil {
		return
	}
	b.points = [][]byte{}
	for _, v := range values {
		if !v.IsUndefined() {
			b.points = append(b.points, value.AppendKey(nil, v))
		}
	}
	slices.SortFunc(b.points, bytes.Compare)
	b.points = slices.CompactFunc(b.points, bytes.Equal)
	defined := make([]value.Value, 0, len(values))
	for _, v := range values {
		if !v.IsUndefined() && !slices.ContainsFunc(defined, func(d value.Value) bool { return value.Same(d, v) }) {
			defined = append(defined, v)
		}
		if len(defined) > maxReads {
			return
		}
	}
	f.values[path] = defined
}

func (f *filter) bounds(path string) *bounds {
	for _, b := range f.paths {
		if b.path == path {
			return b
		}
	}
	b := &bounds{path: path}
	f.paths = append(f.paths, b)
	return b
}

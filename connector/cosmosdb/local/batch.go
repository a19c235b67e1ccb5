package local

import (
	"net/http"
	"strconv"
	"sync"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// batchMemory is what a batch needs, used again for later ones.
type batchMemory struct {
	parsed []batchOp
	ops    []store.Op
	keyed  []store.KeyedOp
	where  []int // of keyed: which operation of the batch
	ranges []int // of keyed: the physical range
}

var batchMemories = sync.Pool{New: func() any { return new(batchMemory) }}

// recycle forgets the views of the request's body.
func (m *batchMemory) recycle() {
	clear(m.parsed)
	clear(m.ops)
	clear(m.keyed)
	m.parsed, m.ops, m.keyed, m.where, m.ranges = m.parsed[:0], m.ops[:0], m.keyed[:0], m.where[:0], m.ranges[:0]
	batchMemories.Put(m)
}

// batch answers a transactional batch, which is done as a whole or not at all,
// and a bulk request, whose operations have nothing to do with each other.
func (c *call) batch() error {
	m, _ := batchMemories.Get().(*batchMemory)
	defer m.recycle()
	var err error
	if m.parsed, err = parseBatch(m.parsed, c.body); err != nil {
		return err
	}
	if c.in.batchAtomic {
		return c.transaction(m)
	}
	return c.bulk(m)
}

// transaction does a batch that is atomic over one logical partition.
func (c *call) transaction(m *batchMemory) error {
	key, err := c.wholeKey()
	if err != nil {
		return err
	}
	rangeID := c.rangeOf(key)
	if err := c.admit(rangeID); err != nil {
		return err
	}
	for i := range m.parsed {
		m.ops = append(m.ops, store.Op{})
		if err := c.prepareBatched(&m.parsed[i], &m.ops[i], &key, true); err != nil {
			f := asFailure(err)
			if f == nil {
				return err
			}
			c.spend(rangeID, refusedWrite)
			return c.answerRefused(len(m.parsed), i, f)
		}
	}
	results, err := c.items().Apply(c.ctx, key, m.ops)
	if err != nil {
		return c.storeError(err)
	}
	status := http.StatusOK
	c.out.body = append(c.out.body, '[')
	total := 0.0
	for i := range results {
		r := &results[i]
		if !r.Status.Done() && r.Status != store.NotModified {
			status = http.StatusMultiStatus
		}
		charge := c.price(m.ops[i].Kind, r)
		c.appendResult(i, m.ops[i].Kind, r, charge)
		total += charge
	}
	c.out.body = append(c.out.body, ']')
	c.spend(rangeID, total)
	c.session(rangeID, c.items().LSN(rangeID))
	c.out.items = len(results)
	return c.ok(status, "")
}

// prepareBatched makes an operation for the store from one of a batch. Without a
// key that of the item is taken.
func (c *call) prepareBatched(b *batchOp, op *store.Op, key *partition.Key, hasKey bool) error {
	*op = store.Op{Kind: b.kind, ID: b.id, IfMatch: b.ifMatch, IfNoneMatch: b.ifNoneMatch, NoBody: c.in.minimal}
	switch b.kind {
	case store.OpCreate, store.OpUpsert, store.OpReplace:
		return c.prepare(op, b.resource, key, hasKey)
	}
	if !hasKey {
		return badRequest("PartitionKey value must be supplied for this operation: a %s has no item to take it from.", "Read, Delete or Patch")
	}
	if b.id == "" {
		return badRequest("The input content is invalid because the required properties - 'id; ' - are missing.")
	}
	if b.kind == store.OpPatch {
		p, err := parsePatch(b.resource, c.definition())
		if err != nil {
			return err
		}
		op.Mutate = p.mutate(c)
	}
	return nil
}

// answerRefused answers a batch of n operations that failed at one before
// anything was tried.
func (c *call) answerRefused(n, at int, f *failure) error {
	c.out.body = append(c.out.body, '[')
	for i := range n {
		if i == at {
			c.appendFailed(i, f, refusedWrite)
		} else {
			c.appendFailed(i, failedDependency(), 0)
		}
	}
	c.out.body = append(c.out.body, ']')
	c.out.items = n
	return c.ok(http.StatusMultiStatus, "")
}

// appendResult appends the answer to one operation to that of the batch.
func (c *call) appendResult(i int, kind store.OpKind, r *store.OpResult, charge float64) {
	if f := outcome(r); f != nil {
		c.appendFailed(i, f, charge)
		return
	}
	b := c.appendHead(i, r.Status.HTTP(), charge)
	if r.ETag != "" {
		b = append(b, `,"eTag":`...)
		b = value.AppendString(b, r.ETag)
	}
	if len(r.Body) > 0 && (kind == store.OpRead || !c.in.minimal) {
		b = append(b, `,"resourceBody":`...)
		b = append(b, r.Body...)
	}
	c.out.body = append(b, '}')
}

// appendFailed appends the answer to an operation that was not done.
func (c *call) appendFailed(i int, f *failure, charge float64) {
	b := c.appendHead(i, f.status, charge)
	if f.substatus != 0 {
		b = append(b, `,"subStatusCode":`...)
		b = strconv.AppendInt(b, int64(f.substatus), 10)
	}
	if f.retryAfter > 0 {
		b = append(b, `,"retryAfterMilliseconds":`...)
		b = strconv.AppendInt(b, max(1, f.retryAfter.Milliseconds()), 10)
	}
	if f.status != http.StatusFailedDependency {
		b = append(b, `,"message":`...)
		b = value.AppendString(b, f.message)
	}
	c.out.body = append(b, '}')
}

func (c *call) appendHead(i, status int, charge float64) []byte {
	b := c.out.body
	if i > 0 {
		b = append(b, ',')
	}
	b = append(b, `{"statusCode":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"requestCharge":`...)
	return strconv.AppendFloat(b, charge, 'f', -1, 64)
}

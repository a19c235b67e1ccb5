package local

import (
	"net/http"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/store"
)

// leastStep is how many operations of a bulk request are admitted and committed
// at a time, at least; see budget.step.
const leastStep = 25

// bulkAnswer is what came of one operation of a bulk request: why it was
// refused, or the store's result.
type bulkAnswer struct {
	refused *failure
	result  store.OpResult
	charge  float64
}

// bulk does the operations of a bulk request, each for itself, in their order,
// to the first that fails unless the client says to continue then.
func (c *call) bulk(m *batchMemory) error {
	only, limited, err := c.headerRange()
	if err != nil {
		return err
	}
	answers := make([]bulkAnswer, len(m.parsed))
	goOn := c.in.batchContinueOnError
	failed := c.prepareBulk(m, answers, only, limited)
	for from := 0; from < len(m.keyed) && (goOn || m.where[from] < failed); {
		to, most := from+1, c.coll.budget.step()
		for to < len(m.keyed) && to-from < most && m.ranges[to] == m.ranges[from] && (goOn || m.where[to] < failed) {
			to++
		}
		first, err := c.bulkStep(m, answers, from, to)
		if err != nil {
			return err
		}
		if first < to {
			failed = min(failed, m.where[first])
		}
		from = to
	}
	status := http.StatusOK
	c.out.body = append(c.out.body, '[')
	for i := range answers {
		a := &answers[i]
		switch {
		case !goOn && i > failed:
			c.appendFailed(i, failedDependency(), 0)
		case a.refused != nil:
			c.appendFailed(i, a.refused, a.charge)
			c.out.retryAfter = max(c.out.retryAfter, a.refused.retryAfter)
			status = http.StatusMultiStatus
		default:
			c.appendResult(i, m.parsed[i].kind, &a.result, a.charge)
			if !a.result.Status.Done() {
				status = http.StatusMultiStatus
			}
		}
	}
	c.out.body = append(c.out.body, ']')
	c.out.items = len(answers)
	return c.ok(status, "")
}

// prepareBulk makes m.keyed of the operations that can be tried, and answers the
// others. It returns the index of the first one that cannot, or their number.
func (c *call) prepareBulk(m *batchMemory, answers []bulkAnswer, only int, limited bool) (failed int) {
	failed = len(m.parsed)
	var last string // neighbours often have the same partition key
	var lastKey partition.Key
	for i := range m.parsed {
		b := &m.parsed[i]
		var key partition.Key
		var err error
		has := b.partitionKey != ""
		if has {
			if b.partitionKey != last {
				lastKey, err = c.bulkKey(b.partitionKey)
				last = b.partitionKey
				if err != nil {
					last = ""
				}
			}
			key = lastKey
		}
		var op store.KeyedOp
		if err == nil {
			err = c.prepareBatched(b, &op.Op, &key, has)
		}
		rangeID := c.rangeOf(key)
		if err == nil && limited && rangeID != only {
			err = rangeGone()
		}
		if err != nil {
			answers[i] = bulkAnswer{refused: asFailure(err), charge: 0}
			failed = min(failed, i)
			continue
		}
		op.Key = key
		m.keyed, m.where, m.ranges = append(m.keyed, op), append(m.where, i), append(m.ranges, rangeID)
	}
	return failed
}

// bulkKey reads the partition key of one operation.
func (c *call) bulkKey(text string) (partition.Key, error) {
	key, err := partition.ParseHeader(c.definition(), text)
	if err != nil {
		return key, badRequest("The partition key of an operation cannot be used: %s.", err)
	}
	if !key.Complete() {
		return key, fewerComponents()
	}
	return key, nil
}

// bulkStep does some operations of one range and returns the first that failed,
// or to.
func (c *call) bulkStep(m *batchMemory, answers []bulkAnswer, from, to int) (first int, err error) {
	rangeID := m.ranges[from]
	apply := c.items().ApplyEach
	if !c.in.batchContinueOnError {
		apply = c.items().ApplyUntil
	}
	if err := c.admit(rangeID); err != nil {
		f := asFailure(err)
		if f == nil {
			return from, err
		}
		if !c.in.batchContinueOnError {
			to = from + 1 // the others depended on it
		}
		for _, i := range m.where[from:to] {
			answers[i].refused = f
		}
		c.coll.stats.throttled.Add(int64(to - from - 1)) // one was counted
		return from, nil
	}
	results, err := apply(c.ctx, m.keyed[from:to])
	if err != nil {
		return from, c.storeError(err)
	}
	total := 0.0
	first = to
	for j := range results {
		if results[j].Status == store.FailedDependency {
			break
		}
		i := m.where[from+j]
		charge := c.price(m.parsed[i].kind, &results[j])
		answers[i] = bulkAnswer{result: results[j], charge: charge}
		total += charge
		if !results[j].Status.Done() {
			first = min(first, from+j)
		}
	}
	c.spend(rangeID, total)
	c.session(rangeID, c.items().LSN(rangeID))
	return first, nil
}

// rangeGone tells a client that its picture of the physical ranges is not ours.
func rangeGone() *failure {
	return &failure{status: http.StatusGone, substatus: subRangeGone,
		message: "The requested resource is no longer available at the server: the partition key range does not have this partition key."}
}

const subRangeGone = 1002

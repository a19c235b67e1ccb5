package store

import (
	"bytes"
	"fmt"
	"slices"

	"millrace/connector/cosmosdb/local/value"
)

// do does one operation. What it fails at is in the result; an error is about
// the store.
func (t *txn) do(op *Op, d *draft, epk string, res *OpResult) error {
	if d.err != nil {
		res.Status, res.Err = Refused, d.err
		return nil
	}
	old, err := t.item(epk, op.ID)
	if err != nil {
		return err
	}
	if old.live {
		res.ETag, res.LSN, res.OldSize = old.etag(), old.lsn, len(old.body)
	}
	if res.Status = op.outcome(old.live, res.ETag); !res.Status.Done() {
		return nil
	}
	switch res.Status {
	case Found:
		if !t.gives(len(old.body), res) {
			return nil
		}
		res.Body, res.Size = bytes.Clone(old.body), len(old.body)
		return nil
	case Deleted:
		res.ETag = ""
		res.OldTerms, err = t.remove(epk, op.ID, &old)
		t.lsn++
		res.LSN = t.lsn
		return err
	}
	if op.Kind == OpPatch {
		body, err := op.Mutate(old.body)
		if err != nil {
			res.Status, res.Err = Refused, err
			return nil
		}
		if !op.NoBody && !t.gives(len(body), res) {
			return nil
		}
		if *d = t.w.x.prepare(t.set.shape, op.ID, body); d.err != nil {
			res.Status, res.Err = Refused, d.err
			return nil
		}
	}
	return t.write(op, d, epk, &old, res)
}

// gives tells whether so many bytes may be given back, and refuses the operation
// if not: a request of a few bytes can ask for a hundred large items.
func (t *txn) gives(size int, res *OpResult) bool {
	if t.given > 0 && t.given+size > MaxGiven {
		*res = OpResult{Status: Refused, Err: ErrTooMuch}
		return false
	}
	t.given += size
	return true
}

// outcome is what becomes of an operation if nothing else is in its way, given
// whether its item is there.
func (op *Op) outcome(exists bool, etag string) Status {
	if !exists {
		switch {
		case op.Kind == OpCreate, op.Kind == OpUpsert && op.IfMatch == "":
			return Created
		case op.Kind == OpUpsert:
			return PreconditionFailed
		}
		return NotFound
	}
	none := op.IfNoneMatch != "" && matches(op.IfNoneMatch, etag)
	if op.Kind == OpRead {
		if none {
			return NotModified
		}
		return Found
	}
	switch {
	case op.Kind == OpCreate:
		return Conflict
	case none || !matches(op.IfMatch, etag):
		return PreconditionFailed
	case op.Kind == OpDelete:
		return Deleted
	}
	return Replaced
}

// write puts an item in the place of old, which may be none.
func (t *txn) write(op *Op, d *draft, epk string, old *stored, res *OpResult) error {
	if old.body != nil && !old.live { // an item that has expired is another one
		if _, err := t.remove(epk, op.ID, old); err != nil {
			return err
		}
		old = &stored{}
	}
	was := t.former(old)
	if free, err := t.unique(d, &was, epk, op.ID); err != nil || !free {
		res.Status = UniqueConflict
		return err
	}
	t.lsn++
	h := head{lsn: t.lsn, number: uint16(t.r.number), session: t.c.s.session, seconds: t.seconds, ttl: d.ttl,
		doc: docNumber([]byte(epk), t.r.number, t.lsn)}
	if old.live {
		h.doc = old.doc
		res.OldTerms = was.terms.to - was.terms.from
		if err := t.forget(epk, op.ID, old); err != nil {
			return err
		}
		t.bytes -= int64(len(old.body))
	} else {
		t.items++
		if err := t.id(epk, op.ID, h.doc, true); err != nil {
			return err
		}
	}
	body, err := t.put(&h, d, epk, op.ID)
	if err != nil {
		return err
	}
	if err := t.index(d.terms, was.terms, h.doc, epk, op.ID); err != nil {
		return err
	}
	t.bytes += int64(len(body))
	res.ETag, res.LSN, res.Terms, res.Size = h.etag(), h.lsn, d.terms.to-d.terms.from, len(body)
	if !op.NoBody {
		res.Body = bytes.Clone(body)
	}
	return nil
}

// former is what the index holds of an item that is in the store. While the
// index is made anew it is all that it might hold.
func (t *txn) former(old *stored) (f facts) {
	if old.body == nil {
		return f
	}
	v := value.Trusted(old.body)
	f = t.w.x.scan(t.set.shape, v)
	for _, s := range t.set.previous {
		t.w.x.scan(s, v)
	}
	if len(t.set.previous) > 0 {
		t.w.x.compact(f.terms.from)
		f.terms.to = len(t.w.x.terms)
	}
	return f
}

// put writes the item itself and its entry in the change feed. The body is a
// view of the batch.
func (t *txn) put(h *head, d *draft, epk, id string) (body []byte, err error) {
	w := t.w
	w.x.item = h.append(slices.Grow(w.x.item[:0], headSize+len(d.text)+systemSize))
	w.x.item = append(w.x.item, d.text...)
	w.x.item = appendSystem(w.x.item, h, &t.c.ridBytes, t.c.self)
	w.key = appendItemKey(w.key[:0], t.c.number, epk, id)
	op := t.batch.SetDeferred(len(w.key), len(w.x.item))
	copy(op.Key, w.key)
	copy(op.Value, w.x.item)
	v := op.Value
	if err := op.Finish(); err != nil {
		return nil, fmt.Errorf("cannot write an item: %w", err)
	}
	t.changed(w.key, v)
	w.key = appendFeedKey(w.key[:0], t.c.number, t.r.number, h.lsn)
	var space [256]byte
	if err := t.batch.Set(w.key, appendFeedValue(space[:0], h.seconds, epk, id), nil); err != nil {
		return nil, err
	}
	if h.ttl > 0 {
		w.key = appendTTLKey(w.key[:0], t.c.number, t.r.number, expiry(h), epk, id)
		if err := t.batch.Set(w.key, nil, nil); err != nil {
			return nil, err
		}
	}
	return v[headSize:], nil
}

// expiry is the second at which an item with a time to live of its own expires.
func expiry(h *head) uint32 { return uint32(min(int64(h.seconds)+int64(h.ttl), 1<<32-1)) }

// forget takes back what put wrote of the item that is replaced, besides the
// item.
func (t *txn) forget(epk, id string, old *stored) error {
	t.w.key = appendFeedKey(t.w.key[:0], t.c.number, t.r.number, old.lsn)
	if err := t.batch.Delete(t.w.key, nil); err != nil {
		return err
	}
	if old.ttl <= 0 {
		return nil
	}
	t.w.key = appendTTLKey(t.w.key[:0], t.c.number, t.r.number, expiry(&old.head), epk, id)
	return t.batch.Delete(t.w.key, nil)
}

// id keeps the index on id.
func (t *txn) id(epk, id string, doc uint64, there bool) error {
	w := t.w
	var space [64]byte
	w.key = appendIndexKey(w.key[:0], t.c.number, t.r.number, appendIDTerm(space[:0], id), doc, epk, id)
	if there {
		return t.batch.Set(w.key, nil, nil)
	}
	return t.batch.Delete(w.key, nil)
}

// index changes the index entries that differ.
func (t *txn) index(now, was span, doc uint64, epk, id string) error {
	x, w := &t.w.x, t.w
	rebuilding := len(t.set.previous) > 0
	i, j := now.from, was.from
	for i < now.to || j < was.to {
		order := 0
		switch {
		case i == now.to:
			order = 1
		case j == was.to:
			order = -1
		default:
			order = bytes.Compare(x.bytes(x.terms[i]), x.bytes(x.terms[j]))
		}
		var err error
		switch {
		case order > 0:
			w.key = appendIndexKey(w.key[:0], t.c.number, t.r.number, x.bytes(x.terms[j]), doc, epk, id)
			err = t.batch.Delete(w.key, nil)
			j++
		default:
			// An index that is made anew need not hold what it should.
			if order < 0 || rebuilding {
				w.key = appendIndexKey(w.key[:0], t.c.number, t.r.number, x.bytes(x.terms[i]), doc, epk, id)
				err = t.batch.Set(w.key, nil, nil)
			}
			i++
			if order == 0 {
				j++
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unique takes the item's unique keys and gives back those that it had. It
// tells whether they were free; if not, nothing has changed.
func (t *txn) unique(d *draft, was *facts, epk, id string) (free bool, err error) {
	x, w := &t.w.x, t.w
	had := was.unique.to > was.unique.from
	differs := func(i int) bool { return !had || x.hash[d.unique.from+i] != x.hash[was.unique.from+i] }
	for i := range t.set.shape.uniques {
		if !differs(i) {
			continue
		}
		w.key = appendUniqueKey(w.key[:0], t.c.number, epk, i, x.hash[d.unique.from+i])
		holder, err := t.get(w.key)
		if err != nil {
			return false, err
		}
		if len(holder) == 0 || string(holder) == id {
			continue
		}
		if free, err := t.purge(epk, string(holder)); err != nil || !free {
			return false, err
		}
	}
	for i := range t.set.shape.uniques {
		if !differs(i) {
			continue
		}
		if had {
			w.key = appendUniqueKey(w.key[:0], t.c.number, epk, i, x.hash[was.unique.from+i])
			t.changed(w.key, nil)
			if err := t.batch.Delete(w.key, nil); err != nil {
				return false, err
			}
		}
		w.key = appendUniqueKey(w.key[:0], t.c.number, epk, i, x.hash[d.unique.from+i])
		t.changed(w.key, []byte(id))
		if err := t.batch.Set(w.key, []byte(id), nil); err != nil {
			return false, err
		}
	}
	return true, nil
}

// purge removes an item that has expired, and tells whether it is gone.
func (t *txn) purge(epk, id string) (gone bool, err error) {
	old, err := t.item(epk, id)
	if err != nil {
		return false, err
	}
	if old.live {
		return false, nil
	}
	if old.body == nil {
		return true, nil
	}
	// It may hold other unique keys that are wanted, too, and must not be found
	// there a second time.
	t.w.remember()
	_, err = t.remove(epk, id, &old)
	return true, err
}

// remove takes an item with all its keys out of the store, and tells how many
// index entries it had.
func (t *txn) remove(epk, id string, old *stored) (terms int, err error) {
	x, w := &t.w.x, t.w
	was := t.former(old)
	t.items--
	t.bytes -= int64(len(old.body))
	w.key = appendItemKey(w.key[:0], t.c.number, epk, id)
	t.changed(w.key, nil)
	if err := t.batch.Delete(w.key, nil); err != nil {
		return 0, err
	}
	if err := t.forget(epk, id, old); err != nil {
		return 0, err
	}
	if err := t.id(epk, id, old.doc, false); err != nil {
		return 0, err
	}
	if err := t.index(span{}, was.terms, old.doc, epk, id); err != nil {
		return 0, err
	}
	for i := range t.set.shape.uniques {
		w.key = appendUniqueKey(w.key[:0], t.c.number, epk, i, x.hash[was.unique.from+i])
		t.changed(w.key, nil)
		if err := t.batch.Delete(w.key, nil); err != nil {
			return 0, err
		}
	}
	return was.terms.to - was.terms.from, nil
}

package local

import (
	"errors"
	"net/http"
	"unicode/utf8"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

const (
	// maxItem bounds an item's JSON as the client sends it.
	maxItem = 2 << 20
	// maxItemID bounds the id of an item, in bytes of UTF-8.
	maxItemID = 1023
)

// itemHandlers are the handlers of everything about the items of a container.
func (s *Server) itemHandlers() map[operation]handler {
	return map[operation]handler{
		opItemCreate:  func(c *call) error { return c.write(store.OpCreate) },
		opItemUpsert:  func(c *call) error { return c.write(store.OpUpsert) },
		opItemReplace: func(c *call) error { return c.write(store.OpReplace) },
		opItemRead:    func(c *call) error { return c.read() },
		opItemDelete:  func(c *call) error { return c.remove() },
		opItemPatch:   func(c *call) error { return c.patch() },
		opItemFeed:    pageOf((*call).readFeed),
		opChangeFeed:  pageOf((*call).changeFeed),
		opItemQuery:   pageOf((*call).queryItems),
		opQueryPlan:   func(c *call) error { return c.planQuery() },
		opBatch:       func(c *call) error { return c.batch() },
	}
}

// write answers a create, an upsert and a replace.
func (c *call) write(kind store.OpKind) error {
	doc, err := value.Parse(c.body)
	if err != nil {
		return invalidPayload(err.Error())
	}
	key, err := c.wholeKey()
	if err != nil {
		return err
	}
	op := store.Op{Kind: kind, IfMatch: c.in.ifMatch, IfNoneMatch: c.in.ifNoneMatch, NoBody: c.in.minimal}
	if kind == store.OpReplace {
		if op.ID, err = c.itemID(key); err != nil {
			return err
		}
	}
	if err := c.prepare(&op, doc, &key, true); err != nil {
		return err
	}
	return c.single(key, op)
}

// read answers a point read.
func (c *call) read() error {
	key, id, err := c.address()
	if err != nil {
		return err
	}
	rangeID := c.rangeOf(key)
	if err := c.admit(rangeID); err != nil {
		return err
	}
	item, err := c.items().Get(c.ctx, key, id)
	c.session(rangeID, c.items().LSN(rangeID))
	c.spend(rangeID, chargeRead(len(item.Body)))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notFound()
	case err != nil:
		return c.storeError(err)
	case c.in.ifMatch != "" && c.in.ifMatch != "*" && c.in.ifMatch != item.ETag:
		return preconditionFailed()
	case c.in.ifNoneMatch != "" && (c.in.ifNoneMatch == "*" || c.in.ifNoneMatch == item.ETag):
		c.out.etag = item.ETag
		return c.empty(http.StatusNotModified)
	}
	c.out.body = append(c.out.body, item.Body...)
	return c.ok(http.StatusOK, item.ETag)
}

// remove answers a delete.
func (c *call) remove() error {
	key, id, err := c.address()
	if err != nil {
		return err
	}
	return c.single(key, store.Op{Kind: store.OpDelete, ID: id, IfMatch: c.in.ifMatch, IfNoneMatch: c.in.ifNoneMatch})
}

// address is the partition key and the id of the item that a request is about.
func (c *call) address() (key partition.Key, id string, err error) {
	if key, err = c.wholeKey(); err != nil {
		return key, "", err
	}
	id, err = c.itemID(key)
	return key, id, err
}

// prepare checks the item that a create, upsert or replace brings, and completes
// op with it. Without a key the item's own one is taken.
func (c *call) prepare(op *store.Op, doc value.Value, key *partition.Key, hasKey bool) error {
	if doc.Kind() != value.KindObject {
		return invalidPayload("an item is a JSON object")
	}
	op.Body = doc.Raw()
	if len(op.Body) > maxItem {
		return tooLarge()
	}
	id, err := checkItem(doc)
	if err != nil {
		return err
	}
	if op.Kind == store.OpReplace && id != op.ID {
		return badRequest("The id of an item cannot be changed: the item to replace is %q, the new one says %q.", clip(op.ID), clip(id))
	}
	op.ID = id
	own, err := partition.FromValue(c.definition(), doc)
	switch {
	case err != nil && hasKey:
		// A value that can be no key is not the one of the header.
		return partitionKeyMismatch()
	case err != nil:
		return badRequest("The partition key of the item cannot be used: %s.", err)
	case !hasKey:
		*key = own
	case !own.Equal(*key):
		return partitionKeyMismatch()
	}
	return nil
}

// checkItem returns the id of an item, after checking it and the item's ttl.
func checkItem(doc value.Value) (string, error) {
	var id, ttl value.Value
	doc.EachMember(func(name string, v value.Value) bool {
		switch name {
		case "id":
			id = v
		case "ttl":
			ttl = v
		}
		return true
	})
	text, ok := id.AsString()
	switch {
	case id.IsUndefined():
		return "", badRequest("The input content is invalid because the required properties - 'id; ' - are missing.")
	case !ok:
		return "", badRequest("The input content is invalid because the property 'id' is not a string.")
	}
	if err := checkItemID(text); err != nil {
		return "", err
	}
	if n, ok := ttl.AsNumber(); !ttl.IsUndefined() && ttl.Kind() != value.KindNull &&
		(!ok || n != -1 && (n < 1 || n > 1<<31-1 || n != float64(int64(n)))) {
		return "", badRequest("The input ttl '%s' is invalid. Ensure to provide a nonzero positive integer less than or equal to '2147483647', or -1 for never.", clip(ttl.String()))
	}
	return text, nil
}

// checkItemID tells what is wrong with the id of an item.
func checkItemID(id string) error {
	if id == "" || len(id) > maxItemID || !utf8.ValidString(id) {
		return badRequest("The input name '%s' is invalid. Ensure to provide a unique non-empty string less than '%d' characters.", clip(id), maxItemID+1)
	}
	for i := range len(id) {
		switch id[i] {
		case '/', '\\', '?', '#':
			return badRequest("The input name '%s' is invalid. Ensure that there are no characters such as '/', '\\', '?' and '#' in it.", clip(id))
		}
	}
	return nil
}

// anyKey is the partition key of the request's header, which may be a prefix.
func (c *call) anyKey() (partition.Key, error) {
	key, err := partition.ParseHeader(c.definition(), c.in.partitionKey)
	switch {
	case errors.Is(err, partition.ErrMismatch):
		return key, &failure{status: http.StatusBadRequest, substatus: subPartitionKeyMismatch,
			message: "The partition key supplied in x-ms-documentdb-partitionkey does not have the number of components that the container's definition has."}
	case err != nil:
		return key, badRequest("The header x-ms-documentdb-partitionkey cannot be used: %s.", err)
	}
	return key, nil
}

func fewerComponents() *failure {
	return &failure{status: http.StatusBadRequest, substatus: subPartitionKeyMismatch,
		message: "The partition key supplied in x-ms-documentdb-partitionkey has fewer components than defined in the collection."}
}

// wholeKey is the partition key of a request that must have one.
func (c *call) wholeKey() (partition.Key, error) {
	if !c.in.hasPartitionKey {
		return partition.Key{}, badRequest("PartitionKey value must be supplied for this operation: the header x-ms-documentdb-partitionkey is missing.")
	}
	key, err := c.anyKey()
	if err == nil && !key.Complete() {
		err = fewerComponents()
	}
	return key, err
}

// single does one operation and answers with what came of it.
func (c *call) single(key partition.Key, op store.Op) error {
	rangeID := c.rangeOf(key)
	if err := c.admit(rangeID); err != nil {
		return err
	}
	results, err := c.items().Apply(c.ctx, key, []store.Op{op})
	if err != nil {
		return c.storeError(err)
	}
	r := &results[0]
	c.spend(rangeID, c.price(op.Kind, r))
	c.session(rangeID, c.items().LSN(rangeID))
	if f := outcome(r); f != nil {
		return f
	}
	if r.Status == store.Deleted {
		return c.empty(http.StatusNoContent)
	}
	if !c.in.minimal {
		c.out.body = append(c.out.body, r.Body...)
	}
	return c.ok(r.Status.HTTP(), r.ETag)
}

// price is what an operation cost.
func (c *call) price(kind store.OpKind, r *store.OpResult) float64 {
	unique := c.uniqueKeys()
	switch r.Status {
	case store.Created:
		return chargeInsert(r.Size, r.Terms, unique)
	case store.Replaced:
		return chargeReplace(r.Size, r.Terms, r.OldSize, r.OldTerms, unique)
	case store.Deleted:
		return chargeInsert(r.OldSize, r.OldTerms, unique)
	case store.Found, store.NotModified:
		return chargeRead(max(r.Size, r.OldSize))
	case store.NotFound:
		return chargeRead(0)
	case store.FailedDependency:
		return 0
	}
	if kind == store.OpRead {
		return chargeRead(r.OldSize)
	}
	return refusedWrite
}

// outcome is the error answer for an operation that was not done, nil if it was.
func outcome(r *store.OpResult) *failure {
	switch r.Status {
	case store.NotFound:
		return notFound()
	case store.Conflict:
		return conflict()
	case store.UniqueConflict:
		return uniqueViolation()
	case store.PreconditionFailed:
		return preconditionFailed()
	case store.NotModified:
		return &failure{status: http.StatusNotModified, message: "The item has not been changed."}
	case store.FailedDependency:
		return failedDependency()
	case store.Refused:
		if f := asFailure(r.Err); f != nil {
			return f
		}
		if errors.Is(r.Err, store.ErrTooMuch) {
			return &failure{status: http.StatusRequestEntityTooLarge, message: "The items that the batch would give back are too large: at most 4 MB."}
		}
		return badRequest("The item cannot be stored: %s.", r.Err)
	}
	return nil
}

func failedDependency() *failure {
	return &failure{status: http.StatusFailedDependency, message: "The operation was not done because another one of its batch failed."}
}

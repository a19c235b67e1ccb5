package local

import (
	"errors"
	"net/http"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// items is the store's container of the request.
func (c *call) items() *store.Container { return c.coll.Container }

// definition is the partition key of the container.
func (c *call) definition() partition.Definition { return c.coll.Definition() }

// physical are the physical ranges of the container, by number.
func (c *call) physical() []partition.Range { return c.coll.Ranges() }

// rangeOf is the physical range of a key's logical partition.
func (c *call) rangeOf(key partition.Key) int { return c.coll.RangeOf(key) }

// uniqueKeys is how many unique keys the items of the container have.
func (c *call) uniqueKeys() int { return len(c.coll.Properties().UniqueKeys) }

// storeError is the answer to an error of the store, or of a query that reads
// it.
func (c *call) storeError(err error) error {
	switch {
	case err == nil, asFailure(err) != nil:
		return err
	case errors.Is(err, store.ErrGone), errors.Is(err, store.ErrNotFound):
		return &failure{status: http.StatusNotFound, message: "Owner resource does not exist."}
	case errors.Is(err, store.ErrClosed):
		return &failure{status: http.StatusServiceUnavailable, message: "The server is stopping."}
	}
	return err
}

// itemID is the id of the item that the path names. Clients that go by _self
// links have the item's _rid in the path; the item is then looked for in its
// logical partition.
func (c *call) itemID(key partition.Key) (string, error) {
	name := c.path.name
	if c.path.container != c.coll.RID() || !c.isItemRID(name) {
		return name, nil
	}
	bounds := key.Range()
	it, err := c.items().Open(c.ctx, store.Access{Low: bounds.Low, High: bounds.High})
	if err != nil {
		return "", c.storeError(err)
	}
	defer it.Close()
	for it.Next() {
		item := value.Trusted(it.Item())
		if rid, ok := item.Get("_rid").AsString(); ok && rid == name {
			id, _ := item.Get("id").AsString()
			return string([]byte(id)), nil // the iterator's memory is used again
		}
	}
	return name, c.storeError(it.Err())
}

// isItemRID tells whether a name has the form of the _rid of an item of the
// container.
func (c *call) isItemRID(name string) bool {
	b, ok := ridBytes(name)
	own, _ := ridBytes(c.coll.RID())
	return ok && len(b) == 16 && string(b[:8]) == string(own)
}

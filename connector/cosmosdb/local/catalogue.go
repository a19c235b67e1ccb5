package local

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector/cosmosdb/local/store"
)

// container is a container with what the server keeps of it in memory. It is
// safe for concurrent use.
type container struct {
	*store.Container
	db     *store.Database
	budget *budget
	stats  counters
	// Values of headers that name what the resource is in: of items this
	// container, of the container itself its database.
	altPath, contentPath           []byte
	ownerAltPath, ownerContentPath []byte
	quota                          atomic.Pointer[quota]
}

// quota is how large a container is, as headers tell it. Asking for it with
// every answer would cost more than it is worth, so it is a second old at most.
type quota struct {
	at   time.Time
	used []byte
}

// quotaLimits are what one physical range of the service holds, in KB.
var quotaLimits = []byte("functions=25;storedProcedures=100;triggers=25;documentSize=52428800;documentsSize=52428800;" +
	"documentsCount=-1;collectionSize=52428800;")

const quotaAge = time.Second

// usage returns the headers about the container's size.
func (c *container) usage(now time.Time) *quota {
	q := c.quota.Load()
	if q != nil && now.Sub(q.at) < quotaAge && !now.Before(q.at) {
		return q
	}
	var items, bytes int64
	for i := range c.Ranges() {
		n, size := c.Count(i)
		items, bytes = items+n, bytes+size
	}
	kb := strconv.FormatInt((bytes+1023)/1024, 10)
	q = &quota{at: now, used: []byte("functions=0;storedProcedures=0;triggers=0;documentSize=" + kb + ";documentsSize=" + kb +
		";documentsCount=" + strconv.FormatInt(items, 10) + ";collectionSize=" + kb + ";")}
	c.quota.Store(q)
	return q
}

// resource is the container as JSON.
func (c *container) resource() ([]byte, error) {
	p := c.Properties()
	s, err := settingsOf(&p)
	if err != nil {
		return nil, err
	}
	text, err := s.appendJSON(nil)
	if err != nil {
		return nil, err
	}
	return appendContainer(nil, text, c.db.RID, c.RID(), c.ETag(), c.Modified().Unix()), nil
}

// catalogue finds databases and containers, and keeps budgets and counters of
// containers. It is safe for concurrent use.
type catalogue struct {
	store    *store.Store
	override int // see Options.Throughput
	now      func() time.Time

	mu    sync.RWMutex
	known map[*store.Container]*container
	// shared are the budgets of databases with throughput of their own, by
	// _rid.
	shared map[string]*budget
}

func newCatalogue(s *store.Store, override int, now func() time.Time) *catalogue {
	return &catalogue{store: s, override: override, now: now, known: map[*store.Container]*container{}, shared: map[string]*budget{}}
}

// database finds a database by its id or _rid.
func (k *catalogue) database(name string) (*store.Database, error) {
	d, err := k.store.Database(name)
	if err != nil && looksLikeRID(name) {
		return k.store.DatabaseByRID(name)
	}
	return d, err
}

// container finds a container of a database by its id or _rid.
func (k *catalogue) container(d *store.Database, name string) (*container, error) {
	c, err := k.store.Container(d, name)
	if err != nil && looksLikeRID(name) {
		if c, err = k.store.ContainerByRID(name); err == nil && c.Self() != containerSelf(d.RID, c.RID()) {
			return nil, store.ErrNotFound // it is another database's
		}
	}
	if err != nil {
		return nil, err
	}
	return k.of(d, c)
}

// of returns what is kept of a container of the store.
func (k *catalogue) of(d *store.Database, c *store.Container) (*container, error) {
	k.mu.RLock()
	known := k.known[c]
	k.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.known[c]; known != nil {
		return known, nil
	}
	// One that was deleted since it was found would be kept for ever.
	if now, err := k.store.ContainerByRID(c.RID()); err != nil || now != c {
		return nil, store.ErrNotFound
	}
	b, err := k.budgetOf(d, c)
	if err != nil {
		return nil, err
	}
	owner := "dbs/" + asciiPath(d.ID)
	known = &container{Container: c, db: d, budget: b,
		altPath: []byte(owner + "/colls/" + asciiPath(c.ID())), contentPath: []byte(c.RID()),
		ownerAltPath: []byte(owner), ownerContentPath: []byte(d.RID)}
	k.known[c] = known
	return known, nil
}

// budgetOf makes or finds the budget of a container: its own, else its
// database's. k.mu is held.
func (k *catalogue) budgetOf(d *store.Database, c *store.Container) (*budget, error) {
	o, err := k.store.OfferOf(c.RID())
	switch {
	case err == nil:
		return newBudget(k.limit(o), len(c.Ranges()), k.now()), nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	if b := k.shared[d.RID]; b != nil {
		return b, nil
	}
	o, err = k.store.OfferOf(d.RID)
	if errors.Is(err, store.ErrNotFound) {
		// It is being deleted at this moment.
		o = &store.Offer{Throughput: defaultThroughput}
	} else if err != nil {
		return nil, err
	}
	b := newBudget(k.limit(o), rangesFor(throughputOf(o).limit()), k.now())
	k.shared[d.RID] = b
	return b, nil
}

func throughputOf(o *store.Offer) throughput {
	if o.Max != 0 {
		return throughput{max: o.Max}
	}
	return throughput{manual: o.Throughput}
}

// limit is what an offer lets be used.
func (k *catalogue) limit(o *store.Offer) int {
	if k.override != 0 {
		return k.override
	}
	return throughputOf(o).limit()
}

// offerOf is what the store keeps of a throughput; nil of none.
func offerOf(t throughput) *store.Offer {
	switch {
	case t.max != 0:
		return &store.Offer{Throughput: t.floor(), Max: t.max}
	case t.manual != 0:
		return &store.Offer{Throughput: t.manual}
	}
	return nil
}

func (k *catalogue) createDatabase(ctx context.Context, id string, t throughput) (*store.Database, error) {
	return k.store.CreateDatabase(ctx, id, offerOf(t))
}

func (k *catalogue) deleteDatabase(ctx context.Context, d *store.Database, ifMatch string) error {
	if err := k.store.DeleteDatabase(ctx, d, ifMatch); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.known, func(_ *store.Container, c *container) bool { return c.db.RID == d.RID })
	delete(k.shared, d.RID)
	return nil
}

// createContainer makes a container. If nothing is said of its throughput, it
// shares its database's, or has the smallest there is.
func (k *catalogue) createContainer(ctx context.Context, d *store.Database, p store.Properties, t throughput) (*container, error) {
	ranges := rangesFor(t.limit())
	if t.limit() == 0 {
		o, err := k.store.OfferOf(d.RID)
		switch {
		case err == nil:
			ranges = rangesFor(throughputOf(o).limit())
		case errors.Is(err, store.ErrNotFound):
			t.manual = defaultThroughput
		default:
			return nil, err
		}
	}
	c, err := k.store.CreateContainer(ctx, d, p, ranges, offerOf(t))
	if err != nil {
		return nil, err
	}
	return k.of(d, c)
}

func (k *catalogue) deleteContainer(ctx context.Context, c *container, ifMatch string) error {
	if err := k.store.DeleteContainer(ctx, c.Container, ifMatch); err != nil {
		return err
	}
	k.mu.Lock()
	delete(k.known, c.Container)
	k.mu.Unlock()
	return nil
}

// containers lists those of a database.
func (k *catalogue) containers(d *store.Database) ([]*container, error) {
	var all []*container
	for _, c := range k.store.Containers(d) {
		known, err := k.of(d, c)
		if err != nil {
			return nil, err
		}
		all = append(all, known)
	}
	return all, nil
}

// setThroughput changes an offer, and the budget that goes by it, at once.
func (k *catalogue) setThroughput(ctx context.Context, o *store.Offer, t throughput, ifMatch string) (*store.Offer, error) {
	wanted := offerOf(t)
	o, err := k.store.ReplaceOffer(ctx, o.RID, wanted.Throughput, wanted.Max, ifMatch)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	latest, err := k.store.Offer(o.RID)
	if err != nil {
		return o, nil // it has gone with its container
	}
	// Of two changes at once the store knows which is the later one.
	if o.Database {
		if b := k.shared[o.Resource]; b != nil {
			b.set(k.limit(latest), k.now())
		}
		return o, nil
	}
	if c, err := k.store.ContainerByRID(o.Resource); err == nil && k.known[c] != nil {
		k.known[c].budget.set(k.limit(latest), k.now())
	}
	return o, nil
}

// rangesOf is over how many physical ranges an offer is split.
func (k *catalogue) rangesOf(o *store.Offer) int {
	if !o.Database {
		if c, err := k.store.ContainerByRID(o.Resource); err == nil {
			return len(c.Ranges())
		}
		return 1
	}
	most := 1
	if d, err := k.store.DatabaseByRID(o.Resource); err == nil {
		for _, c := range k.store.Containers(d) {
			most = max(most, len(c.Ranges()))
		}
	}
	return most
}

// asciiPath percent-encodes what a header cannot hold.
func asciiPath(id string) string {
	b := make([]byte, 0, len(id))
	for i := range len(id) {
		c := id[i]
		if c < ' ' || c >= 0x7f || c == '%' {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
			continue
		}
		b = append(b, c)
	}
	return string(b)
}

const upperHex = "0123456789ABCDEF"

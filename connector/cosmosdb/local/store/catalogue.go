package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"millrace/connector/cosmosdb/local/partition"

	"github.com/cockroachdb/pebble/v2"
)

// catalogue is everything but the items. It is immutable: a change makes
// another one.
type catalogue struct {
	databases  map[uint32]*Database
	containers map[uint32]*Container
	offers     map[uint32]*Offer
	// By name, of containers behind the database's number, and by rid.
	names map[string]*Database
	paths map[containerPath]*Container
	rids  map[string]uint32
	// after is run when an edit has been committed, or could not be.
	after []func(committed bool)
}

type containerPath struct {
	database uint32
	id       string
}

func (c *catalogue) clone() *catalogue {
	return &catalogue{
		databases: maps.Clone(c.databases), containers: maps.Clone(c.containers), offers: maps.Clone(c.offers),
		names: maps.Clone(c.names), paths: maps.Clone(c.paths), rids: maps.Clone(c.rids),
	}
}

// The records of the catalogue, as JSON.
type databaseRecord struct {
	ID   string `json:"id"`
	Etag stamp  `json:"etag"`
}

type containerRecord struct {
	Database     uint32               `json:"database"`
	ID           string               `json:"id"`
	PartitionKey partition.Definition `json:"partitionKey"`
	Ranges       int                  `json:"ranges"`
	UniqueKeys   [][]string           `json:"uniqueKeys,omitempty"`
	Indexing     json.RawMessage      `json:"indexing,omitempty"`
	DefaultTTL   *int                 `json:"defaultTtl,omitempty"`
	Other        json.RawMessage      `json:"other,omitempty"`
	// Previous are the policies that some items may still be indexed by.
	Previous []json.RawMessage `json:"previous,omitempty"`
	Etag     stamp             `json:"etag"`
}

type offerRecord struct {
	Resource   string `json:"resource"`
	Database   bool   `json:"database,omitempty"`
	Throughput int    `json:"throughput"`
	Max        int    `json:"max,omitempty"`
	Etag       stamp  `json:"etag"`
}

// stamp is what makes the etag of a record.
type stamp struct {
	Change  uint32 `json:"change"`
	Session uint16 `json:"session"`
	Seconds uint32 `json:"seconds"`
}

func (s stamp) etag() string {
	h := head{lsn: int64(s.Change), number: 0xFFFF, session: s.Session, seconds: s.Seconds}
	return h.etag()
}

func (s stamp) time() time.Time { return time.Unix(int64(s.Seconds), 0) }

// stamp is that of a record that is written now. s.change is held.
func (s *Store) stamp() stamp {
	return stamp{Change: s.number(), Session: s.session, Seconds: s.seconds()}
}

// number gives a number that nothing in the store has or had.
func (s *Store) number() uint32 {
	s.next++
	return s.next
}

func (s *Store) seconds() uint32 { return uint32(max(s.now().Unix(), 0)) }

// Resource ids are made of numbers, spread so that they do not look alike.
func databaseRID(number uint32) []byte {
	return binary.BigEndian.AppendUint32(nil, number*2654435761)
}

func containerRID(database, number uint32) [8]byte {
	var rid [8]byte
	copy(rid[:], databaseRID(database))
	binary.BigEndian.PutUint32(rid[4:], number*2654435761|1<<31)
	return rid
}

func offerRID(number uint32) []byte {
	return binary.BigEndian.AppendUint32(nil, number*2654435761)[1:]
}

// loadCatalogue reads all records.
func (s *Store) loadCatalogue() error {
	next, err := s.value(metaKey("next"))
	if err != nil {
		return err
	}
	if len(next) == 4 {
		s.next = binary.BigEndian.Uint32(next)
	}
	cat := &catalogue{databases: map[uint32]*Database{}, containers: map[uint32]*Container{}, offers: map[uint32]*Offer{},
		names: map[string]*Database{}, paths: map[containerPath]*Container{}, rids: map[string]uint32{}}
	for _, kind := range []byte{recordDatabase, recordContainer, recordOffer} {
		low := []byte{spaceCatalogue, kind}
		iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: successor(low)})
		if err != nil {
			return err
		}
		for iter.First(); iter.Valid(); iter.Next() {
			key := iter.Key()
			if len(key) != 6 {
				return errors.Join(errKey, iter.Close())
			}
			if err := s.loadRecord(cat, kind, binary.BigEndian.Uint32(key[2:]), iter.Value()); err != nil {
				return errors.Join(fmt.Errorf("a record of its catalogue cannot be read: %w", err), iter.Close())
			}
		}
		if err := iter.Close(); err != nil {
			return err
		}
	}
	s.catalogue.Store(cat)
	return nil
}

func (s *Store) loadRecord(cat *catalogue, kind byte, number uint32, text []byte) error {
	switch kind {
	case recordDatabase:
		var r databaseRecord
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		cat.addDatabase(number, &r)
	case recordContainer:
		var r containerRecord
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		c, err := s.newContainer(number, &r)
		if err != nil {
			return err
		}
		if err := c.recover(); err != nil {
			return err
		}
		cat.addContainer(c)
	default:
		var r offerRecord
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		cat.addOffer(number, &r)
	}
	return nil
}

func (c *catalogue) addDatabase(number uint32, r *databaseRecord) *Database {
	d := &Database{ID: r.ID, RID: ridString(databaseRID(number)), ETag: r.Etag.etag(), Modified: r.Etag.time(), number: number}
	c.databases[number], c.names[d.ID], c.rids[d.RID] = d, d, number
	return d
}

func (c *catalogue) addContainer(n *Container) {
	c.containers[n.number], c.paths[containerPath{n.database, n.id}], c.rids[n.rid] = n, n, n.number
}

func (c *catalogue) addOffer(number uint32, r *offerRecord) *Offer {
	o := &Offer{RID: ridString(offerRID(number)), ETag: r.Etag.etag(), Modified: r.Etag.time(), Resource: r.Resource,
		Database: r.Database, Throughput: r.Throughput, Max: r.Max}
	c.offers[number], c.rids[o.RID] = o, number
	return o
}

// edit makes a change of the catalogue: do gets a copy of it and a batch, and
// what it did to them is kept if it returns no error.
func (s *Store) edit(ctx context.Context, do func(cat *catalogue, b *pebble.Batch) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.acquire(); err != nil {
		return err
	}
	defer s.release()
	s.change.Lock()
	defer s.change.Unlock()
	cat, b := s.catalogue.Load().clone(), s.db.NewBatch()
	defer b.Close()
	committed := false
	defer func() {
		for _, f := range cat.after {
			f(committed)
		}
		cat.after = nil
	}()
	if err := do(cat, b); err != nil {
		return err
	}
	if err := b.Set(metaKey("next"), binary.BigEndian.AppendUint32(nil, s.next), nil); err != nil {
		return err
	}
	if err := s.commit(b); err != nil {
		return err
	}
	committed = true
	s.catalogue.Store(cat)
	return nil
}

func put(b *pebble.Batch, kind byte, number uint32, record any) error {
	text, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("cannot write a record of the catalogue: %w", err)
	}
	return b.Set(recordKey(kind, number), text, nil)
}

// Databases gives all databases, by id.
func (s *Store) Databases() []*Database {
	return slices.SortedFunc(maps.Values(s.catalogue.Load().names), func(a, b *Database) int { return strings.Compare(a.ID, b.ID) })
}

// Database gives a database by its id. The error is ErrNotFound.
func (s *Store) Database(id string) (*Database, error) {
	if d := s.catalogue.Load().names[id]; d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("database %q: %w", id, ErrNotFound)
}

// DatabaseByRID gives a database by its resource id. The error is ErrNotFound.
func (s *Store) DatabaseByRID(rid string) (*Database, error) {
	cat := s.catalogue.Load()
	if d := cat.databases[cat.rids[rid]]; d != nil && d.RID == rid {
		return d, nil
	}
	return nil, fmt.Errorf("the database with the resource id %q: %w", rid, ErrNotFound)
}

// CreateDatabase makes a database, with an offer if offer is not nil: of that
// its throughput counts. The error is ErrExists if its id is taken.
func (s *Store) CreateDatabase(ctx context.Context, id string, offer *Offer) (d *Database, err error) {
	err = s.edit(ctx, func(cat *catalogue, b *pebble.Batch) error {
		if cat.names[id] != nil {
			return fmt.Errorf("database %q: %w", id, ErrExists)
		}
		number := s.number()
		r := &databaseRecord{ID: id, Etag: s.stamp()}
		d = cat.addDatabase(number, r)
		return errors.Join(put(b, recordDatabase, number, r), s.putOffer(cat, b, d.RID, true, offer))
	})
	return d, err
}

// DeleteDatabase deletes a database with all that is in it. With ifMatch its
// etag must be that one, else the error is ErrPrecondition; ErrNotFound is
// another.
func (s *Store) DeleteDatabase(ctx context.Context, d *Database, ifMatch string) error {
	return s.edit(ctx, func(cat *catalogue, b *pebble.Batch) error {
		now := cat.databases[d.number]
		if now == nil {
			return fmt.Errorf("database %q: %w", d.ID, ErrNotFound)
		}
		if !matches(ifMatch, now.ETag) {
			return fmt.Errorf("database %q: %w", d.ID, ErrPrecondition)
		}
		var errs []error
		for _, c := range cat.containers {
			if c.database == d.number {
				errs = append(errs, s.dropContainer(cat, b, c))
			}
		}
		delete(cat.databases, d.number)
		delete(cat.names, now.ID)
		delete(cat.rids, now.RID)
		errs = append(errs, b.Delete(recordKey(recordDatabase, d.number), nil), s.dropOffer(cat, b, now.RID))
		return errors.Join(errs...)
	})
}

// matches tells whether a precondition holds; "" and "*" always do.
func matches(ifMatch, etag string) bool {
	return ifMatch == "" || ifMatch == "*" || strings.Trim(ifMatch, `"`) == strings.Trim(etag, `"`)
}

package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Offers gives all offers, by resource id.
func (s *Store) Offers() []*Offer {
	return slices.SortedFunc(maps.Values(s.catalogue.Load().offers), func(a, b *Offer) int { return strings.Compare(a.RID, b.RID) })
}

// Offer gives an offer by its own resource id. The error is ErrNotFound.
func (s *Store) Offer(rid string) (*Offer, error) {
	cat := s.catalogue.Load()
	if o := cat.offers[cat.rids[rid]]; o != nil && o.RID == rid {
		return o, nil
	}
	return nil, fmt.Errorf("the offer %q: %w", rid, ErrNotFound)
}

// OfferOf gives the offer of a database or container, by that one's resource
// id. The error is ErrNotFound.
func (s *Store) OfferOf(resource string) (*Offer, error) {
	for _, o := range s.catalogue.Load().offers {
		if o.Resource == resource {
			return o, nil
		}
	}
	return nil, fmt.Errorf("an offer of %q: %w", resource, ErrNotFound)
}

// ReplaceOffer sets the throughput of an offer. The error is ErrNotFound, or
// ErrPrecondition if ifMatch is another etag than the offer's.
func (s *Store) ReplaceOffer(ctx context.Context, rid string, throughput, limit int, ifMatch string) (o *Offer, err error) {
	err = s.edit(ctx, func(cat *catalogue, b *pebble.Batch) error {
		number := cat.rids[rid]
		old := cat.offers[number]
		if old == nil || old.RID != rid {
			return fmt.Errorf("the offer %q: %w", rid, ErrNotFound)
		}
		if !matches(ifMatch, old.ETag) {
			return fmt.Errorf("the offer %q: %w", rid, ErrPrecondition)
		}
		r := &offerRecord{Resource: old.Resource, Database: old.Database, Throughput: throughput, Max: limit, Etag: s.stamp()}
		o = cat.addOffer(number, r)
		return put(b, recordOffer, number, r)
	})
	return o, err
}

// putOffer adds an offer to what is being created; a nil one is none.
func (s *Store) putOffer(cat *catalogue, b *pebble.Batch, resource string, database bool, offer *Offer) error {
	if offer == nil {
		return nil
	}
	number := s.number()
	r := &offerRecord{Resource: resource, Database: database, Throughput: offer.Throughput, Max: offer.Max, Etag: s.stamp()}
	cat.addOffer(number, r)
	return put(b, recordOffer, number, r)
}

// dropOffer deletes the offer of what is being deleted.
func (s *Store) dropOffer(cat *catalogue, b *pebble.Batch, resource string) error {
	for number, o := range cat.offers {
		if o.Resource == resource {
			delete(cat.offers, number)
			delete(cat.rids, o.RID)
			return b.Delete(recordKey(recordOffer, number), nil)
		}
	}
	return nil
}

package local

import (
	"errors"
	"fmt"
	"net/http"

	"millrace/connector/cosmosdb/local/store"
)

// resolve finds the database and the container that a request is about.
func (s *Server) resolve(c *call) *failure {
	p := &c.path
	if p.database == "" {
		return nil
	}
	var err error
	if c.db, err = s.known.database(p.database); err == nil && p.container != "" {
		c.coll, err = s.known.container(c.db, p.container)
	}
	if err == nil {
		return nil
	}
	c.out.charge += metadataRead
	if !errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("finding container %s: %w", p.container, err)
		s.opts.Log.Error("the Cosmos DB server could not answer a request", "error", err)
		return internalError(c)
	}
	f := notFound()
	if c.op >= opItemCreate || c.op == opRangeFeed || c.db == nil && p.kind != kindDatabase {
		// Something is asked of what has no owner.
		f.substatus, f.message = subOwnerNotFound, "Owner resource does not exist."
	}
	return f
}

// subOwnerNotFound is in 404s that are about the container or database of what
// was asked for. SDKs forget what they have cached of it.
const subOwnerNotFound = 1003

// count adds an answer to the counters.
func (s *Server) count(c *call) {
	s.total.count(c.out.status, c.out.charge)
	if c.coll != nil {
		c.coll.stats.count(c.out.status, c.out.charge)
	}
	if c.out.status == http.StatusTooManyRequests {
		s.total.throttled.Add(1)
	}
}

// Stats returns what has been counted of each container, by name of database
// and container.
func (s *Server) Stats() []Stats {
	var all []Stats
	for _, d := range s.store.Databases() {
		colls, err := s.known.containers(d)
		if err != nil {
			continue // it was deleted meanwhile
		}
		for _, c := range colls {
			all = append(all, c.stats.stats(d.ID, c.ID()))
		}
	}
	return all
}

// Total returns what has been counted of all requests, those included that are
// about no container or about one that is gone.
func (s *Server) Total() Stats { return s.total.stats("", "") }

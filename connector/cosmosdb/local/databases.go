package local

import (
	"errors"
	"fmt"
	"net/http"

	"millrace/connector/cosmosdb/local/store"
)

// Databases. Answered: create (with throughput that its containers share), read,
// delete with everything below, feed with paging, query. A database cannot be
// replaced, as with the service.

func (s *Server) createDatabase(c *call) error {
	members, f := parseObject(c.body)
	if f != nil {
		return f
	}
	var id string
	if _, f := member(members, "id", &id); f != nil {
		return f
	}
	if f := checkID(id); f != nil {
		return f
	}
	asked, f := askedThroughput(&c.in)
	if f != nil {
		return f
	}
	d, err := s.known.createDatabase(c.ctx, id, asked)
	c.out.charge += metadataWrite
	if err != nil {
		return catalogueError(err, "creating database "+id)
	}
	return c.database(http.StatusCreated, d)
}

func (c *call) database(status int, d *store.Database) error {
	c.out.body = appendDatabase(c.out.body, d)
	return c.ok(status, d.ETag)
}

func (s *Server) readDatabase(c *call) error {
	c.out.charge += metadataRead
	if c.in.ifNoneMatch != "" && c.in.ifNoneMatch == c.db.ETag {
		c.out.etag = c.db.ETag
		return c.empty(http.StatusNotModified)
	}
	return c.database(http.StatusOK, c.db)
}

func (s *Server) deleteDatabase(c *call) error {
	c.out.charge += metadataWrite
	if err := s.known.deleteDatabase(c.ctx, c.db, c.in.ifMatch); err != nil {
		return catalogueError(err, "deleting database "+c.db.ID)
	}
	return c.empty(http.StatusNoContent)
}

func (s *Server) databaseResources() []resource {
	var all []resource
	for _, d := range s.store.Databases() {
		all = append(all, resource{d.ID, d.RID, appendDatabase(nil, d)})
	}
	return all
}

func (s *Server) listDatabases(c *call) error { return c.feedOf("", s.databaseResources()) }

func (s *Server) queryDatabases(c *call) error { return c.queryOf("", s.databaseResources()) }

// catalogueError turns an error of the store about databases and containers
// into an answer.
func catalogueError(err error, doing string) error {
	switch {
	case errors.Is(err, store.ErrExists):
		return conflict()
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return notFound()
	case errors.Is(err, store.ErrPrecondition):
		return preconditionFailed()
	case errors.Is(err, store.ErrInvalid):
		return badRequest("%s", err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

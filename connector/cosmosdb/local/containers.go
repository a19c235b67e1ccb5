package local

import (
	"fmt"
	"net/http"
)

// Containers. Answered: create with all settings, read, replace (indexing
// policy, time to live and what means nothing here; not the key), delete, feed
// with paging, query. Composite, spatial, vector and full-text indexes, computed
// properties, conflict policies and the like are checked as far as it matters,
// kept and shown, and change nothing.

func (s *Server) createContainer(c *call) error {
	c.out.charge += metadataWrite
	wanted, f := parseSettings(c.body)
	if f != nil {
		return f
	}
	if !wanted.hasKey {
		return badRequest("The partition key definition of the container is missing; give \"partitionKey\":{\"paths\":[\"/deviceId\"],\"kind\":\"Hash\"}.")
	}
	asked, f := askedThroughput(&c.in)
	if f != nil {
		return f
	}
	p, err := wanted.properties()
	if err != nil {
		return err
	}
	coll, err := s.known.createContainer(c.ctx, c.db, p, asked)
	if err != nil {
		return catalogueError(err, "creating container "+p.ID)
	}
	c.coll = coll
	return c.container(http.StatusCreated)
}

// container answers with c.coll.
func (c *call) container(status int) error {
	text, err := c.coll.resource()
	if err != nil {
		return err
	}
	c.out.body = append(c.out.body, text...)
	c.header("x-ms-documentdb-collection-index-transformation-progress", "100")
	return c.ok(status, c.coll.ETag())
}

func (s *Server) readContainer(c *call) error {
	c.out.charge += metadataRead
	if c.in.ifNoneMatch != "" && c.in.ifNoneMatch == c.coll.ETag() {
		c.out.etag = c.coll.ETag()
		return c.empty(http.StatusNotModified)
	}
	return c.container(http.StatusOK)
}

func (s *Server) replaceContainer(c *call) error {
	c.out.charge += metadataWrite
	wanted, f := parseSettings(c.body)
	if f != nil {
		return f
	}
	old := c.coll.Properties()
	before, err := settingsOf(&old)
	if err != nil {
		return err
	}
	if f := wanted.checkReplacement(before); f != nil {
		return f
	}
	p, err := wanted.properties()
	if err != nil {
		return err
	}
	if err := s.store.ReplaceContainer(c.ctx, c.coll.Container, p, c.in.ifMatch); err != nil {
		return catalogueError(err, "replacing container "+p.ID)
	}
	return c.container(http.StatusOK)
}

func (s *Server) deleteContainer(c *call) error {
	c.out.charge += metadataWrite
	if err := s.known.deleteContainer(c.ctx, c.coll, c.in.ifMatch); err != nil {
		return catalogueError(err, "deleting container "+c.coll.ID())
	}
	return c.empty(http.StatusNoContent)
}

func (s *Server) containerResources(c *call) ([]resource, error) {
	colls, err := s.known.containers(c.db)
	if err != nil {
		return nil, fmt.Errorf("listing the containers of %s: %w", c.db.ID, err)
	}
	all := make([]resource, len(colls))
	for i, coll := range colls {
		text, err := coll.resource()
		if err != nil {
			return nil, err
		}
		all[i] = resource{coll.ID(), coll.RID(), text}
	}
	return all, nil
}

func (s *Server) listContainers(c *call) error {
	all, err := s.containerResources(c)
	if err != nil {
		return err
	}
	return c.feedOf(c.db.RID, all)
}

func (s *Server) queryContainers(c *call) error {
	all, err := s.containerResources(c)
	if err != nil {
		return err
	}
	return c.queryOf(c.db.RID, all)
}

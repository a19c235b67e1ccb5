package local

import (
	"net/http"
	"strconv"

	"millrace/connector/cosmosdb/local/value"
)

// Physical ranges: GET pkranges. Answered: all of them in one page, with an etag
// for which a client that comes again ("A-IM: Incremental feed") gets 304: the
// ranges of a container never change. They are made when the container is.

func (s *Server) listRanges(c *call) error {
	c.out.charge += metadataRead
	ranges := c.coll.Ranges()
	// A container of the same name that is made anew has other ranges, so the
	// etag holds its _rid.
	etag := `"` + c.coll.RID() + "-" + strconv.Itoa(len(ranges)) + `"`
	c.out.etag = etag
	if c.in.ifNoneMatch == etag {
		return c.empty(http.StatusNotModified)
	}
	c.openFeed(c.coll.RID())
	// The shares of a container's throughput add up to 1.
	share := strconv.AppendFloat(nil, 1/float64(len(ranges)), 'g', -1, 64)
	self := containerSelf(c.coll.db.RID, c.coll.RID()) + "pkranges/"
	for i, r := range ranges {
		if i > 0 {
			c.out.body = append(c.out.body, ',')
		}
		rid := rangeRID(c.coll.RID(), i)
		b := append(c.out.body, `{"id":"`...)
		b = append(appendInt(b, i), `","minInclusive":`...)
		b = append(value.AppendString(b, r.Low), `,"maxExclusive":`...)
		b = append(value.AppendString(b, r.High), `,"ridPrefix":`...)
		b = append(appendInt(b, i), `,"throughputFraction":`...)
		b = append(append(b, share...), `,"status":"online","parents":[],"ownedArchivalPKRangeIds":[]`...)
		b = appendSystem(b, rid, self+rid+"/", c.coll.ETag(), c.coll.Modified().Unix())
		c.out.body = append(b, '}')
	}
	if err := c.closeFeed(len(ranges), ""); err != nil {
		return err
	}
	c.out.etag = etag
	return nil
}

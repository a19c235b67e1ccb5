package local

import (
	"encoding/base64"
	"strconv"
	"strings"

	"millrace/connector/cosmosdb/local/store"
)

const (
	// maxPageBytes bounds a page of items; one item is given in any case.
	maxPageBytes = 4 << 20
	// usualPage is a page's number of items when the client says nothing, and
	// largePage when it leaves that to the server.
	usualPage = 100
	largePage = 1000
	// maxPage bounds what a client may ask for.
	maxPage = 100_000
)

// pageSize is how many items a page may have.
func (c *call) pageSize() int {
	switch n := c.in.maxItems; {
	case n == 0:
		return usualPage
	case n < 0:
		return largePage
	default:
		return min(n, maxPage)
	}
}

// feedPage collects the items of a page in the answer's body.
type feedPage struct {
	c     *call
	items int
	start int // of the items in the body
	left  int
}

// beginPage writes the envelope of a page of the container's items up to the
// first one.
func (c *call) beginPage() feedPage {
	c.openFeed(c.coll.RID())
	return feedPage{c: c, start: len(c.out.body), left: c.pageSize()}
}

// fits tells whether another item of so many bytes may be added.
func (p *feedPage) fits(size int) bool {
	return p.left > 0 && (p.items == 0 || p.bytes()+size+1 <= maxPageBytes)
}

func (p *feedPage) add(item []byte) {
	b := p.c.out.body
	if p.items > 0 {
		b = append(b, ',')
	}
	p.c.out.body = append(b, item...)
	p.items++
	p.left--
}

// bytes is the length of the items so far.
func (p *feedPage) bytes() int { return len(p.c.out.body) - p.start }

// readFeed answers with a page of the items of a container, in the order of
// their effective partition keys and ids.
func (c *call) readFeed() error {
	s, err := c.scope()
	if err != nil {
		return err
	}
	from, after, err := parseItemToken(c.in.continuation)
	if err != nil {
		return err
	}
	page := c.beginPage()
	next := ""
	for i, rangeID := range s.ranges {
		if rangeID < from {
			continue
		}
		if err := c.admit(rangeID); err != nil {
			if page.items == 0 && rangeID == max(from, s.ranges[0]) {
				return err
			}
			next = itemToken(rangeID, nil) // the rest when there are request units again
			break
		}
		if rangeID != from {
			after = nil
		}
		position, more, err := c.readRange(&page, s, rangeID, after)
		if err != nil {
			return err
		}
		if more {
			next = itemToken(rangeID, position)
			break
		}
		if i+1 < len(s.ranges) && !page.fits(0) {
			next = itemToken(s.ranges[i+1], nil)
			break
		}
	}
	return c.closeFeed(page.items, next)
}

// readRange adds what fits of the items of one physical range. more: there are
// others, after position.
func (c *call) readRange(page *feedPage, s scope, rangeID int, after []byte) (position []byte, more bool, err error) {
	part := s.in(c.physical()[rangeID])
	it, err := c.items().Open(c.ctx, store.Access{Low: part.Low, High: part.High, After: after})
	if err != nil {
		return nil, false, c.storeError(err)
	}
	defer it.Close()
	items, bytes := page.items, page.bytes()
	position = append(position, after...)
	for it.Next() {
		item := it.Item()
		if !page.fits(len(item)) {
			more = true
			break
		}
		page.add(item)
		position = append(position[:0], it.Position()...)
	}
	if err := it.Err(); err != nil {
		return nil, false, c.storeError(err)
	}
	c.spend(rangeID, chargeFeed(page.items-items, int64(page.bytes()-bytes)))
	c.session(rangeID, c.items().LSN(rangeID))
	return position, more, nil
}

// itemToken is the continuation of a read feed: the physical range to go on
// with, and the position in it, "2.bG9uZ2Vy".
func itemToken(rangeID int, position []byte) string {
	return strconv.Itoa(rangeID) + "." + base64.RawURLEncoding.EncodeToString(position)
}

func parseItemToken(token string) (rangeID int, position []byte, err error) {
	if token == "" {
		return 0, nil, nil
	}
	id, rest, ok := strings.Cut(token, ".")
	if ok {
		rangeID, err = strconv.Atoi(id)
	}
	if !ok || err != nil || rangeID < 0 {
		return 0, nil, badToken()
	}
	if rest == "" {
		return rangeID, nil, nil
	}
	if position, err = base64.RawURLEncoding.DecodeString(rest); err != nil {
		return 0, nil, badToken()
	}
	return rangeID, position, nil
}

func badToken() *failure {
	return badRequest("Invalid Continuation Token: it is not one that this server gave for this kind of request.")
}

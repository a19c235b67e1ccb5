package local

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// changeFeed answers with the latest versions of the items that were written
// behind the position that the client has, in the order of their writing in
// each physical range. 304: there are none. The etag is the next position.
func (c *call) changeFeed() error {
	if c.in.fullFidelity {
		return badRequest("The change feed of all versions and deletes is not supported by this server; ask for \"Incremental feed\".")
	}
	s, err := c.scope()
	if err != nil {
		return err
	}
	since, err := changesSince(c.in.ifModifiedSince)
	if err != nil {
		return err
	}
	positions, err := c.changePositions(s)
	if err != nil {
		return err
	}
	page := c.beginPage()
	for i, rangeID := range s.ranges {
		if !page.fits(0) {
			break
		}
		if err := c.admit(rangeID); err != nil {
			if page.items == 0 {
				return err
			}
			break // the rest when there are request units again
		}
		if positions[i], err = c.changesOf(&page, s, rangeID, positions[i], since); err != nil {
			return err
		}
	}
	c.out.etag = changeToken(s.ranges, positions)
	if page.items == 0 {
		return c.empty(http.StatusNotModified)
	}
	return c.closeFeed(page.items, "")
}

// changesOf adds the changes of one physical range behind a position, and
// returns the next position.
func (c *call) changesOf(page *feedPage, s scope, rangeID int, after int64, since time.Time) (int64, error) {
	part := s.in(c.physical()[rangeID])
	items, bytes := page.items, page.bytes()
	end := c.items().LSN(rangeID)
	// One look may end before it has found anything of this scope.
	for done := false; !done; {
		changes, next, err := c.items().Changes(c.ctx, store.ChangeRequest{Range: rangeID, After: after, Since: since,
			Low: part.Low, High: part.High, Max: page.left, MaxBytes: maxPageBytes})
		if err != nil {
			return 0, c.storeError(err)
		}
		done = len(changes) > 0 || next >= end
		for i := range changes {
			if !page.fits(len(changes[i].Body) + changeExtra) {
				next = changes[i].LSN - 1
				break
			}
			page.addChange(&changes[i])
		}
		after = next
	}
	c.spend(rangeID, chargeFeed(page.items-items, int64(page.bytes()-bytes)))
	c.session(rangeID, end)
	return after, nil
}

// changeExtra is what an item grows by in the change feed at most.
const changeExtra = len(`{"current":,"_lsn":,"metadata":{"lsn":,"crts":}}`) + 3*20

// addChange adds an item with its _lsn, which items have in the change feed
// only. Clients that say so get it as the "current" one of a change, as they do
// of the feed of all versions: Java's processor is one.
func (p *feedPage) addChange(ch *store.Change) {
	item := ch.Body[:len(ch.Body)-1]
	var b []byte
	if p.c.in.changesInside {
		p.add([]byte(`{"current":`))
		b = append(p.c.out.body, item...)
	} else {
		p.add(item)
		b = p.c.out.body
	}
	b = append(b, `,"_lsn":`...)
	b = append(strconv.AppendInt(b, ch.LSN, 10), '}')
	if p.c.in.changesInside {
		b = append(b, `,"metadata":{"lsn":`...)
		b = strconv.AppendInt(b, ch.LSN, 10)
		b = append(b, `,"crts":`...)
		stored, _ := value.Trusted(ch.Body).Get("_ts").AsNumber()
		b = append(strconv.AppendInt(b, int64(stored), 10), "}}"...)
	}
	p.c.out.body = b
}

// changesSince reads If-Modified-Since: the zero time if there is none.
func changesSince(header string) (time.Time, error) {
	if header == "" {
		return time.Time{}, nil
	}
	since, err := http.ParseTime(header)
	if err != nil {
		return since, badRequest("The value of the header If-Modified-Since is not a date like %s.", http.TimeFormat)
	}
	return since, nil
}

// changePositions are the positions to read the scope's ranges from.
func (c *call) changePositions(s scope) ([]int64, error) {
	positions := make([]int64, len(s.ranges))
	switch token := strings.TrimSpace(c.in.ifNoneMatch); token {
	case "":
	case "*":
		for i, rangeID := range s.ranges {
			positions[i] = c.items().LSN(rangeID)
		}
	default:
		if !parseChangeToken(token, s.ranges, positions) {
			return nil, badRequest("The value of the header If-None-Match is no etag of a change feed of this part of the container.")
		}
	}
	return positions, nil
}

// changeToken is the etag of a change feed: the next position, "17", or if it is
// about several physical ranges that of each, "0:17,1:5".
func changeToken(ranges []int, positions []int64) string {
	b := []byte{'"'}
	for i, rangeID := range ranges {
		if i > 0 {
			b = append(b, ',')
		}
		if len(ranges) > 1 {
			b = strconv.AppendInt(b, int64(rangeID), 10)
			b = append(b, ':')
		}
		b = strconv.AppendInt(b, positions[i], 10)
	}
	return string(append(b, '"'))
}

// parseChangeToken reads what changeToken made, with or without its quotes, and
// for one of the ranges, too, of what was made for several. It fills in the
// positions and tells whether it is a token for these ranges.
func parseChangeToken(token string, ranges []int, positions []int64) bool {
	if len(token) >= 2 && token[0] == '"' && token[len(token)-1] == '"' {
		token = token[1 : len(token)-1]
	}
	if len(ranges) == 1 && !strings.ContainsRune(token, ':') {
		return parsePosition(token, &positions[0])
	}
	for i := range positions {
		positions[i] = -1
	}
	for part := range strings.SplitSeq(token, ",") {
		var rangeID, lsn int64
		id, position, _ := strings.Cut(part, ":")
		if !parsePosition(id, &rangeID) || !parsePosition(position, &lsn) {
			return false
		}
		if i := slices.Index(ranges, int(min(rangeID, math.MaxInt32))); i >= 0 && positions[i] < 0 {
			positions[i] = lsn
		} else if i >= 0 {
			return false
		}
	}
	return !slices.Contains(positions, -1)
}

// parsePosition reads a number without a sign.
func parsePosition(text string, to *int64) bool {
	if text == "" || text[0] < '0' || text[0] > '9' {
		return false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	*to = n
	return err == nil
}

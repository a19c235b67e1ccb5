package local

import (
	"net/url"
	"slices"
	"strings"
)

// Feeds of databases, containers and offers: few resources, all in memory.

// resource is one of them, as JSON.
type resource struct {
	id, rid string
	json    []byte
}

// maxFeedPage is how many resources a page has at most.
const maxFeedPage = 1000

// feedOf answers with a page of the resources, in the order of their ids. A page
// after the first begins behind the id in the continuation.
func (c *call) feedOf(rid string, all []resource) error {
	slices.SortFunc(all, func(a, b resource) int { return strings.Compare(a.id, b.id) })
	if escaped, ok := strings.CutPrefix(c.in.continuation, feedToken); ok {
		after, _ := url.QueryUnescape(escaped) // what is broken begins at the beginning
		i, found := slices.BinarySearchFunc(all, after, func(r resource, id string) int { return strings.Compare(r.id, id) })
		if found {
			i++
		}
		all = all[i:]
	} else if c.in.continuation != "" {
		return badRequest("Invalid continuation token: it is not one of this feed.")
	}
	size := maxFeedPage
	if c.in.maxItems > 0 {
		size = min(size, c.in.maxItems)
	}
	continuation := ""
	if len(all) > size {
		all = all[:size]
		continuation = feedToken + url.QueryEscape(all[size-1].id) // headers are ASCII
	}
	c.out.charge += metadataRead
	return c.resources(rid, all, continuation)
}

// feedToken begins the continuation tokens of these feeds.
const feedToken = "after:"

func (c *call) resources(rid string, all []resource, continuation string) error {
	c.openFeed(rid)
	for i, r := range all {
		if i > 0 {
			c.out.body = append(c.out.body, ',')
		}
		c.out.body = append(c.out.body, r.json...)
	}
	return c.closeFeed(len(all), continuation)
}

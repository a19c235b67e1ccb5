package local

import "millrace/connector/cosmosdb/local/query"

// queryOf answers a query over resources that are not items: the databases, the
// containers of one, or the offers. rid is the feed's.
func (c *call) queryOf(rid string, all []resource) error {
	q, parameters, err := parseQuery(c.body)
	if err != nil {
		return err
	}
	items := make(memorySource, len(all))
	for i := range all {
		items[i] = all[i].json
	}
	plan, err := query.Compile(q, query.Options{Parameters: parameters, MaxItems: c.pageSize(), Now: c.now, Continuation: c.in.continuation})
	if err != nil {
		return queryFailure(err)
	}
	page, err := plan.Run(c.ctx, items)
	if err != nil {
		return queryFailure(err)
	}
	c.openFeed(rid)
	for i, item := range page.Items {
		if i > 0 {
			c.out.body = append(c.out.body, ',')
		}
		c.out.body = append(c.out.body, item...)
	}
	c.out.charge += queryBase
	return c.closeFeed(len(page.Items), page.Continuation)
}

package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"millrace/connector/cosmosdb/local/query"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// maxContinuation bounds the continuation of a query: it travels in a header,
// and HTTP clients refuse long ones.
const maxContinuation = 12 << 10

// parseQuery reads {"query":"...","parameters":[{"name":"@x","value":1}]}. The
// values are views of the body. The error is a *failure.
func parseQuery(body []byte) (*sql.Query, map[string]value.Value, error) {
	doc, err := value.Parse(body)
	if err != nil {
		return nil, nil, invalidPayload(err.Error())
	}
	text, ok := doc.Get("query").AsString()
	if !ok {
		return nil, nil, invalidPayload("a query is like {\"query\":\"SELECT ...\",\"parameters\":[{\"name\":\"@x\",\"value\":1}]}")
	}
	parameters := map[string]value.Value{}
	given := doc.Get("parameters")
	wrong := given.Kind() != value.KindArray && given.Kind() != value.KindNull && !given.IsUndefined()
	given.EachElement(func(p value.Value) bool {
		name, ok := p.Get("name").AsString()
		if !ok || !strings.HasPrefix(name, "@") || len(name) < 2 {
			wrong = true
			return false
		}
		parameters[name] = p.Get("value")
		return true
	})
	if wrong {
		return nil, nil, invalidPayload("the parameters of a query are like [{\"name\":\"@x\",\"value\":1}]")
	}
	q, err := sql.Parse(text)
	return q, parameters, queryFailure(err)
}

// queryFailure is the answer to an error of parsing or running a query.
func queryFailure(err error) error {
	if err == nil {
		return nil
	}
	var syntax *sql.SyntaxError
	var wrong *query.Error
	switch {
	case errors.As(err, &syntax):
		return &failure{status: http.StatusBadRequest, detail: "Message: " + syntax.JSON()}
	case errors.As(err, &wrong):
		return badRequest("%s", wrong.Message)
	}
	return err
}

// queryItems answers with a page of a query's results. Over several physical
// ranges only such queries are served whose results can follow each other; the
// others are refused with the plan by which a client can run them itself.
func (c *call) queryItems() error {
	q, parameters, err := parseQuery(c.body)
	if err != nil {
		return err
	}
	s, err := c.scope()
	if err != nil {
		return err
	}
	if !c.in.hasPartitionKey && c.in.rangeID == "" && c.in.startEPK == "" && c.in.endEPK == "" {
		if err := c.crossPartition(q, parameters, &s); err != nil {
			return err
		}
	}
	o := query.Options{Parameters: parameters, MaxItems: c.pageSize(), Now: c.now, Definition: c.definition(), Memory: queryMemory}
	ctx, cancel := context.WithTimeout(c.ctx, queryTime)
	defer cancel()
	leave, err := c.srv.queries.enter(ctx)
	if err == nil {
		defer leave()
		err = c.runQuery(ctx, q, o, s)
	}
	if errors.Is(err, context.DeadlineExceeded) && c.ctx.Err() == nil {
		return &failure{status: http.StatusRequestTimeout, message: fmt.Sprintf("The query was given up after %v. "+
			"Name a partition key, filter by what is indexed, or ask for less at a time.", queryTime)}
	}
	return err
}

// runQuery answers with a page, from one physical range after the other.
func (c *call) runQuery(ctx context.Context, q *sql.Query, o query.Options, s scope) error {
	from, inner, err := parseQueryToken(c.in.continuation)
	if err != nil {
		return err
	}
	c.openFeed(c.coll.RID())
	p := queryPage{call: c, ctx: ctx, options: o, start: len(c.out.body), started: time.Now()}
	p.options.Until = p.started.Add(queryPageTime)
	next := ""
	for i, rangeID := range s.ranges {
		if rangeID < from {
			continue
		}
		if err := c.admit(rangeID); err != nil {
			if !p.ran {
				return err
			}
			next = queryToken(rangeID, "") // the rest when there are request units again
			break
		}
		if rangeID != from {
			inner = ""
		}
		more, err := p.run(q, s.in(c.physical()[rangeID]), rangeID, inner)
		if err != nil {
			return err
		}
		if more != "" {
			next = queryToken(rangeID, more)
			break
		}
		if i+1 < len(s.ranges) && p.full() {
			next = queryToken(s.ranges[i+1], "")
			break
		}
	}
	if len(next) > maxContinuation {
		return badRequest("The query's results cannot be continued: what a page ends with is too large for a continuation. " +
			"Ask for larger pages, or for less than whole items in DISTINCT, GROUP BY and ORDER BY.")
	}
	if c.in.metrics {
		c.header("x-ms-documentdb-query-metrics", p.metrics())
	}
	if p.stats.OrderPart {
		c.header("x-ms-cosmos-query-execution-info", p.execution())
	}
	if c.in.indexMetrics {
		c.header("x-ms-cosmos-index-utilization", p.utilization())
	}
	return c.closeFeed(p.items, next)
}

// queryToken is the continuation of a query: the physical range to go on with,
// and the continuation in it.
func queryToken(rangeID int, inner string) string { return strconv.Itoa(rangeID) + ":" + inner }

func parseQueryToken(token string) (rangeID int, inner string, err error) {
	if token == "" {
		return 0, "", nil
	}
	id, inner, ok := strings.Cut(token, ":")
	if ok {
		rangeID, err = strconv.Atoi(id)
	}
	if !ok || err != nil || rangeID < 0 {
		return 0, "", badToken()
	}
	return rangeID, inner, nil
}

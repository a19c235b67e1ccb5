package cosmosdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// The service's gateway answers queries over several partition key ranges only
// if their results can simply be put behind each other. For all others (ORDER
// BY, TOP, OFFSET, aggregates, DISTINCT, GROUP BY) clients ask it for a plan,
// send the query that the plan holds to every range, and put the query's result
// together themselves. The Go SDK (v1.4.1) does not do that; this file and its
// neighbours merge.go and aggregate.go do, on top of it.

// planFeatures are what plans may ask of this client.
const planFeatures = "Aggregate, CompositeAggregate, CountIf, Distinct, GroupBy, MultipleAggregates, MultipleOrderBy, NonValueAggregate, OffsetAndLimit, OrderBy, Top"

// orderFilter is where a client that resumes puts a condition of its own.
const orderFilter = "{documentdb-formattableorderbyquery-filter}"

// plan is how a query is run over several ranges, as the service says.
type plan struct {
	QueryInfo struct {
		DistinctType                string             `json:"distinctType"`
		Top                         *int64             `json:"top"`
		Offset                      *int64             `json:"offset"`
		Limit                       *int64             `json:"limit"`
		OrderBy                     []string           `json:"orderBy"`
		GroupByExpressions          []string           `json:"groupByExpressions"`
		GroupByAliases              []string           `json:"groupByAliases"`
		Aggregates                  []string           `json:"aggregates"`
		GroupByAliasToAggregateType map[string]*string `json:"groupByAliasToAggregateType"`
		RewrittenQuery              string             `json:"rewrittenQuery"`
		HasSelectValue              bool               `json:"hasSelectValue"`
		DCountInfo                  json.RawMessage    `json:"dCountInfo"`
		HasNonStreamingOrderBy      bool               `json:"hasNonStreamingOrderBy"`
	} `json:"queryInfo"`
	QueryRanges []struct {
		Min          string `json:"min"`
		Max          string `json:"max"`
		MinInclusive bool   `json:"isMinInclusive"`
		MaxInclusive bool   `json:"isMaxInclusive"`
	} `json:"queryRanges"`
}

// plan asks for the plan of a query.
func (s *Store) plan(ctx context.Context, query string) (*plan, error) {
	e := &errand{instead: "{}", header: http.Header{
		"X-Ms-Cosmos-Is-Query-Plan-Request":    {"True"},
		"X-Ms-Cosmos-Supported-Query-Features": {planFeatures},
		"X-Ms-Cosmos-Query-Version":            {"1.4"},
	}}
	err := s.account.repeat(ctx, "asking for the plan of a query", nil, func() error {
		_, err := s.container.NewQueryItemsPager(query, azcosmos.NewPartitionKey(), nil).NextPage(e.context(ctx))
		return err
	})
	if err != nil {
		return nil, err
	}
	p := new(plan)
	if err := json.Unmarshal(e.body, p); err != nil {
		return nil, fmt.Errorf("reading the plan of a query: %w", err)
	}
	q := &p.QueryInfo
	if q.HasNonStreamingOrderBy || len(q.DCountInfo) > 0 && string(q.DCountInfo) != "null" {
		return nil, &connector.Hinted{Hint: "put a simpler query, or one within a single partition key",
			Err: errors.New("the service's plan for this query needs what this client cannot do (non-streaming ORDER BY, or a count of distinct values)")}
	}
	if q.RewrittenQuery == "" {
		q.RewrittenQuery = query
	}
	q.RewrittenQuery = strings.ReplaceAll(q.RewrittenQuery, orderFilter, "true")
	return p, nil
}

// concerns tells whether a range can have results.
func (p *plan) concerns(r keyRange) bool {
	for _, q := range p.QueryRanges {
		// Empty is the beginning as a minimum; "FF" is behind every key.
		begins := q.Min < r.max || q.MinInclusive && q.Min == "" && r.max == ""
		ends := q.Max > r.min || q.MaxInclusive && q.Max == r.min
		if begins && ends {
			return true
		}
	}
	return len(p.QueryRanges) == 0
}

// planned runs a query by its plan.
func (s *Store) planned(ctx context.Context, query string) (items, error) {
	p, err := s.plan(ctx, query)
	if err != nil {
		return nil, err
	}
	ranges, err := s.ranges(ctx)
	if err != nil {
		return nil, err
	}
	var sources []*pages
	for _, r := range ranges {
		if p.concerns(r) {
			sources = append(sources, &pages{s: s, query: p.QueryInfo.RewrittenQuery, rangeID: r.id})
		}
	}
	first, inner := errgroup.WithContext(ctx)
	first.SetLimit(scanReaders)
	for _, src := range sources {
		first.Go(func() error { return src.fetch(inner) })
	}
	if err := first.Wait(); err != nil {
		return nil, err
	}
	return p.assemble(sources)
}

// assemble puts together what makes the query's result of the ranges' results.
func (p *plan) assemble(sources []*pages) (items, error) {
	q := &p.QueryInfo
	var from items
	if len(q.OrderBy) > 0 {
		from = newMerge(sources, q.OrderBy)
	} else {
		from = &chain{sources}
	}
	if len(q.GroupByExpressions) > 0 || len(q.Aggregates) > 0 || len(q.GroupByAliasToAggregateType) > 0 {
		grouped, err := newGroups(from, p)
		if err != nil {
			return nil, err
		}
		from = grouped
	}
	if q.DistinctType != "" && q.DistinctType != "None" {
		from = &distinct{from: from, ordered: q.DistinctType == "Ordered", seen: make(map[string]struct{})}
	}
	if q.Offset != nil || q.Limit != nil {
		l := &limited{from: from, left: -1}
		if q.Offset != nil {
			l.skip = *q.Offset
		}
		if q.Limit != nil {
			l.left = *q.Limit
		}
		from = l
	}
	if q.Top != nil {
		from = &limited{from: from, left: *q.Top}
	}
	return from, nil
}

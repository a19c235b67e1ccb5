package query

import (
	"slices"
	"strings"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// PartitionedInfo is how a client runs a query over several partition key
// ranges: its JSON is the answer to a request for a query plan.
type PartitionedInfo struct {
	Version     int          `json:"partitionedQueryExecutionInfoVersion"`
	QueryInfo   QueryInfo    `json:"queryInfo"`
	QueryRanges []QueryRange `json:"queryRanges"`

	// NeedsPlan tells that the results of several ranges make up the query's
	// result only with the plan: without one the query is to be refused over
	// several ranges, with status 400 and substatus 1004.
	NeedsPlan bool `json:"-"`
	// needs are the features that a client must have for the plan, and refused
	// is set if the query cannot be run over several ranges at all.
	needs   []string
	refused error
}

// QueryInfo is what a client has to do with the results of the ranges, and the
// query that it must send to each of them. Fields that are nil do not apply.
type QueryInfo struct {
	DistinctType                string             `json:"distinctType"` // None, Ordered or Unordered
	Top                         *int               `json:"top"`
	Offset                      *int               `json:"offset"`
	Limit                       *int               `json:"limit"`
	OrderBy                     []string           `json:"orderBy"` // Ascending or Descending
	OrderByExpressions          []string           `json:"orderByExpressions"`
	GroupByExpressions          []string           `json:"groupByExpressions"`
	GroupByAliases              []string           `json:"groupByAliases"`
	Aggregates                  []string           `json:"aggregates"`
	GroupByAliasToAggregateType map[string]*string `json:"groupByAliasToAggregateType"`
	RewrittenQuery              string             `json:"rewrittenQuery"`
	HasSelectValue              bool               `json:"hasSelectValue"`
	DCountInfo                  *struct{}          `json:"dCountInfo"`
	HasNonStreamingOrderBy      bool               `json:"hasNonStreamingOrderBy"`
}

// QueryRange is a range of effective partition keys that can have results, as
// upper-case hexadecimal text.
type QueryRange struct {
	Min          string `json:"min"`
	Max          string `json:"max"`
	MinInclusive bool   `json:"isMinInclusive"`
	MaxInclusive bool   `json:"isMaxInclusive"`
}

// Types of distinct results.
const (
	distinctNone      = "None"
	distinctOrdered   = "Ordered"
	distinctUnordered = "Unordered"
)

// Info makes the plan of a query, with the values of its parameters, for a
// container with this partition key. Errors are *sql.SyntaxError: it finds what
// Compile finds. A query that no plan exists for has none that Unsupported lets
// pass.
func Info(q *sql.Query, def partition.Definition, parameters map[string]value.Value) (*PartitionedInfo, error) {
	p, err := Compile(q, Options{Parameters: parameters, Definition: def})
	if err != nil {
		return nil, err
	}
	w := &rewriter{query: q, plan: p, info: &PartitionedInfo{Version: 2, QueryInfo: QueryInfo{
		DistinctType: distinctNone, OrderBy: []string{}, OrderByExpressions: []string{}, GroupByExpressions: []string{},
		GroupByAliases: []string{}, Aggregates: []string{}, GroupByAliasToAggregateType: map[string]*string{},
		HasSelectValue: q.Select.Value != nil,
	}}}
	w.info.QueryRanges = p.queryRanges()
	w.rewrite()
	return w.info, nil
}

// Pinned tells whether all results are of one logical partition.
func (i *PartitionedInfo) Pinned() bool {
	return len(i.QueryRanges) == 1 && i.QueryRanges[0].Min == i.QueryRanges[0].Max
}

// Unsupported tells why the plan is of no use to a client with these features,
// separated by commas as in the header of its request, nil if it is: a *Error. A
// client that does not say ("") is taken to have all.
func (i *PartitionedInfo) Unsupported(features string) error {
	if i.refused != nil {
		return i.refused
	}
	if strings.TrimSpace(features) == "" {
		return nil
	}
	has := map[string]bool{}
	for f := range strings.SplitSeq(features, ",") {
		has[strings.TrimSpace(f)] = true
	}
	missing := slices.DeleteFunc(slices.Clone(i.needs), func(f string) bool { return has[f] })
	if len(missing) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("Query contains 1 or more unsupported features. Upgrade your SDK to a version that does support the requested features:")
	for _, f := range missing {
		b.WriteString("\nQuery contained " + f + ", which the calling client does not support.")
	}
	return badRequest("%s", b.String())
}

// queryRanges are the ranges that WHERE leaves.
func (p *Plan) queryRanges() []QueryRange {
	all := []QueryRange{{Min: "", Max: partition.End, MinInclusive: true}}
	if !p.named || len(p.ranges) == 0 {
		return all
	}
	complete := true
	for _, path := range p.options.Definition.Paths {
		names, err := partition.SplitPath(path)
		if err != nil {
			return all
		}
		path, _ := policyPath(names)
		_, known := p.filter.values[path]
		complete = complete && known
	}
	ranges := make([]QueryRange, len(p.ranges))
	for i, r := range p.ranges {
		ranges[i] = QueryRange{Min: r.Low, Max: r.High, MinInclusive: true}
		if complete {
			ranges[i].Max, ranges[i].MaxInclusive = r.Low, true
		}
	}
	return ranges
}

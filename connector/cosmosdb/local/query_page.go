package local

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/query"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// queryPage collects the results of a query in the answer's body, and what it
// took to find them.
type queryPage struct {
	call    *call
	ctx     context.Context // of the query
	options query.Options
	start   int // of the results in the body
	items   int
	ran     bool
	stats   query.Stats
	started time.Time
	compile time.Duration
}

// run adds the results from one physical range, and returns where to go on in
// it: "" if it is done.
func (p *queryPage) run(q *sql.Query, bounds partition.Range, rangeID int, continuation string) (string, error) {
	c, o := p.call, p.options
	o.Low, o.High, o.Continuation = bounds.Low, bounds.High, continuation
	o.MaxItems -= p.items
	o.MaxBytes = maxPageBytes - p.bytes()
	began := time.Now()
	plan, err := query.Compile(q, o)
	if err != nil {
		return "", queryFailure(err)
	}
	p.compile += time.Since(began)
	page, err := plan.Run(p.ctx, c.items())
	if err != nil {
		return "", queryFailure(c.storeError(err))
	}
	for _, item := range page.Items {
		if p.items > 0 {
			c.out.body = append(c.out.body, ',')
		}
		c.out.body = append(c.out.body, item...)
		p.items++
	}
	st := &page.Stats
	c.spend(rangeID, chargeQuery(st.ItemsRead, st.BytesRead, st.OutputBytes))
	c.session(rangeID, c.items().LSN(rangeID))
	p.ran = true
	p.stats.ItemsRead += st.ItemsRead
	p.stats.BytesRead += st.BytesRead
	p.stats.OutputBytes += st.OutputBytes
	p.stats.Index = st.Index
	p.stats.OrderPart, p.stats.Reversed = st.OrderPart, st.Reversed
	return page.Continuation, nil
}

func (p *queryPage) bytes() int { return len(p.call.out.body) - p.start }

// full tells whether nothing more may be added.
func (p *queryPage) full() bool {
	return p.items >= p.options.MaxItems || p.bytes() >= maxPageBytes || !time.Now().Before(p.options.Until)
}

// metrics is the value of the header with which clients show what a query did.
// The store does not tell the time of its steps apart: running is all one.
func (p *queryPage) metrics() string {
	total := milliseconds(time.Since(p.started))
	compile := milliseconds(p.compile)
	ratio := 0.0
	if p.stats.ItemsRead > 0 {
		ratio = min(1, float64(p.items)/float64(p.stats.ItemsRead))
	}
	return fmt.Sprintf("totalExecutionTimeInMs=%.2f;queryCompileTimeInMs=%.2f;queryLogicalPlanBuildTimeInMs=0.00;"+
		"queryPhysicalPlanBuildTimeInMs=0.00;queryOptimizationTimeInMs=0.00;VMExecutionTimeInMs=%.2f;indexLookupTimeInMs=0.00;"+
		"documentLoadTimeInMs=0.00;systemFunctionExecuteTimeInMs=0.00;userFunctionExecuteTimeInMs=0.00;"+
		"retrievedDocumentCount=%d;retrievedDocumentSize=%d;outputDocumentCount=%d;outputDocumentSize=%d;writeOutputTimeInMs=0.00;"+
		"indexUtilizationRatio=%.2f", total, compile, max(0, total-compile), p.stats.ItemsRead, p.stats.BytesRead, p.items, p.stats.OutputBytes, ratio)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// execution is the value of the header that tells clients which sort the results
// of several ranges in which order items with the same keys come.
func (p *queryPage) execution() string {
	return fmt.Sprintf(`{"reverseRidEnabled":false,"reverseIndexScan":%t}`, p.stats.Reversed)
}

// utilization is the value of the header that tells which index a query used.
func (p *queryPage) utilization() string {
	b := []byte(`{"UtilizedSingleIndexes":[`)
	if p.stats.Index != "" {
		b = append(b, `{"FilterExpression":"","IndexSpec":`...)
		b = value.AppendString(b, p.stats.Index+"/?")
		b = append(b, `,"FilterPreciseSet":true,"IndexPreciseSet":true,"IndexImpactScore":"High"}`...)
	}
	b = append(b, `],"PotentialSingleIndexes":[],"UtilizedCompositeIndexes":[],"PotentialCompositeIndexes":[]}`...)
	return base64.StdEncoding.EncodeToString(b)
}

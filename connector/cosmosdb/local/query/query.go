// Package query runs queries of Cosmos DB's language over the items of a
// container: it compiles a parsed query into closures over values, chooses how
// to read the items, and gives the results page by page. It also makes the
// query plans and rewritten queries with which clients run a query over several
// partition key ranges by themselves.
//
// # Pages
//
// A page's continuation says where the next one begins; nothing is kept between
// pages. Queries that need no order of their own stream: the next page resumes
// in the scan. ORDER BY without an index of its own, DISTINCT and GROUP BY
// select: each page is one scan that keeps the page's results only, those that
// are the smallest behind the last page's last one, by the keys of ORDER BY, the
// distinct value, or the group. That takes a scan for every page and memory for
// one page, and stays right while items come and go in between. Results of
// DISTINCT and GROUP BY therefore come in the order of their values.
//
// # Where it differs from the service
//
// ORDER BY needs no composite index and takes any expression; items without a
// value for one of its keys are left out. ORDER BY over texts that share their
// first 1024 bytes is exact only where no index is used. Aggregates may be part
// of larger expressions as long as a query runs over one range. Texts count
// code points. There are no user-defined functions, and no spatial, full-text
// or vector functions.
package query

import (
	"context"
	"fmt"
	"time"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// Source is what a query reads: a container, or anything else with items.
type Source interface {
	// Open reads items; the iterator gives them in the order of the access.
	Open(ctx context.Context, a store.Access) (store.Iterator, error)
	// Indexed tells whether the path, in the form of store.IndexScan, is in
	// the index for all items.
	Indexed(path string) bool
}

// Options are how a query is to be run. The zero value of each field is its
// default.
type Options struct {
	// Parameters are the values of @names, by name with the @.
	Parameters map[string]value.Value
	// MaxItems and MaxBytes bound a page; 0 or less is DefaultMaxItems and
	// DefaultMaxBytes. A page holds one result at least.
	MaxItems, MaxBytes int
	// MaxScan is after how many items read a streaming query ends a page that
	// is not full yet, so that a request ends in time; 0 is DefaultMaxScan.
	MaxScan int
	// Until is when a streaming query ends a page that is not full yet; zero is
	// never. It reads some items in any case. Other queries end when the
	// context of Run does.
	Until time.Time
	// Continuation is where to go on: of the page before, "" at first.
	Continuation string
	// Low and High bound the effective partition keys that the request is
	// for, as of store.Access: those of a partition key, of a partition key
	// range, or of a part of one.
	Low, High string
	// Definition is the container's partition key, with which a WHERE that
	// names one reads that logical partition only. The zero value is none.
	Definition partition.Definition
	// Now is the time that the query's functions see; zero is time.Now().
	Now time.Time
	// Memory bounds in bytes what sorting, grouping and the values made by the
	// query take; 0 is DefaultMemory. It bounds pages of sorted results as
	// well: they are shorter then.
	Memory int
}

// Defaults of Options.
const (
	DefaultMaxItems = 1000
	DefaultMaxBytes = 4 << 20
	DefaultMaxScan  = 1_000_000
	DefaultMemory   = 64 << 20
)

func (o Options) withDefaults() Options {
	set := func(field *int, fallback int) {
		if *field <= 0 {
			*field = fallback
		}
	}
	set(&o.MaxItems, DefaultMaxItems)
	set(&o.MaxBytes, DefaultMaxBytes)
	set(&o.MaxScan, DefaultMaxScan)
	set(&o.Memory, DefaultMemory)
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.High == "" {
		o.High = partition.End
	}
	return o
}

// Page is a part of a query's results.
type Page struct {
	// Items are the results' JSON. They stand on their own.
	Items [][]byte
	// Continuation asks for the next page: ASCII, without line ends; "" if
	// there is none. A next page may turn out to be empty.
	Continuation string
	// Stats is what the page cost.
	Stats Stats
}

// Stats is what a page of results took to find.
type Stats struct {
	// ItemsRead and BytesRead count the items that the query looked at.
	ItemsRead int
	BytesRead int64
	// OutputBytes is the length of the results.
	OutputBytes int64
	// Index is the path whose index was read, "" for none; ByID and
	// ByPartition tell that the query named ids or logical partitions.
	Index             string
	ByID, ByPartition bool
	// Sorted tells that results were collected and sorted, Grouped the same
	// of groups and aggregates.
	Sorted, Grouped bool
	// OrderPart tells that the query was made for a client that sorts the
	// results of several ranges, and Reversed that items with the same keys are
	// in descending order of the numbers in their _rid.
	OrderPart, Reversed bool
}

// Error is a query that cannot be run as asked, to be answered with status 400:
// a continuation of another query, a pattern that cannot be read, more memory
// than allowed. What is wrong with a query's text is a *sql.SyntaxError.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func badRequest(format string, args ...any) error {
	return &Error{Message: fmt.Sprintf(format, args...)}
}

// Codes of what is wrong with a query's meaning, as the service gives them
// where known.
const (
	codeUnresolved  = "SC2001" // an identifier that nothing defines
	codeUDF         = "SC2004" // an unknown user-defined function
	codeFunction    = "SC2005" // an unknown built-in function
	codeParameter   = "SC2010" // a parameter without a value
	codeDuplicate   = "SC2011" // a name twice in a SELECT list or in FROM
	codeStar        = "SC2040" // SELECT * over several inputs
	codeArguments   = "SC2050" // a wrong number of arguments
	codeCount       = "SC2060" // a count of TOP, OFFSET or LIMIT that is none
	codeLargeCount  = "SC2062" // one that is too large
	codeAggregate   = "SC2101" // an aggregate where none can be
	codeNotGrouped  = "SC2102" // neither grouped nor aggregated
	codeOrderGroups = "SC2103" // ORDER BY with GROUP BY
)

// Plan is a compiled query. It is immutable and safe for concurrent use.
type Plan struct {
	query   *sql.Query
	options Options
	root    *selection
	// compiler knows what the query reads, for choosing how.
	compiler *compiler
	// filter is what WHERE says of the items that are read, nil if the query
	// does not read them as they are, and ranges the logical partitions that
	// it names; named is false if it names none.
	filter *filter
	ranges []partition.Range
	named  bool
}

// Compile checks a query's meaning and makes it ready to run. Errors are
// *sql.SyntaxError. The query must not change as long as the plan is in use.
func Compile(q *sql.Query, o Options) (*Plan, error) {
	c := &compiler{options: o.withDefaults(), started: time.Now(), container: -1, set: otherMembers}
	root, err := c.selection(q, &scope{}, true)
	if err != nil {
		return nil, err
	}
	p := &Plan{query: q, options: c.options, root: root, compiler: c}
	if c.reads != nil && c.alias != "" {
		p.filter = &filter{values: map[string][]value.Value{}}
		c.collect(c.reads.Where, p.filter)
		p.ranges, p.named = keyRanges(c.options.Definition, p.filter)
	}
	return p, nil
}

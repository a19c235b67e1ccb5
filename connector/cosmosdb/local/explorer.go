package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/query"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/store"
)

// What pages for people need to know. It comes from the store itself: looking
// takes no request units from those who work, is not counted, and is never
// throttled.

// ErrNotFound is in the errors about databases and containers that are not
// there.
var ErrNotFound = store.ErrNotFound

// KeyNeeded tells whether requests must be signed with the account's key.
func (s *Server) KeyNeeded() bool { return !s.auth.open }

// Signed tells why a request of a page may not be answered, in one sentence;
// nil: it may. It is signed like those of the service, with the resource type
// "explorer" and the path and query without the first slash as the resource.
func (s *Server) Signed(r *http.Request) error {
	// What is remembered of a signature must not lie in memory that the
	// transport uses again.
	keep := strings.Clone
	c := call{srv: s, verb: keep(r.Method), now: s.opts.Now(), path: path{word: "explorer", link: keep(strings.TrimPrefix(r.URL.RequestURI(), "/"))}}
	c.in.authorization, c.in.date = keep(r.Header.Get("Authorization")), keep(r.Header.Get("X-Ms-Date"))
	switch f := s.auth.check(&c); {
	case f == nil:
		return nil
	case c.in.authorization == "":
		return errors.New("this server checks keys: a signature is missing")
	case f.status == http.StatusForbidden:
		return errors.New("the clocks of this machine and of the server are more than 15 minutes apart")
	}
	return errors.New("this is not the key of the account")
}

// Throughput is what a container or a database may use, in request units per
// second.
type Throughput struct {
	// Bought is what was asked for: a fixed number, or with Autoscale the
	// most.
	Bought    int  `json:"bought"`
	Autoscale bool `json:"autoscale"`
	// Limit is what is let through: Bought, unless the server was told
	// otherwise; -1: anything.
	Limit int `json:"limit"`
	// Shared tells that it is the database's, for all of its containers that
	// have none of their own.
	Shared bool `json:"shared"`
}

// DatabaseInfo is a database and what is in it.
type DatabaseInfo struct {
	ID string `json:"id"`
	// Throughput is nil for databases that have none of their own.
	Throughput *Throughput     `json:"throughput,omitempty"`
	Containers []ContainerInfo `json:"containers"`
}

// ContainerInfo is what there is to say of a container without reading it.
type ContainerInfo struct {
	Database   string     `json:"database"`
	ID         string     `json:"id"`
	Throughput Throughput `json:"throughput"`
	// PartitionKey and UniqueKeys are paths.
	PartitionKey []string   `json:"partitionKey"`
	UniqueKeys   [][]string `json:"uniqueKeys,omitempty"`
	// DefaultTTL is in seconds; nil: items do not expire.
	DefaultTTL *int `json:"defaultTtl,omitempty"`
	// Ranges is the number of physical ranges.
	Ranges int `json:"ranges"`
	// Items and Bytes count what is stored, expired items included that have
	// not been purged yet.
	Items int64 `json:"items"`
	Bytes int64 `json:"bytes"`
	// Stats are counted since the server was started.
	Stats Stats `json:"stats"`
}

// Contents lists the databases with their containers, in the order of their
// creation.
func (s *Server) Contents() ([]DatabaseInfo, error) {
	all := []DatabaseInfo{}
	for _, d := range s.store.Databases() {
		info := DatabaseInfo{ID: d.ID, Containers: []ContainerInfo{}}
		if o, err := s.store.OfferOf(d.RID); err == nil {
			t := s.throughput(o)
			info.Throughput = &t
		}
		colls, err := s.known.containers(d)
		if err != nil {
			return nil, fmt.Errorf("listing the containers of %s: %w", d.ID, err)
		}
		for _, c := range colls {
			info.Containers = append(info.Containers, s.info(c))
		}
		all = append(all, info)
	}
	return all, nil
}

func (s *Server) throughput(o *store.Offer) Throughput {
	t := throughputOf(o)
	return Throughput{Bought: t.limit(), Autoscale: t.max != 0, Limit: s.known.limit(o), Shared: o.Database}
}

func (s *Server) info(c *container) ContainerInfo {
	p := c.Properties()
	i := ContainerInfo{Database: c.db.ID, ID: c.ID(), PartitionKey: p.PartitionKey.Paths, UniqueKeys: p.UniqueKeys,
		DefaultTTL: p.DefaultTTL, Ranges: len(c.Ranges()), Stats: c.stats.stats(c.db.ID, c.ID())}
	for _, owner := range []string{c.RID(), c.db.RID} {
		if o, err := s.store.OfferOf(owner); err == nil {
			i.Throughput = s.throughput(o)
			break
		}
	}
	for n := range i.Ranges {
		items, bytes := c.Count(n)
		i.Items, i.Bytes = i.Items+items, i.Bytes+bytes
	}
	return i
}

// find finds a container by names; the error wraps ErrNotFound.
func (s *Server) find(database, id string) (*container, error) {
	d, err := s.known.database(database)
	if err != nil {
		return nil, fmt.Errorf("there is no database %q: %w", clip(database), err)
	}
	c, err := s.known.container(d, id)
	if err != nil {
		return nil, fmt.Errorf("database %s has no container %q: %w", d.ID, clip(id), err)
	}
	return c, nil
}

// Container returns what Contents says of a container, and its resource as
// clients get it, in JSON.
func (s *Server) Container(database, id string) (info ContainerInfo, resource []byte, err error) {
	c, err := s.find(database, id)
	if err != nil {
		return info, nil, err
	}
	if resource, err = c.resource(); err != nil {
		return info, nil, err
	}
	return s.info(c), resource, nil
}

// ItemPage is some items of a container, system properties included.
type ItemPage struct {
	Items [][]byte
	// PartitionKey are the paths of the values that are each item's partition
	// key.
	PartitionKey []string
	// After is where the next page begins, nil behind the last item.
	After []byte
}

// Items returns up to most items behind a position (nil: from the first one), in
// the order of their partition keys' hashes and ids, and not much more than
// maxBytes of them.
func (s *Server) Items(ctx context.Context, database, id string, after []byte, most, maxBytes int) (*ItemPage, error) {
	c, err := s.find(database, id)
	if err != nil {
		return nil, err
	}
	it, err := c.Open(ctx, store.Access{After: after})
	if err != nil {
		return nil, fmt.Errorf("reading container %s: %w", c.ID(), err)
	}
	defer it.Close()
	page := &ItemPage{PartitionKey: c.Definition().Paths}
	var last []byte
	for size := 0; it.Next(); size += len(it.Item()) {
		if len(page.Items) == most || size >= maxBytes {
			page.After = last
			break
		}
		page.Items = append(page.Items, append([]byte(nil), it.Item()...))
		last = append(last[:0], it.Position()...)
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("reading container %s: %w", c.ID(), err)
	}
	return page, nil
}

// Answer is a page of a query's results.
type Answer struct {
	Items        [][]byte
	Continuation string // "" on the last page
	Stats        query.Stats
	// Ranges is how many physical ranges a client would have asked, and Charge
	// what that would have taken, in request units.
	Ranges int
	Charge float64
}

// Ask runs a query over all of a container, whatever its partition key ranges,
// and returns a page of up to most results and maxBytes of them. Errors of the
// text are *sql.SyntaxError, others of the query *query.Error.
func (s *Server) Ask(ctx context.Context, database, id, text, continuation string, most, maxBytes int) (*Answer, error) {
	c, err := s.find(database, id)
	if err != nil {
		return nil, err
	}
	q, err := sql.Parse(text)
	if err != nil {
		return nil, err
	}
	plan, err := query.Compile(q, query.Options{MaxItems: most, MaxBytes: maxBytes, Continuation: continuation,
		Definition: c.Definition(), Now: s.opts.Now()})
	if err != nil {
		return nil, err
	}
	page, err := plan.Run(ctx, c.Container)
	if err != nil {
		return nil, err
	}
	a := &Answer{Items: page.Items, Continuation: page.Continuation, Stats: page.Stats, Ranges: len(c.Ranges())}
	if info, err := query.Info(q, c.Definition(), nil); err == nil {
		a.Ranges = rangesOf(info, c.Ranges())
	}
	// Every range that is asked answers for itself.
	a.Charge = round2(chargeQuery(a.Stats.ItemsRead, a.Stats.BytesRead, a.Stats.OutputBytes) + queryBase*float64(a.Ranges-1))
	return a, nil
}

// rangesOf counts the physical ranges that a plan asks.
func rangesOf(info *query.PartitionedInfo, all []partition.Range) int {
	n := 0
	for _, r := range all {
		for _, wanted := range info.QueryRanges {
			if wanted.Min < r.High && (r.Low < wanted.Max || r.Low == wanted.Min) {
				n++
				break
			}
		}
	}
	return max(n, 1)
}

package local

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"millrace/connector/cosmosdb/local/store"
)

// Offers, the throughput of containers and of databases. Answered: feed, query
// in the forms of all SDKs, read, replace (manual and autoscale, and from one to
// the other with the headers that the service wants for it). A change counts at
// once. Offers come and go with what they are for.

// offerResource is the _self of what an offer is for.
func (s *Server) offerResource(o *store.Offer) string {
	if o.Database {
		return databaseSelf(o.Resource)
	}
	if c, err := s.store.ContainerByRID(o.Resource); err == nil {
		return c.Self()
	}
	return "colls/" + o.Resource + "/" // it is being deleted
}

func (s *Server) offerResources() []resource {
	var all []resource
	for _, o := range s.store.Offers() {
		all = append(all, resource{o.RID, o.RID, appendOffer(nil, o, s.offerResource(o))})
	}
	return all
}

func (s *Server) listOffers(c *call) error { return c.feedOf("", s.offerResources()) }

// quotedLink finds a link to a database or container in quotation marks, with
// or without outer slashes.
var quotedLink = regexp.MustCompile(`(["'])/?(dbs/[^"'\\]*?)/?(\\?["'])`)

func (s *Server) queryOffers(c *call) error {
	// Some clients ask for resource = "/dbs/../colls/../", others leave out
	// one slash or both, and the service bears with all of them.
	c.body = quotedLink.ReplaceAll(c.body, []byte(`$1$2/$3`))
	return c.queryOf("", s.offerResources())
}

// offer finds the offer of the path.
func (s *Server) offer(c *call) (*store.Offer, error) {
	o, err := s.store.Offer(c.path.name)
	if err != nil {
		return o, catalogueError(err, "reading offer "+c.path.name)
	}
	return o, nil
}

func (s *Server) readOffer(c *call) error {
	c.out.charge += metadataRead
	o, err := s.offer(c)
	if err != nil {
		return err
	}
	return c.offer(o)
}

func (c *call) offer(o *store.Offer) error {
	c.out.body = appendOffer(c.out.body, o, c.srv.offerResource(o))
	c.header("x-ms-cosmos-min-throughput", strconv.Itoa(least(c.srv.known.rangesOf(o), o.Max != 0)))
	c.header("x-ms-offer-replace-pending", "false")
	return c.ok(http.StatusOK, o.ETag)
}

// offerContent is what a client may change of an offer.
type offerContent struct {
	Content struct {
		OfferThroughput int                `json:"offerThroughput"`
		Autopilot       *autopilotSettings `json:"offerAutopilotSettings"`
	} `json:"content"`
	RID string `json:"_rid"`
	ID  string `json:"id"`
}

func (s *Server) replaceOffer(c *call) error {
	c.out.charge += metadataWrite
	o, err := s.offer(c)
	if err != nil {
		return err
	}
	var body offerContent
	if err := json.Unmarshal(c.body, &body); err != nil {
		return badRequest("The offer is not a JSON object with its content: content.offerThroughput is a number of request units per second.")
	}
	if body.RID != "" && !strings.EqualFold(body.RID, o.RID) {
		return badRequest("The _rid of the offer in the body is not that of the path.")
	}
	wanted, f := wantedThroughput(&body, o, &c.in)
	if f == nil {
		f = wanted.check(s.known.rangesOf(o))
	}
	if f != nil {
		return f
	}
	changed, err := s.known.setThroughput(c.ctx, o, wanted, c.in.ifMatch)
	if err != nil {
		return catalogueError(err, "changing offer "+o.RID)
	}
	return c.offer(changed)
}

// wantedThroughput tells what a request makes of an offer.
func wantedThroughput(body *offerContent, o *store.Offer, in *headers) (throughput, *failure) {
	auto := body.Content.Autopilot != nil && body.Content.Autopilot.MaxThroughput != 0
	switch {
	case in.migrateToAutopilot && in.migrateToManual:
		return throughput{}, badRequest("An offer goes to autoscale or to manual throughput, not both.")
	case in.migrateToAutopilot:
		if auto {
			return throughput{max: body.Content.Autopilot.MaxThroughput}, nil
		}
		// The service takes the present throughput and chooses a limit.
		return throughput{max: max(minAutoscale, (o.Throughput+stepAutoscale-1)/stepAutoscale*stepAutoscale)}, nil
	case in.migrateToManual:
		if auto || body.Content.OfferThroughput == 0 {
			return throughput{manual: max(minManual, o.Max)}, nil
		}
		return throughput{manual: body.Content.OfferThroughput}, nil
	case auto && o.Max == 0:
		return throughput{}, badRequest("The offer has manual throughput; the header x-ms-cosmos-migrate-offer-to-autopilot changes it to autoscale.")
	case auto:
		return throughput{max: body.Content.Autopilot.MaxThroughput}, nil
	case o.Max != 0:
		return throughput{}, badRequest("The offer has autoscale; the header x-ms-cosmos-migrate-offer-to-manual-throughput changes it to manual throughput.")
	case body.Content.OfferThroughput <= 0:
		return throughput{}, badRequest("The offer has no content.offerThroughput, a number of request units per second.")
	}
	return throughput{manual: body.Content.OfferThroughput}, nil
}

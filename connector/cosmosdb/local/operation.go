package local

import "net/http"

// operation is what a request asks for, after its path, verb and flags.
type operation uint8

// The operations. Those from opItemCreate on are about the items of one
// container, which is found before their handler is called.
const (
	opNone operation = iota
	opAccountRead
	opDatabaseFeed
	opDatabaseQuery
	opDatabaseCreate
	opDatabaseRead
	opDatabaseDelete
	opContainerFeed
	opContainerQuery
	opContainerCreate
	opContainerRead
	opContainerReplace
	opContainerDelete
	opOfferFeed
	opOfferQuery
	opOfferRead
	opOfferReplace
	opRangeFeed
	opAbsentFeed     // feeds of scripts, users and the like, which are always empty
	opAbsentResource // one of those: not there
	opAbsentCreate   // making one of those: refused
	opItemCreate
	opItemUpsert
	opItemRead
	opItemReplace
	opItemDelete
	opItemPatch
	opItemFeed
	opChangeFeed
	opItemQuery
	opQueryPlan
	opBatch // transactional batches and bulk requests; c.in.batchAtomic tells them apart
	opCount
)

// handler answers one request by filling c.out, or returns an error: a *failure
// is answered as it says, anything else as an internal error, and logged.
type handler func(c *call) error

// handlers returns the handler of every operation.
func (s *Server) handlers() [opCount]handler {
	h := [opCount]handler{
		opAccountRead:      s.readAccount,
		opDatabaseFeed:     s.listDatabases,
		opDatabaseQuery:    s.queryDatabases,
		opDatabaseCreate:   s.createDatabase,
		opDatabaseRead:     s.readDatabase,
		opDatabaseDelete:   s.deleteDatabase,
		opContainerFeed:    s.listContainers,
		opContainerQuery:   s.queryContainers,
		opContainerCreate:  s.createContainer,
		opContainerRead:    s.readContainer,
		opContainerReplace: s.replaceContainer,
		opContainerDelete:  s.deleteContainer,
		opOfferFeed:        s.listOffers,
		opOfferQuery:       s.queryOffers,
		opOfferRead:        s.readOffer,
		opOfferReplace:     s.replaceOffer,
		opRangeFeed:        s.listRanges,
		opAbsentFeed:       s.listAbsent,
		opAbsentResource:   s.absentResource,
		opAbsentCreate:     s.absentCreate,
	}
	for op, fn := range s.itemHandlers() {
		h[op] = fn
	}
	return h
}

// operationOf tells what a request asks for. opNone: the path has no such verb.
func operationOf(verb string, p *path, in *headers) operation {
	if p.feed {
		switch verb {
		case http.MethodGet:
			return feedReadOf(p.kind, in)
		case http.MethodPost:
			return feedPostOf(p.kind, in)
		}
		return opNone
	}
	byVerb := resourceOperations[p.kind]
	switch verb {
	case http.MethodGet, http.MethodHead:
		return byVerb.get
	case http.MethodPut:
		return byVerb.put
	case http.MethodDelete:
		return byVerb.del
	case http.MethodPatch:
		return byVerb.patch
	case http.MethodPost:
		return byVerb.post
	}
	return opNone
}

// verbs are the operations on one resource, by verb.
type verbs struct{ get, put, del, patch, post operation }

var resourceOperations = [kindCount]verbs{
	kindAccount:   {get: opAccountRead},
	kindDatabase:  {get: opDatabaseRead, del: opDatabaseDelete},
	kindContainer: {get: opContainerRead, put: opContainerReplace, del: opContainerDelete},
	kindItem:      {get: opItemRead, put: opItemReplace, del: opItemDelete, patch: opItemPatch},
	kindOffer:     {get: opOfferRead, put: opOfferReplace},
	kindAbsent: {get: opAbsentResource, put: opAbsentResource, del: opAbsentResource, patch: opAbsentResource,
		post: opAbsentResource},
}

func feedReadOf(k kind, in *headers) operation {
	switch k {
	case kindDatabase:
		return opDatabaseFeed
	case kindContainer:
		return opContainerFeed
	case kindItem:
		if in.changeFeed {
			return opChangeFeed
		}
		return opItemFeed
	case kindOffer:
		return opOfferFeed
	case kindRange:
		return opRangeFeed
	case kindAbsent:
		return opAbsentFeed
	}
	return opNone
}

func feedPostOf(k kind, in *headers) operation {
	if k == kindItem {
		switch {
		case in.queryPlan:
			return opQueryPlan
		case in.batch:
			return opBatch
		case in.query:
			return opItemQuery
		case in.upsert:
			return opItemUpsert
		}
		return opItemCreate
	}
	post, query := opNone, opNone
	switch k {
	case kindDatabase:
		post, query = opDatabaseCreate, opDatabaseQuery
	case kindContainer:
		post, query = opContainerCreate, opContainerQuery
	case kindOffer:
		query = opOfferQuery
	case kindAbsent:
		post, query = opAbsentCreate, opAbsentFeed
	}
	if in.query {
		return query
	}
	return post
}

package kafkaface

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// api is one kind of request: which versions are answered, whether clients
// that have not signed in may send it, and how it is answered. A nil response
// without an error means that the client expects none.
type api struct {
	key      kmsg.Key
	min, max int16
	open     bool
	handle   func(*conn, kmsg.Request) (kmsg.Response, error)
}

// handler adapts an operation on one type of request.
func handler[Req kmsg.Request](fn func(*conn, Req) (kmsg.Response, error)) func(*conn, kmsg.Request) (kmsg.Response, error) {
	return func(c *conn, req kmsg.Request) (kmsg.Response, error) { return fn(c, req.(Req)) }
}

// apis is everything that is offered; README.md shows the same table. What the
// service does not have is left out, so that clients do not try: transactions,
// access lists, changes of settings, deletion of records.
func apis() []api {
	return []api{
		{kmsg.Produce, 3, 9, false, handler((*conn).produce)},
		{kmsg.Fetch, 4, 11, false, handler((*conn).fetch)},
		{kmsg.ListOffsets, 1, 5, false, handler((*conn).listOffsets)},
		{kmsg.Metadata, 1, 8, false, handler((*conn).metadata)},
		{kmsg.OffsetCommit, 2, 7, false, handler((*conn).offsetCommit)},
		{kmsg.OffsetFetch, 1, 6, false, handler((*conn).offsetFetch)},
		{kmsg.FindCoordinator, 0, 3, false, handler((*conn).findCoordinator)},
		{kmsg.JoinGroup, 0, 5, false, handler((*conn).joinGroup)},
		{kmsg.Heartbeat, 0, 3, false, handler((*conn).heartbeat)},
		{kmsg.LeaveGroup, 0, 3, false, handler((*conn).leaveGroup)},
		{kmsg.SyncGroup, 0, 3, false, handler((*conn).syncGroup)},
		{kmsg.DescribeGroups, 0, 4, false, handler((*conn).describeGroups)},
		{kmsg.ListGroups, 0, 4, false, handler((*conn).listGroups)},
		{kmsg.SASLHandshake, 0, 1, true, handler((*conn).saslHandshake)},
		{kmsg.ApiVersions, 0, 3, true, handler((*conn).apiVersions)},
		{kmsg.CreateTopics, 0, 4, false, handler((*conn).createTopics)},
		{kmsg.DeleteTopics, 0, 3, false, handler((*conn).deleteTopics)},
		{kmsg.InitProducerID, 0, 3, false, handler((*conn).initProducerID)},
		{kmsg.DescribeConfigs, 0, 2, false, handler((*conn).describeConfigs)},
		{kmsg.SASLAuthenticate, 0, 1, true, handler((*conn).saslAuthenticate)},
		{kmsg.DescribeCluster, 0, 0, false, handler((*conn).describeCluster)},
	}
}

// byKey is apis with the key as index, nil where nothing is offered.
func byKey() []*api {
	all := apis()
	table := make([]*api, kmsg.MaxKey+1)
	for i := range all {
		table[all[i].key] = &all[i]
	}
	return table
}

// api returns what is offered for a key, nil if nothing is.
func (s *Server) api(key int16) *api {
	if key < 0 || int(key) >= len(s.apis) {
		return nil
	}
	return s.apis[key]
}

// backendVersions are the versions spoken with the log: never newer than what
// clients can be given, where the answer's meaning depends on it. Topics go by
// their names.
func backendVersions() *kversion.Versions {
	v := kversion.Stable()
	for _, a := range apis() {
		switch a.key {
		case kmsg.Metadata, kmsg.FindCoordinator, kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate, kmsg.ListGroups:
			// For the log's client itself, or without a difference.
		case kmsg.OffsetFetch:
			v.SetMaxKeyVersion(int16(a.key), 9)
		default:
			v.SetMaxKeyVersion(int16(a.key), a.max)
		}
	}
	return v
}

// versionTable is what ApiVersions answers.
func versionTable() []kmsg.ApiVersionsResponseApiKey {
	var keys []kmsg.ApiVersionsResponseApiKey
	for _, a := range apis() {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = int16(a.key), a.min, a.max
		keys = append(keys, k)
	}
	return keys
}

func (c *conn) apiVersions(req *kmsg.ApiVersionsRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	resp.ApiKeys = versionTable()
	return resp, nil
}

// unsupportedVersion answers an ApiVersions request that is too new in the
// form that every client understands; it asks again with a version of the
// table.
func unsupportedVersion() kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.Version = 0
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	resp.ApiKeys = versionTable()
	return resp
}

package local

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// headers are a request's headers that mean something here, as typed fields.
// Absent ones have the zero value, except where said.
type headers struct {
	authorization, date, activityID string
	// partitionKey is the JSON array of x-ms-documentdb-partitionkey.
	partitionKey             string
	hasPartitionKey          bool
	ifMatch, ifNoneMatch     string
	ifModifiedSince          string
	changeFeed, fullFidelity bool // A-IM
	changesInside            bool // x-ms-cosmos-changefeed-wire-format-version
	upsert, query, queryPlan bool
	batch                    bool
	batchAtomic              bool
	batchContinueOnError     bool
	crossPartition           bool
	// maxItems is x-ms-max-item-count; 0 or less: the server's choice.
	maxItems            int
	continuation        string
	continuationLimitKB int
	// rangeID is x-ms-documentdb-partitionkeyrangeid: "0", or "RID,0".
	rangeID                       string
	readKeyType, startEPK, endEPK string
	sessionToken                  string
	metrics, indexMetrics         bool
	quota                         bool
	minimal                       bool // prefer: return=minimal
	supportedFeatures             string
	offerThroughput, autopilot    string
	migrateToAutopilot            bool
	migrateToManual               bool
	badNumber                     string // the name of a header that is not a number and should be
}

// fill reads the headers of a request. Names are in canonical form
// ("X-Ms-Date"), as transports make them; neither names nor values are kept.
func (in *headers) fill(all iter.Seq2[[]byte, []byte]) {
	// What is kept of all values lies in one piece of memory.
	var values strings.Builder
	values.Grow(768)
	keep := func(v []byte) string {
		start := values.Len()
		values.Write(v)
		return values.String()[start:]
	}
	for name, v := range all {
		if own, ok := bytes.CutPrefix(name, ownPrefix); ok {
			if !in.fillOwn(own, v, keep) {
				in.fillFlags(own, v)
			}
			continue
		}
		switch string(name) {
		case "Authorization":
			in.authorization = keep(v)
		case "Date":
			if in.date == "" {
				in.date = keep(v)
			}
		case "Content-Type":
			in.query = in.query || bytes.HasPrefix(v, queryType)
		case "If-Match":
			in.ifMatch = keep(v)
		case "If-None-Match":
			in.ifNoneMatch = keep(v)
		case "If-Modified-Since":
			in.ifModifiedSince = keep(v)
		case "A-Im":
			in.fullFidelity = bytes.EqualFold(v, fullFidelity)
			in.changeFeed = in.fullFidelity || bytes.EqualFold(v, incremental)
		case "Prefer":
			in.minimal = bytes.EqualFold(v, minimal)
		}
	}
}

var (
	ownPrefix    = []byte("X-Ms-")
	queryType    = []byte("application/query+json")
	fullFidelity = []byte("full-fidelity feed")
	incremental  = []byte("incremental feed")
	minimal      = []byte("return=minimal")
	trueText     = []byte("true")
)

// fillOwn reads a header whose name begins with x-ms-, if its value is a text or
// a number.
func (in *headers) fillOwn(name, v []byte, keep func([]byte) string) bool {
	switch string(name) {
	case "Date":
		in.date = keep(v)
	case "Activity-Id":
		in.activityID = keep(v)
	case "Session-Token":
		in.sessionToken = keep(v)
	case "Max-Item-Count":
		in.maxItems = in.number("x-ms-max-item-count", v)
	case "Continuation":
		in.continuation = keep(v)
	case "Read-Key-Type":
		in.readKeyType = keep(v)
	case "Start-Epk":
		in.startEPK = keep(v)
	case "End-Epk":
		in.endEPK = keep(v)
	case "Offer-Throughput":
		in.offerThroughput = keep(v)
	case "Cosmos-Changefeed-Wire-Format-Version":
		in.changesInside = len(v) > 0 // one such format exists
	case "Cosmos-Offer-Autopilot-Settings":
		in.autopilot = keep(v)
	case "Cosmos-Supported-Query-Features":
		in.supportedFeatures = keep(v)
	case "Documentdb-Partitionkey":
		in.partitionKey, in.hasPartitionKey = keep(v), true
	case "Documentdb-Partitionkeyrangeid":
		in.rangeID = keep(v)
	case "Documentdb-Responsecontinuationtokenlimitinkb":
		in.continuationLimitKB = in.number("x-ms-documentdb-responsecontinuationtokenlimitinkb", v)
	default:
		return false
	}
	return true
}

// fillFlags reads a header whose name begins with x-ms- and whose value is true
// or false.
func (in *headers) fillFlags(name, v []byte) {
	switch string(name) {
	case "Cosmos-Migrate-Offer-To-Autopilot":
		in.migrateToAutopilot = isTrue(v)
	case "Cosmos-Migrate-Offer-To-Manual-Throughput":
		in.migrateToManual = isTrue(v)
	case "Cosmos-Is-Query-Plan-Request":
		in.queryPlan = isTrue(v)
	case "Cosmos-Is-Batch-Request":
		in.batch = isTrue(v)
	case "Cosmos-Batch-Atomic":
		in.batchAtomic = isTrue(v)
	case "Cosmos-Batch-Continue-On-Error":
		in.batchContinueOnError = isTrue(v)
	case "Cosmos-Populateindexmetrics":
		in.indexMetrics = isTrue(v)
	case "Documentdb-Is-Upsert":
		in.upsert = isTrue(v)
	case "Documentdb-Isquery", "Documentdb-Query":
		in.query = in.query || isTrue(v)
	case "Documentdb-Query-Enablecrosspartition":
		in.crossPartition = isTrue(v)
	case "Documentdb-Populatequerymetrics":
		in.metrics = isTrue(v)
	case "Documentdb-Populatequotainfo":
		in.quota = isTrue(v)
	}
}

func (in *headers) number(name string, v []byte) int {
	n, err := strconv.Atoi(string(bytes.TrimSpace(v)))
	if err != nil {
		in.badNumber = name
	}
	return n
}

// isTrue reads a boolean as the SDKs write them: "True", "true".
func isTrue(v []byte) bool { return bytes.EqualFold(v, trueText) }

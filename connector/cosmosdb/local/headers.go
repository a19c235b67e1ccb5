package local

import (
	"net/http"
	"strconv"
	"strings"
)

// headers are a request's headers that mean something here, as typed fields.
// Absent ones have the zero value, except where said.
type headers struct {
	authorization, date, activityID, version string
	contentType                              string
	// partitionKey is the JSON array of x-ms-documentdb-partitionkey.
	partitionKey             string
	hasPartitionKey          bool
	ifMatch, ifNoneMatch     string
	ifModifiedSince          string
	changeFeed, fullFidelity bool // A-IM
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

// fill reads the headers of a request. Keys of h are in canonical form.
func (in *headers) fill(h http.Header) {
	for key, values := range h {
		if len(values) == 0 {
			continue
		}
		v := values[0]
		if strings.HasPrefix(key, "X-Ms-") {
			in.fillOwn(key[len("X-Ms-"):], v)
			continue
		}
		switch key {
		case "Authorization":
			in.authorization = v
		case "Date":
			if in.date == "" {
				in.date = v
			}
		case "Content-Type":
			in.contentType = v
			if strings.HasPrefix(v, "application/query+json") {
				in.query = true
			}
		case "If-Match":
			in.ifMatch = v
		case "If-None-Match":
			in.ifNoneMatch = v
		case "If-Modified-Since":
			in.ifModifiedSince = v
		case "A-Im":
			in.changeFeed = strings.EqualFold(v, "incremental feed")
			in.fullFidelity = strings.EqualFold(v, "full-fidelity feed")
			in.changeFeed = in.changeFeed || in.fullFidelity
		case "Prefer":
			in.minimal = strings.EqualFold(v, "return=minimal")
		}
	}
}

// fillOwn reads a header whose name begins with x-ms-.
func (in *headers) fillOwn(key, v string) {
	switch key {
	case "Date":
		in.date = v
	case "Activity-Id":
		in.activityID = v
	case "Version":
		in.version = v
	case "Session-Token":
		in.sessionToken = v
	case "Max-Item-Count":
		in.maxItems = in.number("x-ms-max-item-count", v)
	case "Continuation":
		in.continuation = v
	case "Read-Key-Type":
		in.readKeyType = v
	case "Start-Epk":
		in.startEPK = v
	case "End-Epk":
		in.endEPK = v
	case "Offer-Throughput":
		in.offerThroughput = v
	case "Cosmos-Offer-Autopilot-Settings":
		in.autopilot = v
	case "Cosmos-Migrate-Offer-To-Autopilot":
		in.migrateToAutopilot = isTrue(v)
	case "Cosmos-Migrate-Offer-To-Manual-Throughput":
		in.migrateToManual = isTrue(v)
	case "Cosmos-Is-Query-Plan-Request":
		in.queryPlan = isTrue(v)
	case "Cosmos-Supported-Query-Features":
		in.supportedFeatures = v
	case "Cosmos-Is-Batch-Request":
		in.batch = isTrue(v)
	case "Cosmos-Batch-Atomic":
		in.batchAtomic = isTrue(v)
	case "Cosmos-Batch-Continue-On-Error":
		in.batchContinueOnError = isTrue(v)
	case "Cosmos-Populateindexmetrics":
		in.indexMetrics = isTrue(v)
	default:
		if name, ok := strings.CutPrefix(key, "Documentdb-"); ok {
			in.fillDocumentDB(name, v)
		}
	}
}

// fillDocumentDB reads a header whose name begins with x-ms-documentdb-.
func (in *headers) fillDocumentDB(key, v string) {
	switch key {
	case "Partitionkey":
		in.partitionKey, in.hasPartitionKey = v, true
	case "Is-Upsert":
		in.upsert = isTrue(v)
	case "Isquery", "Query":
		in.query = in.query || isTrue(v)
	case "Query-Enablecrosspartition":
		in.crossPartition = isTrue(v)
	case "Partitionkeyrangeid":
		in.rangeID = v
	case "Responsecontinuationtokenlimitinkb":
		in.continuationLimitKB = in.number("x-ms-documentdb-responsecontinuationtokenlimitinkb", v)
	case "Populatequerymetrics":
		in.metrics = isTrue(v)
	case "Populatequotainfo":
		in.quota = isTrue(v)
	}
}

func (in *headers) number(name, v string) int {
	n, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil {
		in.badNumber = name
	}
	return n
}

// isTrue reads a boolean as the SDKs write them: "True", "true".
func isTrue(v string) bool { return strings.EqualFold(v, "true") }

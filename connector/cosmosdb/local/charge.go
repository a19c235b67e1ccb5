package local

// The charge model: what an operation costs in request units. It is a function
// of the operation and the sizes involved only, so the same work costs the same
// every time. It follows what the service publishes and what the streaming
// samples measured:
//
//   - a point read is 1 for 1 KB and 10 for 100 KB;
//   - a write is about 5 for 1 KB and 50 for 100 KB, plus its index entries: an
//     event of the samples (1 KB, three indexed paths, a unique key) is 7.8;
//   - replacing costs nearly two inserts, as the old entries must go;
//   - a query costs 2.3 or more on each range that it touches, plus what it
//     reads: the service's own example of a scan reads 60,951 items, 400 MB,
//     for 4,060.
const (
	readUnit  = 1.0
	readPerKB = 9.0 / 99

	writeBase      = 4.95
	writePerKB     = 45.0 / 99
	writePerTerm   = 0.6
	writePerUnique = 1.0
	replaceRebate  = 1.0

	// refusedWrite is a write that a conflict or precondition stopped.
	refusedWrite = 1.24
	// metadataRead and metadataWrite are operations on databases and the like.
	metadataRead  = 1.0
	metadataWrite = 4.95

	queryBase      = 2.3
	queryPerItem   = 0.03
	queryPerKB     = 0.005
	queryPerOutKB  = 0.05
	feedBase       = 1.0
	changesPerItem = 0.05
)

// above1KB is the size in KB that lies beyond the first.
func above1KB(size int) float64 { return max(0, float64(size)/1024-1) }

// round2 cuts a charge to the hundredths that the service tells.
func round2(ru float64) float64 { return float64(int64(ru*100+0.5)) / 100 }

// chargeRead is a point read of size bytes; one that finds nothing costs as
// much as one of nothing.
func chargeRead(size int) float64 { return round2(readUnit + readPerKB*above1KB(size)) }

// chargeInsert is a new item of size bytes with so many index entries and
// unique keys. Deleting one costs the same.
func chargeInsert(size, terms, uniqueKeys int) float64 {
	return round2(writeBase + writePerKB*above1KB(size) + writePerTerm*float64(terms) + writePerUnique*float64(uniqueKeys))
}

// chargeReplace is an item that takes the place of another one.
func chargeReplace(size, terms, oldSize, oldTerms, uniqueKeys int) float64 {
	return round2(chargeInsert(size, terms, uniqueKeys) + chargeInsert(oldSize, oldTerms, uniqueKeys) - replaceRebate)
}

// chargeQuery is one page of a query on one range, which read so many items and
// bytes of them to give out so many bytes.
func chargeQuery(items int, readBytes, outBytes int64) float64 {
	return round2(queryBase + queryPerItem*float64(items) + queryPerKB*float64(readBytes)/1024 + queryPerOutKB*float64(outBytes)/1024)
}

// chargeFeed is one page of all items, or of changes, of one range.
func chargeFeed(items int, bytes int64) float64 {
	return round2(feedBase + changesPerItem*float64(items) + queryPerOutKB*float64(bytes)/1024)
}

package store

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"millrace/connector/cosmosdb/local/partition"
)

// Errors of the catalogue. They are wrapped with what they are about.
var (
	ErrExists       = errors.New("it exists already")
	ErrNotFound     = errors.New("it does not exist")
	ErrPrecondition = errors.New("its etag is another one")
	// ErrInvalid is in the errors of properties that no container can have:
	// the text is meant for the client.
	ErrInvalid = errors.New("not valid")
	// ErrTooMuch is why an operation was Refused with whose item the results of
	// one call would take more than MaxGiven bytes.
	ErrTooMuch = errors.New("the results are too large")
	// ErrGone says that a container was deleted while somebody had it.
	ErrGone = errors.New("the container was deleted")
)

// MaxGiven bounds the items that the reads and patches of one Apply or ApplyEach
// give back, in bytes; the first one is given in any case.
const MaxGiven = 4 << 20

// OpKind says what an operation does with an item.
type OpKind uint8

// The operations.
const (
	OpCreate OpKind = iota
	OpUpsert
	OpReplace
	OpRead
	OpDelete
	OpPatch
)

// Op is one operation on one item of a logical partition.
type Op struct {
	Kind OpKind
	// ID is the item's. Of a Create and an Upsert it equals the body's id.
	ID string
	// Body is the new item of Create, Upsert and Replace: a valid JSON object
	// with an id. System properties in it are ignored. It is not kept.
	Body []byte
	// Mutate makes a patched item from the stored one, which has its system
	// properties and must not be changed or kept. An error refuses the
	// operation and comes back in OpResult.Err with the status Refused. It may
	// be called more than once, and must not call the store.
	Mutate func(old []byte) ([]byte, error)
	// IfMatch refuses the operation unless the item has this etag, "*" is any;
	// IfNoneMatch refuses it if the item has it. Both with their quotes, as in
	// headers.
	IfMatch, IfNoneMatch string
	// NoBody leaves OpResult.Body nil after a write: nobody wants it.
	NoBody bool
}

// KeyedOp is an operation with the logical partition of its item.
type KeyedOp struct {
	Key partition.Key
	Op
}

// Status says what became of an operation.
type Status uint8

// What may become of an operation. From NotModified on it changed and gave
// nothing.
const (
	Created Status = iota + 1
	Replaced
	Deleted
	Found
	NotModified
	NotFound
	// Conflict is an id that is taken already.
	Conflict
	// UniqueConflict is a unique key of the logical partition that another item
	// has.
	UniqueConflict
	PreconditionFailed
	// Refused is an error of Mutate, or a body that cannot be stored; the
	// reason is in OpResult.Err.
	Refused
	// FailedDependency is an operation that was not done because another one
	// of its batch failed.
	FailedDependency
)

// Done tells whether the operation did what it should.
func (s Status) Done() bool { return s >= Created && s <= Found }

// HTTP is the status as the service answers it.
func (s Status) HTTP() int {
	switch s {
	case Created:
		return http.StatusCreated
	case Replaced, Found:
		return http.StatusOK
	case Deleted:
		return http.StatusNoContent
	case NotModified:
		return http.StatusNotModified
	case NotFound:
		return http.StatusNotFound
	case Conflict, UniqueConflict:
		return http.StatusConflict
	case PreconditionFailed:
		return http.StatusPreconditionFailed
	case Refused:
		return http.StatusBadRequest
	case FailedDependency:
		return http.StatusFailedDependency
	}
	return http.StatusInternalServerError
}

// OpResult is what came of an operation.
type OpResult struct {
	Status Status
	// ETag is that of the stored item, with its quotes: after the operation if
	// it was done, else of the item that was in its way, if it was looked at.
	ETag string
	// Body is the stored item with its system properties, nil after a Delete,
	// a write with NoBody, and if the operation was not done. It is the
	// caller's.
	Body []byte
	// LSN is the logical sequence number of the change, or of a read item's
	// last one.
	LSN int64
	// Terms are the index entries of the item, OldTerms those of the one that
	// was replaced or deleted; id's own index does not count.
	Terms, OldTerms int
	// Size is what the stored item takes, in bytes of JSON, OldSize what the
	// replaced, deleted or read one took.
	Size, OldSize int
	// Err is why an operation was Refused.
	Err error
}

// Database is a database as it was when it was asked for.
type Database struct {
	ID   string
	RID  string
	ETag string // with its quotes
	// Modified is when it was last written, in whole seconds.
	Modified time.Time
	number   uint32
}

// Properties are what a client says of a container.
type Properties struct {
	ID string
	// PartitionKey and UniqueKeys cannot change.
	PartitionKey partition.Definition
	// UniqueKeys are sets of paths whose values, together, are unique in a
	// logical partition. A missing value counts as null.
	UniqueKeys [][]string
	// Indexing is the indexing policy as a resource has it, kept verbatim; nil
	// includes everything.
	Indexing json.RawMessage
	// DefaultTTL is after how many seconds items expire that say nothing
	// themselves; -1 is never, and nil switches expiry off altogether.
	DefaultTTL *int
	// Other are all other members of the resource, verbatim and without system
	// properties; the store does not look at them.
	Other json.RawMessage
}

// Offer is the throughput of a container or of a database that its containers
// share.
type Offer struct {
	RID  string
	ETag string
	// Resource is the rid of the database or container.
	Resource string
	// Database tells whether Resource is a database.
	Database bool
	// Throughput is in request units a second. With autoscale it is what there
	// is at present, and Max the limit; else Max is 0.
	Throughput, Max int
	Modified        time.Time
}

// Change is an item in the change feed.
type Change struct {
	LSN int64
	// Body is the item with its system properties, the caller's own.
	Body []byte
}

// ChangeRequest says which changes to read.
type ChangeRequest struct {
	// Range is the number of a physical range.
	Range int
	// After is the LSN behind which to begin; 0 is the beginning.
	After int64
	// Since, if not zero, leaves out changes of earlier seconds.
	Since time.Time
	// Low and High bound the effective partition key as in an Access.
	Low, High string
	// Max and MaxBytes bound the answer; at least one change is given if there
	// is one. 0 is 1000, and 4 MB.
	Max, MaxBytes int
}

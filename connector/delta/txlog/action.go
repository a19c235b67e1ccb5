package txlog

import (
	"encoding/json"
	"time"

	"millrace/connector/delta/schema"
)

// Add says that a file belongs to the table. It is not changed once it is in a
// snapshot or was given to Commit.
type Add struct {
	// Path is the name of the file relative to the table's folder, decoded;
	// or, if Absolute tells so, a whole URI.
	Path string
	// PartitionValues has the text of each partition column; "" is null.
	// It is nil in a table without partitions.
	PartitionValues map[string]string
	// Size is in bytes.
	Size int64
	// Modified is when the file was written, in milliseconds of the Unix
	// time.
	Modified int64
	// DataChange is false if the commit only rearranges rows.
	DataChange bool
	// Stats is a JSON text with the number of rows and the smallest and
	// largest value of columns, or "".
	Stats string
	// Tags are for writers' own use; mostly nil.
	Tags map[string]string

	// raw is the path as it stands in the log, if that is not what
	// encodePath makes of Path: other readers compare the text.
	raw string
	// vector names the file's deletion vector, "" if all rows are there.
	vector string
}

// key is what adds and removes are matched by.
func (a *Add) key() string { return fileKey(a.Path, a.vector) }

func fileKey(path, vector string) string {
	if vector == "" {
		return path
	}
	return path + "\x00" + vector
}

// Absolute tells whether the path is a whole URI, as in a shallow clone: such
// a file is outside the table, or is the table's own under another name, so
// who deletes files must not do it on the strength of their names.
func (a *Add) Absolute() bool { return isAbsolute(a.Path) }

// NumRecords is the number of rows by the file's statistics; ok is false if
// they do not tell.
func (a *Add) NumRecords() (n int64, ok bool) {
	var s struct {
		NumRecords *int64 `json:"numRecords"`
	}
	if a.Stats == "" || json.Unmarshal([]byte(a.Stats), &s) != nil || s.NumRecords == nil {
		return 0, false
	}
	return *s.NumRecords, true
}

// Remove says that a file does not belong to the table any more. Older versions
// still have it, until VACUUM deletes it.
type Remove struct {
	// Path is as in Add.
	Path string
	// Deleted is when it was removed, in milliseconds of the Unix time; 0
	// if the log does not tell, which counts as long ago.
	Deleted    int64
	DataChange bool
	// PartitionValues and Size are those of the Add, if Extended.
	Extended        bool
	PartitionValues map[string]string
	Size            int64

	raw, vector string
}

func (r *Remove) key() string { return fileKey(r.Path, r.vector) }

// Absolute is as in Add.
func (r *Remove) Absolute() bool { return isAbsolute(r.Path) }

// Remove returns the action that takes the file out of the table.
func (a *Add) Remove(at time.Time, dataChange bool) *Remove {
	return &Remove{Path: a.Path, Deleted: at.UnixMilli(), DataChange: dataChange,
		Extended: true, PartitionValues: a.PartitionValues, Size: a.Size, raw: a.raw}
}

// Txn is how far an application has written: a number that only it knows the
// meaning of. It is part of the same commit as what was written.
type Txn struct {
	AppID   string
	Version int64
	// LastUpdated is in milliseconds of the Unix time, 0 if unknown.
	LastUpdated int64
}

// Protocol is what a reader and a writer of the table have to know.
type Protocol struct {
	MinReader, MinWriter int
	// ReaderFeatures is for reader version 3, WriterFeatures for writer
	// version 7.
	ReaderFeatures, WriterFeatures []string
}

// Metadata describes the table. It is not changed once it is in a snapshot:
// a commit that changes it takes a changed copy.
type Metadata struct {
	// ID stays the same for the life of the table. Create makes one up if
	// it is "".
	ID                string
	Name, Description string
	Schema            *schema.Struct
	PartitionColumns  []string
	// Configuration holds the table's properties: delta.appendOnly and such.
	Configuration map[string]string
	// Created is in milliseconds of the Unix time, 0 if unknown.
	Created int64
}

// CommitInfo is what a commit says of itself.
type CommitInfo struct {
	// Timestamp is by the writer's clock, in milliseconds of the Unix time.
	Timestamp int64
	// Operation is WRITE, STREAMING UPDATE, OPTIMIZE, CREATE TABLE ...
	Operation string
	// Parameters and Metrics are texts by name; what is no text in the log
	// appears here as JSON.
	Parameters, Metrics map[string]string
	IsolationLevel      string
	BlindAppend         bool
	// Engine names the program that wrote it.
	Engine string
	// TxnID is unique for each commit; "" if the writer gave none.
	TxnID string
}

// domain is a domainMetadata action: settings of a feature, which are carried
// along.
type domain struct {
	Domain        string `json:"domain"`
	Configuration string `json:"configuration"`
	Removed       bool   `json:"removed"`
}

package delta

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/connector/delta/txlog"
)

// Commit is one entry of a table's history.
type Commit struct {
	Version int64 `json:"version"`
	// Time is when it was written, by the storage's clock.
	Time      time.Time `json:"time"`
	Operation string    `json:"operation"`
	// Added and Removed are how many files it adds and removes; Rows how
	// many rows it writes, nil if it does not say.
	Added      int               `json:"filesAdded"`
	Removed    int               `json:"filesRemoved"`
	Rows       *int64            `json:"rowsAdded,omitempty"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Metrics    map[string]string `json:"metrics,omitempty"`
	Engine     string            `json:"engine,omitempty"`
}

// History returns the newest commits, the newest first, limit at most: those
// that the log still has.
func (t *Table) History(ctx context.Context, limit int) ([]Commit, error) {
	commits := []Commit{}
	err := t.log.History(ctx, limit, func(v txlog.Version) error {
		c := Commit{Version: v.Version, Time: v.Time.UTC(), Operation: v.Info.Operation, Parameters: v.Info.Parameters,
			Metrics: v.Info.Metrics, Engine: v.Info.Engine, Removed: v.Removed, Added: v.Added}
		if n, err := strconv.ParseInt(v.Info.Metrics["numOutputRows"], 10, 64); err == nil {
			c.Rows = &n
		}
		commits = append(commits, c)
		return nil
	})
	if err != nil {
		return nil, t.failed("reading the history", err)
	}
	return commits, nil
}

// ColumnDetail is a column as people see it.
type ColumnDetail struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
}

// StreamDetail is how far an application has written.
type StreamDetail struct {
	AppID   string `json:"appId"`
	Version int64  `json:"version"`
}

// Detail is what a table is at its newest version.
type Detail struct {
	Location         string            `json:"location"`
	ID               string            `json:"id"`
	Name             string            `json:"name,omitempty"`
	Description      string            `json:"description,omitempty"`
	Version          int64             `json:"version"`
	CreatedAt        time.Time         `json:"createdAt,omitzero"`
	LastModified     time.Time         `json:"lastModified"`
	MinReaderVersion int               `json:"minReaderVersion"`
	MinWriterVersion int               `json:"minWriterVersion"`
	Columns          []ColumnDetail    `json:"columns"`
	PartitionColumns []string          `json:"partitionColumns"`
	Properties       map[string]string `json:"properties"`
	NumFiles         int               `json:"numFiles"`
	SizeInBytes      int64             `json:"sizeInBytes"`
	// NumRows is nil if a file does not tell how many it has.
	NumRows *int64 `json:"numRows"`
	// Tombstones are files that were removed and that VACUUM has not
	// deleted, as far as the log remembers.
	Tombstones int `json:"tombstones"`
	// Checkpoint is the version of the newest checkpoint, if there is one.
	Checkpoint *int64 `json:"checkpoint"`
	// Streams are the applications that have written to the table.
	Streams []StreamDetail `json:"streams"`
}

// Detail describes the newest version.
func (t *Table) Detail(ctx context.Context) (*Detail, error) {
	snap, err := t.snapshot(ctx, "describing a Delta table")
	if err != nil {
		return nil, err
	}
	m := snap.Metadata
	d := &Detail{Location: t.log.Describe(), ID: m.ID, Name: m.Name, Description: m.Description, Version: snap.Version,
		LastModified: snap.Time.UTC(), MinReaderVersion: snap.Protocol.MinReader, MinWriterVersion: snap.Protocol.MinWriter,
		PartitionColumns: append([]string{}, m.PartitionColumns...), Properties: m.Configuration, NumFiles: snap.NumFiles(), SizeInBytes: snap.Size()}
	if m.Created != 0 {
		d.CreatedAt = time.UnixMilli(m.Created).UTC()
	}
	for _, f := range m.Schema.Fields {
		d.Columns = append(d.Columns, ColumnDetail{f.Name, f.Type.String(), f.Nullable})
	}
	rows, known := int64(0), true
	for a := range snap.Files() {
		n, ok := a.NumRecords()
		rows, known = rows+n, known && ok
	}
	if known {
		d.NumRows = &rows
	}
	for range snap.Tombstones() {
		d.Tombstones++
	}
	d.Streams = streams(snap)
	if v, ok := snap.Checkpoint(); ok {
		d.Checkpoint = &v
	}
	return d, nil
}

// streams are the positions of applications. Ours count claims besides, which
// are nobody's business.
func streams(snap *txlog.Snapshot) []StreamDetail {
	out := []StreamDetail{}
	for x := range snap.Txns() {
		if !strings.HasPrefix(x.AppID, appPrefix) || !strings.HasSuffix(x.AppID, epochSuffix) {
			out = append(out, StreamDetail{x.AppID, x.Version})
		}
	}
	slices.SortFunc(out, func(a, b StreamDetail) int {
		if n := len(a.AppID) - len(b.AppID); n != 0 {
			return n // so that 10 comes after 9
		}
		return strings.Compare(a.AppID, b.AppID)
	})
	return out
}

// Checkpoint writes a checkpoint of the newest version and returns which that
// is.
func (t *Table) Checkpoint(ctx context.Context) (int64, error) {
	version, err := t.log.Checkpoint(ctx)
	if err != nil {
		return 0, t.failed("writing a checkpoint", err)
	}
	return version, nil
}

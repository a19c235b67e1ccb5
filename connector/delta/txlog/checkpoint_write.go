package txlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"millrace/connector/blob"

	"github.com/parquet-go/parquet-go"
)

// The rows of a checkpoint: one action each, as one group of columns.
type (
	checkpointRow struct {
		Txn      *checkpointTxn      `parquet:"txn,optional"`
		Add      *checkpointAdd      `parquet:"add,optional"`
		Remove   *checkpointRemove   `parquet:"remove,optional"`
		Metadata *checkpointMetadata `parquet:"metaData,optional"`
		Protocol *checkpointProtocol `parquet:"protocol,optional"`
		Domain   *checkpointDomain   `parquet:"domainMetadata,optional"`
	}
	checkpointTxn struct {
		AppID       string `parquet:"appId"`
		Version     int64  `parquet:"version"`
		LastUpdated *int64 `parquet:"lastUpdated,optional"`
	}
	checkpointAdd struct {
		Path            string             `parquet:"path"`
		PartitionValues map[string]*string `parquet:"partitionValues"`
		Size            int64              `parquet:"size"`
		Modified        int64              `parquet:"modificationTime"`
		DataChange      bool               `parquet:"dataChange"`
		Tags            map[string]*string `parquet:"tags,optional"`
		Stats           *string            `parquet:"stats,optional"`
	}
	checkpointRemove struct {
		Path            string             `parquet:"path"`
		Deleted         *int64             `parquet:"deletionTimestamp,optional"`
		DataChange      bool               `parquet:"dataChange"`
		Extended        bool               `parquet:"extendedFileMetadata"`
		PartitionValues map[string]*string `parquet:"partitionValues,optional"`
		Size            *int64             `parquet:"size,optional"`
	}
	checkpointMetadata struct {
		ID          string            `parquet:"id"`
		Name        *string           `parquet:"name,optional"`
		Description *string           `parquet:"description,optional"`
		Format      checkpointFormat  `parquet:"format"`
		Schema      string            `parquet:"schemaString"`
		Partition   []string          `parquet:"partitionColumns,list"`
		Config      map[string]string `parquet:"configuration"`
		Created     *int64            `parquet:"createdTime,optional"`
	}
	checkpointFormat struct {
		Provider string            `parquet:"provider"`
		Options  map[string]string `parquet:"options"`
	}
	checkpointProtocol struct {
		MinReader      int32    `parquet:"minReaderVersion"`
		MinWriter      int32    `parquet:"minWriterVersion"`
		ReaderFeatures []string `parquet:"readerFeatures,optional,list"`
		WriterFeatures []string `parquet:"writerFeatures,optional,list"`
	}
	checkpointDomain struct {
		Domain        string `parquet:"domain"`
		Configuration string `parquet:"configuration"`
		Removed       bool   `parquet:"removed"`
	}
)

const (
	// rowsAtOnce are converted and handed to the Parquet writer together,
	// rowsPerGroup bound the memory that writing takes.
	rowsAtOnce   = 512
	rowsPerGroup = 20_000
)

// writeCheckpoint writes the state of s as a Parquet file and returns how many
// actions and how many adds it has.
func writeCheckpoint(w io.Writer, s *Snapshot, now time.Time) (rows, adds int64, err error) {
	out := parquet.NewGenericWriter[checkpointRow](w, parquet.Compression(&parquet.Snappy), parquet.DataPageVersion(1),
		parquet.MaxRowsPerRowGroup(rowsPerGroup), parquet.CreatedBy("millrace", "", ""),
		parquet.SkipPageBounds("add", "stats"), parquet.SkipPageBounds("metaData", "schemaString"))
	buf := make([]checkpointRow, 0, rowsAtOnce)
	flush := func() error {
		_, err := out.Write(buf)
		rows += int64(len(buf))
		buf = buf[:0]
		return err
	}
	put := func(r checkpointRow) error {
		buf = append(buf, r)
		if len(buf) == cap(buf) {
			return flush()
		}
		return nil
	}
	if err := s.actions(now, func(r checkpointRow) error {
		if r.Add != nil {
			adds++
		}
		return put(r)
	}); err != nil {
		return 0, 0, err
	}
	if err := flush(); err != nil {
		return 0, 0, err
	}
	return rows, adds, out.Close()
}

// actions calls fn for each action of a checkpoint.
func (s *Snapshot) actions(now time.Time, fn func(checkpointRow) error) error {
	p, m := s.Protocol, s.Metadata
	first := []checkpointRow{
		{Protocol: &checkpointProtocol{int32(p.MinReader), int32(p.MinWriter), p.ReaderFeatures, p.WriterFeatures}},
		{Metadata: &checkpointMetadata{ID: m.ID, Name: orNil(m.Name), Description: orNil(m.Description),
			Format: checkpointFormat{Provider: "parquet"}, Schema: m.Schema.Text(), Partition: m.PartitionColumns,
			Config: m.Configuration, Created: orNil(m.Created)}},
	}
	for _, id := range sortedKeys(s.domains) {
		d := s.domains[id]
		first = append(first, checkpointRow{Domain: &checkpointDomain{d.Domain, d.Configuration, false}})
	}
	for _, r := range first {
		if err := fn(r); err != nil {
			return err
		}
	}
	for t := range s.Txns() {
		if err := fn(checkpointRow{Txn: &checkpointTxn{t.AppID, t.Version, orNil(t.LastUpdated)}}); err != nil {
			return err
		}
	}
	for a := range s.Files() {
		row := &checkpointAdd{Path: a.rawPath(), PartitionValues: nullable(a.PartitionValues), Size: a.Size, Modified: a.Modified,
			Stats: orNil(a.Stats)}
		if len(a.Tags) > 0 {
			row.Tags = plain(a.Tags)
		}
		if err := fn(checkpointRow{Add: row}); err != nil {
			return err
		}
	}
	// Removals that are so old that their files may be gone are of no use.
	before := now.Add(-m.FileRetention()).UnixMilli()
	for r := range s.Tombstones() {
		if r.Deleted < before {
			continue
		}
		row := &checkpointRemove{Path: r.rawPath(), Deleted: orNil(r.Deleted), DataChange: r.DataChange, Extended: r.Extended}
		if r.Extended {
			row.PartitionValues, row.Size = nullable(r.PartitionValues), &r.Size
		}
		if err := fn(checkpointRow{Remove: row}); err != nil {
			return err
		}
	}
	return nil
}

// Checkpoint writes a checkpoint of the newest version, so that readers can
// start there, and returns the version. It replaces one that is there.
//
// Errors: as Snapshot; *UnsupportedError for tables that must not be written to.
func (t *Table) Checkpoint(ctx context.Context) (int64, error) {
	s, err := t.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	return s.Version, t.checkpoint(ctx, s, true)
}

// checkpoint writes the checkpoint of s and lets the pointer show it. Without
// replace, one that another writer has made is left alone.
func (t *Table) checkpoint(ctx context.Context, s *Snapshot, replace bool) error {
	if err := t.Writable(s); err != nil {
		return err
	}
	for r := range s.Tombstones() {
		if r.vector != "" {
			return &UnsupportedError{Table: t.Describe(), Doing: "write a checkpoint of",
				Why: "it had deletion vectors, of which it still keeps track"}
		}
	}
	put := t.bucket.PutNew
	if replace {
		put = t.bucket.Put
	}
	var rows, adds int64
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		rows, adds, err = writeCheckpoint(w, s, t.now())
		w.CloseWithError(err)
	}()
	info, err := put(ctx, t.checkpointName(s.Version), r)
	r.Close() //nolint:errcheck // ends the writer if put has not read everything
	<-done
	if errors.Is(err, blob.ErrExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing the checkpoint of version %d of %s: %w", s.Version, t.Describe(), err)
	}
	return t.point(ctx, pointer{Version: s.Version, Size: rows, SizeInBytes: info.Size, NumOfAddFiles: adds})
}

// point lets _last_checkpoint show a checkpoint, unless it shows a newer one.
func (t *Table) point(ctx context.Context, p pointer) error {
	if v, ok := t.lastCheckpoint(ctx); ok && v > p.Version {
		return nil
	}
	body, err := json.Marshal(p)
	if err == nil {
		_, err = t.bucket.Put(ctx, t.prefix+logFolder+"_last_checkpoint", bytes.NewReader(body))
	}
	if err != nil {
		return fmt.Errorf("pointing to the checkpoint of version %d of %s: %w", p.Version, t.Describe(), err)
	}
	return nil
}

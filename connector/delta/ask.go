package delta

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/delta/txlog"
	"millrace/connector/internal/duckread"
	"millrace/connector/internal/filequery"
)

// Query implements connector.Store. The text is one statement in DuckDB's SQL
// that reads; the table, as it is when the query begins, is the view events.
func (s *Store) Query(ctx context.Context, text string) (connector.Rows, error) {
	return s.now().QueryAt(ctx, text, "")
}

// QueryAt asks the table as it was at a version or a time; see Table.QueryAt.
func (s *Store) QueryAt(ctx context.Context, text, at string) (connector.Rows, error) {
	return s.now().QueryAt(ctx, text, at)
}

// QueryAt asks the table as it was at a version ("12") or a time (RFC 3339, or
// a day or a moment in UTC without a zone); "" is now. It fails with a
// *BadTimeError for any other text.
//
// The files of a table in a storage account are copied to the data folder first,
// and are kept there for the next query, cacheSize of them at most.
func (t *Table) QueryAt(ctx context.Context, text, at string) (connector.Rows, error) {
	snap, err := t.at(ctx, at)
	if err != nil {
		return nil, err
	}
	files, err := t.local(ctx, snap)
	if err != nil {
		return nil, err
	}
	events, err := view(snap.Metadata.Schema, files)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", t.Describe(), err)
	}
	limits := duckread.Limits{Memory: t.cfg.MemoryLimit, Threads: t.cfg.Threads, Folder: t.env.DataDir}
	return filequery.Ask(ctx, filequery.Options{Limits: limits, Explain: advice.Explain}, events, text)
}

// BadTimeError says that a text is neither a version nor a time.
type BadTimeError struct{ Text string }

func (e *BadTimeError) Error() string {
	return fmt.Sprintf("%q is neither a version nor a time", e.Text)
}

// at reads the table as it was.
func (t *Table) at(ctx context.Context, at string) (snap *txlog.Snapshot, err error) {
	version, moment, err := parseAt(at)
	switch {
	case err != nil:
		return nil, err
	case !moment.IsZero():
		snap, err = t.log.AtTime(ctx, moment)
	case version >= 0:
		snap, err = t.log.At(ctx, version)
	default:
		snap, err = t.log.Snapshot(ctx)
	}
	if errors.Is(err, txlog.ErrNoVersion) {
		return nil, &connector.Hinted{Hint: "`millrace delta history` lists the versions that there are", Err: err}
	}
	if err != nil {
		return nil, t.failed("asking a Delta table", err)
	}
	return snap, nil
}

// parseAt reads a version or a time; -1 and the zero time stand for now.
func parseAt(at string) (version int64, moment time.Time, err error) {
	at = strings.TrimSpace(at)
	if at == "" {
		return -1, moment, nil
	}
	if version, err := strconv.ParseInt(at, 10, 64); err == nil && version >= 0 {
		return version, moment, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if moment, err := time.Parse(layout, at); err == nil {
			return -1, moment, nil
		}
	}
	return 0, moment, &BadTimeError{at}
}

// local are the files of a snapshot as files of this machine.
func (t *Table) local(ctx context.Context, snap *txlog.Snapshot) ([]sqlFile, error) {
	var files []sqlFile
	var far []filequery.Wanted
	for a := range snap.Files() {
		name, err := t.log.Object(a.Path)
		if err != nil {
			return nil, err
		}
		path, ok := blob.LocalPath(t.bucket, name)
		if !ok {
			far = append(far, filequery.Wanted{Name: name, Size: a.Size})
		}
		files = append(files, sqlFile{path: path, partition: a.PartitionValues})
	}
	if len(far) == 0 {
		return files, nil
	}
	c := &filequery.Cache{Bucket: t.bucket, Dir: filequery.DirIn(t.env.DataDir, "delta-cache"), Suffix: ".parquet", Limit: int64(t.cfg.CacheSize),
		Hint: "raise serve.cacheSize, compact the table, or ask it where it is, with an engine near its storage"}
	paths, err := c.Fetch(ctx, far)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", t.Describe(), err)
	}
	for i := range files {
		files[i].path = paths[i]
	}
	return files, nil
}

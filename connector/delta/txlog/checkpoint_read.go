package txlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"millrace/connector/delta/schema"

	"github.com/parquet-go/parquet-go"
)

// pointer is the object _last_checkpoint.
type pointer struct {
	Version int64 `json:"version"`
	// Size is the number of actions in the checkpoint.
	Size          int64 `json:"size"`
	Parts         int64 `json:"parts,omitempty"`
	SizeInBytes   int64 `json:"sizeInBytes,omitempty"`
	NumOfAddFiles int64 `json:"numOfAddFiles,omitempty"`
}

// lastCheckpoint reads the pointer to the newest checkpoint. It is a hint: it
// may be missing, old or damaged.
func (t *Table) lastCheckpoint(ctx context.Context) (version int64, ok bool) {
	body, _, err := t.read(ctx, t.prefix+logFolder+"_last_checkpoint")
	if err != nil {
		return 0, false
	}
	p := pointer{Version: -1}
	if err := json.Unmarshal(body, &p); err != nil || p.Version < 0 {
		t.opts.Log.Warn("the pointer to the last checkpoint cannot be read; the log is listed instead", "table", t.Describe(), "error", err)
		return 0, false
	}
	return p.Version, true
}

// readCheckpoint returns the state that a checkpoint holds, still private.
// Errors: *CorruptError if it cannot be read or is not complete,
// *UnsupportedError, blob.ErrNotFound.
func (t *Table) readCheckpoint(ctx context.Context, c checkpointObjects) (*Snapshot, error) {
	return t.readParts(ctx, c, false)
}

// tryCheckpoint returns the error that readCheckpoint would, and keeps nothing
// in memory.
func (t *Table) tryCheckpoint(ctx context.Context, c checkpointObjects) error {
	_, err := t.readParts(ctx, c, true)
	return err
}

func (t *Table) readParts(ctx context.Context, c checkpointObjects, try bool) (*Snapshot, error) {
	s := newSnapshot()
	s.Version, s.checkpoint = c.version, c.version
	for _, part := range c.parts {
		body, _, err := t.read(ctx, part.info.Name)
		if err != nil {
			return nil, err
		}
		err = readCheckpointFile(body, s, try)
		if errors.Is(err, errSidecar) {
			return nil, &UnsupportedError{Table: t.Describe(), Doing: "read", Why: err.Error()}
		}
		if err != nil {
			return nil, &CorruptError{Object: part.info.Name, Err: err}
		}
	}
	if s.Metadata == nil || s.Protocol.MinReader == 0 {
		return nil, &CorruptError{Object: c.parts[0].info.Name, Err: errors.New("the checkpoint has no protocol or no metaData action")}
	}
	return s, nil
}

var errSidecar = errors.New("its checkpoints are in the form of version 2, which is not supported")

// readCheckpointFile adds the actions in one Parquet file to s. The columns may
// be in any order, and any of them missing; more are passed over without being
// read, which goes for statistics that are parsed already. With try the files are
// looked at but not kept.
func readCheckpointFile(body []byte, s *Snapshot, try bool) (err error) {
	defer func() {
		// The library does not check everything that a damaged file can
		// contain.
		if r := recover(); r != nil {
			err = fmt.Errorf("the Parquet file is damaged: %v", r)
		}
	}()
	f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("it is no Parquet file, or only a part of one: %w", err)
	}
	r := newActionColumns(f.Root())
	defer r.close()
	if len(r.columns) == 0 {
		return errors.New("it has no column of a checkpoint")
	}
	for row := range f.NumRows() {
		if err := r.row(s, try); err != nil {
			return fmt.Errorf("row %d of %d: %w", row+1, f.NumRows(), err)
		}
	}
	return nil
}

// actionColumns are the columns of a checkpoint that are read.
type actionColumns struct {
	columns []*column

	addPath, addSize, addModified, addDataChange, addStats     *column
	addPartitions, addTags                                     mapColumns
	removePath, removeDeleted, removeDataChange, removeExt     *column
	removeSize                                                 *column
	removePartitions                                           mapColumns
	addVector, removeVector                                    vectorColumns
	txnApp, txnVersion, txnUpdated                             *column
	metaID, metaName, metaDescription, metaProvider            *column
	metaSchema, metaPartitions, metaCreated                    *column
	metaConfig                                                 mapColumns
	minReader, minWriter, readerFeatures, writerFeatures       *column
	domainName, domainConfig, domainRemoved, sidecar, sidecar2 *column
}

type mapColumns struct{ key, value *column }

type vectorColumns struct{ storage, path, offset *column }

func newActionColumns(root *parquet.Column) *actionColumns {
	r := &actionColumns{}
	leaf := func(path ...string) *column {
		at := root
		for _, name := range path {
			if at = at.Column(name); at == nil {
				return &column{}
			}
		}
		// Lists and maps have groups of various names around what they hold.
		for !at.Leaf() && len(at.Columns()) == 1 {
			at = at.Columns()[0]
		}
		return r.open(at)
	}
	pairs := func(path ...string) mapColumns {
		at := root
		for _, name := range path {
			if at = at.Column(name); at == nil {
				return mapColumns{&column{}, &column{}}
			}
		}
		for !at.Leaf() && len(at.Columns()) == 1 {
			at = at.Columns()[0]
		}
		if at.Leaf() || len(at.Columns()) != 2 {
			return mapColumns{&column{}, &column{}}
		}
		return mapColumns{r.open(at.Columns()[0]), r.open(at.Columns()[1])}
	}
	vector := func(action string) vectorColumns {
		return vectorColumns{leaf(action, "deletionVector", "storageType"), leaf(action, "deletionVector", "pathOrInlineDv"),
			leaf(action, "deletionVector", "offset")}
	}
	r.addPath, r.addSize, r.addModified = leaf("add", "path"), leaf("add", "size"), leaf("add", "modificationTime")
	r.addDataChange, r.addStats = leaf("add", "dataChange"), leaf("add", "stats")
	r.addPartitions, r.addTags, r.addVector = pairs("add", "partitionValues"), pairs("add", "tags"), vector("add")
	r.removePath, r.removeDeleted = leaf("remove", "path"), leaf("remove", "deletionTimestamp")
	r.removeDataChange, r.removeExt = leaf("remove", "dataChange"), leaf("remove", "extendedFileMetadata")
	r.removeSize, r.removePartitions, r.removeVector = leaf("remove", "size"), pairs("remove", "partitionValues"), vector("remove")
	r.txnApp, r.txnVersion, r.txnUpdated = leaf("txn", "appId"), leaf("txn", "version"), leaf("txn", "lastUpdated")
	r.metaID, r.metaName, r.metaDescription = leaf("metaData", "id"), leaf("metaData", "name"), leaf("metaData", "description")
	r.metaProvider, r.metaSchema = leaf("metaData", "format", "provider"), leaf("metaData", "schemaString")
	r.metaPartitions, r.metaCreated = leaf("metaData", "partitionColumns"), leaf("metaData", "createdTime")
	r.metaConfig = pairs("metaData", "configuration")
	r.minReader, r.minWriter = leaf("protocol", "minReaderVersion"), leaf("protocol", "minWriterVersion")
	r.readerFeatures, r.writerFeatures = leaf("protocol", "readerFeatures"), leaf("protocol", "writerFeatures")
	r.domainName, r.domainConfig = leaf("domainMetadata", "domain"), leaf("domainMetadata", "configuration")
	r.domainRemoved = leaf("domainMetadata", "removed")
	r.sidecar, r.sidecar2 = leaf("sidecar", "path"), leaf("checkpointMetadata", "version")
	return r
}

func (r *actionColumns) open(c *parquet.Column) *column {
	if !c.Leaf() {
		return &column{}
	}
	out := &column{pages: c.Pages(), maxDefinition: c.MaxDefinitionLevel(), buf: make([]parquet.Value, 256)}
	r.columns = append(r.columns, out)
	return out
}

func (r *actionColumns) close() {
	for _, c := range r.columns {
		c.release()
		c.pages.Close()
	}
}

// row reads the next row of all columns and takes its action.
func (r *actionColumns) row(s *Snapshot, try bool) error {
	for _, c := range r.columns {
		if err := c.next(); err != nil {
			return err
		}
	}
	if r.sidecar.has() || r.sidecar2.has() {
		return errSidecar
	}
	switch {
	case r.addPath.has():
		t := addText{Path: r.addPath.text(), PartitionValues: r.addPartitions.pairs(), Size: r.addSize.numberOrNil(),
			Modified: r.addModified.number(), DataChange: r.addDataChange.flag(false), Stats: r.addStats.textOrNil(),
			Tags: r.addTags.pairs(), DeletionVector: r.addVector.text()}
		a, err := t.add()
		if err != nil {
			return err
		}
		if !try {
			s.file(fileAction{add: a})
		}
	case r.removePath.has():
		change := r.removeDataChange.flag(true)
		t := removeText{Path: r.removePath.text(), Deleted: r.removeDeleted.numberOrNil(), DataChange: &change,
			Extended: r.removeExt.flag(false), PartitionValues: r.removePartitions.pairs(), Size: r.removeSize.numberOrNil(),
			DeletionVector: r.removeVector.text()}
		x, err := t.remove()
		if err != nil {
			return err
		}
		if !try {
			s.removed.set(x.key(), x)
		}
	case r.txnApp.has():
		id := r.txnApp.text()
		s.txns.set(id, Txn{id, r.txnVersion.number(), r.txnUpdated.number()})
	case r.minReader.has():
		s.Protocol = Protocol{int(r.minReader.number()), int(r.minWriter.number()), r.readerFeatures.texts(), r.writerFeatures.texts()}
		return checkProtocol(s.Protocol)
	case r.metaSchema.has():
		return r.metadata(s)
	case r.domainName.has() && !r.domainRemoved.flag(false):
		if s.domains == nil {
			s.domains = map[string]domain{}
		}
		d := domain{Domain: r.domainName.text(), Configuration: r.domainConfig.text()}
		s.domains[d.Domain] = d
	}
	return nil
}

func (r *actionColumns) metadata(s *Snapshot) error {
	t := metadataText{ID: r.metaID.text(), Name: r.metaName.textOrNil(), Description: r.metaDescription.textOrNil(),
		Format: formatText{Provider: r.metaProvider.text()}, Schema: r.metaSchema.textOrNil(), Partition: r.metaPartitions.texts(),
		Config: r.metaConfig.pairs(), Created: r.metaCreated.numberOrNil()}
	m, err := t.metadata()
	if _, ok := errors.AsType[*schema.UnknownTypeError](err); ok {
		s.unknown, err = err, nil
	}
	s.Metadata = m
	return err
}

// column reads one leaf column row by row. The zero value is a column that the
// file does not have: all of its rows are null.
type column struct {
	pages         parquet.Pages
	page          parquet.Page
	values        parquet.ValueReader
	maxDefinition int
	buf           []parquet.Value
	at, n         int
	ended         bool

	// kind, num and str are the row's value; list has all of them where
	// the column is inside a list or map.
	present bool
	num     int64
	str     string
	list    []*string
}

// next moves to the next row.
func (c *column) next() error {
	c.present, c.num, c.str, c.list = false, 0, "", nil
	for first := true; ; first = false {
		if c.at == c.n {
			if err := c.fill(); err != nil {
				return err
			}
			if c.ended {
				if first {
					return errors.New("a column is shorter than the file")
				}
				return nil
			}
		}
		v := &c.buf[c.at]
		if !first && v.RepetitionLevel() == 0 {
			return nil
		}
		c.at++
		c.take(v)
	}
}

func (c *column) take(v *parquet.Value) {
	if v.IsNull() {
		if v.DefinitionLevel() == c.maxDefinition-1 && c.maxDefinition > 1 {
			c.list = append(c.list, nil)
		}
		return
	}
	c.present = true
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			c.num = 1
		}
	case parquet.Int32:
		c.num = int64(v.Int32())
	case parquet.Int64:
		c.num = v.Int64()
	case parquet.ByteArray:
		c.str = string(v.ByteArray())
		s := c.str
		c.list = append(c.list, &s)
	}
}

// fill reads more values, from the next page if need be.
func (c *column) fill() error {
	for !c.ended {
		if c.values != nil {
			n, err := c.values.ReadValues(c.buf)
			if n > 0 {
				c.at, c.n = 0, n
				return nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		c.release()
		page, err := c.pages.ReadPage()
		if errors.Is(err, io.EOF) {
			c.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		c.page, c.values = page, page.Values()
	}
	return nil
}

func (c *column) release() {
	if c.page != nil {
		parquet.Release(c.page)
		c.page, c.values = nil, nil
	}
}

func (c *column) has() bool     { return c.present }
func (c *column) text() string  { return c.str }
func (c *column) number() int64 { return c.num }

func (c *column) flag(otherwise bool) bool {
	if !c.present {
		return otherwise
	}
	return c.num != 0
}

func (c *column) textOrNil() *string {
	if !c.present {
		return nil
	}
	s := c.str
	return &s
}

func (c *column) numberOrNil() *int64 {
	if !c.present {
		return nil
	}
	n := c.num
	return &n
}

func (c *column) texts() []string {
	var out []string
	for _, s := range c.list {
		if s != nil {
			out = append(out, *s)
		}
	}
	return out
}

// pairs returns the row's map, nil if it is null or empty.
func (m mapColumns) pairs() map[string]*string {
	if len(m.key.list) == 0 {
		return nil
	}
	out := make(map[string]*string, len(m.key.list))
	for i, k := range m.key.list {
		if k != nil && i < len(m.value.list) {
			out[*k] = m.value.list[i]
		}
	}
	return out
}

func (v vectorColumns) text() *vectorText {
	if !v.storage.has() {
		return nil
	}
	return &vectorText{Storage: v.storage.text(), Path: v.path.text(), Offset: v.offset.numberOrNil()}
}

package txlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"millrace/connector/delta/schema"
)

// commit is what one version of the log says.
type commit struct {
	version  int64
	time     time.Time
	etag     string
	info     CommitInfo
	protocol *Protocol
	metadata *Metadata
	// unknown is the schema's type that is not known here. Then metadata
	// has no schema.
	unknown error
	// files are the adds and removes in the order of the object.
	files   []fileAction
	txns    []Txn
	domains []domain
}

// fileAction is an add or a remove.
type fileAction struct {
	add    *Add
	remove *Remove
}

// The actions as they stand in the log. Pointers are for what may be missing
// or null.
type (
	line struct {
		CommitInfo *infoText     `json:"commitInfo,omitempty"`
		Protocol   *protocolText `json:"protocol,omitempty"`
		Metadata   *metadataText `json:"metaData,omitempty"`
		Txn        *txnText      `json:"txn,omitempty"`
		Remove     *removeText   `json:"remove,omitempty"`
		Add        *addText      `json:"add,omitempty"`
		Domain     *domain       `json:"domainMetadata,omitempty"`
	}
	addText struct {
		Path            string             `json:"path"`
		PartitionValues map[string]*string `json:"partitionValues"`
		Size            *int64             `json:"size"`
		Modified        int64              `json:"modificationTime"`
		DataChange      bool               `json:"dataChange"`
		Stats           *string            `json:"stats,omitempty"`
		Tags            map[string]*string `json:"tags,omitempty"`
		DeletionVector  *vectorText        `json:"deletionVector,omitempty"`
	}
	removeText struct {
		Path            string             `json:"path"`
		Deleted         *int64             `json:"deletionTimestamp,omitempty"`
		DataChange      *bool              `json:"dataChange,omitempty"`
		Extended        bool               `json:"extendedFileMetadata,omitempty"`
		PartitionValues map[string]*string `json:"partitionValues,omitempty"`
		Size            *int64             `json:"size,omitempty"`
		DeletionVector  *vectorText        `json:"deletionVector,omitempty"`
	}
	txnText struct {
		AppID       *string `json:"appId"`
		Version     *int64  `json:"version"`
		LastUpdated *int64  `json:"lastUpdated,omitempty"`
	}
	protocolText struct {
		MinReader      int      `json:"minReaderVersion"`
		MinWriter      int      `json:"minWriterVersion"`
		ReaderFeatures []string `json:"readerFeatures,omitempty"`
		WriterFeatures []string `json:"writerFeatures,omitempty"`
	}
	metadataText struct {
		ID          string             `json:"id"`
		Name        *string            `json:"name,omitempty"`
		Description *string            `json:"description,omitempty"`
		Format      formatText         `json:"format"`
		Schema      *string            `json:"schemaString"`
		Partition   []string           `json:"partitionColumns"`
		Config      map[string]*string `json:"configuration"`
		Created     *int64             `json:"createdTime,omitempty"`
	}
	formatText struct {
		Provider string             `json:"provider"`
		Options  map[string]*string `json:"options"`
	}
	infoText struct {
		Timestamp   json.RawMessage            `json:"timestamp,omitempty"`
		Operation   string                     `json:"operation,omitempty"`
		Parameters  map[string]json.RawMessage `json:"operationParameters,omitempty"`
		ReadVersion *int64                     `json:"readVersion,omitempty"`
		Isolation   string                     `json:"isolationLevel,omitempty"`
		Blind       *bool                      `json:"isBlindAppend,omitempty"`
		Metrics     map[string]json.RawMessage `json:"operationMetrics,omitempty"`
		Engine      string                     `json:"engineInfo,omitempty"`
		TxnID       string                     `json:"txnId,omitempty"`
	}
)

// vectorText is the deletion vector of a file: which of its rows are not there
// any more. A file with a vector is another one than the file without.
type vectorText struct {
	Storage string `json:"storageType"`
	Path    string `json:"pathOrInlineDv"`
	Offset  *int64 `json:"offset"`
}

// id tells vectors apart.
func (t *vectorText) id() string {
	if t == nil {
		return ""
	}
	id := t.Storage + t.Path
	if t.Offset != nil {
		id += "@" + strconv.FormatInt(*t.Offset, 10)
	}
	return id
}

// parseCommit reads the object of a version. Actions and members that are not
// known are passed over, as the protocol demands. An error means that the
// object is torn or was written by no Delta writer.
func parseCommit(version int64, body []byte) (*commit, error) {
	c := &commit{version: version}
	if !utf8.Valid(body) {
		return nil, errors.New("it is no UTF-8 text")
	}
	n := 0
	for at := 1; len(body) > 0; at++ {
		text := body
		if i := bytes.IndexByte(body, '\n'); i >= 0 {
			text, body = body[:i], body[i+1:]
		} else {
			body = nil
		}
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue
		}
		n++
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("line %d is torn or no action: %w", at, err)
		}
		if err := c.take(&l); err != nil {
			return nil, fmt.Errorf("line %d: %w", at, err)
		}
	}
	if n == 0 {
		return nil, errors.New("it is empty")
	}
	return c, nil
}

func (c *commit) take(l *line) error {
	if l.CommitInfo != nil {
		c.info = l.CommitInfo.info()
	}
	if l.Protocol != nil {
		p := Protocol{l.Protocol.MinReader, l.Protocol.MinWriter, l.Protocol.ReaderFeatures, l.Protocol.WriterFeatures}
		if err := checkProtocol(p); err != nil {
			return err
		}
		if c.protocol != nil {
			return errors.New("a second protocol action")
		}
		c.protocol = &p
	}
	if l.Metadata != nil {
		m, err := l.Metadata.metadata()
		if _, ok := errors.AsType[*schema.UnknownTypeError](err); ok {
			// Which is for the protocol action to explain, if there is one.
			c.unknown, err = err, nil
		}
		if err != nil {
			return fmt.Errorf("metaData: %w", err)
		}
		if c.metadata != nil {
			return errors.New("a second metaData action")
		}
		c.metadata = m
	}
	if l.Txn != nil {
		if l.Txn.AppID == nil || l.Txn.Version == nil {
			return errors.New("a txn action without appId or version")
		}
		c.txns = append(c.txns, Txn{*l.Txn.AppID, *l.Txn.Version, orZero(l.Txn.LastUpdated)})
	}
	if l.Remove != nil {
		r, err := l.Remove.remove()
		if err != nil {
			return fmt.Errorf("remove: %w", err)
		}
		c.files = append(c.files, fileAction{remove: r})
	}
	if l.Add != nil {
		a, err := l.Add.add()
		if err != nil {
			return fmt.Errorf("add: %w", err)
		}
		c.files = append(c.files, fileAction{add: a})
	}
	if l.Domain != nil {
		c.domains = append(c.domains, *l.Domain)
	}
	return nil
}

func (t *addText) add() (*Add, error) {
	path, raw, err := paths(t.Path)
	if err != nil {
		return nil, err
	}
	if t.Size == nil || *t.Size < 0 {
		return nil, fmt.Errorf("file %s has no size", path)
	}
	return &Add{Path: path, PartitionValues: values(t.PartitionValues), Size: *t.Size, Modified: t.Modified,
		DataChange: t.DataChange, Stats: orZero(t.Stats), Tags: values(t.Tags), raw: raw, vector: t.DeletionVector.id()}, nil
}

func (t *removeText) remove() (*Remove, error) {
	path, raw, err := paths(t.Path)
	if err != nil {
		return nil, err
	}
	return &Remove{Path: path, Deleted: orZero(t.Deleted), DataChange: t.DataChange == nil || *t.DataChange,
		Extended: t.Extended, PartitionValues: values(t.PartitionValues), Size: orZero(t.Size), raw: raw,
		vector: t.DeletionVector.id()}, nil
}

// paths decodes a path. raw is "" if encoding gives the same text again.
func paths(text string) (path, raw string, err error) {
	path, err = decodePath(text)
	if err != nil {
		return "", "", err
	}
	if encodePath(path) != text {
		raw = text
	}
	return path, raw, nil
}

// values turns nulls into "", which means the same, and an empty map into nil.
func values(m map[string]*string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = orZero(v)
	}
	return out
}

func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (t *metadataText) metadata() (*Metadata, error) {
	if t.Schema == nil {
		return nil, errors.New("there is no schemaString")
	}
	if t.Format.Provider != "" && t.Format.Provider != "parquet" {
		return nil, fmt.Errorf("the files are in the format %q, not Parquet", t.Format.Provider)
	}
	m := &Metadata{ID: t.ID, Name: orZero(t.Name), Description: orZero(t.Description),
		PartitionColumns: t.Partition, Configuration: values(t.Config), Created: orZero(t.Created)}
	s, err := schema.Parse(*t.Schema)
	if err != nil {
		m.Schema = schema.New()
		return m, fmt.Errorf("schemaString: %w", err)
	}
	m.Schema = s
	for _, name := range t.Partition {
		if _, ok := s.Field(name); !ok {
			return nil, fmt.Errorf("the schema has no partition column %s", name)
		}
	}
	return m, nil
}

func (t *infoText) info() CommitInfo {
	i := CommitInfo{Operation: t.Operation, Parameters: texts(t.Parameters), Metrics: texts(t.Metrics),
		IsolationLevel: t.Isolation, BlindAppend: orZero(t.Blind), Engine: t.Engine, TxnID: t.TxnID}
	// Some writers put a text there; then it is as if it were missing.
	_ = json.Unmarshal(t.Timestamp, &i.Timestamp)
	return i
}

func texts(m map[string]json.RawMessage) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, raw := range m {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		out[k] = s
	}
	return out
}

package txlog

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// encode returns the object of the commit, in the order in which readers are
// used to see it: commitInfo first.
func (c *commit) encode(readVersion int64) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // ends each action with a line break
	enc.SetEscapeHTML(false)
	write := func(l line) error {
		if err := enc.Encode(&l); err != nil {
			return fmt.Errorf("encoding version %d: %w", c.version, err)
		}
		return nil
	}
	if err := write(line{CommitInfo: c.info.text(readVersion)}); err != nil {
		return nil, err
	}
	if p := c.protocol; p != nil {
		if err := write(line{Protocol: &protocolText{p.MinReader, p.MinWriter, p.ReaderFeatures, p.WriterFeatures}}); err != nil {
			return nil, err
		}
	}
	if c.metadata != nil {
		if err := write(line{Metadata: c.metadata.text()}); err != nil {
			return nil, err
		}
	}
	for _, t := range c.txns {
		if err := write(line{Txn: &txnText{&t.AppID, &t.Version, orNil(t.LastUpdated)}}); err != nil {
			return nil, err
		}
	}
	for _, f := range c.files {
		l := line{}
		if f.add != nil {
			l.Add = f.add.text()
		} else {
			l.Remove = f.remove.text()
		}
		if err := write(l); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func orNil[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func (a *Add) rawPath() string {
	if a.raw != "" {
		return a.raw
	}
	return encodePath(a.Path)
}

func (r *Remove) rawPath() string {
	if r.raw != "" {
		return r.raw
	}
	return encodePath(r.Path)
}

// nullable is the reverse of values: "" becomes null. It is never nil.
func nullable(m map[string]string) map[string]*string {
	out := make(map[string]*string, len(m))
	for k, v := range m {
		out[k] = orNil(v)
	}
	return out
}

// plain is a map of texts in which "" is a text.
func plain(m map[string]string) map[string]*string {
	out := make(map[string]*string, len(m))
	for k, v := range m {
		out[k] = &v
	}
	return out
}

func (a *Add) text() *addText {
	t := &addText{Path: a.rawPath(), PartitionValues: nullable(a.PartitionValues), Size: &a.Size, Modified: a.Modified,
		DataChange: a.DataChange, Stats: orNil(a.Stats)}
	if len(a.Tags) > 0 {
		t.Tags = plain(a.Tags)
	}
	return t
}

func (r *Remove) text() *removeText {
	t := &removeText{Path: r.rawPath(), Deleted: orNil(r.Deleted), DataChange: &r.DataChange, Extended: r.Extended}
	if r.Extended {
		t.PartitionValues, t.Size = nullable(r.PartitionValues), &r.Size
	}
	return t
}

func (m *Metadata) text() *metadataText {
	s := m.Schema.Text()
	t := &metadataText{ID: m.ID, Name: orNil(m.Name), Description: orNil(m.Description),
		Format: formatText{Provider: "parquet", Options: map[string]*string{}}, Schema: &s,
		Partition: m.PartitionColumns, Config: plain(m.Configuration), Created: orNil(m.Created)}
	if t.Partition == nil {
		t.Partition = []string{}
	}
	return t
}

func (i *CommitInfo) text(readVersion int64) *infoText {
	stamp, _ := json.Marshal(i.Timestamp)
	t := &infoText{Timestamp: stamp, Operation: i.Operation, Parameters: quoted(i.Parameters), Metrics: quoted(i.Metrics),
		Isolation: i.IsolationLevel, Blind: &i.BlindAppend, Engine: i.Engine, TxnID: i.TxnID}
	if readVersion >= 0 {
		t.ReadVersion = &readVersion
	}
	if t.Parameters == nil {
		t.Parameters = map[string]json.RawMessage{}
	}
	return t
}

func quoted(m map[string]string) map[string]json.RawMessage {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]json.RawMessage, len(m))
	for k, v := range m {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(v) // a string always has a form
		out[k] = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	return out
}

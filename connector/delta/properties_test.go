package delta_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/connectortest"
	"millrace/connector/delta"
	"millrace/connector/delta/txlog"
)

// A table gets properties for many small commits, also where the options name
// others, and those named win.
func TestPropertiesOfNewTables(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *delta.Config) {
		c.Columns = map[string]string{"humidity": "double"}
		c.Properties = map[string]string{"delta.logRetentionDuration": "interval 2 weeks", "mine": "yes"}
	})
	w.write(0, 10)
	d, err := w.table().Detail(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"delta.logRetentionDuration": "interval 2 weeks", "mine": "yes", "delta.checkpointInterval": "100",
		"delta.checkpointRetentionDuration": "interval 1 hour", "delta.deletedFileRetentionDuration": "interval 1 day",
		"delta.dataSkippingNumIndexedCols": "-1"}
	if !maps.Equal(d.Properties, want) {
		t.Errorf("properties %v, want %v", d.Properties, want)
	}
	for a := range w.snapshot().Files() {
		for _, column := range []string{`"partitionId":0`, `"logOffset":9`, `"humidity":`} {
			if !strings.Contains(a.Stats, column) {
				t.Errorf("%s is missing in the statistics %s", column, a.Stats)
			}
		}
	}
}

// snapshot is the table's newest version.
func (w *world) snapshot() *txlog.Snapshot {
	w.Helper()
	s, err := w.log().Snapshot(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// log is the table's log as others see it.
func (w *world) log() *txlog.Table {
	w.Helper()
	bucket, err := blob.Open(w.Context(), w.folder(), "", func(string) string { return "" })
	if err != nil {
		w.Fatal(err)
	}
	log := txlog.Open(bucket, "", txlog.Options{})
	w.Cleanup(func() { _ = log.Close(w.Context()) })
	return log
}

// VACUUM leaves tables alone that may have files which it does not know, and a
// retention that the log does not reach back to is not pretended.
func TestVacuumRefuses(t *testing.T) {
	t.Parallel()
	for want, protocol := range map[string]*txlog.Protocol{
		"deletion vectors": {MinReader: 3, MinWriter: 7, ReaderFeatures: []string{"deletionVectors"}, WriterFeatures: []string{"deletionVectors"}},
		"is more than the": nil,
	} {
		w := newWorld(t, nil)
		w.write(0, 10)
		if protocol != nil {
			if _, err := w.log().Commit(t.Context(), w.snapshot(), txlog.Change{Operation: "UPGRADE PROTOCOL", Protocol: protocol}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.table().Vacuum(t.Context(), delta.VacuumOptions{Retention: 48 * 60 * 60 * 1e9})
		if hinted := (*connector.Hinted)(nil); !errors.As(err, &hinted) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}

// A table that may forget positions is not written to.
func TestForgetfulTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	changed := w.snapshot().Metadata.Clone()
	changed.Configuration["delta.setTransactionRetentionDuration"] = "interval 1 day"
	if _, err := w.log().Commit(t.Context(), w.snapshot(), txlog.Change{Operation: "SET TBLPROPERTIES", Metadata: changed}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Write(t.Context(), connectortest.Stretch(0, 0, 5)); err == nil || !strings.Contains(err.Error(), "forgets positions") {
		t.Errorf("Write: %v", err)
	}
	if err := open(t, w.cfg, w.env).Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "forgets positions") {
		t.Errorf("Prepare: %v", err)
	}
}

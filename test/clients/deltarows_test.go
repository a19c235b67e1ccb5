package clients_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"millrace/connector/delta/data"
	"millrace/connector/delta/schema"
	"millrace/connector/delta/txlog"
)

// ourRows reads all rows of a version of a table in a folder, in the form that
// lake/values.py gives them.
func ourRows(t *testing.T, path string, snap *txlog.Snapshot) []object {
	t.Helper()
	var rows []object
	for add := range snap.Files() {
		file, err := os.Open(filepath.Join(path, add.Path))
		if err != nil {
			t.Fatal(err)
		}
		size, err := file.Seek(0, io.SeekEnd)
		if err != nil || size != add.Size {
			t.Errorf("%s has %d bytes (%v), the log says %d", add.Path, size, err, add.Size)
		}
		opened, err := data.Open(file, size)
		if err == nil {
			columns := snap.Metadata.Schema
			err = opened.ReadRows(t.Context(), columns, add.PartitionValues, func(row []any) error {
				rows = append(rows, rowObject(columns, row))
				return nil
			})
		}
		if err != nil {
			t.Errorf("reading %s: %v", add.Path, err)
		}
		_ = file.Close()
	}
	return rows
}

func rowObject(s *schema.Struct, row []any) object {
	out := object{}
	for i, f := range s.Fields {
		out[f.Name] = valueJSON(f.Type, row[i])
	}
	return out
}

// valueJSON is a value that was read in the form that lake/values.py gives it.
func valueJSON(of schema.Type, v any) any {
	switch of := of.(type) {
	case *schema.Struct:
		if row, ok := v.([]any); ok {
			return rowObject(of, row)
		}
	case *schema.Array:
		if list, ok := v.([]any); ok {
			out := make([]any, len(list))
			for i, e := range list {
				out[i] = valueJSON(of.Element, e)
			}
			return out
		}
	case *schema.Map:
		if pairs, ok := v.([]data.Pair); ok {
			out := make([]any, len(pairs))
			for i, p := range pairs {
				out[i] = []any{valueJSON(of.Key, p.Key), valueJSON(of.Value, p.Value)}
			}
			return out
		}
	}
	switch v := v.(type) {
	case float32:
		return valueJSON(of, float64(v))
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		}
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case time.Time:
		if of == schema.Date {
			return v.Format(time.DateOnly)
		}
		return v.UnixMicro()
	case []any, []data.Pair:
		return fmt.Sprintf("a %T for a %v", v, of)
	}
	return v
}

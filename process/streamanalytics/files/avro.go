package files

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"

	"millrace/process/streamanalytics/value"
)

// avroReader reads an Avro object container file. Records are written as JSON
// in the order of the schema's fields: dates and timestamps in ISO 8601,
// bytes as text if they are UTF-8, else in base64.
type avroReader struct {
	path   string
	in     io.ReadCloser
	file   *ocf.Decoder
	schema avro.Schema
	json   []byte
	row    int64
}

func newAvroReader(path string, in io.ReadCloser) (r *avroReader, err error) {
	defer guard(path, &err)
	// Files may bring schemas of the same name that differ: no shared cache.
	limits := avro.Config{MaxByteSliceSize: maxRecord, MaxSliceAllocSize: maxRecord / 16}.Freeze()
	d, err := ocf.NewDecoder(in, ocf.WithDecoderSchemaCache(&avro.SchemaCache{}), ocf.WithDecoderConfig(limits))
	if err != nil {
		return nil, Misuse("", "%s is not an Avro file: %w", path, err)
	}
	if empty(d.Schema(), 0) {
		return nil, Misuse("", "the records of %s hold nothing", path)
	}
	return &avroReader{path: path, in: in, file: d, schema: d.Schema()}, nil
}

// empty tells whether a value may take no bytes at all. Files could claim any
// number of those, as records or in arrays, and reading them would not end.
func empty(s avro.Schema, depth int) bool {
	switch s := s.(type) {
	case *avro.RecordSchema:
		none := true
		for _, f := range s.Fields() {
			if !empty(f.Type(), depth+1) {
				none = false
			}
		}
		return none || slices.ContainsFunc(s.Fields(), func(f *avro.Field) bool { return hollow(f.Type(), depth+1) })
	case *avro.NullSchema:
		return true
	case *avro.FixedSchema:
		return s.Size() == 0
	}
	return false
}

// hollow tells whether a value holds arrays whose elements take no bytes.
func hollow(s avro.Schema, depth int) bool {
	if depth > 100 {
		return true
	}
	switch s := s.(type) {
	case *avro.ArraySchema:
		return empty(s.Items(), depth+1) || hollow(s.Items(), depth+1)
	case *avro.MapSchema:
		return hollow(s.Values(), depth+1)
	case *avro.UnionSchema:
		return slices.ContainsFunc(s.Types(), func(t avro.Schema) bool { return hollow(t, depth+1) })
	case *avro.RecordSchema:
		return slices.ContainsFunc(s.Fields(), func(f *avro.Field) bool { return hollow(f.Type(), depth+1) })
	}
	return false
}

// guard turns a panic of a library over a damaged file into an error.
func guard(path string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s is damaged: %v", path, p)
	}
}

func (r *avroReader) Close() error { return r.in.Close() }

// Next implements Reader.
func (r *avroReader) Next() (rec Record, err error) {
	defer guard(r.path, &err)
	if !r.file.HasNext() {
		if err := r.file.Error(); err != nil {
			return Record{}, fmt.Errorf("%s, behind row %d: %w", r.path, r.row, err)
		}
		return Record{}, io.EOF
	}
	r.row++
	var v any
	if err := r.file.Decode(&v); err != nil {
		return Record{}, fmt.Errorf("%s, row %d: %w", r.path, r.row, err)
	}
	r.json = appendAvro(r.json[:0], r.schema, v)
	return Record{JSON: r.json, Line: r.row}, nil
}

// appendAvro writes a decoded value as JSON.
func appendAvro(dst []byte, s avro.Schema, v any) []byte {
	if v == nil {
		return append(dst, "null"...)
	}
	switch s := s.(type) {
	case *avro.RefSchema:
		return appendAvro(dst, s.Schema(), v)
	case *avro.UnionSchema:
		branch, inner := branchOf(s, v)
		return appendAvro(dst, branch, inner)
	case *avro.RecordSchema:
		m, _ := v.(map[string]any)
		dst = append(dst, '{')
		for i, f := range s.Fields() {
			dst = appendName(dst, i, f.Name())
			dst = appendAvro(dst, f.Type(), m[f.Name()])
		}
		return append(dst, '}')
	case *avro.MapSchema:
		m, _ := v.(map[string]any)
		dst = append(dst, '{')
		for i, name := range sortedKeys(m) {
			dst = appendName(dst, i, name)
			dst = appendAvro(dst, s.Values(), m[name])
		}
		return append(dst, '}')
	case *avro.ArraySchema:
		list, _ := v.([]any)
		dst = append(dst, '[')
		for i, e := range list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendAvro(dst, s.Items(), e)
		}
		return append(dst, ']')
	}
	return appendScalar(dst, v)
}

// branchOf finds the branch of a union that a value belongs to. The decoder
// wraps values of unions with several branches into a map with the branch's
// name.
func branchOf(s *avro.UnionSchema, v any) (avro.Schema, any) {
	var only avro.Schema
	m, _ := v.(map[string]any)
	for _, t := range s.Types() {
		if t.Type() == avro.Null {
			continue
		}
		if inner, ok := m[branchName(t)]; ok && len(m) == 1 {
			return t, inner
		}
		only = t
		if m != nil && (t.Type() == avro.Record || t.Type() == avro.Map || t.Type() == avro.Ref) {
			break
		}
	}
	return only, v
}

// branchName is the name that the decoder gives to a branch.
func branchName(s avro.Schema) string {
	if r, ok := s.(*avro.RefSchema); ok {
		s = r.Schema()
	}
	if n, ok := s.(avro.NamedSchema); ok {
		return n.FullName()
	}
	name := string(s.Type())
	if l, ok := s.(avro.LogicalTypeSchema); ok && l.Logical() != nil {
		name += "." + string(l.Logical().Type())
	}
	return name
}

func appendName(dst []byte, i int, name string) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	return append(value.AppendString(dst, name), ':')
}

// appendScalar writes what binary formats have as values.
func appendScalar(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return value.Bool(v).AppendJSON(dst)
	case int:
		return value.Int(int64(v)).AppendJSON(dst)
	case int32:
		return value.Int(int64(v)).AppendJSON(dst)
	case int64:
		return value.Int(v).AppendJSON(dst)
	case float32:
		return value.Double(float64(v)).AppendJSON(dst)
	case float64:
		return value.Double(v).AppendJSON(dst)
	case string:
		return value.AppendString(dst, v)
	case []byte:
		return appendBytes(dst, v)
	case time.Time:
		return value.TimeOf(v).AppendJSON(dst)
	case time.Duration:
		return value.AppendString(dst, clock(v))
	case *big.Rat:
		f, _ := v.Float64()
		return value.Double(f).AppendJSON(dst)
	}
	return value.AppendString(dst, fmt.Sprint(v))
}

// clock writes a time of day.
func clock(d time.Duration) string {
	return time.Unix(0, 0).UTC().Add(d).Format("15:04:05.0000000")
}

func appendBytes(dst, b []byte) []byte {
	if utf8.Valid(b) {
		return value.AppendString(dst, string(b))
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

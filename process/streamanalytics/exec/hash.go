package exec

import (
	"crypto/sha256"
	"hash"
	"reflect"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// planHash is a hash of what a plan does. Places in the text do not count, so
// that a query that was only laid out anew keeps its state.
func planHash(job *plan.Job) [16]byte {
	h := hasher{hash: sha256.New(), seen: map[uintptr]uint64{}}
	h.add(reflect.ValueOf(job.Level))
	h.add(reflect.ValueOf(job.Inputs))
	h.add(reflect.ValueOf(job.Outputs))
	h.add(reflect.ValueOf(job.Nodes))
	return [16]byte(h.hash.Sum(nil))
}

// hasher walks a plan. Pointers that were met before are hashed as numbers, so
// that the graph's shape counts.
type hasher struct {
	hash hash.Hash
	seen map[uintptr]uint64
	buf  []byte
}

func (h *hasher) uint(n uint64) {
	h.buf = codec.AppendUint(h.buf[:0], n)
	h.hash.Write(h.buf)
}

func (h *hasher) text(s string) {
	h.buf = codec.AppendBytes(h.buf[:0], s)
	h.hash.Write(h.buf)
}

func (h *hasher) add(v reflect.Value) {
	if !v.IsValid() {
		h.uint(0)
		return
	}
	switch x := v.Interface().(type) {
	case syntax.Pos:
		return
	case value.Value:
		h.buf = x.AppendState(h.buf[:0])
		h.hash.Write(h.buf)
		return
	case *function.Scalar:
		if x != nil {
			h.text(x.Name)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		h.pointer(v)
	case reflect.Interface:
		if v.IsNil() {
			h.uint(0)
			return
		}
		h.text(v.Elem().Type().String())
		h.add(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Step" {
				h.add(v.Field(i))
			}
		}
	case reflect.Slice:
		h.uint(uint64(v.Len()))
		for i := range v.Len() {
			h.add(v.Index(i))
		}
	case reflect.String:
		h.text(v.String())
	case reflect.Bool:
		if v.Bool() {
			h.uint(1)
		} else {
			h.uint(0)
		}
	case reflect.Float64:
		h.buf = codec.AppendFloat(h.buf[:0], v.Float())
		h.hash.Write(h.buf)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		h.uint(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		h.uint(v.Uint())
	}
}

func (h *hasher) pointer(v reflect.Value) {
	if v.IsNil() {
		h.uint(0)
		return
	}
	if n, ok := h.seen[v.Pointer()]; ok {
		h.uint(n)
		return
	}
	h.seen[v.Pointer()] = uint64(len(h.seen) + 2)
	h.uint(1)
	h.add(v.Elem())
}

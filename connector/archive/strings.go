package archive

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#include <stddef.h>
#include <stdint.h>

int millrace_set_texts(void *vector, const char *texts, const int64_t *ends, const uint8_t *skip, int64_t count, char *message, size_t room);
*/
import "C"

import (
	"encoding/json"
	"errors"
	"reflect"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// texts are the values of a column of texts in one chunk, gathered to be handed
// over at once. The driver hands over one after the other, and the process
// ends if DuckDB's memory is exhausted meanwhile.
type texts struct {
	bytes []byte
	ends  []int64
	null  []uint8
}

func (t *texts) reset() { t.bytes, t.ends, t.null = t.bytes[:0], t.ends[:0], t.null[:0] }

// add copies the next row's value; nil is NULL.
func (t *texts) add(value []byte) {
	t.bytes = append(t.bytes, value...)
	t.end(value == nil)
}

// end ends the value of a row that was appended to bytes.
func (t *texts) end(null bool) {
	t.ends = append(t.ends, int64(len(t.bytes)))
	is := uint8(0)
	if null {
		is = 1
	}
	t.null = append(t.null, is)
}

// chunkShape is what the driver knows of a chunk and keeps to itself: the
// chunk, and which of its vectors a column is in.
type chunkShape struct {
	chunk      mapping.DataChunk
	projection reflect.Value
}

var errDriver = errors.New("the driver of DuckDB is not the version that this was written for")

func shapeOf(chunk *duckdb.DataChunk) (chunkShape, error) {
	v := reflect.ValueOf(chunk).Elem()
	handle, projection := v.FieldByName("chunk"), v.FieldByName("projection")
	if !handle.IsValid() || handle.Type() != reflect.TypeFor[mapping.DataChunk]() || !projection.IsValid() || projection.Type() != reflect.TypeFor[[]int]() ||
		projection.Len() != columnCount {
		return chunkShape{}, errDriver
	}
	return chunkShape{mapping.DataChunk{Ptr: handle.FieldByName("Ptr").UnsafePointer()}, projection}, nil
}

// vector is where a column goes; -1 if the statement does not ask for it.
func (s *chunkShape) vector(col int) int { return int(s.projection.Index(col).Int()) }

// put hands over a column's texts. NULLs are set by the driver, which needs no
// memory for them.
func (t *texts) put(s *chunkShape, chunk *duckdb.DataChunk, col int) error {
	if len(t.ends) == 0 {
		return nil
	}
	for row, null := range t.null {
		if null != 0 {
			if err := chunk.SetValue(col, row, nil); err != nil {
				return err
			}
		}
	}
	t.bytes = append(t.bytes, 0) // so that there is a first byte
	vector := mapping.DataChunkGetVector(s.chunk, mapping.IdxT(s.vector(col)))
	var message [1000]C.char
	if C.millrace_set_texts(vector.Ptr, (*C.char)(unsafe.Pointer(&t.bytes[0])), (*C.int64_t)(unsafe.Pointer(&t.ends[0])),
		(*C.uint8_t)(unsafe.Pointer(&t.null[0])), C.int64_t(len(t.ends)), &message[0], C.size_t(len(message))) != 0 {
		return duckMessage(C.GoString(&message[0]))
	}
	return nil
}

// duckMessage takes the message out of an exception's text.
func duckMessage(text string) error {
	var e struct {
		Type    string `json:"exception_type"`
		Message string `json:"exception_message"`
	}
	if json.Unmarshal([]byte(text), &e) == nil && e.Message != "" {
		text = e.Type + " Error: " + e.Message
	}
	return errors.New(text)
}

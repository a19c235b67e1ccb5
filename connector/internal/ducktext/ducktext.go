// Package ducktext hands texts over to DuckDB, in the chunks that a table
// function fills, without letting exhausted memory end the process: DuckDB
// reports it by a C++ exception, which cannot pass through Go. The driver's own
// way sets one text after the other and is not guarded.
package ducktext

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

// Column gathers the values of a column of texts in one chunk, to be handed
// over at once. The zero value is empty. Not safe for concurrent use.
type Column struct {
	// Bytes are the values so far, one after the other. A value may be
	// appended here directly and then be ended by End.
	Bytes []byte
	ends  []int64
	null  []uint8
}

// Reset empties the column and keeps its memory.
func (c *Column) Reset() { c.Bytes, c.ends, c.null = c.Bytes[:0], c.ends[:0], c.null[:0] }

// Add copies the next row's value; nil is NULL.
func (c *Column) Add(value []byte) {
	c.Bytes = append(c.Bytes, value...)
	c.End(value == nil)
}

// End ends the value of a row that was appended to Bytes.
func (c *Column) End(null bool) {
	c.ends = append(c.ends, int64(len(c.Bytes)))
	is := uint8(0)
	if null {
		is = 1
	}
	c.null = append(c.null, is)
}

// Cap returns how many bytes of texts the column's memory holds.
func (c *Column) Cap() int { return cap(c.Bytes) }

// Chunk is a chunk that is being filled, with what the driver knows of it and
// keeps to itself: the chunk of DuckDB, and which of its vectors a column is in.
type Chunk struct {
	chunk      *duckdb.DataChunk
	handle     mapping.DataChunk
	projection reflect.Value
}

var errDriver = errors.New("the driver of DuckDB is not the version that this was written for")

// Open looks into a chunk of a table function with so many columns. It fails if
// the driver is another version than expected.
func Open(chunk *duckdb.DataChunk, columns int) (Chunk, error) {
	v := reflect.ValueOf(chunk).Elem()
	handle, projection := v.FieldByName("chunk"), v.FieldByName("projection")
	if !handle.IsValid() || handle.Type() != reflect.TypeFor[mapping.DataChunk]() || !projection.IsValid() || projection.Type() != reflect.TypeFor[[]int]() ||
		projection.Len() != columns {
		return Chunk{}, errDriver
	}
	return Chunk{chunk, mapping.DataChunk{Ptr: handle.FieldByName("Ptr").UnsafePointer()}, projection}, nil
}

// Wants tells whether the statement asks for a column.
func (c *Chunk) Wants(col int) bool { return c.vector(col) >= 0 }

// vector is where a column goes; -1 if the statement does not ask for it.
func (c *Chunk) vector(col int) int { return int(c.projection.Index(col).Int()) }

// Put hands over the texts of a column that the statement asks for. An error
// has DuckDB's own text, which begins with its kind ("Out of Memory Error: ").
func (c *Chunk) Put(col int, t *Column) error {
	if len(t.ends) == 0 {
		return nil
	}
	// NULLs are set by the driver, which needs no memory for them.
	for row, null := range t.null {
		if null != 0 {
			if err := c.chunk.SetValue(col, row, nil); err != nil {
				return err
			}
		}
	}
	t.Bytes = append(t.Bytes, 0) // so that there is a first byte
	vector := mapping.DataChunkGetVector(c.handle, mapping.IdxT(c.vector(col)))
	var message [4000]C.char
	if C.millrace_set_texts(vector.Ptr, (*C.char)(unsafe.Pointer(&t.Bytes[0])), (*C.int64_t)(unsafe.Pointer(&t.ends[0])),
		(*C.uint8_t)(unsafe.Pointer(&t.null[0])), C.int64_t(len(t.ends)), &message[0], C.size_t(len(message))) != 0 {
		return duckError(C.GoString(&message[0]))
	}
	return nil
}

// duckError takes the message out of an exception's text, which is JSON; a text
// that was too long for its room ends early.
func duckError(text string) error {
	var e struct {
		Type    string `json:"exception_type"`
		Message string `json:"exception_message"`
	}
	if json.Unmarshal([]byte(text), &e) == nil && e.Message != "" {
		text = e.Type + " Error: " + e.Message
	}
	return errors.New(text)
}

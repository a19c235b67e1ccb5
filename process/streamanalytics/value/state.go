package value

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrState is text that AppendState did not write.
var ErrState = errors.New("damaged value in the state")

// The first byte of an encoded value.
const (
	stateNull byte = iota
	stateInt
	stateFloat
	stateText
	stateTime
	stateFalse
	stateTrue
	stateRecord
	stateArray
	stateRaw12
	stateRaw11
	stateRaw10
)

// AppendState appends the value in a form that ReadState turns into the same
// value, of the same kind.
func (v Value) AppendState(dst []byte) []byte {
	if v.form >= raw12 {
		dst = append(dst, stateRaw12+byte(v.form.level()))
		dst = binary.AppendUvarint(dst, v.num)
		return append(dst, v.json()...)
	}
	switch v.kind {
	case BigInt:
		return binary.AppendVarint(append(dst, stateInt), int64(v.num))
	case Float:
		return binary.LittleEndian.AppendUint64(append(dst, stateFloat), v.num)
	case String:
		dst = binary.AppendUvarint(append(dst, stateText), v.num)
		return append(dst, v.Str()...)
	case DateTime:
		return binary.AppendVarint(append(dst, stateTime), int64(v.num))
	case Bit:
		return append(dst, stateFalse+byte(v.num))
	case Record:
		dst = binary.AppendUvarint(append(dst, stateRecord), v.num)
		for _, m := range v.members() {
			dst = binary.AppendUvarint(dst, uint64(len(m.Name)))
			dst = append(dst, m.Name...)
			dst = m.Value.AppendState(dst)
		}
		return dst
	case Array:
		dst = binary.AppendUvarint(append(dst, stateArray), v.num)
		for _, e := range v.elements() {
			dst = e.AppendState(dst)
		}
		return dst
	}
	return append(dst, stateNull)
}

// ReadState reads a value that AppendState wrote and returns it with the bytes
// behind it. The value owns its memory. Bytes of any other origin give an
// error that wraps ErrState.
func ReadState(b []byte) (v Value, rest []byte, err error) { return readState(b, 0) }

func readState(b []byte, depth int) (Value, []byte, error) {
	if len(b) == 0 {
		return Value{}, nil, fmt.Errorf("%w: it ends too early", ErrState)
	}
	if depth > MaxDepth {
		return Value{}, nil, fmt.Errorf("%w: nested too deep", ErrState)
	}
	tag, b := b[0], b[1:]
	switch tag {
	case stateNull:
		return Value{}, b, nil
	case stateFalse, stateTrue:
		return Bool(tag == stateTrue), b, nil
	case stateInt, stateTime:
		n, size := binary.Varint(b)
		if size <= 0 {
			return Value{}, nil, fmt.Errorf("%w: bad number", ErrState)
		}
		if tag == stateTime {
			return Time(n), b[size:], nil
		}
		return Int(n), b[size:], nil
	case stateFloat:
		if len(b) < 8 {
			return Value{}, nil, fmt.Errorf("%w: it ends too early", ErrState)
		}
		return Double(math.Float64frombits(binary.LittleEndian.Uint64(b))), b[8:], nil
	case stateText, stateRaw12, stateRaw11, stateRaw10:
		text, b, err := readText(b)
		if err != nil {
			return Value{}, nil, err
		}
		if tag == stateText {
			return Text(text), b, nil
		}
		json := []byte(text)
		if len(json) == 0 || json[0] != '{' && json[0] != '[' || skipValue(json, 0, 0) != len(json) {
			return Value{}, nil, fmt.Errorf("%w: bad JSON", ErrState)
		}
		return rawValue(json, Level(tag-stateRaw12)), b, nil
	case stateRecord:
		return readRecord(b, depth)
	case stateArray:
		return readArray(b, depth)
	}
	return Value{}, nil, fmt.Errorf("%w: unknown kind %d", ErrState, tag)
}

func readText(b []byte) (string, []byte, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, fmt.Errorf("%w: bad length", ErrState)
	}
	b = b[size:]
	return string(b[:n]), b[n:], nil
}

// readCount reads a count of things that take at least one byte each, which
// bounds what a damaged count can make us allocate.
func readCount(b []byte) (int, []byte, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return 0, nil, fmt.Errorf("%w: bad count", ErrState)
	}
	return int(n), b[size:], nil
}

func readRecord(b []byte, depth int) (Value, []byte, error) {
	n, b, err := readCount(b)
	if err != nil {
		return Value{}, nil, err
	}
	var ms []Member
	for range n {
		var m Member
		if m.Name, b, err = readText(b); err != nil {
			return Value{}, nil, err
		}
		if m.Value, b, err = readState(b, depth+1); err != nil {
			return Value{}, nil, err
		}
		ms = append(ms, m)
	}
	return NewRecord(ms), b, nil
}

func readArray(b []byte, depth int) (Value, []byte, error) {
	n, b, err := readCount(b)
	if err != nil {
		return Value{}, nil, err
	}
	var es []Value
	for range n {
		var e Value
		if e, b, err = readState(b, depth+1); err != nil {
			return Value{}, nil, err
		}
		es = append(es, e)
	}
	return NewArray(es), b, nil
}

package hub

import (
	"encoding/binary"
	"errors"
	"fmt"

	"millrace/connector/eventhubs/local/amqp"
)

// Sections are cut here without decoding what is in them: only how long it is.

var errCut = errors.New("a section is cut short")

// badEvent says that what was to be appended is not an AMQP message.
func badEvent(err error) error {
	return &said{fmt.Sprintf("the event is not a well-formed AMQP message: %v", err), ErrInvalid}
}

// cutVariable cuts a value of variable width off b: the constructor is short, or
// short+0x10 for a length of four bytes.
func cutVariable(b []byte, short byte) (content, rest []byte, err error) {
	var n uint64
	switch {
	case len(b) >= 2 && b[0] == short:
		n, b = uint64(b[1]), b[2:]
	case len(b) >= 5 && b[0] == short+0x10:
		n, b = uint64(binary.BigEndian.Uint32(b[1:])), b[5:]
	default:
		return nil, nil, badEvent(errCut)
	}
	if n > uint64(len(b)) {
		return nil, nil, badEvent(errCut)
	}
	return b[:n], b[n:], nil
}

// cutData cuts the first data section off a body.
func cutData(body []byte) (data, rest []byte, err error) {
	if len(body) < 3 || body[2] != 0x75 {
		return nil, nil, badEvent(errCut)
	}
	// A null in the place of bytes: against the specification, but the
	// JavaScript client sends it.
	if len(body) > 3 && body[3] == 0x40 {
		return nil, body[4:], nil
	}
	return cutVariable(body[3:], 0xa0)
}

// cutMap returns the number of entries of a section that is a map, and them. No
// section has none.
func cutMap(section []byte) (n int, entries []byte, err error) {
	if len(section) == 0 {
		return 0, nil, nil
	}
	if len(section) < 3 {
		return 0, nil, badEvent(errCut)
	}
	content, _, err := cutVariable(section[3:], 0xc1)
	if err != nil {
		return 0, nil, err
	}
	var items uint64
	switch {
	case section[3] == 0xc1 && len(content) >= 1:
		items, entries = uint64(content[0]), content[1:]
	case section[3] == 0xd1 && len(content) >= 4:
		items, entries = uint64(binary.BigEndian.Uint32(content)), content[4:]
	default:
		return 0, nil, badEvent(errCut)
	}
	if items%2 != 0 || items > uint64(len(entries)) {
		return 0, nil, badEvent(errors.New("a map counts its entries wrongly"))
	}
	return int(items / 2), entries, nil
}

// cutEntry cuts an entry off a map: the encodings of its key and its value.
func cutEntry(b []byte) (key, value, rest []byte, err error) {
	afterKey, err := amqp.SkipValue(b)
	if err != nil {
		return nil, nil, nil, badEvent(err)
	}
	rest, err = amqp.SkipValue(afterKey)
	if err != nil {
		return nil, nil, nil, badEvent(err)
	}
	return b[:len(b)-len(afterKey)], afterKey[:len(afterKey)-len(rest)], rest, nil
}

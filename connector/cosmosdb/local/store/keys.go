package store

import (
	"encoding/binary"
	"errors"
)

// The keys of the store. docs/formats/cosmosdb.md is the reference; all numbers
// are big-endian, so that they sort.
const (
	spaceMeta      = 0x01
	spaceCatalogue = 0x02
	spaceData      = 0x10

	// Kinds of catalogue records.
	recordDatabase  = 'd'
	recordContainer = 'c'
	recordOffer     = 'o'

	// Kinds of a container's keys, behind its number.
	kindItem   = 'i' // key, id -> item
	kindIndex  = 'x' // range, path, value, number of the item, key, id
	kindUnique = 'u' // key, constraint, hash -> id
	kindFeed   = 'f' // range, LSN -> time, key, id
	kindTTL    = 't' // range, time, key, id
	kindRange  = 'r' // range -> LSN, items, bytes
)

const (
	dataPrefix  = 1 + 4 + 1      // space, container, kind
	rangePrefix = dataPrefix + 2 // and range
	hashSize    = 8              // of a path
	numberSize  = 8              // of an item
	tailSuffix  = 2 + 1          // the lengths at a tail's end
	uniqueHash  = 16
)

// maxIDSize bounds an item's id, in bytes.
const maxIDSize = 1023

// afterKeys is behind every number of an item, which begins with less than 10.
const afterKeys = 0xFF

func appendData(dst []byte, container uint32, kind byte) []byte {
	dst = append(dst, spaceData)
	dst = binary.BigEndian.AppendUint32(dst, container)
	return append(dst, kind)
}

func appendRange(dst []byte, container uint32, kind byte, number int) []byte {
	dst = appendData(dst, container, kind)
	return binary.BigEndian.AppendUint16(dst, uint16(number))
}

// appendTail appends what names an item: its effective partition key and its
// id, with their lengths behind them, so that both sort as they are.
func appendTail(dst []byte, epk, id string) []byte {
	dst = append(dst, epk...)
	dst = append(dst, id...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(id)))
	return append(dst, byte(len(epk)))
}

var errKey = errors.New("the store holds a key that is no key of its format")

// splitTail finds the tail at the end of a key: where it begins, and its parts,
// views of the key.
func splitTail(key []byte) (start int, epk, id []byte, err error) {
	end := len(key) - tailSuffix
	if end < 0 {
		return 0, nil, nil, errKey
	}
	idAt := end - int(binary.BigEndian.Uint16(key[end:]))
	start = idAt - int(key[end+2])
	if start < 0 {
		return 0, nil, nil, errKey
	}
	return start, key[start:idAt], key[idAt:end], nil
}

func appendItemKey(dst []byte, container uint32, epk, id string) []byte {
	return appendTail(appendData(dst, container, kindItem), epk, id)
}

func appendIndexKey(dst []byte, container uint32, number int, term []byte, doc uint64, epk, id string) []byte {
	dst = appendRange(dst, container, kindIndex, number)
	dst = append(dst, term...)
	dst = binary.BigEndian.AppendUint64(dst, doc)
	return appendTail(dst, epk, id)
}

func appendUniqueKey(dst []byte, container uint32, epk string, constraint int, hash [uniqueHash]byte) []byte {
	dst = appendData(dst, container, kindUnique)
	dst = append(dst, epk...)
	dst = append(dst, byte(constraint))
	return append(dst, hash[:]...)
}

func appendFeedKey(dst []byte, container uint32, number int, lsn int64) []byte {
	dst = appendRange(dst, container, kindFeed, number)
	return binary.BigEndian.AppendUint64(dst, uint64(lsn))
}

// appendFeedValue appends what a feed entry holds: the second of the change, by
// which a reader finds where to begin, and the item.
func appendFeedValue(dst []byte, seconds uint32, epk, id string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, seconds)
	return appendTail(dst, epk, id)
}

func splitFeedValue(v []byte) (seconds uint32, epk, id []byte, err error) {
	if len(v) < 4 {
		return 0, nil, nil, errKey
	}
	_, epk, id, err = splitTail(v[4:])
	return binary.BigEndian.Uint32(v), epk, id, err
}

func appendTTLKey(dst []byte, container uint32, number int, seconds uint32, epk, id string) []byte {
	dst = appendRange(dst, container, kindTTL, number)
	dst = binary.BigEndian.AppendUint32(dst, seconds)
	return appendTail(dst, epk, id)
}

func appendRangeValue(dst []byte, lsn, items, bytes int64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(lsn))
	dst = binary.BigEndian.AppendUint64(dst, uint64(items))
	return binary.BigEndian.AppendUint64(dst, uint64(bytes))
}

func splitRangeValue(v []byte) (lsn, items, bytes int64, err error) {
	if len(v) != 24 {
		return 0, 0, 0, errKey
	}
	return int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint64(v[8:])), int64(binary.BigEndian.Uint64(v[16:])), nil
}

func recordKey(kind byte, number uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{spaceCatalogue, kind}, number)
}

func metaKey(name string) []byte { return append([]byte{spaceMeta}, name...) }

// containerSpan bounds all keys of a container.
func containerSpan(container uint32) (low, high []byte) {
	low = binary.BigEndian.AppendUint32([]byte{spaceData}, container)
	return low, successor(low)
}

// successor is the smallest key behind all that begin with prefix.
func successor(prefix []byte) []byte {
	next := append([]byte(nil), prefix...)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return []byte{0xFF, 0xFF} // nothing is stored there
}

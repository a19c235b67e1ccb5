package store

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// An item is stored as a head of fixed size and its JSON, as clients get it.
const (
	itemFormat = 1
	headSize   = 1 + etagSize + 8 + 4
	etagSize   = 8 + 2 + 2 + 4
)

// head is what the store knows of an item beside its JSON.
type head struct {
	// These make the etag, which no two writes share: the number of a process
	// that had the directory tells those apart that reuse an LSN whose write
	// was never acknowledged.
	lsn     int64
	number  uint16 // of the range
	session uint16
	seconds uint32 // _ts
	// doc is the item's number in its container, for _rid: see docNumber. It
	// outlives replacement.
	doc uint64
	// ttl is the item's own time to live in seconds, 0 if it says nothing, -1
	// for ever.
	ttl int32
}

func (h *head) append(dst []byte) []byte {
	dst = append(dst, itemFormat)
	dst = h.appendETag(dst)
	dst = binary.BigEndian.AppendUint64(dst, h.doc)
	return binary.BigEndian.AppendUint32(dst, uint32(h.ttl))
}

func (h *head) appendETag(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.lsn))
	dst = binary.BigEndian.AppendUint16(dst, h.number)
	dst = binary.BigEndian.AppendUint16(dst, h.session)
	return binary.BigEndian.AppendUint32(dst, h.seconds)
}

// splitItem takes a stored item apart. The body is a view of it.
func splitItem(stored []byte) (h head, body []byte, err error) {
	if len(stored) < headSize+len("{}") {
		return h, nil, fmt.Errorf("a stored item of %d bytes is no item", len(stored))
	}
	if stored[0] != itemFormat {
		return h, nil, fmt.Errorf("a stored item has format %d, this version reads %d", stored[0], itemFormat)
	}
	h.lsn = int64(binary.BigEndian.Uint64(stored[1:]))
	h.number = binary.BigEndian.Uint16(stored[9:])
	h.session = binary.BigEndian.Uint16(stored[11:])
	h.seconds = binary.BigEndian.Uint32(stored[13:])
	h.doc = binary.BigEndian.Uint64(stored[17:])
	h.ttl = int32(binary.BigEndian.Uint32(stored[25:]))
	return h, stored[headSize:], nil
}

// expires is the second from which on the item is not there, 0 if never, given
// the container's default.
func (h *head) expires(defaultTTL *int) int64 {
	if defaultTTL == nil {
		return 0
	}
	ttl := int64(h.ttl)
	if ttl == 0 {
		ttl = int64(*defaultTTL)
	}
	if ttl < 0 {
		return 0
	}
	return int64(h.seconds) + ttl
}

func (h *head) expired(defaultTTL *int, seconds int64) bool {
	at := h.expires(defaultTTL)
	return at != 0 && at <= seconds
}

// An item's number, for _rid, has 60 bits: the highest four stay clear, by which
// clients tell items from procedures. Clients that resume an ORDER BY want items
// with the same value in the order of their numbers. So index entries are in
// that order; and so that those of one logical partition can still be found
// together, the number begins with the beginning of its key. What follows is the
// LSN that the item was created with, and a bit that tells neighbouring ranges
// apart, in which keys may begin alike.
const (
	keyBits = 22
	lsnBits = 37 // enough for 137 thousand million writes into a range
)

// docNumber makes the number of an item that is created with this LSN in the
// physical range with this number.
func docNumber(epk []byte, number int, lsn int64) uint64 {
	return firstNumber(epk) | uint64(lsn)&(1<<lsnBits-1)<<1 | uint64(number)&1
}

// firstNumber is not larger than the number of any item with this effective
// partition key or one behind it, lastNumber not smaller than that of any with
// this one or one before it.
func firstNumber(epk []byte) uint64 {
	var first [3]byte
	copy(first[:], epk)
	key := uint64(first[0])<<16 | uint64(first[1])<<8 | uint64(first[2])
	return min(key, 1<<keyBits-1) << (lsnBits + 1)
}

func lastNumber(epk []byte) uint64 { return firstNumber(epk) | (1<<(lsnBits+1) - 1) }

// appendETagText writes an etag without its quotes.
func appendETagText(dst []byte, etag *[etagSize]byte) []byte {
	for i, part := range [...][]byte{etag[0:4], etag[4:6], etag[6:8], etag[8:10], etag[10:16]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// etag is the item's etag with quotes.
func (h *head) etag() string {
	var raw [etagSize]byte
	h.appendETag(raw[:0])
	var text [etagText + 2]byte
	out := append(text[:0], '"')
	out = appendETagText(out, &raw)
	return string(append(out, '"'))
}

const (
	etagText = 2*etagSize + 4
	ridText  = 24 // of an item
)

// systemSize is how much the system properties of an item add to its JSON, at
// most.
const systemSize = 260

// appendSystem ends an item, whose final brace is missing, with its system
// properties. self is the container's link.
func appendSystem(dst []byte, h *head, rid *[8]byte, self string) []byte {
	var raw [16]byte
	copy(raw[:8], rid[:])
	binary.LittleEndian.PutUint64(raw[8:], h.doc)
	var id [ridText]byte
	encodeRID(id[:], raw[:])
	var etag [etagSize]byte
	h.appendETag(etag[:0])
	dst = append(dst, `,"_rid":"`...)
	dst = append(dst, id[:]...)
	dst = append(dst, `","_self":"`...)
	dst = append(dst, self...)
	dst = append(dst, "docs/"...)
	dst = append(dst, id[:]...)
	dst = append(dst, `/","_etag":"\"`...)
	dst = appendETagText(dst, &etag)
	dst = append(dst, `\"","_attachments":"attachments/","_ts":`...)
	dst = strconv.AppendUint(dst, uint64(h.seconds), 10)
	return append(dst, '}')
}

// encodeRID writes a resource id: base64 whose slashes are dashes, so that it
// fits a path.
func encodeRID(dst, raw []byte) {
	base64.StdEncoding.Encode(dst, raw)
	for i, c := range dst {
		if c == '/' {
			dst[i] = '-'
		}
	}
}

func ridString(raw []byte) string {
	text := make([]byte, base64.StdEncoding.EncodedLen(len(raw)))
	encodeRID(text, raw)
	return string(text)
}

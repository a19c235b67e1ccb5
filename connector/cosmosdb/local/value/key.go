package value

import (
	"encoding/binary"
	"strings"
)

// A key is a sequence of these bytes:
//
//	undefined 02 · null 03 · false 04 · true 05
//	number    06, eight bytes of the double in an order of unsigned integers
//	string    07, text, 00 01
//	array     08, elements, 00
//	object    09, for each member sorted by name: 02, name, 00 01, value; 00
//
// A zero byte in a text is 00 FF. A key that would hold more than MaxKeyText
// bytes of texts and elements is cut: inside a text by 00 02, between elements
// by 01, and nothing follows. No key is the beginning of another, so keys can
// be concatenated and still be told apart and sorted.
const (
	keyEnd       = 0x00
	keyCut       = 0x01
	keyMember    = 0x02
	keyUndefined = 0x02
	keyNull      = 0x03
	keyFalse     = 0x04
	keyTrue      = 0x05
	keyNumber    = 0x06
	keyString    = 0x07
	keyArray     = 0x08
	keyObject    = 0x09
	keyAfter     = 0x0A

	textEnd  = 0x01
	textCut  = 0x02
	textZero = 0xFF
)

// MaxKeyText is how many bytes of a value AppendKey keeps. Values that are the
// same up to there have one key: who finds one by its key must compare the
// value itself if the key IsCut.
const MaxKeyText = 1024

// AppendKey appends a key for v whose order, byte by byte, is that of Compare,
// and which is the same for values that are the Same. No key is the beginning
// of another one. Of more than MaxKeyText bytes of text the key has the
// beginning, so that such values may share one; they still sort rightly among
// all shorter ones.
func AppendKey(dst []byte, v Value) []byte {
	k := keyWriter{dst: dst, limit: len(dst) + MaxKeyText}
	k.value(v)
	return k.dst
}

// AppendIdentity appends a key as AppendKey does, but never cut: two values
// have one if and only if they are the Same. Its length grows with the value.
func AppendIdentity(dst []byte, v Value) []byte {
	k := keyWriter{dst: dst, limit: int(^uint(0) >> 1)}
	k.value(v)
	return k.dst
}

// IsCut tells whether key, one made by AppendKey, does not hold its whole
// value.
func IsCut(key []byte) bool {
	n := len(key)
	if n < MaxKeyText {
		return false
	}
	switch key[0] {
	case keyString:
		return key[n-2] == 0 && key[n-1] == textCut
	case keyArray, keyObject:
		return key[n-1] != keyEnd
	}
	return false
}

// KindKeys are the bounds of the keys of all values of a kind, low included,
// high not.
func KindKeys(k Kind) (low, high []byte) {
	first := [...]byte{keyUndefined, keyNull, keyFalse, keyNumber, keyString, keyArray, keyObject, keyAfter}
	return []byte{first[k]}, []byte{first[k+1]}
}

// PrefixKeys are the bounds of the keys of all strings that begin with prefix,
// low included, high not. Of a prefix longer than MaxKeyText they are wider.
func PrefixKeys(prefix string) (low, high []byte) {
	k := keyWriter{dst: []byte{keyString}, limit: MaxKeyText}
	k.text(prefix)
	low = k.dst[:len(k.dst):len(k.dst)]
	// No text has a byte FF, and behind a zero byte FF is the largest there is.
	return low, append(low, 0xFF, 0xFF)
}

type keyWriter struct {
	dst   []byte
	limit int // the length of dst at which the key is cut
	cut   bool
}

func (k *keyWriter) value(v Value) {
	switch v.kind {
	case KindUndefined:
		k.dst = append(k.dst, keyUndefined)
	case KindNull:
		k.dst = append(k.dst, keyNull)
	case KindBool:
		k.dst = append(k.dst, keyFalse+byte(v.num))
	case KindNumber:
		k.dst = append(k.dst, keyNumber)
		k.dst = binary.BigEndian.AppendUint64(k.dst, orderedBits(v.number()))
	case KindString:
		k.dst = append(k.dst, keyString)
		k.textAndEnd(v.str())
	case KindArray:
		k.array(v.text)
	case KindObject:
		k.object(v)
	}
}

func (k *keyWriter) array(s string) {
	k.dst = append(k.dst, keyArray)
	for i := 1; ; {
		at, ok := elementAt(s, i)
		if !ok {
			k.dst = append(k.dst, keyEnd)
			return
		}
		if k.full() {
			return
		}
		var e Value
		e, i = readValue(s, at)
		if k.value(e); k.cut {
			return
		}
	}
}

func (k *keyWriter) object(v Value) {
	k.dst = append(k.dst, keyObject)
	var buffer [memberBuffer]member
	for _, m := range sortedMembers(v, buffer[:0]) {
		if k.full() {
			return
		}
		k.dst = append(k.dst, keyMember)
		if k.textAndEnd(m.name); k.cut {
			return
		}
		if k.value(m.value); k.cut {
			return
		}
	}
	k.dst = append(k.dst, keyEnd)
}

// full cuts the key before an element if there is no room for it.
func (k *keyWriter) full() bool {
	if len(k.dst) < k.limit {
		return false
	}
	k.dst = append(k.dst, keyCut)
	k.cut = true
	return true
}

func (k *keyWriter) textAndEnd(s string) {
	if k.text(s) {
		k.dst = append(k.dst, keyEnd, textEnd)
		return
	}
	k.dst = append(k.dst, keyEnd, textCut)
	k.cut = true
}

// text appends s and tells whether it was all of it.
func (k *keyWriter) text(s string) bool {
	for {
		n := strings.IndexByte(s, 0)
		if n < 0 {
			n = len(s)
		}
		if room := max(k.limit-len(k.dst), 0); n > room {
			k.dst = append(k.dst, s[:room]...)
			return false
		}
		k.dst = append(k.dst, s[:n]...)
		if n == len(s) {
			return true
		}
		if len(k.dst)+2 > k.limit {
			return false
		}
		k.dst = append(k.dst, 0, textZero)
		s = s[n+1:]
	}
}

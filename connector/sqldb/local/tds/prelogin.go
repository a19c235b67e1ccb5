package tds

import (
	"encoding/binary"
	"slices"
)

// Options of the prelogin exchange.
const (
	preloginVersion    = 0
	preloginEncryption = 1
	preloginFedAuth    = 6
	preloginEnd        = 0xFF
)

// What the two sides say about encryption.
const (
	encryptOff          = 0 // the login only
	encryptOn           = 1
	encryptNotSupported = 2
	encryptRequired     = 3
)

// serverVersion is what the server claims to be: SQL Server 2022, 16.0.1000.
var serverVersion = []byte{16, 0, 0x03, 0xE8, 0, 0}

// parsePrelogin returns the options by their number.
func parsePrelogin(b []byte) (map[byte][]byte, error) {
	out := make(map[byte][]byte)
	for at := 0; ; at += 5 {
		if at >= len(b) {
			return nil, protocolErrorf("prelogin options without an end")
		}
		if b[at] == preloginEnd {
			return out, nil
		}
		if at+5 > len(b) {
			return nil, protocolErrorf("a prelogin option that is cut off")
		}
		offset, length := int(binary.BigEndian.Uint16(b[at+1:])), int(binary.BigEndian.Uint16(b[at+3:]))
		if offset+length > len(b) {
			return nil, protocolErrorf("prelogin option %d reaches beyond the packet", b[at])
		}
		out[b[at]] = b[offset : offset+length]
	}
}

// appendPrelogin writes options in the order of their numbers.
func appendPrelogin(buf []byte, options map[byte][]byte) []byte {
	var order []byte
	for o := range options {
		order = append(order, o)
	}
	slices.Sort(order)
	offset := 5*len(order) + 1
	for _, o := range order {
		buf = append(buf, o)
		buf = binary.BigEndian.AppendUint16(buf, uint16(offset))
		buf = binary.BigEndian.AppendUint16(buf, uint16(len(options[o])))
		offset += len(options[o])
	}
	buf = append(buf, preloginEnd)
	for _, o := range order {
		buf = append(buf, options[o]...)
	}
	return buf
}

// negotiate says what the server answers to the client's wish; tunnel tells
// whether TLS follows, and whole whether it lasts beyond the login.
func negotiate(client byte, haveTLS bool) (answer byte, tunnel, whole bool) {
	switch {
	case !haveTLS:
		return encryptNotSupported, false, false
	case client == encryptNotSupported:
		return encryptNotSupported, false, false
	case client == encryptOff:
		return encryptOff, true, false
	}
	return encryptOn, true, true
}

package tds

import (
	"encoding/binary"

	"millrace/connector/sqldb/local/value"
)

// Login is what a client says about itself.
type Login struct {
	Host, User, App, Server, Library, Language, Database string
	// Password is what was typed, or empty if Token is set.
	Password string
	// Token is the access token of a login by Entra ID (the security token
	// library), "" if the client sent none.
	Token string
	// ReadOnly says that the client only means to read.
	ReadOnly bool

	packetSize int
	fedAuth    bool // the answer must acknowledge the feature
}

const (
	loginFixed      = 94
	maxLogin        = 128 << 10 // a token may be long
	featureFedAuth  = 0x02
	featureUTF8     = 0x0A
	featureEnd      = 0xFF
	extensionFollow = 0x10
)

// parseLogin reads a LOGIN7 message.
func parseLogin(b []byte) (*Login, error) {
	if len(b) < loginFixed {
		return nil, protocolErrorf("a login of %d bytes", len(b))
	}
	if n := int(binary.LittleEndian.Uint32(b)); n > len(b) {
		return nil, protocolErrorf("a login of %d bytes that claims %d", len(b), n)
	}
	if version := binary.LittleEndian.Uint32(b[4:]); version < 0x72090002 && version>>24 != 0x08 {
		return nil, protocolErrorf("TDS version %#x: 7.2 to 7.4 are spoken here", version)
	}
	l := &Login{packetSize: int(binary.LittleEndian.Uint32(b[8:])), ReadOnly: b[26]&0x20 != 0}
	var err error
	field := func(at int) []byte {
		offset, units := int(binary.LittleEndian.Uint16(b[at:])), int(binary.LittleEndian.Uint16(b[at+2:]))
		if offset+2*units > len(b) {
			err = protocolErrorf("a field of the login reaches beyond it")
			return nil
		}
		return b[offset : offset+2*units]
	}
	text := func(at int) string { return string(value.AppendUTF8(nil, field(at))) }
	l.Host, l.User, l.App, l.Server = text(36), text(40), text(48), text(52)
	l.Library, l.Language, l.Database = text(60), text(64), text(68)
	password := append([]byte(nil), field(44)...)
	for i, c := range password {
		c ^= 0xA5
		password[i] = c<<4 | c>>4
	}
	l.Password = string(value.AppendUTF8(nil, password))
	if err == nil && b[27]&extensionFollow != 0 {
		err = l.extension(b)
	}
	return l, err
}

// extension reads the list of features, of which only the token counts here.
func (l *Login) extension(b []byte) error {
	at := int(binary.LittleEndian.Uint16(b[56:]))
	if at+4 > len(b) {
		return protocolErrorf("the login's extension lies beyond it")
	}
	at = int(binary.LittleEndian.Uint32(b[at:]))
	for {
		if at < 0 || at >= len(b) {
			return protocolErrorf("the login's features have no end")
		}
		id := b[at]
		if id == featureEnd {
			return nil
		}
		if at+5 > len(b) {
			return protocolErrorf("a feature of the login is cut off")
		}
		n := int(binary.LittleEndian.Uint32(b[at+1:]))
		at += 5
		if n < 0 || n > len(b)-at {
			return protocolErrorf("feature %d of the login reaches beyond it", id)
		}
		if id == featureFedAuth {
			if err := l.token(b[at : at+n]); err != nil {
				return err
			}
		}
		at += n
	}
}

// token reads the federated authentication feature: only tokens that come with
// the login are understood (the library "security token").
func (l *Login) token(b []byte) error {
	const securityToken = 0x01
	if len(b) < 5 || b[0]>>1 != securityToken {
		return protocolErrorf("a way of federated authentication that is not supported")
	}
	n := int(binary.LittleEndian.Uint32(b[1:]))
	if n < 0 || n > len(b)-5 {
		return protocolErrorf("an access token of %d bytes in %d", n, len(b)-5)
	}
	l.Token, l.fedAuth = string(value.AppendUTF8(nil, b[5:5+n])), true
	return nil
}

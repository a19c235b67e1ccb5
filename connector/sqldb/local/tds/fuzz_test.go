package tds

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"millrace/connector/sqldb/local/value"
)

// sink is a session that reads everything and answers with what it has read.
type sink struct{}

func (sink) Database() string   { return "d" }
func (sink) Descriptor() uint64 { return 0 }
func (sink) Reset(bool)         {}
func (sink) Close()             {}
func (sink) Batch(_ context.Context, text string, r *Reply) error {
	return r.Info(&value.Error{Message: text})
}
func (sink) Transaction(_ context.Context, t *Transaction, r *Reply) error { return r.Begun(1) }

func (sink) Call(_ context.Context, c *Call, r *Reply) (int32, []Param, error) {
	var outputs []Param
	for _, p := range c.Params {
		if p.Table == nil && p.Type.ID != value.Null {
			outputs = append(outputs, p)
		}
	}
	return 0, outputs, nil
}

func (sink) Bulk(_ context.Context, b *Bulk, r *Reply) error {
	if err := r.Columns(b.Columns); err != nil {
		return err
	}
	for {
		row, err := b.Next()
		if err != nil || row == nil {
			return err
		}
		if err := r.Row(row); err != nil {
			return err
		}
	}
}

// run gives a request to the decoders in packets of n bytes. What comes back
// is the same for every n.
func run(kind byte, body []byte, n int) (answer []byte, err error) {
	c := &conn{session: sink{}, cfg: Config{Log: nil}}
	next := func() (packet, error) {
		if len(body) == 0 {
			return packet{}, io.EOF
		}
		p := packet{kind: kind, data: body[:min(n, len(body))]}
		body = body[len(p.data):]
		if len(body) == 0 {
			p.status = statusEnd
		}
		return p, nil
	}
	first, err := next()
	if err != nil {
		return nil, err
	}
	var out collector
	m := newMessage(first, next)
	r := &Reply{w: newPacketWriter(&out, packReply, defaultPacketSize)}
	err = c.answer(context.Background(), m, r)
	return out, err
}

type collector []byte

func (c *collector) Write(b []byte) (int, error) { *c = append(*c, b...); return len(b), nil }

func headersOf(body ...byte) []byte {
	h := binary.LittleEndian.AppendUint32(nil, 22)
	h = binary.LittleEndian.AppendUint32(h, 18)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = append(h, make([]byte, 8)...)
	return append(append(h, 1, 0, 0, 0), body...)
}

// FuzzRequest: no bytes make a decoder fail but with a protocol error, and
// where packets are cut changes nothing.
func FuzzRequest(f *testing.F) {
	f.Add(byte(packBatch), headersOf('s', 0, 'e', 0))
	call := headersOf(0xFF, 0xFF, 10, 0, 0, 0)
	call = append(call, 2, '@', 0, 'a', 0, 1, typeIntN, 8, 8, 1, 2, 3, 4, 5, 6, 7, 8)
	call = append(call, 0, 0, typeNVarChar, 0xFF, 0xFF, 9, 4, 0xD0, 0, 0x34, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 'x', 0, 0, 0, 0, 0)
	call = append(call, 0, 0, typeDecimal, 17, 38, 3, 5, 1, 1, 2, 3, 4)
	f.Add(byte(packRPC), call)
	f.Add(byte(packRPC), append(call, 0xFF, 0xFF, 0xFF, 10, 0, 0, 0))
	table := headersOf(1, 0, 'p', 0, 0, 0, 0, 0, typeTable, 0, 0, 1, 't', 0, 1, 0, 0, 0, 0, 0, 0, 0, typeBitN, 1, 0, 0, 1, 1, 1, 0)
	f.Add(byte(packRPC), table)
	f.Add(byte(packTransaction), headersOf(5, 0, 1, 0))
	f.Add(byte(packTransaction), headersOf(7, 0, 0, 1, 2, 0))
	bulk := []byte{tokenColumns, 2, 0, 0, 0, 0, 0, 1, 0, typeIntN, 4, 1, 'a', 0, 0, 0, 0, 0, 1, 0, typeDateTime2, 6, 1, 'b', 0,
		tokenRow, 4, 1, 2, 3, 4, 8, 1, 2, 3, 4, 5, 6, 7, 8, tokenNBCRow, 1, 0, tokenDone, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	f.Add(byte(packBulk), bulk)
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		whole, err := run(kind, body, len(body)+1)
		var told *value.Error
		if err != nil && !errors.Is(err, errProtocol) && !errors.Is(err, io.EOF) && !errors.As(err, &told) {
			t.Fatalf("an error that is none of the protocol: %v", err)
		}
		for _, n := range []int{1, 3, 7} {
			part, partErr := run(kind, body, n)
			if string(part) != string(whole) || (err == nil) != (partErr == nil) {
				t.Fatalf("in packets of %d bytes: %x, %v\nin one: %x, %v", n, part, partErr, whole, err)
			}
		}
	})
}

func FuzzLogin(f *testing.F) {
	login := make([]byte, loginFixed)
	binary.LittleEndian.PutUint32(login[4:], 0x74000004)
	f.Add(login)
	extended := append(append([]byte(nil), login...), 98, 0, 0, 0, featureFedAuth, 7, 0, 0, 0, 2, 2, 0, 0, 0, 'x', 0, featureEnd)
	extended[27] = extensionFollow
	binary.LittleEndian.PutUint16(extended[56:], loginFixed)
	f.Add(extended)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseLogin(b); err != nil && !errors.Is(err, errProtocol) {
			t.Fatal(err)
		}
	})
}

func FuzzPrelogin(f *testing.F) {
	f.Add(appendPrelogin(nil, map[byte][]byte{preloginVersion: serverVersion, preloginEncryption: {2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		options, err := parsePrelogin(b)
		if err != nil {
			if !errors.Is(err, errProtocol) {
				t.Fatal(err)
			}
			return
		}
		total := 0
		for _, o := range options {
			total += len(o)
		}
		if total > 60_000 {
			return
		}
		again, err := parsePrelogin(appendPrelogin(nil, options))
		if err != nil || len(again) != len(options) {
			t.Fatalf("%v became %v: %v", options, again, err)
		}
	})
}

// TestTokensOutOfOrder sends what no client should.
func TestTokensOutOfOrder(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind byte
		body []byte
	}{
		"a bulk load that begins with a row": {packBulk, []byte{tokenRow, 1}},
		"columns twice":                      {packBulk, []byte{tokenColumns, 1, 0, 0, 0, 0, 0, 1, 0, typeBitN, 1, 0, tokenColumns, 1, 0}},
		"a row that is cut off":              {packBulk, []byte{tokenColumns, 1, 0, 0, 0, 0, 0, 1, 0, typeIntN, 8, 0, tokenRow, 8, 1}},
		"headers of no length":               {packBatch, []byte{0, 0, 0, 0}},
		"half a character":                   {packBatch, headersOf('s')},
		"a login after the login":            {packLogin, make([]byte, loginFixed)},
		"a procedure nobody knows":           {packRPC, headersOf(0xFF, 0xFF, 99, 0, 0, 0)},
		"a transaction of a strange kind":    {packTransaction, headersOf(77, 0)},
		"a length beyond its type":           {packRPC, headersOf(1, 0, 'p', 0, 0, 0, 0, 0, typeIntN, 4, 8, 1, 2, 3, 4, 5, 6, 7, 8)},
		"a day after the year 9999":          {packRPC, headersOf(1, 0, 'p', 0, 0, 0, 0, 0, typeDate, 3, 0xFF, 0xFF, 0xFF)},
	} {
		if _, err := run(tt.kind, tt.body, 1000); !errors.Is(err, errProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

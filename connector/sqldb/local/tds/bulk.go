package tds

import "millrace/connector/sqldb/local/value"

// Tokens that clients send in a bulk load, too.
const (
	tokenColumns = 0x81
	tokenRow     = 0xD1
	tokenNBCRow  = 0xD2
	tokenDone    = 0xFD
)

// Bulk is the data of a bulk load, read as it arrives. One goroutine uses it.
type Bulk struct {
	// Columns are those that the client sends, in its order.
	Columns []value.Column

	m       *message
	columns []column
	arena   arena
	nulls   []byte
	done    bool
}

func newBulk(m *message) *Bulk {
	b := &Bulk{m: m}
	if token := m.u8(); token != tokenColumns {
		m.fail(protocolErrorf("a bulk load that begins with token %#x", token))
		return b
	}
	n := int(m.u16())
	if n == 0 || n > 4096 {
		m.fail(protocolErrorf("a bulk load of %d columns", n))
		return b
	}
	for range n {
		m.u32() // user type
		flags := m.u16()
		c := m.typeInfo()
		c.name = m.text8()
		if m.err != nil {
			return b
		}
		b.columns = append(b.columns, c)
		b.Columns = append(b.Columns, value.Column{Name: c.name, Type: c.typ, Nullable: flags&1 != 0})
	}
	return b
}

// Next returns the next row, which the caller keeps; nil after the last one.
func (b *Bulk) Next() ([]value.Value, error) {
	if b.done || b.m.err != nil {
		return nil, b.m.err
	}
	if !b.m.more() { // some clients send no DONE
		b.done = true
		return nil, b.m.err
	}
	b.nulls = b.nulls[:0]
	switch token := b.m.u8(); token {
	case tokenRow:
	case tokenNBCRow:
		b.nulls = append(b.nulls, b.m.bytes((len(b.columns)+7)/8)...)
	case tokenDone:
		b.m.bytes(12)
		b.done = true
		return nil, b.m.err
	default:
		b.m.fail(protocolErrorf("token %#x between the rows of a bulk load", token))
		return nil, b.m.err
	}
	row := make([]value.Value, len(b.columns))
	for i := range b.columns {
		if len(b.nulls) > 0 && b.nulls[i/8]&(1<<(i%8)) != 0 {
			continue
		}
		row[i] = b.m.value(&b.columns[i], &b.arena)
	}
	if b.m.err != nil {
		return nil, b.m.err
	}
	b.arena.strings(row)
	if b.m.long {
		b.m.long = false
		return nil, value.Errorf(4815, "Received an invalid column length from the bcp client.")
	}
	return row, nil
}

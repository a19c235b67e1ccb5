package tds

import (
	"millrace/connector/sqldb/local/value"
)

// Call is a call of a procedure (an RPC request).
type Call struct {
	// Procedure is its name. What clients call by number has its name here:
	// sp_executesql and the like.
	Procedure string
	Params    []Param
}

// Param is a parameter of a Call.
type Param struct {
	Name string // with its @, or "" if it goes by position
	// Output asks for the value after the call; Default asks for the
	// parameter's own default instead of Value.
	Output, Default bool
	Type            value.Type
	Value           value.Value
	// Table is set instead if the parameter is a table.
	Table *Table
}

// Table is a table-valued parameter.
type Table struct {
	Schema, Name string // of its type
	// Columns are as the client declares them; a column that it leaves out of
	// the rows is Omitted, and NULL there.
	Columns []value.Type
	Omitted []bool
	Rows    [][]value.Value
}

// procedures are those that clients call by number.
var procedures = map[uint16]string{10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 15: "sp_unprepare"}

// Flags of parameters, and what separates several calls of a request.
const (
	paramOutput  = 0x01
	paramDefault = 0x02
	nextCall     = 0xFF
	nextCallOld  = 0x80
	maxParams    = 2100
)

// call reads one call; another tells whether one follows.
func (m *message) call() (c *Call, another bool) {
	c = &Call{}
	if n := m.u16(); n == 0xFFFF {
		id := m.u16()
		name, ok := procedures[id]
		if !ok {
			m.fail(protocolErrorf("procedure %d is not supported by this test server", id))
			return c, false
		}
		c.Procedure = name
	} else {
		c.Procedure = string(value.AppendUTF8(nil, m.appendBytes(nil, 2*int(n))))
	}
	m.u16() // flags: recompile, no metadata
	for m.more() {
		n := m.u8()
		if n == nextCall || n == nextCallOld {
			return c, m.more()
		}
		if len(c.Params) == maxParams {
			m.fail(protocolErrorf("a call with more than %d parameters", maxParams))
			return c, false
		}
		c.Params = append(c.Params, m.param(int(n)))
	}
	return c, false
}

func (m *message) param(nameUnits int) Param {
	p := Param{Name: string(value.AppendUTF8(nil, m.bytes(2*nameUnits)))}
	flags := m.u8()
	p.Output, p.Default = flags&paramOutput != 0, flags&paramDefault != 0
	if m.more() && m.cur[0] == typeTable {
		m.u8()
		p.Table = m.table()
		return p
	}
	c := m.typeInfo()
	if m.err != nil {
		return p
	}
	var a arena
	row := []value.Value{m.value(&c, &a)}
	if m.keep(len(a.buf)) {
		a.strings(row)
		p.Type, p.Value = c.typ, row[0]
	}
	return p
}

// columnOmitted is the flag of a table parameter's column that has no values.
const columnOmitted = 0x200

// table reads a table-valued parameter, from behind its type.
func (m *message) table() *Table {
	t := &Table{}
	m.text8() // database
	t.Schema, t.Name = m.text8(), m.text8()
	n := int(m.u16())
	var columns []column
	if n != maxLengthOnRow { // else the table is NULL, which is one without rows
		for range n {
			m.u32() // user type
			flags := m.u16()
			c := m.typeInfo()
			m.text8()
			if m.err != nil {
				return t
			}
			columns = append(columns, c)
			t.Columns = append(t.Columns, c.typ)
			t.Omitted = append(t.Omitted, flags&columnOmitted != 0)
		}
	}
	// Optional metadata: sort orders and unique keys, which change nothing.
	for token := m.u8(); token != 0 && m.err == nil; token = m.u8() {
		if token != 0x10 && token != 0x11 {
			m.fail(protocolErrorf("token %#x in a table parameter", token))
			return t
		}
		perColumn := map[byte]int{0x10: 3, 0x11: 2}[token]
		m.appendBytes(nil, perColumn*int(m.u16()))
	}
	m.tableRows(t, columns)
	return t
}

func (m *message) tableRows(t *Table, columns []column) {
	var a arena
	for {
		switch token := m.u8(); {
		case m.err != nil, token == 0:
			return
		case token != 1:
			m.fail(protocolErrorf("token %#x between the rows of a table parameter", token))
			return
		}
		row := make([]value.Value, len(columns))
		for i := range columns {
			if !t.Omitted[i] {
				row[i] = m.value(&columns[i], &a)
			}
		}
		if m.err != nil || !m.keep(len(a.buf)+32*len(row)+24) {
			return
		}
		a.strings(row)
		t.Rows = append(t.Rows, row)
	}
}

// What a client may ask of transactions.
const (
	Begin    = 5
	Commit   = 7
	Rollback = 8
	Save     = 9
)

// Transaction is a request about transactions.
type Transaction struct {
	Kind      uint16 // Begin, Commit, Rollback or Save
	Name      string
	Isolation byte // of Begin: 0 as it was, 1 to 5 from READ UNCOMMITTED to SNAPSHOT
	// Then is the transaction to begin after a Commit or Rollback, if any.
	Then *Transaction
}

func (m *message) transaction() *Transaction {
	t := &Transaction{Kind: m.u16()}
	switch t.Kind {
	case Begin:
		t.Isolation, t.Name = m.u8(), m.text8()
	case Commit, Rollback:
		t.Name = m.text8()
		if m.u8()&1 != 0 {
			t.Then = &Transaction{Kind: Begin, Isolation: m.u8(), Name: m.text8()}
		}
	case Save:
		t.Name = m.text8()
	default:
		m.fail(protocolErrorf("transaction request %d is not supported", t.Kind))
	}
	if t.Isolation > 5 {
		m.fail(protocolErrorf("isolation level %d", t.Isolation))
	}
	return t
}

package tds

import (
	"encoding/binary"
	"strconv"

	"millrace/connector/sqldb/local/value"
)

// Tokens of an answer.
const (
	tokenReturnStatus = 0x79
	tokenError        = 0xAA
	tokenInfo         = 0xAB
	tokenReturnValue  = 0xAC
	tokenLoginAck     = 0xAD
	tokenFeatureAck   = 0xAE
	tokenEnvChange    = 0xE3
	tokenDoneProc     = 0xFE
	tokenDoneInProc   = 0xFF
)

// Bits of a DONE token.
const (
	doneMore      = 0x01
	doneError     = 0x02
	doneCount     = 0x10
	doneAttention = 0x20
)

// What a session tells of its changes.
const (
	changeDatabase   = 1
	changePacketSize = 4
	changeCollation  = 7
	changeBegin      = 8
	changeCommit     = 9
	changeRollback   = 10
	changeReset      = 18
)

// Reply writes the answer to one request. One goroutine uses it. Its errors
// are those of the connection, after which nothing is to be done.
type Reply struct {
	w       *packetWriter
	server  string
	call    bool // the answer to a procedure call
	columns []value.Column
	buf     []byte
	failed  bool // an error has been told since the last DONE
	// A DONE waits until it is known whether something follows.
	pending        bool
	pendingCommand uint16
	pendingStatus  uint16
	pendingRows    uint64
}

func (r *Reply) flush(b []byte) error {
	r.buf = b[:0]
	if cap(r.buf) > 1<<20 {
		r.buf = nil
	}
	_, err := r.w.Write(b)
	return err
}

// Columns begins a result.
func (r *Reply) Columns(columns []value.Column) error {
	if err := r.sendDone(true); err != nil {
		return err
	}
	r.columns = columns
	b := append(r.buf, tokenColumns)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(columns)))
	for _, c := range columns {
		flags := uint16(2 << 2) // whether it can be updated is unknown
		if c.Nullable {
			flags |= 1
		}
		if c.Identity {
			flags |= 0x10
		}
		b = append(b, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint16(b, flags)
		b = appendTypeInfo(b, c.Type)
		b = appendText8(b, c.Name)
	}
	return r.flush(b)
}

// Row adds a row to the result that Columns began.
func (r *Reply) Row(row []value.Value) error {
	b := append(r.buf, tokenRow)
	for i, v := range row {
		b = appendValue(b, v, r.columns[i].Type)
	}
	return r.flush(b)
}

// Done ends a statement. counted says whether rows counts for the client.
func (r *Reply) Done(command uint16, rows int64, counted bool) error {
	if err := r.sendDone(true); err != nil {
		return err
	}
	r.pending, r.pendingCommand, r.pendingStatus, r.pendingRows = true, command, 0, uint64(rows)
	if counted {
		r.pendingStatus = doneCount
	}
	if r.failed {
		r.pendingStatus |= doneError
		r.failed = false
	}
	return nil
}

func (r *Reply) sendDone(more bool) error {
	if !r.pending {
		return nil
	}
	r.pending = false
	token, status := byte(tokenDone), r.pendingStatus
	if r.call {
		token = tokenDoneInProc
	}
	if more {
		status |= doneMore
	}
	return r.flush(appendDone(r.buf, token, status, r.pendingCommand, r.pendingRows))
}

func appendDone(b []byte, token byte, status, command uint16, rows uint64) []byte {
	b = append(b, token)
	b = binary.LittleEndian.AppendUint16(b, status)
	b = binary.LittleEndian.AppendUint16(b, command)
	return binary.LittleEndian.AppendUint64(b, rows)
}

// Error tells the client an error.
func (r *Reply) Error(e *value.Error) error {
	r.failed = true
	return r.told(tokenError, e)
}

// Info tells the client a message of severity 10 or less.
func (r *Reply) Info(e *value.Error) error { return r.told(tokenInfo, e) }

func (r *Reply) told(token byte, e *value.Error) error {
	if err := r.sendDone(true); err != nil {
		return err
	}
	const most = 2048 // characters, as SQL Server cuts
	message := e.Message
	if len(message) > most {
		message = message[:most]
	}
	b := append(r.buf, token, 0, 0)
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(e.Number))
	b = append(b, e.State, e.Class)
	b = appendText16(b, message)
	b = appendText8(b, r.server)
	b = appendText8(b, e.Procedure)
	b = binary.LittleEndian.AppendUint32(b, uint32(e.Line))
	binary.LittleEndian.PutUint16(b[at-2:], uint16(len(b)-at))
	return r.flush(b)
}

// Changed tells the client of another database: its name and the last one's.
func (r *Reply) Changed(name, old string) error {
	return r.environment(changeDatabase, appendText8(appendText8(nil, name), old))
}

// Begun tells the client that a transaction has begun, which its next requests
// have to name.
func (r *Reply) Begun(descriptor uint64) error {
	return r.environment(changeBegin, append(descriptorText(descriptor), 0))
}

// Committed tells the client that a transaction is committed.
func (r *Reply) Committed(descriptor uint64) error {
	return r.environment(changeCommit, append([]byte{0}, descriptorText(descriptor)...))
}

// RolledBack tells the client that a transaction is rolled back.
func (r *Reply) RolledBack(descriptor uint64) error {
	return r.environment(changeRollback, append([]byte{0}, descriptorText(descriptor)...))
}

func descriptorText(d uint64) []byte { return binary.LittleEndian.AppendUint64([]byte{8}, d) }

func (r *Reply) environment(change byte, data []byte) error {
	if err := r.sendDone(true); err != nil {
		return err
	}
	b := append(r.buf, tokenEnvChange)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(data)+1))
	return r.flush(append(append(b, change), data...))
}

// returned ends a call: its status and its output parameters. more says that
// another call of the request follows.
func (r *Reply) returned(status int32, outputs []Param, more bool) error {
	if err := r.sendDone(true); err != nil {
		return err
	}
	b := append(r.buf, tokenReturnStatus)
	b = binary.LittleEndian.AppendUint32(b, uint32(status))
	for i, p := range outputs {
		b = append(b, tokenReturnValue)
		b = binary.LittleEndian.AppendUint16(b, uint16(i))
		b = appendText8(b, p.Name)
		b = append(b, 1, 0, 0, 0, 0, 0, 0)
		b = appendTypeInfo(b, p.Type)
		b = appendValue(b, p.Value, p.Type)
	}
	done := uint16(0)
	if more {
		done = doneMore
	}
	if r.failed {
		done |= doneError
		r.failed = false
	}
	return r.flush(appendDone(b, tokenDoneProc, done, 0, 0))
}

// finish ends the answer: a call's with returned before it.
func (r *Reply) finish() error {
	if !r.call {
		if !r.pending {
			if err := r.Done(0, 0, false); err != nil {
				return err
			}
		} else if r.failed {
			r.pendingStatus |= doneError
		}
		if err := r.sendDone(false); err != nil {
			return err
		}
	}
	return r.w.end()
}

// attention ends an answer that the client has cancelled.
func (r *Reply) attention() error {
	r.pending = false
	if err := r.flush(appendDone(r.buf, tokenDone, doneAttention, 0, 0)); err != nil {
		return err
	}
	return r.w.end()
}

// login answers a login that was accepted.
func (r *Reply) login(l *Login, database string, size int) error {
	if err := r.Changed(database, ""); err != nil {
		return err
	}
	if err := r.environment(changeCollation, append(append([]byte{5}, serverCollation[:]...), 0)); err != nil {
		return err
	}
	sizes := appendText8(appendText8(nil, strconv.Itoa(size)), strconv.Itoa(defaultPacketSize))
	if err := r.environment(changePacketSize, sizes); err != nil {
		return err
	}
	const program = "Microsoft SQL Server"
	ack := appendText8([]byte{1, 0x74, 0, 0, 4}, program)
	ack = append(ack, serverVersion[0], serverVersion[1], serverVersion[2], serverVersion[3])
	b := append(r.buf, tokenLoginAck)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(ack)))
	b = append(b, ack...)
	if l.fedAuth {
		b = append(b, tokenFeatureAck, featureFedAuth, 0, 0, 0, 0, featureEnd)
	}
	return r.flush(b)
}

// appendText8 writes a text behind its count in one byte, cut if need be.
func appendText8(b []byte, s string) []byte {
	at := len(b)
	b = value.AppendUTF16(append(b, 0), s)
	if len(b)-at-1 > 2*255 {
		b = b[:at+1+2*255]
	}
	b[at] = byte((len(b) - at - 1) / 2)
	return b
}

func appendText16(b []byte, s string) []byte {
	at := len(b)
	b = value.AppendUTF16(append(b, 0, 0), s)
	binary.LittleEndian.PutUint16(b[at:], uint16((len(b)-at-2)/2))
	return b
}

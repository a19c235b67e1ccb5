package record

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unsafe"
)

// DecodeError says why bytes are not an event.
type DecodeError struct {
	// Reason is NotJSON, MissingField or WrongType.
	Reason Reason
	// Field is the member concerned; empty for NotJSON.
	Field string
	// Detail is one sentence for people.
	Detail string
}

func (e *DecodeError) Error() string { return string(e.Reason) + ": " + e.Detail }

// The names of the members that the typed fields of Event hold.
const (
	nameEventID     = "eventId"
	nameDeviceID    = "deviceId"
	nameSequence    = "deviceSequenceNumber"
	nameCreatedAt   = "createdAt"
	nameValue       = "value"
	nameType        = "type"
	nameComplexData = "complexData"
)

// field is a typed member, as a bit of a set. The required ones come first.
type field uint8

const (
	fieldEventID field = 1 << iota
	fieldDeviceID
	fieldSequence
	fieldCreatedAt
	fieldValue
	fieldType
	fieldComplexData
)

// fieldOf returns the field of a member's name, 0 if it has none.
func fieldOf(name []byte) field {
	switch string(name) {
	case nameEventID:
		return fieldEventID
	case nameDeviceID:
		return fieldDeviceID
	case nameSequence:
		return fieldSequence
	case nameCreatedAt:
		return fieldCreatedAt
	case nameValue:
		return fieldValue
	case nameType:
		return fieldType
	case nameComplexData:
		return fieldComplexData
	}
	return 0
}

func (f field) String() string {
	switch f {
	case fieldEventID:
		return nameEventID
	case fieldDeviceID:
		return nameDeviceID
	case fieldSequence:
		return nameSequence
	case fieldCreatedAt:
		return nameCreatedAt
	case fieldValue:
		return nameValue
	case fieldType:
		return nameType
	case fieldComplexData:
		return nameComplexData
	}
	return "unknown"
}

// Decode reads the event in raw, in one pass that also validates the whole of
// it as JSON (RFC 8259: UTF-8, no lone surrogates, nothing after the object,
// at most MaxDepth levels). It overwrites every field of e; the slices of e
// point into raw, except where escapes had to be undone or members that lie
// apart were gathered in Extra. It allocates only in these cases.
//
// Required are eventId (a UUID), deviceId (a string that is not empty),
// deviceSequenceNumber (an integer from 0, written in digits only) and
// createdAt (see ParseTime). value, type and complexData may be absent, but
// not of another type than number (in the range of a double), string and
// object; null is another type. None of these may occur twice. Members of
// other names go to Extra, whatever they are.
//
// A failure is a *DecodeError, and leaves nothing but Raw in e. Text that is
// not JSON is reported as such wherever the fault lies, then wrong types,
// then missing members.
func (e *Event) Decode(raw []byte) error {
	*e = Event{Raw: raw}
	d := decoder{e: e, raw: raw}
	if err := d.object(); err != nil {
		*e = Event{Raw: raw}
		return err
	}
	e.Extra = d.extra.bytes(raw)
	return nil
}

type decoder struct {
	e     *Event
	raw   []byte
	seen  field
	extra memberList
	// wrong is the first typed member that could not be read.
	wrong *DecodeError
}

func (d *decoder) object() error {
	b := d.raw
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return notJSON(b, ^i)
	}
	i = skipSpace(b, i+1)
	more := i >= len(b) || b[i] != '}'
	if !more {
		i++
	}
	for more {
		start := i
		var m member
		if m, i = scanMember(b, i, 1); i < 0 {
			return notJSON(b, i)
		}
		name := b[m.name:m.nameEnd]
		if m.escaped {
			name = m.nameOf(b)
		}
		f := fieldOf(name)
		switch {
		case f == 0:
			d.extra.add(b, start, m.valueEnd)
		case d.seen&f != 0:
			d.fail(f, "occurs more than once")
		default:
			d.seen |= f
			if exact := d.member(f, b[m.value:m.valueEnd]); !exact {
				d.extra.add(b, start, m.valueEnd)
			} else {
				d.extra.apart()
			}
		}
		if i, more = scanSeparator(b, i, '}'); i < 0 {
			return notJSON(b, i)
		}
	}
	if i = skipSpace(b, i); i != len(b) {
		return notJSON(b, ^i)
	}
	if d.wrong != nil {
		return d.wrong
	}
	for f := fieldEventID; f <= fieldCreatedAt; f <<= 1 {
		if d.seen&f == 0 {
			return &DecodeError{Reason: MissingField, Field: f.String(), Detail: f.String() + " is missing"}
		}
	}
	return nil
}

// member fills in the field f, and tells whether the field can give back what
// the text said.
func (d *decoder) member(f field, v []byte) (exact bool) {
	switch f {
	case fieldEventID:
		return d.eventID(v)
	case fieldCreatedAt:
		return d.createdAt(v)
	case fieldDeviceID:
		s, ok := text(v)
		if !ok || len(s) == 0 {
			d.fail(f, "must be a string that is not empty, not %s", brief(v))
		}
		d.e.DeviceID = s
	case fieldType:
		s, ok := text(v)
		if !ok {
			d.fail(f, "must be a string, not %s", brief(v))
		}
		d.e.Type = s
	case fieldSequence:
		n, ok := parseDigits(v)
		if !ok {
			d.fail(f, "must be an integer from 0 to %d, not %s", math.MaxInt64, brief(v))
		}
		d.e.Sequence = n
	case fieldValue:
		n, ok := parseDouble(v)
		if !ok {
			d.fail(f, "must be a number in the range of a double, not %s", brief(v))
		}
		d.e.Value, d.e.HasValue = n, ok
	case fieldComplexData:
		if v[0] != '{' {
			d.fail(f, "must be an object, not %s", brief(v))
		}
		d.e.ComplexData = v
	}
	return true
}

func (d *decoder) eventID(v []byte) (exact bool) {
	s, ok := text(v)
	if ok && len(s) == idTextLen {
		if id, err := ParseID(s); err == nil {
			d.e.ID = id
			return idIsCanonical(s)
		}
	}
	d.fail(fieldEventID, "must be a UUID, not %s", brief(v))
	return true
}

func (d *decoder) createdAt(v []byte) (exact bool) {
	if s, ok := text(v); ok {
		if micros, canonical, ok := parseTime(s); ok {
			d.e.CreatedAt = micros
			return canonical
		}
	}
	d.fail(fieldCreatedAt, "must be an RFC 3339 time, not %s", brief(v))
	return true
}

func (d *decoder) fail(f field, format string, args ...any) {
	if d.wrong == nil {
		d.wrong = &DecodeError{Reason: WrongType, Field: f.String(),
			Detail: f.String() + " " + fmt.Sprintf(format, args...)}
	}
}

// text returns the text of a valid JSON value if it is a string. It is never
// nil then.
func text(v []byte) ([]byte, bool) {
	if v[0] != '"' {
		return nil, false
	}
	s := v[1 : len(v)-1]
	if bytes.IndexByte(s, '\\') >= 0 {
		return AppendUnescaped(make([]byte, 0, len(s)), s), true
	}
	return s, true
}

// parseDigits reads a JSON number that is written in digits only.
func parseDigits(v []byte) (int64, bool) {
	if len(v) > 19 {
		return 0, false
	}
	var n uint64
	for _, c := range v {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return int64(n), n <= math.MaxInt64
}

// parseDouble reads a valid JSON value that is a number.
func parseDouble(v []byte) (float64, bool) {
	if v[0] != '-' && !isDigit(v[0]) {
		return 0, false
	}
	// The string lives as long as the call: ParseFloat keeps nothing of it
	// (it clones what it puts into an error).
	n, err := strconv.ParseFloat(unsafe.String(&v[0], len(v)), 64)
	return n, err == nil
}

// brief shows the beginning of a value in an error.
func brief(v []byte) string {
	const most = 40
	if len(v) > most {
		return string(bytes.ToValidUTF8(v[:most], nil)) + "..."
	}
	return string(v)
}

// notJSON makes the error for a negative result of the scanner.
func notJSON(b []byte, i int) *DecodeError {
	p := ^i
	detail := ""
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		detail = "there is nothing"
	case p >= len(b):
		detail = fmt.Sprintf("the JSON ends too early, after %d bytes", len(b))
	default:
		detail = fmt.Sprintf("not valid JSON at byte %d (%q)", p, b[p])
	}
	return &DecodeError{Reason: NotJSON, Detail: detail}
}

// memberList gathers members of an object's text. As long as they lie side by
// side it only remembers where; else it copies.
type memberList struct {
	start, end int
	// closed: something that is not in the list came after end.
	closed bool
	built  []byte
}

func (l *memberList) add(b []byte, start, end int) {
	switch {
	case l.built != nil:
		l.built = append(l.built, ',')
		l.built = append(l.built, b[start:end]...)
	case l.end == 0:
		l.start, l.end, l.closed = start, end, false
	case !l.closed:
		l.end = end
	default:
		l.built = make([]byte, 0, l.end-l.start+1+end-start)
		l.built = append(l.built, b[l.start:l.end]...)
		l.built = append(l.built, ',')
		l.built = append(l.built, b[start:end]...)
	}
}

// apart notes that a member that is not in the list follows.
func (l *memberList) apart() { l.closed = true }

func (l *memberList) bytes(b []byte) []byte {
	if l.built != nil {
		return l.built
	}
	if l.end == 0 {
		return nil
	}
	return b[l.start:l.end:l.end]
}

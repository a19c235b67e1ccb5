package record

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// The members that the pipeline adds to an event.
const (
	// NameEnqueuedAt is when the log appended the event.
	NameEnqueuedAt = "enqueuedAt"
	// NameProcessedAt is when the event was processed.
	NameProcessedAt = "processedAt"
)

// AppendOriginal appends the JSON of the event as it was sent, rebuilt from
// the typed fields and Extra; Raw is not looked at, so a store that keeps the
// fields in columns can rebuild what it was given. For members that occur in
// both, Extra's text wins. For an e that Decode filled, the result has the
// Fingerprint of Raw. A Value that is not a finite number, which no JSON can
// say, is written as null.
//
// Extra must be a valid member list, as Decode leaves it; with one that is
// not, neither is the result.
func AppendOriginal(dst []byte, e *Event) []byte {
	inExtra := extraFields(e.Extra)
	dst = append(dst, '{')
	start := len(dst)
	name := func(n string) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, n...)
		dst = append(dst, '"', ':')
	}
	if inExtra&fieldEventID == 0 {
		name(nameEventID)
		dst = append(dst, '"')
		dst = AppendID(dst, e.ID)
		dst = append(dst, '"')
	}
	if e.ComplexData != nil && inExtra&fieldComplexData == 0 {
		name(nameComplexData)
		dst = append(dst, e.ComplexData...)
	}
	if e.HasValue && inExtra&fieldValue == 0 {
		name(nameValue)
		dst = appendDouble(dst, e.Value)
	}
	if inExtra&fieldDeviceID == 0 {
		name(nameDeviceID)
		dst = AppendString(dst, e.DeviceID)
	}
	if inExtra&fieldSequence == 0 {
		name(nameSequence)
		dst = strconv.AppendInt(dst, e.Sequence, 10)
	}
	if e.Type != nil && inExtra&fieldType == 0 {
		name(nameType)
		dst = AppendString(dst, e.Type)
	}
	if inExtra&fieldCreatedAt == 0 {
		name(nameCreatedAt)
		dst = append(dst, '"')
		dst = AppendTime(dst, e.CreatedAt)
		dst = append(dst, '"')
	}
	if len(e.Extra) > 0 {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, e.Extra...)
	}
	return append(dst, '}')
}

// extraFields returns the typed members that a member list has.
func extraFields(extra []byte) (found field) {
	if len(extra) == 0 {
		return 0
	}
	for i, more := skipSpace(extra, 0), true; more; {
		var m member
		if m, i = scanMember(extra, i, 1); i < 0 {
			return found
		}
		found |= fieldOf(m.nameOf(extra))
		// A list has no closing bracket; its end is an "error" here.
		if i, more = scanSeparator(extra, i, ','); i < 0 {
			return found
		}
	}
	return found
}

// AppendString appends s as a JSON string. It escapes what must be escaped
// and copies everything else, so s must be valid UTF-8 for the result to be
// valid.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0x0f])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// appendDouble appends the shortest text that reads back as f.
func appendDouble(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case abs != 0 && (abs < 1e-6 || abs >= 1e21):
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// AppendDocument appends the JSON that document stores and logs serve for r:
// the bytes of r.Raw (which must be an object, as Decode accepts it), with the
// members enqueuedAt and processedAt before the closing brace, as AppendTime
// writes them, or null for NoTime.
//
// An original that has members of these names already keeps them: the names
// then occur twice, the original's first. Readers of JSON commonly take the
// last one, so ours win, while the original is still all there and
// ParseDocument can tell the two apart.
func AppendDocument(dst []byte, r *Result) []byte {
	end := len(r.Raw) - 1
	for end > 0 && r.Raw[end] != '}' {
		end--
	}
	for end > 0 && r.Raw[end-1] <= ' ' {
		end--
	}
	dst = append(dst, r.Raw[:end]...)
	if end > 0 && r.Raw[end-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, `"`+NameEnqueuedAt+`":`...)
	dst = appendTimeOrNull(dst, r.EnqueuedAt)
	dst = append(dst, `,"`+NameProcessedAt+`":`...)
	dst = appendTimeOrNull(dst, r.ProcessedAt)
	return append(dst, '}')
}

func appendTimeOrNull(dst []byte, micros int64) []byte {
	if micros == NoTime {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = AppendTime(dst, micros)
	return append(dst, '"')
}

// ParseDocument reads back what AppendDocument wrote, also after a store has
// spelled it anew, and fills in what a document says about an event: ID,
// DeviceID (pointing into doc), Sequence, CreatedAt, EnqueuedAt, ProcessedAt,
// and the Fingerprint of the original event, that is, without the last
// enqueuedAt and the last processedAt, and without the members that a query has
// added to it. It leaves the other fields of s alone. Times that are absent or
// null are NoTime. The error is a *DecodeError.
func ParseDocument(doc []byte, s *Stored, added ...string) error {
	var e Event
	if err := e.Decode(doc); err != nil {
		return err
	}
	var o objectHash
	var enqueued, processed addedMember
	i := hashMembers(doc, skipSpace(doc, 0), 1, &o, func(name, value []byte, term uint64) {
		switch string(name) {
		case NameEnqueuedAt:
			enqueued = addedMember{value: value, term: term}
		case NameProcessedAt:
			processed = addedMember{value: value, term: term}
		default:
			if slices.Contains(added, string(name)) {
				o.remove(term)
			}
		}
	})
	if i < 0 {
		return notJSON(doc, i)
	}
	enqueuedAt, err := enqueued.take(&o, NameEnqueuedAt)
	if err != nil {
		return err
	}
	processedAt, err := processed.take(&o, NameProcessedAt)
	if err != nil {
		return err
	}
	s.ID, s.DeviceID, s.Sequence, s.CreatedAt = e.ID, e.DeviceID, e.Sequence, e.CreatedAt
	s.EnqueuedAt, s.ProcessedAt, s.Fingerprint = enqueuedAt, processedAt, o.sum()
	return nil
}

// addedMember is a member that the pipeline added to a document.
type addedMember struct {
	value []byte
	term  uint64
}

// take removes the member from the fingerprint o and returns its time.
func (a *addedMember) take(o *objectHash, name string) (int64, error) {
	if a.value == nil {
		return NoTime, nil
	}
	o.remove(a.term)
	if string(a.value) == "null" {
		return NoTime, nil
	}
	if s, ok := text(a.value); ok {
		if micros, _, ok := parseTime(s); ok {
			return micros, nil
		}
	}
	return 0, &DecodeError{Reason: WrongType, Field: name,
		Detail: fmt.Sprintf("%s must be an RFC 3339 time, not %s", name, brief(a.value))}
}

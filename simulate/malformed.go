package simulate

import (
	"encoding/json"
	"fmt"

	"millrace/record"
)

// required are the members without which nothing is an event.
var required = [...]string{"eventId", "deviceId", "deviceSequenceNumber", "createdAt"}

// malformed makes this instance's n-th payload that is not an event, and the
// reason that its dead letter must have. Payloads differ from each other, so
// that each can be told by its hash.
func (t *template) malformed(dst []byte, instance int, n int64, e *event, oversized int) ([]byte, record.Reason, error) {
	seed := mix(t.seed ^ saltBroken ^ mix(uint64(instance)))
	broken := newEvent(seed, e.device, n, e.createdAt)
	r := broken.random(1 << 40)
	kinds := uint64(4)
	if oversized > 0 {
		kinds = 5
	}
	pick := r >> 32
	switch r % kinds {
	case 0:
		// An object that is cut off is never JSON. At least half of it is
		// left, with what makes it unlike the others.
		at := len(dst)
		dst = t.render(dst, &broken)
		size := len(dst) - at
		end := size/2 + int(pick%uint64(size-size/2))
		for end > 1 && (dst[at+end-1] == '}' || dst[at+end-1] <= ' ') {
			end-- // so that what is cut off was more than white space
		}
		return dst[:at+end], record.NotJSON, nil
	case 1:
		dst = fmt.Appendf(dst, "temp=%d.%d;device=%s%d;id=%s", pick%90+10, pick%10, t.prefix, e.device, broken.id)
		return dst, record.NotJSON, nil
	case 2:
		dst, err := t.without(dst, &broken, required[pick%4], nil)
		return dst, record.MissingField, err
	case 3:
		which := pick % 4
		wrong := [...]json.RawMessage{json.RawMessage("12345"), json.RawMessage("null"), json.RawMessage(`"seven"`), json.RawMessage(`"yesterday"`)}
		dst, err := t.without(dst, &broken, required[which], wrong[which])
		return dst, record.WrongType, err
	}
	at := len(dst)
	dst = t.render(dst, &broken)
	for dst[len(dst)-1] != '}' {
		dst = dst[:len(dst)-1]
	}
	dst = append(dst[:len(dst)-1], `,"padding":"`...)
	for len(dst)-at < oversized-2 {
		dst = append(dst, '.')
	}
	return append(dst, `"}`...), record.Oversized, nil
}

// without renders an event and takes a member away, or replaces its value.
// Malformed payloads are few, so this may take its time.
func (t *template) without(dst []byte, e *event, name string, value json.RawMessage) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(t.render(nil, e), &members); err != nil {
		return nil, fmt.Errorf("make a malformed payload: %w", err)
	}
	if value == nil {
		delete(members, name)
	} else {
		members[name] = value
	}
	text, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("make a malformed payload: %w", err)
	}
	return append(dst, text...), nil
}

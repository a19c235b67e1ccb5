package amqp

// Message is a message cut into its sections. Each is the encoded section with
// its descriptor, nil if the message has none. Body is all sections of the body
// one after the other: one or more of data, one or more sequences, or one value.
type Message struct {
	Header                []byte
	DeliveryAnnotations   []byte
	MessageAnnotations    []byte
	Properties            []byte
	ApplicationProperties []byte
	Body                  []byte
	Footer                []byte
}

// BodyKind says what the body of a message consists of.
type BodyKind uint8

// Kinds of bodies.
const (
	BodyNone BodyKind = iota
	BodyData
	BodySequence
	BodyValue
)

func (k BodyKind) String() string {
	return [...]string{"none", "data", "sequence", "value"}[k&3]
}

// ParseMessage cuts the message b into m, which is overwritten. Sections are
// parts of b, no copies, except for those whose descriptors are not the three
// bytes 00 53 XX: they are written anew, since some clients read no other form.
// Sections may come in any order, those of the body together.
// All of the message is checked, so that ReadValue and the functions of sections
// can decode every part of it. Errors are *Error with amqp:decode-error.
func ParseMessage(b []byte, m *Message) error {
	*m = Message{}
	// While every section of the body has its usual descriptor, the body is
	// the part of b from body on; else it is put together in m.
	body, whole := -1, true
	var seen sections
	for rest := b; len(rest) > 0; {
		s, after, err := nextSection(rest)
		if err != nil {
			return err
		}
		if err := seen.add(s.desc); err != nil {
			return err
		}
		start, end := len(b)-len(rest), len(b)-len(after)
		rest = after
		into, inBody := m.section(s.desc)
		switch {
		case s.standard && !inBody:
			*into = s.encoded
		case s.standard && whole:
			if body < 0 {
				body = start
			}
			*into = b[body:end:end]
		default:
			whole = whole && !inBody
			// Its capacity is its length, so that b is not written to.
			*into = append(*into, codeDescribed, codeSmallUlong, s.desc)
			*into = append(*into, s.value...)
		}
	}
	return nil
}

// sections notes which sections of a message were met.
type sections struct {
	met  uint16
	last byte
}

// add refuses what no message has: a section twice, a body of several kinds of
// section or of several values, or with something in between. Otherwise the
// order does not matter; there are clients that send the footer first.
func (s *sections) add(desc byte) error {
	bit, body := uint16(1)<<(desc-descHeader), uint16(0)
	if desc == descData || desc == descSequence || desc == descValue {
		body = 1<<(descData-descHeader) | 1<<(descSequence-descHeader) | 1<<(descValue-descHeader)
	}
	again := desc == s.last && (desc == descData || desc == descSequence)
	if s.met&(bit|body) != 0 && !again {
		return decodeError("section %#02x of a message that has such a section already", desc)
	}
	s.met, s.last = s.met|bit, desc
	return nil
}

// section returns where the section with a descriptor goes, and whether that is
// the body.
func (m *Message) section(desc byte) (into *[]byte, body bool) {
	switch desc {
	case descHeader:
		return &m.Header, false
	case descDeliveryAnnotations:
		return &m.DeliveryAnnotations, false
	case descMessageAnnotations:
		return &m.MessageAnnotations, false
	case descProperties:
		return &m.Properties, false
	case descApplicationProperties:
		return &m.ApplicationProperties, false
	case descFooter:
		return &m.Footer, false
	}
	return &m.Body, true
}

// Append appends the message: its sections in their order.
func (m *Message) Append(dst []byte) []byte {
	dst = append(dst, m.Header...)
	dst = append(dst, m.DeliveryAnnotations...)
	dst = append(dst, m.MessageAnnotations...)
	dst = append(dst, m.Properties...)
	dst = append(dst, m.ApplicationProperties...)
	dst = append(dst, m.Body...)
	return append(dst, m.Footer...)
}

// Len is the number of bytes that Append appends.
func (m *Message) Len() int {
	return len(m.Header) + len(m.DeliveryAnnotations) + len(m.MessageAnnotations) + len(m.Properties) +
		len(m.ApplicationProperties) + len(m.Body) + len(m.Footer)
}

// Kind says what the body consists of.
func (m *Message) Kind() BodyKind {
	if len(m.Body) < 3 {
		return BodyNone
	}
	switch m.Body[2] {
	case descData:
		return BodyData
	case descSequence:
		return BodySequence
	}
	return BodyValue
}

// Data returns the bytes of the body: of one data section a part of the message
// (nil if its content is null), of several their contents joined in dst[:0]. A body of another kind is returned
// as it is encoded, with the descriptors of its sections; no body as nil.
func (m *Message) Data(dst []byte) (data []byte, kind BodyKind, err error) {
	kind = m.Kind()
	if kind != BodyData {
		return m.Body, kind, nil
	}
	data, rest, err := dataSection(m.Body)
	if err != nil || len(rest) == 0 {
		return data, kind, err
	}
	dst = append(dst[:0], data...)
	for len(rest) > 0 {
		if data, rest, err = dataSection(rest); err != nil {
			return nil, kind, err
		}
		dst = append(dst, data...)
	}
	return dst, kind, nil
}

// Value decodes a body that is one value, such as the requests to $cbs have.
// Any other kind of body is an error.
func (m *Message) Value() (any, error) {
	if m.Kind() != BodyValue {
		return nil, decodeError("the message has a body of kind %v where a value belongs", m.Kind())
	}
	v, _, err := ReadValue(m.Body[3:])
	return v, err
}

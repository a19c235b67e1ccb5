package amqp

// section is one section of a message.
type section struct {
	desc byte
	// standard tells that the descriptor is written as 00 53 XX.
	standard       bool
	encoded, value []byte
}

// nextSection cuts the first section off b and checks it.
func nextSection(b []byte) (s section, rest []byte, err error) {
	desc, value, err := readDescriptor(b)
	if err != nil {
		return section{}, nil, err
	}
	if desc < descHeader || desc > descFooter {
		return section{}, nil, decodeError("descriptor %#02x is not that of a section", desc)
	}
	if rest, err = checkSection(desc, value); err != nil {
		return section{}, nil, err
	}
	n, v := len(b)-len(rest), len(value)-len(rest)
	return section{desc: desc, standard: b[1] == codeSmallUlong, encoded: b[:n:n], value: value[:v:v]}, rest, nil
}

// checkSection checks the value of a section and returns what follows it.
func checkSection(desc byte, b []byte) (rest []byte, err error) {
	if len(b) == 0 {
		return nil, errShort
	}
	ok := true
	switch code := b[0]; desc {
	case descData:
		// Null is against the specification; the JavaScript client sends it.
		if code != codeBin8 && code != codeBin32 && code != codeNull {
			return nil, decodeError("a data section of constructor %#02x", code)
		}
		_, _, rest, err := split(b)
		return rest, err
	case descHeader, descProperties, descSequence:
		ok = code == codeList8 || code == codeList32 || code == codeList0
	case descValue:
	default:
		ok = code == codeMap8 || code == codeMap32
	}
	if !ok {
		return nil, decodeError("constructor %#02x in a section %#02x", b[0], desc)
	}
	return CheckValue(b)
}

// dataSection cuts a data section, already checked, off b.
func dataSection(b []byte) (data, rest []byte, err error) {
	if len(b) < 4 || b[0] != codeDescribed || b[1] != codeSmallUlong || b[2] != descData {
		return nil, nil, decodeError("a data section is missing")
	}
	code, data, rest, err := split(b[3:])
	if code == codeNull {
		return nil, rest, err
	}
	return data[:len(data):len(data)], rest, err
}

// EachBatched calls fn with every event of a batch (message format
// BatchFormat): with the content of each data section, a part of payload, which
// is a complete encoded message. It ends with the first error, fn's own
// included. A batch with another kind of body is an error; one without a body
// has no events.
func EachBatched(payload []byte, fn func(inner []byte) error) error {
	for len(payload) > 0 {
		s, rest, err := nextSection(payload)
		if err != nil {
			return err
		}
		switch s.desc {
		case descSequence, descValue:
			return decodeError("section %#02x in a batch, whose events are data sections", s.desc)
		case descData:
			_, inner, _, err := split(s.value)
			if err != nil {
				return err
			}
			if err := fn(inner[:len(inner):len(inner)]); err != nil {
				return err
			}
		}
		payload = rest
	}
	return nil
}

// BatchFormat is the message format of a batch of events.
const BatchFormat uint32 = 0x80013700

// EachEntry calls fn with every entry of a section that is a map: annotations,
// application properties, footer. value is the encoding of the entry's value, a
// part of section. It ends with the first error, fn's own included. Keys that
// are neither symbols nor strings are an error. A nil section has no entries.
func EachEntry(section []byte, fn func(key string, value []byte) error) error {
	return eachEntry(section, func(key, value []byte) error {
		return fn(string(internSymbol(key)), value)
	})
}

// FindEntry returns the encoding of the value with a key in a section that is a
// map, a part of section, and nil if there is none. It does not allocate.
func FindEntry(section []byte, key string) (value []byte) {
	n, b, err := mapEntries(section)
	for ; n > 0 && err == nil; n-- {
		var k, v []byte
		if k, v, b, err = nextEntry(b); err == nil && string(k) == key {
			return v
		}
	}
	return nil
}

func eachEntry(section []byte, fn func(key, value []byte) error) error {
	n, b, err := mapEntries(section)
	for ; n > 0 && err == nil; n-- {
		var k, v []byte
		if k, v, b, err = nextEntry(b); err == nil {
			err = fn(k, v)
		}
	}
	return err
}

// mapEntries returns the number of entries of a section that is a map, and them.
func mapEntries(section []byte) (n int, b []byte, err error) {
	if section == nil {
		return 0, nil, nil
	}
	_, b, err = readDescriptor(section)
	if err != nil {
		return 0, nil, err
	}
	code, content, _, err := split(b)
	if err != nil {
		return 0, nil, err
	}
	if code != codeMap8 && code != codeMap32 {
		return 0, nil, decodeError("constructor %#02x where a map belongs", code)
	}
	if n, b, err = counted(code, content); err != nil {
		return 0, nil, err
	}
	if n%2 != 0 {
		return 0, nil, errOdd
	}
	return n / 2, b, nil
}

func nextEntry(b []byte) (key, value, rest []byte, err error) {
	code, key, b, err := split(b)
	if err != nil {
		return nil, nil, nil, err
	}
	switch code {
	case codeStr8, codeStr32, codeSym8, codeSym32:
	default:
		return nil, nil, nil, decodeError("a map's key of constructor %#02x", code)
	}
	if rest, err = SkipValue(b); err != nil {
		return nil, nil, nil, err
	}
	n := len(b) - len(rest)
	return key, b[:n:n], rest, nil
}

// ReadText returns the content of an encoded string or symbol, a part of b.
func ReadText(b []byte) (text []byte, ok bool) {
	code, content, _, err := split(b)
	if err != nil {
		return nil, false
	}
	switch code {
	case codeStr8, codeStr32, codeSym8, codeSym32:
		return content, true
	}
	return nil, false
}

// ReadMap decodes a section that is a map, nil for nil.
func ReadMap(section []byte) (Map, error) {
	if section == nil {
		return nil, nil
	}
	_, b, err := readDescriptor(section)
	if err != nil {
		return nil, err
	}
	v, _, err := ReadValue(b)
	if err != nil {
		return nil, err
	}
	m, ok := v.(Map)
	if !ok {
		return nil, decodeError("a section of type %T where a map belongs", v)
	}
	return m, nil
}

// AppendData appends a data section.
func AppendData[S ~string | ~[]byte](dst []byte, data S) []byte {
	dst = append(dst, codeDescribed, codeSmallUlong, descData)
	return append(appendVariable(dst, codeBin8, len(data)), data...)
}

// AppendBody appends a section with one value as the body.
func AppendBody(dst []byte, v any) []byte {
	return AppendValue(append(dst, codeDescribed, codeSmallUlong, descValue), v)
}

// AppendDeliveryAnnotations appends that section; keys are symbols.
func AppendDeliveryAnnotations(dst []byte, m Map) []byte {
	return appendMap(append(dst, codeDescribed, codeSmallUlong, descDeliveryAnnotations), notNil(m))
}

// AppendMessageAnnotations appends that section; keys are symbols.
func AppendMessageAnnotations(dst []byte, m Map) []byte {
	return appendMap(append(dst, codeDescribed, codeSmallUlong, descMessageAnnotations), notNil(m))
}

// AppendApplicationProperties appends that section; keys are strings.
func AppendApplicationProperties(dst []byte, m Map) []byte {
	return appendMap(append(dst, codeDescribed, codeSmallUlong, descApplicationProperties), notNil(m))
}

// OpenMap begins a section that is a map: of delivery annotations, message
// annotations or application properties, as the section's descriptor says. The
// caller appends keys and values, then calls CloseMap with the number of entries.
func OpenMap(dst []byte, section byte) (_ []byte, start int) {
	return openCompound(append(dst, codeDescribed, codeSmallUlong, section), codeMap8)
}

// CloseMap ends a map that OpenMap began.
func CloseMap(dst []byte, start, entries int) []byte {
	return closeCompound(dst, start, 2*entries)
}

// Descriptors of the sections that are maps, for OpenMap.
const (
	SectionDeliveryAnnotations   byte = descDeliveryAnnotations
	SectionMessageAnnotations    byte = descMessageAnnotations
	SectionApplicationProperties byte = descApplicationProperties
)

func notNil(m Map) Map {
	if m == nil {
		return Map{}
	}
	return m
}

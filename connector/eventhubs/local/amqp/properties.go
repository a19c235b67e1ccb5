package amqp

// Header is the header section of a message.
type Header struct {
	Durable       bool
	Priority      *uint8
	TTL           *uint32 // milliseconds
	FirstAcquirer bool
	DeliveryCount uint32
}

// Properties is the properties section of a message. MessageID and CorrelationID
// are nil, uint64, UUID, []byte or string; To and ReplyTo are addresses. Unset
// texts are "".
type Properties struct {
	MessageID          any
	UserID             []byte
	To                 string
	Subject            string
	ReplyTo            string
	CorrelationID      any
	ContentType        Symbol
	ContentEncoding    Symbol
	AbsoluteExpiryTime *Timestamp
	CreationTime       *Timestamp
	GroupID            string
	GroupSequence      *uint32
	ReplyToGroupID     string
}

// ReadHeader decodes a header section; nil is an empty one.
func ReadHeader(section []byte) (Header, error) {
	if section == nil {
		return Header{}, nil
	}
	f, _, err := describedFields(section, descHeader)
	if err != nil {
		return Header{}, err
	}
	h := Header{
		Durable:       f.bool(),
		Priority:      f.optionalUint8(),
		TTL:           f.optionalUint32(),
		FirstAcquirer: f.bool(),
		DeliveryCount: f.uint32(),
	}
	return h, f.end()
}

// AppendHeader appends a header section.
func AppendHeader(dst []byte, h *Header) []byte {
	dst, start := openDescribed(dst, descHeader)
	dst = appendBool(dst, h.Durable)
	dst = optionalUbyte(dst, h.Priority)
	dst = optionalUint(dst, h.TTL)
	dst = appendBool(dst, h.FirstAcquirer)
	dst = appendUint(dst, h.DeliveryCount)
	return closeCompound(dst, start, 5)
}

// ReadProperties decodes a properties section; nil is an empty one. Nothing of
// the result is a part of section.
func ReadProperties(section []byte) (Properties, error) {
	if section == nil {
		return Properties{}, nil
	}
	f, _, err := describedFields(section, descProperties)
	if err != nil {
		return Properties{}, err
	}
	p := Properties{
		MessageID:          f.value(),
		UserID:             append([]byte(nil), f.binary()...),
		To:                 f.string(),
		Subject:            f.string(),
		ReplyTo:            f.string(),
		CorrelationID:      f.value(),
		ContentType:        f.symbol(),
		ContentEncoding:    f.symbol(),
		AbsoluteExpiryTime: f.timestamp(),
		CreationTime:       f.timestamp(),
		GroupID:            f.string(),
		GroupSequence:      f.optionalUint32(),
		ReplyToGroupID:     f.string(),
	}
	return p, f.end()
}

// AppendProperties appends a properties section.
func AppendProperties(dst []byte, p *Properties) []byte {
	dst, start := openDescribed(dst, descProperties)
	dst = AppendValue(dst, p.MessageID)
	dst = appendBinary(dst, p.UserID)
	dst = optionalString(dst, p.To)
	dst = optionalString(dst, p.Subject)
	dst = optionalString(dst, p.ReplyTo)
	dst = AppendValue(dst, p.CorrelationID)
	dst = optionalSymbol(dst, p.ContentType)
	dst = optionalSymbol(dst, p.ContentEncoding)
	dst = optionalTimestamp(dst, p.AbsoluteExpiryTime)
	dst = optionalTimestamp(dst, p.CreationTime)
	dst = optionalString(dst, p.GroupID)
	dst = optionalUint(dst, p.GroupSequence)
	dst = optionalString(dst, p.ReplyToGroupID)
	return closeCompound(dst, start, 13)
}

func optionalTimestamp(dst []byte, t *Timestamp) []byte {
	if t == nil {
		return append(dst, codeNull)
	}
	return AppendTimestamp(dst, *t)
}

func (f *fields) timestamp() *Timestamp {
	if !f.present() {
		return nil
	}
	code, b := f.take()
	if code != codeTimestamp {
		f.wrong(code, "a timestamp")
		return nil
	}
	return new(Timestamp(be.Uint64(b)))
}

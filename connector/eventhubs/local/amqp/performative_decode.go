package amqp

import "bytes"

// hot holds the performatives that come once per message, to be decoded again
// and again without allocating.
type hot struct {
	transfer    Transfer
	flow        Flow
	disposition Disposition
	numbers     [8]uint32
	settled     bool
}

// ReadPerformative decodes a performative and returns a pointer to it, as
// AppendPerformative takes it, and what follows. Lists may be shorter than the
// specification has them, or longer. Only Transfer.DeliveryTag is a part of b.
func ReadPerformative(b []byte) (body any, rest []byte, err error) {
	return readPerformative(b, new(hot))
}

func readPerformative(b []byte, h *hot) (body any, rest []byte, err error) {
	desc, b, err := readDescriptor(b)
	if err != nil {
		return nil, nil, err
	}
	f, rest, err := listFields(b)
	if err != nil {
		return nil, nil, err
	}
	switch desc {
	case descTransfer:
		f.numbers, f.flag = h.numbers[:], &h.settled
		readTransfer(&f, &h.transfer)
		body = &h.transfer
	case descFlow:
		f.numbers = h.numbers[:]
		readFlow(&f, &h.flow)
		body = &h.flow
	case descDisposition:
		f.numbers = h.numbers[:]
		readDisposition(&f, &h.disposition)
		body = &h.disposition
	case descOpen:
		body = readOpen(&f)
	case descBegin:
		body = readBegin(&f)
	case descAttach:
		body = readAttach(&f)
	case descDetach:
		body = &Detach{Handle: f.uint32(), Closed: f.bool(), Error: f.error()}
	case descEnd:
		body = &End{Error: f.error()}
	case descClose:
		body = &Close{Error: f.error()}
	case descSASLMechanisms:
		body = &SASLMechanisms{Mechanisms: f.symbols()}
	case descSASLInit:
		body = &SASLInit{Mechanism: f.symbol(), InitialResponse: bytes.Clone(f.binary()), Hostname: f.string()}
	case descSASLOutcome:
		o := &SASLOutcome{}
		if code := f.optionalUint8(); code != nil {
			o.Code = *code
		}
		o.AdditionalData = bytes.Clone(f.binary())
		body = o
	default:
		return nil, nil, decodeError("descriptor %#02x is not that of a performative", desc)
	}
	if err := f.end(); err != nil {
		return nil, nil, err
	}
	return body, rest, nil
}

func readTransfer(f *fields, p *Transfer) {
	p.Handle = f.uint32()
	p.DeliveryID = f.optionalUint32()
	p.DeliveryTag = f.binary()
	p.MessageFormat = f.optionalUint32()
	p.Settled = f.optionalBool()
	p.More = f.bool()
	p.ReceiverSettleMode = f.optionalUint8()
	p.State = f.state()
	p.Resume = f.bool()
	p.Aborted = f.bool()
	p.Batchable = f.bool()
}

func readFlow(f *fields, p *Flow) {
	p.NextIncomingID = f.optionalUint32()
	p.IncomingWindow = f.uint32()
	p.NextOutgoingID = f.uint32()
	p.OutgoingWindow = f.uint32()
	p.Handle = f.optionalUint32()
	p.DeliveryCount = f.optionalUint32()
	p.LinkCredit = f.optionalUint32()
	p.Available = f.optionalUint32()
	p.Drain = f.bool()
	p.Echo = f.bool()
	p.Properties = f.mapping()
}

func readDisposition(f *fields, p *Disposition) {
	p.Role = Role(f.bool())
	p.First = f.uint32()
	p.Last = f.optionalUint32()
	p.Settled = f.bool()
	p.State = f.state()
	p.Batchable = f.bool()
}

func readOpen(f *fields) *Open {
	return &Open{
		ContainerID:         f.string(),
		Hostname:            f.string(),
		MaxFrameSize:        f.optionalUint32(),
		ChannelMax:          f.optionalUint16(),
		IdleTimeout:         f.optionalUint32(),
		OutgoingLocales:     f.symbols(),
		IncomingLocales:     f.symbols(),
		OfferedCapabilities: f.symbols(),
		DesiredCapabilities: f.symbols(),
		Properties:          f.mapping(),
	}
}

func readBegin(f *fields) *Begin {
	return &Begin{
		RemoteChannel:       f.optionalUint16(),
		NextOutgoingID:      f.uint32(),
		IncomingWindow:      f.uint32(),
		OutgoingWindow:      f.uint32(),
		HandleMax:           f.optionalUint32(),
		OfferedCapabilities: f.symbols(),
		DesiredCapabilities: f.symbols(),
		Properties:          f.mapping(),
	}
}

func readAttach(f *fields) *Attach {
	return &Attach{
		Name:                 f.string(),
		Handle:               f.uint32(),
		Role:                 Role(f.bool()),
		SenderSettleMode:     f.optionalUint8(),
		ReceiverSettleMode:   f.optionalUint8(),
		Source:               f.source(),
		Target:               f.target(),
		Unsettled:            f.mapping(),
		IncompleteUnsettled:  f.bool(),
		InitialDeliveryCount: f.optionalUint32(),
		MaxMessageSize:       f.optionalUint64(),
		OfferedCapabilities:  f.symbols(),
		DesiredCapabilities:  f.symbols(),
		Properties:           f.mapping(),
	}
}

// nested begins with the described list that the next field is, if it is there.
func (f *fields) nested(want ...byte) (inner fields, desc byte, ok bool) {
	if !f.present() {
		return fields{}, 0, false
	}
	desc, b, err := readDescriptor(f.b)
	if err != nil {
		f.err = err
		return fields{}, 0, false
	}
	for _, w := range want {
		if desc != w {
			continue
		}
		inner, rest, err := listFields(b)
		if err != nil {
			f.err = err
			return fields{}, 0, false
		}
		f.b = rest
		return inner, desc, true
	}
	f.err = decodeError("descriptor %#02x where %#02x belongs", desc, want[0])
	return fields{}, 0, false
}

// done takes over the error of a nested list.
func (f *fields) done(inner *fields) {
	if err := inner.end(); err != nil && f.err == nil {
		f.err = err
	}
}

func (f *fields) source() *Source {
	in, _, ok := f.nested(descSource)
	if !ok {
		return nil
	}
	s := &Source{
		Address:               in.string(),
		Durable:               in.uint32(),
		ExpiryPolicy:          in.symbol(),
		Timeout:               in.uint32(),
		Dynamic:               in.bool(),
		DynamicNodeProperties: in.mapping(),
		DistributionMode:      in.symbol(),
		Filter:                in.mapping(),
		DefaultOutcome:        in.state(),
		Outcomes:              in.symbols(),
		Capabilities:          in.symbols(),
	}
	f.done(&in)
	return s
}

func (f *fields) target() *Target {
	in, desc, ok := f.nested(descTarget, descCoordinator)
	if !ok {
		return nil
	}
	if desc == descCoordinator {
		t := &Target{Capabilities: in.symbols(), Coordinator: true}
		f.done(&in)
		return t
	}
	t := &Target{
		Address:               in.string(),
		Durable:               in.uint32(),
		ExpiryPolicy:          in.symbol(),
		Timeout:               in.uint32(),
		Dynamic:               in.bool(),
		DynamicNodeProperties: in.mapping(),
		Capabilities:          in.symbols(),
	}
	f.done(&in)
	return t
}

func (f *fields) error() *Error {
	in, _, ok := f.nested(descError)
	if !ok {
		return nil
	}
	e := &Error{Condition: in.symbol(), Description: in.string(), Info: in.mapping()}
	f.done(&in)
	return e
}

// state reads a delivery state. One that is none of the specification's core
// (a transactional state, say) comes as the value it is.
func (f *fields) state() any {
	if !f.present() {
		return nil
	}
	desc, b, err := readDescriptor(f.b)
	if err != nil || desc < descReceived || desc > descModified {
		// value looks for itself whether the field is there.
		f.n++
		return f.value()
	}
	in, rest, err := listFields(b)
	if err != nil {
		f.err = err
		return nil
	}
	f.b = rest
	var state any
	switch desc {
	case descAccepted:
		state = Accepted{}
	case descReleased:
		state = Released{}
	case descRejected:
		state = Rejected{Error: in.error()}
	case descModified:
		state = Modified{DeliveryFailed: in.bool(), UndeliverableHere: in.bool(), MessageAnnotations: in.mapping()}
	case descReceived:
		state = Received{SectionNumber: in.uint32(), SectionOffset: in.uint64()}
	}
	f.done(&in)
	return state
}

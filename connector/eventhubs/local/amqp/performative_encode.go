package amqp

import "fmt"

// AppendPerformative appends a performative, given as a pointer: *Open, *Begin,
// *Attach, *Flow, *Transfer, *Disposition, *Detach, *End, *Close,
// *SASLMechanisms, *SASLInit or *SASLOutcome. Anything else panics.
func AppendPerformative(dst []byte, body any) []byte {
	switch p := body.(type) {
	case *Transfer:
		return appendTransfer(dst, p)
	case *Flow:
		return appendFlow(dst, p)
	case *Disposition:
		return appendDisposition(dst, p)
	case *Open:
		return appendOpen(dst, p)
	case *Begin:
		return appendBegin(dst, p)
	case *Attach:
		return appendAttach(dst, p)
	case *Detach:
		dst, start := openDescribed(dst, descDetach)
		dst = appendUint(dst, p.Handle)
		dst = appendBool(dst, p.Closed)
		dst = appendError(dst, p.Error)
		return closeCompound(dst, start, 3)
	case *End:
		dst, start := openDescribed(dst, descEnd)
		return closeCompound(appendError(dst, p.Error), start, 1)
	case *Close:
		dst, start := openDescribed(dst, descClose)
		return closeCompound(appendError(dst, p.Error), start, 1)
	case *SASLMechanisms:
		dst, start := openDescribed(dst, descSASLMechanisms)
		return closeCompound(appendSymbols(dst, p.Mechanisms), start, 1)
	case *SASLInit:
		dst, start := openDescribed(dst, descSASLInit)
		dst = AppendSymbol(dst, p.Mechanism)
		dst = appendBinary(dst, p.InitialResponse)
		dst = optionalString(dst, p.Hostname)
		return closeCompound(dst, start, 3)
	case *SASLOutcome:
		dst, start := openDescribed(dst, descSASLOutcome)
		dst = append(dst, codeUbyte, p.Code)
		dst = appendBinary(dst, p.AdditionalData)
		return closeCompound(dst, start, 2)
	}
	panic(fmt.Sprintf("amqp: %T is not a performative", body))
}

// openDescribed begins a described list.
func openDescribed(dst []byte, desc byte) (_ []byte, start int) {
	return openCompound(append(dst, codeDescribed, codeSmallUlong, desc), codeList8)
}

func appendTransfer(dst []byte, p *Transfer) []byte {
	dst, start := openDescribed(dst, descTransfer)
	dst = appendUint(dst, p.Handle)
	dst = optionalUint(dst, p.DeliveryID)
	dst = appendBinary(dst, p.DeliveryTag)
	dst = optionalUint(dst, p.MessageFormat)
	if p.Settled == nil {
		dst = append(dst, codeNull)
	} else {
		dst = appendBool(dst, *p.Settled)
	}
	dst = appendBool(dst, p.More)
	dst = optionalUbyte(dst, p.ReceiverSettleMode)
	dst = appendState(dst, p.State)
	dst = appendBool(dst, p.Resume)
	dst = appendBool(dst, p.Aborted)
	dst = appendBool(dst, p.Batchable)
	return closeCompound(dst, start, 11)
}

func appendFlow(dst []byte, p *Flow) []byte {
	dst, start := openDescribed(dst, descFlow)
	dst = optionalUint(dst, p.NextIncomingID)
	dst = appendUint(dst, p.IncomingWindow)
	dst = appendUint(dst, p.NextOutgoingID)
	dst = appendUint(dst, p.OutgoingWindow)
	dst = optionalUint(dst, p.Handle)
	dst = optionalUint(dst, p.DeliveryCount)
	dst = optionalUint(dst, p.LinkCredit)
	dst = optionalUint(dst, p.Available)
	dst = appendBool(dst, p.Drain)
	dst = appendBool(dst, p.Echo)
	dst = appendMap(dst, p.Properties)
	return closeCompound(dst, start, 11)
}

func appendDisposition(dst []byte, p *Disposition) []byte {
	dst, start := openDescribed(dst, descDisposition)
	dst = appendBool(dst, bool(p.Role))
	dst = appendUint(dst, p.First)
	dst = optionalUint(dst, p.Last)
	dst = appendBool(dst, p.Settled)
	dst = appendState(dst, p.State)
	dst = appendBool(dst, p.Batchable)
	return closeCompound(dst, start, 6)
}

func appendOpen(dst []byte, p *Open) []byte {
	dst, start := openDescribed(dst, descOpen)
	dst = AppendString(dst, p.ContainerID)
	dst = optionalString(dst, p.Hostname)
	dst = optionalUint(dst, p.MaxFrameSize)
	dst = optionalUshort(dst, p.ChannelMax)
	dst = optionalUint(dst, p.IdleTimeout)
	dst = appendSymbols(dst, p.OutgoingLocales)
	dst = appendSymbols(dst, p.IncomingLocales)
	dst = appendSymbols(dst, p.OfferedCapabilities)
	dst = appendSymbols(dst, p.DesiredCapabilities)
	dst = appendMap(dst, p.Properties)
	return closeCompound(dst, start, 10)
}

func appendBegin(dst []byte, p *Begin) []byte {
	dst, start := openDescribed(dst, descBegin)
	dst = optionalUshort(dst, p.RemoteChannel)
	dst = appendUint(dst, p.NextOutgoingID)
	dst = appendUint(dst, p.IncomingWindow)
	dst = appendUint(dst, p.OutgoingWindow)
	dst = optionalUint(dst, p.HandleMax)
	dst = appendSymbols(dst, p.OfferedCapabilities)
	dst = appendSymbols(dst, p.DesiredCapabilities)
	dst = appendMap(dst, p.Properties)
	return closeCompound(dst, start, 8)
}

func appendAttach(dst []byte, p *Attach) []byte {
	dst, start := openDescribed(dst, descAttach)
	dst = AppendString(dst, p.Name)
	dst = appendUint(dst, p.Handle)
	dst = appendBool(dst, bool(p.Role))
	dst = optionalUbyte(dst, p.SenderSettleMode)
	dst = optionalUbyte(dst, p.ReceiverSettleMode)
	dst = appendSource(dst, p.Source)
	dst = appendTarget(dst, p.Target)
	dst = appendMap(dst, p.Unsettled)
	dst = appendBool(dst, p.IncompleteUnsettled)
	dst = optionalUint(dst, p.InitialDeliveryCount)
	if p.MaxMessageSize == nil {
		dst = append(dst, codeNull)
	} else {
		dst = appendUlong(dst, *p.MaxMessageSize)
	}
	dst = appendSymbols(dst, p.OfferedCapabilities)
	dst = appendSymbols(dst, p.DesiredCapabilities)
	dst = appendMap(dst, p.Properties)
	return closeCompound(dst, start, 14)
}

func appendSource(dst []byte, s *Source) []byte {
	if s == nil {
		return append(dst, codeNull)
	}
	dst, start := openDescribed(dst, descSource)
	dst = optionalString(dst, s.Address)
	dst = appendUint(dst, s.Durable)
	dst = optionalSymbol(dst, s.ExpiryPolicy)
	dst = appendUint(dst, s.Timeout)
	dst = appendBool(dst, s.Dynamic)
	dst = appendMap(dst, s.DynamicNodeProperties)
	dst = optionalSymbol(dst, s.DistributionMode)
	dst = appendMap(dst, s.Filter)
	dst = appendState(dst, s.DefaultOutcome)
	dst = appendSymbols(dst, s.Outcomes)
	dst = appendSymbols(dst, s.Capabilities)
	return closeCompound(dst, start, 11)
}

func appendTarget(dst []byte, t *Target) []byte {
	if t == nil {
		return append(dst, codeNull)
	}
	if t.Coordinator {
		dst, start := openDescribed(dst, descCoordinator)
		return closeCompound(appendSymbols(dst, t.Capabilities), start, 1)
	}
	dst, start := openDescribed(dst, descTarget)
	dst = optionalString(dst, t.Address)
	dst = appendUint(dst, t.Durable)
	dst = optionalSymbol(dst, t.ExpiryPolicy)
	dst = appendUint(dst, t.Timeout)
	dst = appendBool(dst, t.Dynamic)
	dst = appendMap(dst, t.DynamicNodeProperties)
	dst = appendSymbols(dst, t.Capabilities)
	return closeCompound(dst, start, 7)
}

func appendError(dst []byte, e *Error) []byte {
	if e == nil {
		return append(dst, codeNull)
	}
	dst, start := openDescribed(dst, descError)
	dst = AppendSymbol(dst, e.Condition)
	dst = optionalString(dst, e.Description)
	dst = appendMap(dst, e.Info)
	return closeCompound(dst, start, 3)
}

// appendState appends a delivery state, or whatever else stands for one.
func appendState(dst []byte, state any) []byte {
	switch s := state.(type) {
	case nil:
		return append(dst, codeNull)
	case Accepted:
		// Spelled as a list of its own, since some clients want one.
		return append(dst, codeDescribed, codeSmallUlong, descAccepted, codeList8, 1, 0)
	case Released:
		return append(dst, codeDescribed, codeSmallUlong, descReleased, codeList8, 1, 0)
	case Rejected:
		dst, start := openDescribed(dst, descRejected)
		return closeCompound(appendError(dst, s.Error), start, 1)
	case Modified:
		dst, start := openDescribed(dst, descModified)
		dst = appendBool(dst, s.DeliveryFailed)
		dst = appendBool(dst, s.UndeliverableHere)
		dst = appendMap(dst, s.MessageAnnotations)
		return closeCompound(dst, start, 3)
	case Received:
		dst, start := openDescribed(dst, descReceived)
		dst = appendUint(dst, s.SectionNumber)
		dst = appendUlong(dst, s.SectionOffset)
		return closeCompound(dst, start, 2)
	}
	return AppendValue(dst, state)
}

func optionalUint(dst []byte, v *uint32) []byte {
	if v == nil {
		return append(dst, codeNull)
	}
	return appendUint(dst, *v)
}

func optionalUshort(dst []byte, v *uint16) []byte {
	if v == nil {
		return append(dst, codeNull)
	}
	return append(dst, codeUshort, byte(*v>>8), byte(*v))
}

func optionalUbyte(dst []byte, v *uint8) []byte {
	if v == nil {
		return append(dst, codeNull)
	}
	return append(dst, codeUbyte, *v)
}

func optionalString(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, codeNull)
	}
	return AppendString(dst, s)
}

func optionalSymbol(dst []byte, s Symbol) []byte {
	if s == "" {
		return append(dst, codeNull)
	}
	return AppendSymbol(dst, s)
}

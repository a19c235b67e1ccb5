package amqp

// Descriptors of performatives, states, termini and sections.
const (
	descOpen           = 0x10
	descBegin          = 0x11
	descAttach         = 0x12
	descFlow           = 0x13
	descTransfer       = 0x14
	descDisposition    = 0x15
	descDetach         = 0x16
	descEnd            = 0x17
	descClose          = 0x18
	descError          = 0x1d
	descReceived       = 0x23
	descAccepted       = 0x24
	descRejected       = 0x25
	descReleased       = 0x26
	descModified       = 0x27
	descSource         = 0x28
	descTarget         = 0x29
	descCoordinator    = 0x30
	descSASLMechanisms = 0x40
	descSASLInit       = 0x41
	descSASLOutcome    = 0x44

	descHeader                = 0x70
	descDeliveryAnnotations   = 0x71
	descMessageAnnotations    = 0x72
	descProperties            = 0x73
	descApplicationProperties = 0x74
	descData                  = 0x75
	descSequence              = 0x76
	descValue                 = 0x77
	descFooter                = 0x78
)

// readDescriptor reads 00 and the number of what follows, in any of its forms.
// A descriptor that is not of this package is an error.
func readDescriptor(b []byte) (code byte, rest []byte, err error) {
	if len(b) >= 3 && b[0] == codeDescribed && b[1] == codeSmallUlong {
		return b[2], b[3:], nil
	}
	if len(b) < 2 {
		return 0, nil, errShort
	}
	if b[0] != codeDescribed {
		return 0, nil, decodeError("constructor %#02x where a described value belongs", b[0])
	}
	kind, content, rest, err := split(b[1:])
	if err != nil {
		return 0, nil, err
	}
	switch kind {
	case codeUlong:
		if n := be.Uint64(content); n < 256 {
			return byte(n), rest, nil
		}
	case codeSym8, codeSym32:
		if n := symbolicDescriptor(content); n != 0 {
			return n, rest, nil
		}
	}
	return 0, nil, decodeError("unknown descriptor")
}

func symbolicDescriptor(b []byte) byte {
	switch string(b) {
	case "amqp:open:list":
		return descOpen
	case "amqp:begin:list":
		return descBegin
	case "amqp:attach:list":
		return descAttach
	case "amqp:flow:list":
		return descFlow
	case "amqp:transfer:list":
		return descTransfer
	case "amqp:disposition:list":
		return descDisposition
	case "amqp:detach:list":
		return descDetach
	case "amqp:end:list":
		return descEnd
	case "amqp:close:list":
		return descClose
	case "amqp:error:list":
		return descError
	case "amqp:received:list":
		return descReceived
	case "amqp:accepted:list":
		return descAccepted
	case "amqp:rejected:list":
		return descRejected
	case "amqp:released:list":
		return descReleased
	case "amqp:modified:list":
		return descModified
	case "amqp:source:list":
		return descSource
	case "amqp:target:list":
		return descTarget
	case "amqp:coordinator:list":
		return descCoordinator
	case "amqp:sasl-mechanisms:list":
		return descSASLMechanisms
	case "amqp:sasl-init:list":
		return descSASLInit
	case "amqp:sasl-outcome:list":
		return descSASLOutcome
	}
	return symbolicSection(b)
}

func symbolicSection(b []byte) byte {
	switch string(b) {
	case "amqp:header:list":
		return descHeader
	case "amqp:delivery-annotations:map":
		return descDeliveryAnnotations
	case "amqp:message-annotations:map":
		return descMessageAnnotations
	case "amqp:properties:list":
		return descProperties
	case "amqp:application-properties:map":
		return descApplicationProperties
	case "amqp:data:binary":
		return descData
	case "amqp:amqp-sequence:list":
		return descSequence
	case "amqp:amqp-value:*":
		return descValue
	case "amqp:footer:map":
		return descFooter
	}
	return 0
}

// internSymbol returns b as a symbol, without allocating for those that every
// event or link carries.
func internSymbol(b []byte) Symbol {
	switch string(b) {
	case "x-opt-partition-key":
		return "x-opt-partition-key"
	case "x-opt-sequence-number":
		return "x-opt-sequence-number"
	case "x-opt-offset":
		return "x-opt-offset"
	case "x-opt-enqueued-time":
		return "x-opt-enqueued-time"
	case "apache.org:selector-filter:string":
		return "apache.org:selector-filter:string"
	}
	return Symbol(b)
}

package amqp

// Types of frames.
const (
	FrameAMQP byte = 0
	FrameSASL byte = 1
)

// MinMaxFrameSize is the frame size in bytes that every peer must accept.
const MinMaxFrameSize = 512

// Frame is one frame. Body is a pointer to a performative, nil for an empty
// frame (a heartbeat). Payload is what follows the performative.
type Frame struct {
	Type    byte
	Channel uint16
	Body    any
	Payload []byte
}

// AppendFrame appends a frame, so that many can go out in one write.
func AppendFrame(dst []byte, f *Frame) []byte {
	dst, start := OpenFrame(dst, f.Type, f.Channel, f.Body)
	dst = append(dst, f.Payload...)
	return CloseFrame(dst, start)
}

// OpenFrame begins a frame of which the payload is appended by the caller;
// CloseFrame with the same start ends it. Between the two a message can be
// written where it is to be sent from, without copying it once more.
func OpenFrame(dst []byte, kind byte, channel uint16, body any) (_ []byte, start int) {
	start = len(dst)
	dst = append(dst, 0, 0, 0, 0, 2, kind, byte(channel>>8), byte(channel))
	if body != nil {
		dst = AppendPerformative(dst, body)
	}
	return dst, start
}

// CloseFrame ends the frame that began at start.
func CloseFrame(dst []byte, start int) []byte {
	be.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}

// AppendHeartbeat appends an empty frame, which keeps a connection alive.
func AppendHeartbeat(dst []byte) []byte {
	return append(dst, 0, 0, 0, 8, 2, FrameAMQP, 0, 0)
}

// Protocol says what a protocol header announces.
type Protocol byte

// Protocols that a header may announce.
const (
	ProtocolAMQP Protocol = 0
	ProtocolTLS  Protocol = 2
	ProtocolSASL Protocol = 3
)

// AppendProtocolHeader appends the eight bytes that announce AMQP 1.0, TLS or
// SASL.
func AppendProtocolHeader(dst []byte, p Protocol) []byte {
	return append(dst, 'A', 'M', 'Q', 'P', byte(p), 1, 0, 0)
}

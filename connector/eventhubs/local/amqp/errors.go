package amqp

import "fmt"

// Error is the error of AMQP: what a detach, end, close or a rejected state
// carries. As a Go error it is what decoding returns, with the condition that
// a peer is to be told.
type Error struct {
	Condition Symbol
	// Description is for people; "" is sent as null.
	Description string
	Info        Map
}

func (e *Error) Error() string {
	if e.Description == "" {
		return string(e.Condition)
	}
	return string(e.Condition) + ": " + e.Description
}

// Conditions of the AMQP specification.
const (
	ErrorInternal              Symbol = "amqp:internal-error"
	ErrorNotFound              Symbol = "amqp:not-found"
	ErrorUnauthorizedAccess    Symbol = "amqp:unauthorized-access"
	ErrorDecode                Symbol = "amqp:decode-error"
	ErrorResourceLimitExceeded Symbol = "amqp:resource-limit-exceeded"
	ErrorNotAllowed            Symbol = "amqp:not-allowed"
	ErrorInvalidField          Symbol = "amqp:invalid-field"
	ErrorNotImplemented        Symbol = "amqp:not-implemented"
	ErrorResourceLocked        Symbol = "amqp:resource-locked"
	ErrorPreconditionFailed    Symbol = "amqp:precondition-failed"
	ErrorResourceDeleted       Symbol = "amqp:resource-deleted"
	ErrorIllegalState          Symbol = "amqp:illegal-state"
	ErrorFrameSizeTooSmall     Symbol = "amqp:frame-size-too-small"

	ErrorConnectionForced   Symbol = "amqp:connection:forced"
	ErrorConnectionFraming  Symbol = "amqp:connection:framing-error"
	ErrorConnectionRedirect Symbol = "amqp:connection:redirect"

	ErrorSessionWindow      Symbol = "amqp:session:window-violation"
	ErrorSessionErrantLink  Symbol = "amqp:session:errant-link"
	ErrorSessionHandleInUse Symbol = "amqp:session:handle-in-use"
	ErrorSessionUnattached  Symbol = "amqp:session:unattached-handle"
	ErrorLinkDetachForced   Symbol = "amqp:link:detach-forced"
	ErrorLinkTransferLimit  Symbol = "amqp:link:transfer-limit-exceeded"
	ErrorLinkMessageSize    Symbol = "amqp:link:message-size-exceeded"
	ErrorLinkRedirect       Symbol = "amqp:link:redirect"
	ErrorLinkStolen         Symbol = "amqp:link:stolen"
)

func decodeError(format string, args ...any) *Error {
	return &Error{Condition: ErrorDecode, Description: fmt.Sprintf(format, args...)}
}

func framingError(format string, args ...any) *Error {
	return &Error{Condition: ErrorConnectionFraming, Description: fmt.Sprintf(format, args...)}
}

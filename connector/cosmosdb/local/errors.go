package local

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"millrace/connector/cosmosdb/local/value"
)

// Sub-status codes, as the service has them.
const (
	subPartitionKeyMismatch = 1001
	subCrossPartitionQuery  = 1004
	subPartitionFull        = 1014
	subWrongRID             = 1024
	subRateTooLarge         = 3200
)

// failure is an error answer: what the service says when it refuses.
type failure struct {
	status, substatus int
	// message is one sentence or two; it is wrapped as the service wraps it.
	message string
	// detail, if not "", stands instead of the wrapped message, as it is:
	// syntax errors of queries are JSON there.
	detail string
	// additional is the JSON of additionalErrorInfo: the plan of a query that
	// the gateway does not run itself.
	additional string
	// retryAfter is for 429 and 449.
	retryAfter time.Duration
	// location is for 405: what is allowed.
	allow string
}

func (f *failure) Error() string {
	return fmt.Sprintf("%d (%d) %s%s", f.status, f.substatus, f.message, f.detail)
}

// code is the word for a status in error bodies.
func code(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "BadRequest"
	case http.StatusUnauthorized:
		return "Unauthorized"
	case http.StatusForbidden:
		return "Forbidden"
	case http.StatusNotFound:
		return "NotFound"
	case http.StatusMethodNotAllowed:
		return "MethodNotAllowed"
	case http.StatusRequestTimeout:
		return "RequestTimeout"
	case http.StatusConflict:
		return "Conflict"
	case http.StatusGone:
		return "Gone"
	case http.StatusPreconditionFailed:
		return "PreconditionFailed"
	case http.StatusRequestEntityTooLarge:
		return "RequestEntityTooLarge"
	case http.StatusTooManyRequests:
		return "429"
	case 449:
		return "RetryWith"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailable"
	case http.StatusInternalServerError:
		return "InternalServerError"
	}
	return strconv.Itoa(status)
}

func badRequest(format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...)}
}

func notFound() *failure {
	return &failure{status: http.StatusNotFound, message: "Entity with the specified id does not exist in the system."}
}

func conflict() *failure {
	return &failure{status: http.StatusConflict, message: "Entity with the specified id already exists in the system."}
}

func uniqueViolation() *failure {
	return &failure{status: http.StatusConflict, message: "Unique index constraint violation."}
}

func preconditionFailed() *failure {
	return &failure{status: http.StatusPreconditionFailed,
		message: "Operation cannot be performed because one of the specified precondition is not met."}
}

func partitionKeyMismatch() *failure {
	return &failure{status: http.StatusBadRequest, substatus: subPartitionKeyMismatch,
		message: "PartitionKey extracted from document doesn't match the one specified in the header."}
}

func tooLarge() *failure {
	return &failure{status: http.StatusRequestEntityTooLarge, message: "Request size is too large."}
}

func tooManyRequests(wait time.Duration) *failure {
	return &failure{status: http.StatusTooManyRequests, substatus: subRateTooLarge, retryAfter: wait,
		message: "Request rate is large. More Request Units may be needed, so no changes were made. " +
			"Please retry this request later. Learn more: http://aka.ms/cosmosdb-error-429"}
}

// asFailure returns the answer to an error of a handler: nil if it has none of
// its own and is the server's fault.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// appendFailure appends the body of an error answer.
func appendFailure(dst []byte, f *failure, activityID, uri string) []byte {
	dst = append(dst, `{"code":"`...)
	dst = append(dst, code(f.status)...)
	dst = append(dst, `","message":"`...)
	message := f.detail
	if message == "" {
		inner := value.AppendEscaped([]byte(`Message: {"Errors":["`), f.message)
		message = string(append(inner, `"]}`...))
	}
	dst = value.AppendEscaped(dst, message)
	dst = append(dst, `\r\nActivityId: `...)
	dst = value.AppendEscaped(dst, activityID)
	dst = append(dst, `, Request URI: /`...)
	dst = value.AppendEscaped(dst, uri)
	dst = append(dst, '"')
	if f.additional != "" {
		dst = append(dst, `,"additionalErrorInfo":"`...)
		dst = value.AppendEscaped(dst, f.additional)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

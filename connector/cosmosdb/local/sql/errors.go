package sql

import (
	"fmt"
	"strconv"

	"millrace/connector/cosmosdb/local/value"
)

// The codes of what is wrong with a query's text.
const (
	CodeSyntax = "SC1001" // something where it must not be
	CodeToken  = "SC1010" // a character that begins nothing
	CodeString = "SC1012" // a string that does not end, or has a wrong escape
	CodeLimit  = "SC3013" // beyond the limits on size and nesting
)

// SyntaxError says what is wrong with a query, and where: from Start, up to but
// not including End, in UTF-16 code units. Errors of meaning have its form too,
// with codes from SC2001 on.
type SyntaxError struct {
	Code       string
	Message    string
	Start, End int
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at %d: %s", e.Code, e.Start, e.Message)
}

// JSON is the error as the service writes it into the message of a 400 answer:
// {"errors":[{"severity":"Error","location":{...},"code":...,"message":...}]}.
func (e *SyntaxError) JSON() string {
	b := append([]byte(nil), `{"errors":[{"severity":"Error","location":{"start":`...)
	b = strconv.AppendInt(b, int64(e.Start), 10)
	b = append(b, `,"end":`...)
	b = strconv.AppendInt(b, int64(e.End), 10)
	b = append(b, `},"code":`...)
	b = value.AppendString(b, e.Code)
	b = append(b, `,"message":`...)
	b = value.AppendString(b, e.Message)
	return string(append(b, "}]}"...))
}

// Errorf is an error of meaning at a place in the query.
func Errorf(at Span, code, format string, args ...any) *SyntaxError {
	return &SyntaxError{Code: code, Message: fmt.Sprintf(format, args...), Start: at.Start, End: at.End}
}

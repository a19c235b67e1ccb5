package sql

import (
	"encoding/json"
	"fmt"
)

// The codes of what is wrong with a query's text.
const (
	CodeSyntax  = "SC1001" // something where it must not be
	CodeToken   = "SC1010" // a character that begins nothing
	CodeString  = "SC1012" // a string that does not end, or has a wrong escape
	CodeTooLong = "SC3013" // a query beyond the limits on size and nesting
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
	type location struct {
		Start int `json:"start"`
		End   int `json:"end"`
	}
	type entry struct {
		Severity string   `json:"severity"`
		Location location `json:"location"`
		Code     string   `json:"code"`
		Message  string   `json:"message"`
	}
	text, err := json.Marshal(map[string][]entry{
		"errors": {{"Error", location{e.Start, e.End}, e.Code, e.Message}},
	})
	if err != nil { // strings and integers always marshal
		return e.Error()
	}
	return string(text)
}

// Errorf is an error of meaning at a place in the query.
func Errorf(at Span, code, format string, args ...any) *SyntaxError {
	return &SyntaxError{Code: code, Message: fmt.Sprintf(format, args...), Start: at.Start, End: at.End}
}

package udf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dop251/goja"
)

// The reasons for which a call is ended from outside. An *Error of such a call
// wraps one of them.
var (
	ErrTimeLimit   = errors.New("it ran longer than allowed")
	ErrMemoryLimit = errors.New("it took more memory than allowed")
	ErrDepth       = errors.New("its calls nest too deeply; look for a recursion without end")
)

// Error is a fault in a user's script: one that JavaScript threw, a limit, or
// a result without a type in the query. The service takes every such error as
// fatal for the job.
type Error struct {
	// Function is the name as the query has it, udf.name or uda.name.method;
	// "" while a file is being loaded.
	Function string
	// File, Line and Column say where; Line is 0 when that is not known.
	File         string
	Line, Column int
	// Message is what JavaScript has to say, "TypeError: …" for instance.
	Message string
	// Cause is one of the sentinels of this package, or nil.
	Cause error
}

// Error returns one line: function, message and place.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Function != "" {
		b.WriteString(e.Function)
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Line > 0 {
		fmt.Fprintf(&b, " (%s:%d:%d)", e.File, e.Line, e.Column)
	} else if e.File != "" {
		fmt.Fprintf(&b, " (%s)", e.File)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// maxMessage bounds what a script can put into a message, in bytes.
const maxMessage = 1000

// newError makes an Error of what a call into the engine returned. It may run
// JavaScript (an exception's toString), so the call's limits must still hold.
func (s *script) newError(function string, err error) *Error {
	e := &Error{Function: function, File: s.file.name}
	var stack []goja.StackFrame
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	var thrown *goja.Exception
	switch {
	case errors.As(err, &interrupted):
		e.Cause, _ = interrupted.Value().(error)
		stack = interrupted.Stack()
	case errors.As(err, &overflow):
		e.Cause = ErrDepth
		stack = overflow.Stack()
	case errors.As(err, &thrown):
		stack = thrown.Stack()
		e.Message = s.messageOf(thrown)
	default:
		e.Message = err.Error()
	}
	switch e.Cause {
	case nil:
	case ErrTimeLimit:
		e.Message = fmt.Sprintf("%v (%v); look for a loop without end", ErrTimeLimit, s.options.TimeLimit)
	case ErrMemoryLimit:
		e.Message = fmt.Sprintf("%v (%d MB); look for what grows in a loop", ErrMemoryLimit, s.options.MemoryLimit>>20)
	case ErrDepth:
		e.Message = fmt.Sprintf("%v (limit %d)", ErrDepth, s.options.MaxDepth)
	}
	if len(e.Message) > maxMessage {
		e.Message = strings.ToValidUTF8(e.Message[:maxMessage], "") + "…"
	}
	for _, frame := range stack {
		if frame.SrcName() == s.file.name {
			p := frame.Position()
			e.Line, e.Column = p.Line, p.Column
			break
		}
	}
	return e
}

// messageOf returns the text of what was thrown, whatever it is. Its toString
// is the user's code and may throw in turn.
func (s *script) messageOf(thrown *goja.Exception) (text string) {
	text = "an exception that has no text was thrown"
	defer func() {
		// The engine reports what toString itself does by panicking; the
		// first exception is the one to tell of.
		_ = recover()
	}()
	if v := thrown.Value(); v != nil {
		if o, ok := v.(*goja.Object); ok && classOf(o) == "Object" {
			// Of a plain object, toString says nothing.
			if m := o.Get("message"); m != nil && !goja.IsUndefined(m) {
				return m.String()
			}
			if b, err := o.MarshalJSON(); err == nil {
				return string(b)
			}
		}
		text = v.String()
	}
	return text
}

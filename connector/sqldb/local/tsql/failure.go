package tsql

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// asSQL returns the SQL error in err, nil if it is another kind.
func asSQL(err error) *value.Error {
	var e *value.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// sqlError makes an error interface of what may be nil.
func sqlError(e *value.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// unsupported is the answer to T-SQL that this server does not know: a number
// of its own, above those of the product.
func unsupported(format string, args ...any) *value.Error {
	e := value.Errorf(unsupportedNumber, "Not supported by this test server: "+format, args...)
	return e
}

const unsupportedNumber = 49990

// unknownNode names a part of the syntax tree that has no meaning here.
func unknownNode(n any) *value.Error { return unsupported("%T", n) }

// extent says how much an error ends.
type extent int

const (
	endStatement extent = iota
	endBatch
	endTransaction // and the batch
)

// ends tells what an error ends without XACT_ABORT: most end their statement,
// errors of names and of what was thrown the batch, failed conversions and
// deadlocks the transaction, too.
func ends(e *value.Error) extent {
	switch e.Number {
	case 1205, 3960, 245, 241, 242, 8114, 8169, 248, 9812:
		return endTransaction
	case 102, 105, 156, 207, 208, 209, 137, 134, 1087, 4104, 8120, 2812, 2715, 3930, 111, 178, 195, 201, 213, 109, 110, 264,
		unsupportedNumber, 40517, 3952, 8144, 8145, 205, 120, 121, 141, 116, 130, 147, 157, 174, 217:
		return endBatch
	}
	if e.Class >= 20 {
		return endTransaction
	}
	return endStatement
}

// thrown is an error that THROW has made: it ends the batch.
type thrown struct{ e *value.Error }

func (t thrown) Error() string { return t.e.Error() }
func (t thrown) Unwrap() error { return t.e }

// errEnd ends a batch whose error has been told already.
var errEnd = errors.New("the batch has ended")

// at adds the line of a statement to an error that has none.
func at(err error, st ast.Statement, sc *scope) error {
	e := asSQL(err)
	if e == nil || e.Line != 0 {
		return err
	}
	c := *e
	c.Procedure = sc.procedure
	c.Line = 1
	if f, ok := st.(interface{ Frag() *ast.Fragment }); ok {
		c.Line = int32(max(1, f.Frag().StartLine))
	}
	if t := (thrown{}); errors.As(err, &t) {
		return thrown{&c}
	}
	return &c
}

// failed decides what an error of a statement outside of TRY ends, and tells
// the client.
func (x *execution) failed(err error, st ast.Statement) error {
	e := asSQL(err)
	if e == nil {
		return err
	}
	var t thrown
	isThrown := errors.As(err, &t)
	end := ends(e)
	if isThrown && end < endBatch {
		end = endBatch
	}
	if x.s.xactAbort {
		if _, raised := st.(*ast.RaiseErrorStatement); !raised {
			end = endTransaction
		}
	}
	if err := x.s.report(e, x.out); err != nil {
		return err
	}
	if end == endTransaction && x.s.tx != nil {
		if err := x.s.rollback("", x.out); err != nil {
			return err
		}
	}
	if end > endStatement {
		return errEnd
	}
	return nil
}

// syntaxError is the parser's complaint in SQL Server's words.
func syntaxError(err error) *value.Error {
	return &value.Error{Number: 102, State: 1, Class: 15, Line: 1, Message: fmt.Sprintf("Incorrect syntax: %v.", err)}
}

// recovered makes an error of a panic. The parser takes some statements that
// are not complete and leaves holes in their trees, which show here: they are
// errors of syntax. Anything else is a fault of this server, and says so.
func recovered(err *error) {
	p := recover()
	if p == nil {
		return
	}
	if r, ok := p.(runtime.Error); ok && strings.Contains(r.Error(), "nil pointer") {
		*err = syntaxError(errors.New("the statement is not complete"))
		return
	}
	*err = &value.Error{Number: failedNumber, State: 1, Class: 20, Message: fmt.Sprintf("This test server has failed: %v.\n%s", p, debug.Stack())}
}

// failedNumber is SQL Server's for a failed assertion.
const failedNumber = 3624

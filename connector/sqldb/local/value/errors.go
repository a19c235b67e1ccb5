package value

import "fmt"

// Error is an error as SQL Server numbers it. It is what clients are told.
type Error struct {
	// Number, State and Class (the severity) are SQL Server's.
	Number       int32
	State, Class uint8
	Message      string
	// Procedure and Line say where: the line counts from 1 in its batch.
	Procedure string
	Line      int32
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("error %d: %s", e.Number, e.Message) }

// Errorf makes an Error of severity 16 and state 1, which most are.
func Errorf(number int32, format string, args ...any) *Error {
	return &Error{Number: number, State: 1, Class: 16, Message: fmt.Sprintf(format, args...)}
}

func overflow(to Type) *Error {
	e := Errorf(8115, "Arithmetic overflow error converting expression to data type %s.", to.Name())
	e.State = 2
	return e
}

func conversion(text string, from, to Type) *Error {
	switch {
	case to.ID.Integer() || to.ID == Bit:
		return Errorf(245, "Conversion failed when converting the %s value '%s' to data type %s.", from.Name(), shown(text), to.Name())
	case to.ID.Temporal():
		return Errorf(241, "Conversion failed when converting date and/or time from character string.")
	case to.ID == GUID:
		e := Errorf(8169, "Conversion failed when converting from a character string to uniqueidentifier.")
		e.State = 2
		return e
	}
	e := Errorf(8114, "Error converting data type %s to %s.", from.Name(), to.Name())
	e.State = 5
	return e
}

// shown shortens a value for a message.
func shown(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most]
	}
	return s
}

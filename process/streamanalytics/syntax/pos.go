package syntax

import "fmt"

// Pos is a place in a text. The zero value means "nowhere": nodes that no text
// was read for have it.
type Pos struct {
	// Offset counts bytes from 0; Line and Column count from 1, the column in
	// characters (not bytes), as editors show them.
	Offset, Line, Column int
}

// IsValid tells whether p is a place in a text.
func (p Pos) IsValid() bool { return p.Line > 0 }

// String returns "line 3, column 7".
func (p Pos) String() string {
	if !p.IsValid() {
		return "unknown place"
	}
	return fmt.Sprintf("line %d, column %d", p.Line, p.Column)
}

// Span is the part of a text that a node was read from: from Start up to, not
// including, Stop.
type Span struct{ Start, Stop Pos }

// Pos returns where the node begins.
func (s Span) Pos() Pos { return s.Start }

// End returns the place behind the node's last character.
func (s Span) End() Pos { return s.Stop }

// Node is any part of the tree.
type Node interface {
	Pos() Pos
	End() Pos
}

package syntax

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Diagnostic is one thing that is wrong with a text, and where. It is an error.
type Diagnostic struct {
	// Pos and End enclose the part of the text that is wrong.
	Pos, End Pos
	// Message is what is wrong, in one sentence without a full stop, without
	// the place and without the suggestion.
	Message string
	// Expected is what could stand there instead, in words of the language.
	Expected []string
	// Suggestion is the near name that was probably meant, or what to do
	// instead; "" if nothing is near.
	Suggestion string
}

// Error returns the place, the message and the suggestion in one line.
func (d Diagnostic) Error() string {
	s := d.Pos.String() + ": " + d.Message
	if d.Suggestion != "" {
		s += "; " + d.Suggestion
	}
	return s
}

// Excerpt returns the line of text that holds the place, and below it a line
// with carets under the part that is wrong. Tabs become single spaces.
func (d Diagnostic) Excerpt(text string) string {
	if !d.Pos.IsValid() || d.Pos.Offset > len(text) {
		return ""
	}
	from := strings.LastIndexByte(text[:d.Pos.Offset], '\n') + 1
	line, _, _ := strings.Cut(text[from:], "\n")
	line = strings.TrimSuffix(line, "\r")
	stop := min(max(d.End.Offset, d.Pos.Offset), from+len(line))
	carets := 1
	if stop > d.Pos.Offset {
		carets = utf8.RuneCountInString(text[d.Pos.Offset:stop])
	}
	return fmt.Sprintf("%s\n%s%s", strings.ReplaceAll(line, "\t", " "), strings.Repeat(" ", d.Pos.Column-1), strings.Repeat("^", carets))
}

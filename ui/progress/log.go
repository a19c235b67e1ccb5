package progress

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// logWidth is how wide warnings are written.
const logWidth = 79

// LogHandler writes log records for a person: "warning: " and the message,
// then what goes with it, wrapped to 80 columns, without a time (the display
// has a clock). Safe for concurrent use if w is.
type LogHandler struct {
	w     io.Writer
	level slog.Level
	attrs []slog.Attr
	group string
}

// NewLogHandler returns a handler that writes records of level and above to w,
// each with one Write.
func NewLogHandler(w io.Writer, level slog.Level) *LogHandler { return &LogHandler{w: w, level: level} }

// Enabled implements slog.Handler.
func (h *LogHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// WithAttrs implements slog.Handler.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(append([]slog.Attr(nil), h.attrs...), attrs...)
	return &c
}

// WithGroup implements slog.Handler.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	c := *h
	c.group = h.group + name + "."
	return &c
}

// Handle implements slog.Handler.
func (h *LogHandler) Handle(_ context.Context, r slog.Record) error {
	label := map[slog.Level]string{slog.LevelDebug: "debug", slog.LevelInfo: "note", slog.LevelWarn: "warning", slog.LevelError: "error"}[r.Level]
	if label == "" {
		label = strings.ToLower(r.Level.String())
	}
	words := strings.Fields(label + ": " + r.Message)
	attr := func(a slog.Attr) bool {
		if value := strings.Join(strings.Fields(a.Value.Resolve().String()), " "); value != "" {
			words = append(words, strings.Fields(fmt.Sprintf("(%s%s: %s)", h.group, a.Key, value))...)
		}
		return true
	}
	for _, a := range h.attrs {
		attr(a)
	}
	r.Attrs(attr)
	_, err := io.WriteString(h.w, wrap(words))
	return err
}

// wrap fills lines with words; lines after the first are indented.
func wrap(words []string) string {
	var b strings.Builder
	column := 0
	for i, word := range words {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > logWidth:
			b.WriteString("\n  ")
			column = 2
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	b.WriteByte('\n')
	return b.String()
}

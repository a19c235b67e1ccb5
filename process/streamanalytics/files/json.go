package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// jsonReader splits a text into its JSON records: objects on a line each,
// objects over several lines, arrays of objects, or any mixture of them. It
// finds where records begin and end; whether they are valid is for the engine
// to say. What is no object comes out as a record of its own line, so that one
// broken line costs one record.
type jsonReader struct {
	path string
	in   io.ReadCloser
	buf  []byte
	// pos is where the next record is looked for in buf.
	pos   int
	line  int64
	array bool
	begun bool
	eof   bool
}

const jsonChunk = 1 << 20

func newJSONReader(path string, in io.ReadCloser) *jsonReader {
	return &jsonReader{path: path, in: in, line: 1}
}

func (r *jsonReader) Close() error { return r.in.Close() }

// more reads on, keeping what is not used up. It returns false at the end.
func (r *jsonReader) more() (bool, error) {
	if r.eof {
		return false, nil
	}
	if r.pos > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.pos:])]
		r.pos = 0
	}
	if len(r.buf) > maxRecord {
		return false, fmt.Errorf("%s: a record is longer than %d MB; is this JSON?", at(r.path, r.line), maxRecord>>20)
	}
	if cap(r.buf)-len(r.buf) < jsonChunk/2 {
		grown := make([]byte, len(r.buf), max(2*cap(r.buf), jsonChunk))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range 100 {
		n, err := r.in.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if err == io.EOF {
			r.eof = true
			return n > 0, nil
		}
		if err != nil {
			return false, fmt.Errorf("%s: reading: %w", at(r.path, r.line), err)
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, fmt.Errorf("reading %s: %w", r.path, io.ErrNoProgress)
}

// Next implements Reader.
func (r *jsonReader) Next() (Record, error) {
	if err := r.begin(); err != nil {
		return Record{}, err
	}
	for {
		c, err := r.peek()
		if err != nil {
			if err == io.EOF && r.array {
				r.array = false
				return Record{Line: r.line, Err: errors.New("the file ends inside of an array: there is no ]")}, nil
			}
			return Record{}, err
		}
		switch {
		case c == '[' && !r.array:
			r.array = true
			r.pos++
		case c == ']' && r.array:
			r.array = false
			r.pos++
		case c == ',' && r.array:
			r.pos++
		default:
			return r.record(c)
		}
	}
}

// begin looks at the first bytes for the mark of an encoding.
func (r *jsonReader) begin() error {
	if r.begun {
		return nil
	}
	for len(r.buf) < 3 {
		if ok, err := r.more(); err != nil {
			return err
		} else if !ok {
			break
		}
	}
	rest, err := bom(r.path, r.buf)
	if err != nil {
		return err
	}
	r.begun, r.pos = true, len(r.buf)-len(rest)
	return nil
}

// peek goes to the next byte that is no white space.
func (r *jsonReader) peek() (byte, error) {
	for {
		for r.pos < len(r.buf) {
			switch c := r.buf[r.pos]; c {
			case '\n':
				r.line++
				r.pos++
			case ' ', '\t', '\r':
				r.pos++
			default:
				return c, nil
			}
		}
		if ok, err := r.more(); err != nil {
			return 0, err
		} else if !ok {
			return 0, io.EOF
		}
	}
}

// record takes the record that begins at pos.
func (r *jsonReader) record(first byte) (Record, error) {
	n, err := r.length(first)
	if err != nil {
		return Record{}, err
	}
	text := r.buf[r.pos : r.pos+n]
	rec := Record{JSON: bytes.TrimRight(text, " \t\r\n"), Line: r.line}
	r.line += int64(bytes.Count(text, []byte{'\n'}))
	r.pos += n
	return rec, nil
}

// length is the number of bytes of the record at pos.
func (r *jsonReader) length(first byte) (int, error) {
	var m matcher
	for done := 0; ; {
		b := r.buf[r.pos:]
		if first == '{' {
			if done == 0 && !r.array {
				if n := wholeLine(b, r.eof); n > 0 {
					return n, nil
				}
			}
			if m.end == 0 {
				m.end, _ = m.scan(b, done)
			}
			if m.end > 0 {
				if n := r.rest(b, m.end); n > 0 {
					return n, nil
				}
			}
		} else if n := r.junk(b, done); n > 0 {
			return n, nil
		}
		done = len(b)
		ok, err := r.more()
		if err != nil {
			return 0, err
		}
		if !ok {
			// The text ends inside of the record. Its first line is given up,
			// and what follows is looked at afresh.
			b = r.buf[r.pos:] // it may have moved
			if n := bytes.IndexByte(b, '\n'); n > 0 {
				return n, nil
			}
			return len(b), nil // also of an object without a line break
		}
	}
}

// rest is the end of a record whose object ends at i: what else is on its line
// belongs to it, unless another record begins there. 0 if that can not be seen
// yet.
func (r *jsonReader) rest(b []byte, i int) int {
	if r.array {
		return i
	}
	next := i
	for next < len(b) && (b[next] == ' ' || b[next] == '\t' || b[next] == '\r') {
		next++
	}
	switch {
	case next == len(b) && !r.eof:
		return 0
	case next == len(b), b[next] == '\n', b[next] == '{', b[next] == '[':
		return i
	}
	if n := bytes.IndexByte(b[next:], '\n'); n >= 0 {
		return next + n
	}
	if r.eof {
		return len(b)
	}
	return 0
}

// wholeLine is the fast path for a record on a line of its own: the line ends
// with a brace, and another record or the end of the text follows. 0 if that is
// not so or can not be seen yet.
func wholeLine(b []byte, eof bool) int {
	n := bytes.IndexByte(b, '\n')
	if n < 0 {
		return 0
	}
	last := n - 1
	for last > 0 && (b[last] == '\r' || b[last] == ' ' || b[last] == '\t') {
		last--
	}
	if b[last] != '}' {
		return 0
	}
	if next := skipBreaks(b, n+1); next < len(b) && b[next] != '{' && b[next] != '[' || next == len(b) && !eof {
		return 0
	}
	for i := 0; i < last; i++ {
		j := bytes.IndexByte(b[i:last], '}')
		if j < 0 {
			break
		}
		i += j
		if next := skipBlank(b, i+1); b[next] == '{' {
			return 0 // two objects on the line, or a text that looks like it
		}
	}
	return n
}

// skipBreaks is the index of the next byte from i on that is no line break.
func skipBreaks(b []byte, i int) int {
	for i < len(b) && (b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skipBlank is the index of the next byte from i on that is no white space.
func skipBlank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// junk is the length of something that is no object: up to the end of the line,
// and inside an array to its next comma or bracket if that comes before. A
// nested array inside of an array counts as a whole.
func (r *jsonReader) junk(b []byte, from int) int {
	if !r.array {
		if i := bytes.IndexByte(b[from:], '\n'); i >= 0 {
			return max(from+i, 1)
		}
		return 0
	}
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\n' && (quoted || depth == 0):
			return max(i, 1)
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case (c == ']' || c == '}') && depth > 0:
			if depth--; depth == 0 {
				return i + 1
			}
		case (c == ',' || c == ']') && depth == 0:
			return max(i, 1)
		}
	}
	return 0
}

// matcher finds the end of an object by its brackets. It goes on where it
// stopped when more of the text is there.
type matcher struct {
	stack []byte
	// quoted and escaped tell that the text so far ends inside a string, or
	// behind a backslash of it; last is the last byte outside of strings that
	// is no white space.
	quoted, escaped bool
	last            byte
	// fresh tells that the last byte was a line break; compact that there was
	// more on the first line than the opening brace.
	fresh, compact bool
	// end is where the object ends, once that is known.
	end int
	// lines counts the line breaks outside of strings.
	lines int
	// broken tells that the record is not well formed: it goes to the end of
	// the line.
	broken bool
}

// scan looks at b from done on, and returns the object's length once it has
// seen its end. Objects that can not be valid end with the line where that
// shows: a line break inside of a string, brackets that do not match, and a
// brace at the start of a line where no value fits.
func (m *matcher) scan(b []byte, done int) (int, bool) {
	for i := done; i < len(b); i++ {
		c := b[i]
		if m.broken {
			if c == '\n' {
				return i, true
			}
			continue
		}
		if m.quoted {
			switch {
			case c == '\n':
				return i, true
			case m.escaped:
				m.escaped = false
			case c == '\\':
				m.escaped = true
			case c == '"':
				m.quoted, m.last = false, '"'
			default:
				ahead := b[i:min(len(b), i+256)]
				j := bytes.IndexAny(ahead, "\"\\\n")
				if j < 0 {
					j = len(ahead)
				}
				i += j - 1
			}
			continue
		}
		if n, ok := m.outside(c, i); ok {
			return n, true
		}
	}
	return 0, false
}

// valueFits tells whether an object may begin a line here. Behind a colon it
// may, but records of one line that are cut off there are more common than
// records that are spread out so.
func (m *matcher) valueFits() bool {
	if len(m.stack) > 0 && m.stack[len(m.stack)-1] == '[' {
		return m.last == '[' || m.last == ','
	}
	return m.last == ':' && !m.compact
}

// outside takes a byte outside of strings.
func (m *matcher) outside(c byte, i int) (int, bool) {
	fresh := m.fresh
	m.fresh = fresh && c == '\r'
	switch c {
	case '\n':
		if m.fresh = true; m.lines == 0 {
			m.compact = m.last != '{'
		}
		m.lines++
		return 0, false
	case ' ', '\t', '\r':
		return 0, false
	case '"':
		m.quoted = true
		return 0, false
	case '{', '[':
		if fresh && !m.valueFits() {
			return i, true
		}
		m.stack = append(m.stack, c)
	case '}', ']':
		if open := m.stack[len(m.stack)-1]; open != c-2 {
			m.broken = true
			break
		}
		if m.stack = m.stack[:len(m.stack)-1]; len(m.stack) == 0 {
			return i + 1, true
		}
	}
	m.last = c
	return 0, false
}

package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/klauspost/compress/gzip"

	"millrace/connector/blob"
	"millrace/connector/internal/filequery"
	"millrace/record"
)

// The members that a line has besides those of the document that other stores
// serve (record.AppendDocument). They come last, so that they can be told from
// an event's own members of these names.
const (
	lineStoredAt  = `,"storedAt":"`
	linePartition = `","partitionId":`
	lineOffset    = `,"logOffset":`
	lineNext      = `,"nextOffset":`
)

// appendLine appends the line of a result. next is the position behind it, which
// the line only says if it is not that of the following input.
func appendLine(dst []byte, r *record.Result, storedAt, next int64) []byte {
	start := len(dst)
	dst = record.AppendDocument(dst, r)
	dst = dst[:len(dst)-1]
	oneLine(dst[start:])
	dst = append(dst, lineStoredAt...)
	dst = record.AppendTime(dst, storedAt)
	dst = append(dst, linePartition...)
	dst = strconv.AppendInt(dst, int64(r.Partition), 10)
	dst = append(dst, lineOffset...)
	dst = strconv.AppendInt(dst, r.Offset, 10)
	if next != r.Offset+1 {
		dst = append(dst, lineNext...)
		dst = strconv.AppendInt(dst, next, 10)
	}
	return append(dst, '}', '\n')
}

// oneLine makes spaces of the ends of lines. In valid JSON they are nothing else
// but white space.
func oneLine(b []byte) {
	for _, c := range [...]byte{'\n', '\r'} {
		for at := 0; ; {
			i := bytes.IndexByte(b[at:], c)
			if i < 0 {
				break
			}
			at += i
			b[at] = ' '
		}
	}
}

// line is a line taken apart.
type line struct {
	// doc is the document without what only lines have.
	doc       []byte
	storedAt  int64
	partition int32
	offset    int64
	// next is the position behind it.
	next int64
}

// parse takes text apart, which it changes and keeps.
func (l *line) parse(text []byte) error {
	at := bytes.LastIndex(text, []byte(lineStoredAt))
	if at < 0 || text[len(text)-1] != '}' {
		return fmt.Errorf("%w: a line does not end like one: %.200q", errBroken, text)
	}
	rest := text[at+len(lineStoredAt) : len(text)-1]
	storedAt, rest, ok1 := bytes.Cut(rest, []byte(linePartition))
	partition, rest, ok2 := bytes.Cut(rest, []byte(lineOffset))
	offset, next, more := bytes.Cut(rest, []byte(lineNext))
	var err1, err2, err3, err4 error
	if l.storedAt, err1 = record.ParseTime(storedAt); err1 == nil && ok1 && ok2 {
		var p int64
		p, err2 = strconv.ParseInt(string(partition), 10, 32)
		l.partition = int32(p)
		l.offset, err3 = strconv.ParseInt(string(offset), 10, 64)
		l.next = l.offset + 1
		if more {
			l.next, err4 = strconv.ParseInt(string(next), 10, 64)
		}
	}
	if err := errors.Join(err1, err2, err3, err4); err != nil || !ok1 || !ok2 || l.next <= l.offset {
		return fmt.Errorf("%w: a line ends with %.200q", errBroken, text[at:])
	}
	text[at] = '}'
	l.doc = text[:at+1]
	return nil
}

// stored fills in s.
func (l *line) stored(s *record.Stored) error {
	*s = record.Stored{Partition: l.partition, Offset: l.offset, StoredAt: l.storedAt}
	if err := record.ParseDocument(l.doc, s); err != nil {
		return fmt.Errorf("%w: the line of offset %d: %w", errBroken, l.offset, err)
	}
	return nil
}

// readLines calls fn with every line of a file; the value is reused.
func readLines(ctx context.Context, b blob.Bucket, o object, scratch string, fn func(*line) error) error {
	at, closer, err := filequery.Open(ctx, b, filequery.Wanted{Name: o.name, Size: o.size}, scratch)
	if err != nil {
		return err
	}
	var r io.Reader = io.NewSectionReader(at, 0, o.size)
	if o.suffix == suffixGzip {
		if r, err = gzip.NewReader(r); err != nil {
			return errors.Join(err, closer())
		}
	}
	return errors.Join(eachLine(ctx, r, fn), closer())
}

// eachLine calls fn with every line.
func eachLine(ctx context.Context, r io.Reader, fn func(*line) error) error {
	in := bufio.NewReaderSize(r, 256<<10)
	var long []byte
	var l line
	for n := 0; ; n++ {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = long[:0]
			for errors.Is(err, bufio.ErrBufferFull) {
				long = append(long, text...)
				text, err = in.ReadSlice('\n')
			}
			long = append(long, text...)
			text = long
		}
		switch {
		case errors.Is(err, io.EOF) && len(text) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: its last line has no end", errBroken)
		case err != nil:
			return err
		}
		if n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := l.parse(text[:len(text)-1]); err != nil {
			return err
		}
		if err := fn(&l); err != nil {
			return err
		}
	}
}

package files

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"millrace/process/streamanalytics/value"
)

// csvReader makes a record of each row of a CSV text. The first row has the
// columns' names, which the service demands too. All values are texts
// (nvarchar(max)); queries convert them with CAST or TRY_CAST. An empty value
// is NULL: the text cannot tell it from one that is missing.
type csvReader struct {
	path  string
	in    io.ReadCloser
	rows  *csv.Reader
	names [][]byte // `"name":` as JSON, with a comma before all but the first
	json  []byte
}

func newCSVReader(path string, in io.ReadCloser, delimiter rune) (*csvReader, error) {
	text := bufio.NewReaderSize(in, 256<<10)
	head, _ := text.Peek(3)
	rest, err := bom(path, head)
	if err != nil {
		return nil, err
	}
	_, _ = text.Discard(len(head) - len(rest))
	r := &csvReader{path: path, in: in, rows: csv.NewReader(text)}
	r.rows.Comma, r.rows.ReuseRecord, r.rows.FieldsPerRecord = delimiter, true, -1
	names, err := r.rows.Read()
	if err == io.EOF {
		return r, nil // empty: no names, no rows
	}
	if err != nil {
		return nil, Misuse("the first row has the columns' names", "%s: %w", at(path, 1), csvProblem(err))
	}
	seen := map[string]bool{}
	for i, name := range names {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
			return nil, Misuse("the first row has the columns' names", "%s: column %d has no name", at(path, 1), i+1)
		case seen[name]:
			return nil, Misuse("the first row has the columns' names", "%s: two columns are named `%s`", at(path, 1), name)
		}
		seen[name] = true
		var b []byte
		if i > 0 {
			b = append(b, ',')
		}
		r.names = append(r.names, append(value.AppendString(b, name), ':'))
	}
	return r, nil
}

func (r *csvReader) Close() error { return r.in.Close() }

// Next implements Reader.
func (r *csvReader) Next() (Record, error) {
	if r.names == nil {
		return Record{}, io.EOF
	}
	fields, err := r.rows.Read()
	if err == io.EOF {
		return Record{}, io.EOF
	}
	if bad := (*csv.ParseError)(nil); errors.As(err, &bad) {
		return Record{Line: int64(bad.StartLine), Err: csvProblem(err), JSON: []byte(strings.Join(fields, string(r.rows.Comma)))}, nil
	}
	if err != nil {
		return Record{}, fmt.Errorf("reading %s: %w", r.path, err)
	}
	line, _ := r.rows.FieldPos(0)
	if len(fields) > len(r.names) {
		return Record{Line: int64(line), JSON: []byte(strings.Join(fields, string(r.rows.Comma))),
			Err: fmt.Errorf("the row has %d values, but there are %d columns", len(fields), len(r.names))}, nil
	}
	r.json = append(r.json[:0], '{')
	for i, text := range fields {
		r.json = append(r.json, r.names[i]...)
		if text == "" {
			r.json = append(r.json, "null"...)
		} else {
			r.json = value.AppendString(r.json, text)
		}
	}
	r.json = append(r.json, '}')
	return Record{JSON: r.json, Line: int64(line)}, nil
}

// csvProblem is what is wrong with a row, without the place.
func csvProblem(err error) error {
	if bad := (*csv.ParseError)(nil); errors.As(err, &bad) {
		return bad.Err
	}
	return err
}

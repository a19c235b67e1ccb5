package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"millrace/process/streamanalytics/value"
)

// parquetReader reads the rows of a Parquet file, row group by row group.
type parquetReader struct {
	path   string
	in     io.Closer
	root   *parquetNode
	groups []parquet.RowGroup
	rows   parquet.Rows
	buf    [128]parquet.Row
	got    []parquet.Row
	json   []byte
	row    int64
	// columns are the values of one row by column, those not used up yet.
	columns [][]parquet.Value
}

// newParquetReader reads the file in, of which body is the uncompressed
// content. A Parquet file is read from its end; what is no file of the machine
// is kept in memory.
func newParquetReader(path string, in io.Reader, body io.ReadCloser, compressed bool) (r *parquetReader, err error) {
	defer guard(path, &err)
	var at io.ReaderAt
	var size int64
	if f, ok := in.(*os.File); ok && !compressed && path != Stdin {
		st, err := f.Stat()
		if err != nil {
			return nil, fileProblem(path, err)
		}
		at, size = f, st.Size()
	} else {
		b, err := io.ReadAll(io.LimitReader(body, maxRecord+1))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if len(b) > maxRecord {
			return nil, Misuse("uncompress it into a file", "%s has more than %d MB, and it can only be read from a file as it is", path, maxRecord>>20)
		}
		at, size = bytes.NewReader(b), int64(len(b))
	}
	f, err := parquet.OpenFile(at, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
	if err != nil {
		return nil, Misuse("", "%s is not a Parquet file: %w", path, err)
	}
	r = &parquetReader{path: path, in: body, groups: f.RowGroups()}
	leaves := 0
	r.root = newParquetNode("", f.Schema(), 0, 0, &leaves)
	r.columns = make([][]parquet.Value, leaves)
	return r, nil
}

func (r *parquetReader) Close() error {
	var err error
	if r.rows != nil {
		err = r.rows.Close()
	}
	return errors.Join(err, r.in.Close())
}

// Next implements Reader.
func (r *parquetReader) Next() (rec Record, err error) {
	defer guard(r.path, &err)
	for len(r.got) == 0 {
		if err := r.fill(); err != nil {
			return Record{}, err
		}
	}
	r.row++
	row := r.got[0]
	r.got = r.got[1:]
	for i := range r.columns {
		r.columns[i] = nil
	}
	row.Range(func(column int, values []parquet.Value) bool {
		r.columns[column] = values
		return true
	})
	if r.json, err = r.root.appendValue(r.json[:0], r.columns); err != nil {
		return Record{}, fmt.Errorf("%s, row %d: %w", r.path, r.row, err)
	}
	return Record{JSON: r.json, Line: r.row}, nil
}

// fill reads the next rows.
func (r *parquetReader) fill() error {
	if r.rows == nil {
		if len(r.groups) == 0 {
			return io.EOF
		}
		r.rows = r.groups[0].Rows()
		r.groups = r.groups[1:]
	}
	n, err := r.rows.ReadRows(r.buf[:])
	r.got = r.buf[:n]
	if err == io.EOF {
		err = r.rows.Close()
		r.rows = nil
	}
	if err != nil {
		return fmt.Errorf("%s, behind row %d: %w", r.path, r.row, err)
	}
	return nil
}

// parquetNode is a node of the schema with what is needed to put rows together
// again: the levels that say where a value is missing or repeated.
type parquetNode struct {
	name               string
	optional, repeated bool
	// def and rep are the levels of a value that is there.
	def, rep int
	// first and last are the leaf columns below: first to last-1.
	first, last int
	children    []*parquetNode
	// list and dict tell that the group stands for an array or a map.
	list, dict bool
	write      func(dst []byte, v parquet.Value) []byte
}

func newParquetNode(name string, n parquet.Node, def, rep int, leaves *int) *parquetNode {
	p := &parquetNode{name: name, optional: n.Optional(), repeated: n.Repeated(), first: *leaves}
	if p.optional || p.repeated {
		def++
	}
	if p.repeated {
		rep++
	}
	p.def, p.rep = def, rep
	if n.Leaf() {
		p.write = parquetWriter(n.Type())
		*leaves++
		p.last = *leaves
		return p
	}
	for _, f := range n.Fields() {
		p.children = append(p.children, newParquetNode(f.Name(), f, def, rep, leaves))
	}
	p.last = *leaves
	if len(p.children) == 1 && p.children[0].repeated && !p.repeated {
		if l := groupType(n); l == "LIST" {
			p.list = true
		} else if l == "MAP" && len(p.children[0].children) == 2 {
			p.dict = true
		}
	}
	return p
}

// groupType is the annotation of a group.
func groupType(n parquet.Node) (name string) {
	defer func() {
		if recover() != nil {
			name = "" // a plain group has no type
		}
	}()
	t := n.Type()
	if t == nil {
		return ""
	}
	if l := t.LogicalType(); l != nil {
		switch {
		case l.List != nil:
			return "LIST"
		case l.Map != nil:
			return "MAP"
		}
	}
	switch c := t.ConvertedType(); {
	case c != nil && *c == deprecated.List:
		return "LIST"
	case c != nil && *c == deprecated.Map:
		return "MAP"
	}
	return ""
}

var errLevels = errors.New("its levels contradict its schema")

// head is the next value of the node's first column.
func (p *parquetNode) head(columns [][]parquet.Value) (parquet.Value, bool) {
	if p.first >= p.last || len(columns[p.first]) == 0 {
		return parquet.Value{}, false
	}
	return columns[p.first][0], true
}

// skip takes one value off all of the node's columns: they stand for nothing.
func (p *parquetNode) skip(columns [][]parquet.Value) {
	for i := p.first; i < p.last; i++ {
		if len(columns[i]) > 0 {
			columns[i] = columns[i][1:]
		}
	}
}

// appendValue writes the node's next value, one element of it if it is
// repeated.
func (p *parquetNode) appendValue(dst []byte, columns [][]parquet.Value) ([]byte, error) {
	v, ok := p.head(columns)
	if !ok && p.first < p.last {
		return nil, errLevels
	}
	if p.optional && v.DefinitionLevel() < p.def {
		p.skip(columns)
		return append(dst, "null"...), nil
	}
	switch {
	case p.write != nil:
		columns[p.first] = columns[p.first][1:]
		if v.IsNull() {
			return append(dst, "null"...), nil
		}
		return p.write(dst, v), nil
	case p.list:
		return p.children[0].appendList(dst, columns)
	case p.dict:
		return p.children[0].appendMap(dst, columns)
	}
	var err error
	dst = append(dst, '{')
	for i, c := range p.children {
		dst = appendName(dst, i, c.name)
		if c.repeated {
			dst, err = c.appendList(dst, columns)
		} else {
			dst, err = c.appendValue(dst, columns)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// each calls fn for each repetition of the node.
func (p *parquetNode) each(columns [][]parquet.Value, fn func(i int) error) error {
	v, ok := p.head(columns)
	if !ok {
		return errLevels
	}
	if v.DefinitionLevel() < p.def {
		p.skip(columns)
		return nil
	}
	for i := 0; ; i++ {
		before := len(columns[p.first])
		if err := fn(i); err != nil {
			return err
		}
		v, ok := p.head(columns)
		if !ok || v.RepetitionLevel() < p.rep {
			return nil
		}
		if len(columns[p.first]) == before {
			return errLevels
		}
	}
}

func (p *parquetNode) appendList(dst []byte, columns [][]parquet.Value) ([]byte, error) {
	dst = append(dst, '[')
	err := p.each(columns, func(i int) (err error) {
		if i > 0 {
			dst = append(dst, ',')
		}
		element := p
		if len(p.children) == 1 && !p.children[0].repeated {
			element = p.children[0]
		}
		dst, err = element.appendValue(dst, columns)
		return err
	})
	return append(dst, ']'), err
}

func (p *parquetNode) appendMap(dst []byte, columns [][]parquet.Value) ([]byte, error) {
	dst = append(dst, '{')
	var key []byte
	err := p.each(columns, func(i int) (err error) {
		if i > 0 {
			dst = append(dst, ',')
		}
		if key, err = p.children[0].appendValue(key[:0], columns); err != nil {
			return err
		}
		if len(key) == 0 || key[0] != '"' {
			key = value.AppendString(nil, string(key))
		}
		dst = append(append(dst, key...), ':')
		dst, err = p.children[1].appendValue(dst, columns)
		return err
	})
	return append(dst, '}'), err
}

// parquetWriter makes the writer of a leaf's values.
func parquetWriter(t parquet.Type) func([]byte, parquet.Value) []byte {
	logical := t.LogicalType()
	kind := t.Kind()
	ticks := func(perUnit, units int64) func([]byte, parquet.Value) []byte {
		return func(dst []byte, v parquet.Value) []byte {
			n, _ := value.FloorDiv(v.Int64(), units)
			return timeOf(n, perUnit).AppendJSON(dst)
		}
	}
	if logical != nil {
		switch {
		case logical.Timestamp != nil && logical.Timestamp.Unit.Millis != nil:
			return ticks(value.TicksPerMillisecond, 1)
		case logical.Timestamp != nil && logical.Timestamp.Unit.Micros != nil:
			return ticks(value.TicksPerMicrosecond, 1)
		case logical.Timestamp != nil:
			return ticks(1, 100)
		case logical.Date != nil:
			return func(dst []byte, v parquet.Value) []byte {
				return timeOf(int64(v.Int32()), value.TicksPerDay).AppendJSON(dst)
			}
		case logical.Decimal != nil:
			return decimalWriter(kind, int(logical.Decimal.Scale))
		case logical.Json != nil:
			return func(dst []byte, v parquet.Value) []byte { return append(dst, v.ByteArray()...) }
		case logical.UUID != nil:
			return func(dst []byte, v parquet.Value) []byte { return value.AppendString(dst, v.String()) }
		case logical.Integer != nil && !logical.Integer.IsSigned && kind == parquet.Int32:
			return func(dst []byte, v parquet.Value) []byte { return value.Int(int64(v.Uint32())).AppendJSON(dst) }
		case logical.Integer != nil && !logical.Integer.IsSigned:
			return func(dst []byte, v parquet.Value) []byte { return fmt.Appendf(dst, "%d", v.Uint64()) }
		case logical.Time != nil:
			unit := time.Nanosecond
			if logical.Time.Unit.Millis != nil {
				unit = time.Millisecond
			} else if logical.Time.Unit.Micros != nil {
				unit = time.Microsecond
			}
			return func(dst []byte, v parquet.Value) []byte {
				n := v.Int64()
				if kind == parquet.Int32 {
					n = int64(v.Int32())
				}
				return value.AppendString(dst, clock(time.Duration(n)*unit))
			}
		}
	}
	return plainWriter(kind)
}

func plainWriter(kind parquet.Kind) func([]byte, parquet.Value) []byte {
	return func(dst []byte, v parquet.Value) []byte {
		switch kind {
		case parquet.Boolean:
			return value.Bool(v.Boolean()).AppendJSON(dst)
		case parquet.Int32:
			return value.Int(int64(v.Int32())).AppendJSON(dst)
		case parquet.Int64:
			return value.Int(v.Int64()).AppendJSON(dst)
		case parquet.Int96:
			// The day as a Julian day number above the nanoseconds of the day.
			t := v.Int96()
			nanos := int64(t[1])<<32 | int64(t[0])
			day := timeOf(int64(t[2])-2440588, value.TicksPerDay).Ticks()
			return timeOf(day+nanos/100, 1).AppendJSON(dst)
		case parquet.Float:
			return value.Double(float64(v.Float())).AppendJSON(dst)
		case parquet.Double:
			return value.Double(v.Double()).AppendJSON(dst)
		}
		return appendBytes(dst, v.ByteArray())
	}
}

// decimalWriter writes exact numbers, which the language does not have, as
// floats.
func decimalWriter(kind parquet.Kind, scale int) func([]byte, parquet.Value) []byte {
	return func(dst []byte, v parquet.Value) []byte {
		var digits string
		switch kind {
		case parquet.Int32:
			digits = fmt.Sprint(v.Int32())
		case parquet.Int64:
			digits = fmt.Sprint(v.Int64())
		default:
			digits = twosComplement(v.ByteArray()).String()
		}
		return fmt.Appendf(dst, "%se-%d", digits, scale)
	}
}

// timeOf is so many units as a datetime. Damaged and foreign files hold times
// that no datetime can be; they are the nearest that can.
func timeOf(units, ticks int64) value.Value {
	return value.Time(min(max(units, value.MinTicks/ticks), value.MaxTicks/ticks) * ticks)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// twosComplement reads a signed number of any length, highest byte first.
func twosComplement(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A page is full with so many bytes of values, or so many values: readers
// decode a page at a time.
const (
	mostPageBytes  = 1 << 20
	mostPageValues = 20_000
)

// column takes the values of one leaf and makes pages of them.
type column struct {
	*leaf
	codec *codec
	// values are those of the page at hand, as a plain page has them.
	values    []byte
	defs      levels
	reps      levels
	booleans  int
	useDict   bool
	dict      *dictionary
	dictOff   bool
	dictPages int

	// chunk are the pages of the row group at hand.
	chunk []byte
	meta  format.ColumnMetaData
	// use is the codec of this file's pages, nil if they are as they are;
	// tried tells that it was decided.
	use    *codec
	tried  bool
	nulls  int64
	outers int64
	bounds bounds

	// total are the counts of all row groups of the file.
	total fileTotals

	raw, packed []byte
	header      bytes.Buffer
	encoder     *thrift.Encoder
	err         error
}

// fileTotals are a leaf's statistics over a whole file.
type fileTotals struct {
	nulls  int64
	outers int64
	bounds bounds
}

func newColumn(f *leaf, c *codec, dictionary bool) *column {
	col := &column{leaf: f, codec: c, useDict: dictionary && f.physical == format.ByteArray}
	col.encoder = thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&col.header))
	if col.useDict {
		col.dict = newDictionary()
	}
	col.startFile()
	return col
}

func (c *column) startFile() {
	c.total.nulls, c.total.outers, c.err = 0, 0, nil
	c.use, c.tried = nil, false
	c.total.bounds.reset()
	c.startChunk()
}

func (c *column) startChunk() {
	c.chunk = c.chunk[:0]
	c.meta = format.ColumnMetaData{Type: c.physical, PathInSchema: c.path}
	c.nulls, c.outers, c.dictPages = 0, 0, 0
	c.bounds.reset()
	c.dictOff = !c.useDict
	if c.dict != nil {
		c.dict.reset()
	}
	c.startPage()
}

func (c *column) startPage() {
	c.values, c.booleans = c.values[:0], 0
	c.defs.reset()
	c.reps.reset()
	if c.dict != nil {
		c.dict.page = c.dict.page[:0]
	}
}

// size is about how much memory the row group's values take.
func (c *column) size() int {
	n := len(c.chunk) + len(c.values)
	if c.dict != nil {
		n += len(c.dict.values) + 4*len(c.dict.page)
	}
	return n
}

// full tells whether the page at hand should end here.
func (c *column) full() bool { return len(c.values) >= mostPageBytes || c.defs.n >= mostPageValues }

// null appends a value that is not there in a leaf without arrays around it: def
// is how much of what is around it is.
func (c *column) null(def uint8) {
	c.defs.add(def)
	c.nulls++
}

// long appends a value, as do the other methods below, to a leaf without arrays
// around it.
func (c *column) long(v int64) {
	c.values = binary.LittleEndian.AppendUint64(c.values, uint64(v))
	c.defs.add(c.def)
}

func (c *column) integer(v int32) {
	c.values = binary.LittleEndian.AppendUint32(c.values, uint32(v))
	c.defs.add(c.def)
}

func (c *column) double(v float64) {
	c.values = binary.LittleEndian.AppendUint64(c.values, math.Float64bits(v))
	c.defs.add(c.def)
}

func (c *column) boolean(v bool) {
	c.addBoolean(v)
	c.defs.add(c.def)
}

func (c *column) addBoolean(v bool) {
	if c.booleans%8 == 0 {
		c.values = append(c.values, 0)
	}
	if v {
		c.values[c.booleans/8] |= 1 << (c.booleans % 8)
	}
	c.booleans++
}

// text appends bytes; they are copied.
func (c *column) text(b []byte) {
	c.makeRoom()
	c.addBytes(b)
	c.defs.add(c.def)
}

func (c *column) addBytes(b []byte) {
	if !c.dictOff {
		c.dict.add(b)
		return
	}
	c.values = appendBytes(c.values, b)
}

// makeRoom ends the page at hand if texts have filled it. It is for the beginning
// of a row only, since rows do not span pages.
func (c *column) makeRoom() {
	if len(c.values) >= mostPageBytes || !c.dictOff && len(c.dict.values) > mostDictionaryBytes {
		if err := c.endPage(); err != nil && c.err == nil {
			c.err = err
		}
	}
}

// appendBytes appends bytes as a plain page has them.
func appendBytes(dst, b []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b)))
	return append(dst, b...)
}

func putUint32(dst []byte, v uint32) { binary.LittleEndian.PutUint32(dst, v) }

// endPage makes a page of the values at hand, if there are any.
func (c *column) endPage() error {
	if c.defs.n == 0 {
		return nil
	}
	page, err := c.reps.appendTo(c.raw[:0], c.rep)
	if err != nil {
		return err
	}
	if page, err = c.defs.appendTo(page, c.def); err != nil {
		return err
	}
	encoding := format.Plain
	if !c.dictOff {
		if c.dict.worth(c.meta.NumValues + int64(c.defs.n)) {
			encoding = format.RLEDictionary
		} else {
			c.values = c.dict.plain(c.values)
			c.dictOff = true
			if c.dictPages == 0 {
				c.dict.reset()
			}
		}
	}
	if encoding == format.RLEDictionary {
		c.dictPages++
		if page, err = c.dict.appendPage(page); err != nil {
			return err
		}
	} else {
		c.bounds.page(c.leaf, c.values)
		page = append(page, c.values...)
	}
	c.raw = page
	h := format.PageHeader{Type: format.DataPage, DataPageHeader: &format.DataPageHeader{
		NumValues: int32(c.defs.n), Encoding: encoding,
		DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE}}
	if err := c.appendPage(&h, page); err != nil {
		return err
	}
	c.meta.NumValues += int64(c.defs.n)
	c.note(encoding)
	c.startPage()
	return nil
}

// note remembers which encodings a chunk has.
func (c *column) note(e format.Encoding) {
	for _, have := range c.meta.Encoding {
		if have == e {
			return
		}
	}
	c.meta.Encoding = append(c.meta.Encoding, e)
}

// leastSaving is what compression must save of a column's first page in a file,
// one part in so many: else the column is not compressed, which its readers have
// less work with. Doubles that were measured, or made, hardly ever compress.
const leastSaving = 32

// pack compresses a page. In one file all pages of a column are compressed, or
// none is: some readers look only at the codec of its first chunk.
func (c *column) pack(page []byte) []byte {
	if c.codec == nil || c.tried && c.use == nil {
		return page
	}
	need := len(page) + len(page)/6 + 64 // the most that Snappy may make of it
	if cap(c.packed) < need {
		c.packed = make([]byte, 0, need)
	}
	packed := c.codec.encode(c.packed[:0], page)
	if !c.tried {
		c.tried = true
		if len(packed) > len(page)-len(page)/leastSaving {
			return page
		}
		c.use = c.codec
	}
	c.packed = packed
	return packed
}

// appendPage appends a page with its header to the chunk.
func (c *column) appendPage(h *format.PageHeader, page []byte) error {
	packed := c.pack(page)
	const most = math.MaxInt32
	if len(page) > most || len(packed) > most {
		return fmt.Errorf("column %s: a page of %d bytes is larger than a Parquet file can have", c.path[0], len(page))
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(page)), int32(len(packed))
	h.CRC = int32(crc32.ChecksumIEEE(packed))
	c.header.Reset()
	if err := c.encoder.Encode(h); err != nil {
		return fmt.Errorf("encoding a page's header: %w", err)
	}
	c.meta.TotalUncompressedSize += int64(c.header.Len() + len(page))
	c.meta.TotalCompressedSize += int64(c.header.Len() + len(packed))
	c.chunk = append(append(c.chunk, c.header.Bytes()...), packed...)
	return nil
}

// endChunk ends the column's part of a row group and returns its pages in the
// order of the file, and how many bytes of them are the dictionary. They are
// valid until the next call.
func (c *column) endChunk() (dictBytes int, err error) {
	if err := c.endPage(); err != nil {
		return 0, err
	}
	if c.dictPages > 0 {
		compare := c.compare()
		for i := range c.dict.starts {
			c.bounds.text(c.dict.bytes(int32(i)), compare)
		}
		start := len(c.chunk)
		h := format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: &format.DictionaryPageHeader{
			NumValues: int32(len(c.dict.starts)), Encoding: format.Plain}}
		if err := c.appendPage(&h, c.dict.values); err != nil {
			return 0, err
		}
		dictBytes = len(c.chunk) - start
		c.note(format.Plain)
	}
	c.note(format.RLE)
	if c.use != nil {
		c.meta.Codec = c.use.id
	}
	c.meta.Statistics.NullCount = c.nulls
	c.bounds.footer(c.leaf, &c.meta.Statistics)
	c.total.nulls += c.nulls
	c.total.outers += c.outers
	c.total.bounds.merge(&c.bounds, c.leaf)
	return dictBytes, nil
}

func appendUint32(dst []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(dst, v) }
func appendUint64(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }
func floatBits(f float64) uint32               { return math.Float32bits(float32(f)) }

package partition

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrMismatch is in the errors of partition keys that have another number of
// values than their container's definition has paths.
var ErrMismatch = errors.New("the partition key does not match the container's definition")

// Key is a partition key: the values of a definition's paths, or of the first
// few of them. It is immutable. The zero value belongs to no container.
type Key struct {
	epk   string // the effective partition key, as bytes
	parts int
	whole bool
}

// EPK is the effective partition key as upper-case hexadecimal text.
func (k Key) EPK() string { return Hex(k.epk) }

// Bytes is the effective partition key.
func (k Key) Bytes() []byte { return []byte(k.epk) }

// Raw is the effective partition key, its bytes in a string.
func (k Key) Raw() string { return k.epk }

// Equal tells whether both keys are of the same logical partition.
func (k Key) Equal(other Key) bool { return k.epk == other.epk && k.parts == other.parts }

// Complete tells whether the key has a value for every path. One that has fewer
// is a prefix that stands for many logical partitions.
func (k Key) Complete() bool { return k.whole }

// Range is where the effective partition keys of the key lie: its own one, and
// of a prefix those that begin with it.
func (k Key) Range() Range {
	low := k.EPK()
	return Range{Low: low, High: low + End}
}

// Hex writes the bytes of an effective partition key as text.
func Hex(epk string) string {
	const digits = "0123456789ABCDEF"
	text := make([]byte, 2*len(epk))
	for i := range len(epk) {
		text[2*i], text[2*i+1] = digits[epk[i]>>4], digits[epk[i]&15]
	}
	return string(text)
}

// ParseEPK reads the text of an effective partition key, or of a range's bound.
func ParseEPK(text string) ([]byte, error) {
	epk, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no effective partition key: it is not hexadecimal", text)
	}
	return epk, nil
}

// component is one value of a key.
type component struct {
	kind   byte // the prefix byte of its form
	number float64
	text   string
}

// What a value is, as the byte that begins its hashed form.
const (
	kindUndefined = 0x00
	kindNull      = 0x01
	kindFalse     = 0x02
	kindTrue      = 0x03
	kindNumber    = 0x05
	kindString    = 0x08
)

// New makes the key of some values: nil for null, bool, float64, string, and
// Undefined.
func New(def Definition, values ...any) (Key, error) {
	parts := make([]component, 0, maxPaths)
	for _, v := range values {
		part, err := componentOf(v)
		if err != nil {
			return Key{}, err
		}
		parts = append(parts, part)
	}
	return newKey(def, parts)
}

// Undefined is the value of a path that an item does not have.
type Undefined struct{}

func componentOf(v any) (component, error) {
	switch v := v.(type) {
	case nil:
		return component{kind: kindNull}, nil
	case Undefined:
		return component{kind: kindUndefined}, nil
	case bool:
		if v {
			return component{kind: kindTrue}, nil
		}
		return component{kind: kindFalse}, nil
	case float64:
		return component{kind: kindNumber, number: v}, nil
	case json.Number:
		number, err := strconv.ParseFloat(v.String(), 64)
		if err != nil {
			return component{}, fmt.Errorf("the number %s does not fit a partition key", v)
		}
		return component{kind: kindNumber, number: number}, nil
	case string:
		return component{kind: kindString, text: v}, nil
	case map[string]any:
		if len(v) == 0 { // how clients write undefined
			return component{kind: kindUndefined}, nil
		}
	}
	return component{}, errors.New("a partition key is made of strings, numbers, true, false, null and {} (for no value)")
}

func newKey(def Definition, parts []component) (Key, error) {
	switch {
	case len(parts) > len(def.Paths), len(parts) == 0,
		len(parts) < len(def.Paths) && def.Kind != MultiHash:
		return Key{}, fmt.Errorf("%w: it has %d values, the definition %d paths", ErrMismatch, len(parts), len(def.Paths))
	}
	var space [96]byte
	epk := space[:0]
	if def.version() == 1 {
		epk = appendV1(epk, parts)
	} else {
		for _, part := range parts {
			epk = appendV2(epk, part)
		}
	}
	return Key{epk: string(epk), parts: len(parts), whole: len(parts) == len(def.Paths)}, nil
}

// ParseHeader reads a key as requests carry it: a JSON array of its values, {}
// for an undefined one. Of a hierarchical key the last values may be missing.
func ParseHeader(def Definition, header string) (Key, error) {
	if text, ok := plainString(header); ok {
		return newKey(def, []component{{kind: kindString, text: text}})
	}
	if len(header) > maxHeader {
		return Key{}, fmt.Errorf("the partition key is longer than %d bytes", maxHeader)
	}
	decoder := json.NewDecoder(strings.NewReader(header))
	decoder.UseNumber()
	var values []any
	err := decoder.Decode(&values)
	if err == nil {
		_, err = decoder.Token() // there must be nothing behind
	}
	if !errors.Is(err, io.EOF) || values == nil {
		return Key{}, fmt.Errorf("the partition key %s is no JSON array of values", shorten(header))
	}
	return New(def, values...)
}

// maxHeader is above what three values of 2 KB take with every character
// escaped.
const maxHeader = 64 << 10

// plainString reads ["text"] where nothing is escaped: nearly every key.
func plainString(header string) (string, bool) {
	n := len(header)
	if n < 4 || n > maxHeader || header[:2] != `["` || header[n-2:] != `"]` {
		return "", false
	}
	text := header[2 : n-2]
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return "", false
		}
	}
	return text, true
}

func shorten(text string) string {
	if len(text) > 100 {
		return strconv.Quote(text[:100]) + "..."
	}
	return strconv.Quote(text)
}

package archive

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/hamba/avro/v2/ocf"
)

// foreignRows is how many records of a foreign file make a page.
const foreignRows = 1024

// foreignReader reads files that another program than Capture wrote: the same
// fields by name, in any order, among others, in any compression that Avro
// has. It is several times slower.
type foreignReader struct{ decoder *ocf.Decoder }

func newForeignReader(c *container) (*foreignReader, error) {
	d, err := ocf.NewDecoder(io.MultiReader(bytes.NewReader(c.seen), c.in))
	if err != nil {
		return nil, fmt.Errorf("reading its header: %w", err)
	}
	return &foreignReader{d}, nil
}

func (r *foreignReader) next(p *page) error {
	for len(p.entries) < foreignRows && r.decoder.HasNext() {
		var fields map[string]any
		if err := r.decoder.Decode(&fields); err != nil {
			return fmt.Errorf("reading a record: %w", err)
		}
		e, err := foreignEntry(fields)
		if err != nil {
			return err
		}
		p.entries = append(p.entries, e)
	}
	if err := r.decoder.Error(); err != nil {
		return fmt.Errorf("reading a block: %w", noEOF(err))
	}
	if len(p.entries) == 0 {
		return io.EOF
	}
	return nil
}

func foreignEntry(fields map[string]any) (entry, error) {
	e := entry{json: true}
	switch v := fields["SequenceNumber"].(type) {
	case int64:
		e.sequence = v
	case int:
		e.sequence = int64(v)
	default:
		return e, fmt.Errorf("its records have no SequenceNumber, so Capture did not write it")
	}
	body, ok := fields["Body"]
	if !ok {
		return e, fmt.Errorf("its records have no Body, so Capture did not write it")
	}
	switch v := unwrapped(body).(type) {
	case nil:
	case []byte:
		e.body = v
	case string:
		e.body = []byte(v)
	default:
		return e, fmt.Errorf("the Body of its records is a %T, not bytes", v)
	}
	e.offset, e.enqueued = plainText(fields["Offset"]), plainText(fields["EnqueuedTimeUtc"])
	var err error
	if e.system, err = foreignMap(fields["SystemProperties"]); err == nil {
		e.properties, err = foreignMap(fields["Properties"])
	}
	return e, err
}

// unwrapped takes a value out of the map that stands for a branch of a union.
func unwrapped(v any) any {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return v
	}
	for name, inner := range m {
		switch name {
		case "long", "int", "double", "float", "string", "bytes", "boolean":
			return inner
		}
	}
	return v
}

func plainText(v any) []byte {
	switch v := unwrapped(v).(type) {
	case string:
		return []byte(v)
	case nil:
		return nil
	default:
		return fmt.Append(nil, v)
	}
}

func foreignMap(v any) ([]byte, error) {
	m, _ := v.(map[string]any)
	plain := make(map[string]any, len(m))
	for name, v := range m {
		v = unwrapped(v)
		if b, ok := v.([]byte); ok {
			v = string(b)
			if !utf8.Valid(b) {
				v = base64.StdEncoding.EncodeToString(b)
			}
		}
		plain[name] = v
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return nil, fmt.Errorf("writing properties as JSON: %w", err)
	}
	return text, nil
}

package function

import (
	"errors"
	"fmt"

	"millrace/process/streamanalytics/codec"
)

// ErrState is what ReadState wraps when it gets bytes that AppendState did not
// write.
var ErrState = errors.New("damaged state of an aggregate")

// done returns what ReadState returns for the aggregate of that name.
func done(d *codec.Decoder, name string) ([]byte, error) {
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("reading the state of %s: %w", name, err)
	}
	return d.Rest(), nil
}

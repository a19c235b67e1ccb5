package data

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// The compressions of files.
const (
	// Snappy is what every reader knows, and costs next to nothing.
	Snappy = "snappy"
	// Zstd makes smaller files for more work.
	Zstd = "zstd"
	// None leaves pages as they are.
	None = "none"
)

// codec compresses pages. It is safe for concurrent use.
type codec struct {
	id     format.CompressionCodec
	encode func(dst, src []byte) []byte
}

// Compressions lists the names that NewEventWriter and Rewrite take.
func Compressions() []string { return []string{Snappy, Zstd, None} }

// newCodec returns the codec of that name; "" is Snappy.
func newCodec(name string) (*codec, error) {
	switch name {
	case Snappy, "":
		return &codec{id: format.Snappy, encode: func(dst, src []byte) []byte {
			return s2.EncodeSnappy(dst[:cap(dst)], src)
		}}, nil
	case Zstd:
		enc, err := zstdEncoder()
		if err != nil {
			return nil, fmt.Errorf("setting up zstd: %w", err)
		}
		return &codec{id: format.Zstd, encode: func(dst, src []byte) []byte { return enc.EncodeAll(src, dst[:0]) }}, nil
	case None:
		return nil, nil
	}
	return nil, fmt.Errorf("the compression %q is not known here: it must be %s, %s or %s", name, Snappy, Zstd, None)
}

// zstdEncoder is shared: it keeps as many states as there are processors.
var zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
})

package cosmosdb

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// keyPath says how an event's partition key is found.
type keyPath struct {
	steps []string
}

func newKeyPath(path string) keyPath {
	return keyPath{strings.Split(strings.TrimPrefix(path, "/"), "/")}
}

// device tells that the partition key is the device.
func (k keyPath) device() bool { return len(k.steps) == 1 && k.steps[0] == "deviceId" }

// text is the partition key of r as JSON text, or for a device its bare name:
// what results are grouped by. Nil is a key that is not there.
func (k keyPath) text(r *record.Result) []byte {
	switch {
	case k.device():
		return r.DeviceID
	case len(k.steps) == 1 && k.steps[0] == memberID:
		return append(record.AppendID([]byte{'"'}, r.ID), '"')
	}
	v := r.Raw
	for _, step := range k.steps {
		if v = memberOf(v, step); v == nil {
			return nil
		}
	}
	if v[0] == '{' || v[0] == '[' {
		return nil // the service takes it for absent, too
	}
	return v
}

// key is a partition key as the SDK takes it.
type key struct {
	sdk azcosmos.PartitionKey
	// header replaces what the SDK would make of it; nil where that is right.
	// The SDK (v1.4.1) quotes strings as Go does, which is not JSON for
	// control characters and for those beyond the basic plane, and it cannot
	// say that a key is absent.
	header []string
}

// of makes a key of what text returned.
func (k keyPath) of(text []byte) key {
	switch {
	case text == nil:
		return key{azcosmos.NewPartitionKeyString(""), []string{"[{}]"}}
	case !k.device():
		return key{azcosmos.NewPartitionKeyString(""), []string{"[" + string(appendASCII(nil, text)) + "]"}}
	}
	plain := true
	for _, c := range text {
		plain = plain && c >= ' ' && c < 0x7f
	}
	if plain {
		return key{azcosmos.NewPartitionKeyString(string(text)), nil}
	}
	return key{azcosmos.NewPartitionKeyString(""), []string{"[" + string(appendASCII(nil, record.AppendString(nil, text))) + "]"}}
}

// appendASCII appends JSON text with everything that is not ASCII escaped, as
// headers need it.
func appendASCII(dst, json []byte) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(json); {
		c, n := utf8.DecodeRune(json[i:])
		i += n
		switch {
		case c < 0x7f:
			dst = append(dst, byte(c))
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			dst = append(dst, `\u`+strconv.FormatInt(int64(high), 16)+`\u`+strconv.FormatInt(int64(low), 16)...)
		default:
			dst = append(dst, '\\', 'u', hex[c>>12&15], hex[c>>8&15], hex[c>>4&15], hex[c&15])
		}
	}
	return dst
}

package txlog

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// isAbsolute tells whether a path is a URI with a scheme (s3://..., file:/...)
// or starts with a slash.
func isAbsolute(path string) bool {
	if strings.HasPrefix(path, "/") {
		return true
	}
	for i := range len(path) {
		c := path[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		case i > 0 && c == ':':
			return strings.HasPrefix(path[i+1:], "/")
		default:
			return false
		}
	}
	return false
}

// decodePath turns the path of an action, a URI reference, into the name of
// the file: %XX is decoded once, "+" is itself. A whole URI stays as it is.
func decodePath(raw string) (string, error) {
	if raw == "" {
		return "", fmt.Errorf("an action without a path")
	}
	if isAbsolute(raw) || strings.IndexByte(raw, '%') < 0 {
		return raw, nil
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) {
				return "", fmt.Errorf("path %q: a %% without two hexadecimal digits", raw)
			}
			hi, ok1 := unhex(raw[i+1])
			lo, ok2 := unhex(raw[i+2])
			if !ok1 || !ok2 {
				return "", fmt.Errorf("path %q: a %% without two hexadecimal digits", raw)
			}
			c = hi<<4 | lo
			i += 2
		}
		out = append(out, c)
	}
	if !utf8.Valid(out) {
		return "", fmt.Errorf("path %q is no UTF-8 when decoded", raw)
	}
	if isAbsolute(string(out)) {
		return "", fmt.Errorf("path %q hides a whole URI", raw)
	}
	return string(out), nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// encodePath is the reverse of decodePath. It leaves alone only what no URI
// library takes for anything else; a colon, for one, could end a scheme.
func encodePath(path string) string {
	if isAbsolute(path) {
		return path
	}
	plain := true
	for i := range len(path) {
		if !unreserved(path[i]) {
			plain = false
			break
		}
	}
	if plain {
		return path
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if unreserved(c) {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("-._~/=+!$&'()*,;@", c) >= 0
}

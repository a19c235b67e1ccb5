package amqp

import "unicode/utf8"

// check walks through the first value of b.
func check(b []byte, depth int) (rest []byte, err error) {
	if depth > MaxDepth {
		return nil, errDeep
	}
	if len(b) == 0 {
		return nil, errShort
	}
	if b[0] == codeDescribed {
		if b, err = check(b[1:], depth+1); err != nil {
			return nil, err
		}
		return check(b, depth+1)
	}
	code, content, rest, err := split(b)
	if err != nil {
		return nil, err
	}
	return rest, checkContent(code, content, depth)
}

func checkContent(code byte, b []byte, depth int) error {
	if depth > MaxDepth {
		return errDeep
	}
	switch code {
	case codeBool:
		if b[0] > 1 {
			return errBool
		}
	case codeStr8, codeStr32:
		if !utf8.Valid(b) {
			return errUTF8
		}
	case codeList8, codeList32, codeMap8, codeMap32:
		n, b, err := counted(code, b)
		if err != nil {
			return err
		}
		if n%2 != 0 && (code == codeMap8 || code == codeMap32) {
			return errOdd
		}
		if err := checkCount(n, b, true); err != nil {
			return err
		}
		for range n {
			if b, err = check(b, depth+1); err != nil {
				return err
			}
		}
		return trailing(b)
	case codeArray8, codeArray32:
		n, b, err := counted(code, b)
		if err != nil {
			return err
		}
		return checkElements(n, b, depth)
	}
	return nil
}

func checkElements(n int, b []byte, depth int) error {
	if depth > MaxDepth {
		return errDeep
	}
	if len(b) == 0 {
		return errShort
	}
	if b[0] == codeDescribed {
		b, err := check(b[1:], depth+1)
		if err != nil {
			return err
		}
		return checkElements(n, b, depth+1)
	}
	code, b := b[0], b[1:]
	if !known[code] {
		return decodeError("no type has the constructor %#02x", code)
	}
	if err := checkCount(n, b, code>>4 != 0x4); err != nil {
		return err
	}
	for range n {
		content, rest, err := splitContent(code, b)
		if err != nil {
			return err
		}
		if err := checkContent(code, content, depth+1); err != nil {
			return err
		}
		b = rest
	}
	return trailing(b)
}

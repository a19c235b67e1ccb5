package cosmosdb

import "bytes"

// The scanner below walks over JSON that is known to be valid or that is
// validated afterwards (record decodes what is left of a document): it finds
// where values end and checks no more than that. On text that is not JSON it
// gives up.

// value returns the index behind the JSON value at i, or -1.
func valueEnd(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		return nestedEnd(b, i)
	case ',', ':', '}', ']':
		return -1
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return i
		}
		i++
	}
	return i
}

// stringEnd returns the index behind the string whose opening quote is at i.
func stringEnd(b []byte, i int) int {
	for i++; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		back := 0
		for b[i-2-back] == '\\' {
			back++
		}
		if back%2 == 0 {
			return i
		}
	}
}

// nestedEnd returns the index behind the object or array that opens at i.
func nestedEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = stringEnd(b, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// eachMember calls fn for every member of the object in b: the name as it is
// written, without quotes, the value, and where the member begins in b. It
// stops when fn returns false. It tells whether b is an object, as far as it
// has been read.
func eachMember(b []byte, fn func(name, value []byte, at int) bool) bool {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return true
	}
	for i < len(b) && b[i] == '"' {
		at := i
		end := stringEnd(b, i)
		if end < 0 {
			return false
		}
		if i = skipSpace(b, end); i >= len(b) || b[i] != ':' {
			return false
		}
		start := skipSpace(b, i+1)
		if i = valueEnd(b, start); i < 0 {
			return false
		}
		if !fn(b[at+1:end-1], b[start:i], at) {
			return true
		}
		if i = skipSpace(b, i); i >= len(b) {
			return false
		}
		if b[i] == '}' {
			return true
		}
		if b[i] != ',' {
			return false
		}
		i = skipSpace(b, i+1)
	}
	return false
}

// eachElement calls fn for every element of the array in b, until it returns
// false. It tells whether b is an array, as far as it has been read.
func eachElement(b []byte, fn func(value []byte) bool) bool {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return false
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
		return true
	}
	for i < len(b) {
		end := valueEnd(b, i)
		if end < 0 {
			return false
		}
		if !fn(b[i:end]) {
			return true
		}
		if i = skipSpace(b, end); i >= len(b) {
			return false
		}
		if b[i] == ']' {
			return true
		}
		if b[i] != ',' {
			return false
		}
		i = skipSpace(b, i+1)
	}
	return false
}

// memberOf returns the value of a member, nil if there is none. The name must
// be written without escapes.
func memberOf(b []byte, name string) (value []byte) {
	eachMember(b, func(n, v []byte, _ int) bool {
		if string(n) == name {
			value = v
			return false
		}
		return true
	})
	return value
}

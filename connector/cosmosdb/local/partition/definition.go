package partition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Kinds of partition keys.
const (
	Hash      = "Hash"      // one path
	MultiHash = "MultiHash" // up to three paths: hierarchical
)

// maxPaths is how many levels a hierarchical partition key may have.
const maxPaths = 3

// Definition is the partition key of a container, as its resource has it.
type Definition struct {
	Paths   []string `json:"paths"`
	Kind    string   `json:"kind"`
	Version int      `json:"version,omitempty"` // 1 or 2; 0 is 1
}

// UnmarshalJSON reads a definition. The version may also be the text "V1" or
// "V2": so the client for Java writes it if it is told which.
func (d *Definition) UnmarshalJSON(text []byte) error {
	type plain Definition
	read := struct {
		*plain
		Version json.RawMessage `json:"version"`
	}{plain: (*plain)(d)}
	if err := json.Unmarshal(text, &read); err != nil {
		return fmt.Errorf("reading a partition key's definition: %w", err)
	}
	switch string(bytes.ToUpper(read.Version)) {
	case `"V1"`:
		d.Version = 1
	case `"V2"`:
		d.Version = 2
	case "":
	default:
		if err := json.Unmarshal(read.Version, &d.Version); err != nil {
			return fmt.Errorf("reading the version of a partition key: %w", err)
		}
	}
	return nil
}

// Validate tells what is wrong with a definition, in words for the one who
// would create a container with it.
func (d Definition) Validate() error {
	if d.Version < 0 || d.Version > 2 {
		return fmt.Errorf("the partition key has version %d: 1 and 2 exist", d.Version)
	}
	switch d.Kind {
	case Hash:
		if len(d.Paths) != 1 {
			return fmt.Errorf("a partition key of kind Hash has one path, this one has %d", len(d.Paths))
		}
	case MultiHash:
		if len(d.Paths) < 1 || len(d.Paths) > maxPaths {
			return fmt.Errorf("a partition key of kind MultiHash has 1 to %d paths, this one has %d", maxPaths, len(d.Paths))
		}
		if d.version() != 2 {
			return fmt.Errorf("a partition key of kind MultiHash is of version 2")
		}
	default:
		return fmt.Errorf("partition keys are of kind Hash or MultiHash, not %q", d.Kind)
	}
	for _, path := range d.Paths {
		if _, err := SplitPath(path); err != nil {
			return fmt.Errorf("the partition key's path: %w", err)
		}
	}
	return nil
}

func (d Definition) version() int {
	if d.Version == 2 {
		return 2
	}
	return 1
}

// SplitPath gives the member names that a path such as /a/b or /"a/b"/c leads
// through.
func SplitPath(path string) ([]string, error) {
	if len(path) < 2 || path[0] != '/' {
		return nil, fmt.Errorf("%q is no path: one looks like /deviceId", path)
	}
	var names []string
	for rest := path; rest != ""; {
		var name string
		var err error
		if name, rest, err = nextName(rest); err != nil {
			return nil, fmt.Errorf("%q is no path: %w", path, err)
		}
		names = append(names, name)
	}
	return names, nil
}

// nextName takes the first name off a path that is not empty.
func nextName(path string) (name, rest string, err error) {
	if path[0] != '/' {
		return "", "", fmt.Errorf("/ expected before %q", path)
	}
	rest = path[1:]
	if strings.HasPrefix(rest, `"`) {
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			return "", "", errors.New("a quotation mark is not closed")
		}
		name, rest = rest[1:1+end], rest[end+2:]
	} else {
		end := strings.IndexByte(rest, '/')
		if end < 0 {
			end = len(rest)
		}
		name, rest = rest[:end], rest[end:]
	}
	if name == "" {
		return "", "", errors.New("a name is empty")
	}
	return name, rest, nil
}
